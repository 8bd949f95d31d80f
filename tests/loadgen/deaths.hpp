// SPDX-License-Identifier: BSD-3-Clause
//
// Deaths: sessions that end without a farewell (--death), how long the server takes to close their
// connections, and GRE that comes from the grave (--stray-gre). One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/loadgen/lines.hpp"
#include "tests/loadgen/site.hpp"

namespace pns::loadgen {

class Deaths {
 public:
  explicit Deaths(Site& site) : site_(site) {}

  // The share that is to die does, as far as it is alive.
  void begin(Lines& lines, TimePoint now);
  void on_tick(TimePoint now);
  // Every connection is closed and every stray packet sent.
  [[nodiscard]] bool over() const noexcept { return left_ == 0; }

  [[nodiscard]] std::size_t sessions() const noexcept { return dead_.size(); }
  [[nodiscard]] std::uint64_t strays() const noexcept { return strays_; }
  // From the death until the server was seen to close, where it was.
  [[nodiscard]] Times until_closed() const;

 private:
  struct Dead {
    Session& session;
    Dialer& dialer;
    std::optional<TimePoint> gone_at{};  // the connection is closed, by whomever
    unsigned strays = 0;
  };

  void tend(Dead& dead, TimePoint now);

  Site& site_;
  TimePoint begun_{};
  std::vector<Dead> dead_;
  std::size_t left_ = 0;  // not over yet
  std::uint64_t strays_ = 0;
};

}  // namespace pns::loadgen
