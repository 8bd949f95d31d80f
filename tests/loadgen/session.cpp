// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/session.hpp"

#include <array>
#include <utility>

namespace pns::loadgen {
namespace {

constexpr auto kConnectTime = std::chrono::seconds(20);  // for TCP
constexpr auto kControlTime = std::chrono::seconds(10);  // for each answer on TCP
constexpr auto kProbeTime = std::chrono::seconds(1);     // until the probe is sent again
constexpr unsigned kProbeTries = 10;
constexpr auto kTerminateTime = std::chrono::seconds(1);  // for Terminate-Ack
constexpr std::size_t kMaximumEarly = 16;
constexpr std::uint16_t kStrayIdentifier = 0x5053;

// The text with "{n}" replaced.
std::string numbered(std::string text, std::uint32_t number) {
  if (const auto at = text.find("{n}"); at != std::string::npos)
    text.replace(at, 3, std::to_string(number));
  return text;
}

// A number that no other session of the run has; the first ones have their numbers.
std::uint64_t instance_of(const Options& options, std::uint32_t number, unsigned attempt) {
  return number + std::uint64_t{attempt} * options.sessions;
}

PppSettings numbered(PppSettings settings, std::uint32_t number) {
  settings.user = numbered(std::move(settings.user), number);
  settings.password = numbered(std::move(settings.password), number);
  return settings;
}

}  // namespace

std::string_view name_of(Stage stage) noexcept {
  constexpr std::array<std::string_view, kStages> kNames = {
      "waiting", "connect", "start", "call",    "lcp",  "auth",  "ccp",
      "ipcp",    "ping",    "up",    "closing", "done", "failed"};
  return kNames[static_cast<std::size_t>(stage)];
}

Session::Session(const Options& options, const Profile& profile, std::uint32_t number,
                 unsigned attempt, RandomSource& random, LatencyHistogram& latencies, Hooks hooks)
    : options_(options),
      profile_(profile),
      number_(number),
      latencies_(latencies),
      hooks_(std::move(hooks)),
      stream_(profile),
      // Each direction of each session has a sequence of its own.
      upstream_(options.upstream, (options.seed << 32) + 2 * instance_of(options, number, attempt)),
      downstream_(options.downstream,
                  (options.seed << 32) + 2 * instance_of(options, number, attempt) + 1),
      ppp_(numbered(options.ppp, number), profile, random, *this),
      probe_(options.probe, number),
      traffic_(options.traffic, static_cast<std::uint32_t>(instance_of(options, number, attempt))) {
}

void Session::enter(Stage stage) {
  const Stage from = std::exchange(stage_, stage);
  asked_ = now_;
  attempts_ = 0;
  if (from != stage) hooks_.on_stage(from, stage);
}

void Session::fail(std::string reason) {
  if (over()) return;
  failed_stage_ = stage_;
  failure_ = std::move(reason);
  enter(Stage::kFailed);
}

void Session::on_call_over(std::string reason) {
  if (stage_ == Stage::kClosing)
    enter(Stage::kDone);
  else
    fail(std::move(reason));
}

void Session::wait(std::optional<TimePoint> first_try) {
  first_try_ = first_try;
  enter(Stage::kWaiting);
}

void Session::on_dialling(TimePoint now) {
  now_ = now;
  if (!first_try_) first_try_ = now;
  enter(Stage::kConnect);
}

void Session::on_tcp_connected(TimePoint now) {
  now_ = now;
  started_ = now;
  if (!first_try_) first_try_ = now;
  enter(Stage::kStart);
}

void Session::on_first_answer(TimePoint now) {
  if (!first_answer_) first_answer_ = now - started_;
}

void Session::on_calling(TimePoint now) {
  now_ = now;
  called_ = now;
  enter(Stage::kCall);
}

void Session::on_call_connected(std::uint16_t peer_call_id, TimePoint now) {
  if (over() || connected_) return;
  now_ = now;
  connected_ = true;
  admitted_at_ = now;
  call_wait_ = now - called_;
  peer_call_id_ = peer_call_id;
  stream_.set_peer_call_id(peer_call_id);
  ppp_.start(now);
  for (const auto& packet : std::exchange(early_, {})) on_gre(packet, now);
}

void Session::hang_up(TimePoint now) {
  if (over() || stage_ == Stage::kClosing) return;
  now_ = now;
  enter(Stage::kClosing);
  if (profile_.terminates_lcp && connected_ && ppp_.stage() != PppStage::kDead)
    return ppp_.terminate();
  on_ppp_terminated(false, now);
}

void Session::die() {
  if (!over()) enter(Stage::kDone);
}

void Session::send_stray(TimePoint now) {
  now_ = now;
  std::array<std::byte, Flow::kMaximumSize> packet;
  Flow stray({Flow::Kind::kPing, options_.server, 0, kStrayIdentifier, Flow::kMinimumSize},
             number_);
  ppp_.send_ipv4(Bytes(packet).first(stray.write(packet, ppp_.address(), now)));
}

// ---- GRE

void Session::send_frame(Bytes frame) {
  std::array<std::byte, GreStream::kMaximumPacket> packet;
  const std::size_t size = stream_.wrap(packet, frame);
  if (size != 0) send_out(Bytes(packet).first(size), now_);
}

void Session::send_out(Bytes packet, TimePoint now) {
  if (upstream_.acts())
    upstream_.pass(packet, now, hooks_.send_gre);
  else
    hooks_.send_gre(packet);
}

void Session::on_gre(Bytes packet, TimePoint now) {
  if (over()) return;
  now_ = now;
  if (!connected_) {
    // As a raw socket does: what overtook the reply waits for it.
    if (early_.size() < kMaximumEarly) early_.emplace_back(packet.begin(), packet.end());
    return;
  }
  if (downstream_.acts())
    downstream_.pass(packet, now, [this, now](Bytes passed) { take_in(passed, now); });
  else
    take_in(packet, now);
}

void Session::take_in(Bytes packet, TimePoint now) {
  stream_.receive(packet, now, [this, now](MutableBytes frame) { ppp_.on_frame(frame, now); });
}

// ---- PPP

void Session::on_ppp_stage(PppStage stage, TimePoint now) {
  if (over() || stage_ == Stage::kClosing) return;
  if (stage == PppStage::kAuth) on_lcp_open_();
  constexpr std::array kOf = {Stage::kCall, Stage::kLcp,  Stage::kAuth,
                              Stage::kCcp,  Stage::kIpcp, Stage::kPing};
  if (stage != PppStage::kOpen) return enter(kOf[static_cast<std::size_t>(stage)]);
  if (options_.probe.kind == Flow::Kind::kNone) return on_up(now);
  enter(Stage::kPing);
  send_probe(now);
}

void Session::on_ppp_failed(std::string reason) { fail(std::move(reason)); }

void Session::on_ppp_terminated(bool by_server, TimePoint now) {
  if (over()) return;
  if (by_server && stage_ != Stage::kClosing) return fail("the server terminated LCP");
  if (!std::exchange(ppp_over_told_, true)) on_ppp_over_(now);
}

void Session::on_up(TimePoint now) {
  const bool first = !set_up_;
  if (first) {
    set_up_ = now - started_;
    admitted_ = now - admitted_at_;
    until_up_ = now - *first_try_;
  }
  enter(Stage::kUp);
  if (first) hooks_.on_set_up();
}

// ---- Traffic

void Session::send_probe(TimePoint now) {
  std::array<std::byte, Flow::kMaximumSize> packet;
  asked_ = now;
  ppp_.send_ipv4(Bytes(packet).first(probe_.write(packet, ppp_.address(), now)));
}

void Session::send_traffic(TimePoint now) {
  if (stage_ != Stage::kUp) return;
  now_ = now;
  if (!recoveries_.empty() && !is_cut_) recoveries_.back().on_sent(now);
  std::array<std::byte, Flow::kMaximumSize> packet;
  ppp_.send_ipv4(Bytes(packet).first(traffic_.write(packet, ppp_.address(), now)));
}

void Session::cut_line(bool upstream, bool downstream) {
  is_cut_ = true;
  upstream_.set_down(upstream);
  downstream_.set_down(downstream);
}

bool Session::mend_line(std::size_t disturbance, std::uint32_t gap, TimePoint now) {
  is_cut_ = false;
  upstream_.set_down(false);
  downstream_.set_down(false);
  if (stage_ != Stage::kUp) return false;
  if (gap != 0) {
    stream_.skip(gap);
    ppp_.skip_packets(gap);
  }
  // A long gap takes a while: of that the first packet after it knows nothing.
  recoveries_.emplace_back(disturbance, traffic_.counts().sent,
                           gap != 0 ? std::nullopt : std::optional(now));
  return true;
}

void Session::on_ipv4(Bytes packet, TimePoint now) {
  if (options_.traffic.kind != Flow::Kind::kNone &&
      traffic_.on_packet(packet, ppp_.address(), now, &latencies_)) {
    if (const auto number = traffic_.newly_answered())
      for (Recovery& recovery : recoveries_) recovery.on_answered(*number, now);
    return;
  }
  if (options_.probe.kind == Flow::Kind::kNone || stage_ != Stage::kPing ||
      !probe_.on_packet(packet, ppp_.address(), now, nullptr))
    return;
  if (probe_.counts().damaged != 0) return fail("an answer came back damaged");
  if (probe_.counts().received >= options_.probes) return on_up(now);
  send_probe(now);
}

// ---- Time

void Session::on_tick(TimePoint now) {
  if (over()) return;
  now_ = now;
  upstream_.release(now, hooks_.send_gre);
  downstream_.release(now, [this, now](Bytes packet) { take_in(packet, now); });
  stream_.release(now, [this, now](MutableBytes frame) { ppp_.on_frame(frame, now); });
  std::array<std::byte, 16> ack;
  if (const std::size_t size = stream_.take_ack(ack, now); size != 0)
    send_out(Bytes(ack).first(size), now);
  ppp_.on_tick(now);
  switch (stage_) {
    case Stage::kConnect:
      if (!options_.idle_connections && now - asked_ >= kConnectTime) fail("no answer");
      return;
    case Stage::kStart:
    case Stage::kCall:
      if (now - asked_ >= kControlTime) fail("no answer");
      return;
    case Stage::kPing:
      if (now - asked_ < kProbeTime) return;
      if (++attempts_ > kProbeTries) return fail("no answer");
      ++probe_repeats_;
      return send_probe(now);
    case Stage::kClosing:
      if (now - asked_ >= kTerminateTime) on_ppp_terminated(false, now);
      return;
    default:
      return;
  }
}

}  // namespace pns::loadgen
