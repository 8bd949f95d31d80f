// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/doctor/checks.hpp"
#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

namespace {

Findings asked(const std::string& stats) {
  FakeHost fake;
  fake.host.server = {.supervisor = 10, .control = 11, .dataplane = 12, .stats = stats};
  return check_server(fake.config, fake.host);
}

}  // namespace

TEST_CASE("doctor: privileges, root or an error that names what is not seen", "[doctor]") {
  FakeHost fake;
  check_ok(check_privileges(fake.config, fake.host));
  fake.host.is_root = false;
  const Finding finding = only(check_privileges(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text, Catch::Contains("firewall, gre and start are skipped"));
  CHECK(finding.remedy.run == Commands{"sudo pns doctor"});
}

TEST_CASE("doctor: start, what pns check finds", "[doctor]") {
  FakeHost fake;
  check_ok(check_start(fake.config, fake.host));
  fake.host.start.warnings = {"users.yaml: others may read it"};
  CHECK(only(check_start(fake.config, fake.host)).verdict == Verdict::kWarning);
  fake.host.start.errors = {"this host: first", "this host: second"};
  const Finding finding = only(check_start(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.text == "the server does not start, for 2 reasons, first: this host: first");
  CHECK(finding.remedy.run == Commands{"pns check --config /etc/pns/pns.yaml --run-dir /run/pns"});
  fake.host.is_root = false;
  CHECK(only(check_start(fake.config, fake.host)).verdict == Verdict::kSkipped);
}

TEST_CASE("doctor: server, skipped while none runs", "[doctor]") {
  const FakeHost fake;
  CHECK(only(check_server(fake.config, fake.host)).verdict == Verdict::kSkipped);
}

TEST_CASE("doctor: server, one that serves, does not answer, or has no dataplane", "[doctor]") {
  check_ok(asked(R"({"dataplane_attached": true, "setups": {"installed": 9, "lcp_open": 8}})"));
  CHECK(only(asked("no JSON")).verdict == Verdict::kError);
  CHECK(only(asked("[]")).verdict == Verdict::kError);
  const Finding detached = only(asked(R"({"dataplane_attached": false})"));
  CHECK(detached.verdict == Verdict::kError);
  CHECK(detached.remedy.run == Commands{"pns restart dataplane"});
  const Finding draining = only(asked(R"({"dataplane_attached": true, "draining": true})"));
  CHECK(draining.verdict == Verdict::kWarning);
  CHECK(draining.remedy.run == Commands{"pns drain --cancel"});
  FakeHost fake;
  fake.host.server = {.supervisor = 10, .stats = std::unexpected(std::string("nobody answers"))};
  CHECK_THAT(only(check_server(fake.config, fake.host)).text, Catch::Contains("nobody answers"));
}

TEST_CASE("doctor: server, calls without an answer to LCP mean that GRE is lost", "[doctor]") {
  const Finding none =
      only(asked(R"({"dataplane_attached": true, "setups": {"installed": 4, "lcp_open": 0},
                                      "call_ends": {"lcp_timeout": 4}})"));
  CHECK(none.verdict == Verdict::kError);
  CHECK_THAT(none.text, Catch::Contains("4 calls were set up") && Catch::Contains("GRE"));
  CHECK_THAT(none.remedy.advice, Catch::Contains("protocol 47"));
  CHECK(only(asked(R"({"dataplane_attached": true, "setups": {"installed": 9, "lcp_open": 3},
                       "call_ends": {"lcp_timeout": 6}})"))
            .verdict == Verdict::kWarning);
  // Two clients that hung up early are no proof.
  check_ok(asked(R"({"dataplane_attached": true, "setups": {"installed": 2, "lcp_open": 0},
                     "call_ends": {"lcp_timeout": 2}})"));
}

TEST_CASE("doctor: server, one in another network namespace", "[doctor]") {
  FakeHost fake;
  fake.host.server = {.supervisor = 10, .stats = R"({"dataplane_attached": true})"};
  fake.link("proc/self/ns/net", "net:[4026531840]");
  fake.link("proc/10/ns/net", "net:[4026531840]");
  check_ok(check_server(fake.config, fake.host));
  fake.remove("proc/10/ns/net");
  fake.link("proc/10/ns/net", "net:[4026532001]");
  const Finding finding = only(check_server(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.remedy.run == Commands{"nsenter -t 10 -n pns doctor --config /etc/pns/pns.yaml"});
}
