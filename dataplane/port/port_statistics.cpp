// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/port_statistics.hpp"

#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace pns::dataplane {
namespace {

constexpr int kLevelXdp = 283;  // SOL_XDP

bool is_packet_socket(int fd) {
  int domain = 0;
  socklen_t length = sizeof(domain);
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_PACKET;
}

// The kernel's own names for what an interface lost.
void add_interface(PortReading& out, const rtnl_link_stats64& link) {
  const std::pair<const char*, std::uint64_t> counters[] = {
      {"rx_errors", link.rx_errors},           {"tx_errors", link.tx_errors},
      {"rx_dropped", link.rx_dropped},         {"tx_dropped", link.tx_dropped},
      {"rx_fifo_errors", link.rx_fifo_errors}, {"rx_missed_errors", link.rx_missed_errors},
      {"rx_nohandler", link.rx_nohandler}};
  for (const auto& [name, value] : counters)
    out.device.push_back({name, value, PortReading::Since::kHost});
}

std::uint64_t less(std::uint64_t now, std::uint64_t before) noexcept {
  return now >= before ? now - before : now;
}

}  // namespace

bool speaks_of_loss(std::string_view name) {
  constexpr auto kWords = std::to_array<std::string_view>(
      {"drop", "miss",       "err",    "discard",   "fail",     "nobuf",    "no_buf",
       "mbuf", "out_of_buf", "no_dma", "no_desc",   "overrun",  "overflow", "fifo",
       "full", "exhaust",    "crc",    "undersize", "oversize", "invalid"});
  std::string low(name);
  std::ranges::transform(low, low.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::any_of(
      kWords, [&](std::string_view word) { return low.find(word) != std::string::npos; });
}

PortStatistics::PortStatistics(const Port& port) : port_(port) {
  if (port.ethdev_id == UINT16_MAX || !port.xdp_sockets.empty()) return;
  std::ranges::copy_if(port.wait_fds, std::back_inserter(packet_sockets_), is_packet_socket);
  if (rte_eth_stats_get(port.ethdev_id, &at_open_) != 0) at_open_ = {};
  driver_at_open_ = driver_counters();
}

std::vector<std::pair<std::string, std::uint64_t>> PortStatistics::driver_counters() const {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  const int count = rte_eth_xstats_get_names(port_.ethdev_id, nullptr, 0);
  if (count <= 0) return out;
  std::vector<rte_eth_xstat_name> names(static_cast<std::size_t>(count));
  std::vector<rte_eth_xstat> values(names.size());
  const auto room = static_cast<unsigned>(count);
  if (rte_eth_xstats_get_names(port_.ethdev_id, names.data(), room) != count ||
      rte_eth_xstats_get(port_.ethdev_id, values.data(), room) != count)
    return out;
  for (const rte_eth_xstat& value : values) {
    if (value.id >= names.size()) continue;
    const char* text = names[value.id].name;
    const std::string name(text, ::strnlen(text, RTE_ETH_XSTATS_NAME_SIZE));
    if (speaks_of_loss(name)) out.emplace_back(name, value.value);
  }
  return out;
}

PortReading PortStatistics::read() {
  PortReading out;
  if (port_.on_others_device) return out;
  if (port_.wire)
    read_tap(out);
  else if (!port_.xdp_sockets.empty())
    read_xdp(out);
  else if (port_.ethdev_id != UINT16_MAX)
    read_ethdev(out);
  if (port_.has_twin)
    if (const auto twin = interfaces_.of_interface(port_.kernel_interface))
      out.losses.push_back(
          {PortReading::kWholePort, PortLoss::twin_full, twin->tx_dropped, Since::kHost});
  return out;
}

void PortStatistics::read_tap(PortReading& out) {
  const auto link = interfaces_.of_tap(port_.wire.get());
  if (!link) return;
  out.losses.push_back(
      {PortReading::kWholePort, PortLoss::tap_full, link->tx_dropped, Since::kHost});
  add_interface(out, *link);
}

void PortStatistics::read_xdp(PortReading& out) {
  for (std::uint16_t queue = 0; queue < port_.xdp_sockets.size(); ++queue) {
    xdp_statistics socket{};
    socklen_t length = sizeof(socket);
    // A kernel before 5.9 gives less and counts a full ring as dropped.
    if (::getsockopt(port_.xdp_sockets[queue], kLevelXdp, XDP_STATISTICS, &socket, &length) != 0)
      continue;
    const std::pair<PortLoss, std::uint64_t> counters[] = {
        {PortLoss::socket_full, socket.rx_ring_full},
        {PortLoss::socket_dropped, socket.rx_dropped},
        {PortLoss::send_refused, socket.tx_invalid_descs},
        {PortLoss::fill_ring_empty, socket.rx_fill_ring_empty_descs},
        {PortLoss::fill_refused, socket.rx_invalid_descs},
        {PortLoss::send_ring_empty, socket.tx_ring_empty_descs}};
    for (const auto& [loss, value] : counters)
      out.losses.push_back({queue, loss, value, Since::kProcess});
  }
  if (const auto link = interfaces_.of_interface(port_.xdp_interface)) {
    out.losses.push_back(
        {PortReading::kWholePort, PortLoss::missed, link->rx_missed_errors, Since::kHost});
    out.losses.push_back(
        {PortReading::kWholePort, PortLoss::damaged, link->rx_errors, Since::kHost});
    add_interface(out, *link);
  }
  for (const auto& [name, value] : interfaces_.of_driver(port_.xdp_interface))
    if (speaks_of_loss(name)) out.device.push_back({"driver_" + name, value, Since::kHost});
}

void PortStatistics::read_ethdev(PortReading& out) {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(port_.ethdev_id, &stats) == 0) {
    const std::pair<PortLoss, std::uint64_t> counters[] = {
        {PortLoss::missed, less(stats.imissed, at_open_.imissed)},
        {PortLoss::damaged, less(stats.ierrors, at_open_.ierrors)},
        {PortLoss::send_failed, less(stats.oerrors, at_open_.oerrors)},
        {PortLoss::driver_no_buffer, less(stats.rx_nombuf, at_open_.rx_nombuf)}};
    for (const auto& [loss, value] : counters)
      out.losses.push_back({PortReading::kWholePort, loss, value, Since::kProcess});
  }
  read_packet_sockets(out);
  const auto driver = driver_counters();
  for (std::size_t i = 0; i < driver.size(); ++i) {
    const auto& [name, value] = driver[i];
    const bool known = i < driver_at_open_.size() && driver_at_open_[i].first == name;
    out.device.push_back(
        {name, known ? less(value, driver_at_open_[i].second) : value, Since::kProcess});
  }
}

void PortStatistics::read_packet_sockets(PortReading& out) {
  if (packet_sockets_.empty()) return;
  for (const int fd : packet_sockets_) {
    tpacket_stats socket{};
    socklen_t length = sizeof(socket);
    if (::getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &socket, &length) == 0)
      packet_socket_drops_ += socket.tp_drops;
  }
  out.losses.push_back(
      {PortReading::kWholePort, PortLoss::socket_full, packet_socket_drops_, Since::kProcess});
}

}  // namespace pns::dataplane
