// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/guess_limiter.hpp"

#include <algorithm>
#include <utility>

#include "pns/crypto/mschap.hpp"

namespace pns::aaa {

GuessLimiter::GuessLimiter(Authenticator& inner, model::Statistics& statistics, Clock clock,
                           Wake wake, const GuessLimits& limits)
    : inner_(inner),
      statistics_(statistics),
      clock_(std::move(clock)),
      wake_(std::move(wake)),
      limits_(limits) {}

// Neither DOMAIN\ nor a stripped realm makes another account of it.
GuessLimiter::Account GuessLimiter::account_of(const model::AuthRequest& request) {
  return {request.peer,
          std::hash<std::string_view>{}(crypto::user_without_domain(request.account_name()))};
}

template <class Table, class Key>
GuessLimiter::Failures* GuessLimiter::over(Table& table, const Key& key, unsigned bound,
                                           TimePoint now) {
  const auto found = table.find(key);
  return bound != 0 && found != table.end() && found->second.count >= bound &&
                 found->second.window_end > now
             ? &found->second
             : nullptr;
}

void GuessLimiter::authenticate(model::AuthRequest request, Done done) {
  const TimePoint now = clock_();
  const Account account = account_of(request);
  Failures* const of_account = over(accounts_, account, limits_.per_account, now);
  Failures* const of_source = logged_in_before(account, now)
                                  ? nullptr
                                  : over(sources_, request.peer, limits_.per_source, now);
  if (of_account == nullptr && of_source == nullptr)
    return put(std::move(request), std::move(done));

  TimePoint at = now;
  if (of_account != nullptr) at = std::max(at, of_account->next) + limits_.spacing;
  if (of_source != nullptr)
    at = std::max(at, std::max(now, of_source->next) + limits_.window / limits_.per_source);
  if (at - now > limits_.longest_delay || waiting_.size() >= limits_.max_waiting)
    return done(std::unexpected(
        model::AuthDenial{.reason = EndReason::auth_throttled, .is_verdict = false}));
  for (Failures* const failures : {of_account, of_source}) {
    if (failures == nullptr) continue;
    failures->next = at;
    failures->window_end = std::max(failures->window_end, at);  // known while it has to wait
  }
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
  const Account account = account_of(request);
  inner_.authenticate(std::move(request),
                      [this, account, done = std::move(done)](model::AuthResult result) mutable {
                        const TimePoint now = clock_();
                        if (const model::AuthDenial* const denial = result.denial();
                            denial != nullptr && denial->reason == EndReason::auth_failed) {
                          count(accounts_, account, now);
                          count(sources_, account.source, now);
                        } else if (result.has_value()) {
                          remember(account, now);
                        }
                        done(std::move(result));
                      });
}

template <class Table, class Key>
void GuessLimiter::count(Table& table, const Key& key, TimePoint now) {
  auto found = table.find(key);
  if (found == table.end()) {
    if (table.size() >= limits_.max_entries) forget_expired(now);
    if (table.size() >= limits_.max_entries) return;  // so many that one more matters little
    found = table.emplace(key, Failures{.window_end = now + limits_.window}).first;
  }
  Failures& failures = found->second;
  if (failures.window_end <= now) failures = {.window_end = now + limits_.window};
  ++failures.count;
}

bool GuessLimiter::logged_in_before(const Account& account, TimePoint now) const {
  const auto found = logged_in_.find(account);
  return found != logged_in_.end() && now - found->second <= limits_.remembered;
}

void GuessLimiter::remember(const Account& account, TimePoint now) {
  if (logged_in_.size() >= limits_.max_entries && !logged_in_.contains(account))
    forget_expired(now);
  if (logged_in_.size() < limits_.max_entries || logged_in_.contains(account))
    logged_in_[account] = now;
}

// At most once a second: it looks at every entry.
void GuessLimiter::forget_expired(TimePoint now) {
  if (now - swept_ < Seconds(1)) return;
  swept_ = now;
  const auto is_over = [now](const auto& entry) { return entry.second.window_end <= now; };
  std::erase_if(accounts_, is_over);
  std::erase_if(sources_, is_over);
  std::erase_if(logged_in_,
                [this, now](const auto& entry) { return now - entry.second > limits_.remembered; });
}

}  // namespace pns::aaa
