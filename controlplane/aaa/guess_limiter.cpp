// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/guess_limiter.hpp"

#include <algorithm>
#include <utility>

namespace pns::aaa {

GuessLimiter::GuessLimiter(Authenticator& inner, model::Statistics& statistics, Clock clock,
                           Wake wake, const GuessLimits& limits)
    : inner_(inner),
      statistics_(statistics),
      clock_(std::move(clock)),
      wake_(std::move(wake)),
      limits_(limits) {}

void GuessLimiter::authenticate(model::AuthRequest request, Done done) {
  const TimePoint now = clock_();
  const auto found = sources_.find(request.peer);
  if (found == sources_.end() || found->second.failures < limits_.failures ||
      found->second.window_end <= now)
    return put(std::move(request), std::move(done));

  Source& source = found->second;
  const TimePoint at = std::max(now, source.next) + limits_.spacing;
  if (at - now > limits_.longest_delay || waiting_.size() >= limits_.max_waiting)
    return done(std::unexpected(model::AuthDenial{.reason = EndReason::auth_throttled}));
  source.next = at;
  source.window_end = std::max(source.window_end, at);  // known as long as it has to wait
  statistics_.auth_delayed.add();
  const auto place = waiting_.emplace(at, Question{std::move(request), std::move(done)});
  if (place == waiting_.begin()) wake_(at);
}

void GuessLimiter::on_deadline() {
  const TimePoint now = clock_();
  // Taken out before it is put: an answer may bring the next question in here.
  while (!waiting_.empty() && waiting_.begin()->first <= now) {
    Question question = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    put(std::move(question.request), std::move(question.done));
  }
  if (!waiting_.empty()) wake_(waiting_.begin()->first);
}

void GuessLimiter::put(model::AuthRequest request, Done done) {
  const Ipv4Address peer = request.peer;
  inner_.authenticate(std::move(request),
                      [this, peer, done = std::move(done)](model::AuthResult result) mutable {
                        if (const model::AuthDenial* const denial = result.denial();
                            denial != nullptr && denial->reason == EndReason::auth_failed)
                          count_failure(peer);
                        done(std::move(result));
                      });
}

void GuessLimiter::count_failure(Ipv4Address peer) {
  const TimePoint now = clock_();
  auto found = sources_.find(peer);
  if (found == sources_.end()) {
    if (sources_.size() >= limits_.max_sources) forget_expired(now);
    if (sources_.size() >= limits_.max_sources) return;  // so many that one more matters little
    found = sources_.emplace(peer, Source{.window_end = now + limits_.window}).first;
  }
  Source& source = found->second;
  if (source.window_end <= now) source = {.window_end = now + limits_.window};
  ++source.failures;
}

// At most once a second: it looks at every entry.
void GuessLimiter::forget_expired(TimePoint now) {
  if (now - swept_ < Seconds(1)) return;
  swept_ = now;
  std::erase_if(sources_, [now](const auto& entry) { return entry.second.window_end <= now; });
}

}  // namespace pns::aaa
