// SPDX-License-Identifier: BSD-3-Clause
//
// SessionTable: how a packet finds its session record. Two direct indexes and a hash:
//   upstream    (local address, our Call ID) → slot     65,536 slots numbers per local address
//   downstream  inner address → slot                    top 20 bits → leaf of 4,096 slot numbers
//   downstream  inner /64 → slot                        PrefixIndex
// The records themselves lie in session memory; this class is the process's index over them and is
// rebuilt from them by adopt() when a dataplane starts over existing sessions.
//
// Main writes (install, bind, unlink, release); workers read without locks. An entry that a
// worker found stays valid until it reports a quiescent state. Memory: 256 KiB per local address, 8
// MiB of virtual leaf directory, 16 KiB per /20 in use up to kMaxLeaves; all mapped, none from the
// heap.
#pragma once

#include <emmintrin.h>
#include <rte_rcu_qsbr.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "dataplane/session/prefix_index.hpp"
#include "dataplane/session/shared_fields.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/messages.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

struct FoundSession {
  contract::SessionRecord* session = nullptr;
  SlotId slot;
  [[nodiscard]] explicit operator bool() const noexcept { return session != nullptr; }
};

class SessionTable {
 public:
  static constexpr std::size_t kMaxLocalAddresses = 16;
  static constexpr std::uint32_t kMaxLeaves = 4096;

  // `memory` must outlive the table. `workers`: how many will report quiescent states.
  // Error: what could not be mapped.
  [[nodiscard]] static std::expected<std::unique_ptr<SessionTable>, std::string> create(
      contract::SessionMemory& memory, std::uint16_t workers);
  ~SessionTable();
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  // --- main only ---

  // A subscriber's address, or a /64 by its upper half in host order. The other one is zero.
  struct Binding {
    Ipv4Address address{};
    std::uint64_t prefix = 0;
  };
  // Told which addresses and prefixes have a session.
  struct Watcher {
    std::function<void(const Binding&)> bound;    // it leads to a session from now on
    std::function<void(const Binding&)> unbound;  // and to none any more
  };
  // Call it before the first session and before adopt(). Nobody watches by default.
  void watch(Watcher watcher) { watcher_ = std::move(watcher); }

  // Makes an address one that classify() takes GRE for, before its first session. False: too many.
  bool add_local_address(Ipv4Address local) noexcept;
  // Fills the free record and publishes it. Result: its new generation.
  // `first_identification`: of the session's outer packets. It must be random where packets leave:
  // sessions behind one NAT share both addresses and the protocol, and packets of two sessions with
  // the same number could be put together when they are cut on the way (RFC 6864 §4).
  // Errors: kBadSlot, kCallIdInUse, kTooManyAddresses, kNoMemory, kBadMessage (Call ID 0).
  [[nodiscard]] std::expected<std::uint32_t, contract::ReplyResult> install(
      SlotId slot, const contract::InstallSession& request, std::uint64_t now_ns,
      std::uint16_t first_identification = 0) noexcept;
  // Leads the inner address to the session (again, when it was another before).
  // kDone, kBadSlot, kAddressInUse, kNoMemory, kBadMessage (unspecified address).
  [[nodiscard]] contract::ReplyResult bind_address(SlotId slot, Ipv4Address subscriber) noexcept;
  void unbind_address(SlotId slot) noexcept;
  // The same for a /64, named by its upper half in host order. kBadMessage: no global unicast one.
  [[nodiscard]] contract::ReplyResult bind_prefix(SlotId slot, std::uint64_t prefix) noexcept;
  void unbind_prefix(SlotId slot) noexcept;
  // Takes the session out of all indexes; state kRemoving. The result is for quiescent().
  // 0: the slot is not installed.
  [[nodiscard]] std::uint64_t unlink(SlotId slot) noexcept;
  // True once every worker that was inside its poll at unlink() has left it. Never blocks.
  [[nodiscard]] bool quiescent(std::uint64_t token) const noexcept;
  // After quiescence: wipes keys, state kFree. No-op when the slot is not kRemoving.
  void release(SlotId slot) noexcept;
  // Rebuilds the indexes from session memory, before any worker runs: finishes removals that were
  // cut short and half-written key changes; a record that contradicts another is released.
  // Result: sessions in service.
  std::uint32_t adopt() noexcept;
  // The record of a slot, or null when out of range. Any thread.
  [[nodiscard]] contract::SessionRecord* record(SlotId slot) const noexcept {
    return slot.value < records_.size() ? &records_[slot.value] : nullptr;
  }

  // --- workers ---

  // An index holds these. 0: none. The lower 24 bits: slot + 1. The upper 8 bits, for an inner
  // address: the steering bucket of its session's Call ID. It tells the owner without the record.
  using Entry = std::atomic<std::uint32_t>;
  static inline const Entry kNowhere{0};

  // Number of a local address; kMaxLocalAddresses: none of them.
  [[nodiscard]] std::size_t local_index(Ipv4Address address) const noexcept {
    // All of them at once: which one it is cannot be guessed, and a wrong guess costs more.
    static_assert(kMaxLocalAddresses == 16 && sizeof(Ipv4Address) == 4);
    const std::uint32_t count = local_count_.load(std::memory_order_acquire);
    const __m128i wanted = _mm_set1_epi32(static_cast<int>(address.value));
    const auto* locals = reinterpret_cast<const __m128i*>(locals_.data());
    const auto equal = [&](std::size_t n) {
      return _mm_cmpeq_epi32(_mm_load_si128(locals + n), wanted);
    };
    const __m128i octets =
        _mm_packs_epi16(_mm_packs_epi32(equal(0), equal(1)), _mm_packs_epi32(equal(2), equal(3)));
    const unsigned known = (1U << count) - 1;  // those behind are zero
    const unsigned same = static_cast<unsigned>(_mm_movemask_epi8(octets)) & known;
    return same == 0 ? kMaxLocalAddresses : static_cast<std::size_t>(std::countr_zero(same));
  }
  [[nodiscard]] bool is_local(Ipv4Address address) const noexcept {
    return local_index(address) < kMaxLocalAddresses;
  }
  [[nodiscard]] FoundSession find(Ipv4Address local, OurCallId call) const noexcept {
    const std::size_t index = local_index(local);
    return index < kMaxLocalAddresses ? find(index, call) : FoundSession{};
  }
  [[nodiscard]] FoundSession find(std::size_t local, OurCallId call) const noexcept {
    return at(read(entry_of(local, call)));
  }
  // The session with this inner address. Checked against the record.
  [[nodiscard]] FoundSession find_by_address(Ipv4Address inner) const noexcept {
    const FoundSession found = at(read(entry_of(inner)));
    if (!found || load_shared(found.session->subscriber) != inner) return {};
    return found;
  }
  // The session with this /64, by its upper half in host order. Checked against the record.
  [[nodiscard]] FoundSession find_by_prefix(std::uint64_t prefix) const noexcept {
    const std::uint32_t slot = prefixes_.find(prefix, [&](std::uint32_t found) {
      return load_shared(records_[found].ipv6_prefix) == prefix;
    });
    if (slot == PrefixIndex::kNone) return {};
    return {&records_[slot], SlotId(slot)};
  }
  // The same in steps, for many packets at a time: where the slot is written, the slot, the record.
  // An entry that is found by address is not checked against the record.
  [[nodiscard]] const Entry* entry_of(std::size_t local, OurCallId call) const noexcept {
    return &calls_[local][call.value];
  }
  [[nodiscard]] const Entry* entry_of(Ipv4Address inner) const noexcept {
    const auto* leaf = directory_[inner.value >> 12].load(std::memory_order_acquire);
    return leaf == nullptr ? &kNowhere : &(*leaf)[inner.value & 0xfff];
  }
  // The entries of this inner address and of those behind it, as far as they lie together; empty:
  // no address before next_leaf() has a session.
  [[nodiscard]] std::span<const Entry> entries_from(Ipv4Address inner) const noexcept {
    const auto* leaf = directory_[inner.value >> 12].load(std::memory_order_acquire);
    return leaf == nullptr ? std::span<const Entry>()
                           : std::span(*leaf).subspan(inner.value & 0xfff);
  }
  [[nodiscard]] static constexpr std::uint64_t next_leaf(Ipv4Address inner) noexcept {
    return std::uint64_t{inner.value | 0xfff} + 1;
  }
  [[nodiscard]] static std::uint32_t read(const Entry* entry) noexcept {
    return entry->load(std::memory_order_acquire);
  }
  [[nodiscard]] FoundSession at(std::uint32_t entry) const noexcept {
    if (entry == 0) return {};
    const std::uint32_t slot = (entry & kSlotMask) - 1;
    return {&records_[slot], SlotId(slot)};
  }
  // Owner of the session that the entry of an inner address names.
  [[nodiscard]] WorkerId owner_of(std::uint32_t entry) const noexcept {
    return WorkerId(steering_[entry >> kSlotBits].load(std::memory_order_relaxed));
  }
  // The same session as before: for packets that waited in a ring.
  [[nodiscard]] bool is_current(SlotId slot, std::uint32_t generation) const noexcept {
    const contract::SessionRecord* found = record(slot);
    return found != nullptr &&
           found->state.load(std::memory_order_acquire) == contract::SlotState::kInstalled &&
           found->generation.load(std::memory_order_relaxed) == generation;
  }
  // Owner of a call's bucket.
  [[nodiscard]] WorkerId owner(OurCallId call) const noexcept {
    return WorkerId(steering_[steering_bucket(call)].load(std::memory_order_relaxed));
  }

  [[nodiscard]] contract::SessionMemory& memory() const noexcept { return memory_; }
  // One variable for all that is published here. Thread ids are worker numbers.
  [[nodiscard]] rte_rcu_qsbr& quiescence() const noexcept { return *qsbr_; }

 private:
  using Leaf = std::array<Entry, 4096>;
  static constexpr unsigned kSlotBits = 24;
  static constexpr std::uint32_t kSlotMask = (std::uint32_t{1} << kSlotBits) - 1;
  static_assert(kSteeringBuckets == std::uint32_t{1} << (32 - kSlotBits));

  SessionTable(contract::SessionMemory& memory) noexcept
      : memory_(memory),
        records_(memory.sessions()),
        steering_(memory.header().steering),
        prefixes_(static_cast<std::uint32_t>(records_.size())) {}

  [[nodiscard]] Entry* leaf_entry(Ipv4Address inner) noexcept;  // null: no leaf
  [[nodiscard]] Leaf* make_leaf(std::uint32_t directory_index) noexcept;
  void index_call(std::size_t local, OurCallId call, std::uint32_t slot_plus_one) noexcept;
  static void tell(const std::function<void(const Binding&)>& watcher, const Binding& binding) {
    if (watcher) watcher(binding);
  }

  contract::SessionMemory& memory_;
  std::span<contract::SessionRecord> records_;
  const std::array<std::atomic<std::uint8_t>, kSteeringBuckets>& steering_;
  // main: writes; workers: read. locals_[i] is written before local_count_ passes i.
  alignas(16) std::array<Ipv4Address, kMaxLocalAddresses> locals_{};
  std::atomic<std::uint32_t> local_count_{0};
  PrefixIndex prefixes_;                            // main: writes; workers: read
  std::array<Entry*, kMaxLocalAddresses> calls_{};  // each 65,536, mapped at create
  std::atomic<Leaf*>* directory_ = nullptr;         // 2^20
  // main only
  Leaf* leaves_ = nullptr;  // kMaxLeaves, mapped, untouched until used
  std::uint32_t leaves_used_ = 0;
  std::unique_ptr<std::uint16_t[]> leaf_entries_;    // addresses bound in each leaf
  std::unique_ptr<std::uint32_t[]> leaf_directory_;  // which directory entry leads to it
  std::unique_ptr<std::uint32_t[]> bound_;           // by slot: inner address in the index, or 0
  std::unique_ptr<std::uint64_t[]> bound_prefix_;    // by slot: /64 in the index, or 0
  Watcher watcher_;
  rte_rcu_qsbr* qsbr_ = nullptr;
};

}  // namespace pns::dataplane
