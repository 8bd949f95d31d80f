// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/eal_start.hpp"

#include <fmt/core.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "tests/bench/machine.hpp"

namespace pns::bench {

unsigned free_huge_pages() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  unsigned pages = 0;
  file >> pages;
  return pages;
}

std::optional<Machine> start_eal(bool no_huge, std::span<const int> cpus, unsigned megabytes) {
  const unsigned wanted = megabytes / kHugePageMegabytes;
  const unsigned free = no_huge ? 0 : free_huge_pages();
  const bool huge_pages = !no_huge && free >= wanted;
  if (!no_huge && !huge_pages)
    fmt::print(
        stderr,
        "pns-bench: too few huge pages, {} of {} are free: packet buffers are on 4 KiB pages, "
        "and costs are higher than on huge ones\n",
        free, wanted);
  const std::string lcores =
      cpus.empty() ? fmt::format("0@(0-{})", std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)) - 1)
                   : fmt::format("0@{}", cpus.front());
  std::vector<std::string> words = {
      "pns-bench", "--no-pci", "--no-telemetry",         "--log-level=4", "--lcores",
      lcores,      "-m",       std::to_string(megabytes)};
  if (huge_pages)
    words.insert(words.end(), {"--in-memory", "--iova-mode=va"});
  else
    words.insert(words.end(), {"--no-huge", "--no-shconf", "--iova-mode=va"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    fmt::print(stderr, "pns-bench: EAL does not start\n");
    return std::nullopt;
  }
  return Machine{.cpu = cpu_model(),
                 .tsc_ghz = static_cast<double>(rte_get_tsc_hz()) / 1e9,
                 .core_ratio = core_ratio(),
                 .huge_pages = huge_pages};
}

}  // namespace pns::bench
