// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/service.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "controlplane/runtime/wall_clock.hpp"
#include "pns/log/log.hpp"

namespace pns::accounting {
namespace {

constexpr Duration kPatience = Seconds(30);  // for the answer to one record
constexpr Duration kFinishPoll = Milliseconds(10);

std::int64_t as_count(std::uint64_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

Service::Service(SpoolStore store, Parts parts)
    : loop_(parts.loop),
      on_shortage_(std::move(parts.on_shortage)),
      on_full_(parts.on_full),
      damaged_(store.damaged()),
      spool_(std::move(store),
             [this](std::move_only_function<void()> work) { loop_.post(std::move(work)); }),
      sender_(parts.client, std::move(parts.nas), std::move(parts.realms), kPatience,
              control::wall_seconds),
      delivery_timer_(loop_.timers(), [this] { delivery_.on_deadline(); }),
      delivery_(
          {}, spool_, parts.random,
          [this](const Record& record, std::move_only_function<void(bool)> done) {
            sender_.send(record, std::move(done));
          },
          [this] { return loop_.now(); }, [this](TimePoint at) { delivery_timer_.arm(at); }),
      accountant_(spool_, delivery_, control::wall_seconds, [this] { return is_short(); }),
      reports_(loop_, accountant_),
      finish_timer_(loop_.timers(), [this] { end_if_answered(); }) {
  if (damaged_) log::error("damaged spool made anew", {{"kept", damaged_->string()}});
  spool_.read_sessions([this](SessionId session, OpenSession state) {
    accountant_.found_open(session, std::move(state));
  });
}

void Service::start(bool is_new_server) {
  const auto begin = [this, is_new_server] {
    delivery_.resume();
    accountant_.recover();
    if (is_new_server) accountant_.server_on();
  };
  if (!is_new_server) return begin();
  // An Accounting-Off of the server before says nothing any more. After our On it would close our
  // sessions.
  spool_.write({DropRecord{{SessionId{}, Slot::kStop}}}, [begin](bool) { begin(); });
}

bool Service::is_short() const noexcept {
  return spool_.fill() >=
         (on_full_ == config::OnFullSpool::kDropInterimsFirst ? kShortOfRoom : kAlmostFull);
}

void Service::refresh() {
  const Accountant::Counts& made = accountant_.counts();
  const Delivery::Counts& sent = delivery_.counts();
  counts_.records.set(as_count(made.records));
  counts_.interims_dropped.set(as_count(made.interims_dropped));
  counts_.not_kept.set(as_count(made.not_kept));
  counts_.recovered.set(as_count(made.recovered));
  counts_.answered.set(as_count(sent.answered));
  counts_.unanswered.set(as_count(sent.unanswered));
  counts_.collapsed.set(as_count(sent.collapsed));
  counts_.lost.set(as_count(sent.lost));
  counts_.open_sessions.set(as_count(accountant_.open_sessions()));
  counts_.waiting.set(as_count(spool_.record_count()));
  counts_.under_way.set(as_count(delivery_.under_way()));
  const std::uint64_t now = control::wall_seconds();
  counts_.oldest_seconds.set(as_count(now - std::min(now, delivery_.oldest_event().value_or(now))));
  counts_.fill_permille.set(static_cast<std::int64_t>(spool_.fill() * 1000));
  watch_spool();
}

void Service::watch_spool() {
  const int error = spool_.error();
  counts_.failing.set(error != 0 ? 1 : 0);
  if (std::exchange(failed_, error != 0) != failed_) {
    if (failed_)
      log::error("accounting spool failed", {{"error", SpoolStore::error_text(error)}});
    else
      log::info("accounting spool works again");
  }
  const bool full = spool_.fill() >= kFull;
  if (std::exchange(full_, full) != full) {
    if (full)
      log::error("accounting spool nearly full", {{"records", spool_.record_count()}});
    else
      log::info("accounting spool has room again", {{"records", spool_.record_count()}});
  }
  const bool refuse = on_full_ == config::OnFullSpool::kRefuseNewCalls && (full_ || failed_);
  if (std::exchange(refuses_, refuse) != refuse) on_shortage_(refuse);
}

void Service::finish(Duration within, std::function<void()> done) {
  accountant_.server_off();
  finished_ = std::move(done);
  finish_by_ = loop_.now() + within;
  finish_timer_.arm(loop_.now() + kFinishPoll);
}

void Service::end_if_answered() {
  const bool answered = spool_.is_idle() && spool_.record_count() == 0;
  if (answered || loop_.now() >= finish_by_) return finished_();
  finish_timer_.arm(loop_.now() + kFinishPoll);
}

}  // namespace pns::accounting
