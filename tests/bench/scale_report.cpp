// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/scale_report.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pns::bench {
namespace {

constexpr double kGoal = 0.9;  // of as many workers as there are: 1.8 of two

// The machine's figure for work that shares nothing: the better of both, for it is a bar.
double machine_factor(const ScaleReport& report) {
  const auto row = std::ranges::find(report.rows, "alu", &ScaleRow::name);
  return row == report.rows.end()
             ? 0
             : std::max(row->factor(&Spread::p10), row->factor(&Spread::median));
}
double mean(const std::vector<Spread>& spreads, double Spread::*of) {
  double sum = 0;
  for (const Spread& spread : spreads) sum += spread.*of;
  return sum / static_cast<double>(spreads.size());
}
// Where the machine does not give as much, as large a share of what it gives.
double wanted(const ScaleReport& report) {
  return kGoal * std::min(machine_factor(report), static_cast<double>(report.cpus.size()));
}
bool meets(const ScaleReport& report, const ScaleRow& row) {
  return row.factor(&Spread::p10) >= wanted(report);
}
// The input of a simulation of more workers: the smallest packets in the clear, two threads.
const HandoverRow* split_of(const ScaleReport& report) {
  const auto row = std::ranges::find_if(report.handovers, [](const HandoverRow& each) {
    return each.one_way && each.threads == 2 && each.name == "clear/up/64";
  });
  return row == report.handovers.end() ? nullptr : &*row;
}
nlohmann::json json_of(const Extra& extra) {
  return {{"p10", extra.p10}, {"median", extra.median}, {"error", extra.error}};
}
std::string words(const Extra& extra) {
  return fmt::format("{:.0f}/{:.0f} ±{:.0f}", extra.p10, extra.median, extra.error);
}
nlohmann::json json_of(const std::vector<Spread>& spreads) {
  nlohmann::json all = nlohmann::json::array();
  for (const Spread& spread : spreads) all.push_back(json_of(spread));
  return all;
}

}  // namespace

double ScaleRow::factor(double Spread::*of) const {
  double one = 0;
  double all = 0;
  for (const Spread& spread : alone) one += 1 / spread.*of / static_cast<double>(alone.size());
  for (const Spread& spread : together) all += 1 / spread.*of;
  return all / one;
}

bool print_report(const ScaleReport& report) {
  const std::size_t count = report.cpus.size();
  fmt::print(
      "{}; CPUs {}, threads of their cores: {}; buffers "
      "on {} pages; frames in {}\n",
      describe(report), fmt::join(report.cpus, " "), fmt::join(report.siblings, " · "),
      page_size(report.huge_pages), words_of(report.frames));
  fmt::print("others used {:.2f} of these CPUs meanwhile\n", report.others);
  fmt::print("TSC cycles a packet, by polls, of one worker alone and of each of {} at once\n\n",
             count);
  fmt::print("{:<26} {:>18} {:>18} {:>9} {:>9} {:>12} {:>10}\n", "crypto/way/octets/sessions",
             "alone p10/median", "each p10/median", "one Mpps", "all Mpps", "factor p10/med",
             "of machine");
  bool all = true;
  const double machine = machine_factor(report);
  for (const ScaleRow& row : report.rows) {
    const double factor = row.factor(&Spread::p10);
    const double one = report.tsc_ghz * 1e3 / mean(row.alone, &Spread::median);
    fmt::print("{:<26} {:>18} {:>18} {:>9.2f} {:>9.2f} {:>12} {:>10}\n", row.name,
               fmt::format("{:.0f}/{:.0f}", mean(row.alone, &Spread::p10),
                           mean(row.alone, &Spread::median)),
               fmt::format("{:.0f}/{:.0f}", mean(row.together, &Spread::p10),
                           mean(row.together, &Spread::median)),
               one, one * row.factor(&Spread::median),
               fmt::format("{:.2f}/{:.2f}", factor, row.factor(&Spread::median)),
               machine == 0 ? "" : fmt::format("{:.2f}", factor / machine));
    if (row.worker) all &= meets(report, row);
  }
  if (count > 1 && machine != 0) {
    fmt::print(
        "\ngoal: factor >= {:.2f} ({:.2f} where each CPU is a core of its own), met by the tenth "
        "percentile: the median has the neighbours in it\n",
        wanted(report), kGoal * static_cast<double>(count));
    for (const ScaleRow& row : report.rows)
      if (row.worker)
        fmt::print("  {:<26} {:.2f}/{:.2f} {}\n", row.name, row.factor(&Spread::p10),
                   row.factor(&Spread::median), meets(report, row) ? "met" : "missed");
  }
  if (report.handovers.empty()) return all;
  fmt::print(
      "\nhand-over: cycles of both workers for a packet, by batches; more: what a packet costs "
      "more that arrives at the wrong worker,\nbetween p10s/median of rounds and its error; one "
      "way, all of it: "
      "what the giver spends, and the taker more than for packets of its ports\n\n");
  fmt::print("{:<17} {:>7} {:>13} {:>20} {:>15} {:>15} {:>15} {:>9}\n", "crypto/way/octets",
             "threads", "wrong", "both min/p10/median", "more", "giver", "taker", "handed");
  for (const HandoverRow& row : report.handovers)
    fmt::print("{:<17} {:>7} {:>13} {:>20} {:>15} {:>15} {:>15} {:>9}\n", row.name, row.threads,
               fmt::format("{}{} %", row.one_way ? "one way " : "", row.percent),
               fmt::format("{:.0f}/{:.0f}/{:.0f}", row.both.min, row.both.p10, row.both.median),
               row.handed == 0 ? "" : words(row.more), row.one_way ? words(row.give) : "",
               row.one_way ? words(row.take) : "",
               row.handed == 0 ? "" : fmt::to_string(row.handed));
  return all;
}

void write_json(const ScaleReport& report, const std::string& path) {
  nlohmann::json rows = nlohmann::json::array();
  nlohmann::json goals = nlohmann::json::array();
  for (const ScaleRow& row : report.rows) {
    rows.push_back({{"bench", "scale"},
                    {"case", row.name},
                    {"min", mean(row.together, &Spread::min)},
                    {"p10", mean(row.together, &Spread::p10)},
                    {"median", mean(row.together, &Spread::median)},
                    {"alone", json_of(row.alone)},
                    {"together", json_of(row.together)},
                    {"factor", row.factor(&Spread::median)},
                    {"factor_p10", row.factor(&Spread::p10)}});
    if (row.worker && report.cpus.size() > 1)
      goals.push_back(
          {{"goal", row.name + ", all workers against one"},
           {"at_least", wanted(report)},
           {"unit", "times"},
           {"measured",
            {{"p10", row.factor(&Spread::p10)}, {"median", row.factor(&Spread::median)}}},
           {"met", meets(report, row)}});
  }
  nlohmann::json handovers = nlohmann::json::array();
  for (const HandoverRow& row : report.handovers) {
    nlohmann::json made{{"case", row.name},          {"threads", row.threads},
                        {"percent", row.percent},    {"one_way", row.one_way},
                        {"both", json_of(row.both)}, {"packets", row.packets},
                        {"handed", row.handed}};
    if (row.handed != 0) made["more"] = json_of(row.more);
    if (row.one_way) {
      made["give"] = json_of(row.give);
      made["take"] = json_of(row.take);
    }
    handovers.push_back(made);
  }
  nlohmann::json split;
  if (const HandoverRow* row = split_of(report); row != nullptr)
    split = {{"case", row->name}, {"give", row->give.p10}, {"take", row->take.p10}};
  write_results(path, report,
                {{"frames", nlohmann::json::array({{{"state", name_of(report.frames)}}})},
                 {"hosts", nlohmann::json::array({"all"})},
                 {"cpus", report.cpus},
                 {"others_used_cpus", report.others},
                 {"thread_siblings", report.siblings},
                 {"machine_factor", machine_factor(report)},
                 {"unit", "TSC cycles a packet"},
                 {"rows", rows},
                 {"handovers", handovers},
                 {"hand_over", split},
                 {"goals", goals}});
}

}  // namespace pns::bench
