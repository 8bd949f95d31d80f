// SPDX-License-Identifier: BSD-3-Clause
//
// Connection: one control connection of a run and the sessions whose calls are on it, whichever the
// role. Run drives it. One thread.
#pragma once

#include "pns/base/time.hpp"

namespace pns::loadgen {

class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  // Opens TCP, or reads from the one that was accepted.
  virtual void start(TimePoint now) = 0;
  // Begins another call, if it can now. False: it cannot (yet, or any more).
  virtual bool launch(TimePoint now) = 0;
  virtual void on_tick(TimePoint now) = 0;
  // Ends the calls and the connection as the role and the profiles do.
  virtual void hang_up(TimePoint now) = 0;
  // Nothing is left to be done or waited for.
  [[nodiscard]] virtual bool over() const = 0;
};

}  // namespace pns::loadgen
