// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusClient: asks RADIUS servers and gives the verified answer (RFC 2865, RFC 2866, RFC 5080).
// It sends, repeats and fails over. It has no sockets and no clock: a RadiusTransport sends, the
// owner passes datagrams on and wakes it.
//
// A request waits until a server has room in its window, is sent, and is repeated as the same
// packet when the answer is late. After `tries` time-outs, or one at a suspect server, it goes to
// another server as a new packet. It ends with an answer, or at its deadline. A request that must
// stay with one server (State, RFC 2865 §5.24) fails when that server dies. A datagram that is no
// answer changes nothing: it is counted by its reason (model::RadiusDiscard).
//
// Bounds: requests that wait, of each kind; the window of each server; the work of one wake-up.
// Event-loop thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "controlplane/aaa/radius_request.hpp"
#include "controlplane/aaa/radius_request_table.hpp"
#include "controlplane/aaa/radius_servers.hpp"
#include "controlplane/aaa/radius_transport.hpp"
#include "controlplane/model/radius_counts.hpp"
#include "pns/base/random.hpp"
#include "pns/radius/authenticators.hpp"

namespace pns::aaa {

struct RadiusClientSettings {
  std::vector<RadiusServerSettings> servers;  // at most kMaxRadiusServers, endpoints distinct
  radius::MessageAuthenticatorPolicy policy = radius::MessageAuthenticatorPolicy::kRequire;
  std::size_t max_waiting = 8192;  // of each kind
};

class RadiusClient {
 public:
  using Clock = std::function<TimePoint()>;
  // Asks for on_deadline() at this moment, instead of any asked for before.
  using Wake = std::function<void(TimePoint)>;
  // Told of events that an operator must see. May not call back.
  struct Observer {
    std::function<void(const model::RadiusServerCounts& server, model::RadiusState state)> changed;
    std::function<void(const model::RadiusServerCounts& server, model::RadiusDiscard reason)>
        discarded;
  };

  // `transport` and `random` outlive this.
  RadiusClient(RadiusClientSettings settings, RadiusTransport& transport, RandomSource& random,
               Clock clock, Wake wake, Observer observer = {});
  RadiusClient(const RadiusClient&) = delete;
  RadiusClient& operator=(const RadiusClient&) = delete;
  // Open questions are dropped without a call.
  ~RadiusClient();

  // Calls `done` exactly once, from within this call or later.
  void ask(RadiusQuestion question, RadiusDone done);

  // A datagram from `source`, at the socket of this index among those of the family.
  void on_datagram(const IpEndpoint& source, std::uint16_t socket, Bytes datagram);

  // Does what is due, and asks to be woken for the next.
  void on_deadline();

  [[nodiscard]] const RadiusServers& servers() const noexcept { return servers_; }
  // Any thread, as long as this lives.
  [[nodiscard]] const std::deque<model::RadiusServerCounts>& server_counts() const noexcept {
    return server_counts_;
  }
  [[nodiscard]] const model::RadiusCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] std::size_t waiting_count(model::RadiusKind kind) const noexcept {
    return table_.waiting_count(kind);
  }

 private:
  using Stage = RadiusRequest::Stage;
  // ---- Stages of a request
  void wait_for_server(RadiusRequest& request, RadiusServerSet allowed, TimePoint now);
  [[nodiscard]] bool begin_attempt(RadiusRequest& request, std::size_t index, TimePoint now);
  [[nodiscard]] bool build(RadiusRequest& request, RadiusServer& server, radius::Code code);
  void transmit(RadiusRequest& request, TimePoint now);
  void give_up_attempt(RadiusRequest& request, TimePoint now);
  [[nodiscard]] RadiusServerSet other_servers(RadiusRequest& request) const;
  void finish(RadiusRequest& request, std::expected<RadiusAnswer, RadiusFailure> answer);

  // ---- Events
  void on_timer(RadiusRequest& request, TimePoint now);
  void on_timeout(RadiusRequest& request, TimePoint now);
  void widen(RadiusRequest& request);
  void on_answer(RadiusRequest& request, const radius::PacketView& packet, TimePoint now);
  void on_late_answer(RadiusServer& server, RadiusPair pair,
                      const RadiusIdentifiers::Abandoned& abandoned, TimePoint now);
  void check_health(std::size_t index, TimePoint now);
  void send_probe(std::size_t index, TimePoint now);
  void on_died(std::size_t index, TimePoint now);
  void changed(RadiusServer& server);
  void discard(RadiusServer& server, model::RadiusDiscard reason);

  // Sends what the windows have room for.
  void pump(TimePoint now);
  // Health of all servers, what there is to send, the next wake-up.
  void settle(TimePoint now);

  RadiusTransport& transport_;
  RandomSource& random_;
  Clock clock_;
  Wake wake_;
  Observer observer_;
  radius::MessageAuthenticatorPolicy policy_;
  std::size_t max_waiting_;
  model::RadiusCounts counts_;
  std::deque<model::RadiusServerCounts> server_counts_;
  RadiusRequestTable table_;
  RadiusServers servers_;
  std::optional<TimePoint> wakes_at_;
  bool settling_ = false;
  bool asked_meanwhile_ = false;  // by the `done` of another request
};

}  // namespace pns::aaa
