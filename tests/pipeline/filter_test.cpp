// SPDX-License-Identifier: BSD-3-Clause
//
// Filters of sessions (docs/rates-and-filters.md), both families and both directions.
#include <catch2/catch.hpp>

#include "dataplane/filter/filter_numbers.hpp"
#include "dataplane/session/session_commands.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
using Rule = config::FilterRule;
using Counts = std::map<std::string, std::uint64_t>;

Rule make_rule(bool permit, std::optional<std::uint8_t> protocol = {}) {
  Rule rule;
  rule.permit = permit;
  rule.protocol = protocol;
  return rule;
}
Rule with_ports(Rule rule, Rule::Ports source, Rule::Ports destination) {
  rule.source_ports = source;
  rule.destination_ports = destination;
  return rule;
}
Rule to(Rule rule, std::string_view network) {
  if (network.find(':') == std::string_view::npos)
    rule.ipv4_destination = Ipv4Prefix::parse(network);
  else
    rule.ipv6_destination = Ipv6Prefix::parse(network);
  rule.family = rule.ipv4_destination ? 4 : 6;
  return rule;
}

// 1: web to one network of each family, and DNS. 2: everything but mail. 3: nothing.
std::map<std::uint8_t, config::Filter> filters() {
  const Rule web = with_ports(make_rule(true, kTcp), {}, {80, 443});
  return {{1,
           {to(make_rule(false), "10.7.7.9/32"), to(web, "10.7.7.0/24"), to(web, "2001:db8:c::/48"),
            with_ports(make_rule(true, kUdp), {}, {53, 53})}},
          {2, {with_ports(make_rule(false, kTcp), {25, 25}, {}), make_rule(true)}},
          {3, {}}};
}

contract::SessionService with_filters(std::uint8_t upstream, std::uint8_t downstream = 0) {
  contract::SessionService service;
  service.filters.upstream = upstream;
  service.filters.downstream = downstream;
  return service;
}

Octets segment(unsigned source_port, unsigned destination_port, std::size_t size = 20) {
  Octets out = pattern(size);
  put16(out, 0, source_port);
  put16(out, 2, destination_port);
  if (size >= 14) put16(out, 12, 0x5010);
  return out;
}

struct FilterWorld : World {
  Subscriber s;
  std::uint32_t sequence = 0;
  explicit FilterWorld(std::uint8_t upstream, std::uint8_t downstream = 0)
      : World([] {
          WorldOptions options;
          options.filters = filters();
          return options;
        }()),
        s(add(2)) {
    open_ipv6(s);
    dataplane::set_service(record(s), with_filters(upstream, downstream));
    (void)counted();
  }
  // Whether a packet of the subscriber leaves; one that does not is counted.
  bool up(const Octets& packet) {
    const bool ipv6 = std::to_integer<unsigned>(packet[0]) >> 4 == 6;
    record(s).upstream.unacked_packets = 0;
    receive(kAccess, from_peer(s, sequence++, ppp(ipv6 ? "0057" : "0021", packet)));
    return passed(kCore);
  }
  bool down(const Octets& packet) {
    const bool ipv6 = std::to_integer<unsigned>(packet[0]) >> 4 == 6;
    receive(kCore, ipv6 ? from_core6(packet) : from_core(packet));
    return passed(kAccess);
  }

 private:
  bool passed(contract::PortRole out) {
    run();
    const bool sent_one = !sent(out).empty();
    const Counts dropped = drops();
    CHECK(dropped == (sent_one ? Counts() : Counts{{"filtered", 1}}));
    return sent_one;
  }
};

Octets ip_up(const FilterWorld& world, std::string_view to, unsigned protocol, Bytes payload,
             unsigned flags_offset = 0) {
  return ip({.source = world.s.address,
             .destination = to,
             .protocol = protocol,
             .flags_offset = flags_offset},
            payload);
}

}  // namespace

TEST_CASE("filter: the first rule that matches decides, and without one the packet goes",
          "[pipeline][filter]") {
  FilterWorld world(1);
  CHECK(world.up(ip_up(world, "10.7.7.7", kTcp, segment(5000, 80))));
  CHECK(world.up(ip_up(world, "10.7.7.7", kTcp, segment(5000, 443))));
  CHECK_FALSE(world.up(ip_up(world, "10.7.7.7", kTcp, segment(5000, 79))));
  CHECK_FALSE(world.up(ip_up(world, "10.7.7.7", kTcp, segment(80, 5000))));
  CHECK_FALSE(world.up(ip_up(world, "10.7.7.7", kUdp, segment(5000, 80))));
  CHECK_FALSE(world.up(ip_up(world, "10.7.7.9", kTcp, segment(5000, 80))));  // denied before
  CHECK(world.up(ip_up(world, "10.7.7.7", kUdp, segment(5000, 53))));
  CHECK(world.record(world.s).upstream.drops.get() == 4);
  // The other direction has no filter.
  CHECK(world.down(ip({.source = kServer, .destination = world.s.address, .protocol = kTcp},
                      segment(25, 5000))));
}

TEST_CASE("filter: IPv6 by the upper layer, behind extension headers too",
          "[pipeline][filter][ipv6]") {
  FilterWorld world(1, 2);
  const auto up = [&](unsigned next, const Octets& payload) {
    return ip6({.source = world.s.address6, .destination = "2001:db8:c::7", .next_header = next},
               payload);
  };
  CHECK(world.up(up(kTcp, segment(5000, 80))));
  CHECK_FALSE(world.up(up(kTcp, segment(5000, 25))));
  const Octets options = octets("06 00 0104 00000000");  // Destination Options, then TCP
  CHECK(world.up(up(60, concat({options, segment(5000, 80)}))));
  CHECK_FALSE(world.up(up(60, concat({options, segment(5000, 25)}))));
  CHECK_FALSE(world.up(up(60, octets("3c 50 0104 00000000"))));  // headers that do not end
  const auto down = [&](unsigned port) {
    return ip6({.source = kServer6, .destination = world.s.address6, .next_header = kTcp},
               segment(port, 5000));
  };
  CHECK(world.down(down(80)));
  CHECK_FALSE(world.down(down(25)));
}

TEST_CASE("filter: downstream, before the packet pays for its rate", "[pipeline][filter]") {
  FilterWorld world(0, 2);
  // A rate of one packet: what is filtered does not use it up.
  contract::SessionService service = with_filters(0, 2);
  service.rates.downstream = {1'000, 1};
  dataplane::set_service(world.record(world.s), service);
  const auto down = [&](unsigned port) {
    return ip({.source = kServer, .destination = world.s.address, .protocol = kTcp},
              segment(port, 5000));
  };
  CHECK_FALSE(world.down(down(25)));
  CHECK(world.down(down(80)));
  CHECK(world.record(world.s).downstream.drops.get() == 1);
}

TEST_CASE("filter: later fragments pass with a rule that permits, and no rule of ports denies them",
          "[pipeline][filter]") {
  FilterWorld permits(1);
  CHECK(permits.up(ip_up(permits, "10.7.7.7", kTcp, pattern(24), 0x0010)));
  CHECK_FALSE(permits.up(ip_up(permits, "10.9.9.9", kTcp, pattern(24), 0x0010)));
  // The flags of TCP would be overwritten (RFC 1858).
  CHECK_FALSE(permits.up(ip_up(permits, "10.7.7.7", kTcp, pattern(24), 0x0001)));
  // A first fragment without its ports.
  CHECK_FALSE(permits.up(ip_up(permits, "10.7.7.7", kTcp, pattern(2), 0x2000)));
  FilterWorld denies(2);
  CHECK(denies.up(ip_up(denies, "10.7.7.7", kTcp, pattern(24), 0x0010)));
  CHECK_FALSE(denies.up(ip_up(denies, "10.7.7.7", kTcp, segment(25, 80))));
}

TEST_CASE("filter: one without rules, or one that is gone, permits nothing", "[pipeline][filter]") {
  for (const std::uint8_t number : {std::uint8_t{3}, std::uint8_t{9}}) {
    CAPTURE(number);
    FilterWorld world(number, number);
    CHECK_FALSE(world.up(ip_up(world, "10.7.7.7", kUdp, segment(1, 53))));
    CHECK_FALSE(world.down(ip({.source = kServer, .destination = world.s.address}, segment(1, 2))));
    // A session without a filter in the same world is not concerned.
    dataplane::set_service(world.record(world.s), {});
    CHECK(world.up(ip_up(world, "10.7.7.7", kUdp, segment(1, 53))));
  }
}

TEST_CASE("filter: packets of many sessions in one burst have their own verdicts",
          "[pipeline][filter]") {
  FilterWorld world(1);
  const Subscriber open = world.add(3);
  const Subscriber shut = world.add(4);
  dataplane::set_service(world.record(shut), with_filters(3));
  (void)world.counted();
  for (std::uint32_t n = 0; n < 40; ++n)
    for (const Subscriber& s : {world.s, open, shut})
      world.receive(
          kAccess,
          from_peer(
              s, n,
              ppp("0021", ip({.source = s.address, .destination = "10.7.7.7", .protocol = kTcp},
                             segment(5000, n % 2 == 0 ? 80 : 25)))));
  world.run();
  CHECK(world.sent(kCore).size() == 20 + 40);
  CHECK(world.drops() == Counts{{"filtered", 20 + 40}});
}

TEST_CASE("filter numbers: a name keeps its number while a session has it", "[dataplane][filter]") {
  const UniqueFd fd = contract::SessionMemory::create(4, false, 1).value();
  auto memory = contract::SessionMemory::attach(fd.get()).value();
  std::map<std::string, config::Filter> names = {{"a", {}}, {"b", {}}, {"c", {}}};
  const auto first = dataplane::assign_filter_numbers(memory, names).value();
  REQUIRE(first.by_name.size() == 3);
  for (const auto& [name, number] : first.by_name)
    CHECK(contract::find_filter(memory.header(), name) == number);

  auto& session = memory.sessions()[1];
  session.state = contract::SlotState::kInstalled;
  dataplane::set_service(session, with_filters(0, first.by_name.at("b")));
  names = {{"c", {}}, {"d", {}}};
  const auto second = dataplane::assign_filter_numbers(memory, names).value();
  CHECK(second.orphans == 1);
  CHECK(second.by_name.at("c") == first.by_name.at("c"));
  CHECK(second.by_name.at("d") == first.by_name.at("a"));  // free again
  CHECK(contract::find_filter(memory.header(), "b") == first.by_name.at("b"));
  CHECK_FALSE(contract::find_filter(memory.header(), "a"));

  session.state = contract::SlotState::kFree;
  const auto third = dataplane::assign_filter_numbers(memory, names).value();
  CHECK(third.orphans == 0);
  CHECK_FALSE(contract::find_filter(memory.header(), "b"));
  // As many as there are numbers, and one more while a session holds on to one.
  names.clear();
  for (int n = 0; n < 63; ++n) names.emplace("f" + std::to_string(n), config::Filter());
  CHECK(dataplane::assign_filter_numbers(memory, names));
  session.state = contract::SlotState::kInstalled;
  names.erase(names.begin());
  names.emplace("another", config::Filter());
  dataplane::set_service(session, with_filters(0, 1));
  const auto all = dataplane::assign_filter_numbers(memory, names);
  CHECK((all || all.error().starts_with("filters: sessions still have")));
}
