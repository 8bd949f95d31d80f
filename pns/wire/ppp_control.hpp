// SPDX-License-Identifier: BSD-3-Clause
//
// PPP control packets: the header that LCP, the NCPs, CCP and CHAP share (RFC 1661 §5), options,
// and the bodies this server speaks: LCP (RFC 1661 §6), IPCP (RFC 1332, RFC 1877), CCP with MPPE
// (RFC 1962, RFC 3078), CHAP (RFC 1994, RFC 2759). Not here: what they mean (controlplane/ppp).
// Views point into the caller's octets. Pure functions, any thread, no allocation, no throw.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/ppp_protocol.hpp"

namespace pns::wire {

// ---- The PPP frame around a control packet.

// RFC 1661 §2: protocol and information of one frame.
struct PppFrame {
  std::uint16_t protocol = 0;
  Bytes information;
};

// Reads a frame that begins with FF 03 or with its protocol field, which may be one octet (RFC 1661
// §6.5, §6.6: taken at any time). Empty when there is no whole, well-formed protocol field.
[[nodiscard]] std::optional<PppFrame> parse_ppp_frame(Bytes frame) noexcept;

// FF 03 and a two-octet protocol field in front of a control packet.
inline constexpr std::size_t kPppFrameHeaderLength = 4;

// ---- The packet header.
//
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Code      |  Identifier   |            Length             |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

inline constexpr std::size_t kControlHeaderLength = 4;

// Codes of LCP; 1 to 7 are common to the NCPs and CCP.
enum class LcpCode : std::uint8_t {
  kConfigureRequest = 1,
  kConfigureAck = 2,
  kConfigureNak = 3,
  kConfigureReject = 4,
  kTerminateRequest = 5,
  kTerminateAck = 6,
  kCodeReject = 7,
  kProtocolReject = 8,
  kEchoRequest = 9,
  kEchoReply = 10,
  kDiscardRequest = 11,
  kIdentification = 12,  // RFC 1570 §1.1
  kTimeRemaining = 13,   // RFC 1570 §1.2
};

enum class CcpCode : std::uint8_t { kResetRequest = 14, kResetAck = 15 };  // RFC 1962 §3

enum class ChapCode : std::uint8_t { kChallenge = 1, kResponse = 2, kSuccess = 3, kFailure = 4 };

// One control packet; octets past its Length (padding) are cut off.
struct ControlPacket {
  std::uint8_t code = 0;
  std::uint8_t identifier = 0;
  Bytes data;   // what follows the header
  Bytes whole;  // header and data: what a Code-Reject carries back
};

enum class PacketError : std::uint8_t {
  kTruncated,  // shorter than the header
  kBadLength,  // Length below 4 or beyond the frame: discard (RFC 1661 §5)
};

[[nodiscard]] std::expected<ControlPacket, PacketError> parse_control_packet(
    Bytes information) noexcept;

// Header and data. Octets written; 0 when it does not fit.
[[nodiscard]] std::size_t write_control_packet(MutableBytes out, std::uint8_t code,
                                               std::uint8_t identifier, Bytes data) noexcept;

// ---- Options (RFC 1661 §6): Type, Length (with these two octets), Data.

struct Option {
  std::uint8_t type = 0;
  Bytes data;   // without type and length
  Bytes whole;  // as it stands in the packet: what Configure-Reject copies
};

// Walks a list of options. Each step consumes at least two octets or ends the walk.
class OptionReader {
 public:
  explicit OptionReader(Bytes options) noexcept : rest_(options) {}

  // The next option; empty at the end and after the first malformed one.
  std::optional<Option> next() noexcept;

  // False once an option had a Length below 2 or beyond the packet.
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  Bytes rest_;
  bool ok_ = true;
};

// True when the whole list can be walked.
[[nodiscard]] bool options_well_formed(Bytes options) noexcept;

// Every option struct below has
//   kType                                      its number
//   parse(Bytes data) -> std::optional<Self>   empty when the data has not its size
//   write(Writer&)                             type, length and data
// Structs hold host byte order.

// LCP (RFC 1661 §6)
struct MaximumReceiveUnit {  // §6.1
  static constexpr std::uint8_t kType = 1;
  std::uint16_t octets = 1500;
  [[nodiscard]] static std::optional<MaximumReceiveUnit> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const MaximumReceiveUnit&, const MaximumReceiveUnit&) = default;
};

struct AsyncControlCharacterMap {  // RFC 1662 §7.1
  static constexpr std::uint8_t kType = 2;
  std::uint32_t map = 0;
  [[nodiscard]] static std::optional<AsyncControlCharacterMap> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const AsyncControlCharacterMap&,
                         const AsyncControlCharacterMap&) = default;
};

// §6.2. With CHAP one octet names the algorithm; other protocols may carry any data, which is not
// kept.
struct AuthenticationProtocol {
  static constexpr std::uint8_t kType = 3;
  std::uint16_t protocol = 0;
  std::uint8_t algorithm = 0;  // CHAP only: kChapMd5, kChapMsV1, kChapMsV2
  [[nodiscard]] static std::optional<AuthenticationProtocol> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const AuthenticationProtocol&, const AuthenticationProtocol&) = default;
};
inline constexpr std::uint8_t kChapMd5 = 5;
inline constexpr std::uint8_t kChapMsV1 = 0x80;
inline constexpr std::uint8_t kChapMsV2 = 0x81;

struct MagicNumber {  // §6.4
  static constexpr std::uint8_t kType = 5;
  std::uint32_t magic = 0;
  [[nodiscard]] static std::optional<MagicNumber> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const MagicNumber&, const MagicNumber&) = default;
};

struct ProtocolFieldCompression {  // §6.5
  static constexpr std::uint8_t kType = 7;
  [[nodiscard]] static std::optional<ProtocolFieldCompression> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const ProtocolFieldCompression&,
                         const ProtocolFieldCompression&) = default;
};

struct AddressAndControlFieldCompression {  // §6.6
  static constexpr std::uint8_t kType = 8;
  [[nodiscard]] static std::optional<AddressAndControlFieldCompression> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const AddressAndControlFieldCompression&,
                         const AddressAndControlFieldCompression&) = default;
};

// IPCP. One struct for every option that is one IPv4 address, told apart by its number.
enum class IpcpOption : std::uint8_t {
  kIpAddresses = 1,            // RFC 1332 §3.1, obsolete
  kIpCompressionProtocol = 2,  // §3.2
  kIpAddress = 3,              // §3.3
  kPrimaryDns = 129,           // RFC 1877 §1.1
  kPrimaryWins = 130,          // §1.2
  kSecondaryDns = 131,         // §1.3
  kSecondaryWins = 132,        // §1.4
};
struct AddressOption {
  IpcpOption type = IpcpOption::kIpAddress;
  Ipv4Address address;
  [[nodiscard]] static std::optional<AddressOption> parse(const Option& option) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const AddressOption&, const AddressOption&) = default;
};

// IPV6CP (RFC 5072 §4.1).
struct InterfaceIdentifier {
  static constexpr std::uint8_t kType = 1;
  std::uint64_t value = 0;
  [[nodiscard]] static std::optional<InterfaceIdentifier> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const InterfaceIdentifier&, const InterfaceIdentifier&) = default;
};

// CCP: MPPE (RFC 3078 §2.1). All 32 bits are kept, so that unknown ones can be refused.
struct MppeSupportedBits {
  static constexpr std::uint8_t kType = 18;
  static constexpr std::uint32_t kStateless = 0x01000000;  // H
  static constexpr std::uint32_t k56 = 0x00000080;         // M
  static constexpr std::uint32_t k128 = 0x00000040;        // S
  static constexpr std::uint32_t k40 = 0x00000020;         // L
  static constexpr std::uint32_t kObsolete = 0x00000010;   // D
  static constexpr std::uint32_t kMppc = 0x00000001;       // C
  static constexpr std::uint32_t kStrengths = k56 | k128 | k40;
  std::uint32_t bits = 0;
  [[nodiscard]] static std::optional<MppeSupportedBits> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const MppeSupportedBits&, const MppeSupportedBits&) = default;
};

// ---- Bodies of single packets.

// Protocol-Reject (RFC 1661 §5.7): the protocol and what of its packet came back.
struct ProtocolReject {
  std::uint16_t rejected_protocol = 0;
  Bytes rejected_information;
  [[nodiscard]] static std::optional<ProtocolReject> parse(Bytes data) noexcept;
};

// Echo-Request, Echo-Reply, Discard-Request, Identification (RFC 1661 §5.8, §5.9; RFC 1570).
struct EchoBody {
  std::uint32_t magic = 0;
  Bytes data;
  [[nodiscard]] static std::optional<EchoBody> parse(Bytes data) noexcept;
};

// CHAP Challenge and Response (RFC 1994 §4.1): Value-Size, Value, Name.
struct ChapValue {
  Bytes value;
  Bytes name;
  [[nodiscard]] static std::optional<ChapValue> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;  // value of at most 255 octets
};

// The Value of an MS-CHAPv2 Response, 49 octets (RFC 2759 §4), of which Reserved and Flags must be
// zero.
struct MsChapV2Response {
  static constexpr std::size_t kLength = 49;
  std::array<std::byte, 16> peer_challenge{};
  std::array<std::byte, 24> nt_response{};
  [[nodiscard]] static std::optional<MsChapV2Response> parse(Bytes value) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const MsChapV2Response&, const MsChapV2Response&) = default;
};

}  // namespace pns::wire
