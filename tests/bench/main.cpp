// SPDX-License-Identifier: BSD-3-Clause
//
// pns-bench: what parts of the server cost, beside others that do the same.
#include <fmt/core.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <string>

#include "tests/bench/attack_bench.hpp"
#include "tests/bench/compare.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/mppe_bench.hpp"
#include "tests/bench/pipeline_bench.hpp"
#include "tests/bench/pipeline_rig.hpp"
#include "tests/bench/scale_bench.hpp"

namespace {

// `filter`: a name for an example; `seconds`, `rounds`: of what.
void add_run_options(CLI::App* command, pns::bench::RunOptions& options, const std::string& filter,
                     const std::string& seconds, const std::string& rounds) {
  command->add_option("--filter", options.filter, "cases whose name contains this, as " + filter);
  command->add_option("--seconds", options.seconds, seconds)
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--rounds", options.rounds, rounds + ", in place of --seconds");
  command->add_flag("--enforce", options.enforce, "exit status 1 when a goal is missed");
  command->add_option("--json", options.json, "results, to this file");
}

void add_no_huge(CLI::App* command, pns::bench::RunOptions& options) {
  command->add_flag("--no-huge", options.no_huge, "without huge pages");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures parts of pns. Ratios within one run are what to judge by.");
  app.require_subcommand(1);
  pns::bench::MppeOptions options;
  int cpu = -1;
  CLI::App* mppe = app.add_subcommand(
      "mppe", "MPPE's burst engine beside OpenSSL, nettle and the plain algorithm");
  add_run_options(mppe, options, "stateless/seal/1400/32x32", "for all cases together",
                  "bursts of each contender in each case");
  mppe->add_option("--only", options.only, "contenders, beside plain")->delimiter(',');
  mppe->add_option("--cpu", cpu, "the CPU to run on")->check(CLI::Range(0, CPU_SETSIZE - 1));

  pns::bench::PipelineOptions pipeline_options;
  CLI::App* pipeline =
      app.add_subcommand("pipeline", "a whole worker, rx_burst to tx_burst, over many sessions");
  pipeline->add_option("--sessions", pipeline_options.sessions, "how many, of each case")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::Range(1U, pns::bench::kMaxBenchSessions));
  pipeline->add_option("--max-sessions", pipeline_options.max_sessions, "no case with more");
  pipeline->add_option("--size", pipeline_options.sizes, "octets of inner IP packets")
      ->delimiter(',')
      ->check(CLI::Range(40, 1400));
  pipeline
      ->add_option("--direction", pipeline_options.directions,
                   "up, down, both; unsteered: down, by two workers that get half of each other's "
                   "packets, polled in turn")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::IsMember({"up", "down", "both", "unsteered"}));
  pipeline
      ->add_option("--frames", pipeline_options.frames,
                   "where received frames lie: memory; llc: the last-level cache, as with DDIO; "
                   "written: where the bench has just written them")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::IsMember({"memory", "llc", "written"}));
  pipeline
      ->add_option("--hosts", pipeline_options.hosts,
                   "hosts that subscribers talk to: all over the unicast addresses, or a few "
                   "thousand neighbours")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::IsMember({"all", "few"}));
  pipeline
      ->add_option(
          "--service", pipeline_options.services,
          "of each session: none; rate: 100 Gbit/s each way, which nothing exceeds; "
          "shape: the same, with workers that delay what exceeds a rate; group: 100 Gbit/s "
          "each way that all sessions share; filter: 16 rules each way, of which the last "
          "permits")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::IsMember({"none", "rate", "shape", "group", "filter"}));
  bool only_clear = false;
  bool only_mppe = false;
  CLI::Option* clear = pipeline->add_flag("--clear", only_clear, "only without MPPE");
  pipeline->add_flag("--mppe", only_mppe, "only with MPPE")->excludes(clear);
  add_no_huge(pipeline, pipeline_options);
  add_run_options(pipeline, pipeline_options, "up/clear/64/1000000", "for all cases together",
                  "batches of each case");
  pipeline->add_option("--cpu", pipeline_options.cpu, "the CPU to run on")
      ->check(CLI::Range(0, CPU_SETSIZE - 1));

  pns::bench::AttackOptions attack_options;
  CLI::App* attack = app.add_subcommand(
      "attack", "what MPPE sessions keep of a worker while forged packets come in");
  attack->add_option("--sessions", attack_options.sessions, "how many")
      ->capture_default_str()
      ->check(CLI::Range(1U, pns::bench::kMaxBenchSessions));
  attack->add_flag("--all", attack_options.all, "every combination: about an hour");
  add_no_huge(attack, attack_options);
  add_run_options(attack, attack_options, "stateless/far/500/all/1:10/imix", "busy, of each case",
                  "batches of each case");
  attack->add_option("--cpu", attack_options.cpu, "the CPU to run on")
      ->check(CLI::Range(0, CPU_SETSIZE - 1));

  pns::bench::CompareOptions compare_options;
  CLI::App* compare =
      app.add_subcommand("compare", "two files of --json: what is slower, which goals were lost");
  compare->add_option("OLD", compare_options.before, "results of before")->required();
  compare->add_option("NEW", compare_options.after, "results of now")->required();
  compare
      ->add_option("--tolerance", compare_options.tolerance,
                   "part by which a cost may differ and is still the same")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);

  pns::bench::ScaleOptions scale_options;
  CLI::App* scale = app.add_subcommand(
      "scale", "several workers at once against one alone, and what hand-over costs");
  scale->add_option("--cpus", scale_options.cpus, "one worker on each; not given: on all CPUs")
      ->delimiter(',')
      ->check(CLI::Range(0, CPU_SETSIZE - 1));
  scale->add_option("--workers", scale_options.workers, "on the first so many of the CPUs")
      ->check(CLI::PositiveNumber);
  scale->add_option("--frames", scale_options.frames, "where received frames lie, as of pipeline")
      ->capture_default_str()
      ->check(CLI::IsMember({"memory", "llc", "written"}));
  scale->add_option("--sessions", scale_options.sessions, "how many of each worker")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::Range(1U, 200'000U));
  add_no_huge(scale, scale_options);
  add_run_options(scale, scale_options, "clear/up/64/10000", "of each case", "of each case");

  CLI11_PARSE(app, argc, argv);
  try {
    if (compare->parsed()) return pns::bench::run_compare(compare_options);
    if (pipeline->parsed()) {
      pipeline_options.clear = !only_mppe;
      pipeline_options.mppe = !only_clear;
      return pns::bench::run_pipeline(pipeline_options);
    }
    if (attack->parsed()) return pns::bench::run_attack(attack_options);
    if (scale->parsed()) return pns::bench::run_scale(scale_options);
    if (cpu >= 0) pns::bench::pin(cpu);
    return pns::bench::run_mppe(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "pns-bench: {}\n", error.what());
    return 1;
  }
}
