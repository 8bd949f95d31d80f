// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/compare.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <vector>

namespace pns::bench {
namespace {

using nlohmann::json;

struct Cost {  // cycles a packet, or what the unit of the file is; less is better
  double min = 0, median = 0;
  [[nodiscard]] Cost over(const Cost& other) const {
    return {min / other.min, median / other.median};
  }
};

struct Row {
  Cost cost;
  std::optional<Cost> plain;  // of contender "plain", same case and run
  std::optional<Cost> echo;   // of the ports alone, same run
  bool is_reference = false;
};

struct Results {
  std::string cpu, unit;
  double tsc_ghz = 0, core_ratio = 0;
  std::optional<bool> huge_pages;
  // Where frames lay, and to which hosts packets went. Empty: the file does not say.
  std::string frames, hosts;
  std::map<std::string, Row> rows;    // by bench/case/contender
  std::map<std::string, bool> goals;  // met
  std::size_t without_cost = 0;       // rows that have no min and median
};

std::optional<Cost> cost_of(const json& of) {
  if (!of.is_object() || !of.contains("min") || !of.contains("median")) return std::nullopt;
  const Cost cost{of.at("min").get<double>(), of.at("median").get<double>()};
  if (!(cost.min > 0 && cost.median > 0 && std::isfinite(cost.min + cost.median)))
    return std::nullopt;
  return cost;
}

void read_rows(const json& rows, Results& results) {
  std::map<std::string, Cost> plain;  // by bench/case
  const auto place = [](const json& row) {
    return row.at("bench").get<std::string>() + ": " + row.at("case").get<std::string>();
  };
  for (const json& each : rows)
    if (const auto cost = cost_of(each); cost && each.value("contender", "") == "plain")
      plain[place(each)] = *cost;
  for (const json& each : rows) {
    const auto cost = cost_of(each);
    if (!cost) {
      ++results.without_cost;
      continue;
    }
    const std::string contender = each.value("contender", "");
    const std::string name = place(each) + (contender.empty() ? "" : " " + contender);
    Row row{*cost, {}, {}, contender == "plain"};
    if (const auto found = plain.find(place(each)); found != plain.end()) row.plain = found->second;
    if (each.contains("echo")) row.echo = cost_of(each.at("echo"));
    if (!results.rows.emplace(name, row).second) throw std::runtime_error(name + " is there twice");
  }
}

void append(std::string& list, const std::string& word) {
  list += (list.empty() ? "" : ", ") + word;
}

// Throws std::runtime_error, with the file's name and what is wrong.
Results read(const std::string& path) {
  try {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot be opened");
    const json document = json::parse(file);
    Results results;
    results.cpu = document.at("cpu").get<std::string>();
    results.tsc_ghz = document.at("tsc_ghz").get<double>();
    results.core_ratio = document.at("core_ratio").get<double>();
    results.unit = document.value("unit", "");
    if (document.contains("huge_pages")) results.huge_pages = document.at("huge_pages").get<bool>();
    for (const json& each : document.value("frames", json::array()))
      append(results.frames, each.at("state").get<std::string>());
    for (const json& each : document.value("hosts", json::array()))
      append(results.hosts, each.get<std::string>());
    read_rows(document.at("rows"), results);
    // mppe says name, pipeline goal.
    for (const json& goal : document.value("goals", json::array()))
      results.goals[goal.at(goal.contains("name") ? "name" : "goal").get<std::string>()] =
          goal.at("met").get<bool>();
    if (results.rows.empty()) throw std::runtime_error("has no row with min and median");
    return results;
  } catch (const std::exception& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

void warn_of_machines(const Results& before, const Results& after) {
  if (before.cpu != after.cpu)
    fmt::print("warning: another CPU: {} before, {} now\n", before.cpu, after.cpu);
  if (std::abs(before.tsc_ghz / after.tsc_ghz - 1) > 0.01)
    fmt::print("warning: another TSC: {:.2f} GHz before, {:.2f} GHz now\n", before.tsc_ghz,
               after.tsc_ghz);
  if (std::abs(before.core_ratio / after.core_ratio - 1) > 0.05)
    fmt::print("warning: another clock: the core at {:.2f} times the TSC before, {:.2f} now\n",
               before.core_ratio, after.core_ratio);
  if (before.huge_pages != after.huge_pages)
    fmt::print("warning: huge pages in one of the two runs only\n");
  const auto differ = [](const char* what, const std::string& old, const std::string& now) {
    if (old != now)
      fmt::print("warning: other {}: {} before, {} now\n", what, old.empty() ? "unknown" : old,
                 now.empty() ? "unknown" : now);
  };
  differ("states of frames", before.frames, after.frames);
  differ("hosts", before.hosts, after.hosts);
  for (const Results* each : {&before, &after})
    if (each->without_cost != 0)
      fmt::print("warning: {} rows of the {} file have no min and median, and are not compared\n",
                 each->without_cost, each == &before ? "old" : "new");
}

enum class Verdict { kSlower, kSame, kFaster, kReference };

struct Line {
  std::string name;
  Cost before, after, raw;
  std::optional<Cost> normalised;
  Verdict verdict = Verdict::kSame;
  [[nodiscard]] const Cost& judged() const { return normalised ? *normalised : raw; }
  // The ratio that the minimum and the median both grant: above 1 slower.
  [[nodiscard]] double agreed() const {
    if (verdict == Verdict::kReference) return 1;
    const Cost& cost = judged();
    if (cost.min > 1 && cost.median > 1) return std::min(cost.min, cost.median);
    if (cost.min < 1 && cost.median < 1) return std::max(cost.min, cost.median);
    return 1;
  }
};

// By how much the ports alone became dearer: the median of all rows that both runs measured. The
// echo of a single row is some tens of cycles, and moves more than what it is to correct.
std::optional<Cost> echo_factor(const Results& before, const Results& after) {
  std::vector<double> mins;
  std::vector<double> medians;
  for (const auto& [name, row] : before.rows) {
    const auto now = after.rows.find(name);
    if (!row.echo || now == after.rows.end() || !now->second.echo) continue;
    const Cost factor = now->second.echo->over(*row.echo);
    mins.push_back(factor.min);
    medians.push_back(factor.median);
  }
  if (mins.empty()) return std::nullopt;
  const auto middle = [](std::vector<double>& of) {
    std::ranges::nth_element(of, of.begin() + static_cast<std::ptrdiff_t>(of.size() / 2));
    return of[of.size() / 2];
  };
  return Cost{middle(mins), middle(medians)};
}

Line compare(const std::string& name, const Row& before, const Row& after,
             const std::optional<Cost>& echo, double tolerance) {
  Line line{name, before.cost, after.cost, after.cost.over(before.cost), {}, Verdict::kSame};
  if (after.is_reference) {
    line.verdict = Verdict::kReference;
    return line;
  }
  if (before.plain && after.plain)
    line.normalised = line.raw.over(after.plain->over(*before.plain));
  else if (before.echo && after.echo && echo)
    line.normalised = line.raw.over(*echo);
  if (line.agreed() > 1 + tolerance)
    line.verdict = Verdict::kSlower;
  else if (line.agreed() < 1 / (1 + tolerance))
    line.verdict = Verdict::kFaster;
  return line;
}

std::string print_of(const std::optional<Cost>& cost, const char* format) {
  return cost ? fmt::format(fmt::runtime(format), cost->min, cost->median) : "";
}

const char* word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSlower:
      return "slower";
    case Verdict::kFaster:
      return "faster";
    case Verdict::kReference:
      return "reference";
    default:
      return "same";
  }
}

// How many goals are met no longer.
std::size_t print_goals(const Results& before, const Results& after) {
  std::size_t lost = 0;
  for (const auto& [name, met] : before.goals) {
    const auto now = after.goals.find(name);
    if (now == after.goals.end()) {
      fmt::print("goal only in OLD: {}\n", name);
    } else if (met != now->second) {
      fmt::print("goal {}: {}\n", met ? "LOST" : "reached", name);
      lost += met ? 1 : 0;
    }
  }
  for (const auto& [name, met] : after.goals)
    if (!before.goals.contains(name))
      fmt::print("goal only in NEW: {} ({})\n", name, met ? "met" : "missed");
  return lost;
}

}  // namespace

int run_compare(const CompareOptions& options) {
  Results before;
  Results after;
  try {
    before = read(options.before);
    after = read(options.after);
    if (before.unit != after.unit)
      throw std::runtime_error(
          fmt::format("the units differ: '{}' before, '{}' now", before.unit, after.unit));
  } catch (const std::exception& error) {
    fmt::print(stderr, "pns-bench: {}\n", error.what());
    return 2;
  }
  const std::optional<Cost> echo = echo_factor(before, after);
  std::vector<Line> lines;
  std::vector<std::string> old_only;
  for (const auto& [name, row] : before.rows)
    if (const auto now = after.rows.find(name); now != after.rows.end())
      lines.push_back(compare(name, row, now->second, echo, options.tolerance));
    else
      old_only.push_back(name);
  if (lines.empty()) {
    fmt::print(stderr, "pns-bench: {} and {} have no row in common\n", options.before,
               options.after);
    return 2;
  }
  std::ranges::stable_sort(lines, std::ranges::greater{}, &Line::agreed);

  warn_of_machines(before, after);
  fmt::print("{}, by minimum/median; normalised: against the reference of the same run\n",
             before.unit.empty() ? "cost" : before.unit);
  if (echo)
    fmt::print("the ports alone: {} times as dear, median of all rows\n",
               print_of(echo, "{:.2f}/{:.2f}"));
  fmt::print("{:<46} {:>15} {:>15} {:>11} {:>11}  {}\n", "", "old", "new", "factor", "normalised",
             "verdict");
  std::map<Verdict, std::size_t> counts;
  for (const Line& line : lines) {
    ++counts[line.verdict];
    fmt::print("{:<46} {:>15} {:>15} {:>11} {:>11}  {}\n", line.name,
               print_of(line.before, "{:.0f}/{:.0f}"), print_of(line.after, "{:.0f}/{:.0f}"),
               print_of(line.raw, "{:.2f}/{:.2f}"), print_of(line.normalised, "{:.2f}/{:.2f}"),
               word(line.verdict));
  }
  for (const std::string& name : old_only) fmt::print("{:<46} only in OLD\n", name);
  std::size_t new_only = 0;
  for (const auto& [name, row] : after.rows)
    if (!before.rows.contains(name)) {
      fmt::print("{:<46} only in NEW\n", name);
      ++new_only;
    }
  const std::size_t lost = print_goals(before, after);
  fmt::print(
      "\n{} slower, {} faster, {} same, by a tolerance of {:.0f} %; {} only in OLD, {} only in "
      "NEW; {} goals lost\n",
      counts[Verdict::kSlower], counts[Verdict::kFaster], counts[Verdict::kSame],
      options.tolerance * 100, old_only.size(), new_only, lost);
  return counts[Verdict::kSlower] != 0 || lost != 0 ? 1 : 0;
}

}  // namespace pns::bench
