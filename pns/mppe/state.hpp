// SPDX-License-Identifier: BSD-3-Clause
//
// The state of one MPPE direction (RFC 3078), as plain memory: it lies in session memory that
// outlives the dataplane process. The owning worker writes it; nobody else reads it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace pns::mppe {

enum class Mode : std::uint8_t { kOff = 0, kStateless = 1, kStateful = 2 };

// The first cache line is all that a stateless direction uses.
struct alignas(64) DirectionState {
  Mode mode = Mode::kOff;
  std::uint8_t key_bits = 0;    // 40, 56 or 128
  std::uint16_t coherency = 0;  // count of the next packet, 12 bits
  bool flush_wanted = false;    // receive: discard until FLUSHED; send: set FLUSHED on the next
  bool started = false;         // a first packet went through
  std::uint8_t rc4_i = 0;       // stateful only
  std::uint8_t rc4_j = 0;
  std::array<std::byte, 16> start_key{};    // asymmetric start key (RFC 3079 §3.3)
  std::array<std::byte, 16> session_key{};  // key of the last packet (stateless) or of now
  // A key change that is being made: what recover() finishes when the process dies within it.
  std::array<std::byte, 16> journal_key{};
  std::uint16_t journal_count = 0;  // 12 bits
  bool journal_valid = false;
  // Receive: the last packet did not open (dataplane: DeadPath). Not used by pns/mppe.
  bool failing = false;
  // Receive: GRE sequence number of the last packet that opened, host order, or of the last control
  // frame that followed it without a gap. Not used by pns/mppe.
  std::uint32_t gre_sequence = 0;
  std::array<std::uint8_t, 256> rc4_s{};  // stateful: the cipher's table
};

static_assert(std::is_trivially_copyable_v<DirectionState>);
static_assert(offsetof(DirectionState, rc4_s) == 64);
static_assert(sizeof(DirectionState) == 320);

}  // namespace pns::mppe
