// SPDX-License-Identifier: BSD-3-Clause
//
// Secret<N>: N octets that are wiped on destruction, have no printer and compare in constant time.
// Use it for keys and password hashes everywhere except in shared-memory messages, whose reader
// wipes the slot instead. SecretText is the same for a password, whose length varies.
#pragma once

#include <string.h>  // explicit_bzero
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "pns/base/bytes.hpp"

namespace pns {

// Overwrites memory in a way that the compiler keeps.
inline void wipe(std::span<std::byte> data) noexcept {
  if (!data.empty()) ::explicit_bzero(data.data(), data.size());
}

// True when both have the same length and octets; time depends on the length only.
[[nodiscard]] inline bool equal_constant_time(Bytes a, Bytes b) noexcept {
  if (a.size() != b.size()) return false;
  std::byte difference{0};
  for (std::size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
  return difference == std::byte{0};
}

template <std::size_t N>
class Secret {
 public:
  Secret() noexcept = default;
  // Copies the first N octets; `source` must have at least N.
  explicit Secret(std::span<const std::byte, N> source) noexcept {
    std::copy(source.begin(), source.end(), octets_.begin());
  }
  Secret(const Secret&) noexcept = default;
  Secret& operator=(const Secret&) noexcept = default;
  ~Secret() { wipe(octets_); }

  [[nodiscard]] std::span<const std::byte, N> bytes() const noexcept { return octets_; }
  [[nodiscard]] std::span<std::byte, N> bytes() noexcept { return octets_; }
  [[nodiscard]] bool operator==(const Secret& other) const noexcept {
    return equal_constant_time(octets_, other.octets_);
  }

 private:
  std::array<std::byte, N> octets_{};
};

// A text that lies in one piece of memory of its own, so that a move leaves nothing behind.
class SecretText {
 public:
  SecretText() noexcept = default;
  explicit SecretText(std::string_view text)
      : octets_(text.empty() ? nullptr : std::make_unique<std::byte[]>(text.size())),
        size_(text.size()) {
    if (size_ != 0) std::memcpy(octets_.get(), text.data(), size_);
  }
  explicit SecretText(Bytes octets)
      : SecretText(std::string_view(reinterpret_cast<const char*>(octets.data()), octets.size())) {}
  SecretText(const SecretText& other) : SecretText(other.view()) {}
  SecretText(SecretText&& other) noexcept
      : octets_(std::move(other.octets_)), size_(std::exchange(other.size_, 0)) {}
  SecretText& operator=(SecretText other) noexcept {
    std::swap(octets_, other.octets_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SecretText() {
    if (octets_) wipe({octets_.get(), size_});
  }

  // Valid as long as this object is neither moved nor assigned to.
  [[nodiscard]] std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(octets_.get()), size_};
  }
  [[nodiscard]] Bytes bytes() const noexcept { return {octets_.get(), size_}; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  // Time depends on the lengths only.
  [[nodiscard]] bool operator==(const SecretText& other) const noexcept {
    return equal_constant_time(bytes(), other.bytes());
  }

 private:
  std::unique_ptr<std::byte[]> octets_;
  std::size_t size_ = 0;
};

}  // namespace pns
