// SPDX-License-Identifier: BSD-3-Clause
//
// The questions to RadiusClient, its answers, and the record that it keeps of each request. Plain
// values; the event loop's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "controlplane/aaa/radius_identifiers.hpp"
#include "controlplane/model/radius_counts.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/time.hpp"
#include "pns/radius/authenticators.hpp"
#include "pns/radius/packet.hpp"
#include "pns/radius/packet_builder.hpp"

namespace pns::aaa {

// Bit i: the server of index i.
using RadiusServerSet = std::uint32_t;
inline constexpr std::size_t kMaxRadiusServers = 32;
inline constexpr RadiusServerSet kEveryRadiusServer = ~RadiusServerSet{0};
[[nodiscard]] constexpr RadiusServerSet set_of(std::size_t server) noexcept {
  return RadiusServerSet{1} << server;
}

// The server a packet is built for: User-Password and the like are hidden with its secret.
struct RadiusAttempt {
  std::size_t server = 0;
  Bytes secret;
  radius::Authenticator authenticator{};  // of the request; zero in an Accounting-Request
};

// Adds the attributes of a request, other than Message-Authenticator. Called again for each server
// that the request goes to; a repetition to the same server is the same packet.
using RadiusBuild =
    std::move_only_function<void(radius::PacketBuilder& packet, const RadiusAttempt& attempt)>;

struct RadiusQuestion {
  model::RadiusKind kind = model::RadiusKind::kAuthentication;
  RadiusBuild build = {};
  Duration patience = Seconds(30);         // for an answer, of whichever server
  std::optional<std::size_t> server = {};  // no other will do: it has the state of a conversation
  RadiusServerSet among = kEveryRadiusServer;  // without `server`: no other may be asked
};

// A verified answer. Valid during the call.
struct RadiusAnswer {
  const radius::PacketView& packet;
  Bytes secret;                                // of the server
  const radius::Authenticator& authenticator;  // of the request
  std::size_t server = 0;
};

enum class RadiusFailure : std::uint8_t {
  kNoServer,    // none of this kind is configured
  kQueueFull,   // too many requests wait
  kExpired,     // no answer within the patience
  kServerDied,  // the one server that would do
  kTooLong,     // the attributes do not fit into a packet
};

[[nodiscard]] constexpr std::string_view name_of(RadiusFailure failure) noexcept {
  constexpr std::array<std::string_view, 5> kNames = {"no_server", "queue_full", "expired",
                                                      "server_died", "too_long"};
  return kNames[static_cast<std::size_t>(failure)];
}

using RadiusDone = std::move_only_function<void(std::expected<RadiusAnswer, RadiusFailure> answer)>;

struct RadiusRequest;
using RadiusRequests = std::list<RadiusRequest>;
using RadiusTimers = std::multimap<TimePoint, RadiusRequest*>;

struct RadiusRequest {
  enum class Stage : std::uint8_t {
    kWaiting,      // for a server with room in its window
    kOutstanding,  // sent, and its time-out has not come
    kDeferred,     // its time-out has come; the next transmission waits for the window
    kProbe,        // a Status-Server
  };

  model::RadiusKind kind = model::RadiusKind::kAuthentication;
  Stage stage = Stage::kWaiting;
  bool is_sticky = false;
  RadiusBuild build{};
  RadiusDone done{};
  TimePoint deadline{};
  RadiusServerSet among = 0;    // it may never go to another
  RadiusServerSet allowed = 0;  // of them, while it waits
  RadiusServerSet tried = 0;

  // The attempt at `server`.
  std::size_t server = 0;
  RadiusPair pair{};
  radius::Authenticator authenticator{};
  std::vector<std::byte> packet{};
  unsigned timeouts = 0;
  TimePoint first_sent{};
  TimePoint last_sent{};

  RadiusRequests* list = nullptr;    // where it stands
  RadiusRequests::iterator place{};  // in that list
  RadiusTimers::iterator timer{};
};

[[nodiscard]] inline radius::Code code_of(const RadiusRequest& request) noexcept {
  if (request.stage == RadiusRequest::Stage::kProbe) return radius::Code::kStatusServer;
  return request.kind == model::RadiusKind::kAuthentication ? radius::Code::kAccessRequest
                                                            : radius::Code::kAccountingRequest;
}
// Its answer is verified with this.
[[nodiscard]] inline radius::SentRequest sent_of(const RadiusRequest& request) noexcept {
  return {.code = code_of(request), .authenticator = request.authenticator};
}

}  // namespace pns::aaa
