// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/liveness_tests.hpp"

#include <utility>

namespace pns::subscriber {
namespace {

constexpr auto kLookInterval = Milliseconds(50);   // how often the time of the last GRE is read
constexpr auto kEchoInterval = Milliseconds(300);  // one request or its reply may be lost

}  // namespace

bool LivenessTests::ask(Session& session, Done done) {
  const SessionId id = session.id();
  if (const auto found = tests_.find(id); found != tests_.end()) {
    if (found->second->waiting.size() >= kMaximumWaiting) return false;
    found->second->waiting.push_back(std::move(done));
    return true;
  }
  if (tests_.size() >= kMaximumTests) return false;
  auto test = std::make_unique<Test>(loop_.timers(), [this, id] { look(id); });
  test->began = test->next_echo = loop_.now();
  test->heard_ns = session.dataplane().last_heard_ns();
  test->waiting.push_back(std::move(done));
  test->timer.arm(loop_.now());
  tests_.emplace(id, std::move(test));
  return true;
}

void LivenessTests::look(SessionId id) {
  Test& test = *tests_.at(id);
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->state() != Session::State::kUp)
    return finish(id, Answer::kSilent);
  if (session->dataplane().last_heard_ns() != test.heard_ns) return finish(id, Answer::kAlive);
  const TimePoint now = loop_.now();
  if (now - test.began >= kPatience) return finish(id, Answer::kSilent);
  test.timer.arm(now + kLookInterval);
  if (now < test.next_echo) return;
  test.next_echo = now + kEchoInterval;
  session->probe();
}

void LivenessTests::finish(SessionId id, Answer answer) {
  // The timer whose callback runs is destroyed with the test, which a Timer allows.
  const auto test = std::move(tests_.extract(id).mapped());
  for (const Done& done : test->waiting) done(answer);
}

}  // namespace pns::subscriber
