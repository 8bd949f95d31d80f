// SPDX-License-Identifier: BSD-3-Clause
//
// CallIds: our Call IDs of every local address, and the worker that each one belongs to. A new call
// gets a Call ID of the worker that the peer's packets reach, as long as that worker is not
// overloaded. Event-loop thread only.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "controlplane/model/statistics.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/pptp/call_id_allocator.hpp"
#include "controlplane/subscriber/steering.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::subscriber {

class CallIds {
 public:
  CallIds(model::Statistics& statistics, RandomSource& random);

  // Copies what the dataplane has published of its ports and workers. Sessions may have changed
  // owners then: count() each of them again.
  void read_steering(const contract::SessionMemoryHeader& header, pools::PoolSet& pools);

  [[nodiscard]] std::optional<OurCallId> allocate(Ipv4Address local, Ipv4Address peer,
                                                  TimePoint now);
  // Takes this very id, for a call that lived through a restart. False: it is in use.
  [[nodiscard]] bool claim(Ipv4Address local, OurCallId id);
  // Gives an id back into quarantine. `carried_gre`: see CallIdAllocator.
  void release(Ipv4Address local, OurCallId id, bool carried_gre, TimePoint now);
  // An id that an earlier process released stays in quarantine until then.
  void quarantine(Ipv4Address local, OurCallId id, TimePoint until);

  struct Quarantined {
    Ipv4Address local;
    OurCallId id;
    TimePoint until;
  };
  [[nodiscard]] std::vector<Quarantined> quarantined(TimePoint now);

  // How many quarantined() has.
  [[nodiscard]] std::size_t quarantined_count(TimePoint now) const;

  // The worker that owns a call.
  [[nodiscard]] std::uint16_t worker_of(OurCallId id) const noexcept {
    return steering_.owner(id).value;
  }
  // The buckets of inner addresses whose packets from the core reach the worker of a call.
  [[nodiscard]] std::bitset<kSteeringBuckets> address_buckets(OurCallId id) const noexcept {
    return steering_.address_buckets(steering_.owner(id));
  }

  // Sessions by worker, which allocate() balances.
  void count(std::uint16_t worker) { ++sessions_by_worker_.at(worker); }
  void uncount(std::uint16_t worker) { --sessions_by_worker_.at(worker); }

  // For the audit: ids in use by local address.
  void for_each_local(const std::function<void(Ipv4Address, std::size_t in_use)>& visit) const;

 private:
  [[nodiscard]] pptp::CallIdAllocator& of(Ipv4Address local);

  model::Statistics& statistics_;
  RandomSource& random_;
  Steering steering_;
  std::unordered_map<Ipv4Address, pptp::CallIdAllocator> allocators_;
  std::vector<std::uint32_t> sessions_by_worker_;
};

}  // namespace pns::subscriber
