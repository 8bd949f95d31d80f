// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/ppp_client.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "pns/crypto/hash.hpp"
#include "pns/crypto/mppe_keys.hpp"
#include "pns/crypto/mschap.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ppp.hpp"
#include "pns/wire/ppp_auth.hpp"
#include "tests/loadgen/gre_stream.hpp"

namespace pns::loadgen {

using wire::LcpCode;
using wire::PppProtocol;
using Bits = wire::MppeSupportedBits;

namespace {

constexpr unsigned kMaximumNaks = 5;
constexpr std::uint8_t kCallbackOption = 13;        // RFC 1570 §2.3
constexpr std::uint8_t kCallbackByCbcp = 6;         // location decided in CBCP
constexpr auto kResetInterval = Milliseconds(200);  // between Reset-Requests

constexpr std::uint16_t number(PppProtocol protocol) noexcept {
  return static_cast<std::uint16_t>(protocol);
}
constexpr std::uint8_t number(LcpCode code) noexcept { return static_cast<std::uint8_t>(code); }
constexpr std::uint8_t number(wire::ChapCode code) noexcept {
  return static_cast<std::uint8_t>(code);
}
constexpr std::uint8_t number(wire::PapCode code) noexcept {
  return static_cast<std::uint8_t>(code);
}

wire::AuthenticationProtocol option_of(AuthMethod method) noexcept {
  switch (method) {
    case AuthMethod::kMsChapV2:
      return {number(PppProtocol::kChap), wire::kChapMsV2};
    case AuthMethod::kMsChapV1:
      return {number(PppProtocol::kChap), wire::kChapMsV1};
    case AuthMethod::kChapMd5:
      return {number(PppProtocol::kChap), wire::kChapMd5};
    case AuthMethod::kPap:
      break;
  }
  return {number(PppProtocol::kPap), 0};
}

}  // namespace

std::string_view name_of(AuthMethod method) noexcept {
  constexpr std::array<std::string_view, 4> kNames = {"mschapv2", "mschap", "chap", "pap"};
  return kNames[static_cast<std::size_t>(method)];
}

PppClient::PppClient(const PppSettings& settings, const Profile& profile, RandomSource& random,
                     Owner& owner)
    : settings_(settings),
      profile_(profile),
      random_(random),
      owner_(owner),
      asks_accm_(profile.accm),
      asks_pfc_(profile.pfc),
      asks_acfc_(profile.acfc),
      asks_callback_(profile.callback),
      mru_(profile.mru),
      magic_(random.next_u32() | 1),
      mppe_request_(mppe_agreement()) {
  if (profile.offers_all_mppe) {
    // Every strength up to the one we take: the server picks the strongest it permits.
    mppe_request_ |= Bits::k40 | Bits::kMppc;
    if (settings.mppe_bits >= 56) mppe_request_ |= Bits::k56;
  }
  if (settings_.restart == Duration{}) settings_.restart = profile.restart;
  using wire::IpcpOption;
  addresses_.push_back({IpcpOption::kIpAddress, {}});
  constexpr std::array kDns = {IpcpOption::kPrimaryDns, IpcpOption::kSecondaryDns};
  constexpr std::array kWins = {IpcpOption::kPrimaryWins, IpcpOption::kSecondaryWins};
  for (unsigned i = 0; i < profile.ipcp_dns; ++i) {
    addresses_.push_back({kDns[i], {}});
    if (profile.ipcp_wins) addresses_.push_back({kWins[i], {}});
  }
}

// The bits of the one agreement that we take (RFC 3078 §2.1).
std::uint32_t PppClient::mppe_agreement() const noexcept {
  const std::uint32_t strength = settings_.mppe_bits == 128  ? Bits::k128
                                 : settings_.mppe_bits == 56 ? Bits::k56
                                                             : Bits::k40;
  return strength | (settings_.mppe_mode == mppe::Mode::kStateless ? Bits::kStateless : 0);
}

void PppClient::fail(std::string reason) {
  if (std::exchange(over_, true)) return;
  owner_.on_ppp_failed(std::move(reason));
}

void PppClient::start(TimePoint now) { advance(now); }

// ---- Frames out

void PppClient::send(PppProtocol protocol, Bytes information) {
  std::array<std::byte, GreStream::kMaximumFrame> frame;
  const auto header =
      wire::ppp_header_for(number(protocol), profile_.compresses_fields && may_omit_address_,
                           profile_.compresses_fields && may_omit_protocol_);
  const std::size_t size = wire::write_ppp(frame, header);
  if (frame.size() - size < information.size()) return;
  std::memcpy(frame.data() + size, information.data(), information.size());
  owner_.send_frame(Bytes(frame).first(size + information.size()));
}

void PppClient::send_packet(PppProtocol protocol, std::uint8_t code, std::uint8_t identifier,
                            Bytes data) {
  std::array<std::byte, 1600> buffer;
  send(protocol, Bytes(buffer).first(wire::write_control_packet(buffer, code, identifier, data)));
}

void PppClient::send_ipv4(Bytes packet) {
  std::array<std::byte, GreStream::kMaximumFrame> frame;
  if (packet.size() + mppe::kHeaderSize + 2 > frame.size()) return;
  if (!encrypts()) return send(PppProtocol::kIpv4, packet);
  Writer out(MutableBytes(frame).subspan(mppe::kHeaderSize));
  if (profile_.compresses_fields && may_omit_protocol_)  // fact 16: compressed inside, too
    out.write_u8(static_cast<std::uint8_t>(number(PppProtocol::kIpv4)));
  else
    out.write_u16(number(PppProtocol::kIpv4));
  out.write_bytes(packet);
  const auto sealed =
      mppe::seal(send_cipher_, MutableBytes(frame).first(mppe::kHeaderSize + out.size()));
  if (!sealed) return fail("cannot encrypt");
  send(PppProtocol::kMppe, *sealed);
}

void PppClient::skip_packets(std::uint32_t count) {
  if (!encrypts()) return;
  std::array<std::byte, mppe::kHeaderSize + 1> frame{};
  for (std::uint32_t i = 0; i < count; ++i)
    if (!mppe::seal(send_cipher_, frame)) return fail("cannot encrypt");
}

void PppClient::terminate() {
  if (stage_ == PppStage::kDead || std::exchange(over_, true)) return;
  send_packet(PppProtocol::kLcp, number(LcpCode::kTerminateRequest), ++lcp_.identifier, {});
}

// LCP Identification: fact 22.
void PppClient::identify() {
  constexpr std::array<std::string_view, 3> kTexts = {
      "MSRASV5.20", "MSRAS-0-LOADGEN", std::string_view("\x8a\x01\0\x7f\xfe\x10\0\x33", 8)};
  for (const std::string_view text : kTexts) {
    std::array<std::byte, 64> body;
    Writer out(body);
    out.write_u32(magic_);
    out.write_bytes(as_octets(text));
    send_packet(PppProtocol::kLcp, number(LcpCode::kIdentification), ++lcp_.identifier,
                out.written());
  }
}

// ---- Stages

void PppClient::advance(TimePoint now) {
  const auto reached = [this] {
    if (!lcp_.open()) return PppStage::kLcp;
    if (!authenticated_) return PppStage::kAuth;
    if (encrypts() && !ccp_.open()) return PppStage::kCcp;
    return ipcp_.open() ? PppStage::kOpen : PppStage::kIpcp;
  };
  while (!over_ && stage_ != reached()) enter(reached(), now);
}

void PppClient::enter(PppStage stage, TimePoint now) {
  const PppStage before = std::exchange(stage_, stage);
  asked_ = now;
  attempts_ = 0;
  switch (stage) {
    case PppStage::kLcp:
      // The link begins anew (RFC 1661 §3.4).
      authenticated_ = false;
      response_.clear();
      ccp_.restart();
      ipcp_.restart();
      request(lcp_, now);
      break;
    case PppStage::kAuth:
      if (profile_.identifies) identify();
      if (settings_.auth == AuthMethod::kPap) send_pap_request();
      break;
    case PppStage::kCcp:
      request(ccp_, now);
      break;
    case PppStage::kIpcp:
    case PppStage::kOpen:
      if (before == PppStage::kCcp) {
        // CCP has opened: both directions begin with their first keys before anything else is
        // sent or read.
        mppe::init(send_cipher_, send_key_.bytes(), settings_.mppe_bits, settings_.mppe_mode);
        mppe::init(receive_cipher_, receive_key_.bytes(), settings_.mppe_bits, settings_.mppe_mode);
      }
      if (stage == PppStage::kIpcp) request(ipcp_, now);
      break;
    case PppStage::kDead:
      break;
  }
  owner_.on_ppp_stage(stage, now);
}

void PppClient::on_tick(TimePoint now) {
  if (over_ || stage_ == PppStage::kDead || stage_ == PppStage::kOpen ||
      now - asked_ < settings_.restart)
    return;
  asked_ = now;
  if (++attempts_ > profile_.tries) return fail("no answer");
  ++retransmissions_;
  switch (stage_) {
    case PppStage::kLcp:
      if (!lcp_.acked_by_peer) request(lcp_, now);
      return;
    case PppStage::kAuth:
      if (settings_.auth == AuthMethod::kPap) return send_pap_request();
      return send_response();  // its Success may be lost (RFC 1994 §4.2)
    case PppStage::kCcp:
      if (!ccp_.acked_by_peer) request(ccp_, now);
      return;
    default:
      if (!ipcp_.acked_by_peer) request(ipcp_, now);
      return;
  }
}

// ---- Frames in

void PppClient::on_frame(MutableBytes frame, TimePoint now) {
  const auto parsed = wire::parse_ppp_frame(frame);
  if (!parsed) return;
  const auto protocol = static_cast<PppProtocol>(parsed->protocol);
  if (protocol == PppProtocol::kMppe)
    return on_encrypted(frame.last(parsed->information.size()), now);
  if (protocol == PppProtocol::kIpv4) {
    if (encrypts()) return fail("IPv4 in the clear");
    if (stage_ == PppStage::kOpen) owner_.on_ipv4(parsed->information, now);
    return;
  }
  const auto packet = wire::parse_control_packet(parsed->information);
  if (!packet) return;
  if (protocol == PppProtocol::kLcp) return on_lcp(*packet, now);
  if (over_ || stage_ < PppStage::kAuth) return;  // RFC 1661 §3.4
  switch (protocol) {
    case PppProtocol::kChap:
      return on_chap(*packet, now);
    case PppProtocol::kPap:
      return on_pap(*packet, now);
    case PppProtocol::kCcp:
      return on_ccp(*packet, now);
    case PppProtocol::kIpcp:
      return on_ipcp(*packet, now);
    default: {
      // Protocol-Reject (RFC 1661 §5.7).
      std::array<std::byte, 256> body;
      Writer out(body);
      out.write_u16(parsed->protocol);
      out.write_bytes(packet->whole.first(std::min(packet->whole.size(), body.size() - 2)));
      return send_packet(PppProtocol::kLcp, number(LcpCode::kProtocolReject), ++lcp_.identifier,
                         out.written());
    }
  }
}

void PppClient::on_encrypted(MutableBytes data, TimePoint now) {
  const auto inner = mppe::open(receive_cipher_, data);
  if (!inner) {
    ++undecryptable_;
    // Stateful: what follows is lost too until the sender starts afresh (RFC 3078 §8.2).
    if (inner.error() == DropReason::mppe_resync &&
        (!reset_asked_ || now - *reset_asked_ >= kResetInterval)) {
      reset_asked_ = now;
      send_packet(PppProtocol::kCcp, static_cast<std::uint8_t>(wire::CcpCode::kResetRequest),
                  ++reset_identifier_, {});
    }
    return;
  }
  const auto frame = wire::parse_ppp_frame(*inner);
  if (frame && frame->protocol == number(PppProtocol::kIpv4) && stage_ == PppStage::kOpen)
    owner_.on_ipv4(frame->information, now);
}

// ---- Configure packets

void PppClient::write_options(const Negotiation& negotiation, Writer& out) const {
  if (negotiation.protocol == PppProtocol::kCcp) return Bits{mppe_request_}.write(out);
  if (negotiation.protocol == PppProtocol::kIpcp) {
    for (const auto& option : addresses_) option.write(out);
    return;
  }
  if (mru_ != 0) wire::MaximumReceiveUnit{mru_}.write(out);
  if (asks_accm_) wire::AsyncControlCharacterMap{0}.write(out);
  if (asks_magic_) wire::MagicNumber{magic_}.write(out);
  if (asks_pfc_) wire::ProtocolFieldCompression{}.write(out);
  if (asks_acfc_) wire::AddressAndControlFieldCompression{}.write(out);
  if (asks_callback_) {
    out.write_u8(kCallbackOption);
    out.write_u8(3);
    out.write_u8(kCallbackByCbcp);
  }
}

void PppClient::request(Negotiation& negotiation, TimePoint now) {
  std::array<std::byte, 128> buffer;
  Writer options(buffer);
  write_options(negotiation, options);
  asked_ = now;
  send_packet(negotiation.protocol, number(LcpCode::kConfigureRequest), negotiation.identifier,
              options.written());
}

// Whether one option of the server's request is taken; for kNak, with what instead.
PppClient::Verdict PppClient::judge(Negotiation& negotiation, const wire::Option& option,
                                    Writer& nak) {
  if (negotiation.protocol == PppProtocol::kIpcp)
    return option.type == static_cast<std::uint8_t>(wire::IpcpOption::kIpAddress)
               ? Verdict::kAck
               : Verdict::kReject;
  if (negotiation.protocol == PppProtocol::kCcp) {
    const auto bits = Bits::parse(option.data);
    if (option.type != Bits::kType || !bits) return Verdict::kReject;
    if (bits->bits == mppe_agreement()) return Verdict::kAck;
    Bits{mppe_agreement()}.write(nak);
    return Verdict::kNak;
  }
  switch (option.type) {
    case wire::MaximumReceiveUnit::kType:
    case wire::AsyncControlCharacterMap::kType:
    case wire::MagicNumber::kType:
      return Verdict::kAck;
    case wire::ProtocolFieldCompression::kType:
      may_omit_protocol_ = true;
      return Verdict::kAck;
    case wire::AddressAndControlFieldCompression::kType:
      may_omit_address_ = true;
      return Verdict::kAck;
    case wire::AuthenticationProtocol::kType: {
      const auto wanted = option_of(settings_.auth);
      if (wire::AuthenticationProtocol::parse(option.data) == wanted) return Verdict::kAck;
      wanted.write(nak);
      return Verdict::kNak;
    }
    default:
      return Verdict::kReject;
  }
}

void PppClient::on_configure(Negotiation& negotiation, const wire::ControlPacket& packet,
                             TimePoint now) {
  switch (static_cast<LcpCode>(packet.code)) {
    case LcpCode::kConfigureRequest: {
      std::array<std::byte, 256> nak_buffer;
      std::array<std::byte, 1500> reject_buffer;
      Writer nak(nak_buffer);
      Writer reject(reject_buffer);
      wire::OptionReader options(packet.data);
      while (const auto option = options.next())
        if (judge(negotiation, *option, nak) == Verdict::kReject) reject.write_bytes(option->whole);
      if (reject.size() != 0)
        return send_packet(negotiation.protocol, number(LcpCode::kConfigureReject),
                           packet.identifier, reject.written());
      if (nak.size() != 0) {
        if (++negotiation.naks > kMaximumNaks) return fail("the server insists on other options");
        return send_packet(negotiation.protocol, number(LcpCode::kConfigureNak), packet.identifier,
                           nak.written());
      }
      // A request that we have acknowledged is told so again; another one, when all was agreed,
      // begins anew (RFC 1661 §4.1, Opened).
      if (negotiation.open() && packet.identifier != negotiation.peers_identifier) {
        negotiation.restart();
        ++negotiation.identifier;
        advance(now);
      }
      negotiation.acked_by_us = true;
      negotiation.peers_identifier = packet.identifier;
      send_packet(negotiation.protocol, number(LcpCode::kConfigureAck), packet.identifier,
                  packet.data);
      return advance(now);
    }
    case LcpCode::kConfigureAck:
      if (packet.identifier != negotiation.identifier) return;
      if (negotiation.protocol == PppProtocol::kLcp && asks_callback_)
        return fail("the server acknowledged callback");
      if (negotiation.protocol == PppProtocol::kCcp && mppe_request_ != mppe_agreement())
        return fail("the server acknowledged several encryptions");
      negotiation.acked_by_peer = true;
      return advance(now);
    case LcpCode::kConfigureNak:
    case LcpCode::kConfigureReject:
      if (packet.identifier != negotiation.identifier || negotiation.acked_by_peer) return;
      on_refused(negotiation, packet);
      if (over_) return;
      ++negotiation.identifier;
      return request(negotiation, now);
    default:
      return;
  }
}

// Configure-Nak or Configure-Reject: what the next request is to hold.
void PppClient::on_refused(Negotiation& negotiation, const wire::ControlPacket& packet) {
  const bool rejected = packet.code == number(LcpCode::kConfigureReject);
  wire::OptionReader options(packet.data);
  while (const auto option = options.next()) {
    if (negotiation.protocol == PppProtocol::kCcp) {
      if (option->type != Bits::kType) continue;
      const auto bits = Bits::parse(option->data);
      if (rejected || !bits || (bits->bits & mppe_agreement()) != mppe_agreement())
        return fail("the server refuses this encryption");
      mppe_request_ = mppe_agreement();
    } else if (negotiation.protocol == PppProtocol::kIpcp) {
      const auto type = static_cast<wire::IpcpOption>(option->type);
      if (rejected && type == wire::IpcpOption::kIpAddress)
        return fail("the server gives no address");
      if (rejected) std::erase_if(addresses_, [type](const auto& a) { return a.type == type; });
      const auto offered = wire::AddressOption::parse(*option);
      for (auto& asked : addresses_)
        if (offered && asked.type == type) asked.address = offered->address;
      if (offered && type == wire::IpcpOption::kIpAddress) address_ = offered->address;
    } else if (rejected) {
      switch (option->type) {
        case wire::MaximumReceiveUnit::kType:
          mru_ = 0;
          break;
        case wire::AsyncControlCharacterMap::kType:
          asks_accm_ = false;
          break;
        case wire::MagicNumber::kType:
          asks_magic_ = false;
          break;
        case wire::ProtocolFieldCompression::kType:
          asks_pfc_ = false;
          break;
        case wire::AddressAndControlFieldCompression::kType:
          asks_acfc_ = false;
          break;
        case kCallbackOption:
          asks_callback_ = false;
          break;
        default:
          break;
      }
    } else if (option->type == kCallbackOption) {
      fail("the server negotiates callback");
    } else if (option->type == wire::MagicNumber::kType) {
      magic_ = random_.next_u32() | 1;
    } else if (const auto mru = wire::MaximumReceiveUnit::parse(option->data);
               option->type == wire::MaximumReceiveUnit::kType && mru) {
      mru_ = mru->octets;
    }
  }
}

void PppClient::on_lcp(const wire::ControlPacket& packet, TimePoint now) {
  switch (static_cast<LcpCode>(packet.code)) {
    case LcpCode::kEchoRequest: {
      std::array<std::byte, 4> body;
      Writer out(body);
      out.write_u32(magic_);
      ++echoes_answered_;
      return send_packet(PppProtocol::kLcp, number(LcpCode::kEchoReply), packet.identifier, body);
    }
    case LcpCode::kTerminateRequest:
      send_packet(PppProtocol::kLcp, number(LcpCode::kTerminateAck), packet.identifier, {});
      over_ = true;
      return owner_.on_ppp_terminated(true, now);
    case LcpCode::kTerminateAck:
      if (over_) owner_.on_ppp_terminated(false, now);
      return;
    case LcpCode::kProtocolReject: {
      const auto reject = wire::ProtocolReject::parse(packet.data);
      if (reject && reject->rejected_protocol == number(PppProtocol::kCcp) && encrypts())
        fail("the server does not encrypt");
      return;
    }
    default:
      if (!over_) on_configure(lcp_, packet, now);
  }
}

// ---- Authentication

void PppClient::send_pap_request() {
  std::array<std::byte, 600> data;
  Writer out(data);
  wire::PapRequest{as_octets(settings_.user), as_octets(settings_.password)}.write(out);
  send_packet(PppProtocol::kPap, number(wire::PapCode::kAuthenticateRequest), 1, out.written());
}

void PppClient::on_pap(const wire::ControlPacket& packet, TimePoint now) {
  if (settings_.auth != AuthMethod::kPap || stage_ != PppStage::kAuth) return;
  if (packet.code == number(wire::PapCode::kAuthenticateNak)) return fail("authentication refused");
  if (packet.code != number(wire::PapCode::kAuthenticateAck)) return;
  authenticated_ = true;
  advance(now);
}

void PppClient::on_challenge(const wire::ControlPacket& packet, TimePoint) {
  const auto challenge = wire::ChapValue::parse(packet.data);
  if (!challenge) return fail("malformed challenge");
  // A Challenge that is repeated gets the Response to the first one: its Success may be on the way.
  if (!response_.empty() && packet.identifier == challenge_identifier_) return send_response();
  const auto hash = crypto::nt_password_hash(settings_.password);
  if (!hash) return fail("password is not UTF-8");
  challenge_identifier_ = packet.identifier;
  std::array<std::byte, 49> value;
  Writer out(value);
  if (settings_.auth == AuthMethod::kChapMd5) {
    const std::byte identifier{packet.identifier};
    out.write_bytes(
        crypto::md5({Bytes(&identifier, 1), as_octets(settings_.password), challenge->value}));
  } else if (settings_.auth == AuthMethod::kMsChapV1) {
    if (challenge->value.size() != 8) return fail("malformed challenge");
    std::ranges::copy(challenge->value, challenge_.begin());
    nt_response_ =
        crypto::challenge_response(std::span<const std::byte, 8>(challenge_.data(), 8), *hash);
    wire::MsChapV1Response{nt_response_, true}.write(out);
  } else {
    if (challenge->value.size() != challenge_.size()) return fail("malformed challenge");
    std::ranges::copy(challenge->value, challenge_.begin());
    random_.fill(peer_challenge_);
    nt_response_ = crypto::generate_nt_response(challenge_, peer_challenge_,
                                                crypto::user_without_domain(settings_.user), *hash);
    wire::MsChapV2Response{peer_challenge_, nt_response_}.write(out);
  }
  response_.resize(400);
  Writer data(response_);
  wire::ChapValue{out.written(), as_octets(settings_.user)}.write(data);
  response_.resize(data.size());
  send_response();
}

void PppClient::send_response() {
  if (response_.empty()) return;  // the server asks (again)
  send_packet(PppProtocol::kChap, number(wire::ChapCode::kResponse), challenge_identifier_,
              response_);
}

void PppClient::on_chap(const wire::ControlPacket& packet, TimePoint now) {
  if (settings_.auth == AuthMethod::kPap) return;
  if (packet.code == number(wire::ChapCode::kChallenge)) return on_challenge(packet, now);
  if (stage_ != PppStage::kAuth || packet.identifier != challenge_identifier_) return;
  if (packet.code == number(wire::ChapCode::kFailure)) return fail("authentication refused");
  if (packet.code != number(wire::ChapCode::kSuccess)) return;
  if (settings_.auth == AuthMethod::kMsChapV2) {
    const std::string_view text(reinterpret_cast<const char*>(packet.data.data()),
                                packet.data.size());
    const auto hash = crypto::nt_password_hash(settings_.password);
    if (text.size() < 42 || !crypto::check_authenticator_response(
                                *hash, nt_response_, peer_challenge_, challenge_,
                                crypto::user_without_domain(settings_.user), text.substr(0, 42)))
      return fail("authenticator response is wrong");
  }
  derive_keys();
  if (over_) return;
  authenticated_ = true;
  advance(now);
}

// RFC 3079: §3 for MS-CHAPv2, §2 for MS-CHAPv1, whose key is the same for both directions.
void PppClient::derive_keys() {
  if (!encrypts()) return;
  const auto hash = crypto::nt_password_hash(settings_.password);
  const auto hash_hash = crypto::hash_nt_password_hash(*hash);
  if (settings_.auth == AuthMethod::kMsChapV2) {
    const auto master = crypto::get_master_key(hash_hash.bytes(), nt_response_);
    send_key_ = crypto::get_asymmetric_start_key(master.bytes(), settings_.mppe_bits,
                                                 crypto::KeyDirection::kServerReceive);
    receive_key_ = crypto::get_asymmetric_start_key(master.bytes(), settings_.mppe_bits,
                                                    crypto::KeyDirection::kServerSend);
    return;
  }
  if (settings_.mppe_bits == 128) {
    send_key_ = crypto::get_start_key(std::span<const std::byte, 8>(challenge_.data(), 8),
                                      hash_hash.bytes());
  } else {
    const auto lm_hash = crypto::lm_password_hash(settings_.password);
    if (!lm_hash) return fail("password has no LM hash");
    std::ranges::copy(lm_hash->bytes().first(8), send_key_.bytes().begin());
  }
  receive_key_ = send_key_;
}

// ---- CCP and IPCP

void PppClient::on_ccp(const wire::ControlPacket& packet, TimePoint now) {
  if (!encrypts()) {
    // As pppd does with noccp.
    std::array<std::byte, 256> body;
    Writer out(body);
    out.write_u16(number(PppProtocol::kCcp));
    out.write_bytes(packet.whole.first(std::min(packet.whole.size(), body.size() - 2)));
    return send_packet(PppProtocol::kLcp, number(LcpCode::kProtocolReject), ++lcp_.identifier,
                       out.written());
  }
  if (packet.code == static_cast<std::uint8_t>(wire::CcpCode::kResetRequest))
    return mppe::request_flush(send_cipher_);
  if (packet.code == number(LcpCode::kTerminateRequest)) return fail("the server terminated CCP");
  if (stage_ >= PppStage::kCcp) on_configure(ccp_, packet, now);
}

void PppClient::on_ipcp(const wire::ControlPacket& packet, TimePoint now) {
  // Encryption first: as pppd does with require-mppe.
  if (stage_ < PppStage::kIpcp && packet.code == number(LcpCode::kConfigureRequest))
    return send_packet(PppProtocol::kIpcp, number(LcpCode::kTerminateAck), packet.identifier, {});
  if (packet.code == number(LcpCode::kTerminateRequest)) return fail("the server terminated IPCP");
  on_configure(ipcp_, packet, now);
}

}  // namespace pns::loadgen
