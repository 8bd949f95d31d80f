// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/pptp.hpp"

#include <type_traits>

namespace pns::wire::pptp {
namespace {

// Each message is described once, by fields(archive, message), in wire order from octet 12 on. The
// two archives below turn that one description into the decoder and the encoder.
class Decode {
 public:
  explicit Decode(Reader& reader) noexcept : reader_(reader) {}
  void operator()(std::uint8_t& value) noexcept { value = reader_.read_u8(); }
  void operator()(std::uint16_t& value) noexcept { value = reader_.read_u16(); }
  void operator()(std::uint32_t& value) noexcept { value = reader_.read_u32(); }
  template <std::size_t N>
  void operator()(Text<N>& text) noexcept {
    reader_.read_struct(text);
  }
  void reserved(std::size_t octets) noexcept { reader_.skip(octets); }

 private:
  Reader& reader_;
};

class Encode {
 public:
  explicit Encode(Writer& writer) noexcept : writer_(writer) {}
  void operator()(std::uint8_t value) noexcept { writer_.write_u8(value); }
  void operator()(std::uint16_t value) noexcept { writer_.write_u16(value); }
  void operator()(std::uint32_t value) noexcept { writer_.write_u32(value); }
  template <std::size_t N>
  void operator()(const Text<N>& text) noexcept {
    writer_.write_struct(text);
  }
  void reserved(std::size_t octets) noexcept { writer_.write_zeros(octets); }

 private:
  Writer& writer_;
};

// M is T when decoding and const T when encoding.
template <class M, class T>
concept Is = std::is_same_v<std::remove_const_t<M>, T>;

template <class Archive, Is<StartControlConnectionRequest> M>
void fields(Archive& a, M& m) noexcept {
  a(m.protocol_version);
  a.reserved(2);
  a(m.framing_capabilities);
  a(m.bearer_capabilities);
  a(m.maximum_channels);
  a(m.firmware_revision);
  a(m.host_name);
  a(m.vendor_name);
}

template <class Archive, Is<StartControlConnectionReply> M>
void fields(Archive& a, M& m) noexcept {
  a(m.protocol_version);
  a(m.result_code);
  a(m.error_code);
  a(m.framing_capabilities);
  a(m.bearer_capabilities);
  a(m.maximum_channels);
  a(m.firmware_revision);
  a(m.host_name);
  a(m.vendor_name);
}

template <class Archive, Is<StopControlConnectionRequest> M>
void fields(Archive& a, M& m) noexcept {
  a(m.reason);
  a.reserved(3);
}

template <class Archive, Is<StopControlConnectionReply> M>
void fields(Archive& a, M& m) noexcept {
  a(m.result_code);
  a(m.error_code);
  a.reserved(2);
}

template <class Archive, Is<EchoRequest> M>
void fields(Archive& a, M& m) noexcept {
  a(m.identifier);
}

template <class Archive, Is<EchoReply> M>
void fields(Archive& a, M& m) noexcept {
  a(m.identifier);
  a(m.result_code);
  a(m.error_code);
  a.reserved(2);
}

template <class Archive, Is<OutgoingCallRequest> M>
void fields(Archive& a, M& m) noexcept {
  a(m.call_id);
  a(m.call_serial_number);
  a(m.minimum_bps);
  a(m.maximum_bps);
  a(m.bearer_type);
  a(m.framing_type);
  a(m.packet_recv_window_size);
  a(m.packet_processing_delay);
  a(m.phone_number_length);
  a.reserved(2);
  a(m.phone_number);
  a(m.subaddress);
}

template <class Archive, Is<OutgoingCallReply> M>
void fields(Archive& a, M& m) noexcept {
  a(m.call_id);
  a(m.peers_call_id);
  a(m.result_code);
  a(m.error_code);
  a(m.cause_code);
  a(m.connect_speed);
  a(m.packet_recv_window_size);
  a(m.packet_processing_delay);
  a(m.physical_channel_id);
}

template <class Archive, Is<IncomingCallRequest> M>
void fields(Archive& a, M& m) noexcept {
  a(m.call_id);
  a(m.call_serial_number);
  a(m.call_bearer_type);
  a(m.physical_channel_id);
  a(m.dialed_number_length);
  a(m.dialing_number_length);
  a(m.dialed_number);
  a(m.dialing_number);
  a(m.subaddress);
}

template <class Archive, Is<IncomingCallReply> M>
void fields(Archive& a, M& m) noexcept {
  a(m.call_id);
  a(m.peers_call_id);
  a(m.result_code);
  a(m.error_code);
  a(m.packet_recv_window_size);
  a(m.packet_transmit_delay);
  a.reserved(2);
}

template <class Archive, Is<IncomingCallConnected> M>
void fields(Archive& a, M& m) noexcept {
  a(m.peers_call_id);
  a.reserved(2);
  a(m.connect_speed);
  a(m.packet_recv_window_size);
  a(m.packet_transmit_delay);
  a(m.framing_type);
}

template <class Archive, Is<CallClearRequest> M>
void fields(Archive& a, M& m) noexcept {
  a(m.call_id);
  a.reserved(2);
}

template <class Archive, Is<CallDisconnectNotify> M>
void fields(Archive& a, M& m) noexcept {
  a(m.call_id);
  a(m.result_code);
  a(m.error_code);
  a(m.cause_code);
  a.reserved(2);
  a(m.call_statistics);
}

template <class Archive, Is<WanErrorNotify> M>
void fields(Archive& a, M& m) noexcept {
  a(m.peers_call_id);
  a.reserved(2);
  a(m.crc_errors);
  a(m.framing_errors);
  a(m.hardware_overruns);
  a(m.buffer_overruns);
  a(m.time_out_errors);
  a(m.alignment_errors);
}

template <class Archive, Is<SetLinkInfo> M>
void fields(Archive& a, M& m) noexcept {
  a(m.peers_call_id);
  a.reserved(2);
  a(m.send_accm);
  a(m.receive_accm);
}

// Decodes alternative I when it is the wanted one, else tries the next.
template <std::size_t I = 0>
void decode_alternative(std::size_t wanted, Reader& reader, Message& out) noexcept {
  if constexpr (I < std::variant_size_v<Message>) {
    if (wanted != I) return decode_alternative<I + 1>(wanted, reader, out);
    Decode decode(reader);
    fields(decode, out.emplace<I>());
  }
}

}  // namespace

std::string_view name_of(ControlMessageType type) noexcept {
  constexpr std::array<std::string_view, kControlMessageTypeCount + 1> kNames = {
      "unknown",
      "start-control-connection-request",
      "start-control-connection-reply",
      "stop-control-connection-request",
      "stop-control-connection-reply",
      "echo-request",
      "echo-reply",
      "outgoing-call-request",
      "outgoing-call-reply",
      "incoming-call-request",
      "incoming-call-reply",
      "incoming-call-connected",
      "call-clear-request",
      "call-disconnect-notify",
      "wan-error-notify",
      "set-link-info"};
  const auto index = static_cast<std::size_t>(type);
  return kNames[index < kNames.size() ? index : 0];
}

namespace {

// The name of a code; names are those of the values from 0 on.
template <class Code, std::size_t N>
std::string_view code_name(Code code, const std::string_view (&names)[N]) noexcept {
  const auto index = static_cast<std::size_t>(code);
  return index < N ? names[index] : std::string_view("unknown");
}

}  // namespace

std::string_view name_of(GeneralError error) noexcept {
  return code_name(error, {"none", "not-connected", "bad-format", "bad-value", "no-resource",
                           "bad-call-id", "pac-error"});
}
std::string_view name_of(StartResult result) noexcept {
  return code_name(result, {"unknown", "success", "general-error", "channel-exists",
                            "not-authorized", "bad-version"});
}
std::string_view name_of(StopReason reason) noexcept {
  return code_name(reason, {"unknown", "none", "stop-protocol", "stop-local-shutdown"});
}
std::string_view name_of(StopResult result) noexcept {
  return code_name(result, {"unknown", "ok", "general-error"});
}
std::string_view name_of(EchoResult result) noexcept {
  return code_name(result, {"unknown", "ok", "general-error"});
}
std::string_view name_of(OutgoingCallResult result) noexcept {
  return code_name(result, {"unknown", "connected", "general-error", "no-carrier", "busy",
                            "no-dial-tone", "time-out", "do-not-accept"});
}
std::string_view name_of(IncomingCallResult result) noexcept {
  return code_name(result, {"unknown", "connect", "general-error", "do-not-accept"});
}
std::string_view name_of(DisconnectResult result) noexcept {
  return code_name(result,
                   {"unknown", "lost-carrier", "general-error", "admin-shutdown", "request"});
}

std::expected<std::optional<std::size_t>, FrameError> check_header(Bytes start) noexcept {
  Reader reader(start);
  const std::size_t length = reader.read_u16();
  if (!reader.ok()) return std::optional<std::size_t>();
  if (length < kShortestMessage || length > kLongestToleratedMessage)
    return std::unexpected(FrameError::kBadLength);

  const std::uint16_t message_type = reader.read_u16();
  if (reader.ok() && message_type != kControlMessage)
    return std::unexpected(FrameError::kBadMessageType);

  const std::uint32_t cookie = reader.read_u32();
  if (reader.ok() && cookie != kMagicCookie) return std::unexpected(FrameError::kBadMagicCookie);

  const std::uint16_t control_type = reader.read_u16();
  if (reader.ok()) {
    const std::size_t wanted = fixed_length(control_type);
    if (wanted == 0) return std::unexpected(FrameError::kUnknownControlType);
    if (length < wanted) return std::unexpected(FrameError::kBadLength);
  }
  return std::optional<std::size_t>(length);
}

std::expected<Message, FrameError> parse_message(Bytes whole_message) noexcept {
  const auto length = check_header(whole_message);
  if (!length) return std::unexpected(length.error());
  // Not whole: the caller's framing is at fault, or the message was cut. No octet of it is trusted.
  if (!*length || whole_message.size() < **length) return std::unexpected(FrameError::kBadLength);

  Reader reader(whole_message);
  reader.skip(kHeaderLength - 4);
  const std::uint16_t control_type = reader.read_u16();
  reader.skip(2);
  Message message;
  decode_alternative(control_type - std::size_t{1}, reader, message);
  if (!reader.ok()) return std::unexpected(FrameError::kBadLength);
  return message;
}

std::size_t write_message(MutableBytes out, const Message& message) noexcept {
  const auto type = static_cast<std::uint16_t>(type_of(message));
  const std::size_t length = fixed_length(type);
  if (out.size() < length) return 0;

  Writer writer(out.first(length));
  writer.write_u16(static_cast<std::uint16_t>(length));
  writer.write_u16(kControlMessage);
  writer.write_u32(kMagicCookie);
  writer.write_u16(type);
  writer.write_zeros(2);
  Encode encode(writer);
  std::visit([&encode](const auto& m) { fields(encode, m); }, message);
  return writer.ok() ? writer.size() : 0;
}

}  // namespace pns::wire::pptp
