// SPDX-License-Identifier: BSD-3-Clause
//
// The words that keys take instead of numbers. Private to pns/config.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "pns/config/config.hpp"

namespace pns::config {

template <class T>
using Word = std::pair<std::string_view, T>;

inline constexpr Word<HugePages> kHugePages[] = {
    {"auto", HugePages::kAuto}, {"on", HugePages::kOn}, {"off", HugePages::kOff}};
inline constexpr Word<IdleMode> kIdleModes[] = {{"auto", IdleMode::kAuto},
                                                {"spin", IdleMode::kSpin},
                                                {"sleep", IdleMode::kSleep},
                                                {"wait", IdleMode::kWait}};
inline constexpr Word<MppeVariant> kMppeVariants[] = {{"auto", MppeVariant::kAuto},
                                                      {"portable", MppeVariant::kPortable},
                                                      {"avx2", MppeVariant::kAvx2},
                                                      {"avx512", MppeVariant::kAvx512}};
inline constexpr Word<MppeRc4> kMppeRc4s[] = {
    {"auto", MppeRc4::kAuto}, {"bytes", MppeRc4::kBytes}, {"words", MppeRc4::kWords}};
inline constexpr Word<Steering> kSteerings[] = {{"auto", Steering::kAuto},
                                                {"key", Steering::kKey},
                                                {"rss", Steering::kRss},
                                                {"none", Steering::kNone}};
inline constexpr Word<DeviceKind> kDeviceKinds[] = {
    {"xdp", DeviceKind::kXdp}, {"tap", DeviceKind::kTap},   {"kernel", DeviceKind::kKernel},
    {"pci", DeviceKind::kPci}, {"vdev", DeviceKind::kVdev}, {"bond", DeviceKind::kBond}};
inline constexpr Word<SendWindow> kSendWindows[] = {{"ignore", SendWindow::kIgnore},
                                                    {"adaptive", SendWindow::kAdaptive}};
inline constexpr Word<AuthMethod> kAuthMethods[] = {{"eap", AuthMethod::kEap},
                                                    {"mschapv2", AuthMethod::kMsChapV2},
                                                    {"mschap", AuthMethod::kMsChap},
                                                    {"chap", AuthMethod::kChap},
                                                    {"pap", AuthMethod::kPap}};
inline constexpr Word<EapMethod> kEapMethods[] = {
    {"mschapv2", EapMethod::kMsChapV2}, {"md5", EapMethod::kMd5}, {"radius", EapMethod::kRadius}};
inline constexpr std::pair<std::string_view, bool> kAcceptOrRefuse[] = {{"accept", true},
                                                                        {"refuse", false}};
inline constexpr std::pair<std::string_view, bool> kTrueOrFalse[] = {{"true", true},
                                                                     {"false", false}};
inline constexpr Word<MppePolicy> kMppePolicies[] = {
    {"off", MppePolicy::kOff}, {"prefer", MppePolicy::kPrefer}, {"require", MppePolicy::kRequire}};
inline constexpr Word<MppeMode> kMppeModes[] = {{"stateless", MppeMode::kStateless},
                                                {"stateful", MppeMode::kStateful},
                                                {"any", MppeMode::kAny}};
inline constexpr Word<Dhcpv6> kDhcpv6Modes[] = {
    {"off", Dhcpv6::kOff}, {"stateless", Dhcpv6::kStateless}, {"stateful", Dhcpv6::kStateful}};
inline constexpr Word<std::uint8_t> kKeyBits[] = {{"128", 128}, {"56", 56}, {"40", 40}};
inline constexpr Word<OnLimit> kOnLimits[] = {{"refuse", OnLimit::kRefuse},
                                              {"replace", OnLimit::kReplace},
                                              {"replace_if_silent", OnLimit::kReplaceIfSilent}};
inline constexpr Word<OnConflict> kOnConflicts[] = {{"refuse", OnConflict::kRefuse},
                                                    {"replace", OnConflict::kReplace}};
inline constexpr Word<AttributeMeaning> kAttributeMeanings[] = {
    {"rate", AttributeMeaning::kRate},
    {"rate_up", AttributeMeaning::kRateUp},
    {"rate_down", AttributeMeaning::kRateDown},
    {"rate_limit", AttributeMeaning::kRateLimit},
    {"filter", AttributeMeaning::kFilter},
    {"filter_up", AttributeMeaning::kFilterUp},
    {"filter_down", AttributeMeaning::kFilterDown},
    {"pool", AttributeMeaning::kPool},
    {"route", AttributeMeaning::kRoute},
    {"session_timeout", AttributeMeaning::kSessionTimeout},
    {"idle_timeout", AttributeMeaning::kIdleTimeout},
    {"quota", AttributeMeaning::kQuota},
    {"quota_up", AttributeMeaning::kQuotaUp},
    {"quota_down", AttributeMeaning::kQuotaDown},
    {"dns", AttributeMeaning::kDns},
    {"wins", AttributeMeaning::kWins},
    {"sessions", AttributeMeaning::kSessions},
    {"interim_interval", AttributeMeaning::kInterimInterval},
    {"mtu", AttributeMeaning::kMtu}};
inline constexpr Word<AttributeUnit> kAttributeUnits[] = {
    {"bit", AttributeUnit::kBit},     {"kbit", AttributeUnit::kKbit},
    {"mbit", AttributeUnit::kMbit},   {"byte", AttributeUnit::kByte},
    {"kbyte", AttributeUnit::kKbyte}, {"mbyte", AttributeUnit::kMbyte},
    {"gbyte", AttributeUnit::kGbyte}, {"s", AttributeUnit::kSecond},
    {"m", AttributeUnit::kMinute},    {"h", AttributeUnit::kHour}};
inline constexpr Word<AaaSource> kAaaSources[] = {{"local", AaaSource::kLocal},
                                                  {"radius", AaaSource::kRadius}};
inline constexpr Word<LogLevel> kLogLevels[] = {{"trace", LogLevel::kTrace},
                                                {"debug", LogLevel::kDebug},
                                                {"info", LogLevel::kInfo},
                                                {"warn", LogLevel::kWarn},
                                                {"error", LogLevel::kError}};
inline constexpr Word<LogFormat> kLogFormats[] = {{"text", LogFormat::kText},
                                                  {"json", LogFormat::kJson}};

}  // namespace pns::config
