// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/encryption.hpp"

#include <variant>

namespace pns::ppp {

namespace {

constexpr bool any(const MppeStrengths& strengths) noexcept {
  return strengths.bits40 || strengths.bits56 || strengths.bits128;
}

bool is_required(const model::AuthGrant& grant) noexcept {
  return grant.link.mppe && grant.link.mppe->required;
}

}  // namespace

MppeStrengths Encryption::permitted(const model::AuthGrant& grant) const noexcept {
  MppeStrengths strengths = settings().mppe_strengths;
  if (const auto& terms = grant.link.mppe) {
    strengths.bits40 &= terms->bits40;
    strengths.bits56 &= terms->bits56;
    strengths.bits128 &= terms->bits128;
  }
  return strengths;
}

MppeStrengths Encryption::usable(const model::AuthGrant& grant) const noexcept {
  if (!grant.mppe) return {.bits40 = false, .bits56 = false, .bits128 = false};
  MppeStrengths strengths = permitted(grant);
  if (grant.mppe->weak == model::MppeKeys::Weak::kNone) strengths.bits40 = strengths.bits56 = false;
  return strengths;
}

EndReason Encryption::refusal(const model::AuthGrant& grant) const noexcept {
  if (settings().mppe != MppePolicy::kRequire && !is_required(grant)) return EndReason::kNone;
  if (settings().mppe == MppePolicy::kOff || !any(permitted(grant)))
    return EndReason::mppe_not_permitted;
  return any(usable(grant)) ? EndReason::kNone : EndReason::no_mppe_keys;
}

EndReason Encryption::refusal_again(const model::AuthGrant& grant) const noexcept {
  if (const EndReason reason = refusal(grant); reason != EndReason::kNone) return reason;
  if (is_required(grant) && state_ == State::kOff) return EndReason::mppe_not_permitted;
  return was_on_ && !grant.mppe ? EndReason::no_mppe_keys : EndReason::kNone;
}

// ---- The network phase

void Encryption::renew_keys(const model::AuthGrant& grant) {
  if (grant.mppe) keys_ = grant.mppe;
  required_ = is_required(grant);
}

void Encryption::begin(const model::AuthGrant& grant) {
  keys_ = grant.mppe;
  required_ = is_required(grant);
  const MppeStrengths strengths = usable(grant);
  const bool encrypt = settings().mppe != MppePolicy::kOff && any(strengths);
  state_ = encrypt ? State::kPending : State::kOff;
  if (encrypt) ccp_.set_strengths(strengths);
}

void Encryption::negotiate(Context& context) {
  ccp_.open(context);
  ccp_.up(context);
}

void Encryption::leave() noexcept {
  ccp_.reset();
  state_ = State::kPending;
  rearmed_ = false;
}

void Encryption::forget_keys(Context& context) {
  disarm(context);
  keys_.reset();
}

void Encryption::restore(const LinkSnapshot& snapshot, TimePoint now) {
  was_on_ = snapshot.mppe.has_value();
  if (snapshot.from_lcp) return;
  keys_ = snapshot.keys;
  state_ = snapshot.mppe ? State::kOn : State::kOff;
  armed_ = snapshot.mppe;
  if (snapshot.mppe) ccp_.restore_opened(now);
}

void Encryption::save(LinkSnapshot& snapshot) const {
  if (snapshot.from_lcp) {
    if (was_on_) snapshot.mppe = MppeAgreement{};
    return;
  }
  snapshot.keys = keys_;
  const CompressionAgreement* const agreed = in_force();
  if (agreed != nullptr && agreed->mppe() != nullptr) snapshot.mppe = *agreed->mppe();
}

// ---- What CCP tells

void Encryption::on_up() noexcept {
  state_ = State::kOn;
  was_on_ |= armed_ && armed_->encrypts();
}

void Encryption::arm(const CompressionAgreement& agreed, Context& context) {
  if (armed_ == agreed) return;  // a repeated request: what is armed is what the peer means
  std::visit(
      [&](const MppeAgreement& mppe) {
        context.add(model::ArmMppe{.keys = keys_->for_strength(mppe.key_bits),
                                   .key_bits = mppe.key_bits,
                                   .stateless = mppe.stateless});
      },
      agreed.method());
  armed_ = agreed;
}

void Encryption::disarm(Context& context) {
  if (!armed_) return;
  armed_.reset();
  context.add(model::DisarmMppe{});
}

// ---- The peer does not encrypt

// The armed method was acknowledged: the peer may be open and encrypt, and would not be understood.
bool Encryption::may_be_off() const noexcept {
  return settings().mppe != MppePolicy::kRequire && !required_ && !was_on_ && !armed_;
}

void Encryption::turn_off(Context& context) {
  state_ = State::kOff;
  ccp_.close(context);
}

bool Encryption::renegotiate(bool opened, Context& context) {
  if (rearmed_ && !opened) return false;
  rearmed_ = true;
  ccp_.down(context);
  if (ccp_.state() == ppp::State::kStarting) ccp_.up(context);
  return true;
}

}  // namespace pns::ppp
