// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/impairment.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

using namespace pns;
using namespace pns::loadgen;

namespace {

constexpr TimePoint kStart{Seconds(100)};

// Sends packets 0 to count - 1, one each millisecond, and a tick at the end; what came out.
std::vector<int> through(ImpairedLine& line, int count, Milliseconds until = Seconds(10)) {
  std::vector<int> out;
  const auto deliver = [&](Bytes packet) { out.push_back(std::to_integer<int>(packet[0])); };
  for (int i = 0; i < count; ++i) {
    const std::byte octet{static_cast<unsigned char>(i)};
    line.pass(Bytes(&octet, 1), kStart + Milliseconds(i), deliver);
  }
  line.release(kStart + until, deliver);
  return out;
}

std::vector<int> numbers(int count) {
  std::vector<int> out;
  for (int i = 0; i < count; ++i) out.push_back(i);
  return out;
}

}  // namespace

TEST_CASE("impairment: a line without any hands on what it is given", "[loadgen]") {
  ImpairedLine line({}, 1);
  CHECK(through(line, 200) == numbers(200));
  CHECK(line.counts().passed == 200);
  CHECK(line.counts().lost + line.counts().duplicated + line.counts().reordered == 0);
  CHECK_FALSE(line.deadline());
}

TEST_CASE("impairment: all lost, all twice", "[loadgen]") {
  ImpairedLine lossy({.loss = 1}, 1);
  CHECK(through(lossy, 50).empty());
  CHECK(lossy.counts().lost == 50);
  ImpairedLine twice({.duplicate = 1}, 1);
  const auto out = through(twice, 50);
  CHECK(out.size() == 100);
  CHECK(std::ranges::is_sorted(out));
  CHECK(twice.counts().duplicated == 50);
}

TEST_CASE("impairment: what is held is overtaken by one to three, and nothing is lost",
          "[loadgen]") {
  ImpairedLine line({.reorder = 0.2, .hold_most = Seconds(5)}, 3);
  const auto out = through(line, 200);
  CHECK(line.counts().reordered > 10);
  auto sorted = out;
  std::ranges::sort(sorted);
  CHECK(sorted == numbers(200));
  for (std::size_t at = 0; at < out.size(); ++at) {
    // How many that were sent later came out before it; those held beside it do not count.
    const auto before = std::count_if(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(at),
                                      [&](int other) { return other > out[at]; });
    CHECK(before <= 2 * ImpairedLine::kOvertakers);
  }
}

TEST_CASE("impairment: nothing is held longer than it may be", "[loadgen]") {
  ImpairedLine line({.reorder = 1, .hold_most = Milliseconds(20)}, 1);
  std::vector<int> out;
  const auto deliver = [&](Bytes packet) { out.push_back(std::to_integer<int>(packet[0])); };
  const std::byte octet{7};
  line.pass(Bytes(&octet, 1), kStart, deliver);
  REQUIRE(line.deadline());
  CHECK(*line.deadline() == kStart + Milliseconds(20));
  line.release(kStart + Milliseconds(19), deliver);
  CHECK(out.empty());
  line.release(kStart + Milliseconds(20), deliver);
  CHECK(out == std::vector{7});
  CHECK(line.counts().reordered == 0);  // nothing overtook it
  CHECK_FALSE(line.deadline());
}

TEST_CASE("impairment: the same seed does the same, another something else", "[loadgen]") {
  const Impairments impairments{.loss = 0.1, .duplicate = 0.1, .reorder = 0.1};
  ImpairedLine a(impairments, 42);
  ImpairedLine b(impairments, 42);
  ImpairedLine c(impairments, 43);
  const auto of_a = through(a, 250);
  CHECK(of_a == through(b, 250));
  CHECK(of_a != through(c, 250));
  // Nor does one probability shift what another does.
  ImpairedLine only_loss({.loss = 0.1}, 42);
  (void)through(only_loss, 250);
  CHECK(only_loss.counts().lost == a.counts().lost);
}

TEST_CASE("impairment: a line that is down loses everything, also what is held", "[loadgen]") {
  ImpairedLine line({.reorder = 1, .hold_most = Seconds(5)}, 1);
  const std::byte octet{7};
  int out = 0;
  const auto deliver = [&](Bytes) { ++out; };
  line.pass(Bytes(&octet, 1), kStart, deliver);  // is held
  line.set_down(true);
  CHECK(line.acts());
  line.pass(Bytes(&octet, 1), kStart, deliver);
  line.release(kStart + Seconds(10), deliver);
  CHECK(out == 0);
  CHECK(line.counts().cut == 2);
  CHECK(line.counts().lost == 0);

  ImpairedLine plain({}, 1);
  CHECK_FALSE(plain.acts());
  plain.set_down(true);
  CHECK(through(plain, 5).empty());
  plain.set_down(false);
  CHECK(through(plain, 5) == numbers(5));
  CHECK_FALSE(plain.acts());
}
