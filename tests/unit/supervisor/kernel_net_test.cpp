// SPDX-License-Identifier: BSD-3-Clause
//
// Every case makes interfaces in a fresh network namespace of this process.
#include "pns/supervisor/kernel_net.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace pns;
using namespace pns::supervisor;

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
    const auto done = configure_twin(port, kMac, 1480, again);
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
    // default via .254, 192.0.2.0/24 on link, 10.9.0.0/16 via .9; hexadecimal of network order
    const std::string routes = routes_of("twin0");
    CHECK_THAT(routes, Catch::Contains("00000000>FE0200C0"));
    CHECK_THAT(routes, Catch::Contains("0000090A>090200C0"));
  }
}

TEST_CASE("kernel net: a default route of somebody else is not taken over", "[supervisor]") {
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
  REQUIRE(configure_twin(other, kMac, 1500, false));
  const auto done = configure_twin(twin_port(), kMac, 1500, false);
  REQUIRE_FALSE(done);
  CHECK(done.error() == "twin0: there is a route to 0.0.0.0/0 already");
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
  REQUIRE(configure_twin(port, kMac, 1500, false));
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
