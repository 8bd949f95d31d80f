// SPDX-License-Identifier: BSD-3-Clause
//
// LCP (RFC 1661): its options and the packets that only it has. We ask for MRU, an authentication
// protocol, Magic-Number, PFC and ACFC; we take MRU, ACCM, Magic-Number, PFC and ACFC, and reject
// the rest (callback, quality, and authentication of ourselves). Sans-I/O.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "controlplane/ppp/control_protocol.hpp"

namespace pns::ppp {

// The agreement of both ends while LCP is open.
struct LcpAgreement {
  std::uint32_t our_magic = 0;  // 0: not negotiated
  std::uint32_t peer_magic = 0;
  std::uint16_t peer_mru = 1500;
  bool send_pfc = false;
  bool send_acfc = false;
  friend bool operator==(const LcpAgreement&, const LcpAgreement&) = default;
};

class MruOption final : public ConfigOption {
 public:
  explicit MruOption(std::uint16_t ours) noexcept
      : ConfigOption(wire::MaximumReceiveUnit::kType), configured_(ours) {}
  void restart(Context&) override { ours_ = configured_; }
  void request(Writer& out) override;
  void on_nak(const wire::Option& option, Context&) override;
  void on_reject(Context&) override { ours_ = kDefault; }
  void begin_judging() override { pending_ = kDefault; }
  [[nodiscard]] Judgement judge(const wire::Option& option, Writer& nak, Context&) override;
  void commit() override { peers_ = pending_; }

  [[nodiscard]] std::uint16_t peers() const noexcept { return peers_; }
  void restore(std::uint16_t peers) noexcept { peers_ = peers; }

  static constexpr std::uint16_t kDefault = 1500;
  static constexpr std::uint16_t kSmallest = 128;

 private:
  std::uint16_t configured_;
  std::uint16_t ours_ = kDefault;  // kDefault needs no option
  std::uint16_t pending_ = kDefault;
  std::uint16_t peers_ = kDefault;
};

// The tunnel has no characters to escape: every map is taken, none is asked for.
class AccmOption final : public ConfigOption {
 public:
  AccmOption() noexcept : ConfigOption(wire::AsyncControlCharacterMap::kType) {}
  [[nodiscard]] Judgement judge(const wire::Option& option, Writer& nak, Context&) override;
};

// One of the configured methods, in order of preference. A Nak chooses another of them; one for
// what is not among them moves on to the next. Nothing else is ever agreed to.
class AuthOption final : public ConfigOption {
 public:
  explicit AuthOption(const std::vector<model::AuthMethod>& methods);
  void restart(Context&) override;
  void request(Writer& out) override;
  void on_nak(const wire::Option& option, Context&) override;
  void on_reject(Context&) override { fail(EndReason::auth_no_common_method); }
  // We do not authenticate ourselves.
  [[nodiscard]] Judgement judge(const wire::Option&, Writer&, Context&) override {
    return Judgement::kReject;
  }

  // kNone when no configured method is known here.
  [[nodiscard]] model::AuthMethod method() const noexcept {
    return chosen_ < methods_.size() ? methods_[chosen_] : model::AuthMethod::kNone;
  }

 private:
  static constexpr unsigned kUselessNaks = 3;
  std::vector<model::AuthMethod> methods_;  // those this program speaks, in order of preference
  std::size_t chosen_ = 0;
  unsigned useless_naks_ = 0;
};

class MagicOption final : public ConfigOption {
 public:
  MagicOption() noexcept : ConfigOption(wire::MagicNumber::kType) {}
  void restart(Context& context) override;
  void request(Writer& out) override;
  void on_nak(const wire::Option&, Context& context) override;
  void on_reject(Context&) override { ours_ = 0; }
  void begin_judging() override { pending_ = 0; }
  [[nodiscard]] Judgement judge(const wire::Option& option, Writer& nak, Context& context) override;
  void commit() override {
    peers_ = pending_;
    collisions_ = 0;
  }

  [[nodiscard]] std::uint32_t ours() const noexcept { return ours_; }
  [[nodiscard]] std::uint32_t peers() const noexcept { return peers_; }
  void restore(std::uint32_t ours, std::uint32_t peers) noexcept {
    ours_ = ours;
    peers_ = peers;
  }

 private:
  static constexpr unsigned kLoopAfter =
      5;                    // equal numbers in a row: chance is out of the question
  std::uint32_t ours_ = 0;  // 0: not asked for
  std::uint32_t pending_ = 0;
  std::uint32_t peers_ = 0;
  unsigned collisions_ = 0;
};

// PFC and ACFC: an option without data. Both may always be received; sent only when the peer asked.
class FlagOption final : public ConfigOption {
 public:
  explicit FlagOption(std::uint8_t type) noexcept : ConfigOption(type) {}
  void restart(Context&) override { asked_ = true; }
  void request(Writer& out) override;
  void on_nak(const wire::Option&, Context&) override { asked_ = false; }
  void on_reject(Context&) override { asked_ = false; }
  void begin_judging() override { pending_ = false; }
  [[nodiscard]] Judgement judge(const wire::Option& option, Writer& nak, Context&) override;
  void commit() override { peers_ = pending_; }

  [[nodiscard]] bool peers() const noexcept { return peers_; }
  void restore(bool peers) noexcept { peers_ = peers; }

 private:
  bool asked_ = true;
  bool pending_ = false;
  bool peers_ = false;
};

class Lcp final : public ControlProtocol {
 public:
  explicit Lcp(const LinkSettings& settings);

  [[nodiscard]] LcpAgreement agreement() const noexcept;
  // Opened with what was agreed before a restart.
  void restore(const LcpAgreement& agreement, TimePoint now) noexcept;

  // In layer_up(): the method that was agreed on.
  [[nodiscard]] model::AuthMethod auth_method() const noexcept {
    return options_ ? options_->auth.method() : model::AuthMethod::kNone;
  }

  // ---- Echo (§5.8), while open.
  void send_echo_request(std::uint8_t identifier, Context& context) const;
  // False when the peer rejected the code.
  [[nodiscard]] bool echo_works() const noexcept { return echo_works_; }

  // ---- Rejects that Link sends.
  void send_protocol_reject(std::uint16_t protocol, Bytes information, Context& context);

 private:
  struct Options {
    Options(const LinkSettings& settings, const LcpAgreement& agreed);
    MruOption mru;
    AccmOption accm;
    AuthOption auth;
    MagicOption magic;
    FlagOption pfc{wire::ProtocolFieldCompression::kType};
    FlagOption acfc{wire::AddressAndControlFieldCompression::kType};
    std::array<ConfigOption*, 6> list;
  };

  [[nodiscard]] std::span<ConfigOption* const> options() override;
  void forget_options() noexcept override;
  [[nodiscard]] bool on_other_code(const wire::ControlPacket& packet, Context& context) override;
  void on_code_rejected(std::uint8_t code) override;
  // Our own magic in what the peer sent: the line is looped. Ends the link when it persists.
  [[nodiscard]] bool is_our_own(std::uint32_t magic, Context& context);

  std::unique_ptr<Options> options_;  // null: at rest, or not asked for yet
  LcpAgreement agreed_;               // when they are
  bool echo_works_ = true;
  unsigned own_packets_ = 0;
  std::uint8_t reject_identifier_ = 0;
};

}  // namespace pns::ppp
