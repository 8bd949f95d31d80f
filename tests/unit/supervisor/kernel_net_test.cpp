// SPDX-License-Identifier: BSD-3-Clause
//
// Every case makes interfaces in a fresh network namespace of this process.
#include "pns/supervisor/kernel_net.hpp"

#include "pns/log/log.hpp"
#include "pns/netlink/subscriber_routes.hpp"
#include "pns/supervisor/kernel_port.hpp"
#include "pns/supervisor/policy_rules.hpp"
#include "pns/supervisor/services_interface.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace pns;
using namespace pns::supervisor;
using contract::PortRole;

namespace {

void enter_fresh_namespace() {
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) {
    std::fprintf(stderr, "skipped: no /dev/net/tun\n");
    std::exit(77);
  }
  if (::unshare(CLONE_NEWNET) != 0) {
    std::fprintf(stderr, "skipped: may not make a network namespace\n");
    std::exit(77);
  }
}

std::string contents_of(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

// Lines of /proc/net/route that name the interface: destination and gateway in hexadecimal.
std::string routes_of(const std::string& interface) {
  std::istringstream lines(contents_of("/proc/thread-self/net/route"));
  std::string result;
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string name, destination, gateway;
    words >> name >> destination >> gateway;
    if (name == interface) result += destination + ">" + gateway + " ";
  }
  return result;
}

// Output of ip(8), whose lines end with a space; "" when it fails.
std::string ip(const std::string& arguments) {
  std::string out;
  FILE* const pipe = ::popen(("ip " + arguments + " 2> /dev/null").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), pipe))
    out.append(piece.data(), got);
  return ::pclose(pipe) == 0 ? out : "";
}

// Our rules, both families.
std::string our_rules() {
  std::string ours;
  for (const char* family : {"-4", "-6"}) {
    std::istringstream lines(ip(std::string(family) + " -N rule show"));
    for (std::string line; std::getline(lines, line);)
      if (line.find("proto 172") != std::string::npos) ours += line + "\n";
  }
  return ours;
}

ifreq ask_interface(const std::string& name, unsigned long request) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq question{};
  name.copy(question.ifr_name, IFNAMSIZ - 1);
  REQUIRE(::ioctl(fd.get(), request, &question) == 0);
  return question;
}

constexpr MacAddress kMac = {0x02, 0x50, 1, 2, 3, 4};

config::Port twin_port() {
  config::Port port;
  port.device = {config::DeviceKind::kTap, "tap:wire", "wire"};
  port.twin = "twin0";
  port.addresses = {Ipv4Prefix::parse("192.0.2.1/24").value(),
                    Ipv4Prefix::parse("192.0.2.2/24").value()};
  port.routes = {
      {Ipv4Prefix::parse("10.9.0.0/16").value(), Ipv4Address::parse("192.0.2.9").value()}};
  port.gateway = Ipv4Address::parse("192.0.2.254");
  port.table = 1723;
  return port;
}

}  // namespace

TEST_CASE("kernel net: a twin gets MAC, MTU, addresses and routes, and twice is once",
          "[supervisor]") {
  enter_fresh_namespace();
  const auto tap = open_tap("twin0");
  REQUIRE(tap);
  const config::Port port = twin_port();
  for (const bool again : {false, true}) {
    const auto done = configure_twin(port, PortRole::kCore, kMac, 1480, again);
    if (!done) FAIL(done.error());
    CHECK(ask_interface("twin0", SIOCGIFMTU).ifr_mtu == 1480);
    CHECK((ask_interface("twin0", SIOCGIFFLAGS).ifr_flags & IFF_UP) != 0);
    const ifreq hardware = ask_interface("twin0", SIOCGIFHWADDR);
    CHECK(static_cast<unsigned char>(hardware.ifr_hwaddr.sa_data[1]) == 0x50);
    CHECK(static_cast<unsigned char>(hardware.ifr_hwaddr.sa_data[5]) == 4);
    const auto addresses = interface_addresses("twin0");
    REQUIRE(addresses.size() == 2);
    CHECK(addresses[0].to_string() == "192.0.2.1");
    CHECK(addresses[1].to_string() == "192.0.2.2");
    // In main, 192.0.2.0/24 on link and 10.9.0.0/16 via .9 (hexadecimal of network order), and no
    // default route.
    const std::string routes = routes_of("twin0");
    CHECK_THAT(routes, Catch::Contains("0000090A>090200C0"));
    CHECK_THAT(routes, !Catch::Contains("00000000>"));
    CHECK(ip("route show table 1723") ==
          "default via 192.0.2.254 dev twin0 proto static \n"
          "10.9.0.0/16 via 192.0.2.9 dev twin0 proto static \n"
          "192.0.2.0/24 dev twin0 proto static scope link \n");
    CHECK(our_rules() ==
          "17231:\tfrom 192.0.2.1 lookup 1723 proto 172\n"
          "17231:\tfrom 192.0.2.2 lookup 1723 proto 172\n"
          "17232:\tfrom all oif twin0 lookup 1723 proto 172\n"
          "32801:\tfrom all iif lo lookup 1723 proto 172\n");
  }
}

TEST_CASE("kernel net: a twin has one link-local address, that of its MAC", "[supervisor]") {
  enter_fresh_namespace();
  const auto tap = open_tap("twin0");
  REQUIRE(tap);
  config::Port port = twin_port();
  port.ipv6_addresses = {Ipv6Prefix::parse("2001:db8:a::1/64").value()};
  REQUIRE(configure_twin(port, PortRole::kCore, kMac, 1500, false));
  std::istringstream lines(ip("-6 -o address show dev twin0 scope link"));
  std::vector<std::string> addresses;
  for (std::string line; std::getline(lines, line);)
    addresses.push_back(line.substr(line.find("fe80"), line.find('/') - line.find("fe80")));
  CHECK(addresses == std::vector<std::string>{"fe80::50:1ff:fe02:304"});
}

TEST_CASE("kernel net: both twins have a default route, and answers leave where calls came in",
          "[supervisor]") {
  enter_fresh_namespace();
  const auto access_tap = open_tap("twin0");
  const auto core_tap = open_tap("twin1");
  REQUIRE(access_tap);
  REQUIRE(core_tap);
  config::Port access = twin_port();
  access.ipv6_addresses = {Ipv6Prefix::parse("2001:db8:a::1/64").value()};
  access.ipv6_gateway = Ipv6Address::parse("2001:db8:a::9");
  config::Port core = access;
  core.twin = "twin1";
  core.table = 70'000;
  core.addresses = {Ipv4Prefix::parse("10.0.0.1/24").value()};
  core.ipv6_addresses = {Ipv6Prefix::parse("2001:db8:c::1/64").value()};
  // The same network is behind both.
  core.routes = {
      {Ipv4Prefix::parse("10.9.0.0/16").value(), Ipv4Address::parse("10.0.0.9").value()}};
  core.gateway = Ipv4Address::parse("10.0.0.254");
  core.ipv6_gateway = Ipv6Address::parse("fe80::9");
  for (const auto& [port, role] :
       {std::pair{&access, PortRole::kAccess}, std::pair{&core, PortRole::kCore}}) {
    const auto done = configure_twin(*port, role, kMac, 1500, false);
    if (!done) FAIL(done.error());
  }
  const auto way = [](const std::string& question) { return ip("route get " + question); };
  CHECK_THAT(way("203.0.113.9 from 192.0.2.1"), Catch::Contains("via 192.0.2.254 dev twin0"));
  CHECK_THAT(way("203.0.113.9 from 10.0.0.1"), Catch::Contains("via 10.0.0.254 dev twin1"));
  CHECK_THAT(way("203.0.113.9 oif twin0"), Catch::Contains("via 192.0.2.254 dev twin0"));
  CHECK_THAT(way("10.9.1.1 from 192.0.2.1"), Catch::Contains("via 192.0.2.9 dev twin0"));
  CHECK_THAT(way("10.9.1.1 from 10.0.0.1"), Catch::Contains("via 10.0.0.9 dev twin1"));
  CHECK_THAT(way("192.0.2.77 from 192.0.2.1"),
             Catch::Contains("192.0.2.77 from 192.0.2.1 dev twin0"));
  CHECK_THAT(way("2001:db8::9 from 2001:db8:a::1"), Catch::Contains("via 2001:db8:a::9 dev twin0"));
  CHECK_THAT(way("2001:db8::9 from 2001:db8:c::1"), Catch::Contains("via fe80::9 dev twin1"));
  CHECK_THAT(way("fe80::77 oif twin1"), !Catch::Contains("via"));
  // A program of the host: the core's way, unless main has one.
  CHECK_THAT(way("203.0.113.9"), Catch::Contains("via 10.0.0.254 dev twin1"));
  CHECK_THAT(way("10.9.1.1"), Catch::Contains("via 10.0.0.9 dev twin1"));
  (void)ip("route add 203.0.113.0/24 via 192.0.2.5");
  CHECK_THAT(way("203.0.113.9"), Catch::Contains("via 192.0.2.5 dev twin0"));
  CHECK_THAT(way("203.0.113.9 from 10.0.0.1"), Catch::Contains("via 10.0.0.254 dev twin1"));

  remove_rules({"twin0", "twin1"});
  CHECK(our_rules().empty());
}

TEST_CASE("kernel net: rules of a killed server go, those of another server stay", "[supervisor]") {
  enter_fresh_namespace();
  const auto other_tap = open_tap("other0");
  REQUIRE(other_tap);
  config::Port other = twin_port();
  other.twin = "other0";
  other.table = 5000;
  other.addresses = {Ipv4Prefix::parse("198.51.100.1/24").value()};
  other.routes.clear();
  other.gateway = Ipv4Address::parse("198.51.100.254");
  REQUIRE(configure_twin(other, PortRole::kAccess, kMac, 1500, false));
  const std::string others = our_rules();
  {
    const auto tap = open_tap("twin0");
    REQUIRE(tap);
    config::Port port = twin_port();
    port.table = 4711;  // the key has changed since
    REQUIRE(configure_twin(port, PortRole::kCore, kMac, 1500, false));
  }
  REQUIRE(our_rules() != others);  // the TAP is gone, its rules are not
  remove_rules({"twin0", "twin1"});
  CHECK(our_rules() == others);
  (void)ip("rule add pref 100 from 192.0.2.7 lookup 1723");
  remove_rules({"other0", "twin1"});
  CHECK(our_rules().empty());
  CHECK_THAT(ip("-N rule show"), Catch::Contains("from 192.0.2.7 lookup 1723"));
}

namespace {

config::Config services_config(bool access_has_twin) {
  config::Config config;
  config.ports.access.device.kind =
      access_has_twin ? config::DeviceKind::kTap : config::DeviceKind::kXdp;
  config.ports.core.device = {config::DeviceKind::kXdp, "xdp:eth1", "eth1"};
  config.ports.core.services = {true, "services0", 5725};
  config::Pool& pool = config.pools["default"];
  pool.ranges = {{*Ipv4Address::parse("10.64.0.2"), *Ipv4Address::parse("10.64.0.7")}};
  pool.gateway = *Ipv4Address::parse("10.64.0.1");
  pool.ipv6_prefixes = {*Ipv6Prefix::parse("2001:db8:100::/48")};
  return config;
}

}  // namespace

TEST_CASE("kernel net: services have a TUN with gateways, and the way back is its own table's",
          "[supervisor]") {
  enter_fresh_namespace();
  const auto tun = open_tun("services0");
  REQUIRE(tun);
  const config::Config config = services_config(false);
  OwnAddresses had;
  for (int twice = 0; twice < 2; ++twice) {
    const auto done = configure_services(config, Old::kRemove, had);
    if (!done) FAIL(done.error());
    CHECK(ask_interface("services0", SIOCGIFMTU).ifr_mtu == 1396);
    const short flags = ask_interface("services0", SIOCGIFFLAGS).ifr_flags;
    CHECK((flags & (IFF_UP | IFF_POINTOPOINT | IFF_NOARP)) ==
          (IFF_UP | IFF_POINTOPOINT | IFF_NOARP));
    CHECK((flags & IFF_MULTICAST) == 0);
    REQUIRE(interface_addresses("services0").size() == 1);
    CHECK(interface_addresses("services0")[0].to_string() == "10.64.0.1");
    CHECK(ip("route show table 5725") ==
          "10.64.0.2/31 dev services0 proto 172 scope link \n"
          "10.64.0.4/30 dev services0 proto 172 scope link \n");
    CHECK(ip("-6 route show table 5725") ==
          "2001:db8:100::/48 dev services0 proto 172 metric 1024 pref medium\n");
    CHECK(ip("route show table main").empty());
    CHECK(our_rules() ==
          "17232:\tfrom all oif services0 lookup 5725 proto 172\n"
          "17233:\tfrom all iif lo ipproto ipproto-6 sport 1723 lookup 254 proto 172\n"
          "17234:\tfrom all iif lo lookup 5725 proto 172\n"
          "17232:\tfrom all oif services0 lookup 5725 proto 172\n"
          "17234:\tfrom all iif lo lookup 5725 proto 172\n");
  }
  // Packets of this host go there, and answers on TCP 1723 do not.
  const UniqueFd control(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq up = ask_interface("lo", SIOCGIFFLAGS);
  up.ifr_flags = static_cast<short>(up.ifr_flags | IFF_UP);
  REQUIRE(::ioctl(control.get(), SIOCSIFFLAGS, &up) == 0);
  CHECK_THAT(ip("route get 10.64.0.5"), Catch::Contains("dev services0"));
  CHECK_THAT(ip("route get 10.64.0.5 ipproto tcp sport 99"), Catch::Contains("dev services0"));
  (void)ip("route add 10.64.0.0/24 dev lo");
  CHECK_THAT(ip("route get 10.64.0.5 ipproto tcp sport 1723"), Catch::Contains("dev lo"));
  remove_rules({"services0"});
  CHECK(our_rules().empty());
}

TEST_CASE("kernel net: fixed addresses have a way back until the next start", "[supervisor]") {
  enter_fresh_namespace();
  const auto tun = open_tun("services0");
  REQUIRE(tun);
  config::Config config = services_config(true);
  config.ports.core.table = 5724;  // of an operator's, whose own routes stay
  OwnAddresses had;
  REQUIRE(configure_services(config, Old::kRemove, had));
  CHECK_THAT(our_rules(), !Catch::Contains("sport"));
  (void)ip("route add 10.9.0.0/16 dev services0 table 5724");
  const config::Port& core = config.ports.core;
  const Networks fixed{{*Ipv4Prefix::parse("10.77.0.7/32")}, {}};
  const Networks fixed6{{}, {*Ipv6Prefix::parse("2001:db8:200:7::/64")}};
  for (int twice = 0; twice < 2; ++twice) {
    REQUIRE(add_way_back(core, fixed));
    REQUIRE(add_way_back(core, fixed6));
  }
  Networks known = config::prefixes_of_pools(config);
  known.ipv4.insert(known.ipv4.end(), fixed.ipv4.begin(), fixed.ipv4.end());
  known.ipv6.insert(known.ipv6.end(), fixed6.ipv6.begin(), fixed6.ipv6.end());
  std::ranges::sort(known.ipv4);
  std::ranges::sort(known.ipv6);
  CHECK(link_routes("services0", tables_of_ways_back(core)) == known);
  for (const char* table : {"5724", "5725"}) {
    INFO(table);
    CHECK_THAT(ip(std::string("route show table ") + table), Catch::Contains("10.77.0.7 dev"));
    CHECK_THAT(ip(std::string("-6 route show table ") + table),
               Catch::Contains("2001:db8:200:7::/64 dev"));
  }
  remove_way_back(core, fixed);
  remove_way_back(core, fixed);
  CHECK_THAT(ip("route show table 5724"), !Catch::Contains("10.77.0.7"));
  CHECK_THAT(ip("route show table 5725"), !Catch::Contains("10.77.0.7"));
  config.pools["default"].ranges = {
      {*Ipv4Address::parse("10.65.0.2"), *Ipv4Address::parse("10.65.0.3")}};
  REQUIRE(configure_services(config, Old::kKeep, had));
  CHECK_THAT(ip("-6 route show table 5725"), Catch::Contains("2001:db8:200:7::"));
  REQUIRE(configure_services(config, Old::kRemove, had));
  CHECK(ip("route show table 5725") == "10.65.0.2/31 dev services0 proto 172 scope link \n");
  CHECK_THAT(ip("-6 route show table 5725"), !Catch::Contains("2001:db8:200:7::"));
  CHECK_THAT(ip("route show table 5724"), Catch::Contains("10.9.0.0/16 dev services0"));
}

TEST_CASE("kernel net: what services had of an earlier configuration goes, what others added stays",
          "[supervisor]") {
  enter_fresh_namespace();
  const auto tun = open_tun("services0");
  REQUIRE(tun);
  config::Config config = services_config(false);
  config.ports.core.device = {config::DeviceKind::kTap, "tap:wire1", "wire1"};
  config.ports.core.twin = "twin1";
  config.ports.core.table = 5724;
  config.ports.core.addresses = {Ipv4Prefix::parse("10.0.0.1/24").value()};
  config.ports.core.ipv6_addresses = {Ipv6Prefix::parse("2001:db8:c::1/64").value()};
  OwnAddresses had;
  REQUIRE(configure_services(config, Old::kRemove, had));
  CHECK(our_rules() ==
        "17230:\tfrom 10.0.0.1 iif lo lookup 5725 proto 172\n"
        "17232:\tfrom all oif services0 lookup 5725 proto 172\n"
        "17233:\tfrom all iif lo ipproto ipproto-6 sport 1723 lookup 254 proto 172\n"
        "17234:\tfrom all iif lo lookup 5725 proto 172\n"
        "17230:\tfrom 2001:db8:c::1 iif lo lookup 5725 proto 172\n"
        "17232:\tfrom all oif services0 lookup 5725 proto 172\n"
        "17234:\tfrom all iif lo lookup 5725 proto 172\n");
  (void)ip("address add 10.99.0.1/32 dev services0");
  (void)ip("rule add pref 17234 from 192.0.2.7 lookup 5725");
  // The pool has become another, the access port has a twin, the core another address.
  config.pools["default"].gateway = *Ipv4Address::parse("10.65.0.1");
  config.pools["default"].ranges = {
      {*Ipv4Address::parse("10.65.0.2"), *Ipv4Address::parse("10.65.0.3")}};
  config.ports.access.device.kind = config::DeviceKind::kTap;
  config.ports.access.twin = "twin0";
  config.ports.core.addresses = {Ipv4Prefix::parse("10.0.0.2/24").value()};
  REQUIRE(configure_services(config, Old::kKeep, had));
  CHECK_THAT(ip("-o address show dev services0"),
             Catch::Contains("10.64.0.1/32") && Catch::Contains("10.65.0.1/32"));
  REQUIRE(configure_services(config, Old::kRemove, had));
  CHECK_THAT(ip("-o address show dev services0"), !Catch::Contains("10.64.0.1/32") &&
                                                      Catch::Contains("10.65.0.1/32") &&
                                                      Catch::Contains("10.99.0.1/32"));
  CHECK(ip("route show table 5725") == "10.65.0.2/31 dev services0 proto 172 scope link \n");
  CHECK_THAT(our_rules(), Catch::Contains("from 10.0.0.2 iif lo") &&
                              !Catch::Contains("from 10.0.0.1 iif lo") &&
                              !Catch::Contains("sport"));
  // Off: the interface may still be a dataplane's.
  switch_off_services(config.ports, had);
  CHECK(our_rules().empty());
  CHECK_THAT(ip("-N rule show"), Catch::Contains("from 192.0.2.7 lookup 5725"));
  CHECK_THAT(ip("-o address show dev services0"), !Catch::Contains("10.65.0.1/32"));
  CHECK(ip("route show table 5725").empty());
  CHECK((ask_interface("services0", SIOCGIFFLAGS).ifr_flags & IFF_UP) == 0);
}

TEST_CASE("kernel net: a gateway that is a next hop, or an address of the core port, is left alone",
          "[supervisor]") {
  enter_fresh_namespace();
  const auto tun = open_tun("services0");
  const auto core = open_tap("eth1");
  REQUIRE((tun && core));
  (void)ip("address add 10.64.0.1/32 dev eth1");
  (void)ip("address add 192.0.2.1/24 dev eth1");
  (void)ip("link set eth1 up");
  (void)ip("route add 10.9.0.0/16 via 192.0.2.9");
  config::Config config = services_config(true);
  for (const auto& [name, gateway] : {std::pair{"b", "192.0.2.9"}, {"c", "192.0.2.8"}})
    config.pools[name].gateway = *Ipv4Address::parse(gateway);
  OwnAddresses had;
  const auto done = configure_services(config, Old::kRemove, had);
  if (!done) FAIL(done.error());
  REQUIRE(interface_addresses("services0").size() == 1);
  CHECK(interface_addresses("services0")[0].to_string() == "192.0.2.8");
}

TEST_CASE("kernel net: a route of somebody else in the port's table is not taken over",
          "[supervisor]") {
  enter_fresh_namespace();
  const auto other_tap = open_tap("other0");
  const auto tap = open_tap("twin0");
  REQUIRE(other_tap);
  REQUIRE(tap);
  config::Port other = twin_port();
  other.twin = "other0";
  other.addresses = {Ipv4Prefix::parse("198.51.100.1/24").value()};
  other.routes.clear();
  other.gateway = Ipv4Address::parse("198.51.100.254");
  REQUIRE(configure_twin(other, PortRole::kAccess, kMac, 1500, false));
  const auto done = configure_twin(twin_port(), PortRole::kCore, kMac, 1500, false);
  REQUIRE_FALSE(done);
  CHECK(done.error() == "twin0: there is a route to 0.0.0.0/0 in table 1723 already");
}

TEST_CASE("kernel net: a TAP in use is refused, and one goes with its descriptor", "[supervisor]") {
  enter_fresh_namespace();
  {
    const auto first = open_tap("wire0");
    REQUIRE(first);
    const auto second = open_tap("wire0");
    REQUIRE_FALSE(second);
    CHECK_THAT(second.error(), Catch::Contains("another program uses the interface"));
    CHECK((::fcntl(first->get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK(::if_nametoindex("wire0") != 0);
  }
  CHECK(::if_nametoindex("wire0") == 0);
  CHECK_THAT(open_tap("lo").error(), Catch::Contains("TAP lo: "));
}

TEST_CASE("kernel net: a listener binds addresses that come later and gives TCP_NODELAY on",
          "[supervisor]") {
  enter_fresh_namespace();
  const auto address = Ipv4Address::parse("192.0.2.1").value();
  const auto listener = listen_on(address, 1723);
  REQUIRE(listener);
  const auto second = listen_on(address, 1723);
  REQUIRE_FALSE(second);
  CHECK_THAT(second.error(), Catch::Contains("cannot listen on 192.0.2.1:1723: bind: "));

  const auto tap = open_tap("twin0");
  REQUIRE(tap);
  config::Port port = twin_port();
  REQUIRE(configure_twin(port, PortRole::kAccess, kMac, 1500, false));
  // The namespace's own loopback is down: bring it up to talk to ourselves.
  const UniqueFd control(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq up = ask_interface("lo", SIOCGIFFLAGS);
  up.ifr_flags = static_cast<short>(up.ifr_flags | IFF_UP);
  REQUIRE(::ioctl(control.get(), SIOCSIFFLAGS, &up) == 0);
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(1723);
  name.sin_addr.s_addr = htonl(address.value);
  REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0);
  const UniqueFd accepted(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(accepted);
  int no_delay = 0;
  socklen_t length = sizeof(no_delay);
  REQUIRE(::getsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &length) == 0);
  CHECK(no_delay == 1);
}

TEST_CASE("kernel net: the largest backlog is what the kernel's parameter says", "[supervisor]") {
  enter_fresh_namespace();  // with a parameter of its own
  const auto set = [](const std::string& value) {
    std::ofstream("/proc/sys/net/core/somaxconn") << value;
  };
  set("128");
  CHECK(largest_backlog() == 128);
  set("8192");
  CHECK(largest_backlog() == 8192);
}

TEST_CASE("kernel net: an interface that is not there has no addresses", "[supervisor]") {
  CHECK(interface_addresses("no-such-if").empty());
}

TEST_CASE("kernel port: a pair whose far end the host has no business with", "[kernel]") {
  enter_fresh_namespace();
  config::Config config;
  config.ports.core.device = {config::DeviceKind::kKernel, "kernel:pns0", "pns0"};
  config.ports.core.addresses = {{*Ipv4Address::parse("10.64.0.1"), 32}};
  config.ports.core.ipv6_addresses = {*Ipv6Prefix::parse("2001:db8::1/128")};
  auto& pool = config.pools["default"];
  pool.ranges = {{*Ipv4Address::parse("10.64.0.2"), *Ipv4Address::parse("10.64.0.7")}};
  pool.ipv6_prefixes = {*Ipv6Prefix::parse("2001:db8:100::/48")};
  CHECK(kernel_port_objection(config.ports.core).empty());

  OwnAddresses had;
  REQUIRE(make_kernel_port(config.ports.core));
  REQUIRE(configure_kernel_port(config, {}, had));
  REQUIRE(configure_kernel_port(config, {}, had));  // may be repeated
  CHECK(kernel_port_objection(config.ports.core).empty());
  const std::string link = ip("-d link show pns0");
  CHECK_THAT(link, Catch::Contains("pns0@pns0-dp") && Catch::Contains("NOARP") &&
                       Catch::Contains("UP") && Catch::Contains("mtu 1500"));
  const std::string peer = ip("link show pns0-dp");
  CHECK_THAT(peer, Catch::Contains("state DOWN"));  // until a dataplane has it
  const auto mac_in = [](const std::string& text) {
    const auto at = text.find("link/ether ");
    return at == std::string::npos ? std::string() : text.substr(at, 28);
  };
  CHECK_FALSE(mac_in(link).empty());
  CHECK(mac_in(link) == mac_in(peer));
  CHECK(contents_of("/proc/sys/net/ipv4/conf/pns0-dp/forwarding") == "0\n");
  CHECK(ip("-6 -o address show dev pns0-dp").empty());
  CHECK_THAT(ip("-o address show dev pns0"), Catch::Contains("10.64.0.1/32") &&
                                                 Catch::Contains("2001:db8::1/128") &&
                                                 !Catch::Contains("fe80"));
  CHECK(ip("route show dev pns0") ==
        "10.64.0.2/31 proto 172 scope link linkdown \n"
        "10.64.0.4/30 proto 172 scope link linkdown \n");
  CHECK_THAT(ip("-6 route show dev pns0"), Catch::Contains("2001:db8:100::/48"));

  // The pair of a killed server is made anew: an address of its configuration is not kept.
  config.ports.core.addresses = {{*Ipv4Address::parse("10.64.0.9"), 32}};
  REQUIRE(make_kernel_port(config.ports.core));
  had = {};
  REQUIRE(configure_kernel_port(config, {}, had));
  CHECK_THAT(ip("-o address show dev pns0"), !Catch::Contains("10.64.0.1/32"));
  remove_kernel_port(config.ports.core);
  CHECK(ip("link show pns0").empty());
  CHECK(ip("link show pns0-dp").empty());
}

TEST_CASE("kernel port: after another configuration it has exactly what that wants", "[kernel]") {
  enter_fresh_namespace();
  config::Config config;
  config.ports.core.device = {config::DeviceKind::kKernel, "kernel:pns0", "pns0"};
  config.ports.core.addresses = {Ipv4Prefix::parse("10.64.0.1/24").value(),
                                 Ipv4Prefix::parse("10.65.0.1/32").value()};
  config.ports.core.ipv6_addresses = {*Ipv6Prefix::parse("2001:db8::1/128")};
  config.pools["one"].ranges = {
      {*Ipv4Address::parse("10.64.0.2"), *Ipv4Address::parse("10.64.0.3")}};
  config.pools["two"].ranges = {
      {*Ipv4Address::parse("10.65.0.2"), *Ipv4Address::parse("10.65.0.3")}};
  config.pools["two"].ipv6_prefixes = {*Ipv6Prefix::parse("2001:db8:100::/48")};
  OwnAddresses had;
  REQUIRE(make_kernel_port(config.ports.core));
  REQUIRE(configure_kernel_port(config, {}, had));
  // Routes of sessions, a routing daemon's route, and an operator's address and route.
  const Networks fixed{{*Ipv4Prefix::parse("10.77.0.7/32")}, {}};
  REQUIRE(add_way_back(config.ports.core, fixed));
  REQUIRE(add_way_back(config.ports.core, {{*Ipv4Prefix::parse("10.77.0.8/32")}, {}}));
  (void)ip("route add 192.168.50.0/24 dev pns0 proto 173 metric 30000");
  (void)ip("address add 10.99.0.1/32 dev pns0");
  (void)ip("route add 10.98.0.0/16 dev pns0");

  config.ports.core.addresses = {Ipv4Prefix::parse("10.64.0.9/24").value()};
  config.ports.core.ipv6_addresses.clear();
  config.pools.erase("two");
  for (int twice = 0; twice < 2; ++twice) {
    REQUIRE(configure_kernel_port(config, fixed, had));
    const std::string addresses = ip("-o address show dev pns0");
    // The first of a network takes the others with it, unless they are given back.
    CHECK_THAT(addresses, Catch::Contains("10.64.0.9/24") && Catch::Contains("10.99.0.1/32"));
    CHECK_THAT(addresses, !Catch::Contains("10.64.0.1/24") && !Catch::Contains("10.65.0.1/32") &&
                              !Catch::Contains("2001:db8::1"));
    CHECK(ip("route show dev pns0 proto 172") ==
          "10.64.0.2/31 scope link linkdown \n10.77.0.7 scope link linkdown \n");
    CHECK_THAT(ip("route show dev pns0"),
               Catch::Contains("192.168.50.0/24 proto 173") && Catch::Contains("10.98.0.0/16"));
    CHECK_THAT(ip("-6 route show dev pns0"), !Catch::Contains("2001:db8:100::/48"));
  }
}

TEST_CASE("kernel port: parameters that cannot be set are log lines, and the pair is made",
          "[kernel]") {
  enter_fresh_namespace();
  REQUIRE(::unshare(CLONE_NEWNS) == 0);
  REQUIRE(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  REQUIRE(::mount("/proc/sys", "/proc/sys", nullptr, MS_BIND | MS_REC, nullptr) == 0);
  REQUIRE(::mount("none", "/proc/sys", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  config::Port core;
  core.device = {config::DeviceKind::kKernel, "kernel:pns0", "pns0"};
  const UniqueFd file(::memfd_create("log", MFD_CLOEXEC));
  const UniqueFd before(::dup(STDERR_FILENO));
  REQUIRE(::dup2(file.get(), STDERR_FILENO) == STDERR_FILENO);
  log::start(log::Level::kInfo, log::Format::kText, "pns");
  const auto made = make_kernel_port(core);
  ::dup2(before.get(), STDERR_FILENO);
  REQUIRE(::umount("/proc/sys") == 0);
  CHECK(made);
  CHECK_FALSE(ip("link show pns0").empty());
  std::string lines(64 * 1024, '\0');
  lines.resize(static_cast<std::size_t>(
      std::max<ssize_t>(::pread(file.get(), lines.data(), lines.size(), 0), 0)));
  CHECK_THAT(lines, Catch::Contains("level=warn") &&
                        Catch::Contains("event=\"kernel parameter not set\" "
                                        "path=/proc/sys/net/ipv4/conf/pns0/accept_local value=1 "
                                        "reason=\"Read-only file system\""));
}

TEST_CASE("kernel port: a name that is taken is refused, and its interface stays", "[kernel]") {
  enter_fresh_namespace();
  config::Port core;
  core.device = {config::DeviceKind::kKernel, "kernel:pns0", "pns0"};
  ip("link add pns0 type bridge");
  CHECK(kernel_port_objection(core) ==
        "pns0 is an interface already, and no pair of veth with pns0-dp (choose another name)");
  CHECK_FALSE(make_kernel_port(core));
  remove_kernel_port(core);
  CHECK_FALSE(ip("link show pns0").empty());
  // Two pairs that have the names by chance are no pair.
  ip("link delete pns0");
  ip("link add pns0 type veth peer name a1");
  ip("link add pns0-dp type veth peer name b1");
  CHECK_FALSE(kernel_port_objection(core).empty());
}

TEST_CASE("kernel net: routes to networks behind subscribers come, are found again, and go",
          "[supervisor][networks]") {
  enter_fresh_namespace();
  REQUIRE(ip("link add t-core type veth peer name t-far") == "");
  REQUIRE(ip("link set t-core up") == "");
  REQUIRE(ip("link set t-far up") == "");
  REQUIRE(ip("address add 10.0.0.1/24 dev t-core") == "");
  REQUIRE(ip("-6 address add 2001:db8::1/64 dev t-core nodad") == "");
  const auto routes = netlink::SubscriberRoutes::open({.interface = "t-core", .table = 1724});
  const auto other = netlink::SubscriberRoutes::open({.interface = "t-far", .table = 1724});
  const auto main_table = netlink::SubscriberRoutes::open({.interface = "t-core"});
  REQUIRE(routes);
  REQUIRE(other);
  REQUIRE(main_table);
  const Ipv4Prefix lan = Ipv4Prefix::parse("192.168.50.0/24").value();
  const Ipv4Prefix host = Ipv4Prefix::parse("192.168.60.7/32").value();
  const Ipv6Prefix lan6 = Ipv6Prefix::parse("2001:db8:50::/48").value();
  for (int twice = 0; twice < 2; ++twice) {
    REQUIRE(routes->add(lan));
    REQUIRE(routes->add(host));
    REQUIRE(routes->add(lan6));
  }
  REQUIRE(other->add(Ipv4Prefix::parse("192.168.70.0/24").value()));
  REQUIRE(main_table->add(Ipv4Prefix::parse("192.168.80.0/24").value()));
  const std::string shown = ip("-N route show table 1724");
  CHECK_THAT(shown, Catch::Contains("192.168.50.0/24 dev t-core proto 173 scope 253 metric 30000"));
  CHECK_THAT(shown, Catch::Contains("192.168.60.7 dev t-core proto 173"));
  CHECK_THAT(ip("-N -6 route show table 1724"),
             Catch::Contains("2001:db8:50::/48 dev t-core proto 173 metric 30000"));
  // Those of others stay, and win.
  REQUIRE(ip("route add 192.168.50.0/24 via 10.0.0.9 table 1724") == "");
  CHECK(routes->list() == Networks{{lan, host}, {lan6}});
  CHECK(main_table->list() == Networks{{Ipv4Prefix::parse("192.168.80.0/24").value()}, {}});
  REQUIRE(routes->remove(lan));
  REQUIRE(routes->remove(lan));
  REQUIRE(routes->remove(lan6));
  CHECK(routes->list() == Networks{{host}, {}});
  CHECK_THAT(ip("-N route show table 1724"), Catch::Contains("192.168.50.0/24 via 10.0.0.9"));
  CHECK(other->list()->size() == 1);
  // They go with their interface, and then there is nothing to remove.
  REQUIRE(ip("link delete t-core") == "");
  CHECK(routes->list() == Networks{});
  CHECK(routes->remove(host).has_value());
  CHECK_FALSE(routes->add(host).has_value());
}
