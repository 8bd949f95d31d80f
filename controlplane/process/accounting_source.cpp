// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/accounting_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace pns::control {
namespace {

[[noreturn]] void fail(const std::filesystem::path& what, const std::string& reason) {
  throw std::runtime_error("aaa.radius.accounting.spool_directory: " + what.string() + ": " +
                           reason);
}

[[noreturn]] void fail(const std::filesystem::path& what, int error) {
  fail(what, std::string(std::strerror(error)));
}

}  // namespace

void check_spool_directory(const config::RadiusAccounting& config) {
  struct stat status {};
  const auto& directory = config.spool_directory;
  if (::lstat(directory.c_str(), &status) == 0) {
    if (!S_ISDIR(status.st_mode)) fail(directory, "is no directory");
    return;
  }
  if (errno != ENOENT) fail(directory, errno);
  const auto parent = directory.parent_path();
  if (::stat(parent.c_str(), &status) != 0) fail(parent, errno);
  if (!S_ISDIR(status.st_mode)) fail(parent, "is no directory");
}

UniqueFd open_spool_directory(const config::RadiusAccounting& config,
                              const privilege::Identity& identity) {
  const auto& path = config.spool_directory;
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail(path, errno);
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) fail(path, errno);
  struct stat status {};
  if (::fstat(directory.get(), &status) != 0) fail(path, errno);
  if (::geteuid() != 0 || status.st_uid == identity.uid) return directory;
  if (status.st_uid != 0)
    fail(path, "belongs to uid " + std::to_string(status.st_uid) + ", not to " + identity.user);
  if (::fchmod(directory.get(), 0700) != 0 ||
      ::fchown(directory.get(), identity.uid, identity.gid) != 0)
    fail(path, errno);
  return directory;
}

accounting::SpoolStore open_spool(const UniqueFd& directory,
                                  const config::RadiusAccounting& config) {
  const UniqueFd before(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!before || ::fchdir(directory.get()) != 0) fail(config.spool_directory, errno);
  auto store = accounting::SpoolStore::open(".", std::size_t{config.spool_megabytes} << 20);
  if (::fchdir(before.get()) != 0) fail(config.spool_directory, errno);
  if (!store) fail(config.spool_directory, store.error());
  return std::move(*store);
}

}  // namespace pns::control
