// SPDX-License-Identifier: BSD-3-Clause
//
// Fields of a session record that the owner writes while other workers read them. They are plain
// in session memory, since other processes share its layout; inside this process each access of
// one of these goes through here, but for the owner's own reads. Relaxed: a reader that sees an old
// value finds no session, or fetches a line too many.
//
//   subscriber, ipv6_prefix   whose packet is it: look-ups by inner address
//   ack_pending               what to prefetch
#pragma once

#include <atomic>

namespace pns::dataplane {

template <class T>
[[nodiscard]] inline T load_shared(const T& field) noexcept {
  static_assert(std::atomic_ref<T>::is_always_lock_free);
  // atomic_ref of g++ 12 takes no const; load() does not write.
  return std::atomic_ref<T>(const_cast<T&>(field)).load(std::memory_order_relaxed);
}

template <class T>
inline void store_shared(T& field, T value) noexcept {
  static_assert(std::atomic_ref<T>::is_always_lock_free);
  std::atomic_ref<T>(field).store(value, std::memory_order_relaxed);
}

}  // namespace pns::dataplane
