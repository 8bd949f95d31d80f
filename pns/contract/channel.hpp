// SPDX-License-Identifier: BSD-3-Clause
//
// Channel: the fast path between the planes. One sealed memfd with two single-producer
// single-consumer byte rings and an eventfd for each, made afresh by the dataplane for each control
// process and passed over a unix SEQPACKET socket. When either side dies the whole channel is
// dropped, so nothing half-written survives. The socket carries nothing after the hand-shake; its
// end-of-file tells that the other side is gone.
//
// A record is a MessageHeader, its body and its payload, rounded up to 8 octets. A slot becomes
// visible by one release store. The consumer copies a record out once and validates the copy;
// octets that were read are zeroed, so no key stays behind. A full ring is an outcome, not an
// error.
//
// Threads: one producer thread and one consumer thread per ring. No locks, no allocation.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <optional>
#include <span>
#include <string>

#include "pns/base/bytes.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/build_contract.hpp"
#include "pns/contract/messages.hpp"

namespace pns::contract {

inline constexpr std::uint64_t kChannelMagic = 0x504e534348414e31;  // "PNSCHAN1"
// Raise kChannelVersion (build_contract.hpp) when messages.hpp or the layout below changes.
inline constexpr std::size_t kRingCapacity = std::size_t{1} << 20;  // octets, power of two
inline constexpr std::size_t kMaxBody = 128;                        // octets

// Positions count octets since the start and never wrap (2^64).
struct RingIndices {
  alignas(64) std::atomic<std::uint64_t> head{0};               // producer: writes; consumer: reads
  alignas(64) std::atomic<std::uint64_t> tail{0};               // consumer: writes; producer: reads
  alignas(64) std::atomic<std::uint32_t> consumer_sleeping{0};  // consumer: writes; producer: reads
};

struct ChannelLayout {
  std::uint64_t magic = kChannelMagic;
  std::uint32_t version = kChannelVersion;
  std::uint32_t min_compatible = kChannelMinCompatible;
  std::uint32_t ring_capacity = kRingCapacity;
  std::uint32_t reserved = 0;
  RingIndices commands;  // control → dataplane
  RingIndices events;    // dataplane → control
  alignas(64) std::array<std::byte, kRingCapacity> command_octets;
  alignas(64) std::array<std::byte, kRingCapacity> event_octets;
};

// Octets that a body had in the oldest version that fits: T::kFirstSize, where T has grown since.
template <class T>
[[nodiscard]] constexpr std::size_t first_size() noexcept {
  if constexpr (requires { T::kFirstSize; })
    return T::kFirstSize;
  else
    return sizeof(T);
}

// One message, copied out of a ring.
struct ReceivedMessage {
  MessageHeader header;
  std::array<std::byte, kMaxBody + kMaxFrame> octets;

  [[nodiscard]] Bytes body() const noexcept { return Bytes(octets).first(header.body_size); }
  [[nodiscard]] Bytes payload() const noexcept {
    return Bytes(octets).subspan(header.body_size, header.payload_size);
  }
  // The body as T. A longer one is of a newer sender: its end is left out. A shorter one is of an
  // older sender: what it lacks has T's defaults. Empty when it is shorter than T has ever been.
  template <class T>
  [[nodiscard]] std::optional<T> body_as() const noexcept {
    if (header.body_size < first_size<T>()) return std::nullopt;
    T out;
    std::memcpy(static_cast<void*>(&out), octets.data(),
                std::min(sizeof(T), std::size_t{header.body_size}));
    return out;
  }
};

// The sending end of one ring.
class RingProducer {
 public:
  RingProducer() noexcept = default;
  RingProducer(RingIndices& indices, std::span<std::byte, kRingCapacity> octets,
               int event_fd) noexcept
      : indices_(&indices), octets_(octets.data()), event_fd_(event_fd) {}

  // Appends one message if that leaves at least `reserve` octets free. False: full, nothing
  // written.
  [[nodiscard]] bool push(MessageHeader header, Bytes body, Bytes payload,
                          std::size_t reserve = 0) noexcept;
  // Wakes the consumer if it sleeps. Call once after a run of push().
  void notify() noexcept;

 private:
  RingIndices* indices_ = nullptr;
  std::byte* octets_ = nullptr;
  int event_fd_ = -1;
};

// The receiving end of one ring.
class RingConsumer {
 public:
  enum class Outcome : std::uint8_t { kMessage, kEmpty, kCorrupt };

  RingConsumer() noexcept = default;
  RingConsumer(RingIndices& indices, std::span<std::byte, kRingCapacity> octets,
               int event_fd) noexcept
      : indices_(&indices), octets_(octets.data()), event_fd_(event_fd) {}

  // Copies the next message out. kCorrupt: the producer broke the rules; drop the channel.
  [[nodiscard]] Outcome pop(ReceivedMessage& out) noexcept;
  // Poll this descriptor for reading while prepare_sleep() holds.
  [[nodiscard]] int event_fd() const noexcept { return event_fd_; }
  // Announces that the consumer will wait on event_fd(). False: messages are there, do not wait.
  [[nodiscard]] bool prepare_sleep() noexcept;
  // After waking: takes the announcement back and clears the eventfd.
  // `signalled`: poll(2) said that event_fd() is readable, or nobody asked; false saves the read.
  void wake(bool signalled = true) noexcept;

 private:
  RingIndices* indices_ = nullptr;
  std::byte* octets_ = nullptr;
  int event_fd_ = -1;
};

// One end's mapping of a channel, with its descriptors.
class Channel {
 public:
  Channel() noexcept = default;
  Channel(Channel&& other) noexcept;
  Channel& operator=(Channel&& other) noexcept;
  ~Channel();

  // Dataplane: makes a fresh channel and hands its descriptors to `socket` (connected SEQPACKET).
  [[nodiscard]] static std::expected<Channel, std::string> create_and_send(int socket);
  // Control: receives a channel from `socket`; blocks at most timeout_ms. Checks magic and version.
  [[nodiscard]] static std::expected<Channel, std::string> receive(int socket, int timeout_ms);

  [[nodiscard]] explicit operator bool() const noexcept { return layout_ != nullptr; }
  [[nodiscard]] RingProducer command_producer() noexcept;
  [[nodiscard]] RingConsumer command_consumer() noexcept;
  [[nodiscard]] RingProducer event_producer() noexcept;
  [[nodiscard]] RingConsumer event_consumer() noexcept;

 private:
  [[nodiscard]] static std::expected<Channel, std::string> map(UniqueFd memory, UniqueFd commands,
                                                               UniqueFd events);
  ChannelLayout* layout_ = nullptr;
  UniqueFd memory_;
  UniqueFd command_event_;
  UniqueFd event_event_;
};

}  // namespace pns::contract
