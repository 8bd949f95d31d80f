// SPDX-License-Identifier: BSD-3-Clause
//
// CCP (RFC 1962). MPPE (RFC 3078 §2) is the one method it has so far: a method is an option, and
// what was agreed leaves here as a CompressionAgreement. Every permitted strength is offered at
// first and exactly one is taken, with or without the stateless bit as configured, the same in both
// directions. MPPC and every other compression is refused. Resets are the dataplane's matter.
// Sans-I/O.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "controlplane/ppp/compression.hpp"
#include "controlplane/ppp/control_protocol.hpp"

namespace pns::ppp {

// A method of compression or encryption.
class CompressionOption : public ConfigOption {
 public:
  using ConfigOption::ConfigOption;
  // The agreement that the peer's committed request makes; empty when it did not name this method.
  [[nodiscard]] virtual std::optional<CompressionAgreement> peers_agreement() const = 0;

 protected:
  ~CompressionOption() = default;
};

class MppeOption final : public CompressionOption {
 public:
  MppeOption(const MppeStrengths& strengths, MppeMode mode) noexcept
      : CompressionOption(wire::MppeSupportedBits::kType), strengths_(strengths), mode_(mode) {}

  void restart(Context&) override;
  void request(Writer& out) override;
  void on_ack() override { acknowledged_ = true; }
  void on_nak(const wire::Option& option, Context&) override;
  void on_reject(Context&) override;
  void begin_judging() override { pending_.reset(); }
  [[nodiscard]] Judgement judge(const wire::Option& option, Writer& nak, Context&) override;
  void judge_missing(Writer& nak) override;
  void commit() override;
  [[nodiscard]] EndReason on_unresolved() override { return EndReason::mppe_refused; }

  // Before a negotiation: the strengths there are keys for.
  void set_strengths(const MppeStrengths& strengths) noexcept { strengths_ = strengths; }

  [[nodiscard]] std::optional<CompressionAgreement> peers_agreement() const override {
    return peers_ ? std::optional<CompressionAgreement>(*peers_) : std::nullopt;
  }
  // The content of our request, and of the peer's committed one.
  [[nodiscard]] const MppeAgreement& ours() const noexcept { return ours_; }
  [[nodiscard]] const std::optional<MppeAgreement>& peers() const noexcept { return peers_; }
  // commit() has changed ours() after it was requested.
  [[nodiscard]] bool stale() const noexcept { return stale_; }

 private:
  static constexpr unsigned kUselessNaks = 3;

  // The best permitted agreement within the offered bits; empty when no strength is common.
  [[nodiscard]] std::optional<MppeAgreement> choose(std::uint32_t offered) const noexcept;
  [[nodiscard]] MppeAgreement strongest() const noexcept;
  [[nodiscard]] std::uint32_t permitted() const noexcept;  // bits of the strengths

  MppeStrengths strengths_;
  MppeMode mode_;
  MppeAgreement ours_;
  bool offers_all_ = false;  // the request names every permitted strength, for the peer to choose
  bool acknowledged_ = false;
  bool stale_ = false;
  std::optional<MppeAgreement> pending_;
  std::optional<MppeAgreement> peers_;
  unsigned useless_naks_ = 0;
};

class Ccp final : public ControlProtocol {
 public:
  explicit Ccp(const LinkSettings& settings);

  // Before open(): the strengths there are keys for, at least one.
  void set_strengths(const MppeStrengths& strengths) noexcept;

 private:
  struct Options {
    Options(const MppeStrengths& strengths, MppeMode mode) : mppe(strengths, mode) {}
    MppeOption mppe;
    std::array<ConfigOption*, 1> list{&mppe};
  };

  [[nodiscard]] std::span<ConfigOption* const> options() override;
  void forget_options() noexcept override { options_.reset(); }
  [[nodiscard]] bool on_other_code(const wire::ControlPacket& packet, Context&) override;
  void before_ack(Context& context) override;
  [[nodiscard]] bool request_is_stale() const override {
    return options_ && options_->mppe.stale();
  }

  unsigned tries_;  // with a peer that speaks CCP
  MppeStrengths strengths_;
  std::unique_ptr<Options> options_;  // null: at rest, or not asked for yet
};

}  // namespace pns::ppp
