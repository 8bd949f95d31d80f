// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/run.hpp"

#include <algorithm>
#include <asio/post.hpp>
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <utility>

#include "tests/loadgen/pace.hpp"
#include "tests/loadgen/sessions_file.hpp"

namespace pns::loadgen {
namespace {

using asio::ip::tcp;

constexpr auto kTick = Milliseconds(10);
constexpr auto kPace = Milliseconds(1);           // the finest grain of traffic
constexpr auto kDrain = std::chrono::seconds(1);  // for the last answers
constexpr unsigned kDialsAtOnce = 128;            // before answers have their turn
constexpr auto kProgress = std::chrono::seconds(5);

}  // namespace

Run::Run(const Options& options)
    : site_(options),
      lines_(site_),
      deaths_(site_),
      disturber_(site_),
      tick_(site_.context),
      pace_(site_.context),
      limit_(site_.context),
      signals_(site_.context, SIGINT, SIGTERM),
      view_signal_(site_.context) {}

Outcome Run::go() {
  begun_ = site_.now();
  next_progress_ = begun_ + kProgress;
  for (std::size_t i = 0; i < site_.sources.size() && site_.options.role == Role::kListen; ++i)
    listen(i);
  if (site_.options.role == Role::kPac) open_pac_connections();
  if (!site_.options.timeline.empty()) begin_timeline();
  if (!site_.options.sessions_file.empty()) {
    write_sessions();  // a path that cannot be written is told at once
    view_signal_.add(SIGUSR1);
    await_view_signal();
  }
  launch(begun_);
  tick();
  limit_.expires_after(site_.options.time_limit);
  limit_.async_wait([this](const asio::error_code& error) {
    if (!error) stop("time limit");
  });
  signals_.async_wait([this](const asio::error_code& error, int) {
    if (!error) stop("signal");
  });
  site_.context.run();
  return {site_,
          answers_,
          deaths_,
          disturber_,
          (settled_ == TimePoint{} ? site_.now() : settled_) - begun_,
          stopped_};
}

void Run::stop(std::string_view why) {
  stopped_ = why;
  write_sessions();
  site_.context.stop();
}

// ---- Set-up

void Run::listen(std::size_t source) {
  const tcp::endpoint here(asio::ip::address_v4(site_.sources[source].address.value),
                           wire::pptp::kTcpPort);
  listeners_.emplace_back(site_.context, here);  // with SO_REUSEADDR
  accept(source);
}

void Run::accept(std::size_t listener) {
  listeners_[listener].async_accept(
      [this, listener](const asio::error_code& error, tcp::socket socket) {
        if (error) return;
        connections_.push_back(
            std::make_unique<PacConnection>(site_, listener, std::move(socket), answers_));
        connections_.back()->start(site_.now());
        accept(listener);
      });
}

void Run::open_pac_connections() {
  const unsigned each = site_.options.calls_per_connection;
  for (unsigned left = site_.options.sessions; left != 0;) {
    const unsigned calls = std::min(left, each);
    connections_.push_back(
        std::make_unique<PacConnection>(site_, connections_.size() % site_.sources.size(), calls));
    connections_.back()->start(site_.now());
    left -= calls;
  }
}

void Run::launch(TimePoint now) {
  const Options& options = site_.options;
  const std::size_t begun = ramped(options.sessions, options.ramp, now - begun_);
  const auto room = [&] {
    return site_.sessions.size() < begun && site_.in_flight() < options.concurrent;
  };
  if (options.role == Role::kSubscriber) {
    for (unsigned i = 0; i < kDialsAtOnce && room(); ++i) lines_.launch(now);
    if (!room() || std::exchange(launch_posted_, true)) return;
    asio::post(site_.context, [this] {
      launch_posted_ = false;
      launch(site_.now());
    });
  } else if (options.role == Role::kPac) {
    std::size_t cannot = 0;  // connections in a row
    while (room() && cannot < connections_.size()) {
      const bool did = connections_[next_connection_]->launch(now);
      cannot = did ? 0 : cannot + 1;
      next_connection_ = (next_connection_ + 1) % connections_.size();
    }
  }
}

bool Run::settled() const {
  return site_.sessions.size() + answers_.refused + answers_.withdrawn >= site_.options.sessions &&
         site_.setting_up() == 0;
}

// ---- Time

void Run::tick() {
  const TimePoint now = site_.now();
  for (std::size_t i = 0; i < site_.sessions.size(); ++i) site_.sessions[i]->on_tick(now);
  for (std::size_t i = 0; i < connections_.size(); ++i) connections_[i]->on_tick(now);
  lines_.on_tick(now);
  deaths_.on_tick(now);
  if (phase_ == Phase::kSettingUp) {
    launch(now);
    if (settled()) begin_holding(now);
  }
  if (phase_ == Phase::kHolding && !holds(now)) {
    phase_ = Phase::kSettling;
    lines_.stop_churning();
  }
  if (phase_ == Phase::kSettling && site_.setting_up() + site_.in(Stage::kClosing) == 0)
    begin_dying(now);
  if (phase_ == Phase::kDying && deaths_.over()) begin_closing(now);
  write_timeline(now);
  if (phase_ == Phase::kClosing && all_closed()) return site_.context.stop();
  report_progress(now);
  tick_.expires_after(kTick);
  tick_.async_wait([this](const asio::error_code& error) {
    if (!error) tick();
  });
}

void Run::begin_holding(TimePoint now) {
  phase_ = Phase::kHolding;
  settled_ = now;
  traffic_until_ = now;
  lines_.start_churning(now);
  const Options& options = site_.options;
  if (options.traffic.kind == Flow::Kind::kNone) return;
  traffic_until_ = now + options.duration;
  disturber_.begin(now);
  const auto interval = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(options.burst / options.rate));
  // Sessions send one after the other, not all at once.
  const auto count = static_cast<Duration::rep>(site_.sessions.size());
  for (std::size_t i = 0; i < site_.sessions.size(); ++i)
    turns_.push({now + interval * static_cast<Duration::rep>(i) / count, i});
  pace_traffic();
}

void Run::pace_traffic() {
  const TimePoint now = site_.now();
  if (now >= traffic_until_) return;
  disturber_.on_time(now);
  const Options& options = site_.options;
  const auto interval = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(options.burst / options.rate));
  while (!turns_.empty() && turns_.top().at <= now) {
    const Turn turn = turns_.top();
    turns_.pop();
    for (unsigned i = 0; i < options.burst; ++i) site_.sessions[turn.session]->send_traffic(now);
    turns_.push({turn.at + interval, turn.session});
  }
  pace_.expires_after(kPace);
  pace_.async_wait([this](const asio::error_code& error) {
    if (!error) pace_traffic();
  });
}

// Whether sessions stay as they are: traffic goes or answers are missing, or --hold is not over.
bool Run::holds(TimePoint now) const {
  if (site_.alive() == 0) return false;
  if (now < traffic_until_ || now - settled_ < site_.options.hold) return true;
  return now < traffic_until_ + kDrain && std::ranges::any_of(site_.sessions, [](const auto& s) {
           return s->traffic().lost() != 0;
         });
}

void Run::begin_dying(TimePoint now) {
  phase_ = Phase::kDying;
  write_sessions();
  lines_.stop_dialling();
  if (site_.options.death.kind) deaths_.begin(lines_, now);
}

void Run::begin_closing(TimePoint now) {
  phase_ = Phase::kClosing;
  listeners_.clear();
  for (const auto& connection : connections_) connection->hang_up(now);
  lines_.hang_up(now);
}

bool Run::all_closed() const {
  return lines_.over() &&
         std::ranges::all_of(connections_, [](const auto& c) { return c->over(); });
}

// ---- Views

void Run::begin_timeline() {
  timeline_file_.open(site_.options.timeline);
  if (!timeline_file_) throw std::runtime_error("cannot write " + site_.options.timeline);
  timeline_.emplace(timeline_file_, begun_, site_.options.timeline_step);
  site_.on_set_up = [this](Duration admitted) { timeline_->on_set_up(admitted); };
}

void Run::write_timeline(TimePoint now) {
  if (!timeline_ || !timeline_->due(now)) return;
  const TrafficCounts traffic = site_.traffic();
  timeline_->write(
      {.dialling = site_.in(Stage::kConnect) + site_.in(Stage::kStart),
       .waiting_call = site_.in(Stage::kCall),
       .in_ppp = site_.in(Stage::kLcp) + site_.in(Stage::kAuth) + site_.in(Stage::kCcp) +
                 site_.in(Stage::kIpcp) + site_.in(Stage::kPing),
       .up = site_.in(Stage::kUp),
       .failed = site_.in(Stage::kFailed),
       .lost_calls = site_.lost_calls,
       .retries = site_.retries,
       .set_ups = site_.set_ups,
       .traffic_sent = traffic.sent,
       .traffic_received = traffic.received},
      now);
}

void Run::write_sessions() {
  if (!site_.options.sessions_file.empty()) write_sessions_file(site_, site_.options.sessions_file);
}

void Run::await_view_signal() {
  view_signal_.async_wait([this](const asio::error_code& error, int) {
    if (error) return;
    write_sessions();
    await_view_signal();
  });
}

void Run::report_progress(TimePoint now) {
  if (now < next_progress_) return;
  next_progress_ += kProgress;
  std::cerr << "pns-loadgen: " << std::chrono::duration_cast<Seconds>(now - begun_).count()
            << " s: " << site_.in(Stage::kUp) << " of " << site_.options.sessions << " up, "
            << site_.in_flight() << " in set-up, ";
  if (site_.in(Stage::kWaiting) != 0) std::cerr << site_.in(Stage::kWaiting) << " wait to dial, ";
  if (site_.in(Stage::kClosing) != 0) std::cerr << site_.in(Stage::kClosing) << " hang up, ";
  if (deaths_.sessions() != 0) std::cerr << deaths_.sessions() << " dead, ";
  std::cerr << site_.in(Stage::kFailed) << " failed";
  if (site_.retries != 0) std::cerr << ", " << site_.retries << " retries";
  if (site_.lost_calls != 0) std::cerr << ", " << site_.lost_calls << " calls lost";
  if (site_.churned != 0) std::cerr << ", " << site_.churned << " churned";
  std::cerr << '\n';
}

}  // namespace pns::loadgen
