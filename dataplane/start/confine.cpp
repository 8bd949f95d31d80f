// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/start/confine.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <stdexcept>

#include "pns/log/log.hpp"
#include "pns/privilege/confinement.hpp"

namespace pns::dataplane {

void confine(const std::vector<unsigned>& kept) {
  const auto need = [](const privilege::Result& done) {
    if (!done) throw std::runtime_error(done.error());
  };
  const privilege::Identity identity = privilege::find_identity(privilege::kDataplaneUser);
  if (!identity.exists) log::warn("user missing", {{"user", identity.user}, {"uid", identity.uid}});
  // Memory that a driver maps for a device later counts for the new user.
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  (void)::setrlimit(RLIMIT_MEMLOCK, &unlimited);
  const auto mode = privilege::filter_mode();
  need(privilege::become(identity, kept, ::getppid()));
  need(privilege::end(identity, kept, dataplane_syscalls(), mode));
  log::info("privileges dropped", {{"uid", identity.uid},
                                   {"gid", identity.gid},
                                   {"capabilities", privilege::name_capabilities(kept)},
                                   {"filter", privilege::name_of(mode)}});
}

}  // namespace pns::dataplane
