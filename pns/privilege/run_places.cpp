// SPDX-License-Identifier: BSD-3-Clause
#include "pns/privilege/run_places.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace pns::privilege {

std::expected<void, std::string> give_run_places(const std::filesystem::path& run_dir,
                                                 const Identity& control) {
  const auto failed = [&](const char* what) {
    return std::unexpected(
        fmt::format("run directory {}: {}: {}", run_dir.string(), what, std::strerror(errno)));
  };
  if (::geteuid() != 0) return {};
  const UniqueFd directory(
      ::open(run_dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return failed("open");
  if (::fchown(directory.get(), 0, control.gid) != 0 || ::fchmod(directory.get(), 0710) != 0)
    return failed("owner");
  if (::mkdirat(directory.get(), kStoreDirectory, 0700) != 0 && errno != EEXIST)
    return failed("store");
  // Control may be hostile: nothing that it owns is opened by name or changed.
  struct stat status {};
  if (::fstatat(directory.get(), kStoreDirectory, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISDIR(status.st_mode))
    return failed("store");
  if (status.st_uid == control.uid) return {};
  if (std::string why = store_objection(run_dir, control); !why.empty())
    return std::unexpected(std::move(why));
  const UniqueFd store(
      ::openat(directory.get(), kStoreDirectory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!store) return failed("store");
  for (const char* file : {"data.mdb", "lock.mdb"})
    if (::fchownat(store.get(), file, control.uid, control.gid, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno != ENOENT)
      return failed("store");
  // The mode first: who gives a directory away may not change it any more.
  if (::fchmod(store.get(), 0700) != 0 || ::fchown(store.get(), control.uid, control.gid) != 0)
    return failed("store");
  return {};
}

std::string store_objection(const std::filesystem::path& run_dir, const Identity& control) {
  struct stat status {};
  const auto store = run_dir / kStoreDirectory;
  if (::geteuid() != 0 || ::lstat(store.c_str(), &status) != 0) return {};
  if (!S_ISDIR(status.st_mode))
    return fmt::format("run directory {}: store is no directory: remove it", run_dir.string());
  if (status.st_uid == control.uid || status.st_uid == 0) return {};
  return fmt::format("run directory {}: the store belongs to uid {}, not to {} ({}): remove it",
                     run_dir.string(), status.st_uid, control.user, control.uid);
}

std::expected<UniqueFd, std::string> bind_socket_for(const std::filesystem::path& path, int kind,
                                                     const Identity& owner) {
  const auto failed = [&](const char* what) {
    return std::unexpected(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    return failed("socket path");
  }
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return failed("socket");
  (void)::unlink(text.c_str());
  const mode_t mask = ::umask(0177);  // it is born 0600
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  ::umask(mask);
  errno = error;
  if (bound != 0) return failed("bind");
  if (::geteuid() == 0 && ::lchown(text.c_str(), owner.uid, owner.gid) != 0) return failed("chown");
  return fd;
}

}  // namespace pns::privilege
