// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>
#include <string>

#include "pns/config/config.hpp"

using namespace pns;
using namespace pns::config;
using std::chrono::milliseconds;

namespace {

const std::string kHead = R"(ports:
  access: {device: "xdp:eth0"}
  core: {device: "xdp:eth1"}
pools:
  default: {ranges: [10.64.0.2-10.64.0.254], gateway: 10.64.0.1}
aaa: {local: {users_file: users.yaml}}
)";

std::string error_of(const std::string& lines) {
  const auto config = parse(kHead + lines, "pns.yaml");
  if (config) return "no error";
  return config.error().front().key + ": " + config.error().front().reason;
}

}  // namespace

TEST_CASE("config: a direction polices unless it is told to shape", "[config][rates]") {
  const auto plain = parse(kHead, "pns.yaml");
  REQUIRE(plain);
  CHECK_FALSE(plain->rates.shape());
  CHECK(plain->rates.up.burst_time() == milliseconds(250));
  CHECK(plain->rates.down.burst_octets(8'000'000) == 250'001);
  const auto config =
      parse(kHead + "rates: {up: {burst: 1s}, down: {mode: shape, delay: 30ms}}\n", "pns.yaml");
  REQUIRE(config);
  CHECK(config->rates.shape());
  CHECK(config->rates.up.mode == RateMode::kPolice);
  CHECK(config->rates.up.burst_time() == milliseconds(1'000));
  CHECK(config->rates.down.mode == RateMode::kShape);
  CHECK(config->rates.down.delay == milliseconds(30));
  CHECK(config->rates.down.burst_time() == milliseconds(20));
  // The highest rate and the longest burst fit.
  CHECK(Rates::Direction{.burst = kMaxRateBurst}.burst_octets(UINT64_MAX) == 1'250'000'000'000'001);
}

TEST_CASE("config: groups have a rate for each direction", "[config][rates]") {
  const auto config =
      parse(kHead + "rate_groups: {village: {up: 100mbit, down: 1gbit}, town: {}}\n", "pns.yaml");
  REQUIRE(config);
  REQUIRE(config->rate_groups.size() == 2);
  CHECK(config->rate_groups.at("village").up == 100'000'000);
  CHECK(config->rate_groups.at("village").down == 1'000'000'000);
  CHECK_FALSE(config->rate_groups.at("town").up);
}

TEST_CASE("config: rates and groups that cannot be", "[config][rates]") {
  CHECK(error_of("rates: {up: {mode: drop}}\n") ==
        "rates.up.mode: 'drop' is not one of police, shape");
  CHECK(error_of("rates: {down: {delay: 501ms}}\n").starts_with("rates.down.delay: "));
  CHECK(error_of("rates: {down: {burst: 11s}}\n").starts_with("rates.down.burst: "));
  CHECK(error_of("rate_groups: {a: {up: fast}}\n").starts_with("rate_groups.a.up: "));
  std::string many = "rate_groups:\n";
  for (int n = 0; n < 128; ++n) many += "  g" + std::to_string(n) + ": {up: 1mbit}\n";
  CHECK(error_of(many) == "rate_groups: has more than 127 groups");
  CHECK(error_of("rate_groups: {" + std::string(65, 'a') + ": {}}\n")
            .ends_with("a group's name has 1 to 64 octets"));
}
