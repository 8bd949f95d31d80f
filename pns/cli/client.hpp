// SPDX-License-Identifier: BSD-3-Clause
//
// `pns show` and `pns call`: what is asked of a running server, and how its answer is printed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace pns::cli {

// Exit statuses of these commands.
inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;     // the server answered with an error
inline constexpr int kNotRunning = 2;  // nobody answered

struct ClientOptions {
  std::filesystem::path run_dir;
  std::optional<std::filesystem::path> socket;  // instead of RUN_DIR/control.sock
  bool json = false;                            // print the server's JSON
};

[[nodiscard]] std::filesystem::path socket_of(const ClientOptions& options);

// The management socket that these options mean.
[[nodiscard]] std::filesystem::path socket_of(const ClientOptions& options);
// "pns: REASON" on stderr; gives the status back.
[[nodiscard]] int complain(const std::string& reason, int status);

// `what`: sessions, session, stats, connections, pools, workers, config. `name`: for session.
[[nodiscard]] int run_show(const ClientOptions& options, const std::string& what,
                           const std::string& name);
// Prints what the server's own books contradict each other in. kRefused when there is anything.
[[nodiscard]] int run_audit(const ClientOptions& options);
struct PlaceOptions {
  std::string pac;
  std::string number;
  std::string subaddress;
  unsigned timeout_s = 60;
};
// Waits until the call's PPP link is open or the call has failed.
[[nodiscard]] int run_call_place(const ClientOptions& options, const PlaceOptions& call);
[[nodiscard]] int run_call_clear(const ClientOptions& options, const std::string& name);

}  // namespace pns::cli
