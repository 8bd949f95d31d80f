// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/ccp.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace pns::ppp {
namespace {

using Bits = wire::MppeSupportedBits;

std::uint32_t to_bits(const MppeAgreement& agreement) noexcept {
  const std::uint32_t strength = agreement.key_bits == 128  ? Bits::k128
                                 : agreement.key_bits == 56 ? Bits::k56
                                                            : Bits::k40;
  return strength | (agreement.stateless ? Bits::kStateless : 0);
}

// A peer that is not ready for CCP, or does not speak it, need not be waited for when encryption is
// only preferred: IPCP is held meanwhile.
RestartSettings restart_settings(const LinkSettings& settings) {
  constexpr unsigned kTriesWhenPreferred = 3;
  RestartSettings restart(settings);
  if (settings.mppe == MppePolicy::kPrefer)
    restart.max_configure = std::min(restart.max_configure, kTriesWhenPreferred);
  return restart;
}

}  // namespace

// ---- MPPE

std::optional<MppeAgreement> MppeOption::choose(std::uint32_t offered) const noexcept {
  MppeAgreement out;
  if (strengths_.bits128 && (offered & Bits::k128) != 0)
    out.key_bits = 128;
  else if (strengths_.bits56 && (offered & Bits::k56) != 0)
    out.key_bits = 56;
  else if (strengths_.bits40 && (offered & Bits::k40) != 0)
    out.key_bits = 40;
  else
    return std::nullopt;
  out.stateless = mode_ == MppeMode::kStateless ||
                  (mode_ == MppeMode::kAny && (offered & Bits::kStateless) != 0);
  return out;
}

MppeAgreement MppeOption::strongest() const noexcept {
  return choose(Bits::kStrengths | Bits::kStateless).value_or(MppeAgreement{});
}

std::uint32_t MppeOption::permitted() const noexcept {
  return (strengths_.bits128 ? Bits::k128 : 0) | (strengths_.bits56 ? Bits::k56 : 0) |
         (strengths_.bits40 ? Bits::k40 : 0);
}

void MppeOption::restart(Context&) {
  ours_ = strongest();
  offers_all_ = std::popcount(permitted()) > 1;
  acknowledged_ = false;
  stale_ = false;
  peers_.reset();
  useless_naks_ = 0;
}

void MppeOption::request(Writer& out) {
  acknowledged_ = false;
  stale_ = false;
  Bits{to_bits(ours_) | (offers_all_ ? permitted() : 0)}.write(out);
}

void MppeOption::on_reject(Context&) {
  // Some peers reject what they should choose from.
  if (!std::exchange(offers_all_, false)) fail(EndReason::mppe_refused);
}

void MppeOption::on_nak(const wire::Option& option, Context&) {
  const auto suggested = Bits::parse(option.data);
  const auto choice = suggested ? choose(suggested->bits) : std::nullopt;
  // Once the peer's request was acknowledged, its bits hold for both directions.
  const bool is_news = offers_all_ || (choice && *choice != ours_);
  const bool usable = choice && is_news && (!peers_ || *peers_ == *choice);
  offers_all_ = false;
  if (usable)
    ours_ = *choice;
  else if (++useless_naks_ >= kUselessNaks)
    fail(EndReason::mppe_refused);
}

Judgement MppeOption::judge(const wire::Option& option, Writer& nak, Context&) {
  const auto offered = Bits::parse(option.data);
  MppeAgreement wanted = ours_;
  if (!acknowledged_ && offered) wanted = choose(offered->bits).value_or(ours_);
  // To the bit: one strength, and neither MPPC nor anything unknown beside it.
  if (offered && offered->bits == to_bits(wanted)) {
    pending_ = wanted;
    return Judgement::kAck;
  }
  Bits{to_bits(wanted)}.write(nak);
  return Judgement::kNak;
}

void MppeOption::judge_missing(Writer& nak) { Bits{to_bits(ours_)}.write(nak); }

void MppeOption::commit() {
  peers_ = pending_;
  if (pending_ && (*pending_ != ours_ || offers_all_)) {
    ours_ = *pending_;
    offers_all_ = false;
    stale_ = true;
  }
}

// ---- CCP

Ccp::Ccp(const LinkSettings& settings)
    : ControlProtocol(wire::PppProtocol::kCcp, restart_settings(settings),
                      {EndReason::ccp_timeout, EndReason::ncp_no_convergence}),
      tries_(settings.max_configure),
      strengths_(settings.mppe_strengths) {}

void Ccp::set_strengths(const MppeStrengths& strengths) noexcept {
  strengths_ = strengths;
  if (options_) options_->mppe.set_strengths(strengths);
}

std::span<ConfigOption* const> Ccp::options() {
  if (!options_) options_ = std::make_unique<Options>(strengths_, settings().mppe_mode);
  return options_->list;
}

bool Ccp::on_other_code(const wire::ControlPacket& packet, Context&) {
  // The dataplane answers resets; one that strays here is not an unknown code.
  return packet.code == static_cast<std::uint8_t>(wire::CcpCode::kResetRequest) ||
         packet.code == static_cast<std::uint8_t>(wire::CcpCode::kResetAck);
}

void Ccp::before_ack(Context& context) {
  set_tries(tries_);  // it speaks CCP
  if (const auto agreed = options_->mppe.peers_agreement())
    context.observer.before_ccp_ack(*agreed);
}

}  // namespace pns::ppp
