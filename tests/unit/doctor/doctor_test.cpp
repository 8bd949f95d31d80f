// SPDX-License-Identifier: BSD-3-Clause
#include "pns/doctor/doctor.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

TEST_CASE("doctor: a sound host has a finding of each check, and no error", "[doctor]") {
  const FakeHost fake;
  const Findings findings = examine(fake.config, fake.host);
  std::set<std::string> names;
  for (const Finding& finding : findings) {
    INFO(finding.check << ": " << finding.text);
    CHECK((finding.verdict == Verdict::kOk ||
           (finding.check == "server" && finding.verdict == Verdict::kSkipped)));
    CHECK(finding.remedy.empty());
    names.insert(finding.check);
  }
  CHECK(names == std::set<std::string>{"privileges", "start",         "huge-pages", "devices",
                                       "cpus",       "limits",        "users",      "clock",
                                       "listener",   "other-servers", "firewall",   "gre",
                                       "conntrack",  "rp-filter",     "forwarding", "parameters",
                                       "mtu",        "routes",        "proxy-arp",  "server"});
}

TEST_CASE("doctor: an empty tree of files is no crash", "[doctor]") {
  FakeHost fake;
  fake.remove("proc");
  fake.remove("sys");
  fake.host.network = {};
  CHECK(std::ranges::count(examine(fake.config, fake.host), Verdict::kError, &Finding::verdict) >
        3);
}

TEST_CASE("doctor: a remedy reads as commands, a configuration, and advice", "[doctor]") {
  CHECK(Remedy{}.to_string().empty());
  CHECK(Remedy{.run = {"a", "b c"}}.to_string() == "run: a && b c");
  CHECK(Remedy{.run = {"a"}, .configure = "x: 1", .advice = "look"}.to_string() ==
        "run: a; or configure: x: 1; look");
  CHECK(Remedy{.configure = "x: 1"}.to_string() == "configure: x: 1");
}
