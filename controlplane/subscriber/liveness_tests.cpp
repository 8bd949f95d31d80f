// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/liveness_tests.hpp"

#include <utility>

namespace pns::subscriber {
namespace {

constexpr auto kLookInterval = Milliseconds(50);   // how often the time of the last GRE is read
constexpr auto kEchoInterval = Milliseconds(300);  // one request or its reply may be lost

}  // namespace

bool LivenessTests::ask(Session& session, Way way, Done done) {
  const SessionId id = session.id();
  if (const auto found = tests_.find(id); found != tests_.end()) {
    if (found->second->waiting.size() >= kMaximumWaiting) return false;
    found->second->waiting.push_back(std::move(done));
    return true;
  }
  if (tests_.size() >= kMaximumTests) return false;
  auto test = std::make_unique<Test>(loop_.timers(), [this, id] { look(id); });
  test->way = way;
  test->began = test->next_echo = loop_.now();
  test->heard_ns = session.dataplane().last_heard_ns();
  test->messages = messages_of(session);
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
  if (const auto answer = answer_of(test, *session)) return finish(id, *answer);
  const TimePoint now = loop_.now();
  test.timer.arm(now + kLookInterval);
  if (now < test.next_echo) return;
  test.next_echo = now + (test.way == Way::kTunnel ? kEchoInterval : kPatience);
  send_echo(test.way, *session);
}

std::optional<LivenessTests::Answer> LivenessTests::answer_of(const Test& test,
                                                              const Session& session) const {
  if (session.dataplane().last_heard_ns() != test.heard_ns) return Answer::kAlive;
  if (test.way == Way::kControlConnection && messages_of(session) != test.messages)
    return Answer::kAlive;
  if (loop_.now() - test.began >= kPatience) return Answer::kSilent;
  return std::nullopt;
}

// How many messages have come on the session's control connection.
std::uint64_t LivenessTests::messages_of(const Session& session) const {
  const auto connection = connections_.find(session.call().connection);
  return connection ? connection->machine().counters().messages_received : 0;
}

void LivenessTests::send_echo(Way way, Session& session) {
  if (way == Way::kTunnel) return session.link().probe();
  // An LCP Echo-Request of the old call could reach the client that dials again, whose new call
  // begins with lower sequence numbers.
  session.link().postpone_echo(loop_.now() + 2 * kPatience);
  // TCP repeats the request where it is lost.
  if (const auto connection = connections_.find(session.call().connection))
    connections_.apply(*connection, connection->machine().ask_for_echo(loop_.now()));
}

void LivenessTests::finish(SessionId id, Answer answer) {
  // The timer whose callback runs is destroyed with the test, which a Timer allows.
  const auto test = std::move(tests_.extract(id).mapped());
  for (const Done& done : test->waiting) done(answer);
}

}  // namespace pns::subscriber
