// SPDX-License-Identifier: BSD-3-Clause
//
// The functions that compute MPPE: chosen once, when the process starts, logged and shown.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "dataplane/mppe/kernel_choice.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// Why this CPU cannot do as dataplane.mppe_variant asks; empty: it can.
[[nodiscard]] std::string mppe_objection(const config::Dataplane& wanted);

// As dataplane.mppe_variant and dataplane.mppe_rc4 ask. Error: the CPU cannot run that.
[[nodiscard]] std::expected<MppeChoice, std::string> choose_mppe(const config::Dataplane& wanted);

// For `pns show workers`.
void publish(const MppeChoice& choice, contract::MppeKernelInfo& info) noexcept;

// Nanoseconds of one key change on this CPU, the least of some runs. Needs EAL, for the TSC's rate.
[[nodiscard]] std::uint32_t measure_key_change_ns(const MppeKernels& kernels);

// One line.
void log_choice(const MppeChoice& choice);

}  // namespace pns::dataplane
