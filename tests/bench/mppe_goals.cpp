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

// By the lines of the first-level cache that the CPU can store to in a cycle.
struct Wanted {
  double plain_1400, openssl_1400, plain_512, plain_64, portable_1400, one_session, lone;
};
constexpr Wanted kOneLine{.plain_1400 = 3.2,
                          .openssl_1400 = 2.1,
                          .plain_512 = 3.1,
                          .plain_64 = 3.0,
                          .portable_1400 = 1.6,
                          .one_session = 2.1,
                          .lone = 1.5};
constexpr Wanted kTwoLines{.plain_1400 = 2.8,
                           .openssl_1400 = 2.3,
                           .plain_512 = 3.4,
                           .plain_64 = 4.3,
                           .portable_1400 = 1.9,
                           .one_session = 2.2,
                           .lone = 1.5};

double ratio(std::uint64_t of, std::uint64_t to) {
  return static_cast<double>(of) / static_cast<double>(std::max<std::uint64_t>(to, 1));
}

}  // namespace

std::vector<MppeGoal> mppe_goals(const MppeResults& results, const std::string& best,
                                 const CpuIdentity& cpu) {
  std::vector<MppeGoal> goals;
  const auto add = [&](const std::string& name, double wanted, const std::string& contender,
                       const std::string& reference, const Names& in) {
    MppeGoal goal{name, wanted, 1e9, 1e9, 1e9};
    for (const std::string& each : in) {
      const auto here = results(each, contender);
      const auto there = results(each, reference);
      if (!here || !there) return;
      goal.measured_min = std::min(goal.measured_min, ratio(there->min, here->min));
      goal.measured_p10 = std::min(goal.measured_p10, ratio(there->p10, here->p10));
      goal.measured_median = std::min(goal.measured_median, ratio(there->median, here->median));
    }
    goals.push_back(goal);
  };
  const Names many{"16x32", "32x32"};
  const Names sizes{"64", "512", "1400"};
  // Zen 3 and Zen 4 have one cache line a cycle to store to, Zen 5 and others more: the set-up of a
  // key has a higher floor there.
  const Wanted wanted = cpu.vendor == "AuthenticAMD" && cpu.family == 25 ? kOneLine : kTwoLines;
  add("stateless 1400, 16 sessions or more, against plain", wanted.plain_1400, best, "plain",
      cases("stateless", {"1400"}, many));
  add("stateless 1400, 16 sessions or more, against openssl", wanted.openssl_1400, best, "openssl",
      cases("stateless", {"1400"}, many));
  add("stateless 512, 16 sessions or more, against plain", wanted.plain_512, best, "plain",
      cases("stateless", {"512"}, many));
  add("stateless 64, 16 sessions or more, against plain", wanted.plain_64, best, "plain",
      cases("stateless", {"64"}, many));
  add("avx2 against the best variant", 0.95, "avx2", best, cases("stateless", sizes, many));
  add("portable, 1400, against plain", wanted.portable_1400, "portable", "plain",
      cases("stateless", {"1400"}, many));
  add("one stateless session, 16 packets or more, against plain", wanted.one_session, best, "plain",
      cases("stateless", {"1400"}, {"1x16", "1x32"}));
  add("a lone stateless packet, against plain", wanted.lone, best, "plain",
      cases("stateless", sizes, {"1x1"}));
  add("a lone stateful packet, against plain", 1.0, best, "plain",
      cases("stateful", sizes, {"1x1"}));
  add("stateful 1400, 16 sessions or more, against plain", 2.0, best, "plain",
      cases("stateful", {"1400"}, many));
  // The choice at start. Each form is the best one of some cases.
  Names all;
  for (const char* mode : {"stateless", "stateful"})
    for (const std::string& each : cases(mode, sizes, {"1x1", "1x16", "4x32", "16x32", "32x32"}))
      all.push_back(each);
  for (const char* form : {"bytes", "words"})
    add(std::string("every case: the chosen form against ") + form, 0.97, best, best + "-" + form,
        all);
  add("every case against plain", 1.0, best, "plain", all);
  return goals;
}

}  // namespace pns::bench
