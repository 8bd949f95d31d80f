// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/options.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace pns;
using namespace pns::loadgen;

namespace {

// The run that these words ask for; empty when they are refused.
std::optional<Options> parsed(std::vector<std::string> words) {
  words.insert(words.begin(),
               {"pns-loadgen", "--server", "198.51.100.1", "--source", "198.51.100.2"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  int status = 0;
  auto command = parse_command_line(static_cast<int>(argv.size()), argv.data(), status);
  if (!command) {
    CHECK(status == 2);
    return std::nullopt;
  }
  return command->run;
}

}  // namespace

TEST_CASE("options: nothing dials again, changes or dies unless asked", "[loadgen]") {
  const auto options = parsed({});
  REQUIRE(options);
  CHECK(options->retries == 0);
  CHECK_FALSE(options->redial);
  CHECK(options->accept_lost_calls == 0);
  CHECK(options->churn == 0);
  CHECK_FALSE(options->death.kind);
  CHECK(options->timeline.empty());
}

TEST_CASE("options: shares are parts, times are seconds", "[loadgen]") {
  const auto options = parsed({"--retry", "3", "--retry-wait", "0.5", "--churn", "50",
                               "--churn-share", "50%", "--death", "vanish", "--death-share", "0.25",
                               "--death-time", "7", "--stray-gre", "10", "--ramp", "2"});
  REQUIRE(options);
  CHECK(options->retries == 3);
  CHECK(options->retry_wait == Milliseconds(500));
  CHECK(options->churn == 50);
  CHECK(options->churn_share == 0.5);
  CHECK(options->death.kind == DeathKind::kVanish);
  CHECK(options->death.share == 0.25);
  CHECK(options->death.time == Seconds(7));
  CHECK(options->death.stray_gre == 10);
  CHECK(options->ramp == Seconds(2));
}

TEST_CASE("options: each kind of death by its name", "[loadgen]") {
  for (const char* name : {"vanish", "reset", "close", "silent", "deaf-ppp", "deaf-control"}) {
    const auto options = parsed({"--death", name});
    REQUIRE(options);
    CHECK(name_of(options->death.kind.value()) == name);
  }
  CHECK_FALSE(parsed({"--death", "boredom"}));
}

TEST_CASE("options: what only a subscriber does is refused to a PAC", "[loadgen]") {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--retry", "1"},
                                                {"--redial"},
                                                {"--churn", "1"},
                                                {"--death", "reset"}}) {
    CHECK(parsed(words));
    auto as_pac = words;
    as_pac.insert(as_pac.end(), {"--role", "pac"});
    CHECK_FALSE(parsed(as_pac));
  }
  CHECK_FALSE(parsed({"--stray-gre", "5"}));  // nobody is dead
  CHECK_FALSE(parsed({"--death-share", "101%", "--death", "reset"}));
}

TEST_CASE("options: outages and gaps come in the order of time", "[loadgen]") {
  const auto options =
      parsed({"--traffic", "udp", "--target", "10.0.0.53:7000", "--duration", "9", "--outage",
              "6:0.5", "--outage", "1:0.25:upstream", "--outage", "7:1:downstream", "--gap",
              "1,4096", "--gap-every", "2", "--disturbed-share", "25%"});
  REQUIRE(options);
  const auto& all = options->disturbances;
  REQUIRE(all.size() == 5);
  CHECK(all[0].begin == Seconds(1));
  CHECK(all[0].end == Milliseconds(1250));
  CHECK((all[0].upstream && !all[0].downstream && all[0].gap == 0));
  CHECK(all[1].begin == Seconds(2));
  CHECK(all[1].gap == 1);
  CHECK(all[2].begin == Seconds(4));
  CHECK(all[2].end == all[2].begin);
  CHECK(all[2].gap == 4096);
  CHECK((all[3].upstream && all[3].downstream));
  CHECK((!all[4].upstream && all[4].downstream));
  CHECK(options->disturbed_share == 0.25);
}

TEST_CASE("options: an outage or gap that cannot be carried out is refused", "[loadgen]") {
  const auto with = [](const std::vector<std::string>& words) {
    std::vector<std::string> all = {"--traffic", "udp", "--target", "10.0.0.53:7000"};
    all.insert(all.end(), words.begin(), words.end());
    return parsed(all);
  };
  CHECK(with({"--outage", "1:0.5"}));
  CHECK_FALSE(parsed({"--outage", "1:0.5"}));  // no traffic
  CHECK_FALSE(with({"--outage", "1"}));
  CHECK_FALSE(with({"--outage", "1:0"}));
  CHECK_FALSE(with({"--outage", "-1:1"}));
  CHECK_FALSE(with({"--outage", "1:1x"}));
  CHECK_FALSE(with({"--outage", "1:1:sideways"}));
  CHECK_FALSE(with({"--outage", "4:1"}));  // 5 s of traffic
  CHECK_FALSE(with({"--outage", "1:1", "--outage", "1.5:1"}));
  CHECK_FALSE(with({"--outage", "0.5:1", "--gap", "64"}));
  CHECK_FALSE(with({"--gap", "0"}));
  CHECK_FALSE(with({"--gap", "1.5"}));
  CHECK_FALSE(with({"--gap", "1000001"}));
  CHECK_FALSE(with({"--gap", "1,2,3,4,5"}));
}
