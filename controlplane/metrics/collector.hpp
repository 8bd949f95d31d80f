// SPDX-License-Identifier: BSD-3-Clause
//
// Collector: everything /metrics shows, read at scrape time from the counters in session memory and
// from Statistics. The only user of prometheus-cpp. Collect() runs on the exposer's thread and
// reads relaxed atomics only; nothing on a packet path or the event loop waits for a scrape.
#pragma once

#include <prometheus/collectable.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/model/statistics.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/session_memory.hpp"

namespace prometheus {
class Exposer;
}

namespace pns::metrics {

class Collector final : public prometheus::Collectable {
 public:
  struct PoolUse {
    std::string name;
    std::uint64_t size = 0;
    std::uint64_t used = 0;
    std::uint64_t delegated_size = 0;  // prefixes for DHCPv6
    std::uint64_t delegated_used = 0;
  };
  // `pools` is called on the scrape thread.
  Collector(const contract::SessionMemory& memory, const model::Statistics& statistics,
            std::function<std::vector<PoolUse>()> pools);
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const contract::SessionMemory& memory_;
  const model::Statistics& statistics_;
  std::function<std::vector<PoolUse>()> pools_;
};

// Serves GET /metrics until it goes away.
class Endpoint {
 public:
  // Throws std::runtime_error when the address cannot be bound.
  Endpoint(Ipv4Address address, std::uint16_t port,
           std::vector<std::shared_ptr<prometheus::Collectable>> collectors);
  ~Endpoint();

 private:
  std::vector<std::shared_ptr<prometheus::Collectable>> collectors_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace pns::metrics
