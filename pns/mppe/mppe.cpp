// SPDX-License-Identifier: BSD-3-Clause
#include "pns/mppe/mppe.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "pns/base/secret.hpp"
#include "pns/crypto/mppe_keys.hpp"
#include "pns/mppe/rc4.hpp"

namespace pns::mppe {
namespace {

using Key = Secret<16>;

unsigned ahead_of(std::uint16_t count, std::uint16_t expected) noexcept {
  return static_cast<unsigned>(count - expected) & kCoherencyMask;
}
std::uint16_t next_count(std::uint16_t count) noexcept {
  return static_cast<std::uint16_t>((count + 1) & kCoherencyMask);
}
bool is_flag_packet(std::uint16_t count) noexcept { return (count & 0xff) == 0xff; }

std::uint8_t octet(Bytes data, std::size_t at) noexcept {
  return std::to_integer<std::uint8_t>(data[at]);
}
std::uint16_t word(Bytes data, std::size_t at) noexcept {
  return static_cast<std::uint16_t>((octet(data, at) << 8) | octet(data, at + 1));
}

Bytes cipher_key(std::span<const std::byte, 16> key, unsigned key_bits) noexcept {
  return key.first(crypto::key_octets(key_bits));
}

// Stores made before are seen before those made after, in memory that outlives the process: a kill
// ends the program between two instructions and x86 keeps its stores in order.
void order_stores() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

// Decrypts the front of `data` on the side; when it is plausible, all of `data` in place.
// `rc4` moves on in either case.
bool decrypt_if_plausible(Rc4& rc4, MutableBytes data, bool certain) noexcept {
  std::array<std::byte, kPlausibleHead> head;
  const std::size_t size = std::min(data.size(), head.size());
  std::memcpy(head.data(), data.data(), size);
  rc4.apply(std::span(head).first(size));
  if (!is_plausible(std::span(head).first(size), data.size(), certain)) return false;
  std::memcpy(data.data(), head.data(), size);
  rc4.apply(data.subspan(size));
  return true;
}

void wipe_rc4(Rc4& rc4) noexcept { wipe(std::as_writable_bytes(std::span(rc4.s))); }

// Flag packets (RFC 3078 §7.3) among `counts` counts from the expected one on.
std::uint32_t flag_packets(const DirectionState& state, std::uint32_t counts) noexcept {
  return ((state.coherency & 0xffU) + counts) / 256;
}

std::expected<MutableBytes, DropReason> open_stateless_with(DirectionState& state,
                                                            std::span<const std::byte, 16> key,
                                                            std::uint16_t count, MutableBytes data,
                                                            bool certain) noexcept {
  Rc4 rc4;
  rc4.set_key(cipher_key(key, state.key_bits));
  const bool good = decrypt_if_plausible(rc4, data, certain);
  wipe_rc4(rc4);
  if (!good) return std::unexpected(DropReason::mppe_garbage);
  commit(state, key, next_count(count));
  state.started = true;
  return data;
}

std::expected<MutableBytes, DropReason> open_stateful_with(DirectionState& state,
                                                           std::span<const std::byte, 16> first_key,
                                                           std::uint16_t header, MutableBytes data,
                                                           bool certain) noexcept {
  const std::uint16_t count = header & kCoherencyMask;
  Key key(first_key);
  Rc4 rc4;
  rc4.set_key(cipher_key(key.bytes(), state.key_bits));
  bool good = decrypt_if_plausible(rc4, data, certain);
  // Linux changes its key where RFC 3078 §8.2 sets the same one up again: one step more for this
  // flushed packet, and for each that was lost before it.
  if ((header & kFlushed) != 0 && (certain || !is_flag_packet(count)))
    for (unsigned n = 0; !good && n < kMaxLostFlushes; ++n) {
      change_key(state.start_key, key.bytes(), state.key_bits);
      rc4.set_key(cipher_key(key.bytes(), state.key_bits));
      good = decrypt_if_plausible(rc4, data, true);
    }
  if (good) {
    commit(state, key.bytes(), next_count(count));
    state.rc4_s = rc4.s;
    state.rc4_i = rc4.i;
    state.rc4_j = rc4.j;
    state.flush_wanted = false;
    state.started = true;
  }
  wipe_rc4(rc4);
  if (!good) return std::unexpected(DropReason::mppe_garbage);
  return data;
}

// The verdict on a packet without key work; kNone: it is to be decrypted.
DropReason refusal(const DirectionState& state, Bytes packet) noexcept {
  if (state.mode == Mode::kOff) return DropReason::mppe_not_open;
  if (packet.size() <= kHeaderSize) return DropReason::mppe_truncated;
  const std::uint16_t header = word(packet, 0);
  if ((header & kEncrypted) == 0) return DropReason::mppe_flags;
  if (state.mode == Mode::kStateless && (header & kFlushed) == 0) return DropReason::mppe_flags;
  return DropReason::kNone;
}

}  // namespace

void change_key(std::span<const std::byte, 16> start_key, std::span<std::byte, 16> session_key,
                unsigned key_bits) noexcept {
  const std::size_t size = crypto::key_octets(key_bits);
  crypto::get_new_key_from_sha(start_key, session_key, size, session_key);
  Rc4 rc4;
  rc4.set_key(session_key.first(size));
  rc4.apply(session_key.first(size));
  wipe_rc4(rc4);
  crypto::reduce_key(session_key, key_bits);
}

void init(DirectionState& state, std::span<const std::byte, 16> start_key, unsigned key_bits,
          Mode mode) noexcept {
  forget(state);
  if (mode == Mode::kOff) return;
  state.key_bits = static_cast<std::uint8_t>(key_bits);
  std::ranges::copy(start_key.first(crypto::key_octets(key_bits)), state.start_key.begin());
  const Key first = crypto::first_session_key(state.start_key, key_bits);
  std::ranges::copy(first.bytes(), state.session_key.begin());
  if (mode == Mode::kStateful) {
    Rc4 rc4;
    rc4.set_key(cipher_key(state.session_key, key_bits));
    state.rc4_s = rc4.s;
    wipe_rc4(rc4);
  }
  order_stores();
  state.mode = mode;
}

void forget(DirectionState& state) noexcept {
  state.mode = Mode::kOff;
  order_stores();
  wipe(std::as_writable_bytes(std::span(&state, 1)));
}

unsigned counts_ahead(const DirectionState& state, Bytes packet) noexcept {
  return ahead_of(word(packet, 0) & kCoherencyMask, state.coherency);
}

std::uint32_t key_changes(const DirectionState& state, std::uint32_t missing) noexcept {
  return state.mode == Mode::kStateless ? missing + 1 : flag_packets(state, missing + 1);
}

std::uint32_t extra_key_changes(const DirectionState& state, Bytes packet,
                                std::uint32_t missing) noexcept {
  if (refusal(state, packet) != DropReason::kNone) return 0;
  if (state.mode == Mode::kStateless) return missing;
  if ((word(packet, 0) & kFlushed) == 0) return 0;
  const bool regular = missing == 0 && !state.flush_wanted && is_flag_packet(state.coherency);
  return regular ? 0 : kMaxLostFlushes + missing / 256;
}

std::expected<MutableBytes, DropReason> open_with(DirectionState& state,
                                                  std::span<const std::byte, 16> key,
                                                  MutableBytes packet, std::uint32_t missing,
                                                  bool certain) noexcept {
  const std::uint16_t header = word(packet, 0);
  const MutableBytes data = packet.subspan(kHeaderSize);
  if (state.mode == Mode::kStateless)
    return open_stateless_with(state, key, header & kCoherencyMask, data, certain || missing != 0);
  return open_stateful_with(state, key, header, data,
                            certain || missing != 0 || state.flush_wanted);
}

std::expected<MutableBytes, DropReason> open(DirectionState& state, MutableBytes packet,
                                             std::uint32_t missing, bool certain) noexcept {
  if (const DropReason why = refusal(state, packet); why != DropReason::kNone)
    return std::unexpected(why);
  const std::uint16_t header = word(packet, 0);
  if (state.mode == Mode::kStateful && (header & kFlushed) == 0) {
    if (state.flush_wanted || missing != 0) {
      state.flush_wanted = true;
      return std::unexpected(DropReason::mppe_resync);
    }
    if (!is_flag_packet(header & kCoherencyMask)) {
      const MutableBytes data = packet.subspan(kHeaderSize);
      if (!open_next(state, data, certain)) return std::unexpected(DropReason::mppe_garbage);
      return data;
    }
  }
  Key key(std::span<const std::byte, 16>(state.session_key));
  for (std::uint32_t left = key_changes(state, missing); left != 0; --left)
    change_key(state.start_key, key.bytes(), state.key_bits);
  return open_with(state, key.bytes(), packet, missing, certain);
}

std::expected<MutableBytes, DropReason> open(DirectionState& state, MutableBytes packet) noexcept {
  if (const DropReason why = refusal(state, packet); why != DropReason::kNone)
    return std::unexpected(why);
  const unsigned ahead = counts_ahead(state, packet);
  if (ahead >= kHalfCountSpace) return std::unexpected(DropReason::mppe_gap);
  return open(state, packet, ahead, false);
}

std::expected<MutableBytes, DropReason> seal(DirectionState& state, MutableBytes frame) noexcept {
  if (state.mode == Mode::kOff) return std::unexpected(DropReason::mppe_not_open);
  if (frame.size() <= kHeaderSize) return std::unexpected(DropReason::mppe_truncated);
  const MutableBytes data = frame.subspan(kHeaderSize);
  std::uint16_t header = kEncrypted;

  if (state.mode == Mode::kStateless) {
    header = static_cast<std::uint16_t>(header | kFlushed | state.coherency);
    Key key(std::span<const std::byte, 16>(state.session_key));
    change_key(state.start_key, key.bytes(), state.key_bits);
    commit(state, key.bytes(), next_count(state.coherency));
    Rc4 rc4;
    rc4.set_key(cipher_key(key.bytes(), state.key_bits));
    rc4.apply(data);
    wipe_rc4(rc4);
    state.started = true;
  } else {
    // After a Reset-Request we go on at the next flag packet: there RFC 3078 §8.2 and Linux, which
    // differ on what a flushed packet does to the key, agree.
    if (state.flush_wanted) state.coherency = static_cast<std::uint16_t>(state.coherency | 0xff);
    const std::uint16_t count = state.coherency;
    header = static_cast<std::uint16_t>(header | count);
    if (is_flag_packet(count)) {
      header = static_cast<std::uint16_t>(header | kFlushed);
      Key key(std::span<const std::byte, 16>(state.session_key));
      change_key(state.start_key, key.bytes(), state.key_bits);
      commit(state, key.bytes(), next_count(count));
      state.flush_wanted = false;
      Rc4 rc4;
      rc4.set_key(cipher_key(key.bytes(), state.key_bits));
      rc4.apply(data);
      state.rc4_s = rc4.s;
      state.rc4_i = rc4.i;
      state.rc4_j = rc4.j;
      wipe_rc4(rc4);
      state.started = true;
    } else {
      seal_next(state, data);
    }
  }
  frame[0] = static_cast<std::byte>(header >> 8);
  frame[1] = static_cast<std::byte>(header);
  return frame;
}

void request_flush(DirectionState& state) noexcept {
  if (state.mode == Mode::kStateful) state.flush_wanted = true;
}

void commit(DirectionState& state, std::span<const std::byte, 16> session_key,
            std::uint16_t coherency) noexcept {
  // To the journal, then to the state.
  std::memmove(state.journal_key.data(), session_key.data(), session_key.size());
  state.journal_count = coherency;
  order_stores();
  state.journal_valid = true;
  order_stores();
  std::memmove(state.session_key.data(), session_key.data(), session_key.size());
  state.coherency = coherency;
  order_stores();
  state.journal_valid = false;
}

bool open_next(DirectionState& state, MutableBytes data, bool certain) noexcept {
  std::array<std::byte, kPlausibleHead> head;
  const std::size_t size = std::min(data.size(), head.size());
  std::memcpy(head.data(), data.data(), size);
  rc4_apply(state.rc4_s, state.rc4_i, state.rc4_j, std::span(head).first(size));
  if (!is_plausible(std::span(head).first(size), data.size(), certain)) {
    rc4_step_back(state.rc4_s, state.rc4_i, state.rc4_j, size);
    return false;
  }
  std::memcpy(data.data(), head.data(), size);
  rc4_apply(state.rc4_s, state.rc4_i, state.rc4_j, data.subspan(size));
  state.coherency = next_count(state.coherency);
  state.started = true;
  return true;
}

void seal_next(DirectionState& state, MutableBytes data) noexcept {
  state.coherency = next_count(state.coherency);
  order_stores();
  rc4_apply(state.rc4_s, state.rc4_i, state.rc4_j, data);
  state.started = true;
}

void recover(DirectionState& state) noexcept {
  if (state.mode == Mode::kStateful) state.flush_wanted = true;
  if (state.mode == Mode::kOff || !state.journal_valid) return;
  state.session_key = state.journal_key;
  state.coherency = state.journal_count;
  order_stores();
  state.journal_valid = false;
}

bool is_plausible(Bytes head, std::size_t size, bool certain) noexcept {
  if (head.empty()) return false;
  std::uint16_t protocol = octet(head, 0);
  std::size_t at = 1;
  if ((protocol & 1) == 0) {
    if (head.size() < 2) return false;
    protocol = word(head, 0);
    at = 2;
  }
  if ((protocol & 1) == 0 || protocol < kFirstProtocol || protocol > kLastProtocol) return false;
  const Bytes inner = head.subspan(at);
  const std::size_t inner_size = size - at;
  const std::uint8_t version = inner.empty() ? 0 : octet(inner, 0) >> 4;
  if (protocol == 0x0021) {
    if (version != 4) return false;
    if (!certain) return true;
    const std::size_t header = (octet(inner, 0) & 0xfU) * 4;
    if (header < 20 || header > inner.size()) return false;
    const std::size_t total = word(inner, 2);
    if (total < header || total > inner_size) return false;
    std::uint32_t sum = 0;
    for (std::size_t n = 0; n < header; n += 2) sum += word(inner, n);
    sum = (sum & 0xffff) + (sum >> 16);
    return ((sum & 0xffff) + (sum >> 16)) == 0xffff;
  }
  if (protocol == 0x0057) {
    if (version != 6) return false;
    return !certain || (inner.size() >= 40 && word(inner, 4) + std::size_t{40} <= inner_size);
  }
  // Another protocol that may be encrypted is none that this server opens, but its sender is to be
  // told so (RFC 1661 §5.7). Believed by its full number among those assigned, which garbage hits
  // once in 1,800 times, and only when nothing is missing: a chain that stays behind by such a
  // packet costs one more step for the next; one that a forgery moved costs a packet.
  constexpr std::uint16_t kLastAssigned = 0x0069;
  return !certain && at == 2 && protocol <= kLastAssigned;
}

}  // namespace pns::mppe
