// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/lcp.hpp"

#include <algorithm>
#include <iterator>

namespace pns::ppp {
namespace {

using wire::LcpCode;

// A Magic-Number that is neither 0 nor the peer's.
std::uint32_t draw_magic(std::uint32_t other_than, Context& context) {
  for (;;) {
    const std::uint32_t magic = context.random.next_u32();
    if (magic != 0 && magic != other_than) return magic;
  }
}

// The methods this program speaks, and how LCP names them.
struct KnownMethod {
  model::AuthMethod method;
  wire::AuthenticationProtocol option;
};
constexpr std::uint16_t kPap = static_cast<std::uint16_t>(wire::PppProtocol::kPap);
constexpr std::uint16_t kChap = static_cast<std::uint16_t>(wire::PppProtocol::kChap);
constexpr std::uint16_t kEap = static_cast<std::uint16_t>(wire::PppProtocol::kEap);
constexpr std::array<KnownMethod, 5> kKnownMethods = {{
    {model::AuthMethod::kPap, {kPap, 0}},
    {model::AuthMethod::kChapMd5, {kChap, wire::kChapMd5}},
    {model::AuthMethod::kMsChap, {kChap, wire::kChapMsV1}},
    {model::AuthMethod::kMsChapV2, {kChap, wire::kChapMsV2}},
    {model::AuthMethod::kEap, {kEap, 0}},
}};

const KnownMethod* find_method(model::AuthMethod method) noexcept {
  const auto known = std::find_if(kKnownMethods.begin(), kKnownMethods.end(),
                                  [method](const KnownMethod& k) { return k.method == method; });
  return known == kKnownMethods.end() ? nullptr : &*known;
}

}  // namespace

// ---- MRU

void MruOption::request(Writer& out) {
  if (ours_ != kDefault) wire::MaximumReceiveUnit{ours_}.write(out);
}

void MruOption::on_nak(const wire::Option& option, Context&) {
  const auto suggested = wire::MaximumReceiveUnit::parse(option.data);
  // Whatever is agreed, 1,500 octets can be received (§6.1); so any reasonable wish is granted.
  ours_ = suggested ? std::clamp(suggested->octets, kSmallest, kDefault) : kDefault;
}

Judgement MruOption::judge(const wire::Option& option, Writer& nak, Context&) {
  const auto wanted = wire::MaximumReceiveUnit::parse(option.data);
  if (!wanted || wanted->octets < kSmallest) {
    wire::MaximumReceiveUnit{kDefault}.write(nak);
    return Judgement::kNak;
  }
  pending_ = wanted->octets;
  return Judgement::kAck;
}

// ---- ACCM

Judgement AccmOption::judge(const wire::Option& option, Writer& nak, Context&) {
  if (wire::AsyncControlCharacterMap::parse(option.data)) return Judgement::kAck;
  wire::AsyncControlCharacterMap{0}.write(nak);
  return Judgement::kNak;
}

// ---- Authentication-Protocol

AuthOption::AuthOption(const std::vector<model::AuthMethod>& methods)
    : ConfigOption(wire::AuthenticationProtocol::kType) {
  std::copy_if(methods.begin(), methods.end(), std::back_inserter(methods_),
               [](model::AuthMethod method) { return find_method(method) != nullptr; });
}

void AuthOption::restart(Context&) {
  chosen_ = 0;
  useless_naks_ = 0;
}

void AuthOption::request(Writer& out) {
  if (const KnownMethod* known = find_method(method())) known->option.write(out);
}

void AuthOption::on_nak(const wire::Option& option, Context&) {
  const auto suggested = wire::AuthenticationProtocol::parse(option.data);
  const auto permitted =
      std::find_if(methods_.begin(), methods_.end(), [&suggested](model::AuthMethod method) {
        return suggested && find_method(method)->option == *suggested;
      });
  const auto index = static_cast<std::size_t>(permitted - methods_.begin());
  if (permitted != methods_.end() && index != chosen_) {
    chosen_ = index;
  } else if (methods_.empty() || ++useless_naks_ >= kUselessNaks + methods_.size() - 1) {
    fail(EndReason::auth_no_common_method);
  } else {
    // It names only what it likes best. Its other methods show when they are asked for.
    chosen_ = (chosen_ + 1) % methods_.size();
  }
}

// ---- Magic-Number

void MagicOption::restart(Context& context) { ours_ = draw_magic(0, context); }

void MagicOption::request(Writer& out) {
  if (ours_ != 0) wire::MagicNumber{ours_}.write(out);
}

void MagicOption::on_nak(const wire::Option&, Context& context) {
  ours_ = draw_magic(ours_, context);
}

Judgement MagicOption::judge(const wire::Option& option, Writer& nak, Context& context) {
  const auto wanted = wire::MagicNumber::parse(option.data);
  if (wanted && wanted->magic != 0 && wanted->magic != ours_) {
    pending_ = wanted->magic;
    return Judgement::kAck;
  }
  wire::MagicNumber{draw_magic(ours_, context)}.write(nak);
  if (!wanted || wanted->magic == 0) return Judgement::kNak;
  // §6.4: equal numbers mean that our own packets may be coming back. Then a Reject of what we ask
  // for ourselves (authentication) would come back too, and look like the peer's.
  if (++collisions_ >= kLoopAfter) fail(EndReason::lcp_loop);
  return Judgement::kNakAlone;
}

// ---- PFC, ACFC

void FlagOption::request(Writer& out) {
  if (!asked_) return;
  out.write_u8(type());
  out.write_u8(2);
}

Judgement FlagOption::judge(const wire::Option& option, Writer& nak, Context&) {
  if (option.data.empty()) {
    pending_ = true;
    return Judgement::kAck;
  }
  nak.write_u8(type());
  nak.write_u8(2);
  return Judgement::kNak;
}

// ---- LCP

Lcp::Options::Options(const LinkSettings& settings, const LcpAgreement& agreed)
    : mru(settings.mru), auth(settings.auth), list{&mru, &accm, &auth, &magic, &pfc, &acfc} {
  magic.restore(agreed.our_magic, agreed.peer_magic);
  mru.restore(agreed.peer_mru);
  pfc.restore(agreed.send_pfc);
  acfc.restore(agreed.send_acfc);
}

Lcp::Lcp(const LinkSettings& settings)
    : ControlProtocol(wire::PppProtocol::kLcp, RestartSettings(settings),
                      {EndReason::lcp_timeout, EndReason::lcp_no_convergence}) {}

std::span<ConfigOption* const> Lcp::options() {
  if (!options_) options_ = std::make_unique<Options>(settings(), agreed_);
  return options_->list;
}

void Lcp::forget_options() noexcept {
  agreed_ = agreement();
  options_.reset();
}

LcpAgreement Lcp::agreement() const noexcept {
  if (!options_) return agreed_;
  return {.our_magic = options_->magic.ours(),
          .peer_magic = options_->magic.peers(),
          .peer_mru = options_->mru.peers(),
          .send_pfc = options_->pfc.peers(),
          .send_acfc = options_->acfc.peers()};
}

void Lcp::restore(const LcpAgreement& agreement, TimePoint now) noexcept {
  restore_opened(now);
  agreed_ = agreement;
  agreed_.peer_mru = std::max(agreement.peer_mru, MruOption::kSmallest);
}

bool Lcp::on_other_code(const wire::ControlPacket& packet, Context& context) {
  switch (static_cast<LcpCode>(packet.code)) {
    case LcpCode::kEchoRequest: {
      if (!is_open()) return true;
      const auto echo = wire::EchoBody::parse(packet.data);
      if (!echo || is_our_own(echo->magic, context)) return true;
      // §5.8: the same data, with our Magic-Number in front, and no longer than the peer can take.
      const std::size_t room = context.peer_mru - wire::kControlHeaderLength - 4u;
      std::vector<std::byte> reply(4 + std::min(echo->data.size(), room));
      Writer writer(reply);
      writer.write_u32(agreement().our_magic);
      writer.write_bytes(echo->data.first(reply.size() - 4));
      send(LcpCode::kEchoReply, packet.identifier, reply, context);
      return true;
    }
    case LcpCode::kEchoReply:  // any packet is a sign of life to Link; the number is not judged:
                               // some peers send our own back, and loops show in the requests
    case LcpCode::kProtocolReject:  // Link has taken it when it counted
    case LcpCode::kDiscardRequest:
    case LcpCode::kIdentification:
    case LcpCode::kTimeRemaining:
      return true;
    default:
      return false;
  }
}

void Lcp::on_code_rejected(std::uint8_t code) {
  if (code == static_cast<std::uint8_t>(LcpCode::kEchoRequest)) echo_works_ = false;
}

bool Lcp::is_our_own(std::uint32_t magic, Context& context) {
  constexpr unsigned kLoopAfter = 3;
  const std::uint32_t ours = agreement().our_magic;
  if (ours == 0 || magic != ours) {
    own_packets_ = 0;
    return false;
  }
  if (++own_packets_ == kLoopAfter) fail(EndReason::lcp_loop, context);
  return true;
}

void Lcp::send_echo_request(std::uint8_t identifier, Context& context) const {
  std::array<std::byte, 4> body;
  Writer(body).write_u32(agreement().our_magic);
  send(LcpCode::kEchoRequest, identifier, body, context);
}

void Lcp::send_protocol_reject(std::uint16_t protocol, Bytes information, Context& context) {
  const std::size_t room = context.peer_mru - wire::kControlHeaderLength - 2u;
  std::vector<std::byte> body(2 + std::min(information.size(), room));
  Writer writer(body);
  writer.write_u16(protocol);
  writer.write_bytes(information.first(body.size() - 2));
  send(LcpCode::kProtocolReject, ++reject_identifier_, body, context);
}

}  // namespace pns::ppp
