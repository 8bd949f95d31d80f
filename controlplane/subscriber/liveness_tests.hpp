// SPDX-License-Identifier: BSD-3-Clause
//
// LivenessTests: asks the peers of sessions whether they are still there. A test sends LCP
// Echo-Requests through the session's tunnel. The peer is alive when any GRE of the session arrives
// after that, and silent when none has for kPatience. A client that lost its power and dials again
// knows nothing of its old call, so the old session is silent however recently it was heard.
//
// At most kMaximumTests run at once, with kMaximumWaiting askers each. Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class LivenessTests {
 public:
  static constexpr Duration kPatience = Milliseconds(1000);
  static constexpr std::size_t kMaximumTests = 1024;
  static constexpr std::size_t kMaximumWaiting = 4;

  enum class Answer : std::uint8_t { kAlive, kSilent };
  using Done = std::function<void(Answer)>;

  LivenessTests(control::EventLoop& loop, SessionTable& sessions)
      : loop_(loop), sessions_(sessions) {}

  // `done` is called once, within kPatience and never before this returns; a session that has ended
  // meanwhile is silent. False: too many tests or askers, `done` is dropped.
  [[nodiscard]] bool ask(Session& session, Done done);

 private:
  struct Test {
    Test(control::TimerQueue& timers, std::move_only_function<void()> expired)
        : timer(timers, std::move(expired)) {}
    TimePoint began{};
    TimePoint next_echo{};
    std::uint64_t heard_ns = 0;  // GRE of the session had come by then
    std::vector<Done> waiting;
    control::Timer timer;
  };

  void look(SessionId id);
  void finish(SessionId id, Answer answer);

  control::EventLoop& loop_;
  SessionTable& sessions_;
  std::unordered_map<SessionId, std::unique_ptr<Test>> tests_;
};

}  // namespace pns::subscriber
