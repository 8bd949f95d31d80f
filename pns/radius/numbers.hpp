// SPDX-License-Identifier: BSD-3-Clause
//
// The meanings of numbers that attributes of kind u32 and tagged_u24 hold, as far as this server
// writes or judges them. A number from the wire may be any other.
#pragma once

#include <cstdint>
#include <type_traits>

namespace pns::radius {

// The value as an attribute holds it: builder.add_u32(id, number(ServiceType::kFramed)).
template <class Meaning>
requires std::is_enum_v<Meaning>
[[nodiscard]] constexpr std::uint32_t number(Meaning meaning) noexcept {
  return static_cast<std::uint32_t>(meaning);
}

enum class ServiceType : std::uint32_t { kFramed = 2, kAuthorizeOnly = 17 };  // RFC 2865 §5.6
enum class FramedProtocol : std::uint32_t { kPpp = 1 };                       // RFC 2865 §5.7
enum class TerminationAction : std::uint32_t { kDefault = 0, kRadiusRequest = 1 };  // §5.29
enum class NasPortType : std::uint32_t { kVirtual = 5 };                            // §5.41
enum class TunnelType : std::uint32_t { kPptp = 1 };                   // RFC 2868 §3.1
enum class TunnelMediumType : std::uint32_t { kIpv4 = 1, kIpv6 = 2 };  // RFC 2868 §3.2

// Framed-IP-Address (RFC 2865 §5.8): the client may choose, the NAS shall choose.
inline constexpr std::uint32_t kAddressOfClient = 0xffffffff;
inline constexpr std::uint32_t kAddressOfPool = 0xfffffffe;

// RFC 2866 §5.1
enum class AcctStatusType : std::uint32_t {
  kStart = 1,
  kStop = 2,
  kInterimUpdate = 3,
  kAccountingOn = 7,
  kAccountingOff = 8,
};

enum class AcctAuthentic : std::uint32_t { kRadius = 1, kLocal = 2, kRemote = 3 };  // §5.6

// RFC 2866 §5.10
enum class AcctTerminateCause : std::uint32_t {
  kUserRequest = 1,
  kLostCarrier = 2,
  kLostService = 3,
  kIdleTimeout = 4,
  kSessionTimeout = 5,
  kAdminReset = 6,
  kAdminReboot = 7,
  kPortError = 8,
  kNasError = 9,
  kNasRequest = 10,
  kNasReboot = 11,
  kPortUnneeded = 12,
  kPortPreempted = 13,
  kPortSuspended = 14,
  kServiceUnavailable = 15,
  kCallback = 16,
  kUserError = 17,
  kHostRequest = 18,
};

// RFC 2548 §2.4.4
enum class MppeEncryptionPolicy : std::uint32_t { kAllowed = 1, kRequired = 2 };

// Bits of MS-MPPE-Encryption-Types (RFC 2548 §2.4.5).
inline constexpr std::uint32_t kMppeType40 = 2;
inline constexpr std::uint32_t kMppeType128 = 4;
inline constexpr std::uint32_t kMppeType56 = 8;

// RFC 5176 §3.6
enum class ErrorCause : std::uint32_t {
  kUnsupportedAttribute = 401,
  kMissingAttribute = 402,
  kNasIdentificationMismatch = 403,
  kInvalidRequest = 404,
  kUnsupportedService = 405,
  kUnsupportedExtension = 406,
  kInvalidAttributeValue = 407,
  kAdministrativelyProhibited = 501,
  kSessionContextNotFound = 503,
  kSessionContextNotRemovable = 504,
  kResourcesUnavailable = 506,
  kRequestInitiated = 507,
  kMultipleSessionSelectionUnsupported = 508,
};

}  // namespace pns::radius
