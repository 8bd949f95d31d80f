// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/pipeline_bench.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>

#include "dataplane/filter/filter_set.hpp"
#include "pns/wire/ipv4.hpp"
#include "tests/bench/eal_start.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/pipeline_report.hpp"
#include "tests/bench/pipeline_rig.hpp"
#include "tests/bench/pipeline_subject.hpp"
#include "tests/bench/timing.hpp"

namespace pns::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kEalMegabytes = 384;
constexpr unsigned kBurst = 32;       // packets a port for each poll
constexpr unsigned kAhead = kBurst;   // packets that wait behind them, as at a port that is busy
constexpr unsigned kLonePolls = 512;  // of a round
constexpr unsigned kFewestRounds = 5;

struct Case {
  Direction direction;
  std::string direction_name;
  bool unsteered;
  bool mppe;
  std::size_t size;
  std::uint32_t sessions;
  FrameState frames;
  Hosts hosts;
  std::string service;

  // The defaults go without saying: one result is compared with another by name.
  [[nodiscard]] std::string name() const {
    return fmt::format("{}/{}/{}/{}{}{}{}", direction_name, mppe ? "mppe" : "clear", size, sessions,
                       frames == FrameState::kMemory ? "" : fmt::format("/{}", name_of(frames)),
                       hosts == Hosts::kAll ? "" : "/few", service == "none" ? "" : "/" + service);
  }
  [[nodiscard]] Subject::Batch batch() const { return {direction, size, hosts, frames}; }
  [[nodiscard]] std::size_t received_size() const {  // octets of IP, about
    return direction == Direction::kDown ? size : size + 36;
  }
};

// In the order in which they are run: the sessions of a count are set up once for one worker and
// once for two, and encrypt once they have begun to.
std::vector<Case> cases_of(const PipelineOptions& options) {
  static const std::map<std::string, Direction> kDirections = {{"up", Direction::kUp},
                                                               {"down", Direction::kDown},
                                                               {"both", Direction::kBoth},
                                                               {"unsteered", Direction::kDown}};
  std::vector<Case> cases;
  const auto add = [&](std::uint32_t sessions, bool unsteered, bool mppe) {
    auto sizes = options.sizes;
    if (sizes.empty()) sizes = {mppe ? 512U : 64U, 1'400};
    for (const std::size_t size : sizes)
      for (const std::string& direction : options.directions) {
        if ((direction == "unsteered") != unsteered) continue;
        for (const std::string& frames : options.frames)
          for (const std::string& hosts : options.hosts)
            for (const std::string& service : options.services) {
              Case made{kDirections.at(direction),
                        direction,
                        unsteered,
                        mppe,
                        size,
                        sessions,
                        frame_state_of(frames),
                        hosts == "few" ? Hosts::kFew : Hosts::kAll,
                        service};
              if (made.name().contains(options.filter)) cases.push_back(made);
            }
      }
  };
  for (const std::uint32_t sessions : options.sessions) {
    if (sessions > options.max_sessions) continue;
    for (const bool unsteered : {false, true})
      for (const bool mppe : {false, true})
        if (mppe ? options.mppe : options.clear) add(sessions, unsteered, mppe);
  }
  return cases;
}

// 15 rules that no packet of the bench matches, and one that permits the rest: the worst of a list
// that is read from the front.
config::Filter bench_filter() {
  config::Filter rules;
  for (std::uint16_t n = 0; n < 15; ++n) {
    config::FilterRule rule;
    rule.permit = n % 2 == 0;
    rule.family = 4;
    rule.protocol = n % 3 == 0 ? wire::kIpProtocolTcp : wire::kIpProtocolUdp;
    rule.ipv4_destination = Ipv4Prefix{Ipv4Address(0xf0000000U + n * 65'536U), 16};
    rule.destination_ports = config::FilterRule::Ports{static_cast<std::uint16_t>(n * 100),
                                                       static_cast<std::uint16_t>(n * 200)};
    rules.push_back(rule);
  }
  rules.emplace_back().permit = true;
  return rules;
}
constexpr std::uint8_t kBenchFilter = 1;
constexpr std::uint16_t kBenchGroup = 1;

contract::SessionService service_of(const std::string& name) {
  constexpr contract::SessionRate kRate{.bits_per_second = 100'000'000'000};
  contract::SessionService service;
  if (name == "rate" || name == "shape") service.rates = {kRate, kRate};
  if (name == "group") service.rate_group = kBenchGroup;
  if (name == "filter") {
    service.filters.upstream = kBenchFilter;
    service.filters.downstream = kBenchFilter;
  }
  return service;
}

using Samples = std::vector<double>;

// One batch of each: the worker, the worker with one packet at a time, the ports alone.
struct Round {
  Wires& wires;
  Subject& subject;
  const Case& of;
  Samples whole, echo, lone;

  void run() {
    subject.build(of.batch());
    (void)subject.feed(kAhead);
    const unsigned full = subject.feed(kBurst);
    for (unsigned fed = full; fed != 0; fed = subject.feed(kBurst)) {
      const std::uint64_t cycles = cycles_of([this] { subject.poll(); });
      if (fed == full) whole.push_back(static_cast<double>(cycles) / fed);
    }
    for (unsigned n = 0; n <= kAhead / kBurst; ++n) subject.poll();
    subject.settle();

    subject.build(of.batch());
    for (unsigned n = 0; n < kLonePolls; ++n) {
      const unsigned fed = subject.feed(1);
      if (fed == 0) break;
      lone.push_back(static_cast<double>(cycles_of([this] { subject.poll(); })) / fed);
    }
    while (subject.feed(kBurst) != 0) subject.poll();
    subject.settle();

    wires.receive_plain(of.received_size(), Wires::kBatch, of.frames);
    for (unsigned count = 0;;) {
      const std::uint64_t cycles = cycles_of([&] { count = wires.echo(); });
      if (count == 0) break;
      echo.push_back(static_cast<double>(cycles) / count);
    }
    (void)wires.drain(contract::PortRole::kAccess);
  }
};

PipelineRow measure(Wires& wires, Subject& subject, const Case& of, double seconds,
                    unsigned rounds) {
  Round round{wires, subject, of, {}, {}, {}};
  round.run();  // caches, predictors and what is still owed of the case before
  round.whole.clear();
  round.echo.clear();
  round.lone.clear();
  const std::uint64_t packets = subject.carried();
  const std::uint64_t acks = subject.acks();
  const std::uint64_t handed = subject.handed();
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  for (unsigned n = 0; rounds != 0 ? n < rounds : n < kFewestRounds || Clock::now() < until; ++n)
    round.run();
  PipelineRow row;
  row.name = of.name();
  row.sessions = of.sessions;
  row.size = of.size;
  row.whole = spread_of(round.whole);
  row.echo = spread_of(round.echo);
  row.lone = spread_of(round.lone);
  row.packets = subject.carried() - packets;
  const auto a_packet = [&](std::uint64_t count) {
    return static_cast<double>(count) / static_cast<double>(row.packets);
  };
  row.acks = a_packet(subject.acks() - acks);
  row.handed = a_packet(subject.handed() - handed);
  return row;
}

// Huge pages for all of it: packet buffers, routes and the records of the most sessions.
unsigned huge_pages_wanted(const std::vector<Case>& cases) {
  const std::uint32_t most = std::ranges::max(cases, {}, &Case::sessions).sessions;
  const std::size_t records = std::size_t{most} * sizeof(contract::SessionRecord);
  return kEalMegabytes / kHugePageMegabytes +
         static_cast<unsigned>(records / (kHugePageMegabytes << 20)) + 4;
}

}  // namespace

int run_pipeline(const PipelineOptions& options) {
  const std::vector<Case> cases = cases_of(options);
  if (cases.empty()) {
    fmt::print(stderr, "pns-bench: no case matches\n");
    return 1;
  }
  const unsigned wanted = huge_pages_wanted(cases);
  const unsigned there = options.no_huge ? 0 : free_huge_pages();
  if (!options.no_huge && there < wanted)
    fmt::print(stderr,
               "pns-bench: {} huge pages wanted, {} free: figures will be worse than they could be "
               "(echo {} > /proc/sys/vm/nr_hugepages)\n",
               wanted, there, wanted);
  std::vector<int> cpus;
  if (options.cpu >= 0) cpus.push_back(options.cpu);
  const auto machine = start_eal(options.no_huge, cpus, kEalMegabytes);
  if (!machine) return 77;
  PipelineReport report;
  static_cast<Machine&>(report) = *machine;
  report.hosts = options.hosts;

  const bool any_unsteered = std::ranges::any_of(cases, &Case::unsteered);
  Wires wires(any_unsteered ? 2 : 1);
  std::optional<Wires> second;
  std::vector<std::vector<rte_ring*>> handover;
  if (any_unsteered) {
    second.emplace(wires, 1);
    handover = {{nullptr, Wires::make_ring("handover1_0")},
                {Wires::make_ring("handover0_1"), nullptr}};
  }
  // None, unless a case wants it: without filters the worker takes another way.
  const config::Filter rules = bench_filter();
  std::unique_ptr<dataplane::FilterSet> filters;
  if (std::ranges::find(options.services, "filter") != options.services.end()) {
    const std::array<dataplane::FilterSet::Numbered, 1> list = {{{kBenchFilter, &rules}}};
    auto made = dataplane::FilterSet::create(list);
    if (!made) throw std::runtime_error(made.error());
    filters = std::move(*made);
  }
  const contract::OctetRate group_rate(100'000'000'000, 0);
  const dataplane::RateGroups groups({{}, {group_rate, group_rate}});
  Services services{.filters = filters.get(), .rate_groups = &groups};
  std::optional<Subject> subject;
  std::uint32_t sessions = 0;
  std::string service = "none";
  for (std::size_t n = 0; n < cases.size(); ++n) {
    const Case& each = cases[n];
    fmt::print(stderr, "\r{}/{} {:<40}", n + 1, cases.size(), each.name());
    const bool shapes = each.service == "shape";
    if (!subject || sessions != each.sessions || subject->is_pair() != each.unsteered ||
        services.shapes != shapes) {
      services.shapes = shapes;
      subject.reset();
      service = "none";
      sessions = each.sessions;
      std::vector<Wires*> all{&wires};
      if (each.unsteered) all.push_back(&*second);
      subject.emplace(all, handover, sessions, !options.no_huge, services);
      if (!each.unsteered) report.memory.push_back({sessions, subject->resident()});
    }
    if (std::ranges::find(report.lines, each.frames, &PipelineLine::state) == report.lines.end())
      report.lines.push_back({each.frames, subject->cost_of_line(each.frames)});
    if (each.mppe && !subject->armed()) subject->arm();
    if (each.service != service) {
      subject->set_service(service_of(each.service));
      service = each.service;
    }
    report.rows.push_back(measure(wires, *subject, each,
                                  options.seconds / static_cast<double>(cases.size()),
                                  options.rounds));
  }
  fmt::print(stderr, "\r{:<60}\r", "");
  const bool met = print_report(report);
  if (!options.json.empty()) write_json(report, options.json);
  return options.enforce && !met ? 1 : 0;
}

}  // namespace pns::bench
