// SPDX-License-Identifier: BSD-3-Clause
//
// `pns-loadgen echo`: sends every UDP datagram back to where it came from; the intranet's end of
// --traffic udp.
#pragma once

#include "tests/loadgen/options.hpp"

namespace pns::loadgen {

// Prints "ready" once it listens, and runs until the process is ended. Throws std::runtime_error
// when the address cannot be used.
[[noreturn]] void serve_echo(const EchoOptions& options);

}  // namespace pns::loadgen
