// SPDX-License-Identifier: BSD-3-Clause
//
// BroadcastSocket: UDP broadcasts that an interface receives, as copies: the kernel has the frames
// too. It is for xdp: ports, whose XDP program leaves broadcasts to the kernel and cannot copy
// them. Frames that this host sends are not among them, nor is DHCP. Main thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "pns/base/bytes.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::dataplane {

class BroadcastSocket {
 public:
  static constexpr int kBufferOctets = 128 * 1024;  // of frames that wait in the kernel

  // Needs CAP_NET_RAW. Error: one line with the interface and the kernel's reason.
  [[nodiscard]] static std::expected<BroadcastSocket, std::string> open(
      const std::string& interface);

  // Poll for reading.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  // The next frame, written to the front of `room`, from its Ethernet header on; what does not fit
  // is cut off. Empty: none waits.
  [[nodiscard]] std::optional<Bytes> receive(MutableBytes room) noexcept;
  // Frames since the start that found no room in the kernel.
  [[nodiscard]] std::uint64_t lost() noexcept;

 private:
  explicit BroadcastSocket(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  UniqueFd fd_;
  std::uint64_t lost_ = 0;
};

}  // namespace pns::dataplane
