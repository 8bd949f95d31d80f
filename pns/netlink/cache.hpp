// SPDX-License-Identifier: BSD-3-Clause
//
// Helpers for the caches of libnl: lists of what the kernel has, of one kind (addresses, routes,
// rules). One thread.
#pragma once

#include <netlink/cache.h>

#include <memory>

namespace pns::netlink {

struct FreeCache {
  void operator()(nl_cache* cache) const noexcept { nl_cache_free(cache); }
};
using Cache = std::unique_ptr<nl_cache, FreeCache>;

// Calls visit(Object*) for every object; `Object` is what the cache holds, rtnl_addr say.
template <class Object, class Visit>
void for_each(nl_cache* cache, Visit visit) {
  for (nl_object* object = nl_cache_get_first(cache); object != nullptr;
       object = nl_cache_get_next(object))
    visit(reinterpret_cast<Object*>(object));
}

}  // namespace pns::netlink
