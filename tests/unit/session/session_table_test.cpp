// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/session_table.hpp"
#include "dataplane/session/session_commands.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>

#include "dataplane/routing/mapped_address.hpp"
#include "dataplane/routing/next_hops.hpp"
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
  ReplyResult bind_prefix(std::uint32_t slot, std::uint64_t prefix) {
    const auto result = table->bind_prefix(SlotId(slot), prefix);
    if (result == ReplyResult::kDone) memory.sessions()[slot].ipv6_prefix = prefix;
    return result;
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

TEST_CASE("session table: the entries of many addresses at a time", "[session]") {
  Fixture f;
  const Ipv4Address first(0x0a400ffe);  // the last but one of its leaf
  CHECK(f.table->entries_from(first).empty());
  CHECK(SessionTable::next_leaf(first) == 0x0a401000);
  REQUIRE(f.install(1, 0x101));
  REQUIRE(f.table->bind_address(SlotId(1), Ipv4Address(0x0a400fff)) == ReplyResult::kDone);
  const auto entries = f.table->entries_from(first);
  REQUIRE(entries.size() == 2);
  CHECK(SessionTable::read(&entries[0]) == 0);
  CHECK(f.table->at(SessionTable::read(&entries[1])).slot == SlotId(1));
  CHECK(f.table->entries_from(Ipv4Address(0x0a401000)).empty());
  CHECK(SessionTable::next_leaf(Ipv4Address(0xffffffff)) == 0x1'0000'0000);
}

TEST_CASE("session table: prefixes", "[session][ipv6]") {
  constexpr std::uint64_t kFirst = 0x20010db800640001;
  constexpr std::uint64_t kSecond = 0x20010db800640002;
  Fixture f;
  REQUIRE(f.install(0, 1));
  REQUIRE(f.install(1, 2));
  CHECK_FALSE(f.table->find_by_prefix(kFirst));
  CHECK(f.bind_prefix(0, kFirst) == ReplyResult::kDone);
  CHECK(f.bind_prefix(0, kFirst) == ReplyResult::kDone);
  CHECK(f.bind_prefix(1, kFirst) == ReplyResult::kAddressInUse);
  CHECK(f.bind_prefix(2, kSecond) == ReplyResult::kBadSlot);
  CHECK(f.bind_prefix(64, kSecond) == ReplyResult::kBadSlot);
  for (const std::uint64_t prefix : {0x0ULL, 0xfe80000000000000ULL, 0xff02000000000000ULL})
    CHECK(f.bind_prefix(1, prefix) == ReplyResult::kBadMessage);
  CHECK(f.table->find_by_prefix(kFirst).slot == SlotId(0));
  CHECK_FALSE(f.table->find_by_prefix(kSecond));
  // Moved: the old prefix is free at once.
  CHECK(f.bind_prefix(0, kSecond) == ReplyResult::kDone);
  CHECK_FALSE(f.table->find_by_prefix(kFirst));
  CHECK(f.table->find_by_prefix(kSecond).slot == SlotId(0));
  CHECK(f.bind_prefix(1, kFirst) == ReplyResult::kDone);
  f.table->unbind_prefix(SlotId(1));
  f.table->unbind_prefix(SlotId(1));
  CHECK_FALSE(f.table->find_by_prefix(kFirst));
  // The owner has not opened IPv6 yet: no match, though the prefix is taken.
  CHECK(f.table->bind_prefix(SlotId(1), kFirst) == ReplyResult::kDone);
  f.memory.sessions()[1].ipv6_prefix = 0;
  CHECK_FALSE(f.table->find_by_prefix(kFirst));
  // With the session goes its prefix.
  CHECK(f.table->unlink(SlotId(0)) != 0);
  CHECK_FALSE(f.table->find_by_prefix(kSecond));
  f.table->release(SlotId(0));
  CHECK(f.memory.sessions()[0].ipv6_prefix == 0);
  CHECK(f.bind_prefix(1, kSecond) == ReplyResult::kDone);
}

TEST_CASE("session table: adopt binds prefixes, and closes IPv6 where two claim one",
          "[session][ipv6]") {
  Fixture f;
  for (const std::uint16_t n : std::initializer_list<std::uint16_t>{3, 4, 5}) {
    REQUIRE(f.install(n, n));
    REQUIRE(f.bind_prefix(n, 0x20010db800640000 + n) == ReplyResult::kDone);
    f.memory.sessions()[n].flags.fetch_or(contract::kFlagIpv6Open);
  }
  f.memory.sessions()[5].ipv6_prefix = 0x20010db800640003;
  f.restart();
  CHECK_FALSE(f.table->find_by_prefix(0x20010db800640003));
  CHECK(f.table->adopt() == 3);
  CHECK(f.table->find_by_prefix(0x20010db800640003).slot == SlotId(3));
  CHECK(f.table->find_by_prefix(0x20010db800640004).slot == SlotId(4));
  CHECK((f.memory.sessions()[4].flags.load() & contract::kFlagIpv6Open) != 0);
  CHECK((f.memory.sessions()[5].flags.load() & contract::kFlagIpv6Open) == 0);
  CHECK(f.bind_prefix(5, 0x20010db800640005) == ReplyResult::kDone);
}

TEST_CASE("prefix index: full, churned, and never wrong", "[session][ipv6]") {
  constexpr std::uint32_t kSlots = 4096;
  PrefixIndex index(kSlots);
  std::vector<std::uint64_t> held(kSlots, 0);
  const auto find = [&](std::uint64_t prefix, unsigned* looked = nullptr) {
    return index.find(prefix, [&](std::uint32_t slot) {
      if (looked != nullptr) ++*looked;
      return held[slot] == prefix;
    });
  };
  std::mt19937_64 random(7);
  std::unordered_map<std::uint64_t, std::uint32_t> truth;
  for (unsigned round = 0; round < 400'000; ++round) {
    const auto slot = static_cast<std::uint32_t>(random() % kSlots);
    if (held[slot] != 0) {
      index.erase(held[slot], slot);
      truth.erase(held[slot]);
      held[slot] = 0;
    } else {
      // Half from a pool, in order; half from anywhere.
      const std::uint64_t prefix =
          round % 2 == 0 ? 0x20010db800640000 + random() % 65'536 : random() | 1;
      if (truth.contains(prefix)) continue;
      index.insert(prefix, slot);
      truth[prefix] = slot;
      held[slot] = prefix;
    }
    if (round % 20'000 != 0) continue;
    for (const auto& [prefix, at] : truth) REQUIRE(find(prefix) == at);
    unsigned looked = 0;
    for (unsigned n = 0; n < 2000; ++n) REQUIRE(find(random() << 1, &looked) == PrefixIndex::kNone);
    REQUIRE(looked <= 2);  // half a hash in common is rare
  }
  // To the brim, and empty again.
  for (std::uint32_t slot = 0; slot < kSlots; ++slot)
    if (held[slot] == 0) index.insert(held[slot] = 0xfd00000000000000 + slot, slot);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) REQUIRE(find(held[slot]) == slot);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    index.erase(held[slot], slot);
    index.erase(held[slot], slot);  // twice is once
    held[slot] = 0;
  }
  for (const auto& [prefix, slot] : truth) REQUIRE(find(prefix) == PrefixIndex::kNone);
}

TEST_CASE("prefix index: one that stays is found while others come and go", "[session][ipv6]") {
  PrefixIndex index(64);
  constexpr std::uint64_t kStays = 0x20010db800640000;
  index.insert(kStays, 0);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> found{0};
  std::atomic<std::uint64_t> missed{0};
  std::thread reader([&] {
    while (!stop.load()) {
      const bool hit = index.find(kStays, [](std::uint32_t slot) { return slot == 0; }) == 0;
      (hit ? found : missed).fetch_add(1);
    }
  });
  std::mt19937_64 random(5);
  std::array<std::uint64_t, 64> held{};
  while (found.load() < 100'000) {
    const auto slot = static_cast<std::uint32_t>(1 + random() % 63);
    if (held[slot] != 0) {
      index.erase(held[slot], slot);
      held[slot] = 0;
    } else {
      index.insert(held[slot] = random(), slot);
    }
  }
  stop.store(true);
  reader.join();
  CHECK(missed.load() == 0);
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

TEST_CASE("session commands: rates of each direction, and one of both from an older program",
          "[session][rates]") {
  contract::SessionRecord record;
  const auto has_rates = [&] { return (record.flags.load() & contract::kFlagRates) != 0; };
  set_service(record, {.rates = {.upstream = {1'000'000, 0}, .downstream = {2'000'000, 50'000}},
                       .filters = {.upstream = 3, .downstream = 63}});
  CHECK(has_rates());
  CHECK(record.upstream_rate == contract::OctetRate(1'000'000, 0));
  CHECK(record.downstream.rate == contract::OctetRate(2'000'000, 50'000));
  CHECK(record.rate_bits_per_second == 2'000'000);
  CHECK(contract::upstream_filter(record.flags.load()) == 3);
  CHECK(contract::downstream_filter(record.flags.load()) == 63);

  // The control process sends the same beside it.
  contract::OpenIpv4 open;
  open.rate_bits_per_second = 2'000'000;
  open_ipv4(record, open);
  CHECK(record.upstream_rate == contract::OctetRate(1'000'000, 0));
  // An older control process has one rate for both.
  open.rate_bits_per_second = 5'000'000;
  open_ipv4(record, open);
  CHECK(record.upstream_rate == contract::OctetRate(5'000'000, 0));
  CHECK(record.downstream.rate == contract::OctetRate(5'000'000, 0));
  CHECK(record.rate_bits_per_second == 5'000'000);
  CHECK((record.flags.load() & contract::kFlagIpv4Open) != 0);

  // One direction has no limit: nor has the one rate of an older program.
  set_service(record, {.rates = {.upstream = {1'000'000, 0}, .downstream = {}}, .filters = {}});
  CHECK(has_rates());
  CHECK_FALSE(record.downstream.rate);
  CHECK(record.rate_bits_per_second == 0);
  CHECK((record.flags.load() & contract::kFiltersMask) == 0);
  set_service(record, {});
  CHECK_FALSE(has_rates());
}

TEST_CASE("session table: adopt takes the rate that an older dataplane has set",
          "[session][rates]") {
  Fixture f;
  REQUIRE(f.install(3, 9));
  REQUIRE(f.install(4, 10));
  auto& older = f.memory.sessions()[3];
  older.rate_bits_per_second = 8'000'000;
  older.upstream_rate = contract::OctetRate(1'000, 0);  // of a session before
  auto& newer = f.memory.sessions()[4];
  set_service(newer,
              {.rates = {.upstream = {1'000'000, 0}, .downstream = {2'000'000, 0}}, .filters = {}});
  f.restart();
  REQUIRE(f.table->adopt() == 2);
  CHECK((older.flags.load() & contract::kFlagRates) != 0);
  CHECK(older.upstream_rate == contract::OctetRate(8'000'000, 0));
  CHECK(older.downstream.rate == contract::OctetRate(8'000'000, 0));
  CHECK(newer.upstream_rate == contract::OctetRate(1'000'000, 0));
  CHECK(newer.downstream.rate == contract::OctetRate(2'000'000, 0));
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
  const auto entry = [&](const char* text) {
    std::uint16_t value = 0;
    std::memcpy(&value, hops.entry_of(*Ipv4Address::parse(text)), sizeof(value));
    return value;
  };
  // The next hop, and whether longer prefixes follow.
  CHECK(entry("192.0.2.1") == 1 << 1);
  CHECK(entry("10.200.0.1") == 2 << 1);
  CHECK((entry("10.1.2.4") & 1) == 1);
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
  hop.gateway = mapped(Ipv4Address(0x0a0000fe));
  CHECK(hops.set(NextHopId(3), hop));
  CHECK(hops.get(NextHopId(3)) == hop);

  const std::array<std::uint32_t, 3> destinations = {0x0a010204, 0x0ac80001, 0xc0000201};
  std::array<NextHops::Found, 3> found{};
  hops.lookup(destinations, found);
  CHECK(NextHops::id_of(found[0]).value == 3);
  CHECK(NextHops::id_of(found[1]).value == 2);
  CHECK(NextHops::id_of(found[2]).value == 0);
}

TEST_CASE("next hops: longest prefix of IPv6, replacement and removal", "[session][ipv6]") {
  auto made = NextHops::create("next-hop-test6", {1024, 1024});
  REQUIRE(made);
  NextHops& hops = **made;
  const auto prefix = [](const char* text) { return *Ipv6Prefix::parse(text); };
  const auto where = [&](const char* text) { return hops.lookup(*Ipv6Address::parse(text)).value; };
  CHECK(where("2001:db8::1") == 0);
  CHECK(hops.add_route(prefix("::/0"), NextHopId(1)));
  CHECK(hops.add_route(prefix("2001:db8::/32"), NextHopId(2)));
  CHECK(hops.add_route(prefix("2001:db8:1:2::77/64"), NextHopId(3)));
  CHECK(hops.add_route(prefix("2001:db8:1:2::3/128"), NextHopId(4)));
  CHECK_FALSE(hops.add_route(Ipv6Prefix{{}, 129}, NextHopId(4)));
  CHECK_FALSE(hops.add_route(prefix("2001:db8:1:2::3/128"), NextHopId(NextHops::kMaxIds)));
  CHECK(where("2620:fe::fe") == 1);
  CHECK(where("2001:db8:ffff::1") == 2);
  CHECK(where("2001:db8:1:2::4") == 3);
  CHECK(where("2001:db8:1:2::3") == 4);
  CHECK(hops.add_route(prefix("2001:db8:1:2::3/128"), NextHopId(5)));
  CHECK(where("2001:db8:1:2::3") == 5);
  CHECK(hops.delete_route(prefix("2001:db8:1:2::3/128")));
  CHECK_FALSE(hops.delete_route(prefix("2001:db8:1:2::3/128")));
  CHECK(where("2001:db8:1:2::3") == 3);
  CHECK(hops.delete_route(prefix("::/0")));
  CHECK(where("2620:fe::fe") == 0);
  // IPv4 is another table.
  CHECK(hops.lookup(Ipv4Address(0x0a000001)).value == 0);

  NextHop hop;
  hop.kind = NextHopKind::kGlean;
  hop.gateway = *Ipv6Address::parse("fe80::1");
  CHECK(hops.set(NextHopId(3), hop));
  CHECK(hops.get(NextHopId(3)) == hop);

  std::array<NextHops::Ipv6Octets, 3> destinations{};
  std::array<NextHopId, 3> ids{};
  const std::array texts = {"2001:db8:1:2::4", "2001:db9::", "2001:db8:ffff:ffff::"};
  for (std::size_t i = 0; i < texts.size(); ++i)
    std::ranges::copy(Ipv6Address::parse(texts[i])->wire(), destinations[i]);
  hops.lookup(destinations, ids);
  CHECK(ids[0].value == 3);
  CHECK(ids[1].value == 0);
  CHECK(ids[2].value == 2);
}

TEST_CASE("next hops: IPv6 against a plain search, routes coming and going", "[session][ipv6]") {
  auto made = NextHops::create("next-hop-random6", {1024, 1024});
  REQUIRE(made);
  NextHops& hops = **made;
  std::map<Ipv6Prefix, NextHopId> known;
  std::mt19937_64 random(11);
  const auto address = [&] {
    // Close together, so that prefixes nest.
    return Ipv6Address(0x20010db800000000 | (random() & 0x0000000300030003),
                       random() & 0x8000000000000003);
  };
  for (unsigned round = 0; round < 3000; ++round) {
    const std::array lengths = {0, 16, 29, 32, 47, 48, 64, 65, 127, 128};
    Ipv6Prefix prefix{address(), static_cast<std::uint8_t>(lengths[random() % lengths.size()])};
    prefix.address = prefix.network();
    if (known.erase(prefix) != 0) {
      REQUIRE(hops.delete_route(prefix));
    } else if (known.size() < 60) {
      const NextHopId id(static_cast<std::uint16_t>(1 + random() % 1000));
      REQUIRE(hops.add_route(prefix, id));
      known[prefix] = id;
    }
    const Ipv6Address wanted = address();
    NextHopId best;
    int length = -1;
    for (const auto& [candidate, id] : known)
      if (candidate.length > length && candidate.contains(wanted)) {
        best = id;
        length = candidate.length;
      }
    REQUIRE(hops.lookup(wanted) == best);
  }
}

TEST_CASE("session table: whoever watches knows which addresses and prefixes have a session",
          "[session]") {
  Fixture f;
  std::multiset<std::uint64_t> known;  // an address, or a prefix
  const auto watch = [&] {
    const auto key = [](const SessionTable::Binding& binding) {
      REQUIRE((binding.prefix == 0) != binding.address.is_unspecified());
      return binding.prefix + binding.address.value;
    };
    f.table->watch({.bound = [&known, key](const auto& b) { known.insert(key(b)); },
                    .unbound =
                        [&known, key](const auto& b) {
                          REQUIRE(known.contains(key(b)));
                          known.erase(known.find(key(b)));
                        }});
  };
  watch();
  using Known = std::multiset<std::uint64_t>;
  constexpr std::uint32_t kA = 0x0a400005;
  constexpr std::uint32_t kB = 0x0a400006;
  constexpr std::uint64_t kPrefix = 0x20010db800640001;
  REQUIRE(f.install(1, 11));
  REQUIRE(f.install(2, 12));
  REQUIRE(f.bind(1, kA) == ReplyResult::kDone);
  REQUIRE(f.bind(1, kA) == ReplyResult::kDone);  // said twice, bound once
  REQUIRE(f.bind_prefix(1, kPrefix) == ReplyResult::kDone);
  CHECK(known == Known{kA, kPrefix});

  // Another session may not have them, and takes nothing away.
  CHECK(f.bind(2, kA) == ReplyResult::kAddressInUse);
  CHECK(f.bind_prefix(2, kPrefix) == ReplyResult::kAddressInUse);
  CHECK(known == Known{kA, kPrefix});

  // The other session has them after the first one.
  REQUIRE(f.bind(1, kB) == ReplyResult::kDone);
  CHECK(known == Known{kB, kPrefix});
  REQUIRE(f.bind(2, kA) == ReplyResult::kDone);
  f.table->unbind_prefix(SlotId(1));
  f.table->unbind_prefix(SlotId(1));
  CHECK(known == Known{kA, kB});
  REQUIRE(f.bind_prefix(2, kPrefix) == ReplyResult::kDone);
  CHECK(known == Known{kA, kB, kPrefix});

  // A new process learns them from session memory.
  known.clear();
  f.table.reset();
  f.table = SessionTable::create(f.memory, 1).value();
  f.memory.sessions()[1].ipv6_prefix = 0;
  watch();
  CHECK(f.table->adopt() == 2);
  CHECK(known == Known{kA, kB, kPrefix});

  // A session takes along what it has.
  (void)f.table->unlink(SlotId(2));
  CHECK(known == Known{kB});
  (void)f.table->unlink(SlotId(1));
  CHECK(known.empty());
}
