// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/snapshot.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace pns::supervisor {
namespace {

constexpr off_t kLargest = off_t{64} << 20;  // octets: as the reader of the configuration

std::unexpected<std::string> failed(const char* what) {
  return std::unexpected(fmt::format("{}: {}", what, std::strerror(errno)));
}

// Another description of the same memory, by which nobody can write.
UniqueFd reopen(const UniqueFd& fd) {
  if (!fd) return UniqueFd();
  return UniqueFd(::open(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), O_RDONLY | O_CLOEXEC));
}

std::expected<UniqueFd, std::string> copy(const std::filesystem::path& file) {
  const UniqueFd from(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!from) return failed("cannot open");
  struct stat status {};
  if (::fstat(from.get(), &status) != 0) return failed("cannot read");
  if (!S_ISREG(status.st_mode)) return std::unexpected(std::string("is no regular file"));
  UniqueFd to(::memfd_create("pns-configuration", MFD_CLOEXEC));
  // A plane has another user: it cannot open the memory again to write to it.
  if (!to || ::fchmod(to.get(), 0600) != 0) return failed("cannot be copied");
  off_t copied = 0;
  while (copied <= kLargest) {
    const ssize_t got = ::sendfile(to.get(), from.get(), nullptr, std::size_t{1} << 20);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("cannot be copied");
    if (got == 0) break;
    copied += got;
  }
  if (copied > kLargest) return std::unexpected(std::string("larger than 64 MiB"));
  const std::array<timespec, 2> times{status.st_mtim, status.st_mtim};
  (void)::futimens(to.get(), times.data());
  return to;
}

bool is_copy_of(const std::filesystem::path& file, const UniqueFd& copied) {
  struct stat here {};
  struct stat there {};
  return ::fstat(copied.get(), &here) == 0 && ::stat(file.c_str(), &there) == 0 &&
         here.st_size == there.st_size && here.st_mtim.tv_sec == there.st_mtim.tv_sec &&
         here.st_mtim.tv_nsec == there.st_mtim.tv_nsec;
}

}  // namespace

Snapshot::Snapshot(const std::filesystem::path& file, UniqueFd config, UniqueFd users)
    : config_(std::move(config)),
      users_(std::move(users)),
      source_{file, reopen(config_), reopen(users_)} {}

std::expected<Snapshot::Pointer, config::ConfigError> Snapshot::take(
    const std::filesystem::path& file, bool with_users) {
  auto config = copy(file);
  if (!config)
    return std::unexpected(config::ConfigError{file.string(), 0, "", std::move(config.error())});
  const Pointer alone(new Snapshot(file, std::move(*config), UniqueFd()));
  if (!with_users) return alone;
  // Only a newer program may be able to read it: then the planes open the users file themselves.
  const auto read = config::load(alone->source());
  if (!read) return alone;
  auto users = copy(read->aaa.local.users_file);
  if (!users) return alone;
  UniqueFd own(::fcntl(alone->config_.get(), F_DUPFD_CLOEXEC, 0));
  return Pointer(new Snapshot(file, std::move(own), std::move(*users)));
}

Snapshot::Pointer Snapshot::adopt(const std::filesystem::path& file, UniqueFd config,
                                  UniqueFd users) {
  if (!config) return nullptr;
  return Pointer(new Snapshot(file, std::move(config), std::move(users)));
}

Snapshot::~Snapshot() {
  struct stat status {};
  if (!users_ || ::fstat(users_.get(), &status) != 0) return;
  constexpr std::array<char, 4096> kZeros{};
  for (off_t at = 0; at < status.st_size; at += static_cast<off_t>(kZeros.size()))
    if (::pwrite(users_.get(), kZeros.data(), kZeros.size(), at) < 0) return;
}

Snapshot::Pointer Snapshot::without_users() const {
  return adopt(source_.file, UniqueFd(::fcntl(config_.get(), F_DUPFD_CLOEXEC, 0)), UniqueFd());
}

bool Snapshot::is_current() const {
  if (!is_copy_of(source_.file, config_)) return false;
  if (!users_) return true;
  const auto config = config::load(source_);
  return config && is_copy_of(config->aaa.local.users_file, users_);
}

}  // namespace pns::supervisor
