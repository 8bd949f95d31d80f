// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/session_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>

using namespace pns;
using namespace pns::contract;

namespace {

// Session memory of 8 sessions whose header a test may spoil before it attaches.
struct Spoiled {
  Spoiled() {
    auto made = SessionMemory::create(8, false, 123);
    REQUIRE(made);
    fd = std::move(*made);
  }
  template <class T>
  void set(std::size_t offset, T value) {
    void* base = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    REQUIRE(base != MAP_FAILED);
    std::memcpy(static_cast<std::byte*>(base) + offset, &value, sizeof(value));
    ::munmap(base, 4096);
  }
  [[nodiscard]] std::string error() const {
    const auto memory = SessionMemory::attach(fd.get());
    return memory ? "attached" : memory.error();
  }
  UniqueFd fd;
};

}  // namespace

TEST_CASE("session memory: what is made can be attached, twice, and is shared", "[contract]") {
  const auto fd = SessionMemory::create(100, false, 123);
  REQUIRE(fd);
  const auto first = SessionMemory::attach(fd->get());
  const auto second = SessionMemory::attach(fd->get());
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->header().max_sessions == 100);
  CHECK(first->header().created_ns == 123);
  CHECK(first->sessions().size() == 100);
  CHECK(first->workers().size() == kMaxWorkers);
  CHECK(std::all_of(first->sessions().begin(), first->sessions().end(),
                    [](const SessionRecord& r) { return r.state.load() == SlotState::kFree; }));

  first->sessions()[99].upstream.packets.add(7);
  first->workers()[kMaxWorkers - 1].drops[0].add(3);
  CHECK(second->sessions()[99].upstream.packets.get() == 7);
  CHECK(second->workers()[kMaxWorkers - 1].drops[0].get() == 3);
}

TEST_CASE("session memory: no sessions is refused", "[contract]") {
  CHECK_FALSE(SessionMemory::create(0, false, 0));
}

TEST_CASE("session memory: its size cannot be changed by whoever has it", "[contract]") {
  const auto fd = SessionMemory::create(8, false, 0);
  REQUIRE(fd);
  struct stat status {};
  REQUIRE(::fstat(fd->get(), &status) == 0);
  CHECK(::ftruncate(fd->get(), status.st_size / 2) != 0);
  CHECK(::ftruncate(fd->get(), status.st_size * 2) != 0);
  CHECK((::fcntl(fd->get(), F_GET_SEALS) & F_SEAL_SEAL) != 0);
}

TEST_CASE("session memory: records and counters start on cache lines of their own", "[contract]") {
  const auto fd = SessionMemory::create(8, false, 0);
  const auto memory = SessionMemory::attach(fd->get());
  REQUIRE(memory);
  for (const SessionRecord& record : memory->sessions()) {
    CHECK(reinterpret_cast<std::uintptr_t>(&record) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(&record.upstream) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(&record.downstream) % 64 == 0);
  }
  for (const WorkerCounters& worker : memory->workers())
    CHECK(reinterpret_cast<std::uintptr_t>(&worker) % 64 == 0);
}

TEST_CASE("session memory: another version, layout or size is refused by name", "[contract]") {
  {
    Spoiled memory;
    CHECK(memory.error() == "attached");
  }
  {
    Spoiled memory;
    memory.set(offsetof(SessionMemoryHeader, magic), std::uint64_t{1});
    CHECK_THAT(memory.error(), Catch::StartsWith("session memory: magic is 1,"));
  }
  {
    Spoiled memory;
    memory.set(offsetof(SessionMemoryHeader, version), kSessionMemoryVersion + 1);
    CHECK(memory.error() == "session memory: version is " +
                                std::to_string(kSessionMemoryVersion + 1) +
                                ", this program expects " + std::to_string(kSessionMemoryVersion) +
                                ": it cannot take over these calls; see docs/upgrade.md");
  }
  const struct {
    std::size_t offset;
    const char* name;
  } sizes[] = {{offsetof(SessionMemoryHeader, header_size), "header size"},
               {offsetof(SessionMemoryHeader, worker_counters_size), "worker counters size"},
               {offsetof(SessionMemoryHeader, session_record_size), "session record size"},
               {offsetof(SessionMemoryHeader, drop_reason_count), "drop reason count"},
               {offsetof(SessionMemoryHeader, store_version), "store version"},
               {offsetof(SessionMemoryHeader, channel_version), "channel version"}};
  for (const auto& [offset, name] : sizes) {
    Spoiled memory;
    memory.set(offset, std::uint32_t{1});
    CHECK_THAT(memory.error(),
               Catch::StartsWith(std::string("session memory: ") + name + " is 1,"));
  }
  {
    Spoiled memory;
    memory.set(offsetof(SessionMemoryHeader, total_size), std::uint64_t{4096});
    CHECK_THAT(memory.error(), Catch::StartsWith("session memory: total size is 4096,"));
  }
  for (const std::uint32_t sessions : {0U, 0xffffffffU}) {
    Spoiled memory;
    memory.set(offsetof(SessionMemoryHeader, max_sessions), sessions);
    CHECK_THAT(memory.error(), Catch::StartsWith("session memory: content size is "));
  }
}

TEST_CASE("session memory: a descriptor that is none, or too small, is refused", "[contract]") {
  CHECK_FALSE(SessionMemory::attach(-1));
  const UniqueFd small(::memfd_create("small", MFD_CLOEXEC));
  REQUIRE(::ftruncate(small.get(), 4096) == 0);
  const auto memory = SessionMemory::attach(small.get());
  REQUIRE_FALSE(memory);
  CHECK_THAT(memory.error(), Catch::StartsWith("session memory: size is 4096,"));
}
