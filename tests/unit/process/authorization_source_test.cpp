// SPDX-License-Identifier: BSD-3-Clause
//
// AuthorizationSource over real sockets of both families, on loopback.
#include "controlplane/process/authorization_source.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>

#include "controlplane/runtime/asio_event_loop.hpp"
#include "controlplane/runtime/socket_address.hpp"
#include "pns/radius/authenticators.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::control;

namespace {

constexpr Ipv4Address kLoopback(0x7f000001);
const Ipv6Address kLoopback6(0, 1);
const std::string kSecret = "lab-secret-0123456789";

// One session of alice, which ends at once.
class OneSession final : public aaa::AuthorizedSessions, public aaa::ServiceChanger {
 public:
  using Done = aaa::AuthorizedSessions::Done;
  std::optional<std::vector<SessionId>> find(const model::SessionIdentification& wanted,
                                             std::size_t) const override {
    return wanted.user == "alice" ? std::vector{SessionId(1)} : std::vector<SessionId>{};
  }
  void disconnect(SessionId, const Classes&, Done done) override { done(true); }
  std::optional<model::AuthorizationRefusal> objection(SessionId,
                                                       const model::ServiceChange&) const override {
    return std::nullopt;
  }
  void apply(SessionId, const model::ServiceChange&, Done done) override { done(true); }
};

// A port that is free in both families now.
std::uint16_t free_port() {
  const auto probe = DatagramSockets::open_at({kLoopback, 0});
  REQUIRE(probe);
  sockaddr_storage name{};
  socklen_t length = sizeof(name);
  REQUIRE(::getsockname(probe->get(), reinterpret_cast<sockaddr*>(&name), &length) == 0);
  return to_endpoint(name).port;
}

struct Bench {
  Bench() {
    std::ofstream(scratch.path / "secret") << kSecret << "\n";
    config.listen = {kLoopback, kLoopback6};
    config.port = free_port();
    for (const auto& network : {config::AuthorizationClient{.network = Ipv4Prefix{kLoopback, 32},
                               .secret_file = scratch.path / "secret"},
                                config::AuthorizationClient{.network = Ipv6Prefix{kLoopback6, 128},
                                .secret_file = scratch.path / "secret"}})
      config.clients.push_back(network);
  }
  void start() {
    source.emplace(
        AuthorizationSource::Parts{.loop = loop,
                                   .poller = poller,
                                   .sessions = sessions,
                                   .changer = sessions,
                                   .nas = {.identifier = "test", .ipv4 = {}, .ipv6 = {}}},
        config, open_authorization(config));
    source->start();
  }

  test::ScratchDirectory scratch;
  asio::io_context context{1};
  AsioEventLoop loop{context};
  SocketPoller poller{context};
  OneSession sessions;
  config::DynamicAuthorization config;
  std::optional<AuthorizationSource> source;
};

// Code of the answer to a Disconnect-Request of this user; empty: none came.
std::optional<radius::Code> ask(Bench& bench, const IpAddress& server, std::string_view user) {
  const auto socket = DatagramSockets::open_at({server, 0});
  REQUIRE(socket);
  static std::uint8_t identifier = 0;  // a packet with the same octets would be a replay
  radius::PacketBuilder packet(radius::Code::kDisconnectRequest, ++identifier);
  packet.add_text(radius::attribute::kUserName, user);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  packet.add_u32(radius::attribute::kEventTimestamp,
                 static_cast<std::uint32_t>(std::chrono::duration_cast<Seconds>(now).count()));
  const auto request = radius::sign_request(packet, as_octets(kSecret));
  const SocketAddress address = to_socket_address({server, bench.config.port});
  REQUIRE(::sendto(socket->get(), request->data(), request->size(), 0, address.get(),
                   address.length) > 0);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  std::array<std::byte, 4096> octets;
  while (std::chrono::steady_clock::now() < end) {
    const auto size = ::recv(socket->get(), octets.data(), octets.size(), MSG_DONTWAIT);
    if (size > 0) {
      const auto answer =
          radius::PacketView::parse(Bytes(octets).first(static_cast<std::size_t>(size)));
      REQUIRE(answer);
      return answer->code();
    }
    (void)bench.context.run_one_for(std::chrono::milliseconds(10));
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("authorization source: both families are answered over real sockets",
          "[process][rfc5176]") {
  Bench bench;
  bench.start();
  for (const IpAddress& server : bench.config.listen) {
    CHECK(ask(bench, server, "alice") == radius::Code::kDisconnectAck);
    CHECK(ask(bench, server, "bob") == radius::Code::kDisconnectNak);
  }
  for (const auto& client : bench.source->authorization().client_counts())
    CHECK(client.disconnects.get() == 1);
}

TEST_CASE("authorization source: an address that is taken, is ours, or is nobody's",
          "[process][rfc5176]") {
  Bench bench;
  const auto taken = DatagramSockets::open_at({kLoopback, bench.config.port});
  REQUIRE(taken);
  CHECK_THROWS_WITH(open_authorization(bench.config),
                    Catch::Contains("aaa.radius.dynamic_authorization.listen: UDP socket at "
                                    "127.0.0.1:") &&
                        Catch::EndsWith("(another program listens there; choose another port)"));
  const auto opened = open_authorization(bench.config, InUse::kIsOurs);
  CHECK(opened.ipv4.empty());
  CHECK(opened.ipv6.size() == 1);
  CHECK(opened.secrets.size() == 2);
  bench.config.listen = {Ipv4Address(0xc0000201)};
  CHECK_THROWS_WITH(open_authorization(bench.config),
                    Catch::EndsWith("(no interface has the address)"));
}
