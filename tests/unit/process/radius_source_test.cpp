// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusSource over real sockets, on loopback, against a server of this test. With PNS_FREERADIUS
// in the environment, hidden cases ask a real FreeRADIUS at that port. Its configuration is that of
// tests/interop/pnslab/free_radius.py, with the account
//     DEFAULT User-Name =~ "^u[0-9]+$", Cleartext-Password := "secret1"
#include "controlplane/process/radius_source.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>

#include "controlplane/runtime/asio_event_loop.hpp"
#include "pns/radius/authenticators.hpp"
#include "tests/support/octets.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::control;

namespace {

constexpr Ipv4Address kLoopback(0x7f000001);
const std::string kSecret = "lab-secret-0123456789";

// Accepts every request.
class Server {
 public:
  explicit Server(asio::io_context& context) : socket_(context, open()) { wait(); }
  [[nodiscard]] std::uint16_t port() {
    sockaddr_in address{};
    socklen_t length = sizeof(address);
    REQUIRE(::getsockname(socket_.native_handle(), reinterpret_cast<sockaddr*>(&address),
                          &length) == 0);
    return ntohs(address.sin_port);
  }
  std::map<std::uint16_t, int> requests_by_port;

 private:
  static int open() {
    auto sockets = DatagramSockets::open(kLoopback, 1);
    REQUIRE(sockets);
    return sockets->front().release();
  }
  void wait() {
    socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [this](const asio::error_code& error) {
                         if (!error) serve();
                       });
  }
  void serve() {
    std::array<std::byte, 4096> octets;
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    const auto size = ::recvfrom(socket_.native_handle(), octets.data(), octets.size(),
                                 MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length);
    if (size > 0) {
      const auto request =
          radius::PacketView::parse(Bytes(octets).first(static_cast<std::size_t>(size)));
      REQUIRE(request);
      ++requests_by_port[ntohs(from.sin_port)];
      radius::PacketBuilder answer(radius::Code::kAccessAccept, request->identifier());
      const auto packet =
          radius::sign_response(answer, as_octets(kSecret), request->authenticator());
      (void)::sendto(socket_.native_handle(), packet->data(), packet->size(), 0,
                     reinterpret_cast<const sockaddr*>(&from), length);
    }
    wait();
  }
  asio::posix::stream_descriptor socket_;
};

struct Bench {
  explicit Bench(const std::string& secret = kSecret + "\n") {
    std::ofstream(scratch.path / "secret") << secret;
    radius.nas_identifier = "test";
  }
  void add_server(std::uint16_t port) {
    radius.servers.push_back({.name = {},
                              .address = kLoopback,
                              .auth_port = port,
                              .secret_file = scratch.path / "secret"});
  }
  RadiusSource& start() {
    source.emplace(loop, poller, random, aaa, open_radius(*aaa.radius));
    source->start();
    return *source;
  }
  // Asks so many logins of this password; false: they did not end within a minute.
  bool log_in(int count, const std::string& password) {
    for (int i = 0; i < count; ++i)
      source->authenticator().authenticate(
          {.user = "u" + std::to_string(i),
           .credentials = model::PapCredentials{SecretText(std::string_view(password))},
           .peer = kLoopback},
          [this](const model::AuthResult& result) { ++(result ? granted : denied); });
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (granted + denied < count && std::chrono::steady_clock::now() < end)
      (void)context.run_one_for(std::chrono::milliseconds(10));
    return granted + denied == count;
  }

  test::ScratchDirectory scratch;
  asio::io_context context{1};
  AsioEventLoop loop{context};
  SocketPoller poller{context};
  SystemRandom random;
  config::Aaa aaa;
  config::Radius& radius = aaa.radius.emplace();
  std::optional<RadiusSource> source;
  int granted = 0;
  int denied = 0;
};

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

TEST_CASE("radius source: logins over real sockets, from many ports, without new descriptors",
          "[process][radius]") {
  Bench bench;
  Server server(bench.context);
  bench.add_server(server.port());
  bench.start();
  const std::size_t before = open_descriptors();
  REQUIRE(bench.log_in(500, "secret1"));
  CHECK(bench.granted == 500);
  CHECK(server.requests_by_port.size() == 64);
  CHECK(open_descriptors() == before);
}

TEST_CASE("radius source: a secret file that cannot serve says why", "[process][radius]") {
  Bench empty("\n");
  empty.add_server(1812);
  CHECK_THROWS_WITH(open_radius(empty.radius),
                    Catch::EndsWith("the first line must be a shared secret of 1 to 512 octets"));
  Bench missing;
  missing.add_server(1812);
  missing.radius.servers[0].secret_file = "/nonexistent/secret";
  CHECK_THROWS_WITH(open_radius(missing.radius), Catch::Contains("cannot open"));
  Bench foreign;
  foreign.add_server(1812);
  foreign.radius.ipv4_source = Ipv4Address(0xc0000201);
  CHECK_THROWS_WITH(open_radius(foreign.radius), Catch::Contains("192.0.2.1"));
}

TEST_CASE("radius source: the first line is the secret, and the route tells our address",
          "[process][radius]") {
  Bench bench("one\r\ntwo\n");
  bench.add_server(1812);
  const RadiusOpened opened = open_radius(bench.radius);
  REQUIRE(opened.secrets.size() == 1);
  CHECK(opened.secrets[0].view() == "one");
  CHECK(opened.ipv4.size() == 64);
  CHECK(opened.ipv6.empty());
  CHECK(opened.nas.ipv4 == kLoopback);
  CHECK_FALSE(opened.nas.ipv6);
}

TEST_CASE("radius source: FreeRADIUS", "[.freeradius]") {
  const char* const port = std::getenv("PNS_FREERADIUS");
  REQUIRE(port != nullptr);
  Bench bench;
  bench.add_server(static_cast<std::uint16_t>(std::atoi(port)));
  bench.start();
  constexpr int kLogins = 5000;
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(bench.log_in(kLogins, "secret1"));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  CHECK(bench.granted == kLogins);
  const auto& counts = bench.source->client().server_counts()[0];
  std::cout << kLogins / took.count() << " logins/s, " << counts.retransmissions.get()
            << " retransmissions, window " << counts.window.get() << "\n";
  bench.granted = 0;
  REQUIRE(bench.log_in(10, "wrong"));
  CHECK(bench.denied == 10);
}

// RFC 2759 §9.2 and RFC 3079 §3.5.3: user User, password clientPass.
TEST_CASE("radius source: FreeRADIUS gives the proof and the keys of MS-CHAPv2", "[.freeradius]") {
  const char* const port = std::getenv("PNS_FREERADIUS");
  REQUIRE(port != nullptr);
  Bench bench;
  bench.add_server(static_cast<std::uint16_t>(std::atoi(port)));
  bench.start();
  model::MsChapV2Credentials credentials{.identifier = 7};
  const auto fill = [](auto& out, std::string_view hex) {
    std::ranges::copy(test::octets(hex), out.begin());
  };
  fill(credentials.authenticator_challenge, "5B5D7C7D7B3F2F3E3C2C602132262628");
  fill(credentials.peer_challenge, "21402324255E262A28295F2B3A337C7E");
  fill(credentials.nt_response, "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");
  std::optional<model::AuthResult> result;
  bench.source->authenticator().authenticate(
      {.user = "User", .credentials = credentials, .peer = kLoopback},
      [&](model::AuthResult verdict) { result = std::move(verdict); });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!result && std::chrono::steady_clock::now() < end)
    (void)bench.context.run_one_for(std::chrono::milliseconds(10));
  REQUIRE(result);
  REQUIRE(result->has_value());
  CHECK((*result)->authenticator_response == "S=407A5589115FD0D6209F510FE9C04566932CDA56");
  REQUIRE((*result)->mppe);
  CHECK(test::hex((*result)->mppe->send.bytes()) == "8b7cdc149b993a1ba118cb153f56dccb");
  CHECK(test::hex((*result)->mppe->receive.bytes()) == "d5f0e9521e3ea9589645e86051c82226");
}
