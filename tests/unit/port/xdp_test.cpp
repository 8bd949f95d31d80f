// SPDX-License-Identifier: BSD-3-Clause
//
// The XDP program of a core port in the real kernel: loaded, attached in a network namespace that
// the process makes for itself, told its prefixes as the dataplane does it, and run over frames
// without sending any. No socket is there, so what would be redirected is dropped. Skipped without
// the right to do so.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "dataplane/port/xdp/xdp_prefixes.hpp"
#include "tests/support/packets.hpp"

using namespace pns;
using namespace pns::dataplane;
using namespace pns::test;

namespace {

struct Attached {
  bpf_object* object = nullptr;
  bpf_program* program = nullptr;

  Attached() {
    static const bool made = ::unshare(CLONE_NEWNET) == 0;
    object = made ? bpf_object__open_file(PNS_XDP_CORE_OBJECT, nullptr) : nullptr;
    if (object == nullptr || bpf_object__load(object) != 0 ||
        std::system("ip link add t-core type veth peer name t-core-far") != 0) {
      WARN("no network namespace or no BPF: skipped");
      ::_exit(77);
    }
    program = bpf_object__find_program_by_name(object, "pns_redirect");
    REQUIRE(program != nullptr);
    const auto index = static_cast<int>(::if_nametoindex("t-core"));
    REQUIRE(bpf_xdp_attach(index, bpf_program__fd(program), XDP_FLAGS_SKB_MODE, nullptr) == 0);
  }
  ~Attached() {
    (void)!std::system("ip link del t-core");
    bpf_object__close(object);
  }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;

  // "taken" or "kernel".
  [[nodiscard]] std::string run(Octets frame) const {
    if (frame.size() < 60) frame.resize(60);
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    REQUIRE(bpf_prog_test_run_opts(bpf_program__fd(program), &options) == 0);
    return options.retval == XDP_DROP || options.retval == XDP_REDIRECT ? "taken" : "kernel";
  }
};

Octets to6(std::string_view destination) {
  return ethernet("020000000002", "020000000012", 0x86dd,
                  ip6({.source = "2001:db8:c::9", .destination = destination}, pattern(8)));
}
Octets to4(std::string_view destination) {
  return ethernet("020000000002", "020000000012", 0x0800,
                  ip({.source = "10.0.0.9", .destination = destination}, pattern(8)));
}

}  // namespace

TEST_CASE("xdp: the core program takes what is for subscribers, of both families",
          "[dataplane][xdp]") {
  const Attached xdp;
  CHECK(xdp.run(to6("2001:db8:64:2::7")) == "kernel");  // before it knows anybody
  SubscriberPrefixes subscribers;
  subscribers.ipv4 = {*Ipv4Prefix::parse("10.64.0.0/18")};
  subscribers.ipv6 = {*Ipv6Prefix::parse("2001:db8:64::/48"),
                      *Ipv6Prefix::parse("2001:db8:77:7::1/64")};
  const auto prefixes = XdpPrefixes::open("t-core");
  REQUIRE(prefixes);
  const auto set = prefixes->add(subscribers);
  INFO((set ? "" : set.error()));
  REQUIRE(set);
  for (const char* destination : {"2001:db8:64::1", "2001:db8:64:ffff::7", "2001:db8:77:7:8::"})
    CHECK(xdp.run(to6(destination)) == "taken");
  for (const char* destination :
       {"2001:db8:63:ffff::1", "2001:db8:65::1", "2001:db8:77:8::1", "fe80::1", "ff02::1", "::"})
    CHECK(xdp.run(to6(destination)) == "kernel");
  CHECK(xdp.run(to4("10.64.63.255")) == "taken");
  CHECK(xdp.run(to4("10.64.64.0")) == "kernel");
  CHECK(xdp.run(ethernet("ffffffffffff", "020000000012", 0x0806, pattern(28))) == "kernel");
}

TEST_CASE("xdp: a prefix that is removed is the kernel's again, and what a wider one covers stays",
          "[dataplane][xdp]") {
  const Attached xdp;
  const auto prefixes = XdpPrefixes::open("t-core");
  REQUIRE(prefixes);
  const SubscriberPrefixes pools{.ipv4 = {*Ipv4Prefix::parse("10.64.0.0/18")},
                                 .ipv6 = {*Ipv6Prefix::parse("2001:db8:64::/48")}};
  const SubscriberPrefixes fixed{.ipv4 = {*Ipv4Prefix::parse("10.77.0.5/32")},
                                 .ipv6 = {*Ipv6Prefix::parse("2001:db8:77:7::/64")}};
  const SubscriberPrefixes inside{.ipv4 = {*Ipv4Prefix::parse("10.64.0.5/32")},
                                  .ipv6 = {*Ipv6Prefix::parse("2001:db8:64:7::/64")}};
  for (const auto* added : {&pools, &fixed, &inside}) REQUIRE(prefixes->add(*added));
  CHECK(xdp.run(to4("10.77.0.5")) == "taken");
  CHECK(xdp.run(to6("2001:db8:77:7::9")) == "taken");

  for (int times = 0; times < 2; ++times) {  // the second time they are not there
    REQUIRE(prefixes->remove(fixed));
    REQUIRE(prefixes->remove(inside));
    CHECK(xdp.run(to4("10.77.0.5")) == "kernel");
    CHECK(xdp.run(to6("2001:db8:77:7::9")) == "kernel");
    CHECK(xdp.run(to4("10.64.0.5")) == "taken");
    CHECK(xdp.run(to6("2001:db8:64:7::9")) == "taken");
  }
  REQUIRE(prefixes->add(fixed));
  CHECK(xdp.run(to4("10.77.0.5")) == "taken");
}
