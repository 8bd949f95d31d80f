// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/mppe_goals.hpp"

#include <algorithm>

namespace pns::bench {
namespace {

using Names = std::vector<std::string>;

// mode/work/octets/shape, sealed and opened.
Names cases(const std::string& mode, const Names& octets, const Names& shapes) {
  Names all;
  for (const char* work : {"seal", "open"})
    for (const std::string& size : octets)
      for (const std::string& shape : shapes)
        all.push_back(mode + "/" + work + "/" + size + "/" + shape);
  return all;
}

double ratio(std::uint64_t of, std::uint64_t to) {
  return static_cast<double>(of) / static_cast<double>(std::max<std::uint64_t>(to, 1));
}

}  // namespace

std::vector<MppeGoal> mppe_goals(const MppeResults& results, const std::string& best) {
  std::vector<MppeGoal> goals;
  const auto add = [&](const std::string& name, double wanted, const std::string& contender,
                       const std::string& reference, const Names& in) {
    MppeGoal goal{name, wanted, 1e9, 1e9};
    for (const std::string& each : in) {
      const auto here = results(each, contender);
      const auto there = results(each, reference);
      if (!here || !there) return;
      goal.measured_min = std::min(goal.measured_min, ratio(there->min, here->min));
      goal.measured_median = std::min(goal.measured_median, ratio(there->median, here->median));
    }
    goals.push_back(goal);
  };
  const Names many{"16x32", "32x32"};
  const Names sizes{"64", "512", "1400"};
  add("stateless 1400, 16 sessions or more, against plain", 2.8, best, "plain",
      cases("stateless", {"1400"}, many));
  add("stateless 1400, 16 sessions or more, against openssl", 2.3, best, "openssl",
      cases("stateless", {"1400"}, many));
  add("stateless 512, 16 sessions or more, against plain", 3.4, best, "plain",
      cases("stateless", {"512"}, many));
  add("stateless 64, 16 sessions or more, against plain", 4.3, best, "plain",
      cases("stateless", {"64"}, many));
  add("avx2 against the best variant", 0.95, "avx2", best, cases("stateless", sizes, many));
  add("portable, 1400, against plain", 1.9, "portable", "plain",
      cases("stateless", {"1400"}, many));
  add("one stateless session, 16 packets or more, against plain", 2.2, best, "plain",
      cases("stateless", {"1400"}, {"1x16", "1x32"}));
  add("a lone stateless packet, against plain", 1.0, best, "plain",
      cases("stateless", sizes, {"1x1"}));
  add("a lone stateful packet, against plain", 1.0, best, "plain",
      cases("stateful", sizes, {"1x1"}));
  add("stateful 1400, 16 sessions or more, against plain", 2.0, best, "plain",
      cases("stateful", {"1400"}, many));
  return goals;
}

}  // namespace pns::bench
