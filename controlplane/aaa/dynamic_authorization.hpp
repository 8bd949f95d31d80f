// SPDX-License-Identifier: BSD-3-Clause
//
// DynamicAuthorization: the server of RFC 5176. It takes CoA-Requests and Disconnect-Requests of
// the configured clients, has them carried out, and answers each when it is carried out. It has no
// sockets and no clock.
//
// A datagram passes these checks in this order: client, form, code, authenticators, time, whether
// it came before, rate, requests in progress, content. Everything before the rate is cheap.
//
// Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "controlplane/aaa/authorization_request.hpp"
#include "controlplane/aaa/authorized_sessions.hpp"
#include "controlplane/aaa/request_memory.hpp"
#include "controlplane/model/authorization_counts.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/ip_endpoint.hpp"
#include "pns/base/secret.hpp"
#include "pns/base/time.hpp"
#include "pns/base/token_bucket.hpp"
#include "pns/radius/authenticators.hpp"
#include "pns/radius/packet.hpp"

namespace pns::aaa {

struct AuthorizationClient {
  std::variant<Ipv4Prefix, Ipv6Prefix> network;  // the longest one that holds the source counts
  SecretText secret;
  TokenBucket::Settings rate;
};

struct AuthorizationSettings {
  std::vector<AuthorizationClient> clients;
  AuthorizationNas nas;
  AttributeMeanings meanings{};
  radius::MessageAuthenticatorPolicy policy = radius::MessageAuthenticatorPolicy::kAccept;
  bool requires_timestamp = true;
  Seconds window{300};  // of Event-Timestamp, each way
  // Requests in progress: in total, and of one client.
  std::size_t in_flight = 16'384;
  std::size_t in_flight_of_client = 8'192;
  // Requests that a replay is known by. Each client has an equal share.
  std::size_t remembered = 524'288;
};

class DynamicAuthorization {
 public:
  // Sessions that one request may select.
  static constexpr std::size_t kMostSessions = 128;

  // A request as its answer needs it.
  struct Asked {
    std::size_t client = 0;
    IpEndpoint source;
    std::uint16_t socket = 0;
    radius::Code code{};
    std::uint8_t identifier = 0;
    radius::Authenticator authenticator{};
    std::vector<std::byte> attributes;
  };
  struct Hooks {
    // From this socket. False: the kernel did not take it.
    std::function<bool(const IpEndpoint& client, std::uint16_t socket, Bytes packet)> send;
    std::function<TimePoint()> now;
    std::function<std::uint64_t()> wall;  // seconds since 1970
    // A datagram changed nothing.
    std::function<void(const IpEndpoint& source, const RequestRefusal& refusal)> refused;
  };

  // Both outlive this; what they call back later finds out when this is gone.
  DynamicAuthorization(AuthorizationSettings settings, AuthorizedSessions& sessions,
                       ServiceChanger& changer, Hooks hooks);
  DynamicAuthorization(const DynamicAuthorization&) = delete;
  DynamicAuthorization& operator=(const DynamicAuthorization&) = delete;

  void on_datagram(const IpEndpoint& source, std::uint16_t socket, Bytes datagram);

  [[nodiscard]] const model::AuthorizationCounts& counts() const noexcept { return counts_; }
  // By client, as in the settings.
  [[nodiscard]] const std::deque<model::AuthorizationClientCounts>& client_counts() const noexcept {
    return client_counts_;
  }

 private:
  using Refusal = model::AuthorizationRefusal;
  // One in progress.
  struct Pending {
    Asked asked;
    std::size_t sessions = 0;
    std::size_t left = 0;  // of them
    bool failed = false;
  };

  [[nodiscard]] std::optional<std::size_t> find_client(const IpAddress& source) const;
  [[nodiscard]] std::optional<Refusal> judge(const radius::PacketView& packet,
                                             const AuthorizationClient& client) const;
  [[nodiscard]] std::optional<Refusal> judge_time(const radius::PacketView& packet) const;
  [[nodiscard]] TimePoint forget_at(const radius::PacketView& packet) const;
  void on_request(const radius::PacketView& packet, Asked asked);
  // It came before.
  void repeat(const RequestMemory::Request& known, const Asked& asked);
  void carry_out(Asked asked, const AuthorizationRequest& request);
  void on_part_done(const std::shared_ptr<Pending>& pending, bool done);
  void refuse(const Asked& asked, const RequestRefusal& refusal);
  void discard(std::size_t client, const IpEndpoint& source, Refusal reason);
  // Remembers the outcome and sends the answer.
  void finish(const Asked& asked, std::optional<Refusal> refusal);
  void send_answer(const Asked& asked, const RequestOutcome& outcome);
  [[nodiscard]] model::AuthorizationClientCounts& counts_of(std::size_t client) noexcept {
    return client_counts_[client];
  }

  AuthorizationSettings settings_;
  AuthorizedSessions& sessions_;
  ServiceChanger& changer_;
  Hooks hooks_;
  std::size_t remembered_of_client_;
  std::vector<TokenBucket> buckets_;  // by client
  RequestMemory memory_;
  std::size_t in_flight_ = 0;
  model::AuthorizationCounts counts_;
  std::deque<model::AuthorizationClientCounts> client_counts_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // for callbacks
};

}  // namespace pns::aaa
