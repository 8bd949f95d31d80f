// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/spool.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <vector>

#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::accounting;

namespace {

constexpr std::size_t kMegabyte = std::size_t{1} << 20;

Record record(Status status, std::uint64_t number, std::size_t octets = 4) {
  return {.status = status,
          .number = number,
          .event_time = 1'796'000'000 + number,
          .attributes = Octets(octets, std::byte{7})};
}

RecordKey key(std::uint64_t session, Slot slot) { return {SessionId(session), slot}; }

std::map<RecordKey, std::uint64_t> numbers(const SpoolStore& store,
                                           const std::optional<RecordKey>& after = {}) {
  std::map<RecordKey, std::uint64_t> found;
  store.read_records(after, [&found](const RecordKey& at, Record each) {
    found.emplace(at, each.number);
    return true;
  });
  return found;
}

SpoolStore open(const std::filesystem::path& directory, std::size_t octets = kMegabyte) {
  auto store = SpoolStore::open(directory, octets);
  REQUIRE(store);
  return std::move(*store);
}

// The event loop of these tests: work that threads have posted.
class Posted {
 public:
  void post(std::move_only_function<void()> work) {
    const std::scoped_lock lock(mutex_);
    work_.push_back(std::move(work));
    some_.notify_one();
  }
  // Runs one piece of work; waits for it.
  void run_one() {
    std::unique_lock lock(mutex_);
    REQUIRE(some_.wait_for(lock, std::chrono::seconds(20), [this] { return !work_.empty(); }));
    auto work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
  }

 private:
  std::mutex mutex_;
  std::condition_variable some_;
  std::deque<std::move_only_function<void()>> work_;
};

}  // namespace

TEST_CASE("spool store: records are found again, in the order of sessions and slots",
          "[accounting]") {
  test::ScratchDirectory scratch;
  {
    SpoolStore store = open(scratch.path);
    const std::vector<Change> changes{
        PutRecord{key(300, Slot::kStop), record(Status::kStop, 3)},
        PutRecord{key(2, Slot::kStart), record(Status::kStart, 1)},
        PutRecord{key(300, Slot::kStart), record(Status::kStart, 2)},
        PutSession{SessionId(2), {.started = 5, .reported = 6, .identity = {}, .counters = {}}}};
    CHECK(store.write(changes) == 0);
  }
  const SpoolStore store = open(scratch.path);
  CHECK(store.record_count() == 3);
  std::vector<RecordKey> order;
  store.read_records({}, [&order](const RecordKey& at, const Record&) {
    order.push_back(at);
    return true;
  });
  CHECK(order == std::vector{key(2, Slot::kStart), key(300, Slot::kStart), key(300, Slot::kStop)});
  CHECK(numbers(store, key(2, Slot::kStart)).size() == 2);
  CHECK(numbers(store, key(300, Slot::kStop)).empty());
  std::vector<SessionId> sessions;
  store.read_sessions([&sessions](SessionId id, const OpenSession& state) {
    sessions.push_back(id);
    CHECK(state.reported == 6);
  });
  CHECK(sessions == std::vector{SessionId(2)});
}

TEST_CASE("spool store: an answered record is erased unless a later one took its place",
          "[accounting]") {
  test::ScratchDirectory scratch;
  SpoolStore store = open(scratch.path);
  const RecordKey interim = key(1, Slot::kInterimUpdate);
  CHECK(store.write(std::vector<Change>{PutRecord{interim, record(Status::kInterimUpdate, 1)}}) ==
        0);
  CHECK(store.write(std::vector<Change>{PutRecord{interim, record(Status::kInterimUpdate, 2)}}) ==
        0);
  CHECK(store.write(std::vector<Change>{EraseRecord{interim, 1}}) == 0);
  CHECK(numbers(store) == std::map<RecordKey, std::uint64_t>{{interim, 2}});
  CHECK(store.write(std::vector<Change>{EraseRecord{interim, 2}}) == 0);
  CHECK(numbers(store).empty());
  CHECK(store.write(std::vector<Change>{EraseRecord{interim, 2}, DropRecord{interim},
                                        EraseSession{SessionId(9)}}) == 0);
}

TEST_CASE("spool store: a write that does not fit changes nothing; within the limit erasing fits",
          "[accounting]") {
  test::ScratchDirectory scratch;
  SpoolStore store = open(scratch.path);
  std::uint64_t session = 0;
  const auto add = [&] {
    REQUIRE(session < 10'000);
    ++session;
    return store.write(
        std::vector<Change>{PutRecord{key(session, Slot::kStart), record(Status::kStart, 1, 800)},
                            PutSession{SessionId(session), {}}});
  };
  while (store.fill() < 1) REQUIRE(add() == 0);
  CHECK(store.write(std::vector<Change>{DropRecord{key(1, Slot::kStart)}}) == 0);
  const std::size_t before = store.record_count();

  std::uint64_t added = 0;
  int error = 0;
  while ((error = add()) == 0) ++added;
  CHECK_FALSE(SpoolStore::error_text(error).empty());
  CHECK(store.record_count() == before + added);
  std::size_t sessions = 0;
  store.read_sessions([&sessions](SessionId, const OpenSession&) { ++sessions; });
  CHECK(sessions == session - 1);
}

TEST_CASE("spool store: fill tells what is in use, and falls when records go", "[accounting]") {
  test::ScratchDirectory scratch;
  SpoolStore store = open(scratch.path);
  const double empty = store.fill();
  CHECK(empty < 0.1);
  const auto all = [&store](auto change) {
    for (std::uint64_t session = 1; session <= 400; ++session)
      REQUIRE(store.write(std::vector<Change>{change(session)}) == 0);
  };
  all([](std::uint64_t n) {
    return PutRecord{key(n, Slot::kStart), record(Status::kStart, n, 800)};
  });
  const double full = store.fill();
  CHECK(full > empty + 0.3);
  all([](std::uint64_t n) { return DropRecord{key(n, Slot::kStart)}; });
  CHECK(store.fill() < full / 2);
}

TEST_CASE("spool store: a damaged one is kept aside, and a new one serves", "[accounting]") {
  test::ScratchDirectory scratch;
  std::ofstream(scratch.path / "data.mdb") << std::string(8192, 'x');
  SpoolStore store = open(scratch.path);
  REQUIRE(store.damaged());
  CHECK(std::filesystem::file_size(*store.damaged()) == 8192);
  CHECK(store.write(std::vector<Change>{PutSession{SessionId(1), {}}}) == 0);
}

TEST_CASE("spool store: a directory that cannot be made is an error that names it",
          "[accounting]") {
  const auto store = SpoolStore::open("/proc/self/no/such", kMegabyte);
  REQUIRE_FALSE(store);
  CHECK(store.error().find("/proc/self/no/such") != std::string::npos);
}

TEST_CASE("spool: a write is done when the disk has it, and writes are done in order",
          "[accounting]") {
  test::ScratchDirectory scratch;
  Posted loop;
  std::vector<int> done;
  {
    Spool spool(open(scratch.path), [&loop](auto work) { loop.post(std::move(work)); });
    for (int n = 0; n < 100; ++n)
      spool.write({PutRecord{key(static_cast<std::uint64_t>(n) + 1, Slot::kStart),
                             record(Status::kStart, 1)}},
                  [&done, n](bool kept) {
                    CHECK(kept);
                    done.push_back(n);
                  });
    while (done.size() < 100) loop.run_one();
    CHECK(spool.record_count() == 100);
    CHECK(spool.error() == 0);
    spool.write({PutSession{SessionId(1), {}}}, {});
  }
  for (int n = 0; n < 100; ++n) CHECK(done[static_cast<std::size_t>(n)] == n);
  const SpoolStore store = open(scratch.path);
  CHECK(store.record_count() == 100);
  std::size_t sessions = 0;
  store.read_sessions([&sessions](SessionId, const OpenSession&) { ++sessions; });
  CHECK(sessions == 1);  // what waited when it ended was written
}

TEST_CASE("spool: a write that fails is told, and the next can succeed", "[accounting]") {
  test::ScratchDirectory scratch;
  Posted loop;
  Spool spool(open(scratch.path), [&loop](auto work) { loop.post(std::move(work)); });
  std::optional<bool> kept;
  spool.write({PutRecord{key(1, Slot::kStart), record(Status::kStart, 1, 3 * kMegabyte)}},
              [&kept](bool it) { kept = it; });
  while (!kept) loop.run_one();
  CHECK_FALSE(*kept);
  CHECK(spool.error() != 0);
  kept.reset();
  spool.write({PutRecord{key(1, Slot::kStart), record(Status::kStart, 1)}},
              [&kept](bool it) { kept = it; });
  while (!kept) loop.run_one();
  CHECK(*kept);
  CHECK(spool.error() == 0);
}
