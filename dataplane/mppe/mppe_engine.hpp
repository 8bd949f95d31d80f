// SPDX-License-Identifier: BSD-3-Clause
//
// MPPE for a burst of packets: what mppe::open and mppe::seal do, octet for octet and with the same
// state afterwards, but with the key changes and the RC4 streams of several packets side by side.
//
// A burst is worked off in waves; most bursts are one. In a wave go, in order of arrival, the
// packets whose place in their session's key chain is certain: of a stateless direction as many as
// there are, of a stateful one a single one, since its streams follow each other. The rest waits
// for the next wave. Rare packets go to the scalar reference, when all before them in their session
// are done: stateless packets after a gap, stateful ones that change the key, packets above
// kMaxOctets. A gap costs a key change for each missing packet; MppeGapRule bounds that.
//
// One engine a worker; its owner's thread only. About 30 KB that it holds itself: no allocation, no
// lock. Keys and streams are wiped before run() returns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "dataplane/mppe/kernels.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"
#include "pns/mppe/state.hpp"

namespace pns::dataplane {

enum class MppeWork : std::uint8_t { kOpen, kSeal };

// MppeJob::ahead: only the 12 bits of the packet's count tell how far ahead it is.
inline constexpr std::uint32_t kAheadByCount = ~std::uint32_t{0};

// One packet. `packet` and `result` are those of mppe::open and mppe::seal. A direction is opened
// or sealed, not both in one burst. When open fails, what is in the packet is not to be used.
struct MppeJob {
  mppe::DirectionState* state = nullptr;
  MutableBytes packet;
  MppeWork work = MppeWork::kOpen;
  // Opened only when the text is one that nothing but the right key yields.
  bool certain = false;
  // Packets that the peer has sealed between the last one that had been opened when run() was
  // called, and this one. The low 12 bits agree with the packet's count.
  std::uint32_t ahead = kAheadByCount;
  std::expected<MutableBytes, DropReason> result = std::unexpected(DropReason::internal);
};

// Asked before a packet is opened that costs `steps` (not 0) extra key changes
// (mppe::extra_key_changes). If the answer is no, the packet is refused with mppe_gap and its
// octets are as they came.
struct MppeGapRule {
  bool (*may_step)(void* context, const MppeJob& job, std::uint32_t steps) noexcept;
  void* context;
};

class MppeEngine {
 public:
  static constexpr std::size_t kMaxJobs = 64;
  // Data of one packet, without the MPPE header, that the lanes take.
  static constexpr std::size_t kMaxOctets = kStreamStride;

  // The CPU must have what the kernels need.
  explicit MppeEngine(const MppeKernels& kernels = kernels_of(best_variant())) noexcept;
  ~MppeEngine();
  MppeEngine(const MppeEngine&) = delete;
  MppeEngine& operator=(const MppeEngine&) = delete;

  // `steps` key changes (RFC 3078 §7.3) of one session key, one after the other.
  void change_keys(std::span<const std::byte, 16> start_key, std::span<std::byte, 16> session_key,
                   unsigned key_bits, std::uint32_t steps) noexcept;

  // At most kMaxJobs. The jobs of one direction are done in their order.
  void run(std::span<MppeJob> jobs, const MppeGapRule* rule = nullptr) noexcept;

 private:
  static constexpr std::uint8_t kNone = 0xff;

  // A packet of this wave.
  struct Planned {
    MppeJob* job;
    std::uint16_t size;   // of its data
    std::uint16_t count;  // coherency
    std::uint8_t round;   // packets of its direction before it
    std::uint8_t slot;    // by round
    std::uint8_t rank;    // by length, longest first
    bool good;            // opened: the text is plausible
  };
  // A direction of this burst.
  struct Chain {
    mppe::DirectionState* state;
    std::uint16_t count;  // of the next packet, as if every one planned in this wave had opened
    // As far as the state has come: its count, and the MppeJob::ahead of the packet in order.
    std::uint16_t state_count;
    std::uint32_t state_position;
    std::uint8_t last;       // planned in this wave, or kNone
    std::uint8_t depth;      // packets of it in this wave
    std::uint8_t first_job;  // of those that wait, or kNone
    std::uint8_t last_job;
  };

  static void bring_up(Chain& chain) noexcept;
  static void run_scalar(Chain& chain, MppeJob& job, const MppeGapRule* rule) noexcept;
  Chain& chain_of(mppe::DirectionState& state) noexcept;
  bool plan(Chain& chain, MppeJob& job, const MppeGapRule* rule) noexcept;
  void plan_stateless(Chain& chain, MppeJob& job) noexcept;
  void plan_running(Chain& chain, MppeJob& job) noexcept;
  void order_fresh() noexcept;
  void derive_keys() noexcept;
  void derive_round(unsigned first, unsigned end) noexcept;
  void set_up(unsigned first, unsigned middle, unsigned end) noexcept;
  void park(unsigned slot, unsigned lane) noexcept;
  void finish_keys(unsigned slot, unsigned lane, unsigned count) noexcept;
  void reduce_keys(unsigned slot, unsigned count) noexcept;
  void commit_sealed() noexcept;
  void sort(std::span<std::uint8_t> order, const Planned* planned) noexcept;
  void crypt_next(MppeJob& job, unsigned count) noexcept;
  void stream_fresh() noexcept;
  void stream_running() noexcept;
  void crypt_fresh(Planned& planned, const std::byte* stream) noexcept;
  void open_fresh(Planned& planned, const std::byte* stream) noexcept;
  bool run_alone(MppeJob& job) noexcept;
  void load_running(const mppe::DirectionState& state, unsigned lane, RunningIndices& at) noexcept;
  void crypt_running(MppeJob& job, std::size_t octets, std::uint16_t count, unsigned lane,
                     const RunningIndices& at) noexcept;
  void retire_opened() noexcept;
  void note(StackLow low) noexcept;
  void wipe_used() noexcept;

  MppeKernels kernels_;

  // State of a burst.
  std::array<Chain, kMaxJobs> chains_;  // those that have jobs left
  std::array<std::uint8_t, kMaxJobs> next_job_;
  std::array<std::uint8_t, 128> chain_index_;  // hash of a state's address → chain
  unsigned chain_count_ = 0;
  bool scalar_ = false;  // a single packet, and the lanes are slower

  // State of a wave. Slots: those of a round follow each other, and the rounds too.
  std::array<Planned, kMaxJobs> fresh_;                 // stateless, a direction after the other
  std::array<Planned, kMaxJobs> running_;               // stateful
  std::array<std::uint8_t, kMaxJobs + 1> round_start_;  // slot
  std::array<std::uint8_t, kMaxJobs> by_slot_;
  std::array<std::uint8_t, kMaxJobs> by_rank_;
  unsigned fresh_count_ = 0;
  unsigned running_count_ = 0;
  unsigned rounds_ = 0;
  bool same_length_ = true;      // the fresh ones, to 16 octets
  bool ranks_are_slots_ = true;  // of all fresh ones
  bool opened_ = false;          // a packet is to be opened
  bool short_keys_ = false;      // a packet of 40 or 56 bit is planned

  // How much is to be wiped.
  unsigned keys_used_ = 0;
  unsigned lanes_used_ = 0;
  unsigned work_used_ = 0;
  std::size_t octets_used_ = 0;
  StackLow stack_low_ = kCleanStack;

  // Secrets. A set-up of one lane may have a second beside it, whose result is nothing: hence one
  // more. They are wiped 64 octets at a time.
  alignas(256) std::uint8_t parked_[kMaxJobs + 1][kRc4TableSize];  // by rank
  alignas(256) std::uint8_t work_[kMaxRc4Lanes][kRc4TableSize];
  alignas(64) std::byte stream_[kMaxRc4Lanes][kStreamStride];
  static_assert(kStreamStride % 64 == 0);
  alignas(64) std::byte keys_[kMaxJobs + 4][16];  // session key by slot; one of 8 octets twice
};

}  // namespace pns::dataplane
