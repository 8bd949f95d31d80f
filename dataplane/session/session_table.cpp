// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/session_table.hpp"

#include <rte_malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "dataplane/session/session_commands.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

using contract::ReplyResult;
using contract::SessionRecord;
using contract::SlotState;

constexpr std::size_t kCallIds = 65'536;
constexpr std::size_t kDirectory = 1U << 20;

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Zeroed memory that costs nothing until it is touched; then whole huge pages where the kernel has
// them, since every packet asks for an entry anywhere. A multiple of 2 MiB. Null: errno tells.
template <class T>
T* map_zeroed(std::size_t count) noexcept {
  const std::size_t size = count * sizeof(T);
  void* const mapped = ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  // The pages before and behind the first boundary are unmapped.
  auto* const from = static_cast<std::byte*>(mapped);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(from) % kHugePage;
  std::byte* const base = from + before;
  if (before != 0) ::munmap(from, before);
  ::munmap(base + size, kHugePage - before);
  (void)::madvise(base, size, MADV_HUGEPAGE);
  return reinterpret_cast<T*>(base);
}

template <class T>
void unmap(T* base, std::size_t count) noexcept {
  if (base != nullptr) ::munmap(static_cast<void*>(base), count * sizeof(T));
}

// Everything of a record but its state and generation, as at birth. Keys are overwritten.
void reset_record(SessionRecord& record) noexcept {
  mppe::forget(record.upstream.mppe);
  mppe::forget(record.downstream.mppe);
  record.our_call_id = {};
  record.peer_call_id = {};
  record.local = {};
  record.peer = {};
  record.peer_window = 0;
  record.installed_ns = 0;
  record.flags.store(0, std::memory_order_relaxed);
  record.subscriber = {};
  record.our_magic = 0;
  record.inner_mtu = 0;
  record.peer_mru = 0;
  record.rate_bits_per_second = 0;
  record.upstream_rate = {};
  record.ipv6_prefix = 0;
  record.our_interface_id = 0;
  record.peer_interface_id = 0;
  record.gateway = {};
  record.ack_pending = false;
  record.ack_listed = false;
  record.send_window = {};
  record.icmp_spent_ns = 0;
  std::destroy_at(&record.upstream);
  std::construct_at(&record.upstream);
  std::destroy_at(&record.downstream);
  std::construct_at(&record.downstream);
}

}  // namespace

std::expected<std::unique_ptr<SessionTable>, std::string> SessionTable::create(
    contract::SessionMemory& memory, std::uint16_t workers) {
  if (memory.sessions().size() > kSlotMask)
    return std::unexpected(std::string("session table: more than 16,777,215 sessions"));
  std::unique_ptr<SessionTable> table(new SessionTable(memory));
  const auto failed = [](const char* what) {
    return std::unexpected(std::string("session table: ") + what + ": " + std::strerror(errno));
  };
  Entry* calls = map_zeroed<Entry>(kCallIds * kMaxLocalAddresses);
  if (calls == nullptr) return failed("call index");
  for (std::size_t i = 0; i < kMaxLocalAddresses; ++i) table->calls_[i] = calls + i * kCallIds;
  table->directory_ = map_zeroed<std::atomic<Leaf*>>(kDirectory);
  if (table->directory_ == nullptr) return failed("address directory");
  table->leaves_ = map_zeroed<Leaf>(kMaxLeaves);
  if (table->leaves_ == nullptr) return failed("address leaves");
  table->leaf_entries_ = std::make_unique<std::uint16_t[]>(kMaxLeaves);
  table->leaf_directory_ = std::make_unique<std::uint32_t[]>(kMaxLeaves);
  table->bound_ = std::make_unique<std::uint32_t[]>(table->records_.size());
  table->bound_prefix_ = std::make_unique<std::uint64_t[]>(table->records_.size());

  const std::size_t size = rte_rcu_qsbr_get_memsize(workers);
  table->qsbr_ = static_cast<rte_rcu_qsbr*>(rte_zmalloc("pns-qsbr", size, RTE_CACHE_LINE_SIZE));
  errno = ENOMEM;
  if (table->qsbr_ == nullptr || rte_rcu_qsbr_init(table->qsbr_, workers) != 0)
    return failed("quiescence variable");
  return table;
}

SessionTable::~SessionTable() {
  rte_free(qsbr_);
  unmap(calls_[0], kCallIds * kMaxLocalAddresses);
  unmap(directory_, kDirectory);
  unmap(leaves_, kMaxLeaves);
}

bool SessionTable::add_local_address(Ipv4Address local) noexcept {
  if (is_local(local)) return true;
  const std::uint32_t count = local_count_.load(std::memory_order_relaxed);
  if (count == kMaxLocalAddresses || local.is_unspecified()) return false;
  locals_[count] = local;
  local_count_.store(count + 1, std::memory_order_release);
  return true;
}

void SessionTable::index_call(std::size_t local, OurCallId call,
                              std::uint32_t slot_plus_one) noexcept {
  calls_[local][call.value].store(slot_plus_one, std::memory_order_release);
}

std::expected<std::uint32_t, ReplyResult> SessionTable::install(
    SlotId slot, const contract::InstallSession& request, std::uint64_t now_ns,
    std::uint16_t first_identification) noexcept {
  SessionRecord* found = record(slot);
  if (found == nullptr || found->state.load(std::memory_order_relaxed) != SlotState::kFree)
    return std::unexpected(ReplyResult::kBadSlot);
  if (request.our_call_id.value == 0 || request.local.is_unspecified())
    return std::unexpected(ReplyResult::kBadMessage);
  if (!add_local_address(request.local)) return std::unexpected(ReplyResult::kTooManyAddresses);
  const std::size_t local = local_index(request.local);
  if (calls_[local][request.our_call_id.value].load(std::memory_order_relaxed) != 0)
    return std::unexpected(ReplyResult::kCallIdInUse);

  reset_record(*found);
  std::uint32_t generation = found->generation.load(std::memory_order_relaxed) + 1;
  if (generation == 0) generation = 1;
  found->generation.store(generation, std::memory_order_relaxed);
  found->our_call_id = request.our_call_id;
  found->peer_call_id = request.peer_call_id;
  found->local = request.local;
  found->peer = request.peer;
  found->peer_window = request.peer_window;
  found->installed_ns = now_ns;
  found->downstream.ip_identification = first_identification;
  found->flags.store(request.mppe_required ? contract::kFlagMppeRequired : 0,
                     std::memory_order_relaxed);
  found->state.store(SlotState::kInstalled, std::memory_order_release);
  index_call(local, request.our_call_id, slot.value + 1);
  return generation;
}

SessionTable::Entry* SessionTable::leaf_entry(Ipv4Address inner) noexcept {
  Leaf* leaf = directory_[inner.value >> 12].load(std::memory_order_relaxed);
  return leaf == nullptr ? nullptr : &(*leaf)[inner.value & 0xfff];
}

SessionTable::Leaf* SessionTable::make_leaf(std::uint32_t directory_index) noexcept {
  std::uint32_t index = leaves_used_;
  if (index < kMaxLeaves) {
    ++leaves_used_;
  } else {
    // One whose last address went away. A reader that still looks into it finds an address that is
    // not its own and checks that.
    const auto* empty = std::find(leaf_entries_.get(), leaf_entries_.get() + kMaxLeaves, 0);
    index = static_cast<std::uint32_t>(empty - leaf_entries_.get());
    if (index == kMaxLeaves) return nullptr;
    directory_[leaf_directory_[index]].store(nullptr, std::memory_order_release);
  }
  leaf_directory_[index] = directory_index;
  directory_[directory_index].store(&leaves_[index], std::memory_order_release);
  return &leaves_[index];
}

ReplyResult SessionTable::bind_address(SlotId slot, Ipv4Address subscriber) noexcept {
  SessionRecord* found = record(slot);
  if (found == nullptr || found->state.load(std::memory_order_relaxed) != SlotState::kInstalled)
    return ReplyResult::kBadSlot;
  if (subscriber.is_unspecified()) return ReplyResult::kBadMessage;
  if (bound_[slot.value] == subscriber.value) return ReplyResult::kDone;
  Entry* entry = leaf_entry(subscriber);
  if (entry != nullptr && entry->load(std::memory_order_relaxed) != 0)
    return ReplyResult::kAddressInUse;
  unbind_address(slot);
  const std::uint32_t directory_index = subscriber.value >> 12;
  Leaf* leaf = directory_[directory_index].load(std::memory_order_relaxed);
  if (leaf == nullptr) leaf = make_leaf(directory_index);
  if (leaf == nullptr) return ReplyResult::kNoMemory;
  const std::uint32_t bucket = steering_bucket(found->our_call_id);
  (*leaf)[subscriber.value & 0xfff].store((bucket << kSlotBits) | (slot.value + 1),
                                          std::memory_order_release);
  ++leaf_entries_[static_cast<std::size_t>(leaf - leaves_)];
  bound_[slot.value] = subscriber.value;
  tell(watcher_.bound, {.address = subscriber});
  return ReplyResult::kDone;
}

void SessionTable::unbind_address(SlotId slot) noexcept {
  if (slot.value >= records_.size() || bound_[slot.value] == 0) return;
  const Ipv4Address bound(bound_[slot.value]);
  Leaf* leaf = directory_[bound.value >> 12].load(std::memory_order_relaxed);
  (*leaf)[bound.value & 0xfff].store(0, std::memory_order_release);
  --leaf_entries_[static_cast<std::size_t>(leaf - leaves_)];
  bound_[slot.value] = 0;
  tell(watcher_.unbound, {.address = bound});
}

ReplyResult SessionTable::bind_prefix(SlotId slot, std::uint64_t prefix) noexcept {
  SessionRecord* found = record(slot);
  if (found == nullptr || found->state.load(std::memory_order_relaxed) != SlotState::kInstalled)
    return ReplyResult::kBadSlot;
  if (wire::is_unforwardable({prefix, 0})) return ReplyResult::kBadMessage;
  if (bound_prefix_[slot.value] == prefix) return ReplyResult::kDone;
  const auto is_it = [&](std::uint32_t other) { return bound_prefix_[other] == prefix; };
  if (prefixes_.find(prefix, is_it) != PrefixIndex::kNone) return ReplyResult::kAddressInUse;
  unbind_prefix(slot);
  prefixes_.insert(prefix, slot.value);
  bound_prefix_[slot.value] = prefix;
  tell(watcher_.bound, {.prefix = prefix});
  return ReplyResult::kDone;
}

void SessionTable::unbind_prefix(SlotId slot) noexcept {
  if (slot.value >= records_.size() || bound_prefix_[slot.value] == 0) return;
  const std::uint64_t bound = std::exchange(bound_prefix_[slot.value], 0);
  prefixes_.erase(bound, slot.value);
  tell(watcher_.unbound, {.prefix = bound});
}

std::uint64_t SessionTable::unlink(SlotId slot) noexcept {
  SessionRecord* found = record(slot);
  if (found == nullptr || found->state.load(std::memory_order_relaxed) != SlotState::kInstalled)
    return 0;
  // The indexes first: a worker that sees the state gives back what the session holds of it, and no
  // packet may find the session after that.
  const std::size_t local = local_index(found->local);
  if (local < kMaxLocalAddresses) index_call(local, found->our_call_id, 0);
  unbind_address(slot);
  unbind_prefix(slot);
  found->state.store(SlotState::kRemoving, std::memory_order_release);
  return rte_rcu_qsbr_start(qsbr_);
}

bool SessionTable::quiescent(std::uint64_t token) const noexcept {
  return rte_rcu_qsbr_check(qsbr_, token, false) == 1;
}

void SessionTable::release(SlotId slot) noexcept {
  SessionRecord* found = record(slot);
  if (found == nullptr || found->state.load(std::memory_order_relaxed) != SlotState::kRemoving)
    return;
  reset_record(*found);
  found->state.store(SlotState::kFree, std::memory_order_release);
}

std::uint32_t SessionTable::adopt() noexcept {
  std::uint32_t served = 0;
  for (std::uint32_t i = 0; i < records_.size(); ++i) {
    SessionRecord& found = records_[i];
    const SlotId slot(i);
    const SlotState state = found.state.load(std::memory_order_relaxed);
    if (state == SlotState::kFree) continue;
    bool good = state == SlotState::kInstalled && found.our_call_id.value != 0 &&
                add_local_address(found.local);
    if (good) {
      Entry& entry = calls_[local_index(found.local)][found.our_call_id.value];
      good = entry.load(std::memory_order_relaxed) == 0;
      if (good) entry.store(i + 1, std::memory_order_release);
    }
    if (!good) {
      found.state.store(SlotState::kRemoving, std::memory_order_relaxed);
      release(slot);
      continue;
    }
    mppe::recover(found.upstream.mppe);
    mppe::recover(found.downstream.mppe);
    const bool encrypts = found.upstream.mppe.mode != mppe::Mode::kOff ||
                          found.downstream.mppe.mode != mppe::Mode::kOff;
    found.flags.store((found.flags.load(std::memory_order_relaxed) & ~contract::kFlagMppe) |
                          (encrypts ? contract::kFlagMppe : 0),
                      std::memory_order_relaxed);
    adopt_rates(found);
    // Packets that waited in the process that is gone are lost.
    found.upstream.reorder_queue = 0;
    found.upstream.gap_entry = 0;
    found.downstream.send_queue = 0;
    memory().extensions()[i].waiting = {};
    if (!found.subscriber.is_unspecified() &&
        bind_address(slot, found.subscriber) != ReplyResult::kDone)
      found.flags.fetch_and(~contract::kFlagIpv4Open, std::memory_order_relaxed);
    if (found.ipv6_prefix != 0 && bind_prefix(slot, found.ipv6_prefix) != ReplyResult::kDone)
      found.flags.fetch_and(~contract::kFlagIpv6Open, std::memory_order_relaxed);
    ++served;
  }
  return served;
}

}  // namespace pns::dataplane
