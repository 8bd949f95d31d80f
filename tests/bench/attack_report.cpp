// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/attack_report.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "dataplane/pipeline/stage_context.hpp"

namespace pns::bench {
namespace {

constexpr double kKept = 0.90;
constexpr std::uint64_t kMaxKeyStepNs = 100'000;  // of key steps in one poll
constexpr unsigned kPlainSteps = 4'095;           // of a receiver that follows any count at once

double core_share(const AttackReport& report, const AttackRow& row) {
  return row.steps_a_second() * report.step_cycles / (report.tsc_ghz * 1e9);
}

}  // namespace

double AttackRow::steps_allowed(std::uint32_t key_change_ns) const {
  const dataplane::KeyStepBudget budget(key_change_ns);
  double allowed = 0;
  for (const dataplane::EventBucket& bucket :
       {budget.explained, budget.unexplained, budget.long_gaps}) {
    const auto cost_ns = static_cast<double>(bucket.cost_ns);
    allowed += (busy_seconds * 1e9 + static_cast<double>(bucket.burst_ns)) / cost_ns;
  }
  return allowed;
}

std::vector<std::string> broken_rules(const AttackReport& report) {
  std::vector<std::string> broken;
  for (const AttackRow& row : report.rows) {
    if (row.most_steps * report.key_change_ns > kMaxKeyStepNs)
      broken.push_back(fmt::format("{}: {} key steps in one poll", row.name, row.most_steps));
    if (static_cast<double>(row.steps) > row.steps_allowed(report.key_change_ns))
      broken.push_back(fmt::format("{}: {} key steps in {:.3f} s, {:.0f} allowed", row.name,
                                   row.steps, row.busy_seconds,
                                   row.steps_allowed(report.key_change_ns)));
    if (row.lossless && row.lost != 0)
      broken.push_back(fmt::format("{}: {} real packets lost", row.name, row.lost));
  }
  return broken;
}

bool print_report(const AttackReport& report) {
  fmt::print("{}; {} sessions, buffers on {} pages\n", describe(report), report.sessions,
             page_size(report.huge_pages));
  fmt::print(
      "a key step: {:.0f} cycles; a receiver that follows any count at once pays {:.0f} for a "
      "forged packet\n"
      "kept: real packets a second under attack by those without, median/p10 of pairs of batches; "
      "dropping: when\nas many packets of strangers are received and dropped; cycles: of a "
      "stranger's packet, of a forged one beyond\nthat; most: key steps of one poll; lone: of a "
      "poll "
      "with nothing but one forged packet, median/most\n\n",
      report.step_cycles, report.step_cycles * kPlainSteps);
  fmt::print("{:<35} {:>9} {:>11} {:>8} {:>9} {:>7} {:>6} {:>6} {:>5} {:>4} {:>13} {:>7}\n",
             "mode/kind/jump/attacked/forged:real", "alone", "kept", "dropping", "delivered",
             "dropped", "forged", "steps", "core", "most", "lone", "lost");
  bool all = true;
  unsigned goals = 0, met = 0;
  for (const AttackRow& row : report.rows) {
    fmt::print(
        "{:<35} {:>9} {:>11} {:>8.3f} {:>8.3f}% {:>7.0f} {:>6.0f} {:>6.2f} {:>4.1f}% {:>4} {:>13} "
        "{:>7}\n",
        row.name, fmt::format("{:.0f}/{:.0f}", row.baseline.min, row.baseline.median),
        fmt::format("{:.3f}/{:.3f}", row.kept, row.kept_p10), row.kept_dropping,
        100 * row.delivered(), row.dropped_cycles, row.forged_cycles - row.dropped_cycles,
        row.steps_a_forged(), 100 * core_share(report, row), row.most_steps,
        fmt::format("{:.0f}/{:.0f}", row.lone_cycles, row.lone_most), row.lost);
    if (!row.goal) continue;
    ++goals;
    met += row.kept >= kKept ? 1 : 0;
    all &= row.kept >= kKept;
  }
  fmt::print("\ngoal: kept >= {:.2f} at 1:10: {} of {} cases\n", kKept, met, goals);
  for (const AttackRow& row : report.rows)
    if (row.goal && row.kept < kKept)
      fmt::print("  missed: {} {:.3f}, {} of {} real packets lost\n", row.name, row.kept, row.lost,
                 row.real);
  return all;
}

void write_json(const AttackReport& report, const std::string& path) {
  nlohmann::json rows = nlohmann::json::array();
  nlohmann::json goals = nlohmann::json::array();
  for (const AttackRow& row : report.rows) {
    rows.push_back({{"bench", "attack"},
                    {"case", row.name},
                    {"min", row.attacked.min},
                    {"p10", row.attacked.p10},
                    {"median", row.attacked.median},
                    {"baseline", json_of(row.baseline)},
                    {"kept", row.kept},
                    {"kept_p10", row.kept_p10},
                    {"kept_dropping", row.kept_dropping},
                    {"dropping", json_of(row.dropping)},
                    {"delivered", row.delivered()},
                    {"dropped_cycles", row.dropped_cycles},
                    {"forged_cycles", row.forged_cycles},
                    {"steps_a_forged", row.steps_a_forged()},
                    {"steps_a_second", row.steps_a_second()},
                    {"core_share_of_steps", core_share(report, row)},
                    {"most_steps_of_a_poll", row.most_steps},
                    {"lone", {{"median", row.lone_cycles}, {"most", row.lone_most}}},
                    {"real", row.real},
                    {"forged", row.forged},
                    {"lost", row.lost},
                    {"busy_seconds", row.busy_seconds}});
    if (row.goal)
      goals.push_back({{"goal", row.name + ", throughput kept"},
                       {"at_least", kKept},
                       {"unit", "times"},
                       {"measured", row.kept},
                       {"met", row.kept >= kKept}});
  }
  nlohmann::json floods = nlohmann::json::array();
  for (const FloodRow& row : report.floods)
    floods.push_back({{"flood", row.name},
                      {"frames", row.frames},
                      {"median", row.cycles},
                      {"frames_a_second", row.frames_a_second},
                      {"passed", row.passed},
                      {"replies", row.replies},
                      {"replies_passed", row.replies_passed},
                      {"gateway_resolved", row.gateway_resolved()}});
  write_results(path, report,
                {{"sessions", report.sessions},
                 {"unit", "TSC cycles a real packet that was carried"},
                 {"key_step_cycles", report.step_cycles},
                 {"plain_cycles_a_forged_packet", report.step_cycles * kPlainSteps},
                 {"rows", rows},
                 {"floods", floods},
                 {"goals", goals}});
}

}  // namespace pns::bench
