// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/users_loader.hpp"

#include <exception>
#include <memory>
#include <utility>

#include "controlplane/process/wiping_delete.hpp"
#include "controlplane/subscriber/settings.hpp"

namespace pns::control {

std::expected<std::vector<aaa::LocalUser>, std::vector<std::string>> read_users(
    const config::Config& config, const UniqueFd& users_file) {
  if (!config.aaa.asks(config::AaaSource::kLocal)) return {};
  const WipeFreedMemory wiping;
  std::vector<std::string> wrong;
  try {
    const auto users = config::load_users(config, users_file.get());
    if (users) return subscriber::make_users(*users, config.ppp);
    for (const config::ConfigError& error : users.error()) wrong.push_back(error.to_string());
  } catch (const std::exception& error) {
    wrong.emplace_back(error.what());
  }
  return std::unexpected(std::move(wrong));
}

UsersLoader::UsersLoader(EventLoop& loop, const config::Config& config, UniqueFd users_file,
                         std::function<void(Users)> done)
    : thread_([&loop, &config, file = std::move(users_file), done = std::move(done)] {
        auto read = read_users(config, file);
        Users users = read ? Users(std::move(*read)) : std::unexpected(read.error().front());
        loop.post([users = std::move(users), done]() mutable { done(std::move(users)); });
      }) {}

UsersLoader::~UsersLoader() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace pns::control
