// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/values.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::radius;
using pns::test::octets;
using pns::test::Octets;

TEST_CASE("radius values: numbers and addresses have one size", "[radius][rfc2865-5]") {
  CHECK(read_u32(octets("01020304")) == 0x01020304);
  CHECK(read_ipv4(octets("0a400707")) == Ipv4Address::parse("10.64.7.7"));
  CHECK(read_ipv6(octets("20010db8000000000000000000000007")) == Ipv6Address::parse("2001:db8::7"));
  CHECK(read_interface_id(octets("0102030405060708")) == 0x0102030405060708u);
  for (std::size_t size = 0; size < 20; ++size) {
    const Octets value(size);
    CHECK(read_u32(value).has_value() == (size == 4));
    CHECK(read_ipv4(value).has_value() == (size == 4));
    CHECK(read_ipv6(value).has_value() == (size == 16));
    CHECK(read_interface_id(value).has_value() == (size == 8));
    CHECK(read_tagged_u24(value).has_value() == (size == 4));
    // A prefix of length 0 with any number of zeros.
    CHECK(read_ipv6_prefix(value).has_value() == (size >= 2 && size <= 18));
  }
}

TEST_CASE("radius values: a prefix has its octets and no host bits",
          "[radius][rfc3162-2.3][rfc4818-3]") {
  struct Case {
    const char* value;
    const char* prefix;  // empty: refused
  };
  const Case cases[] = {
      {"0040 20010db800000007", "2001:db8:0:7::/64"},
      {"0040 20010db8000000070000000000000000", "2001:db8:0:7::/64"},
      {"ff38 20010db8000700", "2001:db8:7::/56"},  // the reserved octet is not judged
      {"0037 20010db80007fe", "2001:db8:7:fe00::/55"},
      {"0080 20010db8000000000000000000000007", "2001:db8::7/128"},
      {"0000", "::/0"},
      {"0040 20010db8000000", ""},                    // seven octets are not 64 bits
      {"0037 20010db80007ff", ""},                    // bit 56
      {"0040 20010db8000000070000000000000001", ""},  // host bits
      {"0081 20010db8000000000000000000000007", ""},  // 129
      {"00ff", ""},
      {"0080 20010db800000000000000000000000700", ""},  // 17 octets
      {"00", ""},
      {"", ""},
  };
  for (const Case& each : cases) {
    INFO(each.value);
    const auto prefix = read_ipv6_prefix(octets(each.value));
    CHECK((prefix ? prefix->to_string() : "") == each.prefix);
  }
}

TEST_CASE("radius values: a text is UTF-8 without a NUL", "[radius][rfc2865-5]") {
  CHECK(read_text(as_octets("Zoë")) == "Zoë");
  CHECK_FALSE(read_text({}));
  CHECK_FALSE(read_text(octets("6100")));
  CHECK_FALSE(read_text(octets("61ff")));
  CHECK_FALSE(read_text(octets("c3")));
  CHECK(as_text(octets("6100")).size() == 2);
  CHECK(as_text({}).empty());
}

TEST_CASE("radius values: a tag is at most 31", "[radius][rfc2868-3.1][rfc2868-3.3]") {
  CHECK(read_tagged_u24(octets("00000001")) == TaggedU24{.tag = 0, .value = 1});
  CHECK(read_tagged_u24(octets("1fffffff")) == TaggedU24{.tag = 31, .value = 0xffffff});
  CHECK_FALSE(read_tagged_u24(octets("20000001")));
  const Octets untagged = test::to_octets(as_octets("192.0.2.1"));
  CHECK(read_tagged_text(untagged) == TaggedText{.tag = 0, .text = "192.0.2.1"});
  const Octets tagged = octets("033139");
  CHECK(read_tagged_text(tagged) == TaggedText{.tag = 3, .text = "19"});
  const Octets zero = octets("0031");
  CHECK(read_tagged_text(zero) == TaggedText{.tag = 0, .text = "1"});
  CHECK_FALSE(read_tagged_text(octets("03")));
  CHECK_FALSE(read_tagged_text({}));
}
