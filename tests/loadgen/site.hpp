// SPDX-License-Identifier: BSD-3-Clause
//
// Site: what all connections of a run share: event loop, source addresses with their raw GRE
// sockets and Call IDs, the sessions, and what has happened to them. One thread.
#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pns/base/random.hpp"
#include "pns/base/unique_fd.hpp"
#include "tests/loadgen/options.hpp"
#include "tests/loadgen/session.hpp"
#include "tests/loadgen/tally.hpp"

namespace pns::loadgen {

class Site {
 public:
  // Throws std::runtime_error when a source address cannot be used.
  explicit Site(const Options& given);
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;
  ~Site() = default;

  [[nodiscard]] TimePoint now() const { return std::chrono::steady_clock::now(); }

  // One more session, calling from this source. The hook send_gre is the site's.
  Session& new_session(std::size_t source);
  // Another session in place of the one with this number, which is over: that one, for as long as
  // its connection needs it.
  [[nodiscard]] std::unique_ptr<Session> renew_session(std::uint32_t number);
  // A Call ID that no session of this source has. `wanted`: taken if it is free.
  void give_call_id(Session& session, std::size_t source);
  void give_call_id(Session& session, std::size_t source, std::uint16_t wanted);

  [[nodiscard]] std::size_t in(Stage stage) const noexcept {
    return in_stage_[static_cast<std::size_t>(stage)];
  }
  // Sessions that are neither up nor over, and those of them that do not wait to dial.
  [[nodiscard]] std::size_t setting_up() const noexcept;
  [[nodiscard]] std::size_t in_flight() const noexcept {
    return setting_up() - in(Stage::kWaiting);
  }
  // Sessions that are not over.
  [[nodiscard]] std::size_t alive() const noexcept;
  // The counts of all sessions that were there and are.
  [[nodiscard]] TrafficCounts traffic() const;
  // Packets that our own raw sockets had no room for.
  [[nodiscard]] std::uint64_t socket_drops() const noexcept;

  const Options& options;
  asio::io_context context{1};
  SystemRandom random;
  LatencyHistogram latencies;
  std::uint64_t send_errors = 0;
  std::uint64_t farewells_unanswered = 0;
  std::uint64_t connections = 0;
  std::uint64_t pptp_echoes = 0;  // Echo-Requests answered
  std::uint64_t set_ups = 0;
  std::uint64_t retries = 0;
  Reasons retried_for;
  std::uint64_t lost_calls = 0;
  Reasons lost_for;
  // The first kMaximumLost of them.
  struct LostCall {
    TimePoint at;  // steady_clock, as the time of other processes on this machine
    Duration up_for{};
    std::uint32_t number = 0;
    Ipv4Address source;
    std::uint16_t call_id = 0;
    std::uint16_t server_call_id = 0;
    Ipv4Address address;
    std::string stage;
    std::string reason;
  };
  static constexpr std::size_t kMaximumLost = 100;
  std::vector<LostCall> lost;
  std::uint64_t churned = 0;
  std::function<void(Duration admitted)> on_set_up = [](Duration) {};

  struct Source {
    Ipv4Address address;
    UniqueFd fd;
    std::unique_ptr<asio::posix::stream_descriptor> descriptor;
    std::vector<Session*> by_call_id;
    std::uint16_t last_call_id = 0;  // of CallIdChoice::kCounter
  };
  std::vector<Source> sources;
  std::vector<std::unique_ptr<Session>> sessions;  // by number: the present ones

  // The history of a number, over all its sessions.
  struct History {
    std::size_t source = 0;
    unsigned sessions = 0;
    bool been_up = false;
    bool retried = false;
    TimePoint up_at{};        // the present session
    TrafficCounts traffic{};  // before the present session
  };
  std::vector<History> histories;  // by number
  std::vector<Tally> past;         // by profile: sessions that others have followed

 private:
  [[nodiscard]] std::unique_ptr<Session> make_session(std::uint32_t number);
  void on_stage(std::uint32_t number, Stage from, Stage to);
  void open_source(Ipv4Address address);
  void wait_gre(std::size_t source);
  void receive_gre(Source& source);
  void send_gre(std::size_t source, Bytes packet);
  std::array<std::size_t, kStages> in_stage_{};
};

}  // namespace pns::loadgen
