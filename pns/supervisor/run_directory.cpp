// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/run_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

namespace pns::supervisor {
namespace {

std::expected<void, std::string> write_file(const std::filesystem::path& file,
                                            const std::string& text, mode_t mode) {
  const std::filesystem::path draft = file.string() + ".new";
  const auto failed = [&] {
    return std::unexpected(fmt::format("{}: {}", file.string(), std::strerror(errno)));
  };
  {
    const UniqueFd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      return failed();
  }
  if (::rename(draft.c_str(), file.c_str()) != 0) return failed();
  return {};
}

}  // namespace

std::expected<RunDirectory, std::string> RunDirectory::open(const std::filesystem::path& path) {
  RunDirectory directory;
  std::error_code error;
  directory.path_ = std::filesystem::absolute(path, error).lexically_normal();
  if (!directory.path_.has_filename()) directory.path_ = directory.path_.parent_path();
  const auto failed = [&](const std::string& reason) {
    return std::unexpected(fmt::format("run directory {}: {}", directory.path_.string(), reason));
  };
  std::filesystem::create_directories(directory.path_.parent_path(), error);
  if (::mkdir(directory.path_.c_str(), 0700) != 0 && errno != EEXIST)
    return failed(std::strerror(errno));
  const UniqueFd self(::open(directory.path_.c_str(), O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!self) return failed(std::strerror(errno));
  if (::fchmod(self.get(), 0700) != 0) return failed(std::strerror(errno));

  directory.lock_.reset(
      ::openat(self.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!directory.lock_) return failed(fmt::format("lock: {}", std::strerror(errno)));
  if (::flock(directory.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 16> owner{};
    const ssize_t got = ::pread(directory.lock_.get(), owner.data(), owner.size() - 1, 0);
    return failed(got > 0 ? fmt::format("another pns runs here (process {})", owner.data())
                          : std::string("another pns runs here"));
  }
  const std::string owner = std::to_string(::getpid());
  if (::ftruncate(directory.lock_.get(), 0) != 0 ||
      ::pwrite(directory.lock_.get(), owner.data(), owner.size(), 0) < 0)
    return failed(fmt::format("lock: {}", std::strerror(errno)));
  return directory;
}

RunDirectory RunDirectory::adopt(const std::filesystem::path& path, UniqueFd lock) {
  RunDirectory directory;
  directory.path_ = path;
  directory.lock_ = std::move(lock);
  return directory;
}

std::expected<void, std::string> RunDirectory::write_pid(std::string_view name, pid_t pid) const {
  return write_file(path_ / fmt::format("{}.pid", name), fmt::format("{}\n", pid), 0644);
}

std::expected<void, std::string> RunDirectory::write_configuration(std::string_view name,
                                                                   int fd) const {
  std::string text;
  std::array<char, 4096> part{};
  ssize_t got = 0;
  while ((got = ::pread(fd, part.data(), part.size(), static_cast<off_t>(text.size()))) > 0)
    text.append(part.data(), static_cast<std::size_t>(got));
  if (got < 0) return std::unexpected(fmt::format("{}.yaml: {}", name, std::strerror(errno)));
  return write_file(path_ / fmt::format("{}.yaml", name), text, 0600);
}

std::expected<void, std::string> RunDirectory::link_configuration(
    const std::filesystem::path& file) const {
  const std::filesystem::path draft = path_ / "configuration.new";
  (void)::unlink(draft.c_str());
  std::error_code error;
  std::filesystem::create_symlink(std::filesystem::absolute(file), draft, error);
  if (!error) std::filesystem::rename(draft, path_ / "configuration", error);
  if (error) return std::unexpected("configuration: " + error.message());
  return {};
}

void RunDirectory::remove_configurations() const noexcept {
  (void)::unlink((path_ / "configuration").c_str());
  for (const char* const name : {"server", "supervisor", "control", "dataplane"})
    (void)::unlink((path_ / fmt::format("{}.yaml", name)).c_str());
}

pid_t RunDirectory::read_pid(std::string_view name) const {
  std::ifstream file(path_ / fmt::format("{}.pid", name));
  pid_t pid = -1;
  return file >> pid && pid > 1 ? pid : -1;
}

void RunDirectory::remove_pid(std::string_view name) const noexcept {
  (void)::unlink((path_ / fmt::format("{}.pid", name)).c_str());
}

void RunDirectory::remove_sockets() const noexcept {
  std::error_code error;
  std::vector<std::filesystem::path> sockets;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error))
    if (entry.symlink_status(error).type() == std::filesystem::file_type::socket)
      sockets.push_back(entry.path());
  for (const auto& socket : sockets) (void)::unlink(socket.c_str());
}

}  // namespace pns::supervisor
