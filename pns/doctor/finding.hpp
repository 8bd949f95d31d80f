// SPDX-License-Identifier: BSD-3-Clause
//
// Finding: one line of `pns doctor`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pns::doctor {

enum class Verdict : std::uint8_t {
  kOk,
  kWarning,  // calls work, but worse than they could, or the check cannot tell
  kError,    // calls do not work, or not all of them
  kSkipped,  // the check does not apply here, or may not look
};
[[nodiscard]] std::string_view name_of(Verdict verdict) noexcept;

// Any of these; empty where nothing is to be done.
struct Remedy {
  std::vector<std::string> run{};  // commands for a root shell, in this order
  std::string configure{};         // a line of a configuration file, instead of the commands
  std::string advice{};            // where no command can help

  [[nodiscard]] bool empty() const noexcept {
    return run.empty() && configure.empty() && advice.empty();
  }
  // "run: A && B; or configure: C; ADVICE"
  [[nodiscard]] std::string to_string() const;
};

struct Finding {
  Verdict verdict = Verdict::kOk;
  std::string text;  // with the values that were found
  Remedy remedy{};
  std::string check{};  // its name; examine() fills it in
};
using Findings = std::vector<Finding>;

}  // namespace pns::doctor
