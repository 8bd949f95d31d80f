// SPDX-License-Identifier: BSD-3-Clause
//
// PppClient: the subscriber's PPP: LCP (RFC 1661), one authentication method, CCP with MPPE
// (RFC 3078), IPCP (RFC 1332), and IPv4 packets in and out. Shares codecs and ciphers with the
// server and none of its machines. No I/O: frames in, frames out by way of Owner; time is a
// parameter. One thread.
//
// Not a real client: it insists on what its settings say or fails, with one reason. A packet that
// is lost on the way is asked for again, as its profile does.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/random.hpp"
#include "pns/base/secret.hpp"
#include "pns/base/time.hpp"
#include "pns/mppe/state.hpp"
#include "pns/wire/ppp_control.hpp"
#include "tests/loadgen/profiles.hpp"

namespace pns::loadgen {

enum class AuthMethod : std::uint8_t { kMsChapV2, kMsChapV1, kChapMd5, kPap };
[[nodiscard]] std::string_view name_of(AuthMethod method) noexcept;

struct PppSettings {
  std::string user;
  std::string password;
  AuthMethod auth = AuthMethod::kMsChapV2;
  unsigned mppe_bits = 128;  // 0: no encryption
  mppe::Mode mppe_mode = mppe::Mode::kStateless;
  Duration restart{};  // 0: as the profile says
};

enum class PppStage : std::uint8_t { kDead, kLcp, kAuth, kCcp, kIpcp, kOpen };

class PppClient {
 public:
  // Whose client this is. Called during on_frame(), on_tick(), start() and send_ipv4().
  class Owner {
   public:
    virtual void send_frame(Bytes frame) = 0;  // with its PPP header
    virtual void on_ppp_stage(PppStage stage, TimePoint now) = 0;
    virtual void on_ppp_failed(std::string reason) = 0;  // once; the client does nothing more
    virtual void on_ppp_terminated(bool by_server, TimePoint now) = 0;
    virtual void on_ipv4(Bytes packet, TimePoint now) = 0;

   protected:
    ~Owner() = default;
  };

  PppClient(const PppSettings& settings, const Profile& profile, RandomSource& random,
            Owner& owner);
  PppClient(const PppClient&) = delete;
  PppClient& operator=(const PppClient&) = delete;
  ~PppClient() = default;

  void start(TimePoint now);
  void on_frame(MutableBytes frame, TimePoint now);
  void on_tick(TimePoint now);
  // Terminate-Request.
  void terminate();
  // One IPv4 packet, encrypted if that is what was agreed. Only when open.
  void send_ipv4(Bytes packet);

  // Encrypts and counts `count` packets that are never sent. Without encryption: nothing.
  void skip_packets(std::uint32_t count);

  [[nodiscard]] PppStage stage() const noexcept { return stage_; }
  [[nodiscard]] Ipv4Address address() const noexcept { return address_; }
  [[nodiscard]] const std::string& user() const noexcept { return settings_.user; }
  [[nodiscard]] std::uint64_t echoes_answered() const noexcept { return echoes_answered_; }
  [[nodiscard]] unsigned retransmissions() const noexcept { return retransmissions_; }
  [[nodiscard]] std::uint64_t undecryptable() const noexcept { return undecryptable_; }

 private:
  // One of LCP, CCP and IPCP, as far as both Configure-Requests go.
  struct Negotiation {
    wire::PppProtocol protocol;
    std::uint8_t identifier = 0;  // of our Configure-Request
    bool acked_by_us = false;
    bool acked_by_peer = false;
    std::uint8_t peers_identifier = 0;  // of the request that we acknowledged
    unsigned naks = 0;                  // that we sent
    [[nodiscard]] bool open() const noexcept { return acked_by_us && acked_by_peer; }
    void restart() noexcept { acked_by_us = acked_by_peer = false; }
  };
  enum class Verdict : std::uint8_t { kAck, kNak, kReject };

  void fail(std::string reason);
  // Goes where the negotiations stand, and does what the new stage begins with.
  void advance(TimePoint now);
  void enter(PppStage stage, TimePoint now);
  void request(Negotiation& negotiation, TimePoint now);
  void write_options(const Negotiation& negotiation, Writer& out) const;
  void on_configure(Negotiation& negotiation, const wire::ControlPacket& packet, TimePoint now);
  Verdict judge(Negotiation& negotiation, const wire::Option& option, Writer& nak);
  void on_refused(Negotiation& negotiation, const wire::ControlPacket& packet);

  void on_lcp(const wire::ControlPacket& packet, TimePoint now);
  void on_pap(const wire::ControlPacket& packet, TimePoint now);
  void on_chap(const wire::ControlPacket& packet, TimePoint now);
  void on_challenge(const wire::ControlPacket& packet, TimePoint now);
  void on_ccp(const wire::ControlPacket& packet, TimePoint now);
  void on_ipcp(const wire::ControlPacket& packet, TimePoint now);
  void on_encrypted(MutableBytes data, TimePoint now);
  void derive_keys();
  void send_pap_request();
  void send_response();
  void identify();

  void send_packet(wire::PppProtocol protocol, std::uint8_t code, std::uint8_t identifier,
                   Bytes data);
  void send(wire::PppProtocol protocol, Bytes information);
  [[nodiscard]] std::uint32_t mppe_agreement() const noexcept;
  [[nodiscard]] bool encrypts() const noexcept { return settings_.mppe_bits != 0; }

  PppSettings settings_;
  const Profile& profile_;
  RandomSource& random_;
  Owner& owner_;
  PppStage stage_ = PppStage::kDead;
  bool over_ = false;  // failed or terminated
  TimePoint asked_{};
  unsigned attempts_ = 0;
  unsigned retransmissions_ = 0;
  std::uint64_t echoes_answered_ = 0;  // LCP Echo-Requests

  Negotiation lcp_{wire::PppProtocol::kLcp};
  Negotiation ccp_{wire::PppProtocol::kCcp};
  Negotiation ipcp_{wire::PppProtocol::kIpcp};
  // The content of our next requests: as the profile says, without what the server rejected.
  bool asks_accm_, asks_pfc_, asks_acfc_, asks_callback_;
  bool asks_magic_ = true;
  std::uint16_t mru_;
  std::uint32_t magic_;
  std::uint32_t mppe_request_;
  bool may_omit_address_ = false;               // the server takes frames without FF 03
  bool may_omit_protocol_ = false;              // and short protocol fields
  std::vector<wire::AddressOption> addresses_;  // of IPCP
  Ipv4Address address_;

  bool authenticated_ = false;
  std::uint8_t challenge_identifier_ = 0;
  std::vector<std::byte> response_;  // the last one, to be sent again
  std::array<std::byte, 16> challenge_{};
  std::array<std::byte, 16> peer_challenge_{};
  std::array<std::byte, 24> nt_response_{};

  Secret<16> send_key_;
  Secret<16> receive_key_;
  mppe::DirectionState send_cipher_;
  mppe::DirectionState receive_cipher_;
  std::optional<TimePoint> reset_asked_;
  std::uint8_t reset_identifier_ = 0;
  std::uint64_t undecryptable_ = 0;
};

}  // namespace pns::loadgen
