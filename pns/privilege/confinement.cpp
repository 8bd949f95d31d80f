// SPDX-License-Identifier: BSD-3-Clause
#include "pns/privilege/confinement.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

namespace pns::privilege {
namespace {

#ifdef PNS_NO_SYSCALL_FILTER
constexpr int kDumpable = 1;  // the leak checker traces its own process
#else
constexpr int kDumpable = 0;
#endif

std::unexpected<std::string> failed(const char* call) {
  return std::unexpected(
      fmt::format("privileges cannot be dropped: {}: {}", call, std::strerror(errno)));
}

std::uint64_t mask_of(const std::vector<unsigned>& kept) noexcept {
  std::uint64_t mask = 0;
  for (const unsigned capability : kept) mask |= std::uint64_t{1} << capability;
  return mask;
}

// Sets those of the calling thread: effective and permitted, nothing to inherit.
bool set_capabilities(std::uint64_t mask) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  for (std::size_t half = 0; half < data.size(); ++half) {
    data[half].permitted = static_cast<std::uint32_t>(mask >> (32 * half));
    data[half].effective = data[half].permitted;
  }
  return ::syscall(SYS_capset, &header, data.data()) == 0;
}

// One thread's line of /proc/PID/task/TID/status; empty when there is none.
std::string field(const std::string& status, std::string_view name) {
  const auto at = status.find(fmt::format("\n{}:\t", name));
  if (at == std::string::npos) return {};
  const auto from = at + name.size() + 3;
  return status.substr(from, status.find('\n', from) - from);
}

// Empty: the thread is confined. Otherwise what is left to it.
std::string objection(const std::string& status, const Identity& identity, std::uint64_t kept,
                      bool filtered) {
  const auto four = [](auto id) { return fmt::format("{0}\t{0}\t{0}\t{0}", id); };
  if (field(status, "Uid") != four(identity.uid)) return "Uid " + field(status, "Uid");
  if (field(status, "Gid") != four(identity.gid)) return "Gid " + field(status, "Gid");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
    if ((std::strtoull(field(status, set).c_str(), nullptr, 16) & ~kept) != 0)
      return fmt::format("{} {}", set, field(status, set));
  if (field(status, "NoNewPrivs") != "1") return "NoNewPrivs " + field(status, "NoNewPrivs");
  if (filtered && field(status, "Seccomp") != "2") return "Seccomp " + field(status, "Seccomp");
  return {};
}

}  // namespace

std::string drop_objection() {
  if (::geteuid() != 0) return {};
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return {};
  for (const auto& [capability, name] :
       {std::pair{CAP_CHOWN, "CAP_CHOWN"}, std::pair{CAP_SETGID, "CAP_SETGID"},
        std::pair{CAP_SETUID, "CAP_SETUID"}, std::pair{CAP_SETPCAP, "CAP_SETPCAP"}})
    if ((data[0].effective >> capability & 1) == 0)
      return fmt::format("privileges cannot be dropped: {} is missing (docs/upgrade.md)", name);
  return {};
}

Result begin() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("PR_SET_NO_NEW_PRIVS");
  if (::prctl(PR_SET_DUMPABLE, kDumpable, 0, 0, 0) != 0) return failed("PR_SET_DUMPABLE");
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return failed("RLIMIT_CORE");
  return {};
}

Result begin_plane() {
  if (auto begun = begin(); !begun) return begun;
  if (::geteuid() != 0) return {};
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return failed("PR_CAPBSET_DROP");
  return {};
}

Result become(const Identity& identity, const std::vector<unsigned>& kept, pid_t parent) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return failed("PR_CAP_AMBIENT");
  if (::prctl(PR_SET_KEEPCAPS, kept.empty() ? 0 : 1, 0, 0, 0) != 0)
    return failed("PR_SET_KEEPCAPS");
  if (::geteuid() == 0 && ::setgroups(0, nullptr) != 0) return failed("setgroups");
  // The C library's functions, not the kernel's: they act on every thread.
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) return failed("setresgid");
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return failed("setresuid");
  if (!set_capabilities(mask_of(kept))) return failed("capset");
  // A change of user resets both.
  if (::prctl(PR_SET_DUMPABLE, kDumpable, 0, 0, 0) != 0) return failed("PR_SET_DUMPABLE");
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return failed("PR_SET_PDEATHSIG");
  if (::getppid() != parent) return std::unexpected(std::string("the supervisor has ended"));
  return {};
}

Result end(const Identity& identity, const std::vector<unsigned>& kept, const SyscallList& list,
           FilterMode mode) {
  // Opened while every call is still allowed; looked at when the filter is there.
  std::vector<std::pair<std::string, std::unique_ptr<std::ifstream>>> threads;
  const auto open_threads = [&] {
    threads.clear();
    DIR* directory = ::opendir("/proc/self/task");
    if (directory == nullptr) return;
    while (const dirent* entry = ::readdir(directory))
      if (entry->d_name[0] != '.') {
        const std::string name(entry->d_name);
        threads.emplace_back(
            name, std::make_unique<std::ifstream>("/proc/self/task/" + name + "/status"));
      }
    ::closedir(directory);
  };
  open_threads();
  if (threads.empty()) return failed("/proc/self/task");
  if (auto installed = install(list, mode); !installed) return installed;
  for (const auto& [name, file] : threads) {
    std::ostringstream text;
    text << file->rdbuf();
    if (text.str().empty()) continue;  // it has ended
    if (const std::string left =
            objection(text.str(), identity, mask_of(kept), mode != FilterMode::kNone);
        !left.empty())
      return std::unexpected(
          fmt::format("privileges cannot be dropped: thread {} has {}", name, left));
  }
  return {};
}

void drop_capabilities() noexcept { (void)set_capabilities(0); }

bool signal_process(pid_t pid, int signal, const Identity& owner) noexcept {
  if (::kill(pid, signal) == 0) return true;
  if (errno != EPERM || ::geteuid() != 0) return false;
  if (::seteuid(owner.uid) != 0) return false;
  const bool sent = ::kill(pid, signal) == 0;
  const int error = errno;
  if (::seteuid(0) != 0) ::abort();
  (void)::prctl(PR_SET_DUMPABLE, kDumpable, 0, 0, 0);  // a change of user resets it
  errno = error;
  return sent;
}

std::string name_capabilities(const std::vector<unsigned>& kept) {
  std::string text;
  for (const unsigned capability : kept) {
    if (!text.empty()) text += ',';
    text += capability == CAP_NET_ADMIN ? "NET_ADMIN" : fmt::format("{}", capability);
  }
  return text.empty() ? "none" : text;
}

}  // namespace pns::privilege
