// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/delivery.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_random.hpp"
#include "tests/unit/accounting/memory_keeper.hpp"

using namespace pns;
using namespace pns::accounting;

namespace {

struct World {
  explicit World(Delivery::Settings with = {}) : settings(with) {}

  Record record(std::uint64_t session, Status status) {
    Record made{.status = status, .number = ++last, .event_time = last, .attributes = {}};
    made.attributes.push_back(static_cast<std::byte>(session));
    return made;
  }
  // As the accountant does: the keeper has it before it is added.
  void add(std::uint64_t session, Status status) {
    const RecordKey key{SessionId(session), slot_of(status)};
    Record made = record(session, status);
    keeper.records[key] = made;
    if (status == Status::kStop) keeper.records.erase({key.session, Slot::kInterimUpdate});
    delivery.add(key, std::move(made), true);
  }
  // The server answers the oldest record under way, or its patience ends.
  void answer(bool answered = true) {
    REQUIRE_FALSE(asked.empty());
    auto done = std::move(asked.front().second);
    asked.pop_front();
    done(answered);
    keeper.finish_writes();
  }
  void answer_all() {
    while (!asked.empty()) answer();
  }
  void wait(Duration time) {
    now += time;
    if (wake && *wake <= now) {
      wake.reset();
      delivery.on_deadline();
    }
  }
  // Session and status of each record under way, as "2 start".
  [[nodiscard]] std::vector<std::string> under_way() const {
    std::vector<std::string> all;
    for (const auto& [each, done] : asked) all.push_back(text(each));
    return all;
  }
  static std::string text(const Record& record) {
    const char* const name = record.status == Status::kStart           ? " start"
                             : record.status == Status::kInterimUpdate ? " interim"
                                                                       : " stop";
    return std::to_string(std::to_integer<int>(record.attributes.front())) + name;
  }

  Delivery::Settings settings;
  test::MemoryKeeper keeper;
  test::FakeRandom random;
  TimePoint now{};
  std::optional<TimePoint> wake;
  std::deque<std::pair<Record, std::move_only_function<void(bool)>>> asked;
  std::vector<std::string> log;  // every record that was sent
  std::uint64_t last = 0;
  Delivery delivery{settings,
                    keeper,
                    random,
                    [this](const Record& each, std::move_only_function<void(bool)> done) {
                      log.push_back(text(each));
                      asked.emplace_back(each, std::move(done));
                    },
                    [this] { return now; },
                    [this](TimePoint at) { wake = at; }};
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("delivery: records of a session leave one after the other, those of others beside them",
          "[accounting]") {
  World world;
  world.add(1, Status::kStart);
  world.add(1, Status::kStop);
  world.add(2, Status::kStart);
  CHECK(world.under_way() == Texts{"1 start", "2 start"});
  world.answer();
  CHECK(world.under_way() == Texts{"2 start", "1 stop"});
  world.answer_all();
  CHECK(world.keeper.records.empty());
  CHECK(world.delivery.session_count() == 0);
  CHECK(world.delivery.counts().answered == 3);
}

TEST_CASE("delivery: a record that was not answered is sent again, after a pause that grows",
          "[accounting]") {
  World world;
  world.add(1, Status::kStart);
  world.answer(false);
  CHECK(world.asked.empty());
  CHECK(world.keeper.records.size() == 1);
  world.wait(Milliseconds(740));
  CHECK(world.asked.empty());
  world.wait(Milliseconds(261));
  CHECK(world.under_way() == Texts{"1 start"});
  // The pauses double up to a minute, and no pause is longer.
  for (int n = 0; n < 12; ++n) {
    world.answer(false);
    REQUIRE(world.wake);
    CHECK(*world.wake - world.now <= Seconds(60));
    world.wait(Seconds(60));
    CHECK(world.asked.size() == 1);
  }
  world.answer(false);
  CHECK(*world.wake - world.now >= Seconds(45));
  world.wait(Seconds(60));
  world.answer();
  CHECK(world.keeper.records.empty());
  CHECK(world.delivery.counts().unanswered == 14);
  // The next record of the session does not inherit the pause.
  world.add(1, Status::kStop);
  CHECK(world.under_way() == Texts{"1 stop"});
}

TEST_CASE("delivery: a session that pauses keeps no other waiting", "[accounting]") {
  World world;
  world.add(1, Status::kStart);
  world.answer(false);
  world.add(1, Status::kStop);
  CHECK(world.asked.empty());
  world.add(2, Status::kStart);
  CHECK(world.under_way() == Texts{"2 start"});
}

TEST_CASE("delivery: interim updates that wait collapse into the last one", "[accounting]") {
  World world;
  world.add(1, Status::kStart);
  for (int n = 0; n < 5; ++n) world.add(1, Status::kInterimUpdate);
  const std::uint64_t newest = world.last;
  world.answer();
  CHECK(world.under_way() == Texts{"1 interim"});
  CHECK(world.asked.front().first.number == newest);
  CHECK(world.delivery.counts().collapsed == 4);
  world.answer();
  CHECK(world.keeper.records.empty());
}

TEST_CASE("delivery: an interim update that is under way is not taken back", "[accounting]") {
  World world;
  world.add(1, Status::kInterimUpdate);
  world.add(1, Status::kInterimUpdate);
  CHECK(world.under_way() == Texts{"1 interim"});
  world.answer();
  CHECK(world.under_way() == Texts{"1 interim"});
  CHECK(world.asked.front().first.number == world.last);
  CHECK(world.keeper.records.size() == 1);
  world.answer();
  CHECK(world.keeper.records.empty());
}

TEST_CASE("delivery: a stop makes a waiting interim update needless", "[accounting]") {
  World world;
  world.add(1, Status::kStart);
  world.add(1, Status::kInterimUpdate);
  world.add(1, Status::kStop);
  world.add(1, Status::kInterimUpdate);  // late
  world.answer_all();
  CHECK(world.log == Texts{"1 start", "1 stop"});
  CHECK(world.keeper.records.empty());
  CHECK(world.delivery.counts().collapsed == 2);
}

TEST_CASE("delivery: an interim update that failed is dropped when the stop is there",
          "[accounting]") {
  World world;
  world.add(1, Status::kInterimUpdate);
  world.add(1, Status::kStop);
  world.answer(false);
  world.wait(Seconds(1));
  CHECK(world.under_way() == Texts{"1 stop"});
  world.answer();
  CHECK(world.keeper.records.empty());
}

TEST_CASE("delivery: no more records are under way than may", "[accounting]") {
  World world({.max_under_way = 3});
  for (std::uint64_t session = 1; session <= 10; ++session) world.add(session, Status::kStart);
  CHECK(world.asked.size() == 3);
  world.answer();
  CHECK(world.asked.size() == 3);
  world.answer_all();
  CHECK(world.log.size() == 10);
  CHECK(world.keeper.records.empty());
}

TEST_CASE("delivery: what does not fit into memory is read from the keeper, each once and in order",
          "[accounting]") {
  World world({.max_sessions = 4, .max_under_way = 2});
  for (std::uint64_t session = 1; session <= 50; ++session) world.add(session, Status::kStart);
  CHECK(world.delivery.has_backlog());
  CHECK(world.delivery.session_count() == 4);
  // Calls end while their Start is with the keeper alone.
  for (std::uint64_t session = 1; session <= 50; ++session) world.add(session, Status::kStop);
  for (int n = 0; n < 1000 && !world.asked.empty(); ++n) {
    world.answer();
    CHECK(world.delivery.session_count() <= 4);
  }
  CHECK(world.keeper.records.empty());
  CHECK_FALSE(world.delivery.has_backlog());
  CHECK(world.log.size() == 100);
  for (int session = 1; session <= 50; ++session) {
    const auto start = std::ranges::find(world.log, std::to_string(session) + " start");
    const auto stop = std::ranges::find(world.log, std::to_string(session) + " stop");
    REQUIRE(start != world.log.end());
    REQUIRE(stop != world.log.end());
    CHECK(start < stop);
  }
}

TEST_CASE("delivery: records that an earlier process left are sent", "[accounting]") {
  World world({.max_sessions = 4});
  for (std::uint64_t session = 1; session <= 9; ++session)
    world.keeper.records[{SessionId(session), Slot::kStop}] = world.record(session, Status::kStop);
  world.delivery.resume();
  for (int n = 0; n < 100 && !world.asked.empty(); ++n) world.answer();
  CHECK(world.log.size() == 9);
  CHECK(world.keeper.records.empty());
  CHECK_FALSE(world.delivery.has_backlog());
  world.add(10, Status::kStart);
  CHECK(world.under_way() == Texts{"10 start"});
}

TEST_CASE("delivery: a record that is not kept is sent from memory; one that does not fit is lost",
          "[accounting]") {
  World world({.max_sessions = 1});
  world.delivery.add({SessionId(1), Slot::kStart}, world.record(1, Status::kStart), false);
  CHECK(world.under_way() == Texts{"1 start"});
  world.delivery.add({SessionId(2), Slot::kStart}, world.record(2, Status::kStart), false);
  CHECK(world.delivery.counts().lost == 1);
  CHECK_FALSE(world.delivery.has_backlog());
  world.answer();
  CHECK(world.delivery.session_count() == 0);
}

TEST_CASE("delivery: an answered record does not come back while its erasing waits",
          "[accounting]") {
  World world({.max_sessions = 2, .max_under_way = 2});
  for (std::uint64_t session = 1; session <= 3; ++session) world.add(session, Status::kStart);
  // Both are answered, and nothing is erased yet.
  for (int n = 0; n < 2; ++n) {
    auto done = std::move(world.asked.front().second);
    world.asked.pop_front();
    done(true);
  }
  CHECK(world.delivery.session_count() >= 2);
  CHECK(world.log.size() <= 3);
  world.keeper.finish_writes();
  world.answer_all();
  CHECK(world.log == Texts{"1 start", "2 start", "3 start"});
  CHECK(world.keeper.records.empty());
}

TEST_CASE("delivery: the oldest event is that of a record that waits", "[accounting]") {
  World world;
  CHECK_FALSE(world.delivery.oldest_event());
  world.add(1, Status::kStart);
  world.add(2, Status::kStart);
  CHECK(world.delivery.oldest_event() == 1);
  world.answer();
  CHECK(world.delivery.oldest_event() == 2);
}
