// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/scale_handover.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "tests/bench/timing.hpp"

namespace pns::bench {

// Cycles of batches, for each packet that arrived; round n of all shares belongs together.
struct Handover::Share {
  unsigned percent;
  bool one_way;  // only the second worker has sessions whose packets arrive
  std::vector<double> giver{}, taker{};
  std::uint64_t packets = 0, handed = 0;
};

namespace {

std::vector<double> sum_of(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> sum(a.size());
  std::ranges::transform(a, b, sum.begin(), std::plus<>());
  return sum;
}

// The extra cost of the first, for each packet handed over.
Extra extra_of(std::vector<double> here, std::vector<double> base, double packets_a_handed) {
  std::vector<double> pairs(here.size());
  std::ranges::transform(here, base, pairs.begin(), std::minus<>());
  const double median = spread_of(pairs).median;  // sorts
  const double middle_half = pairs[pairs.size() * 3 / 4] - pairs[pairs.size() / 4];
  // For normal deviates: sigma is the middle half by 1.35, and a median errs 1.25 times a mean.
  const double error = middle_half * 1.25 / 1.35 / std::sqrt(static_cast<double>(pairs.size()));
  return {(spread_of(here).p10 - spread_of(base).p10) * packets_a_handed, median * packets_a_handed,
          error * packets_a_handed};
}

}  // namespace

void Handover::measure(const Case& of, const GoesOn& goes_on, std::vector<HandoverRow>& rows) {
  std::array<Share, 6> shares{
      {{0, false}, {10, false}, {50, false}, {100, false}, {0, true}, {100, true}}};
  const auto since = std::chrono::steady_clock::now();
  for (unsigned round = 0; goes_on(round, since); ++round)
    for (Share& share : shares) run_batches(of, share, round != 0);

  for (const Share& share : shares) {
    if (share.one_way && share.percent == 0) continue;  // what the other is measured against
    const Share& base = shares[share.one_way ? 4 : 0];
    HandoverRow row{of.name, of.threads, share.percent, share.one_way};
    std::vector<double> both = sum_of(share.giver, share.taker);
    row.both = spread_of(both);
    row.packets = share.packets;
    row.handed = share.handed;
    if (share.handed != 0) {
      const double ratio = static_cast<double>(share.packets) / static_cast<double>(share.handed);
      row.more = extra_of(both, sum_of(base.giver, base.taker), ratio);
      row.give = extra_of(share.giver, base.giver, ratio);
      row.take = extra_of(share.taker, base.taker, ratio);
    }
    rows.push_back(row);
  }
}

void Handover::run_batches(const Case& of, Share& share, bool noted) {
  const std::uint64_t carried_before = carried();
  const std::uint64_t handed_before = handed();
  std::array<unsigned, 2> polled{};  // packets that a worker has to take, of ports or of the other
  unsigned packets = 0;
  unsigned expected = 0;
  for (unsigned n = share.one_way ? 1 : 0; n < 2; ++n)
    crew_.one(n, [&](unsigned) {
      rigs_[n]->build(of.direction, of.size);
      rigs_[n]->cool(of.frames);
      const unsigned away = rigs_[n]->feed_all(*wires_[1 - n], share.percent);
      polled[1 - n] += away;
      polled[n] += Wires::kBatch;
      packets += Wires::kBatch;
      expected += away;
    });
  std::array<std::uint64_t, 2> cycles{};
  if (of.threads == 1)
    crew_.one(0, [&](unsigned) {
      while (polled[0] != 0 || polled[1] != 0)
        for (unsigned n = 0; n < 2; ++n) turn(n, polled[n], cycles[n]);
    });
  else
    crew_.all([&](unsigned n) {
      crew_.meet();
      std::uint64_t mine = 0;
      unsigned left = n < 2 ? polled[n] : 0;
      while (left != 0) turn(n, left, mine);
      if (n < 2) cycles[n] = mine;
    });
  for (unsigned n = 0; n < 2; ++n) crew_.one(n, [&](unsigned) { rigs_[n]->discard(); });
  const std::uint64_t through = carried() - carried_before;
  const std::uint64_t handed_over = handed() - handed_before;
  if (through != packets || handed_over != expected)
    throw std::runtime_error(fmt::format("{}: {} of {} packets carried, {} of {} handed over",
                                         of.name, through, packets, handed_over, expected));
  if (!noted) return;
  share.giver.push_back(static_cast<double>(cycles[0]) / packets);
  share.taker.push_back(static_cast<double>(cycles[1]) / packets);
  share.packets += packets;
  share.handed += handed_over;
}

// One poll of a worker that still has packets to take; polls that find nothing cost nothing.
void Handover::turn(unsigned n, unsigned& left, std::uint64_t& cycles) {
  if (left == 0) return;
  unsigned packets = 0;
  const std::uint64_t spent = cycles_of([&] { packets = rigs_[n]->poll(); });
  if (packets == 0) return;
  cycles += spent;
  left -= std::min(left, packets);
}

std::uint64_t Handover::carried() const {
  std::uint64_t sum = 0;
  for (const Rig* rig : rigs_)
    sum += rig->counters().upstream_packets.get() + rig->counters().downstream_packets.get();
  return sum;
}

std::uint64_t Handover::handed() const {
  return rigs_[0]->counters().handed_out.get() + rigs_[1]->counters().handed_out.get();
}

}  // namespace pns::bench
