// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mppe/mppe_engine.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/mppe/key_chain.hpp"
#include "pns/base/secret.hpp"
#include "pns/crypto/mppe_keys.hpp"
#include "pns/mppe/mppe.hpp"

namespace pns::dataplane {
namespace {

using mppe::DirectionState;
using mppe::Mode;

// Lanes that end within so many octets of each other run to the end of the longest.
constexpr std::size_t kSameLength = 64;

std::uint16_t next_count(std::uint16_t count) noexcept {
  return static_cast<std::uint16_t>((count + 1) & mppe::kCoherencyMask);
}
bool is_flag_packet(std::uint16_t count) noexcept { return (count & 0xff) == 0xff; }

std::uint16_t header_of(Bytes packet) noexcept {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(packet[0]) << 8 |
                                    std::to_integer<unsigned>(packet[1]));
}
void write_header(MutableBytes frame, unsigned header) noexcept {
  frame[0] = static_cast<std::byte>(header >> 8);
  frame[1] = static_cast<std::byte>(header);
}

// Equal parts of at most `most`: the size of the next one when `left` are left in `groups`.
struct Groups {
  Groups(unsigned all, unsigned most) noexcept : left(all), groups((all + most - 1) / most) {}
  unsigned next() noexcept {
    if (groups == 0) return 0;
    const unsigned size = (left + groups - 1) / groups;
    left -= size;
    --groups;
    return size;
  }
  unsigned left;
  unsigned groups;
};

// Whether a packet to open is the next one of its direction.
bool is_next(const MppeJob& job, std::uint16_t header, std::uint16_t count,
             std::uint32_t position) noexcept {
  return job.ahead == kAheadByCount ? (header & mppe::kCoherencyMask) == count
                                    : job.ahead == position;
}

// Whether the next packet of a stateful direction changes no key. `header`: of one to open.
bool keeps_key(const DirectionState& state, const MppeJob& job, std::uint16_t header,
               std::uint16_t count) noexcept {
  return !state.flush_wanted && !is_flag_packet(count) &&
         (job.work == MppeWork::kSeal || (header & mppe::kFlushed) == 0);
}

std::size_t blocks_of(std::size_t octets) noexcept { return (octets + 15) / 16; }

}  // namespace

MppeEngine::MppeEngine(const MppeKernels& kernels) noexcept : kernels_(kernels) {}

MppeEngine::~MppeEngine() { wipe_used(); }

void MppeEngine::change_keys(std::span<const std::byte, 16> start_key,
                             std::span<std::byte, 16> session_key, unsigned key_bits,
                             std::uint32_t steps) noexcept {
  step_chain(kernels_, {start_key.data(), session_key.data()}, key_bits, steps);
}

inline void MppeEngine::note(StackLow low) noexcept { stack_low_ = std::min(stack_low_, low); }

void MppeEngine::run(std::span<MppeJob> jobs, const MppeGapRule* rule) noexcept {
  if (jobs.size() == 1 && run_alone(jobs[0])) return;
  const unsigned count = static_cast<unsigned>(std::min(jobs.size(), kMaxJobs));
  scalar_ = kernels_.one_is_slow && count == 1;
  chain_count_ = 0;
  chain_index_.fill(kNone);
  for (unsigned n = 0; n < count; ++n) {
    Chain& chain = chain_of(*jobs[n].state);
    const auto number = static_cast<std::uint8_t>(n);
    (chain.first_job == kNone ? chain.first_job : next_job_[chain.last_job]) = number;
    chain.last_job = number;
    next_job_[n] = kNone;
  }
  bool later_wave = false;
  while (chain_count_ != 0) {
    fresh_count_ = running_count_ = rounds_ = 0;
    same_length_ = true;
    short_keys_ = false;
    opened_ = false;
    bool all_done = true;
    for (Chain& chain : std::span(chains_).first(chain_count_)) {
      if (later_wave) bring_up(chain);
      do {
        if (!plan(chain, jobs[chain.first_job], rule)) {
          all_done = false;
          break;
        }
        chain.first_job = next_job_[chain.first_job];
      } while (chain.first_job != kNone);
    }
    if (fresh_count_ != 0) {
      order_fresh();
      derive_keys();
      commit_sealed();
      stream_fresh();
      if (opened_) retire_opened();
    }
    if (running_count_ != 0) stream_running();
    if (all_done) break;
    const auto end = std::remove_if(chains_.begin(), chains_.begin() + chain_count_,
                                    [](const Chain& chain) { return chain.first_job == kNone; });
    chain_count_ = static_cast<unsigned>(end - chains_.begin());
    later_wave = true;
  }
  wipe_used();
}

[[gnu::always_inline]] inline MppeEngine::Chain& MppeEngine::chain_of(
    DirectionState& state) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(&state);
  auto at = static_cast<std::size_t>((address >> 2) * 0x9e3779b97f4a7c15U >> 57);
  for (; chain_index_[at] != kNone; at = (at + 1) % chain_index_.size())
    if (chains_[chain_index_[at]].state == &state) return chains_[chain_index_[at]];
  chain_index_[at] = static_cast<std::uint8_t>(chain_count_);
  Chain& chain = chains_[chain_count_++];
  chain = {&state, state.coherency, state.coherency, 0, kNone, 0, kNone, kNone};
  return chain;
}

// A stateful packet that is in order, changes no key and has the burst to itself: the engine plans
// nothing for it. False when it is not such a packet.
bool MppeEngine::run_alone(MppeJob& job) noexcept {
  DirectionState& state = *job.state;
  const std::size_t size = job.packet.size() - mppe::kHeaderSize;
  if (state.mode != Mode::kStateful || size - 1 >= kMaxOctets) return false;  // also too short
  const std::uint16_t header = header_of(job.packet);
  if (!keeps_key(state, job, header, state.coherency)) return false;
  if (job.work == MppeWork::kOpen &&
      ((header & mppe::kEncrypted) == 0 || !is_next(job, header, state.coherency, 0)))
    return false;
  if (size <= kernels_.few_octets) {
    crypt_next(job, state.coherency);
    return true;
  }
  RunningIndices at{};
  load_running(state, 0, at);
  note(kernels_.rc4.go_on[0](work_[0], &at, stream_[0], size));
  crypt_running(job, size, state.coherency, 0, at);
  work_used_ = lanes_used_ = 1;
  octets_used_ = size;
  wipe_used();
  return true;
}

// Planning goes on from where the state is. A wave moves it by less than the count wraps.
[[gnu::always_inline]] inline void MppeEngine::bring_up(Chain& chain) noexcept {
  chain.count = chain.state->coherency;
  chain.state_position +=
      static_cast<unsigned>(chain.count - chain.state_count) & mppe::kCoherencyMask;
  chain.state_count = chain.count;
  chain.last = kNone;
  chain.depth = 0;
}

// The scalar reference does it. Everything before it in its direction is done.
void MppeEngine::run_scalar(Chain& chain, MppeJob& job, const MppeGapRule* rule) noexcept {
  DirectionState& state = *job.state;
  if (job.work == MppeWork::kSeal) {
    job.result = mppe::seal(state, job.packet);
    return bring_up(chain);
  }
  const std::uint32_t missing = job.ahead == kAheadByCount ? mppe::counts_ahead(state, job.packet)
                                                           : job.ahead - chain.state_position;
  const std::uint32_t late = job.ahead == kAheadByCount ? mppe::kHalfCountSpace : 1U << 31;
  if (missing >= late) {
    job.result = std::unexpected(DropReason::mppe_gap);
    return;
  }
  const std::uint32_t steps =
      rule == nullptr ? 0 : mppe::extra_key_changes(state, job.packet, missing);
  if (steps != 0 && !rule->may_step(rule->context, job, steps)) {
    job.result = std::unexpected(DropReason::mppe_gap);
    return;
  }
  job.result = mppe::open(state, job.packet, missing, job.certain);
  if (!job.result) return;
  chain.state_position += missing + 1;
  chain.count = chain.state_count = state.coherency;
}

// Takes the job into this wave, or does it at once; false when it must wait, and what follows it
// too.
[[gnu::always_inline]] inline bool MppeEngine::plan(Chain& chain, MppeJob& job,
                                                    const MppeGapRule* rule) noexcept {
  DirectionState& state = *job.state;
  if (job.work == MppeWork::kSeal && state.mode == Mode::kStateless && !scalar_ &&
      job.packet.size() - mppe::kHeaderSize - 1 < kMaxOctets) {  // the most frequent case
    plan_stateless(chain, job);
    return true;
  }
  const auto refuse = [&job](DropReason reason) noexcept {
    job.result = std::unexpected(reason);
    return true;
  };
  if (state.mode == Mode::kOff) return refuse(DropReason::mppe_not_open);
  if (job.packet.size() <= mppe::kHeaderSize) return refuse(DropReason::mppe_truncated);
  const bool stateless = state.mode == Mode::kStateless;
  const std::uint16_t header = header_of(job.packet);
  if (job.work == MppeWork::kOpen) {
    opened_ = true;
    if ((header & mppe::kEncrypted) == 0) return refuse(DropReason::mppe_flags);
    if (stateless && (header & mppe::kFlushed) == 0) return refuse(DropReason::mppe_flags);
  }
  bool certain = !scalar_ && job.packet.size() - mppe::kHeaderSize <= kMaxOctets;
  if (job.work == MppeWork::kOpen)
    certain = certain && is_next(job, header, chain.count, chain.state_position + chain.depth);
  if (!stateless)
    certain = certain && chain.depth == 0 && keeps_key(state, job, header, chain.count);
  if (!certain) {
    if (chain.depth != 0) return false;
    run_scalar(chain, job, rule);
    return true;
  }
  if (stateless)
    plan_stateless(chain, job);
  else
    plan_running(chain, job);
  return true;
}

[[gnu::always_inline]] inline void MppeEngine::plan_stateless(Chain& chain, MppeJob& job) noexcept {
  const auto number = static_cast<std::uint8_t>(fresh_count_++);
  const std::size_t size = job.packet.size() - mppe::kHeaderSize;
  fresh_[number] = {
      &job, static_cast<std::uint16_t>(size), chain.count, chain.depth, number, number, false};
  same_length_ = same_length_ && blocks_of(size) == blocks_of(fresh_[0].size);
  short_keys_ = short_keys_ || chain.state->key_bits != 128;
  if (chain.depth == rounds_) round_start_[rounds_++] = 0;
  ++round_start_[chain.depth];  // a number of packets, as yet
  chain.count = next_count(chain.count);
  chain.last = number;
  ++chain.depth;
}

void MppeEngine::plan_running(Chain& chain, MppeJob& job) noexcept {
  const std::size_t size = job.packet.size() - mppe::kHeaderSize;
  // A direction that has the burst to itself goes on at once.
  if (chain_count_ == 1 && size <= kernels_.few_octets) {
    crypt_next(job, chain.count);
    return bring_up(chain);
  }
  chain.depth = 1;
  running_[running_count_++] = {&job, static_cast<std::uint16_t>(size), chain.count, 0, 0, 0,
                                false};
}

// Slots and ranks. They are equal where all packets have one length, and in a single round.
void MppeEngine::order_fresh() noexcept {
  static constexpr auto kIdentity = [] {
    std::array<std::uint8_t, kMaxJobs> all;
    for (std::size_t n = 0; n < all.size(); ++n) all[n] = static_cast<std::uint8_t>(n);
    return all;
  }();
  unsigned start = 0;
  for (unsigned round = 0; round < rounds_; ++round)
    start += std::exchange(round_start_[round], static_cast<std::uint8_t>(start));
  round_start_[rounds_] = static_cast<std::uint8_t>(start);
  ranks_are_slots_ = same_length_ || rounds_ == 1;
  if (rounds_ == 1) {
    by_slot_ = kIdentity;
  } else {
    std::array<std::uint8_t, kMaxJobs + 1> next = round_start_;
    for (unsigned n = 0; n < fresh_count_; ++n)
      by_slot_[next[fresh_[n].round]++] = static_cast<std::uint8_t>(n);
  }
  by_rank_ = by_slot_;
  if (!same_length_) sort(std::span(by_rank_).first(fresh_count_), fresh_.data());
  if (rounds_ == 1) by_slot_ = by_rank_;
  if (same_length_ && rounds_ == 1) return;  // as planned
  for (unsigned n = 0; n < fresh_count_; ++n) {
    fresh_[by_slot_[n]].slot = static_cast<std::uint8_t>(n);
    fresh_[by_rank_[n]].rank = static_cast<std::uint8_t>(n);
  }
}

// Keys and tables. A round takes the next packet of each chain: its interim key, and beside the
// set-up with that the second set-up of the packets of the round before.
void MppeEngine::derive_keys() noexcept {
  keys_used_ = std::max(keys_used_, fresh_count_);
  unsigned before = 0;
  for (unsigned round = 0; round < rounds_; ++round) {
    const unsigned first = round_start_[round];
    const unsigned end = round_start_[round + 1];
    derive_round(first, end);
    set_up(before, first, end);
    before = first;
  }
  set_up(before, fresh_count_, fresh_count_);
}

// Interim keys of the packets of a round.
void MppeEngine::derive_round(unsigned first, unsigned end) noexcept {
  std::array<NewKey, kMaxJobs> keys;
  for (const unsigned octets : {16U, 8U}) {
    if (octets == 8 && !short_keys_) break;
    NewKey* next = keys.data();
    for (unsigned slot = first; slot < end; ++slot) {
      const Planned& planned = fresh_[by_slot_[slot]];
      const DirectionState& state = *planned.job->state;
      if (short_keys_ && crypto::key_octets(state.key_bits) != octets) continue;
      const std::byte* session_key =
          planned.round == 0 ? state.session_key.data() : keys_[(&planned - 1)->slot];
      *next++ = {state.start_key.data(), session_key, keys_[slot]};
    }
    const auto count = static_cast<unsigned>(next - keys.data());
    (count <= kernels_.few_keys ? kernels_.few_new_keys : kernels_.new_keys)(keys.data(), count,
                                                                             octets);
  }
}

// Slots before `middle` have their session key: their tables are parked. The others have an interim
// key, which becomes the session key.
void MppeEngine::set_up(unsigned first, unsigned middle, unsigned end) noexcept {
  Groups groups(end - first, kernels_.lanes);
  while (const unsigned size = groups.next()) {
    const unsigned lanes = std::max(size, kernels_.fewest_lanes);
    if (first + size <= middle && ranks_are_slots_) {
      note(kernels_.rc4.set_keys[lanes - 1](parked_[first], keys_[first]));
    } else {
      work_used_ = std::max(work_used_, lanes);
      if (first >= middle) {
        note(kernels_.rc4.change_keys[lanes - 1](work_[0], keys_[first]));
        reduce_keys(first, size);
      } else {
        note(kernels_.rc4.set_keys[lanes - 1](work_[0], keys_[first]));
        unsigned lane = 0;
        for (; lane < size && first + lane < middle; ++lane) park(first + lane, lane);
        if (lane < size) finish_keys(first + lane, lane, size - lane);
      }
    }
    first += size;
  }
}

void MppeEngine::park(unsigned slot, unsigned lane) noexcept {
  std::memcpy(parked_[fresh_[by_slot_[slot]].rank], work_[lane], kRc4TableSize);
}

void MppeEngine::finish_keys(unsigned slot, unsigned lane, unsigned count) noexcept {
  std::uint8_t j[kMaxRc4Lanes] = {};
  note(kernels_.rc4.generate_one[count - 1](work_[lane], j, stream_[0], 1, 0, false));
  lanes_used_ = std::max(lanes_used_, count);
  octets_used_ = std::max<std::size_t>(octets_used_, 16);
  for (unsigned n = 0; n < count; ++n) {
    std::uint64_t key[2];
    std::uint64_t stream[2];
    std::memcpy(key, keys_[slot + n], 16);
    std::memcpy(stream, stream_[n], 16);
    key[0] ^= stream[0];
    key[1] ^= stream[1];
    std::memcpy(keys_[slot + n], key, 16);
  }
  reduce_keys(slot, count);
}

void MppeEngine::reduce_keys(unsigned slot, unsigned count) noexcept {
  if (!short_keys_) return;
  for (unsigned n = 0; n < count; ++n) {
    std::byte* key = keys_[slot + n];
    const unsigned bits = fresh_[by_slot_[slot + n]].job->state->key_bits;
    if (bits == 128) continue;
    crypto::reduce_key(std::span<std::byte, 16>(key, 16), bits);
    std::memcpy(key + 8, key, 8);
  }
}

namespace {

// (key, count) becomes the state of its direction. `key` as in keys_; its second copy is cleared.
void commit(DirectionState& state, std::byte* key, std::uint16_t count) noexcept {
  if (state.key_bits != 128) std::memset(key + 8, 0, 8);
  mppe::commit(state, std::span<const std::byte, 16>(key, 16), next_count(count));
  state.started = true;
}

}  // namespace

// Before the first octet is encrypted, so that a key is never used twice.
void MppeEngine::commit_sealed() noexcept {
  for (unsigned n = 0; n < chain_count_; ++n) {
    const Chain& chain = chains_[n];
    if (chain.last == kNone || fresh_[chain.last].job->work != MppeWork::kSeal) continue;
    const Planned& last = fresh_[chain.last];
    commit(*chain.state, keys_[last.slot], last.count);
  }
}

// Longest first, to 16 octets; those of one length in the order given.
void MppeEngine::sort(std::span<std::uint8_t> order, const Planned* planned) noexcept {
  constexpr std::size_t kBuckets = kMaxOctets / 16 + 1;
  std::size_t least = kBuckets;
  std::size_t most = 0;
  for (const std::uint8_t n : order) {
    const std::size_t blocks = blocks_of(planned[n].size);
    least = std::min(least, blocks);
    most = std::max(most, blocks);
  }
  if (least == most) return;
  std::array<std::uint8_t, kBuckets + 1> start;
  std::fill(start.begin() + static_cast<std::ptrdiff_t>(least),
            start.begin() + static_cast<std::ptrdiff_t>(most) + 1, std::uint8_t{0});
  for (const std::uint8_t n : order) ++start[blocks_of(planned[n].size)];
  unsigned at = 0;
  for (std::size_t blocks = most + 1; blocks-- > least;) {
    const unsigned here = start[blocks];
    start[blocks] = static_cast<std::uint8_t>(at);
    at += here;
  }
  std::array<std::uint8_t, kMaxJobs> sorted;
  for (const std::uint8_t n : order) sorted[start[blocks_of(planned[n].size)]++] = n;
  std::copy_n(sorted.begin(), order.size(), order.begin());
}

inline void MppeEngine::crypt_fresh(Planned& planned, const std::byte* stream) noexcept {
  MppeJob& job = *planned.job;
  if (job.work == MppeWork::kOpen) return open_fresh(planned, stream);
  std::byte* data = job.packet.data() + mppe::kHeaderSize;
  kernels_.combine(data, data, stream, planned.size);
  write_header(job.packet,
               mppe::kFlushed | mppe::kEncrypted | static_cast<unsigned>(planned.count));
  job.result = job.packet;
}

// Judged here as if every count before it had come; retire_opened() judges again when not.
void MppeEngine::open_fresh(Planned& planned, const std::byte* stream) noexcept {
  std::byte* data = planned.job->packet.data() + mppe::kHeaderSize;
  std::array<std::byte, mppe::kPlausibleHead> head;
  const std::size_t size = std::min<std::size_t>(planned.size, head.size());
  kernels_.combine(head.data(), data, stream, size);
  planned.good =
      mppe::is_plausible(std::span(head).first(size), planned.size, planned.job->certain);
  if (planned.good) kernels_.combine(data, data, stream, planned.size);
}

void MppeEngine::stream_fresh() noexcept {
  Groups groups(fresh_count_, kernels_.lanes);
  unsigned first = 0;
  while (const unsigned size = groups.next()) {
    const auto blocks = [this, first](unsigned lane) noexcept {
      return blocks_of(fresh_[by_rank_[first + lane]].size);
    };
    std::uint8_t j[kMaxRc4Lanes] = {};
    std::size_t done = 0;
    for (unsigned lanes = size;;) {
      std::size_t until = blocks(0);
      if (until - blocks(lanes - 1) > kSameLength / 16) until = blocks(lanes - 1);
      const std::size_t more = until - done;
      const auto& generate = more <= kFewBlocks ? kernels_.rc4.generate_few : kernels_.rc4.generate;
      note(generate[lanes - 1](parked_[first], j, stream_[0] + 16 * done, more, 16 * done,
                               until != blocks(0)));
      done = until;
      if (done == blocks(0)) break;
      while (blocks(lanes - 1) <= done) --lanes;
    }
    lanes_used_ = std::max(lanes_used_, size);
    octets_used_ = std::max(octets_used_, 16 * done);
    for (unsigned lane = 0; lane < size; ++lane)
      crypt_fresh(fresh_[by_rank_[first + lane]], stream_[lane]);
    first += size;
  }
}

// A packet that did not open leaves its session's state behind the counts of those after it. Their
// keys are made already, so the gap costs nothing more; but their text must be certain.
void MppeEngine::retire_opened() noexcept {
  for (unsigned n = 0; n < fresh_count_; ++n) {
    Planned& planned = fresh_[n];
    MppeJob& job = *planned.job;
    if (job.work == MppeWork::kSeal) continue;
    DirectionState& state = *job.state;
    const unsigned gap =
        static_cast<unsigned>(planned.count - state.coherency) & mppe::kCoherencyMask;
    const MutableBytes data = job.packet.subspan(mppe::kHeaderSize);
    if (planned.good && gap != 0)
      planned.good = mppe::is_plausible(data.first(std::min(data.size(), mppe::kPlausibleHead)),
                                        data.size(), true);
    if (!planned.good) {
      job.result = std::unexpected(DropReason::mppe_garbage);
      continue;
    }
    commit(state, keys_[planned.slot], planned.count);
    job.result = data;
  }
}

// Does as the scalar reference with a stateful packet that is certain and changes no key.
void MppeEngine::crypt_next(MppeJob& job, unsigned count) noexcept {
  const MutableBytes data = job.packet.subspan(mppe::kHeaderSize);
  if (job.work == MppeWork::kSeal) {
    mppe::seal_next(*job.state, data);
    write_header(job.packet, mppe::kEncrypted | count);
    job.result = job.packet;
  } else if (mppe::open_next(*job.state, data, job.certain)) {
    job.result = data;
  } else {
    job.result = std::unexpected(DropReason::mppe_garbage);
  }
}

void MppeEngine::stream_running() noexcept {
  if (running_count_ == 1 && running_[0].size <= kernels_.few_octets) {
    crypt_next(*running_[0].job, running_[0].count);
    return;
  }
  std::array<std::uint8_t, kMaxJobs> all;
  for (unsigned n = 0; n < running_count_; ++n) all[n] = static_cast<std::uint8_t>(n);
  const std::span order = std::span(all).first(running_count_);
  sort(order, running_.data());
  // To the octet: a stream must not run beyond its packet.
  for (std::size_t n = 1; n < order.size(); ++n)
    for (std::size_t at = n; at != 0 && running_[order[at - 1]].size < running_[order[at]].size;
         --at)
      std::swap(order[at - 1], order[at]);

  Groups groups(running_count_, kernels_.running_lanes);
  unsigned first = 0;
  while (const unsigned size = groups.next()) {
    RunningIndices at{};
    for (unsigned lane = 0; lane < size; ++lane)
      load_running(*running_[order[first + lane]].job->state, lane, at);
    work_used_ = std::max(work_used_, size);
    lanes_used_ = std::max(lanes_used_, size);
    std::size_t done = 0;
    for (unsigned lanes = size; lanes != 0; --lanes) {
      const std::size_t until = running_[order[first + lanes - 1]].size;
      if (until == done) continue;
      note(kernels_.rc4.go_on[lanes - 1](work_[0], &at, stream_[0] + done, until - done));
      done = until;
    }
    octets_used_ = std::max(octets_used_, done);
    for (unsigned lane = 0; lane < size; ++lane) {
      const Planned& planned = running_[order[first + lane]];
      crypt_running(*planned.job, planned.size, planned.count, lane, at);
    }
    first += size;
  }
}

[[gnu::always_inline]] inline void MppeEngine::load_running(const DirectionState& state,
                                                            unsigned lane,
                                                            RunningIndices& at) noexcept {
  std::memcpy(work_[lane], state.rc4_s.data(), kRc4TableSize);
  at.i[lane] = state.rc4_i;
  at.j[lane] = state.rc4_j;
}

// The key stream is at stream_[lane], and the table behind it at work_[lane].
void MppeEngine::crypt_running(MppeJob& job, std::size_t octets, std::uint16_t count, unsigned lane,
                               const RunningIndices& at) noexcept {
  DirectionState& state = *job.state;
  std::byte* data = job.packet.data() + mppe::kHeaderSize;
  if (job.work == MppeWork::kSeal) {
    state.coherency = next_count(count);
    kernels_.combine(data, data, stream_[lane], octets);
    write_header(job.packet, mppe::kEncrypted | static_cast<unsigned>(count));
    job.result = job.packet;
  } else {
    std::array<std::byte, mppe::kPlausibleHead> head;
    const std::size_t size = std::min<std::size_t>(octets, head.size());
    kernels_.combine(head.data(), data, stream_[lane], size);
    if (!mppe::is_plausible(std::span(head).first(size), octets, job.certain)) {
      job.result = std::unexpected(DropReason::mppe_garbage);
      return;
    }
    kernels_.combine(data, data, stream_[lane], octets);
    state.coherency = next_count(count);
    job.result = job.packet.subspan(mppe::kHeaderSize);
  }
  std::memcpy(state.rc4_s.data(), work_[lane], kRc4TableSize);
  state.rc4_i = at.i[lane];
  state.rc4_j = at.j[lane];
  state.started = true;
}

void MppeEngine::wipe_used() noexcept {
  const auto wipe_front = [this](void* memory, std::size_t size) noexcept {
    kernels_.clear(memory, (size + 63) / 64 * 64);
  };
  if (keys_used_ != 0) {
    wipe_front(keys_, (keys_used_ + 1) * sizeof(keys_[0]));
    wipe_front(parked_, (keys_used_ + 1) * sizeof(parked_[0]));
  }
  wipe_front(work_, work_used_ * sizeof(work_[0]));
  for (unsigned lane = 0; lane < lanes_used_; ++lane) wipe_front(stream_[lane], octets_used_);
  kernels_.clear_stack(std::exchange(stack_low_, kCleanStack));
  keys_used_ = 0;
  lanes_used_ = 0;
  work_used_ = 0;
  octets_used_ = 0;
}

}  // namespace pns::dataplane
