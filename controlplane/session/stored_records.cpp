// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/session/stored_records.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "pns/contract/build_contract.hpp"

namespace pns::session {
namespace {

using nlohmann::json;

// Texts of peers may hold any octet; CBOR's byte strings keep them as they are.
json octets(std::string_view text) {
  return json::binary(std::vector<std::uint8_t>(text.begin(), text.end()));
}
std::string text_of(const json& value) {
  const auto& binary = value.get_binary();
  return {binary.begin(), binary.end()};
}

// Throws when it is no unsigned integer, or too large for the field.
template <class Number>
Number number_of(const json& value) {
  if (!value.is_number_unsigned()) throw std::out_of_range("not an unsigned integer");
  const auto number = value.get<std::uint64_t>();
  if (number > std::numeric_limits<Number>::max()) throw std::out_of_range("number");
  return static_cast<Number>(number);
}
Ipv4Address address_of(const json& value) { return Ipv4Address(number_of<std::uint32_t>(value)); }

// Throws when the number is above that of `last`.
template <class Enum>
Enum enum_of(const json& value, Enum last) {
  const auto number = number_of<unsigned>(value);
  if (number > static_cast<unsigned>(last)) throw std::out_of_range("enumerator");
  return static_cast<Enum>(number);
}

json to_json(const StoredConnection& c) {
  json calls = json::array();
  for (const auto& call : c.machine.calls)
    calls.push_back(
        {call.our_call_id.value, call.peer_call_id ? json(call.peer_call_id->value) : json(nullptr),
         call.serial_number, static_cast<unsigned>(call.kind), static_cast<unsigned>(call.state)});
  json offers = json::array();
  for (const auto& offer : c.machine.offers)
    offers.push_back({offer.peer_call_id.value, offer.serial_number, offer.peer_window,
                      offer.maximum_bps, static_cast<unsigned>(offer.kind)});
  return {{"version", contract::kStoreVersion},
          {"id", c.id.value},
          {"local", c.local.value},
          {"peer", c.peer.value},
          {"peer_port", c.peer_port},
          {"opened_ns", c.opened_ns},
          {"handled_up_to", c.handled_up_to},
          {"host", octets(c.machine.peer_host_name)},
          {"vendor", octets(c.machine.peer_vendor_name)},
          {"firmware", c.machine.peer_firmware_revision},
          {"next_echo", c.machine.next_echo_identifier},
          {"originated", c.machine.originated},
          {"calls", calls},
          {"offers", offers}};
}

StoredConnection connection_from(const json& j) {
  StoredConnection c;
  c.id = ConnectionId(number_of<std::uint64_t>(j.at("id")));
  c.local = address_of(j.at("local"));
  c.peer = address_of(j.at("peer"));
  c.peer_port = number_of<std::uint16_t>(j.at("peer_port"));
  c.opened_ns = number_of<std::uint64_t>(j.at("opened_ns"));
  c.handled_up_to = number_of<std::uint64_t>(j.at("handled_up_to"));
  c.machine.peer_host_name = text_of(j.at("host"));
  c.machine.peer_vendor_name = text_of(j.at("vendor"));
  c.machine.peer_firmware_revision = number_of<std::uint16_t>(j.at("firmware"));
  c.machine.next_echo_identifier = number_of<std::uint32_t>(j.at("next_echo"));
  c.machine.originated = j.at("originated").get<bool>();
  for (const auto& call : j.at("calls")) {
    pptp::ConnectionSnapshot::KnownCall known;
    known.our_call_id = OurCallId(number_of<std::uint16_t>(call.at(0)));
    if (!call.at(1).is_null())
      known.peer_call_id = PeerCallId(number_of<std::uint16_t>(call.at(1)));
    known.serial_number = number_of<std::uint16_t>(call.at(2));
    known.kind = enum_of<model::CallKind>(call.at(3), model::CallKind::kAnnounced);
    known.state = enum_of<pptp::CallState>(call.at(4), pptp::CallState::kWaitDisconnect);
    // A state that this kind of call has not is as bad as a number out of range.
    if (pptp::machine_of(known.kind).find(known.state, pptp::CallEvent::kLost) == nullptr)
      throw std::out_of_range("state of a call");
    c.machine.calls.push_back(known);
  }
  for (const auto& offer : j.at("offers")) {
    pptp::ConnectionSnapshot::KnownOffer known;
    known.peer_call_id = PeerCallId(number_of<std::uint16_t>(offer.at(0)));
    known.serial_number = number_of<std::uint16_t>(offer.at(1));
    known.peer_window = number_of<std::uint16_t>(offer.at(2));
    known.maximum_bps = number_of<std::uint32_t>(offer.at(3));
    known.kind = enum_of<model::CallKind>(offer.at(4), model::CallKind::kAnnounced);
    if (known.kind != model::CallKind::kSubscriber && known.kind != model::CallKind::kIncoming)
      throw std::out_of_range("kind of an offer");
    c.machine.offers.push_back(known);
  }
  return c;
}

json to_json(const StoredSession& s) {
  const auto& link = s.link;
  json j = {{"version", contract::kStoreVersion},
            {"slot", s.slot.value},
            {"generation", s.generation},
            {"connection", s.connection.value},
            {"our_call_id", s.our_call_id.value},
            {"peer_call_id", s.peer_call_id.value},
            {"lease", {s.lease.address.value, s.lease.gateway.value, s.lease.pool}},
            {"prefix", s.lease.ipv6_prefix ? s.lease.ipv6_prefix->address.high : 0},
            {"started_ns", s.started_ns},
            {"opened_ns", s.opened_ns},
            {"mtu", s.mtu},
            {"user", octets(link.user)},
            {"auth", static_cast<std::uint8_t>(link.auth)},
            {"our_address", link.network.our_address.value},
            {"subscriber", link.network.subscriber_address.value},
            {"dns", {link.network.dns[0].value, link.network.dns[1].value}},
            {"wins", {link.network.wins[0].value, link.network.wins[1].value}}};
  // Without it the link begins with LCP.
  if (!link.from_lcp)
    j["lcp"] = {link.lcp.our_magic, link.lcp.peer_magic, link.lcp.peer_mru, link.lcp.send_pfc,
                link.lcp.send_acfc};
  if (link.mppe) j["mppe"] = {link.mppe->key_bits, link.mppe->stateless};
  if (s.rate_bits_per_second) j["rate"] = *s.rate_bits_per_second;
  if (link.network.ipv6) {
    json dns = json::array();
    for (const auto& server : link.network.ipv6->dns) dns.push_back({server.high, server.low});
    j["ipv6_dns"] = dns;
  }
  if (link.ipv6) j["ipv6"] = {link.ipv6->ours, link.ipv6->peers};
  return j;
}

StoredSession session_from(const json& j) {
  StoredSession s;
  s.slot = SlotId(number_of<std::uint32_t>(j.at("slot")));
  s.generation = number_of<std::uint32_t>(j.at("generation"));
  s.connection = ConnectionId(number_of<std::uint64_t>(j.at("connection")));
  s.our_call_id = OurCallId(number_of<std::uint16_t>(j.at("our_call_id")));
  s.peer_call_id = PeerCallId(number_of<std::uint16_t>(j.at("peer_call_id")));
  const auto& lease = j.at("lease");
  s.lease = {address_of(lease.at(0)), address_of(lease.at(1)), lease.at(2).get<std::string>()};
  if (const auto prefix = number_of<std::uint64_t>(j.at("prefix")); prefix != 0)
    s.lease.ipv6_prefix = Ipv6Prefix{{prefix, 0}, 64};
  s.started_ns = number_of<std::uint64_t>(j.at("started_ns"));
  s.opened_ns = number_of<std::uint64_t>(j.at("opened_ns"));
  s.mtu = number_of<std::uint16_t>(j.at("mtu"));
  if (j.contains("rate")) s.rate_bits_per_second = number_of<std::uint64_t>(j.at("rate"));
  auto& link = s.link;
  link.user = text_of(j.at("user"));
  link.auth = enum_of(j.at("auth"), model::AuthMethod::kEap);
  link.from_lcp = !j.contains("lcp");
  if (!link.from_lcp) {
    const auto& lcp = j.at("lcp");
    link.lcp = {number_of<std::uint32_t>(lcp.at(0)), number_of<std::uint32_t>(lcp.at(1)),
                number_of<std::uint16_t>(lcp.at(2)), lcp.at(3).get<bool>(), lcp.at(4).get<bool>()};
  }
  if (j.contains("mppe"))
    link.mppe = ppp::MppeAgreement{number_of<std::uint8_t>(j.at("mppe").at(0)),
                                   j.at("mppe").at(1).get<bool>()};
  link.network.our_address = address_of(j.at("our_address"));
  link.network.subscriber_address = address_of(j.at("subscriber"));
  for (std::size_t i = 0; i < 2; ++i) {
    link.network.dns.at(i) = address_of(j.at("dns").at(i));
    link.network.wins.at(i) = address_of(j.at("wins").at(i));
  }
  if (j.contains("ipv6_dns") && s.lease.ipv6_prefix) {
    auto& ipv6 = link.network.ipv6.emplace(model::Ipv6Parameters{.prefix = *s.lease.ipv6_prefix});
    for (std::size_t i = 0; i < ipv6.dns.size(); ++i)
      ipv6.dns.at(i) = {number_of<std::uint64_t>(j.at("ipv6_dns").at(i).at(0)),
                        number_of<std::uint64_t>(j.at("ipv6_dns").at(i).at(1))};
  }
  if (j.contains("ipv6"))
    link.ipv6 = ppp::LinkSnapshot::InterfaceIds{number_of<std::uint64_t>(j.at("ipv6").at(0)),
                                                number_of<std::uint64_t>(j.at("ipv6").at(1))};
  return s;
}

json to_json(const StoredDrain& d) {
  json out = {{"version", contract::kStoreVersion},
              {"since_ns", d.since_ns},
              {"calls_at_start", d.calls_at_start}};
  if (d.deadline_ns) out["deadline_ns"] = *d.deadline_ns;
  return out;
}

StoredDrain drain_from(const json& j) {
  StoredDrain d;
  d.since_ns = number_of<std::uint64_t>(j.at("since_ns"));
  d.calls_at_start = number_of<std::uint64_t>(j.at("calls_at_start"));
  if (j.contains("deadline_ns")) d.deadline_ns = number_of<std::uint64_t>(j.at("deadline_ns"));
  return d;
}

template <class Record>
std::optional<Record> decode(std::span<const std::uint8_t> octets, Record (*from)(const json&)) {
  try {
    const json record = json::from_cbor(octets.begin(), octets.end());
    if (number_of<std::uint32_t>(record.at("version")) != contract::kStoreVersion)
      return std::nullopt;
    return from(record);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<std::uint8_t> encode(const StoredConnection& connection) {
  return json::to_cbor(to_json(connection));
}
std::vector<std::uint8_t> encode(const StoredSession& session) {
  return json::to_cbor(to_json(session));
}

std::optional<StoredConnection> decode_connection(std::span<const std::uint8_t> record) {
  return decode(record, connection_from);
}
std::optional<StoredSession> decode_session(std::span<const std::uint8_t> record) {
  return decode(record, session_from);
}

std::vector<std::uint8_t> encode(const StoredDrain& drain) { return json::to_cbor(to_json(drain)); }

std::optional<StoredDrain> decode_drain(std::span<const std::uint8_t> record) {
  return decode(record, drain_from);
}

}  // namespace pns::session
