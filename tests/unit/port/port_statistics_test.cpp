// SPDX-License-Identifier: BSD-3-Clause
//
// Numbers of drivers without a NIC, and of the kernel's interfaces. tests/interop/port_loss_test.py
// shows that they are right under load.
#include "dataplane/port/port_statistics.hpp"

#include <fmt/format.h>
#include <rte_mbuf.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "dataplane/packet/packet_context.hpp"
#include "dataplane/port/interface_statistics.hpp"
#include "dataplane/port/port.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::dataplane;

namespace {

constexpr unsigned kBuffers = 3;
constexpr unsigned kFrames = 10;

rte_mempool* pool(const char* name, unsigned buffers) {
  rte_mempool* const made = rte_pktmbuf_pool_create(name, buffers, 0, kMbufPrivateSize,
                                                    RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  REQUIRE(made != nullptr);
  return made;
}

config::Config config_of(const std::string& device) {
  config::Config config;
  config.dataplane.cores.workers = {1};
  config.ports.access.device = {config::DeviceKind::kVdev, device, ""};
  return config;
}

std::map<PortLoss, std::uint64_t> losses_of(const PortReading& reading) {
  std::map<PortLoss, std::uint64_t> out;
  for (const auto& loss : reading.losses) {
    CHECK(loss.queue == PortReading::kWholePort);
    CHECK(loss.since == PortReading::Since::kProcess);
    CHECK(out.emplace(loss.loss, loss.value).second);
  }
  return out;
}

// A capture of kFrames frames of 60 octets.
void write_capture(const std::filesystem::path& path) {
  std::ofstream file(path, std::ios::binary);
  const auto put = [&](const auto& words) {
    file.write(reinterpret_cast<const char*>(words.data()), sizeof(words));
  };
  put(std::array<std::uint32_t, 6>{0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1});
  for (unsigned i = 0; i < kFrames; ++i) {
    put(std::array<std::uint32_t, 4>{0, 0, 60, 60});
    put(std::array<std::uint32_t, 15>{});
  }
}

}  // namespace

TEST_CASE("port statistics: a driver that lost nothing tells four zeros", "[dataplane]") {
  rte_mempool* const buffers = pool("statistics-null", 511);
  auto port = open_port(contract::PortRole::kAccess, config_of("net_null7"), {}, buffers);
  REQUIRE(port);
  {
    PortStatistics statistics(*port);
    CHECK(losses_of(statistics.read()) ==
          std::map<PortLoss, std::uint64_t>{{PortLoss::missed, 0},
                                            {PortLoss::damaged, 0},
                                            {PortLoss::send_failed, 0},
                                            {PortLoss::driver_no_buffer, 0}});
  }
  close_port(*port);
  rte_mempool_free(buffers);
}

TEST_CASE("port statistics: a driver without buffers is an event, by its own name too",
          "[dataplane]") {
  const test::ScratchDirectory scratch;
  const std::filesystem::path& directory = scratch.path;
  write_capture(directory / "in.pcap");
  rte_mempool* const buffers = pool("statistics-pcap", kBuffers);
  auto port = open_port(
      contract::PortRole::kAccess,
      config_of(fmt::format("net_pcap7,rx_pcap={},tx_pcap={}", (directory / "in.pcap").string(),
                            (directory / "out.pcap").string())),
      {}, buffers);
  INFO((port ? std::string() : port.error()));
  REQUIRE(port);
  {
    PortStatistics statistics(*port);
    std::array<rte_mbuf*, kFrames> packets{};
    CHECK(port->rx_queues.front().rx_burst(packets) == kBuffers);
    const PortReading reading = statistics.read();
    CHECK(losses_of(reading).at(PortLoss::driver_no_buffer) == 1);
    const auto named =
        std::ranges::find(reading.device, "rx_mbuf_allocation_errors", &PortReading::Device::name);
    REQUIRE(named != reading.device.end());
    CHECK(named->value == 1);
    // A number that stood there at its start is not its own.
    PortStatistics later(*port);
    CHECK(losses_of(later.read()).at(PortLoss::driver_no_buffer) == 0);
    rte_pktmbuf_free_bulk(packets.data(), kBuffers);
  }
  close_port(*port);
  rte_mempool_free(buffers);
}

TEST_CASE("port statistics: an interface of the kernel, and one that is not there", "[dataplane]") {
  InterfaceStatistics interfaces;
  CHECK(interfaces.of_interface("lo"));
  CHECK_FALSE(interfaces.of_interface("pns-nobody"));
  CHECK_FALSE(interfaces.of_interface(""));
  CHECK_FALSE(interfaces.of_interface(std::string(300, 'x')));
  CHECK(interfaces.of_interface("lo"));  // after a refusal, and not the answer to it
  CHECK_FALSE(interfaces.of_tap(-1));
  CHECK(interfaces.of_driver("pns-nobody").empty());
  CHECK(interfaces.of_driver(std::string(300, 'x')).empty());
}
