// SPDX-License-Identifier: BSD-3-Clause
//
// Catch2's main for tests that need DPDK: EAL once, unprivileged and without huge pages. Exit
// status 77 (ctest: skipped) where EAL does not start. PNS_TEST_HUGE=1 in the environment: with
// huge pages, for measurements.
#define CATCH_CONFIG_RUNNER
#include <rte_eal.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <vector>

#ifdef __SANITIZE_THREAD__
// They read a ring's ends without atomics; what they say is a hint (tsan_dpdk.hpp).
extern "C" const char* __tsan_default_suppressions() {
  return "race:rte_ring_empty\nrace:rte_ring_count\n";
}
#endif

int main(int argc, char** argv) {
  const bool huge = std::getenv("PNS_TEST_HUGE") != nullptr;
  std::vector<const char*> arguments = {"pns-test", "--no-pci", "--no-telemetry", "-m",
                                        "256",      "--lcores", "0@(0-1)",        "--log-level=4"};
  if (huge)
    arguments.insert(arguments.end(), {"--in-memory", "--iova-mode=va"});
  else
    arguments.insert(arguments.end(), {"--no-huge", "--no-shconf"});
  std::vector<char*> writable;
  for (const char* argument : arguments) writable.push_back(const_cast<char*>(argument));
  if (rte_eal_init(static_cast<int>(writable.size()), writable.data()) < 0) return 77;
  const int result = Catch::Session().run(argc, argv);
  rte_eal_cleanup();
  return result;
}
