// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/results.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/bench/machine.hpp"

namespace pns::bench {

Spread spread_of(std::vector<double>& samples) {
  std::ranges::sort(samples);
  return {samples.front(), samples[samples.size() / 10], samples[samples.size() / 2]};
}

std::string describe(const Machine& machine) {
  const CpuIdentity identity = cpu_identity();
  return fmt::format(
      "{} (family {} model {} stepping {}), TSC {:.2f} GHz, core at {:.2f} times that, {}",
      machine.cpu, identity.family, identity.model, identity.stepping, machine.tsc_ghz,
      machine.core_ratio, today());
}

const char* page_size(bool huge) noexcept { return huge ? "2 MiB" : "4 KiB"; }

nlohmann::json json_of(const Machine& machine) {
  const CpuIdentity identity = cpu_identity();
  return {{"cpu", machine.cpu},
          {"family", identity.family},
          {"model", identity.model},
          {"stepping", identity.stepping},
          {"date", today()},
          {"tsc_ghz", machine.tsc_ghz},
          {"core_ratio", machine.core_ratio}};
}

nlohmann::json json_of(const Spread& spread) {
  return {{"min", spread.min}, {"p10", spread.p10}, {"median", spread.median}};
}

void write_results(const std::string& path, const Machine& machine, nlohmann::json results) {
  results.update(json_of(machine));
  results["huge_pages"] = machine.huge_pages;
  write_results(path, results);
}

void write_results(const std::string& path, const nlohmann::json& results) {
  std::ofstream file(path);
  file << results.dump(1) << '\n';
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace pns::bench
