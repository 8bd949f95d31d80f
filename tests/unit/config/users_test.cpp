// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "pns/config/config.hpp"

using namespace pns;
using namespace pns::config;

namespace {

// A users file of this test, removed afterwards.
class UsersFile {
 public:
  explicit UsersFile(const std::string& text, mode_t mode = 0600) {
    std::string name = (std::filesystem::temp_directory_path() / "pns-users-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    REQUIRE(fd >= 0);
    ::close(fd);
    path_ = name;
    std::ofstream(path_) << text;
    REQUIRE(::chmod(path_.c_str(), mode) == 0);
  }
  UsersFile(const UsersFile&) = delete;
  UsersFile& operator=(const UsersFile&) = delete;
  ~UsersFile() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The one error of a users file, without the file's name.
std::string error_of(const std::string& text) {
  const UsersFile file(text);
  const auto users = load_users(file.path());
  if (users) return "no error";
  if (users.error().size() != 1) return std::to_string(users.error().size()) + " errors";
  return users.error().front().to_string().substr(file.path().string().size());
}

}  // namespace

TEST_CASE("users: terms of the service, one value or one for each direction", "[config]") {
  const UsersFile file(R"(
alice:
  password: a
  session_timeout: 8h
  idle_timeout: 15m
  quota: 10gbyte
  filter: web
  dns: [192.0.2.53, "2001:db8::53", 192.0.2.54]
  sessions: 2
  interim_interval: 10m
  mtu: 1300
  mppe: require
bob: {password: b, rate: {up: 5mbit, down: 20mbit}, quota: {up: 1gbyte, down: 2gbyte, total: 3gbyte}, filter: {down: kids}}
carol: {password: c, rate: 20mbit, sessions: 0}
)");
  const auto users = load_users(file.path());
  REQUIRE(users);
  const UserTerms& alice = users->at(0).terms;
  CHECK(alice.session_timeout == std::chrono::hours(8));
  CHECK(alice.idle_timeout == std::chrono::minutes(15));
  CHECK(alice.quota == 10'000'000'000);
  CHECK_FALSE(alice.quota_up);
  CHECK(alice.filter_up == "web");
  CHECK(alice.filter_down == "web");
  CHECK(alice.dns == std::vector{Ipv4Address(0xc0000235), Ipv4Address(0xc0000236)});
  CHECK(alice.ipv6_dns == std::vector{Ipv6Address::parse("2001:db8::53").value()});
  CHECK(alice.sessions == 2);
  CHECK(alice.interim_interval == std::chrono::minutes(10));
  CHECK(alice.mtu == 1300);
  CHECK(alice.mppe_required);
  const LocalUser& bob = users->at(1);
  CHECK(bob.terms.rate_up == 5'000'000);
  CHECK(bob.terms.rate_down == 20'000'000);
  CHECK(bob.terms.quota_up == 1'000'000'000);
  CHECK(bob.terms.quota_down == 2'000'000'000);
  CHECK(bob.terms.quota == 3'000'000'000);
  CHECK(bob.terms.filter_up.empty());
  CHECK(bob.terms.filter_down == "kids");
  CHECK(users->at(2).terms.rate_up == 20'000'000);
  CHECK(users->at(2).terms.rate_down == 20'000'000);
  CHECK(users->at(2).terms.sessions == 0);
}

TEST_CASE("users: bursts, WINS servers and strengths of encryption", "[config]") {
  const UsersFile file(R"(
alice: {password: a, rate: 20mbit, burst: 500kbyte, wins: [192.0.2.53, 192.0.2.54], mppe_key_bits: [128, 56]}
bob: {password: b, rate: {down: 20mbit}, burst: {down: 1mbyte}}
)");
  const auto users = load_users(file.path());
  REQUIRE(users);
  const UserTerms& alice = users->at(0).terms;
  CHECK(alice.burst_up == 500'000);
  CHECK(alice.burst_down == 500'000);
  CHECK(alice.wins == std::vector{Ipv4Address(0xc0000235), Ipv4Address(0xc0000236)});
  CHECK(alice.mppe_key_bits == std::vector<std::uint8_t>{128, 56});
  CHECK_FALSE(users->at(1).terms.burst_up);
  CHECK(users->at(1).terms.burst_down == 1'000'000);

  CHECK(error_of("a: {password: x, burst: 1mbyte}") ==
        ":1: a.burst: has no meaning without a rate");
  CHECK(error_of("a: {password: x, rate: {up: 1mbit}, burst: {down: 1mbyte}}") ==
        ":1: a.burst.down: has no meaning without a rate of this direction");
  CHECK(error_of("a: {password: x, wins: [192.0.2.1, 192.0.2.2, 192.0.2.3]}") ==
        ":1: a.wins: at most two servers");
  CHECK(error_of("a: {password: x, mppe_key_bits: []}") ==
        ":1: a.mppe_key_bits: at least one strength is needed");
  CHECK(error_of("a: {password: x, mppe_key_bits: [64]}")
            .starts_with(":1: a.mppe_key_bits.0: '64' is not one of 128, 56, 40"));
}

TEST_CASE("users: terms that cannot be are errors", "[config]") {
  CHECK(
      error_of("a: {password: x, session_timeout: 100ms}").starts_with(":1: a.session_timeout: "));
  CHECK(error_of("a: {password: x, quota: {sideways: 1gbyte}}")
            .starts_with(":1: a.quota.sideways: unknown key"));
  CHECK(error_of("a: {password: x, rate: {up: 1bit}}").starts_with(":1: a.rate.up: "));
  CHECK(error_of("a: {password: x, mppe: prefer}") == ":1: a.mppe: 'prefer' is not one of require");
  CHECK(
      error_of("a: {password: x, interim_interval: 59s}").starts_with(":1: a.interim_interval: "));
  CHECK(error_of("a: {password: x, mtu: 575}").starts_with(":1: a.mtu: "));
  CHECK(error_of("a: {password: x, dns: [192.0.2.1, 192.0.2.2, 192.0.2.3]}") ==
        ":1: a.dns: at most two IPv4 servers");
}

TEST_CASE("users: every value arrives", "[config]") {
  const UsersFile file(R"(
alice: {password: "pass word"}
"CORP\\bob":
  nt_hash: 8846f7eaee8fb117ad06bdd830b7586c
  address: 10.64.0.9
  rate: 20mbit
  groups: [staff, night]
carol: {password: 1234, pool: staff, disabled: true, password_expired: true}
)");
  std::vector<ConfigError> warnings;
  const auto users = load_users(file.path(), &warnings);
  REQUIRE(users);
  CHECK(warnings.empty());
  REQUIRE(users->size() == 3);
  const LocalUser& bob = (*users)[0];  // in the order of their names
  CHECK(bob.name == "CORP\\bob");
  CHECK_FALSE(bob.password);
  REQUIRE(bob.nt_hash);
  CHECK(bob.nt_hash->bytes()[0] == std::byte{0x88});
  CHECK(bob.nt_hash->bytes()[15] == std::byte{0x6c});
  CHECK(bob.address == Ipv4Address(0x0a400009));
  CHECK(bob.terms.rate_up == 20'000'000);
  CHECK(bob.terms.rate_down == 20'000'000);
  CHECK(bob.groups == std::vector<std::string>{"staff", "night"});
  const LocalUser& alice = (*users)[1];
  REQUIRE(alice.password);
  CHECK(alice.password->view() == "pass word");
  CHECK_FALSE(alice.nt_hash);
  CHECK_FALSE(alice.address);
  CHECK_FALSE(alice.pool);
  CHECK_FALSE(alice.terms.rate_up);
  CHECK_FALSE(alice.terms.rate_down);
  CHECK((*users)[2].password->view() == "1234");
  CHECK((*users)[2].disabled);
  CHECK((*users)[2].password_expired);
  CHECK_FALSE(alice.disabled);
  CHECK_FALSE(alice.password_expired);
  CHECK((*users)[2].pool == "staff");
}

TEST_CASE("users: an empty file has no users", "[config]") {
  const UsersFile file("# nobody yet\n");
  const auto users = load_users(file.path());
  REQUIRE(users);
  CHECK(users->empty());
}

TEST_CASE("users: one error for each thing that is wrong", "[config]") {
  CHECK(error_of("alice: {}\n") == ":1: alice: needs password or nt_hash");
  CHECK(error_of("alice: {password: x, nt_hash: 8846f7eaee8fb117ad06bdd830b7586c}\n") ==
        ":1: alice: has both password and nt_hash: one is enough");
  CHECK(error_of("alice: {password: ''}\n") == ":1: alice.password: must have 1 to 256 octets");
  CHECK(error_of("alice: {password: x, pasword: y}\n") ==
        ":1: alice.pasword: unknown key; known here: password, nt_hash, address, ipv6_prefix, "
        "delegated_ipv6_prefix, "
        "routes, pool, rate, burst, rate_group, session_timeout, idle_timeout, quota, filter, dns, "
        "wins, "
        "sessions, interim_interval, mtu, mppe, mppe_key_bits, groups, "
        "disabled, password_expired");
  CHECK(error_of("alice: {password: x, disabled: yes}\n") ==
        ":1: alice.disabled: 'yes' is neither true nor false");
  CHECK(error_of("alice: {password: x, rate: 20}\n") ==
        ":1: alice.rate: '20' is not a rate (a number with bit, kbit, mbit or gbit)");
  CHECK(error_of("alice: {password: x, address: here}\n") ==
        ":1: alice.address: 'here' is not an IPv4 address");
  CHECK(error_of("alice: {password: x, address: 10.0.0.9, pool: p}\n") ==
        ":1: alice.pool: has no meaning beside a fixed address");
  CHECK(error_of("alice: {password: x}\nbob: {password: y}\nalice: {password: z}\n") ==
        ":3: alice: appears twice (first in line 1)");
  CHECK(error_of(
            "alice: {password: x, address: 10.0.0.9}\nbob: {password: y, address: 10.0.0.9}\n") ==
        ":2: bob.address: 10.0.0.9 is the address of alice already");
  CHECK(error_of("alice: {password: x, ipv6_prefix: '2001:db8::/48'}\n") ==
        ":1: alice.ipv6_prefix: 2001:db8::/48: a /64 is needed");
  CHECK(error_of("alice\n") == ": must be a mapping of keys to values");
}

TEST_CASE("users: an error never repeats a secret", "[config]") {
  const std::string error = error_of("alice: {nt_hash: 8846f7eaee8fb117ad06bdd830b758}\n");
  CHECK(error == ":1: alice.nt_hash: must be 32 hexadecimal digits");
}

TEST_CASE("users: a file that others may read gives a warning", "[config]") {
  const UsersFile file("alice: {password: x}\n", 0644);
  std::vector<ConfigError> warnings;
  REQUIRE(load_users(file.path(), &warnings));
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings.front().to_string(), Catch::EndsWith("others may read it: it holds passwords "
                                                           "(chmod 600)"));
}

TEST_CASE("users: the file is checked against the configuration", "[config]") {
  const UsersFile file(R"(
alice: {password: x, pool: nowhere}
bob: {password: x, address: 10.64.0.1}
carol: {password: x, address: 10.0.0.1}
dave: {password: x, address: 10.64.0.7}
erin: {password: x, filter: {up: web, down: nothing}}
frank: {password: x, rate_group: city}
grace: {password: x, rate_group: village}
)");
  auto config = parse(R"(
ports:
  access: {device: "xdp:eth0"}
  core: {device: "tap:w1", addresses: [10.0.0.1/24]}
pools:
  default: {ranges: [10.64.0.2-10.64.0.254], gateway: 10.64.0.1}
aaa: {local: {users_file: /none}}
filters: {web: {rules: [{action: permit, protocol: tcp, destination_ports: 80}]}}
rate_groups: {village: {up: 100mbit}}
)",
                      "pns.yaml");
  REQUIRE(config);
  config->aaa.local.users_file = file.path();
  const auto users = load_users(*config);
  REQUIRE_FALSE(users);
  REQUIRE(users.error().size() == 5);
  CHECK(users.error()[4].reason == "there is no group city");
  CHECK(users.error()[0].reason == "there is no pool nowhere");
  CHECK(users.error()[1].reason == "10.64.0.1 is the gateway of pool default");
  CHECK(users.error()[2].reason == "10.0.0.1 is an address of this server (ports.core.addresses)");
  CHECK(users.error()[3].reason == "there is no filter nothing");
}

TEST_CASE("users: a fixed address that is no subscriber's is refused, and the error says whose",
          "[config][addresses]") {
  auto config = parse(R"(
ports:
  access:
    device: "tap:w0"
    addresses: [198.51.100.1/24, "2001:db8:1:2::1/64"]
    gateway: 198.51.100.254
  core:
    device: "tap:w1"
    addresses: [10.0.0.1/24, 10.9.9.8/31]
    routes: [{to: 10.8.0.0/16, via: 10.0.0.9}]
pptp: {listen: [203.0.113.1]}
pools:
  default: {ranges: [10.64.0.2-10.64.0.254], gateway: 10.64.0.1}
aaa: {local: {users_file: /none}}
)",
                      "pns.yaml");
  REQUIRE(config);
  const auto refused = [&](const std::string& line) {
    const auto users = parse_users("a: {password: x, " + line + "}\n", "users.yaml", &*config);
    return users ? std::string("taken") : users.error().at(0).reason;
  };
  for (const auto& [address, whose] : std::map<std::string, std::string>{
           {"198.51.100.1", "an address of this server (ports.access.addresses)"},
           {"198.51.100.0", "the network address of 198.51.100.1/24 (ports.access.addresses)"},
           {"198.51.100.255", "the broadcast address of 198.51.100.1/24 (ports.access.addresses)"},
           {"198.51.100.254", "the gateway of ports.access"},
           {"203.0.113.1", "an address of this server (pptp.listen)"},
           {"10.0.0.9", "the next hop of a route of ports.core"},
           {"10.64.0.1", "the gateway of pool default"}})
    CHECK(refused("address: " + address) == address + " is " + whose);
  // The other address of a /31, addresses beside ours, and one inside the pool are fine.
  for (const char* address : {"10.9.9.9", "10.0.0.2", "198.51.100.7", "10.64.0.9"})
    CHECK(refused(std::string("address: ") + address) == "taken");
  CHECK(refused("ipv6_prefix: \"2001:db8:1:2::/64\"") ==
        "holds 2001:db8:1:2::1, which is of ports.access.addresses");
  CHECK(refused("ipv6_prefix: \"2001:db8:1:3::/64\"") == "taken");
}

TEST_CASE("users: a password that is not UTF-8 is refused with its line", "[config]") {
  CHECK_THAT(error_of("# caf\xe9\nalice: {password: x}\nbob: {password: \"p\xe4ss\"}\n"),
             Catch::StartsWith(":3: bob.password: is not UTF-8"));
  CHECK(error_of("bob: {password: \"p\xc3\xa4ss\"}\n") == "no error");
  CHECK_THAT(error_of("bob: {password: \"\xed\xa0\x80\"}\n"), Catch::Contains("UTF-8"));
}
