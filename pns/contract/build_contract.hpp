// SPDX-License-Identifier: BSD-3-Clause
//
// BuildContract: what an executable of this server was built to share with the others. `--contract`
// prints it, and the supervisor asks a new executable for it before it ends the old process: one
// that would read session memory, the channel or the resume store in another way must not start.
// Each shared format has a FormatVersion; docs/upgrade.md says what may be added under which.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "pns/contract/format_version.hpp"

namespace pns::contract {

// PNS_CONTRACT_TRIAL makes the build of tests/interop/contract_test.py. Each format has the next
// version there. It has one more drop reason, one more field in a session's record and one more key
// in a stored session.
#ifdef PNS_CONTRACT_TRIAL
inline constexpr std::uint32_t kTrial = 1;
#else
inline constexpr std::uint32_t kTrial = 0;
#endif

// ---- Session memory (session_memory.hpp).
#ifdef PNS_TEST_CONTRACT_VERSION  // only in pns-control-other, for tests of the refusal
inline constexpr std::uint32_t kSessionMemoryVersion = PNS_TEST_CONTRACT_VERSION;
inline constexpr std::uint32_t kSessionMemoryMinCompatible = PNS_TEST_CONTRACT_VERSION;
#else
inline constexpr std::uint32_t kSessionMemoryVersion = 12 + kTrial;
inline constexpr std::uint32_t kSessionMemoryMinCompatible = 6;
#endif
// ---- The channel between the planes (channel.hpp, messages.hpp).
inline constexpr std::uint32_t kChannelVersion = 7 + kTrial;
inline constexpr std::uint32_t kChannelMinCompatible = 4;
// ---- The supervisor's protocol (supervisor_protocol.hpp).
inline constexpr std::uint32_t kSupervisorVersion = 7 + kTrial;
inline constexpr std::uint32_t kSupervisorMinCompatible = 3;
// ---- The records in the resume store. They are how a control process finds its calls again. A key
// that a reader does not know is skipped, and one that is missing has its default.
inline constexpr std::uint32_t kStoreVersion = 9 + kTrial;
inline constexpr std::uint32_t kStoreMinCompatible = 4;
// ---- What a supervisor leaves to the one that takes its place (pns/supervisor/handover.hpp).
inline constexpr std::uint32_t kHandOverVersion = 4 + kTrial;
inline constexpr std::uint32_t kHandOverMinCompatible = 2;

struct BuildContract {
  // By name; both numbers of a format are printed, as NAME_version and NAME_min_compatible.
  struct Format {
    std::string_view name;
    FormatVersion version;
  };
  static constexpr std::string_view kHandOver = "handover";  // counts between supervisors only
  std::array<Format, 5> formats;
  // Sizes of what lies in session memory: they must be equal. Additions take reserved octets.
  using Size = std::pair<std::string_view, std::uint64_t>;
  std::array<Size, 4> sizes;
};

struct SessionMemoryHeader;

// The contract of the executable that this is linked into.
[[nodiscard]] BuildContract build_contract() noexcept;
// The same, together with whatever has written this session memory and the store beside it.
[[nodiscard]] BuildContract contract_with(const SessionMemoryHeader& header) noexcept;

// One line of JSON: {"program": "pns-control", "version": "0.1.0", …every number}.
[[nodiscard]] std::string to_json(const BuildContract& contract, std::string_view program);

}  // namespace pns::contract
