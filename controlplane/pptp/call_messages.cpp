// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/call_messages.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "controlplane/pptp/codes.hpp"

namespace pns::pptp {
namespace {

namespace pptp_wire = wire::pptp;
using model::CallKind;

std::uint16_t length_of(const std::string& number) noexcept {
  return static_cast<std::uint16_t>(std::min<std::size_t>(number.size(), 64));
}

pptp_wire::Text<128> statistics_text(const CallStatistics& s) {
  if (s.rx_packets == 0 && s.rx_bytes == 0 && s.tx_packets == 0 && s.tx_bytes == 0) return {};
  return pptp_wire::to_text<128>(
      "rxp=" + std::to_string(s.rx_packets) + " rxb=" + std::to_string(s.rx_bytes) +
      " txp=" + std::to_string(s.tx_packets) + " txb=" + std::to_string(s.tx_bytes) +
      " s=" + std::to_string(s.duration.count()));
}

// An Incoming-Call-Request began it (§3.2.3).
bool is_incoming(const Call& call) noexcept {
  return call.kind == CallKind::kIncoming || call.kind == CallKind::kAnnounced;
}

// 0 stands for none.
std::uint16_t ours(const Call& call) noexcept {
  return call.our_call_id.value_or(OurCallId(0)).value;
}
std::uint16_t theirs(const Call& call) noexcept {
  return call.peer_call_id.value_or(PeerCallId(0)).value;
}

}  // namespace

pptp_wire::Message request_of(const OutgoingCall& wanted, OurCallId our_call_id,
                              std::uint16_t serial_number, const ConnectionSettings& settings) {
  return pptp_wire::OutgoingCallRequest{.call_id = our_call_id.value,
                                        .call_serial_number = serial_number,
                                        .minimum_bps = wanted.minimum_bps,
                                        .maximum_bps = wanted.maximum_bps,
                                        .bearer_type = pptp_wire::kAnyBearer,
                                        .framing_type = pptp_wire::kAnyFraming,
                                        .packet_recv_window_size = settings.receive_window,
                                        .phone_number_length = length_of(wanted.phone_number),
                                        .phone_number = pptp_wire::to_text<64>(wanted.phone_number),
                                        .subaddress = pptp_wire::to_text<64>(wanted.subaddress)};
}

pptp_wire::Message request_of(const IncomingCall& caller, OurCallId our_call_id,
                              std::uint16_t serial_number) {
  return pptp_wire::IncomingCallRequest{
      .call_id = our_call_id.value,
      .call_serial_number = serial_number,
      .call_bearer_type = pptp_wire::kBearerDigital,
      .dialed_number_length = length_of(caller.dialed_number),
      .dialing_number_length = length_of(caller.dialing_number),
      .dialed_number = pptp_wire::to_text<64>(caller.dialed_number),
      .dialing_number = pptp_wire::to_text<64>(caller.dialing_number),
      .subaddress = pptp_wire::to_text<64>(caller.subaddress)};
}

pptp_wire::Message accepting_reply(const Call& call, const ConnectionSettings& settings) {
  if (is_incoming(call))
    return pptp_wire::IncomingCallReply{
        .call_id = ours(call),
        .peers_call_id = theirs(call),
        .result_code = std::to_underlying(pptp_wire::IncomingCallResult::kConnect),
        .packet_recv_window_size = settings.receive_window};
  return pptp_wire::OutgoingCallReply{
      .call_id = ours(call),
      .peers_call_id = theirs(call),
      .result_code = std::to_underlying(pptp_wire::OutgoingCallResult::kConnected),
      .connect_speed = std::min(call.maximum_bps, settings.connect_speed),
      .packet_recv_window_size = settings.receive_window};
}

pptp_wire::Message refusing_reply(const Call& call, EndReason reason) {
  if (is_incoming(call)) {
    const auto codes = incoming_reply_codes(reason);
    return pptp_wire::IncomingCallReply{.peers_call_id = theirs(call),
                                        .result_code = std::to_underlying(codes.result),
                                        .error_code = std::to_underlying(codes.error)};
  }
  const auto codes = outgoing_reply_codes(reason);
  return pptp_wire::OutgoingCallReply{.peers_call_id = theirs(call),
                                      .result_code = std::to_underlying(codes.result),
                                      .error_code = std::to_underlying(codes.error)};
}

model::OfferCall offer_of(const Call& call) noexcept {
  return {.offer = call.number,
          .peer_call_id = call.peer_call_id.value_or(PeerCallId(0)),
          .serial_number = call.serial_number,
          .peer_window = call.peer_window,
          .maximum_bps = call.maximum_bps,
          .kind = call.kind};
}

pptp_wire::Message connected_message(const Call& call, const ConnectionSettings& settings) {
  return pptp_wire::IncomingCallConnected{.peers_call_id = theirs(call),
                                          .connect_speed = settings.connect_speed,
                                          .packet_recv_window_size = settings.receive_window,
                                          .framing_type = pptp_wire::kFramingSync};
}

model::ConnectCall connection_of(const Call& call, const pptp_wire::Message& message) noexcept {
  model::ConnectCall connect{.our_call_id = OurCallId(ours(call)),
                             .peer_call_id = PeerCallId(theirs(call))};
  if (const auto* outgoing = std::get_if<pptp_wire::OutgoingCallReply>(&message)) {
    connect.peer_window = outgoing->packet_recv_window_size;
    connect.connect_speed = outgoing->connect_speed;
  } else if (const auto* reply = std::get_if<pptp_wire::IncomingCallReply>(&message)) {
    connect.peer_window = reply->packet_recv_window_size;
  } else if (const auto* connected = std::get_if<pptp_wire::IncomingCallConnected>(&message)) {
    connect.peer_window = connected->packet_recv_window_size;
    connect.connect_speed = connected->connect_speed;
  }
  return connect;
}

std::optional<PeerCallId> peer_call_id_in(const pptp_wire::Message& message) noexcept {
  if (const auto* outgoing = std::get_if<pptp_wire::OutgoingCallReply>(&message))
    return PeerCallId(outgoing->call_id);
  if (const auto* reply = std::get_if<pptp_wire::IncomingCallReply>(&message))
    return PeerCallId(reply->call_id);
  return std::nullopt;
}

pptp_wire::Message wan_error_notify(const Call& call, const model::WanErrors& totals) {
  const auto& counts = totals.counts;
  return pptp_wire::WanErrorNotify{.peers_call_id = theirs(call),
                                   .crc_errors = counts[0],
                                   .framing_errors = counts[1],
                                   .hardware_overruns = counts[2],
                                   .buffer_overruns = counts[model::kBufferOverrun],
                                   .time_out_errors = counts[4],
                                   .alignment_errors = counts[5]};
}

model::WanErrors totals_of(const pptp_wire::WanErrorNotify& n) noexcept {
  return {{n.crc_errors, n.framing_errors, n.hardware_overruns, n.buffer_overruns,
           n.time_out_errors, n.alignment_errors}};
}

pptp_wire::Message clear_request(const Call& call) {
  return pptp_wire::CallClearRequest{ours(call)};
}

pptp_wire::Message disconnect_notify(const Call& call, EndReason reason,
                                     const CallStatistics& statistics) {
  const auto codes = disconnect_codes(reason);
  return pptp_wire::CallDisconnectNotify{.call_id = ours(call),
                                         .result_code = std::to_underlying(codes.result),
                                         .error_code = std::to_underlying(codes.error),
                                         .call_statistics = statistics_text(statistics)};
}

}  // namespace pns::pptp
