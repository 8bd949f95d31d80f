// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/resume/store.hpp"

#include <lmdb.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "tests/unit/resume/samples.hpp"

using namespace pns;
using namespace pns::resume;
using namespace pns::test;

namespace {

Store open(const Directory& directory) { return Store::open(directory.path, 64).value(); }

std::size_t count(const Store& store) {
  std::size_t records = 0;
  store.read([&](const Key&, Bytes) { ++records; });
  return records;
}

}  // namespace

TEST_CASE("store: what was written is read again after a new start, in the order of its keys",
          "[resume]") {
  const Directory directory;
  const std::vector<Key> keys = {{Table::kConnection, 1}, {Table::kPosition, 1},
                                 {Table::kCall, 1, 1},    {Table::kCall, 1, 256},
                                 {Table::kCall, 256, 1},  {Table::kConnection, 0x1234567890},
                                 {Table::kSession, 0x01}, {Table::kSession, 0x010203},
                                 {Table::kResting, 0x02}, {Table::kBoot, 0}};
  CHECK(std::ranges::is_sorted(keys));
  {
    auto store = open(directory);
    Batch batch;
    for (const Key& key : keys) batch.records[key] = encode_number(key.id << 8 | key.number);
    const auto written = store.write(batch);
    REQUIRE(written);
    CHECK(written->records == keys.size());
    CHECK(store.probe());
  }
  const auto store = open(directory);
  std::vector<Key> found;
  store.read([&](const Key& key, Bytes octets) {
    found.push_back(key);
    CHECK(decode_number(octets) == (key.id << 8 | key.number));
  });
  CHECK(found == keys);
  CHECK(store.get({Table::kCall, 1, 256}) == encode_number(1 << 8 | 256));
  CHECK_FALSE(store.get({Table::kCall, 1, 257}));
}

TEST_CASE("store: what is there already is not written again", "[resume]") {
  const Directory directory;
  auto store = open(directory);
  Batch batch;
  batch.records[{Table::kSession, 1}] = encode_number(1);
  batch.records[{Table::kSession, 2}] = encode_number(2);
  REQUIRE(store.write(batch)->records == 2);
  const auto size_and_time = [&] {
    return std::pair(std::filesystem::file_size(directory.path / "data.mdb"),
                     std::filesystem::last_write_time(directory.path / "data.mdb"));
  };
  const auto before = size_and_time();
  const auto again = store.write(batch);
  REQUIRE(again);
  CHECK(again->records == 0);
  CHECK(again->unchanged == 2);
  CHECK(size_and_time() == before);
  batch.records[{Table::kSession, 2}] = encode_number(3);
  batch.records[{Table::kSession, 7}] = std::nullopt;  // not there: as it should be
  CHECK(store.write(batch)->records == 1);
  CHECK(store.get({Table::kSession, 2}) == encode_number(3));
}

TEST_CASE("store: a connection goes with all its calls and with nothing of its neighbours",
          "[resume]") {
  const Directory directory;
  auto store = open(directory);
  Batch batch;
  for (const std::uint64_t id : {6u, 7u, 8u}) {
    batch.records[{Table::kConnection, id}] = encode_number(id);
    batch.records[{Table::kPosition, id}] = encode_number(id);
    for (std::uint32_t number = 1; number <= 200; ++number)
      batch.records[{Table::kCall, id, number}] = encode_number(number);
  }
  REQUIRE(store.write(batch));
  Batch gone;
  gone.gone.insert(ConnectionId(7));
  gone.gone.insert(ConnectionId(70));  // not there
  CHECK(store.write(gone)->records == 202);
  CHECK(count(store) == 404);
  CHECK(store.get({Table::kCall, 6, 200}));
  CHECK_FALSE(store.get({Table::kCall, 7, 1}));
  CHECK(store.get({Table::kCall, 8, 1}));
  // The last of all, and one that comes back in the same batch.
  Batch last;
  last.gone.insert(ConnectionId(8));
  last.records[{Table::kCall, 8, 5}] = encode_number(5);
  REQUIRE(store.write(last));
  CHECK(count(store) == 203);
  last.records.clear();
  CHECK(store.write(last)->records == 1);
  CHECK(count(store) == 202);
}

TEST_CASE("store: a batch that does not fit is not there at all", "[resume]") {
  const Directory directory;
  auto store = open(directory);
  Batch batch;
  batch.records[{Table::kSession, 1}] = encode_number(1);
  REQUIRE(store.write(batch));
  Batch large;
  large.records[{Table::kSession, 1}] = std::nullopt;
  large.records[{Table::kSession, 2}] = Octets(std::size_t{80} << 20);  // the map is 64 MiB
  CHECK_FALSE(store.write(large));
  CHECK_FALSE(store.last_error().empty());
  CHECK(store.get({Table::kSession, 1}));
  CHECK(store.probe());
}

TEST_CASE("store: a file that is no store is replaced, not fatal", "[resume]") {
  const Directory directory;
  Batch batch;
  batch.records[{Table::kSession, 5}] = encode_number(5);
  REQUIRE(open(directory).write(batch));
  SECTION("overwritten") {
    std::ofstream(directory.path / "data.mdb", std::ios::binary | std::ios::trunc)
        << std::string(64 * 1024, 'x');
  }
  SECTION("short") {
    std::ofstream(directory.path / "data.mdb", std::ios::binary | std::ios::trunc) << "x";
  }
  SECTION("empty") {
    std::ofstream(directory.path / "data.mdb", std::ios::binary | std::ios::trunc);
  }
  auto store = Store::open(directory.path, 64);
  REQUIRE(store);
  CHECK(count(*store) == 0);
  CHECK(store->write(batch)->records == 1);
}

TEST_CASE("store: what a program kept in another way is gone", "[resume]") {
  const Directory directory;
  {
    MDB_env* environment = nullptr;
    REQUIRE(mdb_env_create(&environment) == 0);
    mdb_env_set_maxdbs(environment, 2);
    REQUIRE(mdb_env_open(environment, directory.path.c_str(), 0, 0600) == 0);
    MDB_txn* transaction = nullptr;
    REQUIRE(mdb_txn_begin(environment, nullptr, 0, &transaction) == 0);
    MDB_dbi database = 0;
    REQUIRE(mdb_dbi_open(transaction, "sessions", MDB_CREATE | MDB_INTEGERKEY, &database) == 0);
    std::uint64_t key = 9;
    MDB_val name{sizeof(key), &key};
    REQUIRE(mdb_put(transaction, database, &name, &name, 0) == 0);
    REQUIRE(mdb_txn_commit(transaction) == 0);
    mdb_env_close(environment);
  }
  auto store = open(directory);
  CHECK(count(store) == 0);
  Batch batch;
  batch.records[{Table::kSession, 5}] = encode_number(5);
  CHECK(store.write(batch));
}

TEST_CASE("store: a directory that cannot be made is an error with its name", "[resume]") {
  const auto store = Store::open("/proc/no/such/place", 64);
  REQUIRE_FALSE(store);
  CHECK(store.error().find("/proc/no/such/place") != std::string::npos);
}
