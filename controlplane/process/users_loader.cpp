// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/users_loader.hpp"

#include <exception>
#include <memory>
#include <utility>

#include "controlplane/process/wiping_delete.hpp"
#include "controlplane/subscriber/settings.hpp"

namespace pns::control {
namespace {

UsersLoader::Users read_users(const config::Config& config, const UniqueFd& users_file) {
  const WipeFreedMemory wiping;
  try {
    const auto users = config::load_users(config, users_file.get());
    if (!users) return std::unexpected(users.error().front().to_string());
    return subscriber::make_users(*users, config.ppp);
  } catch (const std::exception& error) {
    return std::unexpected(std::string(error.what()));
  }
}

}  // namespace

UsersLoader::UsersLoader(EventLoop& loop, const config::Config& config, UniqueFd users_file,
                         std::function<void(Users)> done)
    : thread_([&loop, &config, file = std::move(users_file), done = std::move(done)] {
        loop.post([users = read_users(config, file), done]() mutable { done(std::move(users)); });
      }) {}

UsersLoader::~UsersLoader() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace pns::control
