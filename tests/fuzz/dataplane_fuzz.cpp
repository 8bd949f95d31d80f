// SPDX-License-Identifier: BSD-3-Clause
//
// Frames on both ports of a worker with all its stages and real buffers: a stranger's, a
// subscriber's behind right outer headers, fragments, and what the core sends. First octet: which
// of reorder, reassembly, send window and twins there are. Then steps: an octet that says what
// comes, three that place it, and a length with that many octets.
//
// At the end of each input every packet must be on the books exactly once, and every buffer back.
#include <rte_eal.h>

#include <algorithm>

#include "tests/fuzz/fuzz.hpp"
#include "tests/pipeline/world.hpp"

namespace {

using namespace pns;
using namespace pns::test;

constexpr int kMostSteps = 64;

void start_eal() {
  static const bool started = [] {
    std::vector<const char*> arguments = {
        "pns-fuzz", "--no-pci", "--no-telemetry", "-m",        "256",
        "--lcores", "0@(0-1)",  "--log-level=4",  "--no-huge", "--no-shconf"};
    std::vector<char*> writable;
    for (const char* argument : arguments) writable.push_back(const_cast<char*>(argument));
    return rte_eal_init(static_cast<int>(writable.size()), writable.data()) >= 0;
  }();
  if (!started) std::exit(77);  // ctest: skipped
}

Octets outer(const Subscriber& s, unsigned id, unsigned flags_offset, Bytes payload) {
  return ethernet(kAccessMac, kAccessRouterMac, 0x0800,
                  ip({.source = s.peer,
                      .destination = kLocal,
                      .protocol = 47,
                      .id = id,
                      .flags_offset = flags_offset},
                     payload));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  start_eal();
  fuzz::Input input(data, size);
  const std::uint8_t which = input.octet();
  WorldOptions options;
  options.twins = (which & 1) != 0;
  if ((which & 2) != 0) options.reorder = {.packets = 8, .wait_ns = 10'000'000};
  if ((which & 4) != 0) options.reassembly = {.packets = 16, .wait_ns = 1'000'000'000};
  if ((which & 8) != 0) options.send_window = {.adaptive = true};
  World world(options);
  const Subscriber clear = world.add(1);
  world.open_ipv6(clear);
  const Subscriber encrypted = world.add(2, true, true);
  world.arm(encrypted, (which & 16) == 0);
  const Subscriber closed = world.add(3, false);
  const std::array<const Subscriber*, 4> subscribers = {&clear, &encrypted, &closed, &encrypted};

  for (int step = 0; step < kMostSteps && !input.empty(); ++step) {
    const std::uint8_t what = input.octet();
    const std::uint8_t a = input.octet(), b = input.octet();
    const Bytes octets = input.octets(input.octet() * std::size_t{6});
    const Subscriber& s = *subscribers[a % 4];
    switch (what % 8) {
      case 0:
        world.receive(kAccess, octets);
        break;
      case 1:
      case 2:  // in the same order as it comes, mostly
        world.receive(kAccess,
                      from_peer(s, static_cast<std::uint32_t>(step + b % 8), octets,
                                (a & 4) != 0 ? std::optional<std::uint32_t>(b) : std::nullopt));
        break;
      case 3:
        world.receive(kAccess, outer(s, a, (b & 0x80u) << 6 | (b & 0x7fu), octets));
        break;
      case 4:
        world.receive(kCore, octets);
        break;
      case 5:
        world.receive(
            kCore,
            from_core(
                ip({.source = kServer, .destination = s.address, .protocol = b % 2 == 0 ? 6u : 1u},
                   octets)));
        break;
      case 6:
        world.inject(s, "ff03c021 0901 0008 00000000");
        break;
      default:
        world.run();
        world.advance(std::uint64_t{b} * 1'000'000 * (a + 1u));
        break;
    }
    // No more than a ring of the ports holds.
    if (step % 16 == 15) world.run();
  }
  // The acknowledgements that wait leave one by one in the end.
  for (int i = 0; i <= (options.send_window.adaptive ? kMostSteps : 0); ++i) {
    world.run();
    world.advance(3'001'000'000);
  }
  world.run();
  return 0;
}
