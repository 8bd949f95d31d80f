// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/words.hpp"

#include <cstddef>

namespace pns::config {
namespace {

template <class T, std::size_t N>
std::string_view word_of(const Word<T> (&words)[N], T value) noexcept {
  for (const auto& [word, candidate] : words)
    if (candidate == value) return word;
  return "invalid";
}

}  // namespace

std::string_view name_of(HugePages value) noexcept { return word_of(kHugePages, value); }
std::string_view name_of(IdleMode value) noexcept { return word_of(kIdleModes, value); }
std::string_view name_of(MppeVariant value) noexcept { return word_of(kMppeVariants, value); }
std::string_view name_of(MppeRc4 value) noexcept { return word_of(kMppeRc4s, value); }
std::string_view name_of(Steering value) noexcept { return word_of(kSteerings, value); }
std::string_view name_of(DeviceKind value) noexcept { return word_of(kDeviceKinds, value); }
std::string_view name_of(SendWindow value) noexcept { return word_of(kSendWindows, value); }
std::string_view name_of(AuthMethod value) noexcept { return word_of(kAuthMethods, value); }
std::string_view name_of(EapMethod value) noexcept { return word_of(kEapMethods, value); }
std::string_view name_of(MppePolicy value) noexcept { return word_of(kMppePolicies, value); }
std::string_view name_of(MppeMode value) noexcept { return word_of(kMppeModes, value); }
std::string_view name_of(AttributeMeaning value) noexcept {
  return word_of(kAttributeMeanings, value);
}
std::string_view name_of(AttributeUnit value) noexcept { return word_of(kAttributeUnits, value); }
std::string_view name_of(Dhcpv6 value) noexcept { return word_of(kDhcpv6Modes, value); }
std::string_view name_of(AaaSource value) noexcept { return word_of(kAaaSources, value); }
std::string_view name_of(OnConflict value) noexcept { return word_of(kOnConflicts, value); }
std::string_view name_of(OnLimit value) noexcept { return word_of(kOnLimits, value); }
std::string_view name_of(LogLevel value) noexcept { return word_of(kLogLevels, value); }
std::string_view name_of(LogFormat value) noexcept { return word_of(kLogFormats, value); }

}  // namespace pns::config
