// SPDX-License-Identifier: BSD-3-Clause
//
// WaysBack: the kernel's routes to addresses and /64s that sessions have outside the pools, by
// which programs of this host answer them (docs/decisions/0022). The dataplane tells which sessions
// have. It is believed nothing: bounded are the routes in total and the changes in a second. A
// change beyond the rate waits, one for each prefix, and the last word about a prefix counts.
// Supervisor thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/base/time.hpp"
#include "pns/base/token_bucket.hpp"
#include "pns/log/log.hpp"

namespace pns::supervisor {

class WaysBack {
 public:
  static constexpr TokenBucket::Settings kRate{.rate = 2'000, .burst = 1'000};

  // The kernel, or another in tests.
  class Kernel {
   public:
    Kernel() = default;
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual ~Kernel() = default;
    [[nodiscard]] virtual std::expected<void, std::string> add(const Networks& prefix) = 0;
    virtual void remove(const Networks& prefix) = 0;
  };

  explicit WaysBack(Kernel& kernel, TokenBucket::Settings rate = kRate)
      : kernel_(kernel), rate_(rate) {}

  // At most so many prefixes that sessions have. Before the first set().
  void set_limit(std::size_t most) noexcept { most_ = most; }
  // `address`: IPv4, or the first of a /64. `bound`: a session has it, or has it no more.
  void set(std::string_view address, bool bound, TimePoint now);
  // Applies what waits, as far as the rate permits. Call when next_due() says so.
  void on_timer(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_due() const noexcept;
  // Applies all that waits, whatever the rate is: another program takes this one's place.
  void flush(TimePoint now);
  // The kernel has none any more: nothing is known, and nothing waits.
  void forget();
  // The kernel has these, which an earlier program of this process has set. Prefixes that no
  // session can have are left out.
  void adopt(const Networks& known);
  // Sets those again that the kernel should have: it may have dropped them.
  void repeat();

  // Those that the kernel has.
  [[nodiscard]] Networks networks() const;
  [[nodiscard]] std::size_t size() const noexcept { return bound_; }  // that sessions have
  [[nodiscard]] std::size_t waiting() const noexcept { return queue_.size(); }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
  [[nodiscard]] std::uint64_t delayed() const noexcept { return delayed_; }

 private:
  using Prefix = std::variant<Ipv4Prefix, Ipv6Prefix>;
  struct State {
    bool bound = false;      // a session has it
    bool in_kernel = false;  // there is a route
    bool queued = false;     // it stands in queue_
  };
  using Place = std::map<Prefix, State>::iterator;

  [[nodiscard]] static std::optional<Prefix> parse(std::string_view address);
  [[nodiscard]] static Networks networks_of(const Prefix& prefix);
  void refuse(std::string_view reason, TimePoint now);
  // Makes the kernel's state the wanted one. The entry goes when nothing is left of it.
  void apply(Place place, TimePoint now);
  void apply_next(TimePoint now);

  Kernel& kernel_;
  TokenBucket::Settings rate_;
  TokenBucket budget_;
  std::size_t most_ = 0;
  std::size_t bound_ = 0;
  std::map<Prefix, State> prefixes_;  // at most two for each that may be bound
  std::deque<Prefix> queue_;          // each once, in the order of the first change
  std::uint64_t refused_ = 0;
  std::uint64_t delayed_ = 0;
  TimePoint now_{};  // of the last call
  log::RateLimit refused_log_{1, Seconds(1)};
  log::RateLimit delayed_log_{1, Seconds(60)};
  log::RateLimit failed_log_{1, Seconds(1)};
};

}  // namespace pns::supervisor
