// SPDX-License-Identifier: BSD-3-Clause
//
// LivenessTests: asks the peers of sessions whether they are still there, by LCP Echo-Requests
// through the session's tunnel or by a PPTP Echo-Request on its control connection. The peer is
// alive when any GRE of the session, or any message on an asked control connection, arrives after
// that. It is silent when none has for kPatience, or when the session ends. A client that lost its
// power and dials again knows nothing of its old call, so the old session is silent however
// recently it was heard; its TCP answers the Echo-Request with RST.
//
// At most kMaximumTests run at once, with kMaximumWaiting askers each. Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/connection_table.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class LivenessTests {
 public:
  static constexpr Duration kPatience = Milliseconds(1000);
  static constexpr std::size_t kMaximumTests = 4096;
  static constexpr std::size_t kMaximumWaiting = 4;

  enum class Answer : std::uint8_t { kAlive, kSilent };
  // The way that the question takes. A session that is being asked already is not asked again.
  enum class Way : std::uint8_t { kTunnel, kControlConnection };
  using Done = std::function<void(Answer)>;

  LivenessTests(control::EventLoop& loop, SessionTable& sessions, ConnectionTable& connections)
      : loop_(loop), sessions_(sessions), connections_(connections) {}

  // `done` is called once, within kPatience and never before this returns; a session that has ended
  // meanwhile is silent. False: too many tests or askers, `done` is dropped.
  [[nodiscard]] bool ask(Session& session, Way way, Done done);

 private:
  struct Test {
    Test(control::TimerQueue& timers, std::move_only_function<void()> expired)
        : timer(timers, std::move(expired)) {}
    Way way = Way::kTunnel;
    TimePoint began{};
    TimePoint next_echo{};
    std::uint64_t heard_ns = 0;  // GRE of the session had come by then
    std::uint64_t messages = 0;  // as many had come on the control connection by then
    std::vector<Done> waiting;
    control::Timer timer;
  };

  void look(SessionId id);
  // Empty: not known yet.
  [[nodiscard]] std::optional<Answer> answer_of(const Test& test, const Session& session) const;
  [[nodiscard]] std::uint64_t messages_of(const Session& session) const;
  void send_echo(Way way, Session& session);
  void finish(SessionId id, Answer answer);

  control::EventLoop& loop_;
  SessionTable& sessions_;
  ConnectionTable& connections_;
  std::unordered_map<SessionId, std::unique_ptr<Test>> tests_;
};

}  // namespace pns::subscriber
