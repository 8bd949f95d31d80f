// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/pace.hpp"

#include <catch2/catch.hpp>
#include <cstring>

using namespace pns;
using namespace pns::loadgen;

namespace {

constexpr TimePoint kStart{Seconds(100)};

// Says the same number always.
class Constant final : public RandomSource {
 public:
  explicit Constant(std::uint32_t value) : value_(value) {}
  void fill(MutableBytes out) noexcept override {
    REQUIRE(out.size() == sizeof(value_));
    std::memcpy(out.data(), &value_, sizeof(value_));
  }

 private:
  std::uint32_t value_;
};

}  // namespace

TEST_CASE("pace: what is due is taken once, and nothing is left out", "[loadgen]") {
  Pace pace(50, kStart);
  CHECK(pace.take_due(kStart) == 0);
  CHECK(pace.take_due(kStart + Milliseconds(19)) == 0);
  CHECK(pace.take_due(kStart + Milliseconds(20)) == 1);
  CHECK(pace.take_due(kStart + Milliseconds(25)) == 0);
  CHECK(pace.take_due(kStart + Seconds(10)) == 499);
}

TEST_CASE("pace: a wait is half to one and a half of itself", "[loadgen]") {
  Constant least(0);
  Constant middle(0x80000000);
  Constant most(0xffffffff);
  CHECK(jittered(Seconds(2), least) == Seconds(1));
  CHECK(jittered(Seconds(2), middle) == Seconds(2));
  CHECK(jittered(Seconds(2), most) > Milliseconds(2999));
  CHECK(jittered(Seconds(2), most) <= Seconds(3));
  CHECK(jittered(Duration{}, most) == Duration{});
}

TEST_CASE("pace: a share is the highest numbers", "[loadgen]") {
  CHECK(first_of_share(500, 1) == 0);
  CHECK(first_of_share(500, 0.5) == 250);
  CHECK(first_of_share(500, 0) == 500);
  CHECK(first_of_share(3, 0.5) == 1);  // two of three
  CHECK(first_of_share(0, 1) == 0);
}

TEST_CASE("pace: first dials are spread evenly over the ramp", "[loadgen]") {
  CHECK(ramped(100, Duration{}, Duration{}) == 100);
  CHECK(ramped(100, Seconds(10), Duration{}) == 1);
  CHECK(ramped(100, Seconds(10), Seconds(5)) == 51);
  CHECK(ramped(100, Seconds(10), Milliseconds(9'999)) == 100);
  CHECK(ramped(100, Seconds(10), Seconds(11)) == 100);
}
