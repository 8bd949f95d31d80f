// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/session_table.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "dataplane/session/next_hops.hpp"
#include "pns/mppe/mppe.hpp"

using namespace pns;
using namespace pns::dataplane;
using contract::ReplyResult;
using contract::SlotState;

namespace {

const Ipv4Address kLocal(0xc6336401);
const Ipv4Address kPeer(0xcb007105);

struct Fixture {
  UniqueFd fd;
  contract::SessionMemory memory;
  std::unique_ptr<SessionTable> table;

  explicit Fixture(std::uint32_t sessions = 64) {
    auto made = contract::SessionMemory::create(sessions, false, 1);
    REQUIRE(made);
    fd = std::move(*made);
    auto attached = contract::SessionMemory::attach(fd.get());
    REQUIRE(attached);
    memory = std::move(*attached);
    restart();
  }
  void restart() {
    table.reset();
    auto made = SessionTable::create(memory, 1);
    REQUIRE(made);
    table = std::move(*made);
  }
  std::expected<std::uint32_t, ReplyResult> install(std::uint32_t slot, std::uint16_t call,
                                                    Ipv4Address local = kLocal) {
    contract::InstallSession request;
    request.our_call_id = OurCallId(call);
    request.peer_call_id = PeerCallId(7);
    request.local = local;
    request.peer = kPeer;
    request.mppe_required = true;
    return table->install(SlotId(slot), request, 42);
  }
  ReplyResult bind(std::uint32_t slot, std::uint32_t address) {
    const auto result = table->bind_address(SlotId(slot), Ipv4Address(address));
    if (result == ReplyResult::kDone) memory.sessions()[slot].subscriber = Ipv4Address(address);
    return result;
  }
};

}  // namespace

TEST_CASE("session table: an installed session is found by address and Call ID", "[session]") {
  Fixture f;
  const auto generation = f.install(5, 0x1234);
  REQUIRE(generation);
  const FoundSession found = f.table->find(kLocal, OurCallId(0x1234));
  REQUIRE(found);
  CHECK(found.slot == SlotId(5));
  CHECK(found.session->peer == kPeer);
  CHECK(found.session->flags.load() == contract::kFlagMppeRequired);
  CHECK(found.session->installed_ns == 42);
  CHECK(f.table->is_current(SlotId(5), *generation));
  CHECK_FALSE(f.table->is_current(SlotId(5), *generation + 1));
  CHECK_FALSE(f.table->find(kLocal, OurCallId(0x1235)));
  CHECK_FALSE(f.table->find(Ipv4Address(1), OurCallId(0x1234)));
  CHECK(f.table->is_local(kLocal));
  CHECK_FALSE(f.table->is_local(kPeer));
}

TEST_CASE("session table: refusals", "[session]") {
  Fixture f;
  REQUIRE(f.install(0, 1));
  CHECK(f.install(0, 2).error() == ReplyResult::kBadSlot);
  CHECK(f.install(64, 2).error() == ReplyResult::kBadSlot);
  CHECK(f.install(1, 1).error() == ReplyResult::kCallIdInUse);
  CHECK(f.install(1, 0).error() == ReplyResult::kBadMessage);
  for (std::uint32_t n = 1; n < 16; ++n) REQUIRE(f.install(n, 1, Ipv4Address(kLocal.value + n)));
  CHECK(f.install(20, 1, Ipv4Address(0x01020304)).error() == ReplyResult::kTooManyAddresses);
}

TEST_CASE("session table: inner addresses", "[session]") {
  Fixture f;
  REQUIRE(f.install(0, 1));
  REQUIRE(f.install(1, 2));
  CHECK(f.bind(0, 0x0a400002) == ReplyResult::kDone);
  CHECK(f.bind(0, 0x0a400002) == ReplyResult::kDone);
  CHECK(f.bind(1, 0x0a400002) == ReplyResult::kAddressInUse);
  CHECK(f.bind(1, 0) == ReplyResult::kBadMessage);
  CHECK(f.bind(2, 0x0a400003) == ReplyResult::kBadSlot);
  CHECK(f.table->find_by_address(Ipv4Address(0x0a400002)).slot == SlotId(0));
  CHECK_FALSE(f.table->find_by_address(Ipv4Address(0x0a400003)));
  CHECK_FALSE(f.table->find_by_address(Ipv4Address(0x0b400002)));
  // Moved: the old address is free at once.
  CHECK(f.bind(0, 0xfffffff0) == ReplyResult::kDone);
  CHECK_FALSE(f.table->find_by_address(Ipv4Address(0x0a400002)));
  CHECK(f.table->find_by_address(Ipv4Address(0xfffffff0)).slot == SlotId(0));
  CHECK(f.bind(1, 0x0a400002) == ReplyResult::kDone);
  f.table->unbind_address(SlotId(1));
  CHECK_FALSE(f.table->find_by_address(Ipv4Address(0x0a400002)));
}

TEST_CASE("session table: an entry that disagrees with the record is no match", "[session]") {
  Fixture f;
  REQUIRE(f.install(0, 1));
  CHECK(f.table->bind_address(SlotId(0), Ipv4Address(0x0a400002)) == ReplyResult::kDone);
  // The owner has not opened IPv4 yet.
  CHECK_FALSE(f.table->find_by_address(Ipv4Address(0x0a400002)));
}

TEST_CASE("session table: removal waits for the workers and wipes keys", "[session]") {
  Fixture f;
  rte_rcu_qsbr& qsbr = f.table->quiescence();
  REQUIRE(rte_rcu_qsbr_thread_register(&qsbr, 0) == 0);
  rte_rcu_qsbr_thread_online(&qsbr, 0);
  const auto generation = f.install(3, 9);
  REQUIRE(generation);
  REQUIRE(f.bind(3, 0x0a400002) == ReplyResult::kDone);
  contract::SessionRecord& record = f.memory.sessions()[3];
  std::array<std::byte, 16> key{};
  key.fill(std::byte{0xaa});
  mppe::init(record.upstream.mppe, key, 128, mppe::Mode::kStateless);
  record.downstream.next_sequence = 77;

  CHECK(f.table->unlink(SlotId(4)) == 0);
  const std::uint64_t token = f.table->unlink(SlotId(3));
  REQUIRE(token != 0);
  CHECK_FALSE(f.table->find(kLocal, OurCallId(9)));
  CHECK_FALSE(f.table->find_by_address(Ipv4Address(0x0a400002)));
  CHECK_FALSE(f.table->is_current(SlotId(3), *generation));
  CHECK_FALSE(f.table->quiescent(token));
  CHECK(f.install(3, 9).error() == ReplyResult::kBadSlot);
  rte_rcu_qsbr_quiescent(&qsbr, 0);
  CHECK(f.table->quiescent(token));
  f.table->release(SlotId(3));
  CHECK(record.state.load() == SlotState::kFree);
  const mppe::DirectionState empty{};
  CHECK(std::memcmp(&record.upstream.mppe, &empty, sizeof(empty)) == 0);
  const auto again = f.install(3, 9);
  REQUIRE(again);
  CHECK(*again == *generation + 1);
  CHECK(record.downstream.next_sequence == 0);
  rte_rcu_qsbr_thread_offline(&qsbr, 0);
}

TEST_CASE("session table: adopt serves what an earlier process left", "[session]") {
  Fixture f;
  const auto generation = f.install(3, 9);
  REQUIRE(generation);
  REQUIRE(f.install(4, 10));
  REQUIRE(f.install(5, 11));
  REQUIRE(f.bind(3, 0x0a400002) == ReplyResult::kDone);
  f.memory.sessions()[3].downstream.next_sequence = 77;
  (void)f.table->unlink(SlotId(4));                   // cut short before release
  f.memory.sessions()[5].our_call_id = OurCallId(9);  // contradicts slot 3

  f.restart();
  CHECK_FALSE(f.table->find(kLocal, OurCallId(9)));
  CHECK(f.table->adopt() == 1);
  CHECK(f.table->find(kLocal, OurCallId(9)).slot == SlotId(3));
  CHECK(f.table->find_by_address(Ipv4Address(0x0a400002)).slot == SlotId(3));
  CHECK(f.table->is_current(SlotId(3), *generation));
  CHECK(f.memory.sessions()[3].downstream.next_sequence == 77);
  CHECK(f.memory.sessions()[4].state.load() == SlotState::kFree);
  CHECK(f.memory.sessions()[5].state.load() == SlotState::kFree);
}

TEST_CASE("session table: leaves are used again when their addresses have gone", "[session]") {
  Fixture f(8192);
  // One session per /20 until no leaf is left, then one that moves on and on.
  for (std::uint32_t n = 0; n < SessionTable::kMaxLeaves; ++n) {
    REQUIRE(f.install(n, static_cast<std::uint16_t>(n + 1)));
    REQUIRE(f.bind(n, 0x10000000 + (n << 12)) == ReplyResult::kDone);
  }
  REQUIRE(f.install(5000, 6000));
  CHECK(f.bind(5000, 0x40000000) == ReplyResult::kNoMemory);
  f.table->unbind_address(SlotId(17));
  CHECK(f.bind(5000, 0x40000000) == ReplyResult::kDone);
  CHECK(f.table->find_by_address(Ipv4Address(0x40000000)).slot == SlotId(5000));
  CHECK_FALSE(f.table->find_by_address(Ipv4Address(0x10000000 + (17 << 12))));
  CHECK(f.table->find_by_address(Ipv4Address(0x10000000 + (18 << 12))).slot == SlotId(18));
}

TEST_CASE("next hops: longest prefix, replacement and removal", "[session]") {
  auto made = NextHops::create("next-hop-test");
  REQUIRE(made);
  NextHops& hops = **made;
  const auto prefix = [](const char* text) { return *Ipv4Prefix::parse(text); };
  const auto where = [&](const char* text) { return hops.lookup(*Ipv4Address::parse(text)).value; };
  CHECK(where("10.1.2.3") == 0);
  CHECK(hops.get(NextHopId(0)).kind == NextHopKind::kUnreachable);
  CHECK_FALSE(hops.set(NextHopId(0), {}));
  CHECK_FALSE(hops.set(NextHopId(NextHops::kMaxNextHops), {}));
  CHECK(hops.add_route(prefix("0.0.0.0/0"), NextHopId(1)));
  CHECK(hops.add_route(prefix("10.0.0.0/8"), NextHopId(2)));
  CHECK(hops.add_route(prefix("10.1.2.77/24"), NextHopId(3)));
  CHECK(hops.add_route(prefix("10.1.2.3/32"), NextHopId(4)));
  CHECK(where("192.0.2.1") == 1);
  CHECK(where("10.200.0.1") == 2);
  CHECK(where("10.1.2.4") == 3);
  CHECK(where("10.1.2.3") == 4);
  CHECK(hops.add_route(prefix("10.1.2.3/32"), NextHopId(5)));
  CHECK(where("10.1.2.3") == 5);
  CHECK(hops.delete_route(prefix("10.1.2.3/32")));
  CHECK_FALSE(hops.delete_route(prefix("10.1.2.3/32")));
  CHECK(where("10.1.2.3") == 3);
  CHECK(hops.delete_route(prefix("0.0.0.0/0")));
  CHECK(where("192.0.2.1") == 0);

  NextHop hop;
  hop.kind = NextHopKind::kGlean;
  hop.port = contract::PortRole::kCore;
  hop.destination = {1, 2, 3, 4, 5, 6};
  hop.source = {7, 8, 9, 10, 11, 12};
  hop.gateway = Ipv4Address(0x0a0000fe);
  CHECK(hops.set(NextHopId(3), hop));
  CHECK(hops.get(NextHopId(3)) == hop);

  const std::array<std::uint32_t, 3> destinations = {0x0a010204, 0x0ac80001, 0xc0000201};
  std::array<NextHopId, 3> ids{};
  hops.lookup(destinations, ids);
  CHECK(ids[0].value == 3);
  CHECK(ids[1].value == 2);
  CHECK(ids[2].value == 0);
}
