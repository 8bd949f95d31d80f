// SPDX-License-Identifier: BSD-3-Clause
//
// The fifteen PPTP control messages (RFC 2637 §2) as plain structs, and their wire form. Not here:
// the octet stream they come in (controlplane/pptp/stream_framer.hpp) and what they mean
// (controlplane/pptp/control_connection.hpp). Pure functions, any thread, no allocation, no throw.
//
// Fields carry the RFC's names and are in host byte order. Reserved fields have no member: they are
// ignored on input and zero on output. Every message starts with:
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |             Length            |       PPTP Message Type       |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                         Magic Cookie                          |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Control Message Type      |           Reserved0           |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <variant>

#include "pns/base/bytes.hpp"
#include "pns/base/end_reason.hpp"

namespace pns::wire::pptp {

inline constexpr std::uint16_t kTcpPort = 1723;
inline constexpr std::uint32_t kMagicCookie = 0x1A2B3C4D;
inline constexpr std::uint16_t kProtocolVersion = 0x0100;      // version 1, revision 0
inline constexpr std::uint16_t kControlMessage = 1;            // PPTP Message Type
inline constexpr std::size_t kHeaderLength = 12;               // up to and with Reserved0
inline constexpr std::size_t kShortestMessage = 16;            // no type is shorter
inline constexpr std::size_t kLongestMessage = 220;            // the longest fixed length
inline constexpr std::size_t kLongestToleratedMessage = 1023;  // a padded one, read over exactly

enum class ControlMessageType : std::uint16_t {
  kStartControlConnectionRequest = 1,
  kStartControlConnectionReply = 2,
  kStopControlConnectionRequest = 3,
  kStopControlConnectionReply = 4,
  kEchoRequest = 5,
  kEchoReply = 6,
  kOutgoingCallRequest = 7,
  kOutgoingCallReply = 8,
  kIncomingCallRequest = 9,
  kIncomingCallReply = 10,
  kIncomingCallConnected = 11,
  kCallClearRequest = 12,
  kCallDisconnectNotify = 13,
  kWanErrorNotify = 14,
  kSetLinkInfo = 15,
};
inline constexpr std::uint16_t kControlMessageTypeCount = 15;

// The fixed length of a type in octets, header included; 0 for a type that is not one of the
// fifteen.
[[nodiscard]] constexpr std::size_t fixed_length(std::uint16_t control_message_type) noexcept {
  constexpr std::array<std::uint16_t, kControlMessageTypeCount + 1> kLengths = {
      0, 156, 156, 16, 16, 16, 20, 168, 32, 220, 24, 28, 16, 148, 40, 24};
  return control_message_type < kLengths.size() ? kLengths[control_message_type] : 0;
}

// "outgoing-call-request"; "unknown" for anything else.
[[nodiscard]] std::string_view name_of(ControlMessageType type) noexcept;

// A text field of N octets: filled up with zeros, and not always ended by one.
template <std::size_t N>
using Text = std::array<char, N>;

// The text up to the first zero octet. It comes from the peer: escape it before it is printed.
template <std::size_t N>
[[nodiscard]] constexpr std::string_view text_of(const Text<N>& field) noexcept {
  const auto end = std::find(field.begin(), field.end(), '\0');
  return {field.data(), static_cast<std::size_t>(end - field.begin())};
}

// A field holding `text`, cut at N octets.
template <std::size_t N>
[[nodiscard]] constexpr Text<N> to_text(std::string_view text) noexcept {
  Text<N> field{};
  std::copy_n(text.begin(), std::min(N, text.size()), field.begin());
  return field;
}

// Result and error codes.
enum class GeneralError : std::uint8_t {  // RFC 2637 §2.16
  kNone = 0,
  kNotConnected = 1,
  kBadFormat = 2,
  kBadValue = 3,
  kNoResource = 4,
  kBadCallId = 5,
  kPacError = 6,
};
enum class StartResult : std::uint8_t {  // §2.2
  kSuccess = 1,
  kGeneralError = 2,
  kChannelExists = 3,
  kNotAuthorized = 4,
  kBadVersion = 5,
};
enum class StopReason : std::uint8_t {
  kNone = 1,
  kStopProtocol = 2,
  kStopLocalShutdown = 3
};                                                                    // §2.3
enum class StopResult : std::uint8_t { kOk = 1, kGeneralError = 2 };  // §2.4
enum class EchoResult : std::uint8_t { kOk = 1, kGeneralError = 2 };  // §2.6
enum class OutgoingCallResult : std::uint8_t {                        // §2.8
  kConnected = 1,
  kGeneralError = 2,
  kNoCarrier = 3,
  kBusy = 4,
  kNoDialTone = 5,
  kTimeOut = 6,
  kDoNotAccept = 7,  // administratively prohibited
};
enum class IncomingCallResult : std::uint8_t {
  kConnect = 1,
  kGeneralError = 2,
  kDoNotAccept = 3
};                                            // §2.10
enum class DisconnectResult : std::uint8_t {  // §2.13
  kLostCarrier = 1,
  kGeneralError = 2,
  kAdminShutdown = 3,
  kRequest = 4,  // a Call-Clear-Request was received
};

// "bad-call-id", "busy", …; "unknown" for a value the RFC does not name.
[[nodiscard]] std::string_view name_of(GeneralError error) noexcept;
[[nodiscard]] std::string_view name_of(StartResult result) noexcept;
[[nodiscard]] std::string_view name_of(StopReason reason) noexcept;
[[nodiscard]] std::string_view name_of(StopResult result) noexcept;
[[nodiscard]] std::string_view name_of(EchoResult result) noexcept;
[[nodiscard]] std::string_view name_of(OutgoingCallResult result) noexcept;
[[nodiscard]] std::string_view name_of(IncomingCallResult result) noexcept;
[[nodiscard]] std::string_view name_of(DisconnectResult result) noexcept;

// Capability and type bits (§2.1, §2.7).
inline constexpr std::uint32_t kFramingAsync = 1;
inline constexpr std::uint32_t kFramingSync = 2;
inline constexpr std::uint32_t kAnyFraming = kFramingAsync | kFramingSync;
inline constexpr std::uint32_t kBearerAnalog = 1;
inline constexpr std::uint32_t kBearerDigital = 2;
inline constexpr std::uint32_t kAnyBearer = kBearerAnalog | kBearerDigital;

// ---- The messages. Members in the order of the wire. The enums of codes above are not used as
// members: a peer may send any octet.

struct StartControlConnectionRequest {  // RFC 2637 §2.1
  std::uint16_t protocol_version = kProtocolVersion;
  std::uint32_t framing_capabilities = 0;
  std::uint32_t bearer_capabilities = 0;
  std::uint16_t maximum_channels = 0;
  std::uint16_t firmware_revision = 0;
  Text<64> host_name{};
  Text<64> vendor_name{};
  friend bool operator==(const StartControlConnectionRequest&,
                         const StartControlConnectionRequest&) = default;
};

struct StartControlConnectionReply {  // §2.2
  std::uint16_t protocol_version = kProtocolVersion;
  std::uint8_t result_code = 0;
  std::uint8_t error_code = 0;
  std::uint32_t framing_capabilities = 0;
  std::uint32_t bearer_capabilities = 0;
  std::uint16_t maximum_channels = 0;
  std::uint16_t firmware_revision = 0;
  Text<64> host_name{};
  Text<64> vendor_name{};
  friend bool operator==(const StartControlConnectionReply&,
                         const StartControlConnectionReply&) = default;
};

struct StopControlConnectionRequest {  // §2.3
  std::uint8_t reason = 0;
  friend bool operator==(const StopControlConnectionRequest&,
                         const StopControlConnectionRequest&) = default;
};

struct StopControlConnectionReply {  // §2.4
  std::uint8_t result_code = 0;
  std::uint8_t error_code = 0;
  friend bool operator==(const StopControlConnectionReply&,
                         const StopControlConnectionReply&) = default;
};

struct EchoRequest {  // §2.5
  std::uint32_t identifier = 0;
  friend bool operator==(const EchoRequest&, const EchoRequest&) = default;
};

struct EchoReply {  // §2.6
  std::uint32_t identifier = 0;
  std::uint8_t result_code = 0;
  std::uint8_t error_code = 0;
  friend bool operator==(const EchoReply&, const EchoReply&) = default;
};

struct OutgoingCallRequest {  // §2.7
  std::uint16_t call_id = 0;  // assigned by the sender, the PNS
  std::uint16_t call_serial_number = 0;
  std::uint32_t minimum_bps = 0;
  std::uint32_t maximum_bps = 0;
  std::uint32_t bearer_type = 0;
  std::uint32_t framing_type = 0;
  std::uint16_t packet_recv_window_size = 0;  // packets
  std::uint16_t packet_processing_delay = 0;  // tenths of a second
  std::uint16_t phone_number_length = 0;      // as sent: may exceed 64, never used to index
  Text<64> phone_number{};
  Text<64> subaddress{};
  friend bool operator==(const OutgoingCallRequest&, const OutgoingCallRequest&) = default;
};

struct OutgoingCallReply {    // §2.8
  std::uint16_t call_id = 0;  // assigned by the sender, the PAC
  std::uint16_t peers_call_id = 0;
  std::uint8_t result_code = 0;
  std::uint8_t error_code = 0;
  std::uint16_t cause_code = 0;
  std::uint32_t connect_speed = 0;  // bits per second
  std::uint16_t packet_recv_window_size = 0;
  std::uint16_t packet_processing_delay = 0;
  std::uint32_t physical_channel_id = 0;
  friend bool operator==(const OutgoingCallReply&, const OutgoingCallReply&) = default;
};

struct IncomingCallRequest {  // §2.9
  std::uint16_t call_id = 0;  // assigned by the sender, the PAC
  std::uint16_t call_serial_number = 0;
  std::uint32_t call_bearer_type = 0;
  std::uint32_t physical_channel_id = 0;
  std::uint16_t dialed_number_length = 0;
  std::uint16_t dialing_number_length = 0;
  Text<64> dialed_number{};
  Text<64> dialing_number{};
  Text<64> subaddress{};
  friend bool operator==(const IncomingCallRequest&, const IncomingCallRequest&) = default;
};

struct IncomingCallReply {    // §2.10
  std::uint16_t call_id = 0;  // assigned by the sender, the PNS
  std::uint16_t peers_call_id = 0;
  std::uint8_t result_code = 0;
  std::uint8_t error_code = 0;
  std::uint16_t packet_recv_window_size = 0;
  std::uint16_t packet_transmit_delay = 0;
  friend bool operator==(const IncomingCallReply&, const IncomingCallReply&) = default;
};

struct IncomingCallConnected {  // §2.11
  std::uint16_t peers_call_id = 0;
  std::uint32_t connect_speed = 0;
  std::uint16_t packet_recv_window_size = 0;
  std::uint16_t packet_transmit_delay = 0;
  std::uint32_t framing_type = 0;
  friend bool operator==(const IncomingCallConnected&, const IncomingCallConnected&) = default;
};

struct CallClearRequest {     // §2.12
  std::uint16_t call_id = 0;  // the one the sender, the PNS, assigned
  friend bool operator==(const CallClearRequest&, const CallClearRequest&) = default;
};

struct CallDisconnectNotify {  // §2.13
  std::uint16_t call_id = 0;   // the one the sender, the PAC, assigned
  std::uint8_t result_code = 0;
  std::uint8_t error_code = 0;
  std::uint16_t cause_code = 0;
  Text<128> call_statistics{};
  friend bool operator==(const CallDisconnectNotify&, const CallDisconnectNotify&) = default;
};

struct WanErrorNotify {  // §2.14
  std::uint16_t peers_call_id = 0;
  std::uint32_t crc_errors = 0;
  std::uint32_t framing_errors = 0;
  std::uint32_t hardware_overruns = 0;
  std::uint32_t buffer_overruns = 0;
  std::uint32_t time_out_errors = 0;
  std::uint32_t alignment_errors = 0;
  friend bool operator==(const WanErrorNotify&, const WanErrorNotify&) = default;
};

struct SetLinkInfo {  // §2.15
  std::uint16_t peers_call_id = 0;
  std::uint32_t send_accm = 0;
  std::uint32_t receive_accm = 0;
  friend bool operator==(const SetLinkInfo&, const SetLinkInfo&) = default;
};

// Alternatives in the order of ControlMessageType: index() + 1 is the type.
using Message = std::variant<StartControlConnectionRequest, StartControlConnectionReply,
                             StopControlConnectionRequest, StopControlConnectionReply, EchoRequest,
                             EchoReply, OutgoingCallRequest, OutgoingCallReply, IncomingCallRequest,
                             IncomingCallReply, IncomingCallConnected, CallClearRequest,
                             CallDisconnectNotify, WanErrorNotify, SetLinkInfo>;
static_assert(std::variant_size_v<Message> == kControlMessageTypeCount);

[[nodiscard]] constexpr ControlMessageType type_of(const Message& message) noexcept {
  return static_cast<ControlMessageType>(message.index() + 1);
}

// Why octets are not a control message. After any of these the stream has lost its synchronisation
// and the connection is closed (RFC 2637 §1.4 and §3).
enum class FrameError : std::uint8_t {
  kBadMagicCookie,
  kBadLength,       // below the fixed length of the type, or above kLongestToleratedMessage
  kBadMessageType,  // PPTP Message Type is not 1
  kUnknownControlType,
};

[[nodiscard]] constexpr EndReason end_reason_of(FrameError error) noexcept {
  switch (error) {
    case FrameError::kBadMagicCookie:
      return EndReason::bad_magic_cookie;
    case FrameError::kBadLength:
      return EndReason::bad_length;
    case FrameError::kBadMessageType:
      return EndReason::bad_message_type;
    case FrameError::kUnknownControlType:
      return EndReason::unknown_control_type;
  }
  return EndReason::internal_error;
}

// Judges the start of a message from however many of its octets are there. The Length field as soon
// as it can be read; nothing while it cannot; an error as soon as the octets that prove it are
// there, so a bad start is refused without waiting for the rest.
[[nodiscard]] std::expected<std::optional<std::size_t>, FrameError> check_header(
    Bytes start) noexcept;

// Decodes one message. `whole_message` begins with its Length field and holds at least that many
// octets; what lies beyond the fixed length of the type is not read.
[[nodiscard]] std::expected<Message, FrameError> parse_message(Bytes whole_message) noexcept;

// Encodes one message at the fixed length of its type. Octets written; 0 when it does not fit.
[[nodiscard]] std::size_t write_message(MutableBytes out, const Message& message) noexcept;

}  // namespace pns::wire::pptp
