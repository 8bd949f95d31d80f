// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/stream_framer.hpp"

#include <algorithm>
#include <cstring>

namespace pns::pptp {

std::expected<std::optional<std::size_t>, wire::pptp::FrameError> StreamFramer::peek(
    Bytes stream) noexcept {
  const auto length = wire::pptp::check_header(stream);
  if (!length) return std::unexpected(length.error());
  if (!*length || stream.size() < **length) return std::optional<std::size_t>();
  return *length;
}

std::size_t StreamFramer::feed(Bytes octets) noexcept {
  if (failed_) return octets.size();
  if (octets.size() > kCapacity - end_ && begin_ != 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const std::size_t taken = std::min(octets.size(), kCapacity - end_);
  if (taken != 0) std::memcpy(buffer_.data() + end_, octets.data(), taken);
  end_ += taken;
  return taken;
}

std::optional<std::expected<wire::pptp::Message, wire::pptp::FrameError>>
StreamFramer::next() noexcept {
  if (failed_) return std::nullopt;
  const Bytes held(buffer_.data() + begin_, end_ - begin_);
  const auto length = peek(held);
  if (length && !*length) return std::nullopt;

  auto message = length ? wire::pptp::parse_message(held.first(**length))
                        : std::expected<wire::pptp::Message, wire::pptp::FrameError>(
                              std::unexpected(length.error()));
  if (!message) {
    failed_ = true;
    begin_ = end_ = 0;
    return message;
  }
  begin_ += **length;
  if (begin_ == end_) begin_ = end_ = 0;
  return message;
}

}  // namespace pns::pptp
