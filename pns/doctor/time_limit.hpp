// SPDX-License-Identifier: BSD-3-Clause
//
// Time limits of what `pns doctor` asks. A file of /proc, a netlink socket, nft or a name service
// may answer never, on the very hosts that need a doctor. A function without an answer in time goes
// on in a thread of its own, which nobody waits for: it must own all that it uses.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

namespace pns::doctor {

inline constexpr std::chrono::milliseconds kCheckLimit{2'000};
// For `pns check`, which starts both planes.
inline constexpr std::chrono::milliseconds kStartLimit{20'000};

// Functions that had no answer in time and still run. While there are any, the process must end by
// _exit(2): they may use what exit(3) destroys.
inline std::atomic<std::size_t> functions_left{0};

// The function's result; empty: it took longer, or threw.
template <class Function>
[[nodiscard]] std::optional<std::invoke_result_t<Function>> within(std::chrono::milliseconds limit,
                                                                   Function function) {
  using Result = std::invoke_result_t<Function>;
  auto promise = std::make_shared<std::promise<Result>>();
  auto result = promise->get_future();
  ++functions_left;
  std::thread([promise, function = std::move(function)]() mutable {
    try {
      Result made = function();
      --functions_left;
      promise->set_value(std::move(made));
    } catch (...) {
      --functions_left;
      promise->set_exception(std::current_exception());
    }
  }).detach();
  if (result.wait_for(limit) != std::future_status::ready) return std::nullopt;
  try {
    return result.get();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace pns::doctor
