// SPDX-License-Identifier: BSD-3-Clause
//
// AddressPool: the subscriber addresses of one named pool. Allocation takes the address that has
// been free the longest, in a bucket that the caller prefers where one is free. The bucket is the
// low 8 bits of the address, or what set_buckets() says; allocate, claim and release cost the same
// however full the pool is. 8 octets of memory per address. No I/O, one thread (the event loop).
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::pools {

// Bit b stands for the addresses of bucket b.
using BucketMask = std::bitset<kSteeringBuckets>;
// The bucket of an address, always the same. Empty: its low 8 bits.
using AddressBucket = std::function<std::uint8_t(Ipv4Address)>;

struct PoolConfig {
  std::string name;
  std::vector<Ipv4Range> ranges;  // must not overlap
  Ipv4Address gateway;            // our side of the link; never leased, may lie inside a range
  std::vector<Ipv6Prefix> ipv6_prefixes{};  // at most 64 bits long; empty: no IPv6
};

class AddressPool {
 public:
  static constexpr std::uint64_t kMaximumAddresses = std::uint64_t{1} << 24;

  // Throws std::invalid_argument when ranges are inverted, overlap or hold more than
  // kMaximumAddresses: pns/config refuses such a file before.
  explicit AddressPool(const PoolConfig& config);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] Ipv4Address gateway() const noexcept { return gateway_; }

  // A free address, of a preferred bucket if there is one. Empty when the pool is used up.
  [[nodiscard]] std::optional<Ipv4Address> allocate(const BucketMask& preferred);
  [[nodiscard]] std::optional<Ipv4Address> allocate() { return allocate(BucketMask()); }

  // From now on these are the buckets. Leases stay; free addresses change queues, those of one
  // bucket in the order in which they became free. Costs one call for each free address.
  void set_buckets(AddressBucket bucket);

  // Takes this very address. False when it is not of this pool, is the gateway, or is taken.
  [[nodiscard]] bool claim(Ipv4Address address);

  // Gives an address back; false when it was not taken from here.
  bool release(Ipv4Address address);

  // Takes an address out for good, before anything was leased: somebody's gateway. One that is not
  // of this pool is ignored.
  void reserve(Ipv4Address address) noexcept;

  // Whether the address lies in a range of this pool (the gateway too).
  [[nodiscard]] bool contains(Ipv4Address address) const noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }  // leasable addresses
  [[nodiscard]] std::size_t in_use() const noexcept { return in_use_; }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  static constexpr std::uint32_t kTaken = 0xfffffffe;
  static constexpr std::uint32_t kReserved = 0xfffffffd;

  struct Range {
    Ipv4Range addresses;
    std::uint32_t first_index = 0;
  };
  // A queue of free addresses: indices linked through links_.
  struct Queue {
    std::uint32_t head = kNone;
    std::uint32_t tail = kNone;
  };
  struct Links {
    std::uint32_t previous = kNone;  // kTaken, kReserved: in no queue
    std::uint32_t next = kNone;
  };

  [[nodiscard]] std::optional<std::uint32_t> index_of(Ipv4Address address) const noexcept;
  [[nodiscard]] Ipv4Address address_of(std::uint32_t index) const noexcept;
  [[nodiscard]] std::size_t bucket_of(std::uint32_t index) const;
  void push(std::uint32_t index) noexcept;
  void unlink(std::uint32_t index) noexcept;

  std::string name_;
  Ipv4Address gateway_;
  std::vector<Range> ranges_;  // ascending
  std::vector<Links> links_;   // by index
  AddressBucket bucket_;
  std::array<Queue, kSteeringBuckets> free_;
  BucketMask has_free_;
  std::size_t cursor_ = 0;  // buckets are served in turn
  std::size_t size_ = 0;
  std::size_t in_use_ = 0;
};

}  // namespace pns::pools
