// SPDX-License-Identifier: BSD-3-Clause
//
// Lists of 20,000 sessions, read in pages while sessions come and go between the pages.
#include "controlplane/subscriber/listing.hpp"

#include <set>

#include "tests/unit/subscriber/fake_world.hpp"

using namespace pns;
using namespace pns::test;
using subscriber::Listing;
using subscriber::PagePlace;
using subscriber::Selector;

namespace {

constexpr std::uint16_t kCalls = 1000;  // of each connection
constexpr std::size_t kSessions = 20'000;

struct Crowd {
  FakeWorld world{
      [](config::Config& config) {
        config.pptp.limits.exempt = {Ipv4Prefix::parse("0.0.0.0/0").value()};
        config.pptp.admission.set_ups = kSessions * 2;
        config.pptp.admission.per_source_set_ups = kSessions;
        config.pools["default"].ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a40fffe)}};
      },
      true, 32'768};
  std::vector<std::shared_ptr<FakeTransport>> peers;

  Crowd() {
    for (std::size_t i = 0; i < kSessions / kCalls; ++i) {
      world.commands.silent = i > 0;  // PPP of the first thousand alone opens: it costs most
      peers.push_back(world.connect(Ipv4Address(0xcb007100 + static_cast<std::uint32_t>(i))));
      for (std::uint16_t call = 1; call <= kCalls; ++call) world.dial(*peers.back(), call);
    }
  }
  [[nodiscard]] const Listing& listing() const { return world.service->listing(); }
  void hang_up(std::size_t peer, std::uint16_t call) {
    peers.at(peer)->receive(wire::pptp::CallClearRequest{call});
    world.loop.run();
  }
};

}  // namespace

TEST_CASE("listing: each of 20,000 sessions is in one page while others come and go",
          "[subscriber][listing]") {
  Crowd crowd;
  std::set<std::uint64_t> there;
  for (const auto& view : sessions_of(*crowd.world.service)) there.insert(view.id.value);
  REQUIRE(there.size() == kSessions);

  std::set<std::uint64_t> seen;
  std::size_t pages = 0;
  std::size_t hung_up = 0;
  for (PagePlace place; !place.at_end; ++pages) {
    const auto page = crowd.listing().session_page(place);
    REQUIRE(page.size() <= Listing::kPage);
    for (const auto& view : page) REQUIRE(seen.insert(view.id.value).second);
    if (pages >= kCalls / 2) continue;
    // One that was listed, one that was not, and a new one in the place of each.
    const auto call = static_cast<std::uint16_t>(pages + 1);
    for (const std::size_t peer : {std::size_t{0}, crowd.peers.size() - 1}) {
      crowd.hang_up(peer, call);
      crowd.world.dial(*crowd.peers[peer], static_cast<std::uint16_t>(call + kCalls));
      ++hung_up;
    }
  }
  CHECK(pages >= kSessions / Listing::kPage);
  REQUIRE(hung_up > 300);

  std::size_t stayed = 0;
  for (const auto& view : sessions_of(*crowd.world.service)) {
    if (!there.contains(view.id.value)) continue;
    ++stayed;
    REQUIRE(seen.contains(view.id.value));
  }
  CHECK(stayed == kSessions - hung_up);

  // Those of one peer, in pages too.
  const Selector selector{.kind = Selector::Kind::kPeer, .address = Ipv4Address(0xcb007103)};
  std::set<std::uint64_t> of_peer;
  PagePlace place;
  for (std::size_t i = 0; i < kCalls / Listing::kPage; ++i) {
    const auto page = crowd.listing().session_page(selector, place);
    REQUIRE(page.size() == Listing::kPage);
    REQUIRE_FALSE(place.at_end);
    for (const auto& view : page) of_peer.insert(view.id.value);
  }
  for (const auto& view : crowd.listing().session_page(selector, place))
    of_peer.insert(view.id.value);
  CHECK(place.at_end);
  CHECK(of_peer.size() == kCalls);
  CHECK(sessions_of(*crowd.world.service, selector).size() == kCalls);

  // An audit has more turns, and finds nothing although calls come and go between them.
  auto audit = crowd.world.service->begin_audit();
  std::uint16_t turns = 0;
  while (audit.turn()) {
    ++turns;
    crowd.hang_up(1, turns);
    crowd.world.dial(*crowd.peers[2], static_cast<std::uint16_t>(turns + kCalls));
    crowd.hang_up(2, static_cast<std::uint16_t>(turns + kCalls));
  }
  CHECK(turns > pages);
  CHECK(turns < kCalls);
  CHECK(audit.view().findings_in_all == 0);
  CHECK(audit.view().sessions >= kSessions - turns);
}

TEST_CASE("listing: connections come in pages, in the order of their ids",
          "[subscriber][listing]") {
  FakeWorld world([](config::Config& config) {
    config.pptp.limits.exempt = {Ipv4Prefix::parse("0.0.0.0/0").value()};
  });
  for (std::uint32_t i = 0; i < 1000; ++i) (void)world.connect(Ipv4Address(0xcb007100 + i));
  std::vector<std::uint64_t> seen;
  std::size_t closed = 0;
  for (PagePlace place; !place.at_end;) {
    const auto page = world.service->listing().connection_page(place);
    REQUIRE(page.size() <= Listing::kPage);
    for (const auto& view : page) seen.push_back(view.id);
    // The next one that would be listed goes.
    if (const auto next = seen.size() + closed; next < world.transports.size()) {
      world.transports[next]->lose();
      world.loop.run();
      ++closed;
    }
  }
  CHECK(std::ranges::is_sorted(seen));
  CHECK(std::set(seen.begin(), seen.end()).size() == seen.size());
  CHECK(seen.size() == 1000 - closed);
  CHECK(closed >= 7);
}
