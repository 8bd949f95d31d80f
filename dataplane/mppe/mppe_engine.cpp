// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mppe/mppe_engine.hpp"

#include <algorithm>
#include <cstring>

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

// The scalar reference does it.
void alone(MppeJob& job, const MppeGapRule* rule) noexcept {
  DirectionState& state = *job.state;
  if (job.work == MppeWork::kSeal) {
    job.result = mppe::seal(state, job.packet);
    return;
  }
  const unsigned steps = rule == nullptr ? 0 : mppe::steps_asked(state, job.packet);
  if (steps != 0 && !rule->may_step(rule->context, job, steps)) {
    job.result = std::unexpected(DropReason::mppe_gap);
    return;
  }
  job.result = mppe::open(state, job.packet);
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

std::size_t blocks_of(std::size_t octets) noexcept { return (octets + 15) / 16; }

}  // namespace

MppeEngine::MppeEngine(MppeVariant variant) noexcept : kernels_(kernels_of(variant)) {}

MppeEngine::~MppeEngine() { wipe_used(); }

void MppeEngine::run(std::span<MppeJob> jobs, const MppeGapRule* rule) noexcept {
  const unsigned count = static_cast<unsigned>(std::min(jobs.size(), kMostJobs));
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
  while (chain_count_ != 0) {
    fresh_count_ = running_count_ = rounds_ = 0;
    short_keys_ = false;
    for (Chain& chain : std::span(chains_).first(chain_count_)) {
      chain.count = chain.state->coherency;
      chain.last = kNone;
      chain.depth = 0;
      while (chain.first_job != kNone && plan(chain, jobs[chain.first_job], rule))
        chain.first_job = next_job_[chain.first_job];
    }
    if (fresh_count_ != 0) {
      for (unsigned n = 0; n < fresh_count_; ++n) by_rank_[n] = static_cast<std::uint8_t>(n);
      sort(std::span(by_rank_).first(fresh_count_), fresh_.data());
      for (unsigned n = 0; n < fresh_count_; ++n)
        fresh_[by_rank_[n]].rank = static_cast<std::uint8_t>(n);
      derive_keys();
      commit_sealed();
      stream_fresh();
      retire_opened(rule);
    }
    if (running_count_ != 0) stream_running();
    const auto end = std::remove_if(chains_.begin(), chains_.begin() + chain_count_,
                                    [](const Chain& chain) { return chain.first_job == kNone; });
    chain_count_ = static_cast<unsigned>(end - chains_.begin());
  }
  wipe_used();
}

MppeEngine::Chain& MppeEngine::chain_of(DirectionState& state) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(&state);
  auto at = static_cast<std::size_t>((address >> 2) * 0x9e3779b97f4a7c15U >> 57);
  for (; chain_index_[at] != kNone; at = (at + 1) % chain_index_.size())
    if (chains_[chain_index_[at]].state == &state) return chains_[chain_index_[at]];
  chain_index_[at] = static_cast<std::uint8_t>(chain_count_);
  Chain& chain = chains_[chain_count_++];
  chain = {&state, 0, kNone, 0, kNone, kNone};
  return chain;
}

// Takes the job into this wave, or does it at once; false when it must wait, and what follows it
// too.
bool MppeEngine::plan(Chain& chain, MppeJob& job, const MppeGapRule* rule) noexcept {
  DirectionState& state = *job.state;
  const auto refuse = [&job](DropReason reason) noexcept {
    job.result = std::unexpected(reason);
    return true;
  };
  if (state.mode == Mode::kOff) return refuse(DropReason::mppe_not_open);
  if (job.packet.size() <= mppe::kHeaderSize) return refuse(DropReason::mppe_truncated);
  const bool stateless = state.mode == Mode::kStateless;
  const std::uint16_t header = header_of(job.packet);
  if (job.work == MppeWork::kOpen) {
    if ((header & mppe::kEncrypted) == 0) return refuse(DropReason::mppe_flags);
    if (stateless && (header & mppe::kFlushed) == 0) return refuse(DropReason::mppe_flags);
  }
  bool certain = !scalar_ && job.packet.size() - mppe::kHeaderSize <= kMostOctets;
  if (job.work == MppeWork::kOpen)
    certain = certain && (header & mppe::kCoherencyMask) == chain.count;
  if (!stateless) {
    certain = certain && chain.depth == 0 && !state.flush_wanted && !is_flag_packet(chain.count);
    if (job.work == MppeWork::kOpen) certain = certain && (header & mppe::kFlushed) == 0;
  }
  if (!certain) {
    if (chain.depth != 0) return false;
    alone(job, rule);
    chain.count = state.coherency;
    return true;
  }
  if (stateless) {
    plan_stateless(chain, job);
  } else {
    chain.depth = 1;
    running_[running_count_++] = {
        &job,        static_cast<std::uint16_t>(job.packet.size() - mppe::kHeaderSize),
        chain.count, kNone,
        0,           kNone,
        false};
  }
  return true;
}

void MppeEngine::plan_stateless(Chain& chain, MppeJob& job) noexcept {
  const auto number = static_cast<std::uint8_t>(fresh_count_++);
  fresh_[number] = {&job,        static_cast<std::uint16_t>(job.packet.size() - mppe::kHeaderSize),
                    chain.count, chain.last,
                    0,           kNone,
                    false};
  if (chain.depth == rounds_) {
    round_first_[rounds_++] = number;
  } else {
    fresh_[round_last_[chain.depth]].next = number;
  }
  round_last_[chain.depth] = number;
  chain.count = next_count(chain.count);
  chain.last = number;
  ++chain.depth;
  short_keys_ = short_keys_ || chain.state->key_bits != 128;
}

// Keys and tables. A round takes the next packet of each chain: its interim key, and beside the
// set-up with that the second set-up of the packets of the round before.
void MppeEngine::derive_keys() noexcept {
  std::array<SetUp, 2 * kMostJobs> all;
  std::array<std::uint8_t, kMostJobs> ranked;  // those of the round before, by rank
  unsigned before = 0;
  for (unsigned round = 0; round <= rounds_; ++round) {
    unsigned count = 0;
    unsigned derived = 0;
    if (round < rounds_) {
      derive_round(round_first_[round]);
      for (std::uint8_t n = round_first_[round]; n != kNone; n = fresh_[n].next)
        all[count++] = {n, true};
      derived = count;
    }
    for (unsigned n = 0; n < before; ++n) all[count++] = {ranked[n], false};
    set_up(std::span(all).first(count));
    before = derived;
    if (rounds_ == 1) {
      std::copy_n(by_rank_.begin(), before, ranked.begin());
    } else {
      for (unsigned n = 0; n < before; ++n) ranked[n] = all[n].planned;
    }
  }
}

// Interim keys of the packets of a round.
void MppeEngine::derive_round(std::uint8_t first) noexcept {
  std::array<NewKey, kMostJobs> keys;
  for (const unsigned octets : {16U, 8U}) {
    if (octets == 8 && !short_keys_) break;
    unsigned count = 0;
    for (std::uint8_t n = first; n != kNone; n = fresh_[n].next) {
      const DirectionState& state = *fresh_[n].job->state;
      if (crypto::key_octets(state.key_bits) != octets) continue;
      const std::byte* session_key =
          fresh_[n].before == kNone ? state.session_key.data() : keys_[fresh_[n].before];
      keys[count++] = {state.start_key.data(), session_key, keys_[n]};
    }
    if (count <= kernels_.few_keys) {
      for (unsigned n = 0; n < count; ++n) kernels_.new_key(keys[n], octets);
    } else {
      kernels_.new_keys(keys.data(), count, octets);
    }
  }
  keys_used_ = std::max(keys_used_, fresh_count_);
}

// `all`: first those with an interim key, which then becomes the session key; the tables of the
// others are parked.
void MppeEngine::set_up(std::span<SetUp> all) noexcept {
  Groups groups(static_cast<unsigned>(all.size()), kernels_.lanes);
  while (const unsigned size = groups.next()) {
    const std::span<const SetUp> group = all.first(size);
    all = all.subspan(size);
    for (unsigned lane = 0; lane < size; ++lane)
      std::memcpy(lane_keys_[lane], keys_[group[lane].planned], 16);
    bool in_place = size > 1;
    for (unsigned lane = 0; lane < size; ++lane)
      in_place = in_place && !group[lane].first &&
                 fresh_[group[lane].planned].rank == fresh_[group[0].planned].rank + lane;
    if (in_place) {
      kernels_.set_keys(parked_[fresh_[group[0].planned].rank], lane_keys_[0], size);
      continue;
    }
    // One stream alone waits for itself: with another beside it, whatever its key, it is done
    // sooner.
    kernels_.set_keys(work_[0], lane_keys_[0], std::max(size, 2U));
    finish_keys(group);
    work_used_ = true;
  }
}

void MppeEngine::finish_keys(std::span<const SetUp> group) noexcept {
  unsigned firsts = 0;
  while (firsts < group.size() && group[firsts].first) ++firsts;
  for (std::size_t lane = firsts; lane < group.size(); ++lane)
    std::memcpy(parked_[fresh_[group[lane].planned].rank], work_[lane], kRc4TableSize);
  if (firsts == 0) return;
  std::uint8_t j[kMostRc4Lanes] = {};
  kernels_.generate(work_[0], j, stream_[0], 1, 0, firsts);
  octets_used_ = std::max<std::size_t>(octets_used_, 16);
  for (unsigned lane = 0; lane < firsts; ++lane) {
    std::byte* key = keys_[group[lane].planned];
    const unsigned bits = fresh_[group[lane].planned].job->state->key_bits;
    kernels_.combine(key, key, stream_[lane], 16);
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
    commit(*chain.state, keys_[chain.last], fresh_[chain.last].count);
  }
}

// Longest first, to 16 octets; those of one length in the order given.
void MppeEngine::sort(std::span<std::uint8_t> order, const Planned* planned) noexcept {
  constexpr std::size_t kBuckets = kMostOctets / 16 + 1;
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
  std::array<std::uint8_t, kMostJobs> sorted;
  for (const std::uint8_t n : order) sorted[start[blocks_of(planned[n].size)]++] = n;
  std::copy_n(sorted.begin(), order.size(), order.begin());
}

void MppeEngine::stream_fresh() noexcept {
  Groups groups(fresh_count_, kernels_.lanes);
  unsigned first = 0;
  while (const unsigned size = groups.next()) {
    const auto blocks = [this, first](unsigned lane) noexcept {
      return blocks_of(fresh_[by_rank_[first + lane]].size);
    };
    std::uint8_t j[kMostRc4Lanes] = {};
    std::size_t done = 0;
    for (unsigned lanes = size; lanes != 0;) {
      std::size_t until = blocks(0);
      if (until - blocks(lanes - 1) > kSameLength / 16) until = blocks(lanes - 1);
      kernels_.generate(parked_[first], j, stream_[0] + 16 * done, until - done, 16 * done, lanes);
      done = until;
      while (lanes != 0 && blocks(lanes - 1) <= done) --lanes;
    }
    octets_used_ = std::max(octets_used_, 16 * done);
    for (unsigned lane = 0; lane < size; ++lane) crypt_fresh(fresh_[by_rank_[first + lane]], lane);
    first += size;
  }
}

// Judged here as if every count before it had come; retire_opened() judges again when not.
void MppeEngine::crypt_fresh(Planned& planned, unsigned lane) noexcept {
  const MutableBytes packet = planned.job->packet;
  std::byte* data = packet.data() + mppe::kHeaderSize;
  if (planned.job->work == MppeWork::kSeal) {
    kernels_.combine(data, data, stream_[lane], planned.size);
    write_header(packet, mppe::kFlushed | mppe::kEncrypted | static_cast<unsigned>(planned.count));
    planned.job->result = packet;
    return;
  }
  std::array<std::byte, mppe::kPlausibleHead> head;
  const std::size_t size = std::min<std::size_t>(planned.size, head.size());
  kernels_.combine(head.data(), data, stream_[lane], size);
  planned.good = mppe::is_plausible(std::span(head).first(size), planned.size, false);
  if (planned.good) kernels_.combine(data, data, stream_[lane], planned.size);
}

// Packets that came before one, and were none of their session's, leave it ahead of the count.
void MppeEngine::retire_opened(const MppeGapRule* rule) noexcept {
  for (unsigned n = 0; n < fresh_count_; ++n) {
    Planned& planned = fresh_[n];
    MppeJob& job = *planned.job;
    if (job.work == MppeWork::kSeal) continue;
    DirectionState& state = *job.state;
    const unsigned gap =
        static_cast<unsigned>(planned.count - state.coherency) & mppe::kCoherencyMask;
    if (gap != 0 && rule != nullptr && !rule->may_step(rule->context, job, gap)) {
      job.result = std::unexpected(DropReason::mppe_gap);
      continue;
    }
    const MutableBytes data = job.packet.subspan(mppe::kHeaderSize);
    if (planned.good && gap != 0)
      planned.good = mppe::is_plausible(data.first(std::min(data.size(), mppe::kPlausibleHead)),
                                        data.size(), true);
    if (!planned.good) {
      job.result = std::unexpected(DropReason::mppe_garbage);
      continue;
    }
    commit(state, keys_[n], planned.count);
    job.result = data;
  }
}

void MppeEngine::stream_running() noexcept {
  std::array<std::uint8_t, kMostJobs> all;
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
    for (unsigned lane = 0; lane < size; ++lane) {
      const DirectionState& state = *running_[order[first + lane]].job->state;
      std::memcpy(work_[lane], state.rc4_s.data(), kRc4TableSize);
      at.i[lane] = state.rc4_i;
      at.j[lane] = state.rc4_j;
    }
    work_used_ = true;
    std::size_t done = 0;
    for (unsigned lanes = size; lanes != 0; --lanes) {
      const std::size_t until = running_[order[first + lanes - 1]].size;
      if (until == done) continue;
      kernels_.go_on(work_[0], at, stream_[0] + done, until - done, lanes);
      done = until;
    }
    octets_used_ = std::max(octets_used_, done);
    for (unsigned lane = 0; lane < size; ++lane)
      crypt_running(running_[order[first + lane]], lane, at);
    first += size;
  }
}

void MppeEngine::crypt_running(Planned& planned, unsigned lane, const RunningIndices& at) noexcept {
  MppeJob& job = *planned.job;
  DirectionState& state = *job.state;
  std::byte* data = job.packet.data() + mppe::kHeaderSize;
  if (job.work == MppeWork::kSeal) {
    state.coherency = next_count(planned.count);
    kernels_.combine(data, data, stream_[lane], planned.size);
    write_header(job.packet, mppe::kEncrypted | static_cast<unsigned>(planned.count));
    job.result = job.packet;
  } else {
    std::array<std::byte, mppe::kPlausibleHead> head;
    const std::size_t size = std::min<std::size_t>(planned.size, head.size());
    kernels_.combine(head.data(), data, stream_[lane], size);
    if (!mppe::is_plausible(std::span(head).first(size), planned.size, false)) {
      job.result = std::unexpected(DropReason::mppe_garbage);
      return;
    }
    kernels_.combine(data, data, stream_[lane], planned.size);
    mppe::commit(state, state.session_key, next_count(planned.count));
    job.result = job.packet.subspan(mppe::kHeaderSize);
  }
  std::memcpy(state.rc4_s.data(), work_[lane], kRc4TableSize);
  state.rc4_i = at.i[lane];
  state.rc4_j = at.j[lane];
  state.started = true;
}

void MppeEngine::wipe_used() noexcept {
  wipe(std::as_writable_bytes(std::span(keys_).first(keys_used_)));
  for (unsigned n = 0; n < keys_used_; ++n) wipe(std::as_writable_bytes(std::span(parked_[n])));
  if (work_used_) wipe(std::as_writable_bytes(std::span(work_)));
  if (keys_used_ != 0) wipe(std::as_writable_bytes(std::span(lane_keys_)));
  for (auto& stream : stream_)
    wipe(std::span(stream).first(std::min(octets_used_, sizeof(stream))));
  keys_used_ = 0;
  octets_used_ = 0;
  work_used_ = false;
}

}  // namespace pns::dataplane
