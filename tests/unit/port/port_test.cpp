// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/port.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace pns;
using namespace pns::dataplane;

TEST_CASE("ports: the MAC of a tap port is local, unicast, and the same at each start",
          "[dataplane][ports]") {
  std::set<MacAddress> seen;
  for (const char* node : {"pns", "pns1", "pns2", ""})
    for (const auto role : {contract::PortRole::kAccess, contract::PortRole::kCore}) {
      const auto mac = tap_mac(node, role);
      CHECK(mac == tap_mac(node, role));
      CHECK((mac[0] & 0x03) == 0x02);
      seen.insert(mac);
    }
  CHECK(seen.size() == 8);
}

TEST_CASE("port: a worker waits on its own queues", "[dataplane][port]") {
  Port port;
  for (std::uint16_t queue = 0; queue < 4; ++queue)
    port.rx_queues.push_back(RxQueue::ethdev(0, queue));
  port.wait_fds = {10, 11, 12, 13};
  using Fds = std::vector<int>;
  CHECK(wait_fds_of(port, WorkerId(1), 4) == Fds{11});
  CHECK(wait_fds_of(port, WorkerId(0), 2) == Fds{10, 12});
  CHECK(wait_fds_of(port, WorkerId(1), 2) == Fds{11, 13});
  CHECK(wait_fds_of(port, WorkerId(4), 8).empty());
  // One descriptor for all queues: whoever has a queue waits on it.
  port.wait_fds = {10};
  CHECK(wait_fds_of(port, WorkerId(3), 4) == Fds{10});
  CHECK(wait_fds_of(port, WorkerId(4), 8).empty());
}
