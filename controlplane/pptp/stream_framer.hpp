// SPDX-License-Identifier: BSD-3-Clause
//
// StreamFramer: the octets of one TCP control connection → whole PPTP messages (RFC 2637 §1.4, §2).
// It yields every complete message at once however the octets were split or glued, holds at most
// kCapacity octets, and after the first error fails for good: there is no resynchronising. No I/O;
// one thread (the event loop). A runtime that leaves octets in the socket until a message is whole
// (MSG_PEEK) uses peek() alone.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <optional>

#include "pns/base/bytes.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::pptp {

class StreamFramer {
 public:
  static constexpr std::size_t kCapacity = 4096;  // octets held; more than any one message

  // The length of the message that `stream` begins with, as soon as all of it is there; empty while
  // it is not; an error as soon as the octets present show that it cannot be a message.
  [[nodiscard]] static std::expected<std::optional<std::size_t>, wire::pptp::FrameError> peek(
      Bytes stream) noexcept;

  // Takes octets in the order they came. Returns how many were taken: all of them unless the buffer
  // is full; then call next() until it is empty and feed the rest. A failed framer takes (and
  // forgets) everything.
  std::size_t feed(Bytes octets) noexcept;

  // The next whole message; empty when more octets are needed. The first error is returned once,
  // after every message before it; from then on always empty.
  [[nodiscard]] std::optional<std::expected<wire::pptp::Message, wire::pptp::FrameError>>
  next() noexcept;

  // True after an error was returned.
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  // Octets held of a message that is not whole yet.
  [[nodiscard]] std::size_t buffered() const noexcept { return end_ - begin_; }

 private:
  std::array<std::byte, kCapacity> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool failed_ = false;
};

}  // namespace pns::pptp
