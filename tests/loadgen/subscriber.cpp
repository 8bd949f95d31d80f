// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/subscriber.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "pns/crypto/mppe_keys.hpp"
#include "pns/crypto/mschap.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/gre.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::loadgen {

using wire::LcpCode;
using wire::PppProtocol;

namespace {

constexpr auto kAnswerTime = std::chrono::seconds(1);
constexpr unsigned kMaxAttempts = 10;
constexpr std::size_t kPingPayload = 64;
constexpr std::size_t kMaxEarly = 16;
constexpr std::uint16_t kPingIdentifier = 0x504e;

constexpr std::uint16_t number(PppProtocol protocol) noexcept {
  return static_cast<std::uint16_t>(protocol);
}
constexpr std::uint8_t number(LcpCode code) noexcept { return static_cast<std::uint8_t>(code); }

// RFC 1071 over a whole buffer.
std::uint16_t checksum(Bytes data) noexcept {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); ++i)
    sum += std::to_integer<std::uint32_t>(data[i]) << (i % 2 == 0 ? 8 : 0);
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

std::string_view name_of(Stage stage) noexcept {
  constexpr std::array<std::string_view, 12> kNames = {"connect", "start",   "call", "lcp",
                                                       "auth",    "ccp",     "ipcp", "ping",
                                                       "up",      "closing", "done", "failed"};
  return kNames[static_cast<std::size_t>(stage)];
}

Subscriber::Subscriber(const SubscriberSettings& settings, std::uint16_t call_id,
                       RandomSource& random, Wire wire)
    : settings_(settings),
      random_(random),
      wire_(std::move(wire)),
      call_id_(call_id),
      next_sequence_(settings.first_sequence) {
  magic_ = random_.next_u32() | 1;
}

void Subscriber::fail(std::string why) {
  if (stage_ == Stage::kFailed || stage_ == Stage::kDone) return;
  failure_ = std::string(name_of(stage_)) + ": " + std::move(why);
  stage_ = Stage::kFailed;
}

void Subscriber::enter(Stage stage, TimePoint now) {
  stage_ = stage;
  asked_ = now;
  attempts_ = 0;
}

void Subscriber::send_control(const wire::pptp::Message& message) {
  std::array<std::byte, wire::pptp::kLongestMessage> buffer;
  wire_.control(Bytes(buffer).first(wire::pptp::write_message(buffer, message)));
}

void Subscriber::on_connected(TimePoint now) {
  started_ = now;
  enter(Stage::kStart, now);
  wire::pptp::StartControlConnectionRequest start;
  start.framing_capabilities = wire::pptp::kFramingAsync | wire::pptp::kFramingSync;
  start.bearer_capabilities = wire::pptp::kBearerAnalog | wire::pptp::kBearerDigital;
  start.host_name = wire::pptp::to_text<64>("loadgen");
  start.vendor_name = wire::pptp::to_text<64>("loadgen");
  send_control(start);
}

void Subscriber::on_control(const wire::pptp::Message& message, TimePoint now) {
  if (const auto* reply = std::get_if<wire::pptp::StartControlConnectionReply>(&message)) {
    if (stage_ != Stage::kStart) return fail("unasked Start-Reply");
    if (reply->result_code != 1)
      return fail("Start-Reply result " + std::to_string(reply->result_code));
    first_answer_ = now - started_;
    enter(Stage::kCall, now);
    wire::pptp::OutgoingCallRequest call;
    call.call_id = call_id_;
    call.minimum_bps = 2400;
    call.maximum_bps = 1'000'000'000;
    call.bearer_type = 3;
    call.framing_type = 3;
    call.packet_recv_window_size = 64;
    send_control(call);
  } else if (const auto* answer = std::get_if<wire::pptp::OutgoingCallReply>(&message)) {
    if (stage_ != Stage::kCall) return fail("unasked Outgoing-Call-Reply");
    if (answer->result_code != 1 || answer->peers_call_id != call_id_)
      return fail("Outgoing-Call-Reply result " + std::to_string(answer->result_code) + " error " +
                  std::to_string(answer->error_code));
    server_call_id_ = answer->call_id;
    enter(Stage::kLcp, now);
    request(number(PppProtocol::kLcp), now);
    for (const auto& packet : std::exchange(early_, {})) on_gre(packet, now);
  } else if (const auto* echo = std::get_if<wire::pptp::EchoRequest>(&message)) {
    wire::pptp::EchoReply echo_reply;
    echo_reply.identifier = echo->identifier;
    echo_reply.result_code = 1;
    send_control(echo_reply);
  } else if (std::holds_alternative<wire::pptp::CallDisconnectNotify>(message)) {
    if (stage_ == Stage::kClosing)
      stage_ = Stage::kDone;
    else
      fail("the server ended the call");
  } else if (std::holds_alternative<wire::pptp::StopControlConnectionRequest>(message)) {
    wire::pptp::StopControlConnectionReply stop;
    stop.result_code = 1;
    send_control(stop);
  }
}

void Subscriber::on_closed(TimePoint) {
  if (stage_ == Stage::kClosing)
    stage_ = Stage::kDone;
  else
    fail("connection closed");
}

void Subscriber::hang_up(TimePoint now) {
  if (stage_ == Stage::kFailed || stage_ == Stage::kDone) return;
  enter(Stage::kClosing, now);
  wire::pptp::CallClearRequest clear;
  clear.call_id = call_id_;
  send_control(clear);
}

void Subscriber::send_gre(Bytes frame) {
  std::array<std::byte, 2048> buffer;
  wire::GreHeader header;
  header.call_id = server_call_id_;
  header.payload_length = static_cast<std::uint16_t>(frame.size());
  header.has_sequence = true;
  header.sequence = next_sequence_++;
  header.has_ack = highest_received_.has_value();
  header.ack = highest_received_.value_or(0);
  const std::size_t size = wire::write_gre(buffer, header);
  std::memcpy(buffer.data() + size, frame.data(), frame.size());
  wire_.gre(Bytes(buffer).first(size + frame.size()));
}

void Subscriber::send_frame(std::uint16_t protocol, Bytes information) {
  std::array<std::byte, 2048> buffer;
  Writer out(buffer);
  out.write_u8(wire::kPppAddress);
  out.write_u8(wire::kPppControl);
  out.write_u16(protocol);
  out.write_bytes(information);
  send_gre(out.written());
}

void Subscriber::send_packet(std::uint16_t protocol, std::uint8_t code, std::uint8_t identifier,
                             Bytes data) {
  std::array<std::byte, 1600> buffer;
  send_frame(protocol,
             Bytes(buffer).first(wire::write_control_packet(buffer, code, identifier, data)));
}

// Configure-Request of one protocol.
void Subscriber::request(std::uint16_t protocol, TimePoint now) {
  std::array<std::byte, 64> buffer;
  Writer options(buffer);
  if (protocol == number(PppProtocol::kLcp))
    wire::MagicNumber{magic_}.write(options);
  else if (protocol == number(PppProtocol::kCcp))
    wire::MppeSupportedBits{wire::MppeSupportedBits::kStateless | wire::MppeSupportedBits::k128}
        .write(options);
  else
    wire::AddressOption{wire::IpcpOption::kIpAddress, address_}.write(options);
  asked_ = now;
  send_packet(protocol, number(LcpCode::kConfigureRequest), identifier_, options.written());
}

void Subscriber::on_gre(Bytes packet, TimePoint now) {
  const auto header = wire::parse_gre(packet);
  if (!header || header->payload_length == 0) return;
  if (stage_ < Stage::kLcp) {
    // As a raw socket does: what overtook the Reply waits for it.
    if (early_.size() < kMaxEarly) early_.emplace_back(packet.begin(), packet.end());
    return;
  }
  // Old and repeated packets are not delivered.
  if (highest_received_ && static_cast<std::int32_t>(header->sequence - *highest_received_) <= 0)
    return;
  highest_received_ = header->sequence;
  std::array<std::byte, 2048> frame;
  const Bytes payload = packet.subspan(header->size(), header->payload_length);
  if (payload.size() > frame.size()) return;
  std::memcpy(frame.data(), payload.data(), payload.size());
  on_frame(MutableBytes(frame).first(payload.size()), now);
}

void Subscriber::on_frame(MutableBytes frame, TimePoint now) {
  const auto parsed = wire::parse_ppp_frame(frame);
  if (!parsed) return;
  switch (static_cast<PppProtocol>(parsed->protocol)) {
    case PppProtocol::kLcp:
      return on_lcp(parsed->information, now);
    case PppProtocol::kChap:
      return on_chap(parsed->information, now);
    case PppProtocol::kCcp:
      return on_ccp(parsed->information, now);
    case PppProtocol::kIpcp:
      return on_ipcp(parsed->information, now);
    case PppProtocol::kMppe: {
      const auto inner = mppe::open(receive_cipher_, frame.last(parsed->information.size()));
      if (!inner) return fail("cannot decrypt: " + std::string(pns::name_of(inner.error())));
      const auto data = wire::parse_ppp_frame(*inner);
      if (data && data->protocol == number(PppProtocol::kIpv4)) on_ipv4(data->information, now);
      return;
    }
    case PppProtocol::kIpv4:
      return fail("IPv4 in the clear");
    default:
      return;
  }
}

void Subscriber::on_lcp(Bytes information, TimePoint now) {
  const auto packet = wire::parse_control_packet(information);
  if (!packet) return;
  switch (static_cast<LcpCode>(packet->code)) {
    case LcpCode::kConfigureRequest:
      send_packet(number(PppProtocol::kLcp), number(LcpCode::kConfigureAck), packet->identifier,
                  packet->data);
      lcp_acked_by_us_ = true;
      break;
    case LcpCode::kConfigureAck:
      lcp_acked_by_peer_ = true;
      break;
    case LcpCode::kEchoRequest: {
      std::array<std::byte, 4> body;
      Writer out(body);
      out.write_u32(magic_);
      send_packet(number(PppProtocol::kLcp), number(LcpCode::kEchoReply), packet->identifier, body);
      return;
    }
    case LcpCode::kTerminateRequest:
      send_packet(number(PppProtocol::kLcp), number(LcpCode::kTerminateAck), packet->identifier,
                  {});
      if (stage_ != Stage::kClosing) fail("the server terminated LCP");
      return;
    case LcpCode::kConfigureNak:
    case LcpCode::kConfigureReject:
      return fail("LCP options refused");
    default:
      return;
  }
  if (stage_ == Stage::kLcp && lcp_acked_by_us_ && lcp_acked_by_peer_) enter(Stage::kAuth, now);
}

void Subscriber::on_chap(Bytes information, TimePoint now) {
  const auto packet = wire::parse_control_packet(information);
  if (!packet) return;
  const auto hash = crypto::nt_password_hash(settings_.password);
  if (!hash) return fail("password is not UTF-8");
  if (packet->code == static_cast<std::uint8_t>(wire::ChapCode::kChallenge)) {
    const auto challenge = wire::ChapValue::parse(packet->data);
    if (!challenge || challenge->value.size() != challenge_.size())
      return fail("malformed challenge");
    std::ranges::copy(challenge->value, challenge_.begin());
    random_.fill(peer_challenge_);
    nt_response_ = crypto::generate_nt_response(challenge_, peer_challenge_, settings_.user, *hash);
    std::array<std::byte, 49> value;
    Writer response(value);
    wire::MsChapV2Response{peer_challenge_, nt_response_}.write(response);
    std::array<std::byte, 400> data;
    Writer out(data);
    wire::ChapValue{value, as_octets(settings_.user)}.write(out);
    send_packet(number(PppProtocol::kChap), static_cast<std::uint8_t>(wire::ChapCode::kResponse),
                packet->identifier, out.written());
  } else if (packet->code == static_cast<std::uint8_t>(wire::ChapCode::kSuccess)) {
    const std::string_view text(reinterpret_cast<const char*>(packet->data.data()),
                                packet->data.size());
    if (stage_ != Stage::kAuth) return;
    if (text.size() < 42 ||
        !crypto::check_authenticator_response(*hash, nt_response_, peer_challenge_, challenge_,
                                              settings_.user, text.substr(0, 42)))
      return fail("authenticator response is wrong");
    // Both directions are armed before anything of the network phase is sent or read.
    const auto master =
        crypto::get_master_key(crypto::hash_nt_password_hash(*hash).bytes(), nt_response_);
    const auto to_server =
        crypto::get_asymmetric_start_key(master.bytes(), 128, crypto::KeyDirection::kServerReceive);
    const auto from_server =
        crypto::get_asymmetric_start_key(master.bytes(), 128, crypto::KeyDirection::kServerSend);
    mppe::init(send_cipher_, to_server.bytes(), 128, mppe::Mode::kStateless);
    mppe::init(receive_cipher_, from_server.bytes(), 128, mppe::Mode::kStateless);
    enter(Stage::kCcp, now);
    request(number(PppProtocol::kCcp), now);
  } else if (packet->code == static_cast<std::uint8_t>(wire::ChapCode::kFailure)) {
    fail("authentication refused");
  }
}

void Subscriber::on_ccp(Bytes information, TimePoint now) {
  const auto packet = wire::parse_control_packet(information);
  if (!packet) return;
  switch (static_cast<LcpCode>(packet->code)) {
    case LcpCode::kConfigureRequest:
      send_packet(number(PppProtocol::kCcp), number(LcpCode::kConfigureAck), packet->identifier,
                  packet->data);
      ccp_acked_by_us_ = true;
      break;
    case LcpCode::kConfigureAck:
      ccp_acked_by_peer_ = true;
      break;
    case LcpCode::kConfigureNak:
    case LcpCode::kConfigureReject:
      return fail("CCP options refused");
    case LcpCode::kTerminateRequest:
      return fail("the server terminated CCP");
    default:
      return;
  }
  if (stage_ == Stage::kCcp && ccp_acked_by_us_ && ccp_acked_by_peer_) {
    enter(Stage::kIpcp, now);
    request(number(PppProtocol::kIpcp), now);
  }
}

void Subscriber::on_ipcp(Bytes information, TimePoint now) {
  const auto packet = wire::parse_control_packet(information);
  if (!packet) return;
  switch (static_cast<LcpCode>(packet->code)) {
    case LcpCode::kConfigureRequest:
      // Encryption first: as pppd does with require-mppe.
      if (stage_ < Stage::kIpcp)
        return send_packet(number(PppProtocol::kIpcp), number(LcpCode::kTerminateAck),
                           packet->identifier, {});
      send_packet(number(PppProtocol::kIpcp), number(LcpCode::kConfigureAck), packet->identifier,
                  packet->data);
      ipcp_acked_by_us_ = true;
      break;
    case LcpCode::kConfigureNak: {
      wire::OptionReader options(packet->data);
      while (const auto option = options.next())
        if (const auto address = wire::AddressOption::parse(*option)) address_ = address->address;
      ++identifier_;
      return request(number(PppProtocol::kIpcp), now);
    }
    case LcpCode::kConfigureAck:
      ipcp_acked_by_peer_ = true;
      break;
    case LcpCode::kConfigureReject:
      return fail("IPCP options refused");
    default:
      return;
  }
  if (stage_ == Stage::kIpcp && ipcp_acked_by_us_ && ipcp_acked_by_peer_) {
    if (settings_.ping.is_unspecified()) return up(now);
    enter(Stage::kPing, now);
    send_ping(now);
  }
}

void Subscriber::up(TimePoint now) {
  if (!set_up_) set_up_ = now - started_;
  if (stage_ == Stage::kPing || stage_ == Stage::kIpcp) enter(Stage::kUp, now);
}

void Subscriber::send_ping(TimePoint now) {
  asked_ = now;
  ++pings_sent_;
  // Room for the MPPE header, then protocol and packet.
  std::array<std::byte, mppe::kHeaderSize + 2 + 28 + kPingPayload> frame;
  Writer out(MutableBytes(frame).subspan(mppe::kHeaderSize));
  out.write_u16(number(PppProtocol::kIpv4));
  const std::size_t ip = out.size();
  out.write_u16(0x4500);
  out.write_u16(static_cast<std::uint16_t>(28 + kPingPayload));
  out.write_u32(0);
  out.write_u16(0x4001);  // TTL 64, ICMP
  out.write_u16(0);
  out.write_u32(address_.value);
  out.write_u32(settings_.ping.value);
  const std::size_t icmp = out.size();
  out.write_u16(0x0800);
  out.write_u16(0);
  out.write_u16(kPingIdentifier);
  out.write_u16(static_cast<std::uint16_t>(pings_sent_));
  for (std::size_t i = 0; i < kPingPayload; ++i)
    out.write_u8(static_cast<std::uint8_t>(i + call_id_));
  out.patch_u16(icmp + 2, checksum(out.written().subspan(icmp)));
  out.patch_u16(ip + 10, checksum(out.written().subspan(ip, 20)));
  const auto sealed = mppe::seal(send_cipher_, frame);
  if (!sealed) return fail("cannot encrypt");
  send_frame(number(PppProtocol::kMppe), *sealed);
}

void Subscriber::on_ipv4(Bytes packet, TimePoint now) {
  Reader in(packet);
  const auto version = in.read_u8();
  in.skip(8);
  const auto protocol = in.read_u8();
  in.skip(2);
  const Ipv4Address source(in.read_u32());
  const Ipv4Address destination(in.read_u32());
  const auto type = in.read_u8();
  in.skip(3);
  const auto identifier = in.read_u16();
  if (!in.ok() || version != 0x45 || protocol != 1 || type != 0 || identifier != kPingIdentifier ||
      source != settings_.ping || destination != address_)
    return;
  in.skip(2);
  const Bytes payload = in.read_rest();
  for (std::size_t i = 0; i < kPingPayload; ++i)
    if (payload.size() != kPingPayload ||
        payload[i] != static_cast<std::byte>(static_cast<std::uint8_t>(i + call_id_)))
      return fail("an answer came back damaged");
  ++pings_answered_;
  if (stage_ != Stage::kPing) return;
  if (pings_answered_ >= settings_.pings) return up(now);
  send_ping(now);
}

void Subscriber::on_tick(TimePoint now) {
  if (stage_ == Stage::kUp || stage_ == Stage::kDone || stage_ == Stage::kFailed ||
      stage_ == Stage::kConnect || now - asked_ < kAnswerTime)
    return;
  asked_ = now;
  if (++attempts_ > kMaxAttempts) return fail("no answer");
  switch (stage_) {
    case Stage::kLcp:
      ++retransmissions_;
      if (!lcp_acked_by_peer_) request(number(PppProtocol::kLcp), now);
      return;
    case Stage::kAuth:
      ++retransmissions_;
      return;  // the server asks again
    case Stage::kCcp:
      ++retransmissions_;
      return request(number(PppProtocol::kCcp), now);
    case Stage::kIpcp:
      ++retransmissions_;
      return request(number(PppProtocol::kIpcp), now);
    case Stage::kPing:
      ++retransmissions_;
      return send_ping(now);
    default:
      return;
  }
}

}  // namespace pns::loadgen
