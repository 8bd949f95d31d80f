// SPDX-License-Identifier: BSD-3-Clause
//
// AddressPool: the subscriber addresses of one named pool. Allocation takes the address that has
// been free the longest, in a bucket that the caller prefers where one is free. The bucket is the
// low 8 bits of the address, or what set_buckets() says; allocate, claim and release cost the same
// however full the pool is. 8 octets of memory per address. No I/O, one thread (the event loop).
//
// An address can be withheld from allocation: as our own nobody may have it, as fixed it waits for
// the account that claims it.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
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
  std::vector<Ipv6Prefix> ipv6_prefixes{};       // at most 64 bits long; empty: no IPv6
  std::vector<Ipv6Prefix> delegated_prefixes{};  // at most delegated_length long; empty: none
  std::uint8_t delegated_length = 56;            // bits of a delegated prefix, at most 64
  bool skip_0_and_255 = false;                   // do not lease addresses that end in .0 or .255
  std::vector<Ipv4Range> exclude{};              // do not lease these
  std::string next{};                            // pool that allocate() goes on with; empty: none
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

  // Takes this very address, a fixed one too. False when it is not of this pool, is withheld as our
  // own, or is taken.
  [[nodiscard]] bool claim(Ipv4Address address);

  // Gives an address back; false when it was not taken from here.
  bool release(Ipv4Address address);

  // Why allocate() does not give an address out.
  enum class Withheld : std::uint8_t {
    kOwn = 1,      // of this server, or of no host (network, broadcast): claim() refuses it too
    kFixed = 2,    // of an account: claim() takes it
    kSkipped = 4,  // excluded, or its last octet is 0 or 255: claim() takes it
  };
  // Withholds an address, or no longer. One that is leased stays so; the change counts from its
  // release on. An address may be withheld for several reasons. One that is not of this pool is
  // ignored.
  void withhold(Ipv4Address address, Withheld why);
  void stop_withholding(Ipv4Address address, Withheld why);

  // Whether the address lies in a range of this pool (the gateway too).
  [[nodiscard]] bool contains(Ipv4Address address) const noexcept;

  // Addresses that can be leased: all but our own and those that are skipped. Fixed ones count.
  [[nodiscard]] std::size_t size() const noexcept { return links_.size() - excluded_; }
  [[nodiscard]] std::size_t in_use() const noexcept { return in_use_; }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  static constexpr std::uint32_t kTaken = 0xfffffffe;
  static constexpr std::uint32_t kIdle = 0xfffffffd;

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
    std::uint32_t previous = kNone;  // kTaken, kIdle (free, but withheld): in no queue
    std::uint32_t next = kNone;
  };

  [[nodiscard]] std::optional<std::uint32_t> index_of(Ipv4Address address) const noexcept;
  [[nodiscard]] Ipv4Address address_of(std::uint32_t index) const noexcept;
  [[nodiscard]] std::size_t bucket_of(std::uint32_t index) const;
  [[nodiscard]] bool is_own(std::uint32_t index) const;
  // A free address goes to the end of its queue, or to none when it is withheld.
  void put_back(std::uint32_t index);
  void push(std::uint32_t index) noexcept;
  void unlink(std::uint32_t index) noexcept;

  std::string name_;
  Ipv4Address gateway_;
  std::vector<Range> ranges_;  // ascending
  std::vector<Links> links_;   // by index
  AddressBucket bucket_;
  std::array<Queue, kSteeringBuckets> free_;
  BucketMask has_free_;
  std::size_t cursor_ = 0;                                    // buckets are served in turn
  std::unordered_map<std::uint32_t, std::uint8_t> withheld_;  // by index: bits of Withheld
  std::size_t excluded_ = 0;                                  // of these, not in size()
  std::size_t in_use_ = 0;
};

}  // namespace pns::pools
