// SPDX-License-Identifier: BSD-3-Clause
//
// Reader and Writer: bounds-checked cursors over a span of octets. Every step checks; after the
// first failure the cursor stays failed, so a parser may read a whole structure and ask ok() once.
// They own nothing, allocate nothing and never throw. Any thread, one thread per cursor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "pns/base/be.hpp"

namespace pns {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// The octets of a text, without a terminator.
[[nodiscard]] inline Bytes as_octets(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class Reader {
 public:
  explicit Reader(Bytes data) noexcept : data_(data) {}

  // False once any read has asked for more octets than were left.
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  [[nodiscard]] std::size_t remaining() const noexcept {
    return ok_ ? data_.size() - position_ : 0;
  }

  std::uint8_t read_u8() noexcept { return static_cast<std::uint8_t>(read_integer(1)); }
  std::uint16_t read_u16() noexcept { return static_cast<std::uint16_t>(read_integer(2)); }
  std::uint32_t read_u32() noexcept { return static_cast<std::uint32_t>(read_integer(4)); }

  // The next `length` octets as a view of the source; empty and failed when they are not there.
  Bytes read_bytes(std::size_t length) noexcept {
    if (!take(length)) return {};
    return data_.subspan(position_ - length, length);
  }

  // Copies the next sizeof(T) octets into a wire struct (any alignment).
  template <class T>
  requires std::is_trivially_copyable_v<T>
  bool read_struct(T& out) noexcept {
    if (!take(sizeof(T))) return false;
    std::memcpy(static_cast<void*>(&out), data_.data() + position_ - sizeof(T), sizeof(T));
    return true;
  }

  // Everything that is left; the cursor moves to the end.
  Bytes read_rest() noexcept { return read_bytes(remaining()); }

  bool skip(std::size_t length) noexcept { return take(length); }

 private:
  bool take(std::size_t length) noexcept {
    if (!ok_ || data_.size() - position_ < length) {
      ok_ = false;
      return false;
    }
    position_ += length;
    return true;
  }

  std::uint32_t read_integer(std::size_t width) noexcept {
    if (!take(width)) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = position_ - width; i < position_; ++i)
      value = (value << 8) | std::to_integer<std::uint32_t>(data_[i]);
    return value;
  }

  Bytes data_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(MutableBytes data) noexcept : data_(data) {}

  // False once any write did not fit; nothing is written from then on.
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::size_t size() const noexcept { return position_; }
  [[nodiscard]] std::size_t remaining() const noexcept {
    return ok_ ? data_.size() - position_ : 0;
  }
  [[nodiscard]] MutableBytes written() const noexcept { return data_.first(position_); }

  void write_u8(std::uint8_t value) noexcept { write_integer(value, 1); }
  void write_u16(std::uint16_t value) noexcept { write_integer(value, 2); }
  void write_u32(std::uint32_t value) noexcept { write_integer(value, 4); }

  void write_bytes(Bytes source) noexcept {
    if (!take(source.size())) return;
    if (!source.empty())
      std::memcpy(data_.data() + position_ - source.size(), source.data(), source.size());
  }

  void write_zeros(std::size_t count) noexcept {
    if (!take(count)) return;
    if (count != 0) std::memset(data_.data() + position_ - count, 0, count);
  }

  template <class T>
  requires std::is_trivially_copyable_v<T>
  void write_struct(const T& value) noexcept { write_bytes(std::as_bytes(std::span(&value, 1))); }

  // Overwrites two octets already written, for a length known only at the end.
  void patch_u16(std::size_t at, std::uint16_t value) noexcept {
    if (!ok_ || at + 2 > position_) {
      ok_ = false;
      return;
    }
    data_[at] = static_cast<std::byte>(value >> 8);
    data_[at + 1] = static_cast<std::byte>(value);
  }

 private:
  bool take(std::size_t length) noexcept {
    if (!ok_ || data_.size() - position_ < length) {
      ok_ = false;
      return false;
    }
    position_ += length;
    return true;
  }

  void write_integer(std::uint32_t value, std::size_t width) noexcept {
    if (!take(width)) return;
    for (std::size_t i = 0; i < width; ++i)
      data_[position_ - 1 - i] = static_cast<std::byte>(value >> (8 * i));
  }

  MutableBytes data_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace pns
