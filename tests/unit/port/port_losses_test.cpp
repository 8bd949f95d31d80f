// SPDX-License-Identifier: BSD-3-Clause
//
// Totals of what a port lost, with numbers in the place of a device.
#include "dataplane/port/port_losses.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/port/port_statistics.hpp"

using namespace pns;
using namespace pns::dataplane;

namespace {

using Since = PortReading::Since;
using contract::PortLosses;

constexpr std::uint16_t kWhole = PortReading::kWholePort;

PortReading one(PortLoss loss, std::uint64_t value, Since since, std::uint16_t queue = kWhole) {
  PortReading reading;
  reading.losses.push_back({queue, loss, value, since});
  return reading;
}

PortReading device(const std::string& name, std::uint64_t value, Since since) {
  PortReading reading;
  reading.device.push_back({name, value, since});
  return reading;
}

std::uint64_t total(const PortLosses& losses, PortLoss loss) {
  return losses.port.counts[static_cast<std::size_t>(loss)].total.get();
}

// A reader sees: "name" or "name/queue" → count.
std::map<std::string, std::uint64_t> seen(const PortLosses& losses) {
  std::map<std::string, std::uint64_t> out;
  contract::for_each_loss(
      losses, [&](std::optional<std::size_t> queue, PortLoss loss, std::uint64_t count) {
        out[std::string(info_of(loss).name) + (queue ? "/" + std::to_string(*queue) : "")] = count;
      });
  contract::for_each_device_counter(
      losses, [&](std::string_view name, std::uint64_t n) { out[std::string(name)] = n; });
  return out;
}

}  // namespace

TEST_CASE("port losses: a socket's numbers add up over restarts of the process", "[dataplane]") {
  const auto losses = std::make_unique<PortLosses>();
  {
    PortLossBook book(*losses, "xdp:eth0");
    book.take(one(PortLoss::socket_full, 10, Since::kProcess));
    CHECK(total(*losses, PortLoss::socket_full) == 10);  // counted from zero
    book.take(one(PortLoss::socket_full, 10, Since::kProcess));
    book.take(one(PortLoss::socket_full, 25, Since::kProcess));
    CHECK(total(*losses, PortLoss::socket_full) == 25);
  }
  // The next process has new sockets. That they have counted more than the old ones is no matter.
  PortLossBook book(*losses, "xdp:eth0");
  CHECK(total(*losses, PortLoss::socket_full) == 25);
  book.take(one(PortLoss::socket_full, 40, Since::kProcess));
  CHECK(total(*losses, PortLoss::socket_full) == 65);
}

TEST_CASE("port losses: an interface counts on while no process looks", "[dataplane]") {
  const auto losses = std::make_unique<PortLosses>();
  {
    PortLossBook book(*losses, "tap:wire0");
    book.take(one(PortLoss::tap_full, 500, Since::kHost));
    CHECK(total(*losses, PortLoss::tap_full) == 0);  // before our time
    book.take(one(PortLoss::tap_full, 503, Since::kHost));
    CHECK(total(*losses, PortLoss::tap_full) == 3);
  }
  PortLossBook book(*losses, "tap:wire0");
  book.take(one(PortLoss::tap_full, 600, Since::kHost));
  CHECK(total(*losses, PortLoss::tap_full) == 100);
}

TEST_CASE("port losses: another device begins anew and takes nothing away", "[dataplane]") {
  const auto losses = std::make_unique<PortLosses>();
  {
    PortLossBook book(*losses, "xdp:eth0");
    book.take(one(PortLoss::missed, 500, Since::kHost));
    book.take(one(PortLoss::missed, 507, Since::kHost));
    book.take(device("rx_dropped", 5, Since::kHost));
  }
  PortLossBook book(*losses, "xdp:eth1");
  book.take(one(PortLoss::missed, 9000, Since::kHost));
  book.take(device("rx_dropped", 70, Since::kHost));
  CHECK(total(*losses, PortLoss::missed) == 7);
  book.take(one(PortLoss::missed, 9001, Since::kHost));
  book.take(device("rx_dropped", 72, Since::kHost));
  CHECK(total(*losses, PortLoss::missed) == 8);
  CHECK(seen(*losses).at("rx_dropped") == 7);
}

TEST_CASE("port losses: a register that goes round, and a source that begins again",
          "[dataplane]") {
  CHECK(counted_between(5, 5) == 0);
  CHECK(counted_between(5, 9) == 4);
  CHECK(counted_between(0xfffffff0, 0x10) == 0x20);
  CHECK(counted_between(0xffffffff, 0) == 1);
  CHECK(counted_between(1000, 3) == 3);                          // reset
  CHECK(counted_between(0xfffffff0, 0x80000000) == 0x80000000);  // too far for a turn: reset
  CHECK(counted_between(0x1fffffff0, 0x10) == 0x10);             // wider than 32 bits: reset
  const auto losses = std::make_unique<PortLosses>();
  PortLossBook book(*losses, "0000:01:00.0");
  std::uint64_t before = 0;
  for (const std::uint64_t value :
       std::initializer_list<std::uint64_t>{0xffffff00, 0x100, 0x50, 0x60, 0x0}) {
    book.take(one(PortLoss::missed, value, Since::kProcess));
    CHECK(total(*losses, PortLoss::missed) >= before);
    before = total(*losses, PortLoss::missed);
  }
  CHECK(before == std::uint64_t{0xffffff00} + 0x200 + 0x50 + 0x10);
}

TEST_CASE("port losses: a queue that is absent keeps its total, one that never was is not shown",
          "[dataplane]") {
  const auto losses = std::make_unique<PortLosses>();
  {
    PortLossBook book(*losses, "xdp:eth0");
    PortReading both = one(PortLoss::socket_full, 4, Since::kProcess, 0);
    both.losses.push_back({1, PortLoss::socket_full, 6, Since::kProcess});
    both.losses.push_back({PortLosses::kQueues, PortLoss::socket_full, 9, Since::kProcess});
    book.take(both);
    CHECK(seen(*losses) ==
          std::map<std::string, std::uint64_t>{{"socket_full/0", 4}, {"socket_full/1", 6}});
    book.take(PortReading{});  // no source answered
  }
  PortLossBook book(*losses, "xdp:eth0");
  book.take(one(PortLoss::socket_full, 1, Since::kProcess, 0));
  CHECK(seen(*losses) ==
        std::map<std::string, std::uint64_t>{{"socket_full/0", 5}, {"socket_full/1", 6}});
  CHECK(contract::sum_of(*losses, PortLossKind::kReceive) == 11);
  CHECK(contract::sum_of(*losses, PortLossKind::kTransmit) == 0);
}

TEST_CASE("port losses: device counters appear when they first count, and keep their name",
          "[dataplane]") {
  const auto losses = std::make_unique<PortLosses>();
  {
    PortLossBook book(*losses, "xdp:eth0");
    PortReading first = device("rx_dropped", 100, Since::kHost);
    first.device.push_back({"tx_dropped", 0, Since::kHost});
    book.take(first);
    CHECK(seen(*losses) == std::map<std::string, std::uint64_t>{{"rx_dropped", 0}});
    book.take(device("tx_dropped", 3, Since::kHost));
    CHECK(seen(*losses).at("tx_dropped") == 3);
  }
  PortLossBook book(*losses, "xdp:eth0");
  book.take(device("rx_errors", 2, Since::kHost));  // was zero while the other process looked
  book.take(device("rx_dropped", 101, Since::kHost));
  CHECK(seen(*losses) == std::map<std::string, std::uint64_t>{
                             {"rx_dropped", 1}, {"tx_dropped", 3}, {"rx_errors", 2}});
}

TEST_CASE("port losses: more device counters than fit, and names too long, do no harm",
          "[dataplane]") {
  const auto losses = std::make_unique<PortLosses>();
  PortLossBook book(*losses, std::string(200, 'd'));
  for (std::size_t i = 0; i < PortLosses::kDeviceCounters + 10; ++i)
    book.take(device("c" + std::to_string(i), 1, Since::kProcess));
  CHECK(seen(*losses).size() == PortLosses::kDeviceCounters);
  const auto others = std::make_unique<PortLosses>();
  PortLossBook long_names(*others, "d");
  long_names.take(device(std::string(100, 'n'), 1, Since::kProcess));
  long_names.take(device(std::string(100, 'n'), 3, Since::kProcess));
  CHECK(seen(*others) == std::map<std::string, std::uint64_t>{{std::string(63, 'n'), 3}});
}

TEST_CASE("port losses: which names of drivers speak of loss", "[dataplane]") {
  for (const char* name :
       {"rx_missed_errors", "rx_q0_errors", "rx_queue_0_xdp_drops", "rx_mbuf_allocation_errors",
        "rx_out_of_buffer", "mac_rx_crc_errors", "tx_queue_1_fifo_full", "rx_Discards"})
    CHECK(speaks_of_loss(name));
  for (const char* name : {"rx_good_packets", "tx_q3_bytes", "rx_size_64_packets", ""})
    CHECK_FALSE(speaks_of_loss(name));
}
