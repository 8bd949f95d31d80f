// SPDX-License-Identifier: BSD-3-Clause
//
// Session: one emulated subscriber behind one call: GRE with its impairments, PPP, traffic, and
// the record of how it went. Whoever speaks the control connection (Dialer, PacConnection) tells it
// when the call stands and when it is over. A subscriber that dials again does so with another
// Session of the same number. No I/O; time is a parameter. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/random.hpp"
#include "tests/loadgen/gre_stream.hpp"
#include "tests/loadgen/impairment.hpp"
#include "tests/loadgen/options.hpp"
#include "tests/loadgen/ppp_client.hpp"
#include "tests/loadgen/recovery.hpp"
#include "tests/loadgen/traffic.hpp"

namespace pns::loadgen {

enum class Stage : std::uint8_t {
  kWaiting,  // until it is time to dial (again)
  kConnect,  // TCP
  kStart,    // Start-Control-Connection-Request
  kCall,     // Outgoing- or Incoming-Call-Request
  kLcp,
  kAuth,
  kCcp,
  kIpcp,
  kPing,  // the probe
  kUp,
  kClosing,
  kDone,
  kFailed
};
inline constexpr std::size_t kStages = 13;
[[nodiscard]] std::string_view name_of(Stage stage) noexcept;

class Session final : private PppClient::Owner {
 public:
  struct Hooks {
    std::function<void(Bytes packet)> send_gre;          // from the GRE header on
    std::function<void(Stage from, Stage to)> on_stage;  // of this session
    std::function<void()> on_set_up;                     // up for the first time
  };

  // `attempt`: how many sessions of this number were before.
  Session(const Options& options, const Profile& profile, std::uint32_t number, unsigned attempt,
          RandomSource& random, LatencyHistogram& latencies, Hooks hooks);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() = default;

  // ---- What the control connection wants to know.
  // LCP is open; each time.
  void hook_lcp_open(std::function<void()> hook) { on_lcp_open_ = std::move(hook); }
  // We are closing and PPP is over: the call may end.
  void hook_ppp_over(std::function<void(TimePoint now)> hook) { on_ppp_over_ = std::move(hook); }

  // ---- What the control connection says.
  void set_call_id(std::uint16_t id) noexcept { call_id_ = id; }
  void set_local_port(std::uint16_t port) noexcept { local_port_ = port; }  // of TCP
  // It will dial later. `first_try`: when the set-up that it goes on with began, if it does.
  void wait(std::optional<TimePoint> first_try);
  void on_dialling(TimePoint now);
  void on_tcp_connected(TimePoint now);  // the set-up time counts from here
  void on_first_answer(TimePoint now);   // of the server, to whatever came first
  void on_calling(TimePoint now);        // our request for the call is out
  void on_call_connected(std::uint16_t peer_call_id, TimePoint now);
  void fail(std::string reason);
  // The call is over. Unless we were closing: a failure, for this reason.
  void on_call_over(std::string reason);
  // Closing begins: LCP Terminate-Request where the profile sends one; on_ppp_over follows, at once
  // or when it is answered or has waited long enough.
  void hang_up(TimePoint now);
  // Ends without a word; nothing is sent or answered any more.
  void die();
  // One data packet of a session that is over, to the Call ID that the server had given to it.
  void send_stray(TimePoint now);

  // ---- What the wire and the clock say.
  void on_gre(Bytes packet, TimePoint now);
  void on_tick(TimePoint now);
  void send_traffic(TimePoint now);
  // From now on every packet of these directions is lost; until mend_line().
  void cut_line(bool upstream, bool downstream);
  // The line is as before, after `gap` packets upstream that were counted and not sent. From here
  // the session's packets tell how it recovers. False: the session is not up.
  bool mend_line(std::size_t disturbance, std::uint32_t gap, TimePoint now);

  // ---- What is known.
  [[nodiscard]] std::uint32_t number() const noexcept { return number_; }
  [[nodiscard]] const Profile& profile() const noexcept { return profile_; }
  [[nodiscard]] std::uint16_t call_id() const noexcept { return call_id_; }
  [[nodiscard]] std::uint16_t peer_call_id() const noexcept { return peer_call_id_; }
  [[nodiscard]] std::uint16_t local_port() const noexcept { return local_port_; }
  [[nodiscard]] bool connected() const noexcept { return connected_; }
  [[nodiscard]] Ipv4Address address() const noexcept { return ppp_.address(); }
  [[nodiscard]] const std::string& user() const noexcept { return ppp_.user(); }
  [[nodiscard]] Stage stage() const noexcept { return stage_; }
  [[nodiscard]] bool over() const noexcept { return stage_ >= Stage::kDone; }
  // It was up and has ended without having asked for it.
  [[nodiscard]] bool lost() const noexcept {
    return stage_ == Stage::kFailed && set_up_ && failed_stage_ != Stage::kClosing;
  }
  [[nodiscard]] Stage failed_stage() const noexcept { return failed_stage_; }
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] unsigned retransmissions() const noexcept {
    return probe_repeats_ + ppp_.retransmissions();
  }
  [[nodiscard]] std::uint64_t undecryptable() const noexcept { return ppp_.undecryptable(); }
  [[nodiscard]] std::optional<Duration> set_up() const noexcept { return set_up_; }
  [[nodiscard]] std::optional<Duration> first_answer() const noexcept { return first_answer_; }
  // From our request for the call to the reply that accepts it, and from there to up.
  [[nodiscard]] std::optional<Duration> call_wait() const noexcept { return call_wait_; }
  [[nodiscard]] std::optional<Duration> admitted() const noexcept { return admitted_; }
  [[nodiscard]] std::optional<TimePoint> first_try() const noexcept { return first_try_; }
  [[nodiscard]] std::optional<Duration> until_up() const noexcept { return until_up_; }
  [[nodiscard]] std::uint64_t lcp_echoes() const noexcept { return ppp_.echoes_answered(); }
  [[nodiscard]] const TrafficCounts& probes() const noexcept { return probe_.counts(); }
  [[nodiscard]] const TrafficCounts& traffic() const noexcept { return traffic_.counts(); }
  [[nodiscard]] const GreCounts& gre() const noexcept { return stream_.counts(); }
  [[nodiscard]] const ImpairmentCounts& upstream() const noexcept { return upstream_.counts(); }
  [[nodiscard]] const std::vector<Recovery>& recoveries() const noexcept { return recoveries_; }
  [[nodiscard]] const ImpairmentCounts& downstream() const noexcept { return downstream_.counts(); }

 private:
  void send_frame(Bytes frame) override;
  void on_ppp_stage(PppStage stage, TimePoint now) override;
  void on_ppp_failed(std::string reason) override;
  void on_ppp_terminated(bool by_server, TimePoint now) override;
  void on_ipv4(Bytes packet, TimePoint now) override;

  void enter(Stage stage);
  void send_out(Bytes packet, TimePoint now);
  void take_in(Bytes packet, TimePoint now);
  void send_probe(TimePoint now);
  void on_up(TimePoint now);

  const Options& options_;
  const Profile& profile_;
  std::uint32_t number_;
  LatencyHistogram& latencies_;
  Hooks hooks_;
  std::function<void()> on_lcp_open_ = [] {};
  std::function<void(TimePoint now)> on_ppp_over_ = [](TimePoint) {};
  Stage stage_ = Stage::kConnect;
  Stage failed_stage_ = Stage::kConnect;
  std::string failure_;
  std::uint16_t call_id_ = 0;
  std::uint16_t peer_call_id_ = 0;
  std::uint16_t local_port_ = 0;
  bool connected_ = false;                     // the call stands
  std::vector<std::vector<std::byte>> early_;  // GRE that overtook the reply to our request
  TimePoint now_{};                            // of the event being worked on
  std::optional<TimePoint> first_try_;
  TimePoint started_{};
  TimePoint called_{};
  TimePoint admitted_at_{};
  TimePoint asked_{};  // the last probe; closing: the Terminate-Request
  unsigned attempts_ = 0;
  unsigned probe_repeats_ = 0;
  bool ppp_over_told_ = false;
  std::optional<Duration> set_up_;
  std::optional<Duration> first_answer_;
  std::optional<Duration> call_wait_;
  std::optional<Duration> admitted_;
  std::optional<Duration> until_up_;
  GreStream stream_;
  ImpairedLine upstream_;
  ImpairedLine downstream_;
  PppClient ppp_;
  Flow probe_;
  Flow traffic_;
  std::vector<Recovery> recoveries_;  // in the order of time
  bool is_cut_ = false;               // an outage: what is sent belongs to none of them
};

}  // namespace pns::loadgen
