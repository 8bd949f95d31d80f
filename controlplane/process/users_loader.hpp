// SPDX-License-Identifier: BSD-3-Clause
//
// UsersLoader: reads and hashes the accounts on a thread of its own, so that the event loop serves
// established calls meanwhile. A file of 50,000 users takes a second and more. Memory that
// the parser frees is overwritten, so that no copy of a password is left in the process.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/runtime/event_loop.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"

namespace pns::control {

// The accounts of the open users file, hashed; none without local in aaa.order. Error: a sentence
// for each thing that is wrong, with the file and the line.
[[nodiscard]] std::expected<std::vector<aaa::LocalUser>, std::vector<std::string>> read_users(
    const config::Config& config, const UniqueFd& users_file);

class UsersLoader {
 public:
  using Users = std::expected<std::vector<aaa::LocalUser>, std::string>;

  // Starts reading `users_file`, which is open: the process may not open it any more. `config`
  // outlives this. `done` runs on the event loop, once; the error is a
  // sentence that names the file and the line.
  UsersLoader(EventLoop& loop, const config::Config& config, UniqueFd users_file,
              std::function<void(Users)> done);
  UsersLoader(const UsersLoader&) = delete;
  UsersLoader& operator=(const UsersLoader&) = delete;
  ~UsersLoader();

 private:
  std::thread thread_;
};

}  // namespace pns::control
