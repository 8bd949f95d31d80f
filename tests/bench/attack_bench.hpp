// SPDX-License-Identifier: BSD-3-Clause
//
// pns-bench attack: what real MPPE sessions keep of a worker while somebody who knows a peer's
// address and our Call ID sends forged packets into them.
//
//   far    GRE number beyond what the window trusts: off the path, numbers are guessed
//   near   GRE number 64 ahead: on the path, numbers are seen
//   loss   far, while one real packet in fifty is lost on its way
//   gap    GRE number and count equally far ahead, as behind a real loss
//
// And floods of frames that no session has (flood_bench.hpp).
//
// Batches without forged packets, with them, and with as many from strangers, which are received
// and dropped, in turn, each in a worker of its own whose clock is the time it was busy: its purses
// refill as on a core that does nothing else.
#pragma once

#include <cstdint>

#include "tests/bench/results.hpp"

namespace pns::bench {

struct AttackOptions : RunOptions {
  AttackOptions() { seconds = 0.5; }  // busy, of each case
  std::uint32_t sessions = 1'024;
  bool all = false;  // every combination, else the cases that say most
  int cpu = -1;
  std::uint32_t key_change_ns = 1'000;  // set by run_attack()
};

// Tables on stdout, progress on stderr. Starts EAL. Exit status: 1 when a poll made more
// key steps than fit in 100 µs, the token buckets let too much through, a real packet was lost
// where none may be, no case matches or, with `enforce`, a goal is missed; 77 when EAL does not
// start.
int run_attack(const AttackOptions& options);

}  // namespace pns::bench
