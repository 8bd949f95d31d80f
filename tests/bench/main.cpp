// SPDX-License-Identifier: BSD-3-Clause
//
// pns-bench: what parts of the server cost, beside others that do the same.
#include <fmt/core.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <exception>
#include <system_error>

#include "tests/bench/mppe_bench.hpp"

namespace {

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0)
    throw std::system_error(errno, std::generic_category(), "--cpu");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures parts of pns. Ratios within one run are what to judge by.");
  app.require_subcommand(1);
  pns::bench::MppeOptions options;
  int cpu = -1;
  CLI::App* mppe = app.add_subcommand(
      "mppe", "MPPE's burst engine beside OpenSSL, nettle and the plain algorithm");
  mppe->add_option("--seconds", options.seconds, "for all cases together")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  mppe->add_option("--rounds", options.rounds,
                   "bursts of each contender in each case, in place of --seconds");
  mppe->add_option("--filter", options.filter,
                   "cases whose name contains this, as stateless/seal/1400/32x32");
  mppe->add_option("--only", options.only, "contenders, beside plain")->delimiter(',');
  mppe->add_option("--json", options.json, "results, to this file");
  mppe->add_flag("--enforce", options.enforce, "exit status 1 when a goal is missed");
  mppe->add_option("--cpu", cpu, "the CPU to run on")->check(CLI::Range(0, CPU_SETSIZE - 1));
  CLI11_PARSE(app, argc, argv);
  try {
    if (cpu >= 0) pin(cpu);
    return pns::bench::run_mppe(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "pns-bench: {}\n", error.what());
    return 1;
  }
}
