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

[[noreturn]] void fail_spool(const std::filesystem::path& what, const std::string& reason) {
  throw std::runtime_error("aaa.radius.accounting.spool_directory: " + what.string() + ": " +
                           reason);
}

[[noreturn]] void fail_spool(const std::filesystem::path& what, int error) {
  fail_spool(what, std::string(std::strerror(error)));
}

}  // namespace

void check_spool_directory(const config::RadiusAccounting& config) {
  struct stat status {};
  const auto& directory = config.spool_directory;
  if (::lstat(directory.c_str(), &status) == 0) {
    if (!S_ISDIR(status.st_mode)) fail_spool(directory, "is no directory");
    return;
  }
  if (errno == EACCES) return;  // control alone may look
  if (errno != ENOENT) fail_spool(directory, errno);
  const auto parent = directory.parent_path();
  if (::stat(parent.c_str(), &status) != 0) fail_spool(parent, errno);
  if (!S_ISDIR(status.st_mode)) fail_spool(parent, "is no directory");
}

SpoolDirectory find_spool_directory(const config::RadiusAccounting& config,
                                    const privilege::Identity& identity) {
  SpoolDirectory found{.path = config.spool_directory, .parent = {}, .itself = {}};
  const auto parent = found.path.parent_path();
  found.parent.reset(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!found.parent) fail_spool(parent, errno);
  const std::string name = found.path.filename().string();
  if (::mkdirat(found.parent.get(), name.c_str(), 0700) != 0 && errno == EACCES) return found;
  found.itself.reset(
      ::openat(found.parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!found.itself && errno == EACCES) return found;
  if (!found.itself) fail_spool(found.path, errno);
  struct stat status {};
  if (::fstat(found.itself.get(), &status) != 0) fail_spool(found.path, errno);
  if (::geteuid() != 0 || status.st_uid == identity.uid) return found;
  if (status.st_uid != 0)
    fail_spool(found.path,
               "belongs to uid " + std::to_string(status.st_uid) + ", not to " + identity.user);
  if (::fchmod(found.itself.get(), 0700) != 0 ||
      ::fchown(found.itself.get(), identity.uid, identity.gid) != 0)
    fail_spool(found.path, errno);
  return found;
}

accounting::SpoolStore open_spool(const SpoolDirectory& directory,
                                  const config::RadiusAccounting& config) {
  UniqueFd opened;
  if (!directory.itself) {
    const std::string name = directory.path.filename().string();
    (void)::mkdirat(directory.parent.get(), name.c_str(), 0700);
    opened.reset(::openat(directory.parent.get(), name.c_str(),
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) fail_spool(directory.path, errno);
  }
  const UniqueFd before(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!before || ::fchdir(opened ? opened.get() : directory.itself.get()) != 0)
    fail_spool(directory.path, errno);
  auto store = accounting::SpoolStore::open(".", std::size_t{config.spool_megabytes} << 20);
  if (::fchdir(before.get()) != 0) fail_spool(directory.path, errno);
  if (!store) fail_spool(directory.path, store.error());
  return std::move(*store);
}

}  // namespace pns::control
