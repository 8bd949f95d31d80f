// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/pipeline_report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "pns/contract/session_memory.hpp"

namespace pns::bench {
namespace {

struct Goal {
  std::string what;
  std::string unit;
  double limit = 0;
  Spread measured;
  // Which bursts count: the best one is what the machine does without its neighbours.
  double Spread::*by = &Spread::p10;
  [[nodiscard]] bool met() const { return measured.*by <= limit; }
  [[nodiscard]] const char* verdict() const {
    if (met()) return "met";
    return measured.min <= limit ? "met by min only" : "missed";
  }
};

Spread each(const Spread& a, const Spread& b, const std::function<double(double, double)>& with) {
  return {with(a.min, b.min), with(a.p10, b.p10), with(a.median, b.median)};
}
// The cost that the worker adds to its ports.
Spread work(const PipelineRow& row) { return each(row.whole, row.echo, std::minus<>()); }

std::vector<Goal> judge(const PipelineReport& report) {
  const auto find = [&](const std::string& name) -> const PipelineRow* {
    const auto row = std::ranges::find(report.rows, name, &PipelineRow::name);
    return row == report.rows.end() ? nullptr : &*row;
  };
  std::vector<Goal> goals;
  for (const std::string direction : {"up", "down", "unsteered"}) {
    const PipelineRow* few = nullptr;
    for (const auto& [sessions, limit] : {std::pair{10'000, 130.0}, {1'000'000, 180.0}}) {
      const PipelineRow* row = find(fmt::format("{}/clear/64/{}", direction, sessions));
      if (row == nullptr) continue;
      goals.push_back({row->name + ", rx to tx", "cycles", limit, row->whole, &Spread::min});
      if (few != nullptr)
        goals.push_back({row->name + " against 10000", "times", 1.4,
                         each(row->whole, few->whole, std::divides<>())});
      few = row;
    }
  }
  if (const PipelineRow* row = find("up/mppe/1400/1000000"); row != nullptr)
    goals.push_back({row->name + ", rx to tx", "cycles", 4'300, row->whole});
  for (const PipelineMemory& memory : report.memory)
    if (memory.sessions == 1'000'000)
      goals.push_back({"memory of a session, 1000000",
                       "octets",
                       1'024,
                       {memory.total(), memory.total(), memory.total()}});
  return goals;
}

double gbit(const PipelineReport& report, const PipelineRow& row) {
  return 8 * static_cast<double>(row.size) * report.tsc_ghz / row.whole.median;
}

}  // namespace

bool print_report(const PipelineReport& report) {
  fmt::print("{}; packet buffers on {} pages\n", describe(report), page_size(report.huge_pages));
  fmt::print(
      "TSC cycles a packet, by bursts; whole: rx_burst to tx_burst; work: whole - echo. A case "
      "without "
      "a state: frames in memory\n");
  for (const PipelineLine& line : report.lines)
    fmt::print(
        "frames in {}: the first line of one takes {:.0f} cycles alone, {:.0f} of 32 at once\n",
        words_of(line.state), line.cost.alone, line.cost.of_32);
  fmt::print("\n{:<34} {:>22} {:>7} {:>7} {:>20} {:>17} {:>10} {:>6} {:>6}\n",
             "way/crypto/octets/sessions", "whole min/p10/median", "Mpps", "Gbit/s",
             "work min/p10/median", "echo min/median", "lone/whole", "acks", "handed");
  for (const PipelineRow& row : report.rows) {
    const Spread session = work(row);
    fmt::print("{:<34} {:>22} {:>7.2f} {:>7.2f} {:>20} {:>17} {:>10.2f} {:>6.3f} {:>6.3f}\n",
               row.name,
               fmt::format("{:.0f}/{:.0f}/{:.0f}", row.whole.min, row.whole.p10, row.whole.median),
               report.tsc_ghz * 1e3 / row.whole.median, gbit(report, row),
               fmt::format("{:.0f}/{:.0f}/{:.0f}", session.min, session.p10, session.median),
               fmt::format("{:.0f}/{:.0f}", row.echo.min, row.echo.median),
               row.lone.median / row.whole.median, row.acks, row.handed);
  }
  fmt::print("\nresident octets a session:\n");
  for (const PipelineMemory& memory : report.memory)
    fmt::print(
        "{:>9} sessions {:>7.0f}: session memory {:.0f} on {} pages, table {:.0f}, worker {:.0f}\n",
        memory.sessions, memory.total(), memory.resident.records,
        page_size(memory.resident.huge_pages), memory.resident.table, memory.resident.worker);
  const std::vector<Goal> goals = judge(report);
  bool all = true;
  if (!goals.empty()) fmt::print("\n{:<38} {:>8} {:>24}\n", "goal", "at most", "min/p10/median");
  for (const Goal& goal : goals) {
    all &= goal.met();
    const int digits = goal.limit < 10 ? 2 : 0;
    fmt::print("{:<38} {:>8.{}f} {:>24} {:<6} {}\n", goal.what, goal.limit, goal.limit < 10 ? 1 : 0,
               fmt::format("{:.{}f}/{:.{}f}/{:.{}f}", goal.measured.min, digits, goal.measured.p10,
                           digits, goal.measured.median, digits),
               goal.unit, goal.verdict());
  }
  return all;
}

void write_json(const PipelineReport& report, const std::string& path) {
  nlohmann::json rows = nlohmann::json::array();
  for (const PipelineRow& row : report.rows)
    rows.push_back({{"bench", "pipeline"},
                    {"case", row.name},
                    {"min", row.whole.min},
                    {"p10", row.whole.p10},
                    {"median", row.whole.median},
                    {"mpps", report.tsc_ghz * 1e3 / row.whole.median},
                    {"gbit_s", gbit(report, row)},
                    {"work", json_of(work(row))},
                    {"echo", json_of(row.echo)},
                    {"lone", json_of(row.lone)},
                    {"acks_a_packet", row.acks},
                    {"handed_a_packet", row.handed},
                    {"packets", row.packets}});
  nlohmann::json goals = nlohmann::json::array();
  for (const Goal& goal : judge(report))
    goals.push_back({{"goal", goal.what},
                     {"at_most", goal.limit},
                     {"unit", goal.unit},
                     {"measured", json_of(goal.measured)},
                     {"by", goal.by == &Spread::min ? "min" : "p10"},
                     {"met", goal.met()}});
  nlohmann::json memory = nlohmann::json::array();
  for (const PipelineMemory& each : report.memory)
    memory.push_back({{"sessions", each.sessions},
                      {"octets_a_session", each.total()},
                      {"session_memory", each.resident.records},
                      {"table", each.resident.table},
                      {"worker", each.resident.worker},
                      {"record_octets", sizeof(contract::SessionRecord)},
                      {"huge_pages", each.resident.huge_pages}});
  nlohmann::json frames = nlohmann::json::array();
  for (const PipelineLine& line : report.lines)
    frames.push_back({{"state", name_of(line.state)},
                      {"line_alone", line.cost.alone},
                      {"line_of_32", line.cost.of_32}});
  write_results(path, report,
                {{"frames", frames},
                 {"hosts", report.hosts},
                 {"unit", "TSC cycles a packet"},
                 {"rows", rows},
                 {"memory", memory},
                 {"goals", goals}});
}

}  // namespace pns::bench
