// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/attributes.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pns::radius;

TEST_CASE("radius attributes: the table is sorted and names nothing twice", "[radius]") {
  CHECK(std::ranges::adjacent_find(kAttributes, std::ranges::greater_equal{}, &AttributeInfo::id) ==
        kAttributes.end());
  for (const AttributeInfo& info : kAttributes) {
    CHECK(find_attribute(info.id) == &info);
    CHECK(find_attribute(info.name) == &info);
  }
}

TEST_CASE("radius attributes: they are found by number and by name", "[radius]") {
  CHECK(find_attribute(AttributeId{vendor::kMikrotik, 8})->name == "Mikrotik-Rate-Limit");
  CHECK(find_attribute(AttributeId{0, 80})->id == attribute::kMessageAuthenticator);
  CHECK(find_attribute("framed-ip-ADDRESS")->id == attribute::kFramedIpAddress);
  CHECK(find_attribute("MS-MPPE-Send-Key")->kind == AttributeKind::salted);
  CHECK(find_attribute(AttributeId{vendor::kMikrotik, 255}) == nullptr);
  CHECK(find_attribute(AttributeId{1, 8}) == nullptr);
  CHECK(find_attribute(AttributeId{0, 0}) == nullptr);
  CHECK(find_attribute("Framed-IP") == nullptr);
  CHECK(find_attribute("") == nullptr);
}

// The attributes that operators expect of a PPTP server.
TEST_CASE("radius attributes: those of the RFCs have the numbers of IANA", "[radius]") {
  struct Known {
    const char* name;
    std::uint32_t vendor;
    unsigned number;
  };
  const Known known[] = {
      {"User-Name", 0, 1},
      {"NAS-Port-Id", 0, 87},
      {"NAS-Identifier", 0, 32},
      {"Framed-Pool", 0, 88},
      {"Framed-IPv6-Pool", 0, 100},
      {"Delegated-IPv6-Prefix", 0, 123},
      {"Delegated-IPv6-Prefix-Pool", 0, 171},
      {"Acct-Interim-Interval", 0, 85},
      {"Event-Timestamp", 0, 55},
      {"Error-Cause", 0, 101},
      {"MS-CHAP2-Success", 311, 26},
      {"MS-MPPE-Recv-Key", 311, 17},
      {"WISPr-Session-Terminate-Time", 14122, 9},
      {"Cisco-Policy-Down", 9, 38},
  };
  for (const Known& each : known) {
    INFO(each.name);
    const AttributeInfo* const info = find_attribute(std::string_view(each.name));
    REQUIRE(info != nullptr);
    CHECK(info->id == AttributeId{each.vendor, static_cast<std::uint8_t>(each.number)});
  }
}
