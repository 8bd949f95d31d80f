// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/source.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "pns/config/reader.hpp"

namespace pns::config {
namespace {

UniqueFd take_descriptor(const char* variable) {
  const char* const text = ::getenv(variable);
  if (text == nullptr) return UniqueFd();
  int fd = -1;
  const std::string_view digits(text);
  const bool good =
      std::from_chars(digits.data(), digits.data() + digits.size(), fd).ec == std::errc{} &&
      fd > STDERR_FILENO && ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
  ::unsetenv(variable);
  return UniqueFd(good ? fd : -1);
}

}  // namespace

Source take_source(const std::filesystem::path& file) {
  return {file, take_descriptor(kConfigVariable), take_descriptor(kUsersVariable)};
}

std::expected<Config, std::vector<ConfigError>> load(const Source& source) {
  if (!source.config) return load(source.file);
  auto text = read_file(source.config.get());
  if (!text)
    return std::unexpected(
        std::vector<ConfigError>{{source.file.string(), 0, "", std::move(text.error())}});
  auto config = parse(*text, source.file);
  wipe_text(*text);
  return config;
}

std::expected<UniqueFd, ConfigError> open_users(Source& source, const Config& config) {
  if (source.users) return std::move(source.users);
  const auto& file = config.aaa.local.users_file;
  if (file.empty()) return UniqueFd();
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    return std::unexpected(
        ConfigError{file.string(), 0, "", std::string("cannot open: ") + std::strerror(errno)});
  return fd;
}

std::optional<ConfigError> users_file_warning(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || (status.st_mode & S_IROTH) == 0) return std::nullopt;
  return ConfigError{file.string(), 0, "", "others may read it: it holds passwords (chmod 600)"};
}

}  // namespace pns::config
