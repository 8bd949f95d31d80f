// SPDX-License-Identifier: BSD-3-Clause
//
// The JSON of the rules is as nft 1.0.6 printed it; tests/interop/doctor_test.py loads real ones.
#include "pns/doctor/ruleset.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

namespace {

using Kind = Judgement::Kind;

constexpr const char* kChains = R"(
  {"chain": {"family": "inet", "table": "f", "name": "svc", "handle": 1}},
  {"chain": {"family": "inet", "table": "f", "name": "input", "handle": 2, "type": "filter", "hook": "input", "prio": 0,
             "policy": "drop"}})";

std::string rule(const std::string& statements, const std::string& chain = "input") {
  return R"(,{"rule": {"family": "inet", "table": "f", "chain": ")" + chain +
         R"(", "handle": 5, "expr": [)" + statements + "]}}";
}

const FilteredPacket kSyn{.interface = "eth0", .our_addresses = {Ipv4Address(0xc6336401)}};

// A policy that drops, and these rules before it.
Judgement judge(const std::string& rules, const FilteredPacket& packet = kSyn) {
  const auto parsed = Ruleset::parse(R"({"nftables": [)" + std::string(kChains) + rules + "]}", "");
  REQUIRE(parsed);
  return parsed->judge(packet);
}

std::string match(const std::string& left, const std::string& right, const std::string& op = "==") {
  return R"({"match": {"op": ")" + op + R"(", "left": )" + left + R"(, "right": )" + right + "}}";
}
std::string payload(const std::string& protocol, const std::string& field) {
  return R"({"payload": {"protocol": ")" + protocol + R"(", "field": ")" + field + R"("}})";
}
std::string meta(const std::string& key) { return R"({"meta": {"key": ")" + key + R"("}})"; }
const std::string kState = R"({"ct": {"key": "state"}})";
const std::string kAccept = R"(,{"accept": null})";
const std::string kDrop = R"(,{"drop": null})";

Kind with_match(const std::string& statement, const FilteredPacket& packet = kSyn) {
  return judge(rule(statement + kAccept), packet).kind;
}

FilteredPacket later() {
  FilteredPacket packet = kSyn;
  packet.is_new = false;
  return packet;
}
FilteredPacket gre() {
  FilteredPacket packet = kSyn;
  packet.protocol = 47;
  return packet;
}

}  // namespace

TEST_CASE("ruleset: no rules, and a policy", "[doctor]") {
  CHECK(Ruleset::parse(R"({"nftables": []})", "")->judge(kSyn).kind == Kind::kAccepted);
  const Judgement dropped = judge("");
  CHECK(dropped.kind == Kind::kDropped);
  CHECK(dropped.rules == std::vector<std::string>{"the policy of inet f input"});
  CHECK(dropped.chains == std::vector<ChainName>{{"inet", "f", "input"}});
}

TEST_CASE("ruleset: text that is no ruleset", "[doctor]") {
  for (const char* text : {"", "[]", "{}", R"({"nftables": 1})", "{\"nftables\": [", "\xff"}) {
    INFO(text);
    CHECK_FALSE(Ruleset::parse(text, ""));
  }
  // Objects of another shape are no crash.
  for (const char* text :
       {R"([1, null, {}, {"chain": 5}, {"rule": null}])", R"([{"rule": {"expr": 1}}])",
        R"([{"chain": {"name": 1, "prio": "x", "dev": 3, "hook": "input"}}])"})
    CHECK(Ruleset::parse(R"({"nftables": )" + std::string(text) + "}", "# handle x\n}\n"));
}

TEST_CASE("ruleset: matches of ports", "[doctor]") {
  CHECK(with_match(match(payload("tcp", "dport"), "1723")) == Kind::kAccepted);
  CHECK(with_match(match(payload("th", "dport"), "1723")) == Kind::kAccepted);
  CHECK(with_match(match(payload("tcp", "dport"), "22")) == Kind::kDropped);
  CHECK(with_match(match(payload("udp", "dport"), "1723")) == Kind::kDropped);
  CHECK(with_match(match(payload("tcp", "dport"), R"({"set": [22, {"range": [1700, 1800]}]})")) ==
        Kind::kAccepted);
  CHECK(with_match(match(payload("tcp", "dport"), R"({"set": [22, {"range": [1724, 1800]}]})")) ==
        Kind::kDropped);
  CHECK(with_match(match(payload("tcp", "dport"), R"({"range": [1, 1722]})")) == Kind::kDropped);
  CHECK(with_match(match(payload("tcp", "dport"), "22", "!=")) == Kind::kAccepted);
  CHECK(with_match(match(payload("tcp", "dport"), "1723", "!=")) == Kind::kDropped);
  CHECK(with_match(match(payload("tcp", "dport"), "1024", ">=")) == Kind::kAccepted);
  CHECK(with_match(match(payload("tcp", "dport"), "1024", "<")) == Kind::kDropped);
  CHECK(with_match(match(payload("tcp", "sport"), "1723")) == Kind::kUnclear);
  CHECK(with_match(match(payload("tcp", "dport"),
                         R"({"set": [{"elem": {"val": 1723, "comment": "pptp"}}]})")) ==
        Kind::kAccepted);
}

TEST_CASE("ruleset: a rule about another protocol matches neither way", "[doctor]") {
  CHECK(with_match(match(payload("tcp", "dport"), "22", "!="), gre()) == Kind::kDropped);
  CHECK(with_match(match(payload("udp", "dport"), "22", "!=")) == Kind::kDropped);
  CHECK(with_match(match(payload("ip6", "saddr"), R"("::1")", "!=")) == Kind::kDropped);
  CHECK(with_match(match(payload("tcp", "dport"), "1024", ">="), gre()) == Kind::kDropped);
}

TEST_CASE("ruleset: matches of protocols", "[doctor]") {
  CHECK(with_match(match(meta("l4proto"), R"("gre")"), gre()) == Kind::kAccepted);
  CHECK(with_match(match(meta("l4proto"), "47"), gre()) == Kind::kAccepted);
  CHECK(with_match(match(payload("ip", "protocol"), R"("gre")"), gre()) == Kind::kAccepted);
  CHECK(with_match(match(payload("ip", "protocol"), R"("gre")")) == Kind::kDropped);
  CHECK(with_match(match(meta("l4proto"), R"({"set": ["tcp", "gre"]})"), gre()) == Kind::kAccepted);
  CHECK(with_match(match(meta("l4proto"), R"("tcp")", "!=")) == Kind::kDropped);
  CHECK(with_match(match(meta("nfproto"), R"("ipv4")")) == Kind::kAccepted);
  CHECK(with_match(match(meta("nfproto"), R"("ipv6")")) == Kind::kDropped);
  CHECK(with_match(match(meta("protocol"), R"("ip")")) == Kind::kAccepted);
}

TEST_CASE("ruleset: matches of interfaces", "[doctor]") {
  CHECK(with_match(match(meta("iifname"), R"("eth0")")) == Kind::kAccepted);
  CHECK(with_match(match(meta("iif"), R"("lo")")) == Kind::kDropped);
  CHECK(with_match(match(meta("iifname"), R"({"set": ["lo", "eth*"]})")) == Kind::kAccepted);
  CHECK(with_match(match(meta("iifname"), R"("eth0")", "!=")) == Kind::kDropped);
  CHECK(
      with_match(match(
          R"({"concat": [{"meta": {"key": "iifname"}}, {"payload": {"protocol": "tcp", "field": "dport"}}]})",
          R"({"set": [{"concat": ["eth0", 1723]}]})")) == Kind::kAccepted);
  CHECK(
      with_match(match(
          R"({"concat": [{"meta": {"key": "iifname"}}, {"payload": {"protocol": "tcp", "field": "dport"}}]})",
          R"({"set": [{"concat": ["eth1", 1723]}]})")) == Kind::kDropped);
  CHECK(with_match(match(meta("pkttype"), R"("host")")) == Kind::kAccepted);
  CHECK(with_match(match(R"({"fib": {"result": "type", "flags": ["daddr"]}})", R"("local")")) ==
        Kind::kAccepted);
}

TEST_CASE("ruleset: matches of addresses", "[doctor]") {
  CHECK(with_match(match(payload("ip", "daddr"), R"("198.51.100.1")")) == Kind::kAccepted);
  CHECK(with_match(match(payload("ip", "daddr"), R"("198.51.100.2")")) == Kind::kDropped);
  CHECK(with_match(match(payload("ip", "daddr"),
                         R"({"prefix": {"addr": "198.51.100.0", "len": 24}})")) == Kind::kAccepted);
  CHECK(with_match(match(payload("ip", "daddr"),
                         R"({"range": ["198.51.100.2", "198.51.100.9"]})")) == Kind::kDropped);
  CHECK(with_match(match(payload("ip", "saddr"), R"("192.0.2.1")")) == Kind::kUnclear);
  CHECK(with_match(match(payload("ip", "saddr"), R"({"prefix": {"addr": "0.0.0.0", "len": 0}})")) ==
        Kind::kAccepted);
  // No client has an address of loopback.
  CHECK(judge(rule(match(payload("ip", "saddr"), R"({"prefix": {"addr": "127.0.0.0", "len": 8}})") +
                   kDrop) +
              rule(match(payload("tcp", "dport"), "1723") + kAccept))
            .kind == Kind::kAccepted);
  FilteredPacket two = kSyn;
  two.our_addresses.push_back(Ipv4Address(0xc6336402));
  CHECK(with_match(match(payload("ip", "daddr"), R"("198.51.100.1")"), two) == Kind::kUnclear);
}

TEST_CASE("ruleset: named sets", "[doctor]") {
  const std::string set =
      R"(,{"set": {"family": "inet", "name": "open", "table": "f", "type": "inet_service",
                               "handle": 3, "elem": [22, 1723]}})";
  CHECK(judge(set + rule(match(payload("tcp", "dport"), R"("@open")") + kAccept)).kind ==
        Kind::kAccepted);
  CHECK(judge(set + rule(match(payload("tcp", "dport"), R"("@none")") + kAccept)).kind ==
        Kind::kUnclear);
  CHECK(judge(set + rule(match(payload("tcp", "dport"), R"("@none")") + kAccept), gre()).kind ==
        Kind::kDropped);
}

TEST_CASE("ruleset: connection tracking", "[doctor]") {
  const std::string established = match(kState, R"(["established", "related"])", "in");
  CHECK(with_match(established) == Kind::kDropped);
  CHECK(with_match(established, later()) == Kind::kAccepted);
  CHECK(with_match(match(kState, R"("new")", "in")) == Kind::kAccepted);
  CHECK(with_match(match(kState, R"("new")", "in"), later()) == Kind::kDropped);
  CHECK(judge(rule(match(kState, R"("invalid")", "in") + kDrop) +
              rule(match(payload("tcp", "dport"), "1723") + kAccept))
            .kind == Kind::kAccepted);
  const std::string by_state =
      R"({"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["invalid", {"drop": null}],
                               ["established", {"accept": null}], ["related", {"accept": null}]]}}})";
  CHECK(judge(rule(by_state), later()).kind == Kind::kAccepted);
  CHECK(judge(rule(by_state)).kind == Kind::kDropped);
}

TEST_CASE("ruleset: a packet that is not tracked is neither new nor established", "[doctor]") {
  const std::string raw =
      R"(,{"chain": {"family": "ip", "table": "raw", "name": "pre", "handle": 1, "type": "filter",
                             "hook": "prerouting", "prio": -300, "policy": "accept"}},
                             {"rule": {"family": "ip", "table": "raw", "chain": "pre", "handle": 2, "expr": [)" +
      match(payload("tcp", "dport"), "1723") + R"(, {"notrack": null}]}})";
  CHECK(judge(raw + rule(match(kState, R"("established")", "in") + kAccept), later()).kind ==
        Kind::kDropped);
  CHECK(judge(raw + rule(match(kState, R"("untracked")", "in") + kAccept), later()).kind ==
        Kind::kAccepted);
}

TEST_CASE("ruleset: flags of TCP", "[doctor]") {
  const std::string masked =
      R"({"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]})";
  CHECK(with_match(match(masked, R"("syn")")) == Kind::kAccepted);
  CHECK(with_match(match(masked, R"("syn")"), later()) == Kind::kDropped);
  CHECK(with_match(match(masked, R"("syn")", "!=")) == Kind::kDropped);
  CHECK(with_match(match(payload("tcp", "flags"), R"("syn")", "in")) == Kind::kAccepted);
  CHECK(with_match(match(payload("tcp", "flags"), R"(["fin", "rst"])", "in")) == Kind::kDropped);
  CHECK(with_match(match(masked, R"("syn")"), gre()) == Kind::kDropped);
}

TEST_CASE("ruleset: jumps, returns and goto", "[doctor]") {
  const std::string service = rule(match(payload("tcp", "dport"), "1723") + kAccept, "svc");
  CHECK(judge(service + rule(R"({"jump": {"target": "svc"}})")).kind == Kind::kAccepted);
  CHECK(judge(service + rule(R"({"goto": {"target": "svc"}})"), gre()).kind == Kind::kDropped);
  // Behind goto nothing is reached, behind jump it is.
  CHECK(judge(rule(R"({"goto": {"target": "svc"}})") + rule(R"({"accept": null})")).kind ==
        Kind::kDropped);
  CHECK(judge(rule(R"({"jump": {"target": "svc"}})") + rule(R"({"accept": null})")).kind ==
        Kind::kAccepted);
  CHECK(judge(rule(R"({"return": null})", "svc") + service + rule(R"({"jump": {"target": "svc"}})"))
            .kind == Kind::kDropped);
  CHECK(judge(rule(R"({"jump": {"target": "none"}})")).kind == Kind::kUnclear);
  // A loop, which the kernel never has, ends.
  CHECK(
      judge(rule(R"({"jump": {"target": "svc"}})", "svc") + rule(R"({"jump": {"target": "svc"}})"))
          .kind == Kind::kUnclear);
}

TEST_CASE("ruleset: verdict maps", "[doctor]") {
  const auto map = [](const std::string& entries) {
    return rule(
        R"({"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": [)" +
        entries + "]}}}");
  };
  CHECK(judge(map(R"([22, {"drop": null}], [1723, {"accept": null}])")).kind == Kind::kAccepted);
  CHECK(judge(map(R"([22, {"accept": null}])")).kind == Kind::kDropped);
  CHECK(judge(map(R"([22, {"drop": null}], ["*", {"accept": null}])")).kind == Kind::kAccepted);
  CHECK(judge(map(R"([1723, {"drop": null}], ["*", {"accept": null}])")).kind == Kind::kDropped);
  CHECK(judge(rule(match(payload("tcp", "dport"), "1723") + kAccept, "svc") +
              map(R"([1723, {"jump": {"target": "svc"}}])"))
            .kind == Kind::kAccepted);
  CHECK(judge(rule(R"({"vmap": {"key": {"meta": {"key": "mark"}}, "data": "@marks"}})")).kind ==
        Kind::kUnclear);
}

TEST_CASE("ruleset: rates, marks and extensions are not judged", "[doctor]") {
  CHECK(with_match(R"({"limit": {"rate": 10, "burst": 5, "per": "second"}})") == Kind::kUnclear);
  CHECK(with_match(match(meta("mark"), "5")) == Kind::kUnclear);
  CHECK(with_match(R"({"xt": null})") == Kind::kUnclear);
  CHECK(with_match(R"({"new statement": {}})") == Kind::kUnclear);
  CHECK(judge(rule(R"({"xt": {"type": "target", "name": "REJECT"}})")).kind == Kind::kUnclear);
  CHECK(judge(rule(R"({"queue": {"num": 0}})")).kind == Kind::kUnclear);
  CHECK(with_match(R"({"counter": {"packets": 0, "bytes": 0}}, {"log": {"prefix": "x"}})") ==
        Kind::kAccepted);
  // Only the rules that matter are named.
  const Judgement limited = judge(rule(match(payload("udp", "dport"), "1") + kAccept) +
                                  rule(R"({"limit": {"rate": 10, "per": "second"}})" + kAccept));
  REQUIRE(limited.rules.size() == 1);
  CHECK_THAT(limited.rules[0], Catch::Contains("limit"));
}

TEST_CASE("ruleset: a block list is named when all others are accepted", "[doctor]") {
  const Judgement judgement = judge(rule(match(payload("ip", "saddr"), R"("@blocked")") + kDrop) +
                                    rule(match(payload("tcp", "dport"), "1723") + kAccept));
  CHECK(judgement.kind == Kind::kUnclear);
  REQUIRE(judgement.rules.size() == 1);
  CHECK_THAT(judgement.rules[0], Catch::Contains("@blocked"));
}

TEST_CASE("ruleset: every base chain must accept", "[doctor]") {
  const std::string other =
      R"(,{"chain": {"family": "ip", "table": "g", "name": "late", "handle": 2, "type": "filter",
                               "hook": "input", "prio": 10, "policy": "drop"}})";
  const std::string open = rule(match(payload("tcp", "dport"), "1723") + kAccept);
  CHECK(judge(open).kind == Kind::kAccepted);
  const Judgement judgement = judge(open + other);
  CHECK(judgement.kind == Kind::kDropped);
  CHECK(judgement.chains == std::vector<ChainName>{{"ip", "g", "late"}});
  // IPv6, forwarding and another device's ingress have no part in it.
  for (
      const char* beside :
      {R"(,{"chain": {"family": "ip6", "table": "g", "name": "c", "hook": "input", "prio": 0, "policy": "drop"}})",
       R"(,{"chain": {"family": "ip", "table": "g", "name": "c", "hook": "forward", "prio": 0, "policy": "drop"}})",
       R"(,{"chain": {"family": "netdev", "table": "g", "name": "c", "dev": "eth1", "hook": "ingress", "prio": 0,
             "policy": "drop"}})"})
    CHECK(judge(open + beside).kind == Kind::kAccepted);
  CHECK(
      judge(
          open +
          R"(,{"chain": {"family": "netdev", "table": "g", "name": "c", "dev": "eth0", "hook": "ingress",
                         "prio": 0, "policy": "drop"}})")
          .kind == Kind::kDropped);
}

TEST_CASE("ruleset: rejection is told from silence", "[doctor]") {
  CHECK(judge(rule(R"({"reject": {"type": "tcp reset"}})")).kind == Kind::kRejected);
  CHECK(judge(rule(R"({"drop": null})")).kind == Kind::kDropped);
}

TEST_CASE("ruleset: answers go by the output chains", "[doctor]") {
  const std::string output =
      R"(,{"chain": {"family": "inet", "table": "f", "name": "output", "handle": 8,
                                "type": "filter", "hook": "output", "prio": 0, "policy": "drop"}})";
  FilteredPacket answer = later();
  answer.outgoing = true;
  const auto sending = [&](const std::string& statement) {
    return judge(output + rule(statement + kAccept, "output"), answer).kind;
  };
  CHECK(judge("", answer).kind == Kind::kAccepted);
  CHECK(judge(output, answer).kind == Kind::kDropped);
  CHECK(sending(match(payload("tcp", "sport"), "1723")) == Kind::kAccepted);
  CHECK(sending(match(meta("oifname"), R"("eth0")")) == Kind::kAccepted);
  CHECK(sending(match(payload("ip", "saddr"), R"("198.51.100.1")")) == Kind::kAccepted);
  CHECK(sending(match(kState, R"(["established"])", "in")) == Kind::kAccepted);
  CHECK(sending(match(payload("tcp", "dport"), "1723")) == Kind::kUnclear);
}

TEST_CASE("ruleset: a rule's words, of one line and of several", "[doctor]") {
  const auto parsed = Ruleset::parse(
      R"({"nftables": [)" + std::string(kChains) +
          rule(match(payload("ip", "saddr"), R"("192.0.2.1")") + kAccept) + "]}",
      "table inet f { # handle 1\n"
      "\tchain svc { # handle 1\n\t}\n"
      "\tchain input { # handle 2\n"
      "\t\ttype filter hook input priority filter; policy drop;\n"
      "\t\tip saddr { 192.0.2.1,\n\t\t\t     192.0.2.2 } accept # handle 5\n\t}\n}\n");
  REQUIRE(parsed);
  CHECK(parsed->judge(kSyn).rules ==
        std::vector<std::string>{"\"ip saddr { 192.0.2.1, 192.0.2.2 } accept\" in inet f input"});
}

namespace {

std::string captured(const char* name) {
  std::ifstream file(std::filesystem::path(PNS_DOCTOR_DATA) / name);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

Judgement with_ufw(const std::string& text, const FilteredPacket& packet) {
  const auto parsed = Ruleset::parse(captured("ufw.json"), text);
  REQUIRE(parsed);
  return parsed->judge(packet);
}

// One rule of iptables before the policy that drops: its extensions, and the words of nft.
Kind with_extension(const std::string& statements, const std::string& words,
                    const FilteredPacket& packet = kSyn) {
  const auto parsed =
      Ruleset::parse(R"({"nftables": [)" + std::string(kChains) + rule(statements) + "]}",
                     "table inet f { # handle 1\n\tchain input { # handle 2\n\t\t" + words +
                         " # handle 5\n\t}\n}\n");
  REQUIRE(parsed);
  return parsed->judge(packet).kind;
}
std::string extension(const std::string& name, const std::string& type = "match") {
  return R"({"xt": {"type": ")" + type + R"(", "name": ")" + name + R"("}})";
}

}  // namespace

// Rules like those of ufw, made by iptables 1.8.9 (nf_tables). Ports 1700 to 1800 and 80 are open.
TEST_CASE("ruleset: the rules of ufw", "[doctor]") {
  const std::string text = captured("ufw.txt");
  CHECK(with_ufw(text, kSyn).kind == Kind::kAccepted);
  CHECK(with_ufw(text, later()).kind == Kind::kAccepted);
  const Judgement gre_packet = with_ufw(text, gre());
  CHECK(gre_packet.kind == Kind::kDropped);
  CHECK(gre_packet.rules == std::vector<std::string>{"the policy of ip filter INPUT"});
  FilteredPacket other = kSyn;
  other.our_port = 1801;
  CHECK(with_ufw(text, other).kind == Kind::kDropped);
  // Without the words of nft nothing is known of an extension.
  CHECK(with_ufw("", kSyn).kind == Kind::kUnclear);
}

TEST_CASE("ruleset: extensions of iptables by the words of nft", "[doctor]") {
  const std::string state = extension("conntrack") + kAccept;
  CHECK(with_extension(state, "ct state related,established accept") == Kind::kDropped);
  CHECK(with_extension(state, "ct state related,established accept", later()) == Kind::kAccepted);
  CHECK(with_extension(state, "ct state new accept") == Kind::kAccepted);
  CHECK(with_extension(state, "ct state != new accept") == Kind::kUnclear);
  CHECK(with_extension(state, "ct state new ct direction reply accept") == Kind::kUnclear);
  CHECK(with_extension(state, "ct direction reply accept") == Kind::kUnclear);
  CHECK(with_extension(state, "accept") == Kind::kUnclear);
  const std::string ports = extension("multiport") + kAccept;
  CHECK(with_extension(ports, "tcp dport { 22, 1723 } accept") == Kind::kAccepted);
  CHECK(with_extension(ports, "tcp dport { 22, 1000-1722 } accept") == Kind::kDropped);
  CHECK(with_extension(ports, "tcp dport != { 22, 80 } accept") == Kind::kUnclear);
  CHECK(with_extension(ports, "tcp dport 1723 tcp sport { 22, 80 } accept") == Kind::kUnclear);
  CHECK(with_extension(ports, "tcp dport { 22, 1-2-3 } accept") == Kind::kUnclear);
  const std::string local = extension("addrtype") + kAccept;
  CHECK(with_extension(local, "fib daddr type local accept") == Kind::kAccepted);
  CHECK(with_extension(local, "fib daddr type broadcast accept") == Kind::kDropped);
  CHECK(with_extension(local, "fib saddr type local fib daddr type local accept") ==
        Kind::kUnclear);
  CHECK(with_extension(extension("comment") + kAccept, "accept") == Kind::kAccepted);
  CHECK(with_extension(extension("REJECT", "target"), "counter reject") == Kind::kRejected);
  CHECK(with_extension(extension("LOG", "target"), "log") == Kind::kDropped);
  CHECK(with_extension(extension("DNAT", "target"), "dnat to 10.0.0.9") == Kind::kUnclear);
  CHECK(with_extension(extension("hashlimit") + kAccept, "meter x accept") == Kind::kUnclear);
}
