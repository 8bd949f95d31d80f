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

TEST_CASE("session memory: another layout or size is refused by name", "[contract]") {
  {
    Spoiled memory;
    CHECK(memory.error() == "attached");
  }
  {
    Spoiled memory;
    memory.set(offsetof(SessionMemoryHeader, magic), std::uint64_t{1});
    CHECK_THAT(memory.error(), Catch::StartsWith("session memory: magic is 1,"));
  }
  const struct {
    std::size_t offset;
    const char* name;
  } sizes[] = {{offsetof(SessionMemoryHeader, header_size), "header size"},
               {offsetof(SessionMemoryHeader, worker_counters_size), "worker counters size"},
               {offsetof(SessionMemoryHeader, session_record_size), "session record size"},
               {offsetof(SessionMemoryHeader, session_extension_size), "session extension size"}};
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

TEST_CASE("session memory: of another version, what fits is taken", "[contract]") {
  constexpr FormatVersion kOurs{kSessionMemoryVersion, kSessionMemoryMinCompatible};
  constexpr FormatVersion kStore{kStoreVersion, kStoreMinCompatible};
  const struct {
    FormatVersion written;
    bool fits;
  } rows[] = {{{kOurs.version + 5, kOurs.min_compatible}, true},
              {{kOurs.version + 5, kOurs.version}, true},
              {{kOurs.version + 5, kOurs.version + 1}, false},
              {{kOurs.min_compatible - 1, 0}, false},
              {{kOurs.min_compatible, 0}, true}};
  for (const auto& [written, fits] : rows) {
    CAPTURE(written.version, written.min_compatible);
    Spoiled memory;
    memory.set(offsetof(SessionMemoryHeader, format), written);
    if (fits) {
      const auto attached = SessionMemory::attach(memory.fd.get());
      REQUIRE(attached);
      // From now on who attaches must fit both.
      CHECK(attached->header().format.get() == together(written, kOurs));
    } else {
      CHECK(memory.error() == "session memory: version is " + std::to_string(written.version) +
                                  " (compatible from " + std::to_string(written.min_compatible) +
                                  "), this program has " + std::to_string(kOurs.version) +
                                  " (compatible from " + std::to_string(kOurs.min_compatible) +
                                  "): it cannot take over these calls; see docs/upgrade.md");
      // A refused program leaves nothing behind.
      memory.set(offsetof(SessionMemoryHeader, format), kOurs);
      const auto attached = SessionMemory::attach(memory.fd.get());
      REQUIRE(attached);
      CHECK(attached->header().format.get() == kOurs);
    }
  }
  Spoiled store;
  store.set(offsetof(SessionMemoryHeader, store),
            FormatVersion{kStore.version + 1, kStore.version + 1});
  CHECK_THAT(store.error(), Catch::StartsWith("resume store: version is "));
}

TEST_CASE("session memory: who comes next must fit all who have used it", "[contract]") {
  Spoiled memory;
  const FormatVersion session_memory{kSessionMemoryVersion + 3, kSessionMemoryVersion};
  const FormatVersion store{kStoreVersion + 2, kStoreVersion};
  memory.set(offsetof(SessionMemoryHeader, format), session_memory);
  memory.set(offsetof(SessionMemoryHeader, store), store);
  const auto attached = SessionMemory::attach(memory.fd.get());
  REQUIRE(attached);
  const BuildContract ours = build_contract();
  const BuildContract in_use = contract_with(attached->header());
  for (std::size_t i = 0; i < ours.formats.size(); ++i) {
    const auto& [name, version] = ours.formats[i];
    CAPTURE(name);
    CHECK(in_use.formats[i].version == (name == "session_memory" ? together(version, session_memory)
                                        : name == "store"        ? together(version, store)
                                                                 : version));
  }
  CHECK(in_use.sizes == ours.sizes);
}

TEST_CASE("session memory: drop reasons of a newer program have its names", "[contract]") {
  Spoiled made;
  const auto memory = SessionMemory::attach(made.fd.get());
  REQUIRE(memory);
  SessionMemoryHeader& header = memory->header();
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    CHECK(has_drop_reason(header, i));
    CHECK(drop_reason_label(header, i).name == kDropReasons[i].name);
    CHECK(drop_reason_label(header, i).direction == kDropReasons[i].direction);
    // As a program that does not know the reason will read it.
    CHECK(std::string_view(header.drop_reasons[i].name.data()) == kDropReasons[i].name);
    CHECK(DropReasonName::kDirections.at(header.drop_reasons[i].direction) ==
          kDropReasons[i].direction);
  }
  constexpr std::size_t kNext = kDropReasonCount;
  CHECK_FALSE(has_drop_reason(header, kNext));
  CHECK_FALSE(has_drop_reason(header, kDropReasonRoom));
  CHECK(drop_reason_label(header, kNext).name == "unknown_" + std::to_string(kNext));

  std::string_view("newer_reason").copy(header.drop_reasons[kNext].name.data(), 30);
  header.drop_reasons[kNext].direction = 2;
  CHECK(has_drop_reason(header, kNext));
  CHECK(drop_reason_label(header, kNext).name == "newer_reason");
  CHECK(drop_reason_label(header, kNext).direction == "downstream");

  // Names come from another process: no label is made of other characters, or without an end.
  header.drop_reasons[kNext].name.fill('"');
  header.drop_reasons[kNext].direction = 200;
  CHECK(drop_reason_label(header, kNext).name == "unknown_" + std::to_string(kNext));
  CHECK_FALSE(drop_reason_label(header, kNext).direction.empty());
}

TEST_CASE("session memory: each session has its room behind the records", "[contract]") {
  const auto fd = SessionMemory::create(100, false, 0);
  const auto memory = SessionMemory::attach(fd->get());
  REQUIRE(memory);
  REQUIRE(memory->extensions().size() == 100);
  const auto* const base = reinterpret_cast<const std::byte*>(&memory->header());
  const auto* const last = reinterpret_cast<const std::byte*>(&memory->extensions()[99]);
  CHECK(reinterpret_cast<const std::byte*>(memory->extensions().data()) ==
        reinterpret_cast<const std::byte*>(&memory->sessions()[99] + 1));
  CHECK(last + sizeof(SessionExtension) <= base + memory->size());
  CHECK(memory->extensions()[99].generation.load() == 0);
}
