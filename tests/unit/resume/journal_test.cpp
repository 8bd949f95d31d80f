// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/resume/journal.hpp"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include "tests/unit/resume/samples.hpp"

using namespace pns;
using namespace pns::resume;
using namespace pns::test;

namespace {

// Handlers that the event loop has not run yet.
struct Turns {
  std::deque<Journal::Action> posted;
  [[nodiscard]] Journal::Post post() {
    return [this](Journal::Action action) { posted.push_back(std::move(action)); };
  }
  // Runs those that are there now. How many they were.
  std::size_t end() {
    auto now = std::exchange(posted, {});
    for (auto& action : now) action();
    return now.size();
  }
};

struct World {
  Directory directory;
  Turns turns;
  std::unique_ptr<Journal> journal = open();

  [[nodiscard]] std::unique_ptr<Journal> open(std::string_view boot = "this boot",
                                              const Journal::Limits& limits = {}) {
    return Journal::open(directory.path, 64, boot, turns.post(), limits).value();
  }
  // As the next process reads it.
  [[nodiscard]] Journal::Contents stored(std::uint64_t now_ns = 0) const {
    return journal->load(now_ns);
  }
};

// No file may grow beyond this: as a disk without room.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t octets) {
    std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit limit{octets, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() { (void)::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("journal: the changes of a turn are one transaction at its end", "[resume]") {
  World world;
  auto& journal = *world.journal;
  CHECK(journal.is_idle());
  for (std::uint32_t slot = 0; slot < 40; ++slot) journal.put(stored_session(slot));
  journal.put(stored_connection(1));
  CHECK_FALSE(journal.is_idle());
  CHECK(journal.counts().transactions == 0);
  CHECK(world.stored().sessions.empty());
  CHECK(world.turns.posted.size() == 1);
  CHECK(world.turns.end() == 1);
  CHECK(journal.counts().transactions == 1);
  CHECK(world.stored().sessions.size() == 40);
  CHECK(world.stored().connections.size() == 1);
  CHECK(journal.is_idle());
  CHECK(world.turns.end() == 0);
  // The next turn is another one.
  journal.erase(SlotId(7));
  CHECK(world.turns.end() == 1);
  CHECK(journal.counts().transactions == 2);
  CHECK(world.stored().sessions.size() == 39);
}

TEST_CASE("journal: what depends on a change runs after it is stored, in the order given",
          "[resume][decision-0008]") {
  World world;
  auto& journal = *world.journal;
  std::string told;
  journal.when_stored([&] { told += "0"; });  // nothing is uncommitted: at once
  CHECK(told == "0");
  journal.put(stored_session(1));
  journal.when_stored([&] {
    told += "1";
    CHECK(world.stored().sessions.size() == 2);  // all of the turn is there
  });
  journal.put(stored_session(2));
  journal.when_stored([&] { told += "2"; });
  CHECK(told == "0");
  world.turns.end();
  CHECK(told == "012");
  journal.when_stored([&] { told += "3"; });
  CHECK(told == "0123");
}

TEST_CASE("journal: an action may change something, which what comes after it waits for",
          "[resume]") {
  World world;
  auto& journal = *world.journal;
  std::string told;
  journal.put(stored_session(1));
  journal.when_stored([&] {
    told += "1";
    journal.when_stored([&] { told += "3"; });  // after what was held before it
    journal.put(stored_session(2));
    journal.when_stored([&] {
      told += "4";
      CHECK(world.stored().sessions.size() == 2);
    });
  });
  journal.when_stored([&] { told += "2"; });
  world.turns.end();
  CHECK(told == "123");
  CHECK(world.stored().sessions.size() == 1);
  world.turns.end();
  CHECK(told == "1234");
  CHECK(journal.is_idle());
}

TEST_CASE("journal: what came and went within a turn is not written", "[resume]") {
  World world;
  auto& journal = *world.journal;
  pptp::ConnectionChanges offer;
  offer.calls.push_back({5, known_call(5)});
  pptp::ConnectionChanges gone;
  gone.calls.push_back({5, std::nullopt});
  journal.put(stored_connection(1));
  world.turns.end();
  const auto before = journal.counts();
  journal.put(ConnectionId(1), offer, 1000);
  journal.put(ConnectionId(1), gone, 1200);
  world.turns.end();
  // The place in the stream alone: neither message may be handled again.
  CHECK(journal.counts().records == before.records + 1);
  CHECK(world.stored().connections.at(0).handled_up_to == 1200);
  CHECK(world.stored().connections[0].machine.calls == stored_connection(1).machine.calls);
}

TEST_CASE("journal: a record that equals the stored one is not written", "[resume]") {
  World world;
  auto& journal = *world.journal;
  journal.put(stored_session(1));
  world.turns.end();
  const auto before = journal.counts();
  journal.put(stored_session(1));
  bool told = false;
  journal.when_stored([&] { told = true; });
  CHECK_FALSE(told);
  world.turns.end();
  CHECK(told);
  CHECK(journal.counts().transactions == before.transactions);
  CHECK(journal.counts().unchanged == before.unchanged + 1);
  // Nor by the next process.
  world.journal = nullptr;
  world.journal = world.open();
  world.journal->put(stored_session(1));
  world.turns.end();
  CHECK(world.journal->counts().transactions == 0);
}

TEST_CASE("journal: a change of one call writes that call and the place in the stream, no more",
          "[resume][scale]") {
  World world;
  auto& journal = *world.journal;
  auto connection = stored_connection(1);
  connection.machine.calls.clear();
  for (std::uint32_t number = 1; number <= 1000; ++number)
    connection.machine.calls.push_back(known_call(number));
  journal.put(connection);
  world.turns.end();
  const auto before = journal.counts();
  pptp::ConnectionChanges changes;
  auto call = known_call(500);
  call.state = pptp::CallState::kEstablished;
  call.serial_number = 1;
  changes.calls.push_back({500, call});
  journal.put(ConnectionId(1), changes, 77);
  world.turns.end();
  CHECK(journal.counts().records == before.records + 2);
  const auto stored = world.stored().connections.at(0);
  REQUIRE(stored.machine.calls.size() == 1000);
  CHECK(stored.machine.calls[499] == call);
  CHECK(stored.handled_up_to == 77);
  // Nothing changed: not even the place.
  journal.put(ConnectionId(1), {}, 99);
  CHECK(journal.is_idle());
}

TEST_CASE("journal: a connection is read with its calls, octet for octet", "[resume]") {
  World world;
  world.journal->put(stored_connection(1));
  world.journal->put(stored_connection(0x1234567890));
  world.turns.end();
  world.journal = nullptr;
  world.journal = world.open();
  const auto contents = world.stored();
  REQUIRE(contents.connections.size() == 2);
  for (const auto& got : contents.connections) {
    const auto wanted = stored_connection(got.id.value);
    CHECK(got.machine == wanted.machine);
    CHECK(got.handled_up_to == wanted.handled_up_to);
    CHECK(got.opened_ns == wanted.opened_ns);
  }
  CHECK(contents.obsolete.empty());
}

TEST_CASE("journal: put replaces a connection whole, erase takes all of it", "[resume]") {
  World world;
  auto& journal = *world.journal;
  journal.put(stored_connection(1));
  journal.put(stored_connection(2));
  world.turns.end();
  auto fewer = stored_connection(1);
  fewer.machine.calls.resize(1);
  journal.put(fewer);
  world.turns.end();
  CHECK(world.stored().connections.at(0).machine.calls == fewer.machine.calls);
  CHECK(world.stored().connections.at(1).machine.calls.size() == 6);
  // With what the turn has put of it.
  pptp::ConnectionChanges changes;
  changes.calls.push_back({9, known_call(9)});
  journal.put(ConnectionId(1), changes, 5);
  journal.erase(ConnectionId(1));
  journal.erase(ConnectionId(77));  // not there: as it should be
  world.turns.end();
  REQUIRE(world.stored().connections.size() == 1);
  CHECK(world.stored().connections[0].id == ConnectionId(2));
  CHECK(world.stored().obsolete.empty());
}

TEST_CASE("journal: a call that ended leaves its Call ID to rest", "[resume]") {
  World world;
  auto& journal = *world.journal;
  const RestingCallId first{Ipv4Address(0xc6336401), OurCallId(0xffff), 900};
  const RestingCallId second{Ipv4Address(0xc6336402), OurCallId(1), 500};
  journal.put(stored_session(1));
  journal.put(stored_session(2));
  journal.put_to_rest(SlotId(1), first);
  journal.put_to_rest(SlotId(77), second);  // a call that was never open
  world.turns.end();
  REQUIRE(world.stored().sessions.size() == 1);
  CHECK(world.stored().sessions[0].slot == SlotId(2));
  CHECK(world.stored(499).resting == std::vector{second, first});
  const auto later = world.stored(500);
  CHECK(later.resting == std::vector{first});
  // The other one is forgotten.
  journal.keep_only({}, {}, later.obsolete);
  world.turns.end();
  CHECK(world.stored(0).resting == std::vector{first});
}

TEST_CASE("journal: Call IDs that have rested leave the store", "[resume]") {
  World world;
  auto& journal = *world.journal;
  constexpr std::uint16_t kMany = Journal::kRestedAtOnce;
  const auto id = [](std::uint16_t number, std::uint64_t until) {
    return RestingCallId{Ipv4Address(0xc6336401), OurCallId(number), until};
  };
  for (std::uint16_t n = 1; n <= 2 * kMany; ++n) journal.put_to_rest(SlotId(n), id(n, 1000U + n));
  world.turns.end();
  // One short of what is worth a write.
  journal.forget_rested(1000 + kMany - 1);
  world.turns.end();
  CHECK(world.stored(0).resting.size() == 2 * kMany);
  // The first one was drawn again and rests anew; the second does so in this very turn.
  journal.put_to_rest(SlotId(1), id(1, 5000));
  world.turns.end();
  journal.put_to_rest(SlotId(2), id(2, 6000));
  journal.forget_rested(1000 + kMany);
  world.turns.end();
  const auto left = world.stored(0).resting;
  REQUIRE(left.size() == kMany + 2);
  CHECK(left.front() == id(kMany + 1, 1000 + kMany + 1));
  CHECK(left[kMany] == id(1, 5000));
  CHECK(left[kMany + 1] == id(2, 6000));
  // A successor knows those of the process before it.
  world.journal = nullptr;
  world.journal = world.open("this boot");
  world.journal->remember(world.stored(0).resting);
  world.journal->forget_rested(7000);
  world.turns.end();
  CHECK(world.stored(0).resting.empty());
}

TEST_CASE("journal: nothing of an earlier boot is left", "[resume]") {
  World world;
  const RestingCallId resting{Ipv4Address(0xc6336401), OurCallId(9), UINT64_MAX};
  world.journal->put(resting);
  world.journal->put(stored_session(1));
  world.journal->put(stored_connection(1));
  world.journal->put(StoredDrain{.since_ns = 7});
  world.turns.end();
  world.journal = nullptr;
  world.journal = world.open("this boot");
  CHECK(world.stored().resting == std::vector{resting});
  CHECK(world.stored().drain);
  world.journal = nullptr;
  world.journal = world.open("the next boot");
  const auto contents = world.stored();
  CHECK(contents.resting.empty());
  CHECK(contents.sessions.empty());
  CHECK(contents.connections.empty());
  CHECK_FALSE(contents.drain);
  CHECK(contents.obsolete.empty());
}

TEST_CASE("journal: the boot id is that of the kernel", "[resume]") {
  CHECK(boot_id().size() == 36);
  CHECK(boot_id() == boot_id());
}

TEST_CASE("journal: keep_only erases what nobody knows and rewrites nothing that stays",
          "[resume]") {
  World world;
  for (std::uint32_t i = 1; i <= 200; ++i) {
    world.journal->put(stored_connection(i));
    world.journal->put(stored_session(i * 2));
  }
  world.turns.end();
  world.journal = nullptr;
  {
    auto store = Store::open(world.directory.path, 64).value();
    Batch batch;
    const Octets damaged(3, std::byte{0xff});
    batch.records[{Table::kSession, 9}] = damaged;
    batch.records[{Table::kCall, 7, 400}] = damaged;                // of a connection that is known
    batch.records[{Table::kCall, 900, 1}] = encode(known_call(1));  // of one that is not there
    batch.records[{static_cast<Table>(0x80), 5}] = damaged;         // another program's
    REQUIRE(store.write(batch));
  }
  world.journal = world.open();
  auto& journal = *world.journal;
  const auto contents = world.stored();
  CHECK(contents.connections.size() == 200);
  CHECK(contents.obsolete.size() == 4);
  const auto before = journal.counts();
  const std::array kept_connections = {ConnectionId(7), ConnectionId(200)};
  const std::array kept_sessions = {SlotId(4)};
  journal.keep_only(kept_connections, kept_sessions, contents.obsolete);
  world.turns.end();
  const auto after = world.stored();
  REQUIRE(after.connections.size() == 2);
  CHECK(after.connections[0].id == ConnectionId(7));
  CHECK(after.connections[0].machine == stored_connection(7).machine);
  CHECK(after.connections[1].id == ConnectionId(200));
  REQUIRE(after.sessions.size() == 1);
  CHECK(after.sessions[0].slot == SlotId(4));
  CHECK(after.obsolete.empty());
  // 198 connections with place and six calls, 199 sessions, four that were damaged.
  CHECK(journal.counts().records - before.records == 198 * 8 + 199 + 4);
  journal.keep_only(kept_connections, kept_sessions, after.obsolete);
  CHECK(journal.is_idle());
}

TEST_CASE("journal: a turn that cannot be written is reported, and what waits for it runs",
          "[resume]") {
  World world;
  auto& journal = *world.journal;
  std::string told;
  journal.on_failure([&](const Journal::Failure& failure) {
    CHECK_FALSE(failure.reason.empty());
    CHECK(failure.changes == 2);
    told += "failed ";
  });
  {
    const FileSizeLimit full(4096);
    journal.put(stored_session(1));
    journal.put(stored_session(2));
    journal.when_stored([&] { told += "told"; });
    world.turns.end();
    CHECK(told == "failed told");
    CHECK(journal.counts().failures == 1);
    CHECK_FALSE(journal.last_error().empty());
    CHECK(journal.is_idle());
    CHECK_FALSE(journal.probe());
  }
  CHECK(journal.probe());
  CHECK(world.stored().sessions.empty());
  journal.put(stored_session(1));
  CHECK(journal.commit());
  CHECK(world.stored().sessions.size() == 1);
}

TEST_CASE("journal: a turn that holds too much is written at once", "[resume]") {
  World world;
  Journal::Limits limits;
  SECTION("actions") { limits.actions = 10; }
  SECTION("octets") { limits.octets = 1000; }
  SECTION("records") { limits.records = 10; }
  world.journal = nullptr;
  world.journal = world.open("this boot", limits);
  auto& journal = *world.journal;
  std::size_t told = 0;
  for (std::uint32_t i = 0; i < 12; ++i) {
    journal.put(stored_session(i));
    journal.when_stored([&] { ++told; }, 95);
    if (i < 9) CHECK(told == 0);
  }
  CHECK(told >= 11);
  CHECK(journal.counts().early == 1);
  CHECK(journal.counts().transactions == 1);
  world.turns.end();
  CHECK(told == 12);
  CHECK(world.stored().sessions.size() == 12);
}

TEST_CASE("journal: commit() writes at once and may be called inside an action", "[resume]") {
  World world;
  auto& journal = *world.journal;
  std::string told;
  journal.put(stored_session(1));
  journal.when_stored([&] {
    told += "1";
    journal.put(stored_session(2));
    journal.when_stored([&] { told += "3"; });
    CHECK(journal.commit());
    CHECK(told == "1");  // this action is not over
    CHECK(world.stored().sessions.size() == 2);
  });
  journal.when_stored([&] { told += "2"; });
  CHECK(journal.commit());
  CHECK(told == "123");
  CHECK(world.turns.end() > 0);  // what was posted finds nothing to do
  CHECK(journal.counts().transactions == 2);
}

TEST_CASE("journal: an action that throws does not stop those behind it for ever", "[resume]") {
  World world;
  auto& journal = *world.journal;
  bool told = false;
  journal.put(stored_session(1));
  journal.when_stored([] { throw std::runtime_error("killed"); });
  journal.when_stored([&] { told = true; });
  CHECK_THROWS(world.turns.end());
  CHECK_FALSE(told);
  CHECK(journal.commit());
  CHECK(told);
}

TEST_CASE("journal: it may end before its turn does", "[resume]") {
  World world;
  world.journal->put(stored_session(1));
  bool told = false;
  world.journal->when_stored([&] { told = true; });
  world.journal = nullptr;
  CHECK(world.turns.end() == 1);
  CHECK_FALSE(told);
  world.journal = world.open();
  CHECK(world.stored().sessions.empty());  // as by SIGKILL
}

TEST_CASE("journal: pages of records hold whole connections, and all of them each record once",
          "[resume]") {
  World world;
  for (std::uint64_t id = 1; id <= 7; ++id) world.journal->put(stored_connection(id));
  for (std::uint32_t slot = 0; slot < 10; ++slot) world.journal->put(stored_session(slot));
  REQUIRE(world.journal->commit());
  CHECK(world.journal->has(ConnectionId(7)));
  CHECK_FALSE(world.journal->has(ConnectionId(8)));
  CHECK(world.journal->has(SlotId(9)));
  CHECK_FALSE(world.journal->has(SlotId(10)));

  const auto all = world.stored();
  const std::size_t calls = all.connections.front().machine.calls.size();
  REQUIRE(calls > 0);
  const std::size_t most = GENERATE(1, 2, 5, 1000);
  CAPTURE(most);
  std::vector<std::uint64_t> connections;
  std::vector<std::uint32_t> slots;
  std::optional<Key> place;
  std::size_t pages = 0;
  do {
    const auto page = world.journal->load_some(0, place, most);
    ++pages;
    CHECK(page.obsolete.empty());
    CHECK(page.sessions.size() <= most);
    for (const auto& connection : page.connections) {
      connections.push_back(connection.id.value);
      CHECK(connection.machine.calls.size() == calls);
    }
    for (const auto& session : page.sessions) slots.push_back(session.slot.value);
  } while (place);
  CHECK(connections == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7});
  CHECK(slots == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK((most == 1000 ? pages == 1 : pages > 1));
}
