// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/mppe_gap.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/gre/gap_queue.hpp"
#include "dataplane/gre/sequence_window.hpp"
#include "dataplane/pipeline/mppe_open.hpp"

namespace pns::dataplane {
namespace {

using Entry = GapQueue::Entry;

// Steps that the token buckets are asked for at a time.
constexpr std::uint32_t kStepsAtOnce = 64;
// Gaps of more key steps than this are long.
constexpr std::uint32_t kShortGap = 1'024;
// Steps of one session before the turn goes to the next. Nearly every real gap is shorter, so that
// one session after the other gets over its gap and its tokens back.
constexpr std::uint32_t kTurn = 32'768;
// Cost of trying a packet, in key steps: a key set-up, and several key changes of a stateful one.
constexpr std::uint32_t kTrySteps = 2;
constexpr std::uint32_t kStatefulTrySteps = 2 * (mppe::kMaxLostFlushes + 1);
// When no bucket has a token left.
constexpr std::uint64_t kPauseNs = 1'000'000;
// A burst has room for what other stages append.
constexpr std::uint16_t kMaxReleased = Burst::kReceive;

// One slice of work.
class Slice {
 public:
  Slice(Burst& out, StageContext& stage) noexcept
      : out_(out),
        stage_(stage),
        queue_(stage.gaps),
        number_(stage.gaps.begin_slice()),
        left_(slice_steps(stage)) {}

  std::uint32_t run() noexcept {
    if (Entry* const expired = queue_.find_expired(stage_.now_ns); expired != nullptr)
      give_up_all(*expired, is_current(*expired) ? DropReason::mppe_gap : DropReason::no_session);
    unsigned blocked = 0;    // sessions that have no tokens
    unsigned dry_lists = 0;  // whose token bucket is empty
    while (!queue_.empty() && left_ != 0 && out_.count < kMaxReleased) {
      Entry& entry = queue_.front();
      if (entry.released_in == number_) break;  // its packets are in this burst
      tokens_ = Tokens::kLeft;
      work(entry);
      if (tokens_ == Tokens::kNoneForWorker) {
        const bool other = !queue_.empty() && queue_.serve_other_list();
        if (other && ++dry_lists == 1) continue;
      } else if (tokens_ != Tokens::kNoneForSession || ++blocked != kMaxBlocked) {
        continue;
      }
      queue_.pause_until(stage_.now_ns + kPauseNs);
      break;
    }
    return made_;
  }

 private:
  enum class Tokens : std::uint8_t { kLeft, kNoneForSession, kNoneForWorker };
  // Sessions without tokens that are looked at in one slice.
  static constexpr unsigned kMaxBlocked = 32;

  static std::uint32_t slice_steps(const StageContext& stage) noexcept {
    return std::max(key_steps_in(kGapSliceNs, stage.gaps.settings().step_ns), 16U);
  }

  [[nodiscard]] bool is_current(const Entry& entry) const noexcept {
    return stage_.sessions.is_current(entry.slot, entry.generation);
  }

  // Works on the front entry; then it is gone, or the next one's turn has come, or the slice is at
  // its end.
  void work(Entry& entry) noexcept {
    contract::SessionRecord* const session = stage_.sessions.record(entry.slot);
    const bool current = is_current(entry);
    if (!current || entry.stale || session->upstream.mppe.mode == mppe::Mode::kOff) {
      give_up_all(entry, current ? DropReason::mppe_not_open : DropReason::no_session);
    } else if (entry.first != nullptr) {
      follow_session(entry, session->upstream.mppe);
      if (release_in_order(entry, session->upstream.mppe))
        entry.released_in = number_;
      else
        step(entry, *session);
    }
    if (entry.first == nullptr) {
      if (current && !entry.stale) session->upstream.gap_entry = 0;
      queue_.release_front();
    } else if (entry.turn >= kTurn || tokens_ == Tokens::kNoneForSession ||
               entry.released_in == number_ || entry.long_gap != queue_.serves_long_gap()) {
      entry.turn = 0;
      queue_.rotate();
    }
  }

  // The session may have opened packets meanwhile: its chain has moved towards the copy.
  static void follow_session(Entry& entry, const mppe::DirectionState& state) noexcept {
    if (state.gre_sequence == entry.base_sequence && state.coherency == entry.base_count) return;
    entry.tried = false;
    const unsigned moved =
        static_cast<unsigned>(state.coherency - entry.base_count) & mppe::kCoherencyMask;
    if (state.mode != mppe::Mode::kStateless || moved > entry.steps ||
        state.gre_sequence - entry.base_sequence > mppe::kCoherencyMask - kUnnumbered)
      return GapQueue::restart(entry, state);
    entry.steps -= moved;
    entry.base_count = state.coherency;
    entry.base_sequence = state.gre_sequence;
  }

  // Packets at the front that are in order go back to MPPE together. True: some did.
  bool release_in_order(Entry& entry, const mppe::DirectionState& state) noexcept {
    std::uint32_t released = 0;
    while (entry.first != nullptr && out_.count < kMaxReleased) {
      const MutableBytes packet = octets_of(entry.first);
      const MissingPackets missing =
          missing_before(state, context_of(entry.first).sequence, packet);
      if (missing.late || missing.farthest != released) break;
      // A flushed packet may cost key changes though nothing is missing.
      if (released == 0 && mppe::extra_key_changes(state, packet, 0) != 0) break;
      push(queue_.take_first(entry));
      ++released;
    }
    return released != 0;
  }

  // Steps the chain towards the first packet, tries to open it, and takes it out when it opened or
  // cannot be opened.
  void step(Entry& entry, contract::SessionRecord& session) noexcept {
    contract::UpstreamState& up = session.upstream;
    mppe::DirectionState& state = up.mppe;
    PacketContext& context = context_of(entry.first);
    const MutableBytes packet = octets_of(entry.first);
    const MissingPackets missing = missing_before(state, context.sequence, packet);
    if (missing.late ||
        stage_.now_ns - GapQueue::waits_since_ns(entry.first) > GapQueue::kMaxWaitNs)
      return give_up(entry, DropReason::mppe_gap);
    const bool flushed = (std::to_integer<unsigned>(packet[0]) & mppe::kFlushed >> 8) != 0;
    if (state.mode == mppe::Mode::kStateful && !flushed) {
      request_reset(out_, stage_, context);
      return give_up(entry, DropReason::mppe_resync);
    }
    const bool is_long = mppe::key_changes(state, missing.farthest) > kShortGap;
    if (std::exchange(entry.long_gap, is_long) != is_long) entry.charged = 0;
    if (entry.long_gap != queue_.serves_long_gap()) return;  // its turn comes in the other list
    if (!entry.tried) entry.next_try = missing.nearest;
    entry.tried = true;
    explained_ = missing.explained;
    if (std::exchange(entry.explained, explained_) != explained_) entry.charged = 0;
    while (left_ != 0 && entry.turn < kTurn) {
      if (!step_to(entry, up, mppe::key_changes(state, entry.next_try)) || !pay_try(entry, up)) {
        // It keeps no packet waiting that has more to say for itself.
        if (tokens_ != Tokens::kLeft && !explained_ && is_explained(entry.last))
          give_up(entry, DropReason::mppe_gap);
        return;
      }
      const auto opened =
          mppe::open_with(state, entry.key.bytes(), packet, entry.next_try, /*certain=*/true);
      if (opened) {
        bucket(entry).refund(entry.charged);
        entry.charged = 0;
        rte_mbuf* const first = queue_.take_first(entry);
        take_inner(stage_, first, context, *opened);
        GapQueue::restart(entry, state);
        return push(first);
      }
      if (entry.next_try >= missing.farthest) return give_up(entry, opened.error());
      entry.next_try += mppe::kCoherencyMask + 1;
    }
  }

  // Brings the copy of the chain to `needed` key changes. False: not in this slice.
  bool step_to(Entry& entry, contract::UpstreamState& up, std::uint32_t needed) noexcept {
    if (entry.steps > needed) GapQueue::restart(entry, up.mppe);
    while (entry.steps != needed) {
      const std::uint32_t steps = std::min(
          {needed - entry.steps, left_, kTurn - std::min(entry.turn, kTurn), kStepsAtOnce});
      if (steps == 0 || !pay(entry, up, steps)) return false;
      stage_.mppe.change_keys(up.mppe.start_key, entry.key.bytes(), up.mppe.key_bits, steps);
      entry.steps += steps;
    }
    return true;
  }
  bool pay_try(Entry& entry, contract::UpstreamState& up) noexcept {
    return pay(entry, up, up.mppe.mode == mppe::Mode::kStateless ? kTrySteps : kStatefulTrySteps);
  }
  bool pay(Entry& entry, contract::UpstreamState& up, std::uint32_t steps) noexcept {
    if (!admit_key_steps(up, stage_.now_ns, steps)) {
      tokens_ = Tokens::kNoneForSession;
      return false;
    }
    if (!bucket(entry).admit_some(steps, stage_.now_ns)) {
      tokens_ = explained_ ? Tokens::kNoneForWorker : Tokens::kNoneForSession;
      return false;
    }
    stage_.counters.mppe_key_steps.add(steps);
    entry.charged += steps;
    entry.turn += steps;
    made_ += steps;
    left_ -= std::min(left_, steps);
    return true;
  }

  [[nodiscard]] static bool is_explained(rte_mbuf* packet) noexcept {
    return (context_of(packet).flags & kPacketGapExplained) != 0;
  }
  // Those who cannot see the session's numbers have another bucket. So have those who make long
  // gaps: short ones go on when that is empty.
  [[nodiscard]] EventBucket& bucket(const Entry& entry) noexcept {
    if (!explained_) return stage_.key_steps.unexplained;
    return entry.long_gap ? stage_.key_steps.long_gaps : stage_.key_steps.explained;
  }

  void push(rte_mbuf* packet) noexcept { (void)out_.append(packet); }
  // Drops the first packet. Its key steps stay paid for: it may have been a forgery.
  void give_up(Entry& entry, DropReason reason) noexcept {
    entry.charged = 0;
    rte_mbuf* const packet = queue_.take_first(entry);
    drop_unopened(out_, stage_, context_of(packet), reason);
    push(packet);
  }
  void give_up_all(Entry& entry, DropReason reason) noexcept {
    while (out_.count < kMaxReleased) {
      rte_mbuf* const packet = queue_.take_first(entry);
      if (packet == nullptr) return;
      PacketContext& context = context_of(packet);
      if (reason == DropReason::no_session) context.session = nullptr;
      drop_upstream(context, reason);
      push(packet);
    }
  }

  Burst& out_;
  StageContext& stage_;
  GapQueue& queue_;
  std::uint32_t number_;  // of the slice
  std::uint32_t left_;    // steps
  std::uint32_t made_ = 0;
  bool explained_ = true;          // MissingPackets::explained of the packet that is worked on
  Tokens tokens_ = Tokens::kLeft;  // as the entry that is worked on found them
};

}  // namespace

bool hold_behind_gap(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                     bool explained) noexcept {
  context.flags = static_cast<std::uint16_t>(explained ? context.flags | kPacketGapExplained
                                                       : context.flags & ~kPacketGapExplained);
  return stage.gaps.hold(*context.session, context.slot, packet, !explained, stage.now_ns);
}

bool must_wait(const StageContext& stage, const PacketContext& context) noexcept {
  rte_mbuf* const first = stage.gaps.first_of(context.session->upstream);
  if (first == nullptr) return false;
  const PacketContext& other = context_of(first);
  return (other.flags & kPacketGapExplained) != 0 &&
         window::distance(other.sequence, context.sequence) < 0;
}

std::uint32_t follow_gaps(Burst& burst, StageContext& stage) noexcept {
  if (stage.gaps.empty() || stage.gaps.paused(stage.now_ns)) return 0;
  return Slice(burst, stage).run();
}

}  // namespace pns::dataplane
