// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/doctor/checks.hpp"
#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

namespace {

// As nft 1.0.6 prints them.
constexpr const char* kInput =
    R"({"chain": {"family": "inet", "table": "filter", "name": "input", "handle": 1,
  "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}})";
constexpr const char* kOutput =
    R"({"chain": {"family": "inet", "table": "filter", "name": "output", "handle": 2,
  "type": "filter", "hook": "output", "prio": 0, "policy": "drop"}})";

std::string rule(const std::string& chain, const std::string& statements, int handle = 7) {
  return R"({"rule": {"family": "inet", "table": "filter", "chain": ")" + chain +
         R"(", "handle": )" + std::to_string(handle) + R"(, "expr": [)" + statements + "]}}";
}
std::string ruleset(const std::string& objects) { return R"({"nftables": [)" + objects + "]}"; }

const std::string kPort =
    R"({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 1723}})";
const std::string kFrom =
    R"({"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.1"}})";
const std::string kGre =
    R"({"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "gre"}})";
const std::string kAccept = R"({"accept": null})";

struct Filtered : FakeHost {
  explicit Filtered(const std::string& objects) { host.filter.json = ruleset(objects); }
};

}  // namespace

TEST_CASE("doctor: firewall, a policy that drops TCP 1723", "[doctor]") {
  const Filtered fake(kInput);
  const Finding finding = only(check_firewall(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.text ==
        "the first packet of a client to TCP 1723 is dropped: the policy of inet filter input");
  CHECK(finding.remedy.run ==
        Commands{"nft insert rule inet filter input iifname access0 tcp dport 1723 accept"});
  const Filtered open(std::string(kInput) + "," + rule("input", kPort + "," + kAccept));
  check_ok(check_firewall(open.config, open.host));
}

TEST_CASE("doctor: firewall, answers that the output chain drops", "[doctor]") {
  const Filtered fake(kOutput);
  const Finding finding = only(check_firewall(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text, Catch::StartsWith("an answer from TCP 1723 is dropped"));
  CHECK(finding.remedy.run ==
        Commands{"nft insert rule inet filter output oifname access0 tcp sport 1723 accept"});
}

TEST_CASE("doctor: firewall, a rule for some clients is named and not judged", "[doctor]") {
  Filtered fake(std::string(kInput) + "," + rule("input", kPort + "," + kFrom + "," + kAccept));
  fake.host.filter.text =
      "table inet filter { # handle 1\n\tchain input { # handle 1\n"
      "\t\ttype filter hook input priority filter; policy drop;\n"
      "\t\ttcp dport 1723 ip saddr 192.0.2.1 accept # handle 7\n\t}\n}\n";
  const Finding finding = only(check_firewall(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK(finding.text ==
        "cannot tell whether the first packet of a client to TCP 1723 passes: it depends on "
        "\"tcp dport 1723 ip saddr 192.0.2.1 accept\" in inet filter input");
}

TEST_CASE("doctor: firewall, the chains of iptables have the words of iptables", "[doctor]") {
  const Filtered fake(R"({"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 1,
    "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}})");
  CHECK(only(check_firewall(fake.config, fake.host)).remedy.run ==
        Commands{"iptables -t filter -I INPUT -i access0 -p tcp --dport 1723 -j ACCEPT"});
}

TEST_CASE("doctor: firewall, rules that cannot be read", "[doctor]") {
  FakeHost fake;
  check_ok(check_firewall(fake.config, fake.host));
  fake.host.filter.reason = "there is no nft";
  CHECK(only(check_firewall(fake.config, fake.host)).verdict == Verdict::kWarning);
  fake.host.filter = {.json = "no JSON"};
  CHECK(only(check_firewall(fake.config, fake.host)).verdict == Verdict::kWarning);
  fake.host.is_root = false;
  CHECK(only(check_firewall(fake.config, fake.host)).verdict == Verdict::kSkipped);
}

TEST_CASE("doctor: firewall, tables of iptables-legacy", "[doctor]") {
  FakeHost fake;
  fake.write("proc/net/ip_tables_names", "");
  check_ok(check_firewall(fake.config, fake.host));
  fake.write("proc/net/ip_tables_names", "mangle\nfilter\n");
  const Finding finding = only(check_firewall(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::Contains("(mangle filter)"));
}

TEST_CASE("doctor: gre, rejected, dropped, accepted", "[doctor]") {
  const Filtered dropped(kInput);
  check_ok(check_gre(dropped.config, dropped.host));
  CHECK_THAT(only(check_gre(dropped.config, dropped.host)).text, Catch::Contains("no harm"));
  const Filtered rejected(
      std::string(kInput) + "," +
      rule("input", R"({"reject": {"type": "icmpx", "expr": "admin-prohibited"}})"));
  const Finding finding = only(check_gre(rejected.config, rejected.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::Contains("clients hang up"));
  CHECK(finding.remedy.run ==
        Commands{"nft insert rule inet filter input iifname access0 ip protocol gre accept"});
  const Filtered accepted(std::string(kInput) + "," + rule("input", kGre + "," + kAccept));
  CHECK_THAT(only(check_gre(accepted.config, accepted.host)).text,
             Catch::Contains("the packet filter accepts it"));
  const Filtered some(std::string(kInput) + "," +
                      rule("input", kGre + "," + kFrom + "," + kAccept));
  CHECK(only(check_gre(some.config, some.host)).verdict == Verdict::kWarning);
}

TEST_CASE("doctor: gre, never in the kernel's hands with other ports", "[doctor]") {
  Filtered fake(std::string(kInput) + "," + rule("input", R"({"reject": null})"));
  fake.use_taps();
  check_ok(check_gre(fake.config, fake.host));
}

TEST_CASE("doctor: conntrack, the PPTP helper by default", "[doctor]") {
  FakeHost fake;
  check_ok(check_conntrack(fake.config, fake.host));
  fake.write("proc/sys/net/netfilter/nf_conntrack_helper", "1\n");
  check_ok(check_conntrack(fake.config, fake.host));  // the module is not there
  fake.write("proc/modules",
             "nf_nat_pptp 16384 0 - Live 0x0\nnf_conntrack_pptp 16384 1 nf_nat_pptp, Live 0x0\n");
  const Finding finding = only(check_conntrack(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK(finding.remedy.run == Commands{"sysctl -w net.netfilter.nf_conntrack_helper=0"});
  fake.write("proc/sys/net/netfilter/nf_conntrack_helper", "0\n");
  check_ok(check_conntrack(fake.config, fake.host));
}

TEST_CASE("doctor: conntrack, the PPTP helper by a rule", "[doctor]") {
  const std::string objects =
      std::string(kInput) + "," +
      R"({"ct helper": {"family": "inet", "name": "vpn", "table": "filter", "handle": 9,
                                  "type": "pptp", "protocol": "tcp", "l3proto": "ip"}})" +
      "," + rule("input", kPort + R"(,{"ct helper": "vpn"})");
  const Filtered fake(objects);
  const Finding finding = only(check_conntrack(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::Contains("rules give connections to the PPTP helper"));
}

TEST_CASE("doctor: conntrack, a full table", "[doctor]") {
  FakeHost fake;
  fake.write("proc/sys/net/netfilter/nf_conntrack_max", "1000\n");
  fake.write("proc/sys/net/netfilter/nf_conntrack_count", "899\n");
  check_ok(check_conntrack(fake.config, fake.host));
  fake.write("proc/sys/net/netfilter/nf_conntrack_count", "900\n");
  const Finding finding = only(check_conntrack(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.remedy.run == Commands{"sysctl -w net.netfilter.nf_conntrack_max=2000"});
}
