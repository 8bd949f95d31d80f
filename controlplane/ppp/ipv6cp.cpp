// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/ipv6cp.hpp"

#include <algorithm>

namespace pns::ppp {

using wire::InterfaceIdentifier;

namespace {

// Random, not zero, and not told to be unique in the world (RFC 5072 §4.1: the "u" bit clear).
std::uint64_t random_identifier(RandomSource& random) {
  constexpr std::uint64_t kUniversal = std::uint64_t{0x02} << 56;
  const std::uint64_t high = random.next_u32();
  return (((high << 32) | random.next_u32()) & ~kUniversal) | 2;
}

// IPv6 is not worth a long wait: a peer without it may well say nothing.
RestartSettings restart_settings(const LinkSettings& settings) {
  constexpr unsigned kTries = 4;
  RestartSettings restart(settings);
  restart.max_configure = std::min(restart.max_configure, kTries);
  return restart;
}

}  // namespace

void InterfaceIdOption::restart(Context& context) {
  ours_ = kOurs;
  suggestion_ = random_identifier(context.random);
  pending_ = 0;
  peers_ = 0;
  naks_ = 0;
}

void InterfaceIdOption::on_nak(const wire::Option& option, Context& context) {
  const auto wanted = InterfaceIdentifier::parse(option.data);
  if (++naks_ > kUselessNaks) return fail(EndReason::ncp_no_convergence);
  // What the peer suggests, unless it is no identifier or the peer's own.
  const bool usable =
      wanted && wanted->value != 0 && wanted->value != peers_ && wanted->value != ours_;
  ours_ = usable ? wanted->value : random_identifier(context.random);
}

Judgement InterfaceIdOption::judge(const wire::Option& option, Writer& nak, Context&) {
  const auto wanted = InterfaceIdentifier::parse(option.data);
  if (wanted && wanted->value != 0 && wanted->value != ours_) {
    pending_ = wanted->value;
    return Judgement::kAck;
  }
  judge_missing(nak);
  return Judgement::kNak;
}

void InterfaceIdOption::judge_missing(Writer& nak) { InterfaceIdentifier{suggestion_}.write(nak); }

void InterfaceIdOption::restore(std::uint64_t ours, std::uint64_t peers) noexcept {
  ours_ = ours;
  peers_ = peers;
}

Ipv6cp::Ipv6cp(const LinkSettings& settings)
    : ControlProtocol(Layer::kIpv6cp, wire::PppProtocol::kIpv6cp, restart_settings(settings),
                      {EndReason::ncp_no_convergence, EndReason::ncp_no_convergence}),
      options_{&id_} {}

void Ipv6cp::restore(std::uint64_t ours, std::uint64_t peers, TimePoint now) noexcept {
  id_.restore(ours, peers);
  restore_opened(now);
}

}  // namespace pns::ppp
