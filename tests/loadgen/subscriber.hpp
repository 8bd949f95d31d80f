// SPDX-License-Identifier: BSD-3-Clause
//
// Subscriber: one emulated PPTP client that answers at once, without a breath between question and
// answer: the peer that exposes every race of a server. PPTP call, LCP, MS-CHAPv2, CCP (MPPE-128
// stateless), IPCP, then ICMP Echo through the tunnel. Shares codecs and ciphers with the server
// and none of its machines. No I/O: octets in, octets out by way of Wire; time is a parameter.
//
// Not a real client: it takes what it asked for or fails, with one reason.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"
#include "pns/mppe/state.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::loadgen {

struct SubscriberSettings {
  std::string user;
  std::string password;
  Ipv4Address ping;                  // intranet host; unspecified: up is enough
  unsigned pings = 1;                // that must be answered
  std::uint32_t first_sequence = 1;  // Linux starts at 1, others at 0
};

enum class Stage : std::uint8_t {
  kConnect,
  kStart,
  kCall,
  kLcp,
  kAuth,
  kCcp,
  kIpcp,
  kPing,
  kUp,
  kClosing,
  kDone,
  kFailed
};
[[nodiscard]] std::string_view name_of(Stage stage) noexcept;

class Subscriber {
 public:
  // What the machine wants sent. Octets are valid during the call.
  struct Wire {
    std::function<void(Bytes message)> control;  // on TCP
    std::function<void(Bytes gre)> gre;          // GRE packet, from its header on
  };

  Subscriber(const SubscriberSettings& settings, std::uint16_t call_id, RandomSource& random,
             Wire wire);

  void on_connected(TimePoint now);
  void on_control(const wire::pptp::Message& message, TimePoint now);
  void on_gre(Bytes packet, TimePoint now);
  void on_closed(TimePoint now);
  // About ten times a second: retransmits what is unanswered for a second, gives up after ten.
  void on_tick(TimePoint now);
  // Ends the call politely.
  void hang_up(TimePoint now);
  // One more Echo-Request through the tunnel.
  void send_ping(TimePoint now);

  [[nodiscard]] Stage stage() const noexcept { return stage_; }
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] Ipv4Address address() const noexcept { return address_; }
  [[nodiscard]] std::uint16_t call_id() const noexcept { return call_id_; }
  [[nodiscard]] unsigned retransmissions() const noexcept { return retransmissions_; }
  [[nodiscard]] std::uint64_t pings_sent() const noexcept { return pings_sent_; }
  [[nodiscard]] std::uint64_t pings_answered() const noexcept { return pings_answered_; }
  // TCP connect to the first answered ping (or to IPCP open where there is none).
  [[nodiscard]] std::optional<Duration> set_up() const noexcept { return set_up_; }
  // TCP connect to Start-Control-Connection-Reply.
  [[nodiscard]] std::optional<Duration> first_answer() const noexcept { return first_answer_; }

 private:
  void fail(std::string why);
  void enter(Stage stage, TimePoint now);
  void send_control(const wire::pptp::Message& message);
  void send_frame(std::uint16_t protocol, Bytes information);
  void send_packet(std::uint16_t protocol, std::uint8_t code, std::uint8_t identifier, Bytes data);
  void send_gre(Bytes frame);
  void request(std::uint16_t protocol, TimePoint now);
  void on_frame(MutableBytes frame, TimePoint now);
  void on_lcp(Bytes information, TimePoint now);
  void on_chap(Bytes information, TimePoint now);
  void on_ccp(Bytes information, TimePoint now);
  void on_ipcp(Bytes information, TimePoint now);
  void on_ipv4(Bytes packet, TimePoint now);
  void up(TimePoint now);

  SubscriberSettings settings_;
  RandomSource& random_;
  Wire wire_;
  std::uint16_t call_id_;
  std::uint16_t server_call_id_ = 0;
  Stage stage_ = Stage::kConnect;
  std::string failure_;
  TimePoint started_{};
  TimePoint asked_{};
  std::optional<Duration> set_up_;
  std::optional<Duration> first_answer_;
  unsigned retransmissions_ = 0;
  unsigned attempts_ = 0;

  std::vector<std::vector<std::byte>> early_;  // GRE that overtook Outgoing-Call-Reply
  std::uint32_t next_sequence_;
  std::optional<std::uint32_t> highest_received_;
  bool lcp_acked_by_us_ = false, lcp_acked_by_peer_ = false;
  bool ccp_acked_by_us_ = false, ccp_acked_by_peer_ = false;
  bool ipcp_acked_by_us_ = false, ipcp_acked_by_peer_ = false;
  std::uint8_t identifier_ = 1;
  std::uint32_t magic_ = 0;
  Ipv4Address address_;
  std::array<std::byte, 16> challenge_{};
  std::array<std::byte, 16> peer_challenge_{};
  std::array<std::byte, 24> nt_response_{};
  mppe::DirectionState send_cipher_;
  mppe::DirectionState receive_cipher_;
  std::uint64_t pings_sent_ = 0;
  std::uint64_t pings_answered_ = 0;
};

}  // namespace pns::loadgen
