// SPDX-License-Identifier: BSD-3-Clause
//
// Helpers to make PPP frames and to look into what a ppp::Link asks for.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "controlplane/model/link_actions.hpp"
#include "pns/wire/ppp_control.hpp"
#include "tests/support/octets.hpp"

namespace pns::test {

inline constexpr std::uint16_t kLcp = 0xc021;
inline constexpr std::uint16_t kPap = 0xc023;
inline constexpr std::uint16_t kChap = 0xc223;
inline constexpr std::uint16_t kEap = 0xc227;
inline constexpr std::uint16_t kCcp = 0x80fd;
inline constexpr std::uint16_t kIpcp = 0x8021;
inline constexpr std::uint16_t kIpv6cp = 0x8057;
inline constexpr std::uint16_t kIpv6 = 0x0057;

enum Code : std::uint8_t {
  kConfReq = 1,
  kConfAck,
  kConfNak,
  kConfRej,
  kTermReq,
  kTermAck,
  kCodeRej,
  kProtRej,
  kEchoReq,
  kEchoRep,
  kDiscReq,
  kIdent,
};
enum ChapPacket : std::uint8_t {
  kChallenge = 1,
  kResponse,
  kSuccess,
  kFailure,
  kChangePassword = 7,
};
enum PapPacket : std::uint8_t { kAuthReq = 1, kAuthAck, kAuthNak };
enum EapPacket : std::uint8_t { kEapRequest = 1, kEapResponse, kEapSuccess, kEapFailure };

struct Packet {
  std::uint16_t protocol = 0;
  std::uint8_t code = 0;
  std::uint8_t identifier = 0;
  Octets data;
  friend bool operator==(const Packet&, const Packet&) = default;
};

inline std::string to_string(const Packet& p) {
  return std::to_string(p.protocol) + " code " + std::to_string(p.code) + " id " +
         std::to_string(p.identifier) + " " + hex(p.data);
}

// FF 03, protocol, code, identifier, length, data.
inline Octets frame(std::uint16_t protocol, std::uint8_t code, std::uint8_t identifier,
                    Bytes data = {}) {
  Octets out(8 + data.size());
  Writer writer(out);
  writer.write_u16(0xff03);
  writer.write_u16(protocol);
  writer.write_u8(code);
  writer.write_u8(identifier);
  writer.write_u16(static_cast<std::uint16_t>(4 + data.size()));
  writer.write_bytes(data);
  return out;
}
inline Octets frame(std::uint16_t protocol, std::uint8_t code, std::uint8_t identifier,
                    std::string_view data_hex) {
  return frame(protocol, code, identifier, octets(data_hex));
}
inline Octets frame(const Packet& p) { return frame(p.protocol, p.code, p.identifier, p.data); }

// A Router Advertisement, the only network data that a link sends.
inline bool is_ipv6(Bytes whole_frame) {
  return whole_frame.size() > 44 && hex(whole_frame.first(4)) == "ff030057";
}

// A frame of ours: it must begin with FF 03 and hold one whole packet and nothing else.
inline std::optional<Packet> parse(Bytes whole_frame) {
  Reader reader(whole_frame);
  if (reader.read_u16() != 0xff03) return std::nullopt;
  Packet out;
  out.protocol = reader.read_u16();
  out.code = reader.read_u8();
  out.identifier = reader.read_u8();
  if (reader.read_u16() != whole_frame.size() - 4) return std::nullopt;
  if (!reader.ok()) return std::nullopt;
  out.data = to_octets(reader.read_rest());
  return out;
}

inline bool is_packet(Bytes whole_frame, std::uint16_t protocol, std::uint8_t code) {
  const auto packet = parse(whole_frame);
  return packet && packet->protocol == protocol && packet->code == code;
}

// Every packet that the actions send, in order.
inline std::vector<Packet> packets(const model::LinkActions& actions) {
  std::vector<Packet> out;
  for (const auto& action : actions)
    if (const auto* send = std::get_if<model::SendFrame>(&action))
      if (!is_ipv6(send->frame)) out.push_back(parse(send->frame).value());
  return out;
}

// The packets of one protocol and code.
inline std::vector<Packet> packets(const model::LinkActions& actions, std::uint16_t protocol,
                                   std::uint8_t code) {
  std::vector<Packet> out;
  for (Packet& packet : packets(actions))
    if (packet.protocol == protocol && packet.code == code) out.push_back(std::move(packet));
  return out;
}

// The only packet of that protocol and code; fails the test (by an exception) when there is none or
// more than one.
inline Packet packet(const model::LinkActions& actions, std::uint16_t protocol, std::uint8_t code) {
  auto found = packets(actions, protocol, code);
  if (found.size() != 1)
    throw std::runtime_error("expected one packet, found " + std::to_string(found.size()));
  return std::move(found[0]);
}

template <class Action>
const Action* find(const model::LinkActions& actions) {
  for (const auto& action : actions)
    if (const auto* found = std::get_if<Action>(&action)) return found;
  return nullptr;
}

// Position of the first action of a type; the number of actions when there is none.
template <class Action>
std::size_t position(const model::LinkActions& actions) {
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (std::holds_alternative<Action>(actions[i])) return i;
  return actions.size();
}
inline std::size_t position(const model::LinkActions& actions, std::uint16_t protocol,
                            std::uint8_t code) {
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (const auto* send = std::get_if<model::SendFrame>(&actions[i])) {
      const auto packet = parse(send->frame);
      if (packet && packet->protocol == protocol && packet->code == code) return i;
    }
  return actions.size();
}

inline std::optional<EndReason> ended(const model::LinkActions& actions) {
  const auto* end = find<model::LinkEnded>(actions);
  return end == nullptr ? std::nullopt : std::optional(end->reason);
}

// The data of the option of that type; empty when there is none.
inline std::optional<Octets> option(const Octets& options, std::uint8_t type) {
  wire::OptionReader reader(options);
  while (const auto found = reader.next())
    if (found->type == type) return to_octets(found->data);
  return std::nullopt;
}

}  // namespace pns::test
