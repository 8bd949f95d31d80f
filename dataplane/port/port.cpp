// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/port.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <set>

#include "dataplane/port/device_check.hpp"
#include "pns/host/devices.hpp"

namespace pns::dataplane {
namespace {

constexpr std::uint16_t kDescriptors = 1024;
constexpr int kDomainPacket = 17;  // AF_PACKET
constexpr int kDomainXdp = 44;     // AF_XDP

std::unexpected<std::string> failed(const Port& port, std::string_view what) {
  return std::unexpected(fmt::format("port {} ({}): {}", role_name(port.role), port.device, what));
}

// Sockets of the poll-mode drivers that can be waited on: AF_PACKET and AF_XDP.
std::set<int> packet_sockets(std::initializer_list<int> domains = {kDomainPacket, kDomainXdp}) {
  std::set<int> found;
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return found;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name(entry->d_name);
    int fd = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec != std::errc{}) continue;
    int domain = 0;
    socklen_t length = sizeof(domain);
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) continue;
    if (std::ranges::find(domains, domain) != domains.end()) found.insert(fd);
  }
  ::closedir(directory);
  return found;
}

std::expected<std::uint16_t, std::string> probe_vdev(const Port& port, const std::string& name,
                                                     const std::string& arguments) {
  if (const int error = rte_eal_hotplug_add("vdev", name.c_str(), arguments.c_str()); error != 0)
    return failed(port, fmt::format("DPDK cannot make {}: {}", name, rte_strerror(-error)));
  std::uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0)
    return failed(port, fmt::format("DPDK made no port {}", name));
  return id;
}

// Sets an interface up. AF_XDP binds to no other.
std::expected<void, std::string> set_up(const Port& port) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  port.xdp_interface.copy(request.ifr_name, IFNAMSIZ - 1);
  bool done = socket && ::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0;
  request.ifr_flags |= IFF_UP;
  done = done && ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
  if (!done)
    return failed(port, fmt::format("{} up: {}", port.xdp_interface, std::strerror(errno)));
  return {};
}

std::expected<std::uint16_t, std::string> probe_xdp(const Port& port, const config::Ports& ports,
                                                    std::uint16_t queues) {
  const auto index = static_cast<int>(::if_nametoindex(port.xdp_interface.c_str()));
  const auto program = xdp_program(port.role, ports);
  // The supervisor leaves its peer down, so that nothing comes before there is a program.
  if (port.leads_to_host)
    if (auto done = set_up(port); !done) return std::unexpected(done.error());
  // A dataplane that was killed left its program attached, and the driver refuses to replace one.
  (void)bpf_xdp_detach(index, 0, nullptr);
  auto id =
      probe_vdev(port, fmt::format("net_af_xdp{}", static_cast<int>(port.role)),
                 fmt::format("iface={},start_queue=0,queue_count={},busy_budget=0,xdp_prog={}",
                             port.xdp_interface, queues, program.string()));
  // DPDK asks for combined channels, which virtual interfaces do not have.
  if (!id && queues > 1)
    return std::unexpected(
        fmt::format("{}; {} receive queues must be combined channels: ethtool -l {}", id.error(),
                    queues, port.xdp_interface));
  return id;
}

std::expected<std::uint16_t, std::string> probe_device(Port& port, const config::Ports& ports,
                                                       std::uint16_t queues) {
  const config::Port& config = port.role == contract::PortRole::kAccess ? ports.access : ports.core;
  switch (config.device.kind) {
    case config::DeviceKind::kXdp:
    case config::DeviceKind::kKernel:
      return probe_xdp(port, ports, queues);
    case config::DeviceKind::kPci: {
      std::uint16_t id = 0;
      if (rte_eth_dev_get_port_by_name(config.device.text.c_str(), &id) != 0)
        return failed(port, "DPDK has no driver for it, or it is not bound to vfio-pci");
      return id;
    }
    case config::DeviceKind::kBond: {
      auto bond = make_bond(port.role, config.device);
      if (!bond) return failed(port, bond.error());
      port.members = std::move(bond->members);
      port.lacp = config.device.bond_mode == config::BondMode::kLacp;
      return bond->ethdev_id;
    }
    default: {
      const auto comma = config.device.text.find(',');
      return probe_vdev(port, config.device.text.substr(0, comma),
                        comma == std::string::npos ? "" : config.device.text.substr(comma + 1));
    }
  }
}

// Precondition: the port has started. Rules by GRE key need a queue for every worker.
void steer(Port& port, std::uint16_t rx_queues, std::uint16_t workers, std::uint64_t asked,
           config::Steering steering) {
  if (rx_queues < 2 || steering == config::Steering::kNone) return;
  const bool access = port.role == contract::PortRole::kAccess;
  if (access && steering != config::Steering::kRss) {
    port.no_key_rules = rx_queues == workers
                            ? install_key_rules(port.ethdev_id, key_rules(assign_buckets(workers)))
                            : "fewer receive queues than workers";
    if (port.no_key_rules.empty()) {
      port.steering.way = contract::SteeringWay::kKey;
      return;
    }
    if (steering == config::Steering::kKey) return;
  }
  port.steering = plan_rss(read_rss(port.ethdev_id, asked), workers);
  // Any host may send to a subscriber: a hash that includes the source predicts nothing.
  if (!access && port.steering.hashed != contract::HashedAddresses::kDestination)
    port.steering = {};
}

// The tags of a device's frames that the device takes off and puts on, if it can.
enum class DeviceTags : std::uint8_t {
  kByHand,  // none, or two: devices differ in which of two they mean
  kSingle,
};

DeviceTags device_tags(const config::Ports& ports, contract::PortRole role) {
  std::size_t most = (role == contract::PortRole::kAccess ? ports.access : ports.core).vlan.size();
  if (ports.one_device()) most = std::max(ports.access.vlan.size(), ports.core.vlan.size());
  return most == 1 ? DeviceTags::kSingle : DeviceTags::kByHand;
}

// One port's own tags.
VlanTags tags_of(const config::Port& settings, const Port& device) {
  // The kernel's VLAN interface has them.
  if (settings.device.uses_xdp()) return {};
  VlanTags tags = VlanTags::of(settings.vlan);
  tags.device_inserts = device.device_inserts_tags && tags.count == 1;
  return tags;
}

// A bond has the queues that every member has.
std::expected<void, std::string> limit_queues(const Port& port, rte_eth_dev_info& info) {
  for (const BondMember& member : port.members) {
    rte_eth_dev_info its{};
    if (rte_eth_dev_info_get(member.ethdev_id, &its) != 0)
      return failed(port, fmt::format("no device information of {}", member.name));
    info.max_rx_queues = std::min(info.max_rx_queues, its.max_rx_queues);
    info.max_tx_queues = std::min(info.max_tx_queues, its.max_tx_queues);
  }
  return {};
}

bool has_tap_member(const Port& port) {
  return std::ranges::any_of(
      port.members, [](const BondMember& member) { return member.name.starts_with("net_tap"); });
}

// Neighbor Solicitations, OSPF and VRRP are multicast, and NICs filter it. A bond passes the wish
// to the member that is active at the moment, and not to the next one.
std::string take_all_multicast(const Port& port) {
  int error = rte_eth_allmulticast_enable(port.ethdev_id);
  for (const BondMember& member : port.members)
    if (const int its = rte_eth_allmulticast_enable(member.ethdev_id); its != 0) error = its;
  return error == 0 ? std::string() : rte_strerror(-error);
}

std::expected<void, std::string> start_ethdev(Port& port, std::uint16_t workers,
                                              std::uint16_t rx_queues, config::Steering steering,
                                              std::uint16_t mtu, DeviceTags tags,
                                              rte_mempool* pool) {
  const std::uint16_t id = port.ethdev_id;
  rte_eth_dev_info info{};
  if (rte_eth_dev_info_get(id, &info) != 0) return failed(port, "no device information");
  if (auto limited = limit_queues(port, info); !limited) return limited;
  rx_queues = std::min(rx_queues, info.max_rx_queues);
  // One for each worker, and one for LACP. net_tap has as many queues each way.
  const auto wanted_tx = static_cast<std::uint16_t>(workers + (port.lacp ? 1 : 0));
  const std::uint16_t most_tx = has_tap_member(port) ? rx_queues : info.max_tx_queues;
  const std::uint16_t tx_queues = std::min(wanted_tx, most_tx);
  const bool shared_tx = tx_queues < wanted_tx;
  rte_eth_conf conf{};
  if (rx_queues > 1) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = wanted_rss(port.role, info.flow_type_rss_offloads, steering);
    if (conf.rx_adv_conf.rss_conf.rss_hf == 0) conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
  }
  if (mtu != 0) {
    if (mtu < info.min_mtu || mtu > info.max_mtu)
      return failed(
          port, fmt::format("mtu {}: the device takes {} to {}", mtu, info.min_mtu, info.max_mtu));
    conf.rxmode.mtu = mtu;
  }
  if (tags == DeviceTags::kSingle) {
    conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
    conf.txmode.offloads |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
    port.device_inserts_tags = (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0;
  }
  int configured = rte_eth_dev_configure(id, rx_queues, tx_queues, &conf);
  if (configured != 0 && (conf.rx_adv_conf.rss_conf.rss_hf & RTE_ETH_RSS_L3_DST_ONLY) != 0) {
    // Offered, but not in this combination.
    conf.rx_adv_conf.rss_conf.rss_hf =
        wanted_rss(port.role, info.flow_type_rss_offloads & ~RTE_ETH_RSS_L3_DST_ONLY, steering);
    configured = rte_eth_dev_configure(id, rx_queues, tx_queues, &conf);
  }
  if (const int error = configured; error != 0)
    return failed(port, fmt::format("configure: {}", rte_strerror(-error)));
  std::uint16_t rx_descriptors = kDescriptors;
  std::uint16_t tx_descriptors = kDescriptors;
  (void)rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx_descriptors, &tx_descriptors);
  const int socket = rte_eth_dev_socket_id(id);
  for (std::uint16_t queue = 0; queue < rx_queues; ++queue) {
    const auto others = packet_sockets({kDomainXdp});
    if (const int error = rte_eth_rx_queue_setup(id, queue, rx_descriptors,
                                                 static_cast<unsigned>(socket), nullptr, pool);
        error != 0)
      return failed(port, fmt::format("receive queue {}: {}", queue, rte_strerror(-error)));
    // net_af_xdp keeps the queue's socket to itself; it is the one that was not there before.
    for (const int fd : packet_sockets({kDomainXdp}))
      if (!others.contains(fd)) port.xdp_sockets.push_back(fd);
  }
  if (!port.xdp_sockets.empty() && port.xdp_sockets.size() != rx_queues)
    return failed(port, fmt::format("{} AF_XDP sockets for {} receive queues",
                                    port.xdp_sockets.size(), rx_queues));
  for (std::uint16_t queue = 0; queue < tx_queues; ++queue)
    if (const int error = rte_eth_tx_queue_setup(id, queue, tx_descriptors,
                                                 static_cast<unsigned>(socket), nullptr);
        error != 0)
      return failed(port, fmt::format("transmit queue {}: {}", queue, rte_strerror(-error)));

  if (const int error = rte_eth_dev_start(id); error != 0)
    return failed(port, fmt::format("start: {}", rte_strerror(-error)));
  // The kernel does not filter what it shares by XDP: its own interface has its own memberships.
  if (port.has_twin) port.no_multicast = take_all_multicast(port);
  if (port.lacp) start_lacp(port.role, id, static_cast<std::uint16_t>(tx_queues - 1), shared_tx);
  steer(port, rx_queues, workers, conf.rx_adv_conf.rss_conf.rss_hf, steering);
  // af_xdp opens its sockets in queue set-up, af_packet at probe: take all that nobody else has.
  // Both open them queue by queue, and each is given the lowest number that is free.
  for (const int fd : packet_sockets()) port.wait_fds.push_back(fd);

  rte_ether_addr mac{};
  if (rte_eth_macaddr_get(id, &mac) == 0) std::copy_n(mac.addr_bytes, 6, port.mac.begin());
  if (std::uint16_t set = 0; rte_eth_dev_get_mtu(id, &set) == 0) port.mtu = set;
  port.numa_node = socket;

  for (std::uint16_t queue = 0; queue < rx_queues; ++queue)
    port.rx_queues.push_back(RxQueue::ethdev(id, queue));
  for (std::uint16_t worker = 0; worker < workers; ++worker)
    port.tx_queues.push_back(
        TxQueue::ethdev(id, static_cast<std::uint16_t>(worker % tx_queues), shared_tx));
  return {};
}

// The kernel interface that a device shares with it; empty: none.
std::string shared_interface(const config::Device& device) {
  if (device.uses_xdp()) return device.xdp_interface();
  return device.kind == config::DeviceKind::kVdev ? host::interface_of_vdev(device.text)
                                                  : std::string();
}

// The XDP program is attached and its sockets are bound.
void read_xdp_mode(Port& port) {
  bpf_xdp_query_opts query{};
  query.sz = sizeof(query);
  const auto index = static_cast<int>(::if_nametoindex(port.xdp_interface.c_str()));
  if (bpf_xdp_query(index, 0, &query) != 0) return;
  port.xdp_mode = query.attach_mode == XDP_ATTACHED_DRV  ? "native"
                  : query.attach_mode == XDP_ATTACHED_HW ? "hardware"
                                                         : "generic";
  port.zero_copy = !port.xdp_sockets.empty() && std::ranges::all_of(port.xdp_sockets, [](int fd) {
    xdp_options options{};
    socklen_t length = sizeof(options);
    return ::getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &length) == 0 &&
           (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
  });
}

}  // namespace

std::vector<int> wait_fds_of(const Port& port, WorkerId worker, std::uint16_t workers) {
  if (port.rx_queues.size() <= worker.value) return {};
  if (port.wait_fds.size() != port.rx_queues.size()) return port.wait_fds;
  std::vector<int> own;
  for (std::size_t queue = worker.value; queue < port.wait_fds.size(); queue += workers)
    own.push_back(port.wait_fds[queue]);
  return own;
}

MacAddress tap_mac(const std::string& node, contract::PortRole role) noexcept {
  return local_mac(0x50, node + role_name(role));
}

std::expected<Port, std::string> open_port(contract::PortRole role, const config::Config& config,
                                           UniqueFd wire, rte_mempool* pool) {
  const config::Port& settings =
      role == contract::PortRole::kAccess ? config.ports.access : config.ports.core;
  const auto workers = static_cast<std::uint16_t>(config.dataplane.cores.workers.size());
  Port port;
  port.role = role;
  port.device = settings.device.text;
  port.has_twin = settings.has_twin();
  port.leads_to_host = settings.leads_to_host();
  port.kernel_interface = settings.kernel_interface();
  port.xdp_interface = settings.device.xdp_interface();

  if (settings.device.kind == config::DeviceKind::kTap) {
    if (!wire) return failed(port, "the supervisor granted no TAP");
    const int flags = ::fcntl(wire.get(), F_GETFL);
    if (flags < 0 || ::fcntl(wire.get(), F_SETFL, flags | O_NONBLOCK) != 0)
      return failed(port, std::strerror(errno));
    port.mac = tap_mac(config.node.name, role);
    if (settings.mtu != 0) port.mtu = settings.mtu;
    port.capabilities.can_wait = true;
    port.vlan = tags_of(settings, port);
    port.rx_queues.push_back(RxQueue::tap(wire.get(), pool));
    for (std::uint16_t worker = 0; worker < workers; ++worker)
      port.tx_queues.push_back(TxQueue::tap(wire.get()));
    port.wait_fds.push_back(wire.get());
    port.wire = std::move(wire);
    return port;
  }

  if (std::string why = device_objection(role, config); !why.empty())
    return std::unexpected(std::move(why));
  const bool xdp = settings.device.uses_xdp();
  // The XDP program drops what arrives on a queue without a socket, so each queue gets one.
  const auto rx_queues =
      static_cast<std::uint16_t>(xdp ? host::rx_queues(port.xdp_interface) : workers);
  const auto others = packet_sockets();
  auto id = probe_device(port, config.ports, rx_queues);
  if (!id) return std::unexpected(id.error());
  port.ethdev_id = *id;
  // DPDK does not ask the kernel for the MTU of an interface that it shares.
  port.shared_interface = shared_interface(settings.device);
  const std::optional<std::uint32_t> kernel_mtu = host::mtu(port.shared_interface);
  if (auto started =
          start_ethdev(port, workers, rx_queues, config.dataplane.steering,
                       kernel_mtu ? 0 : settings.mtu, device_tags(config.ports, role), pool);
      !started)
    return std::unexpected(started.error());
  port.vlan = tags_of(settings, port);
  if (kernel_mtu)
    port.mtu = static_cast<std::uint16_t>(std::min<std::uint32_t>(
        settings.mtu != 0 ? settings.mtu : *kernel_mtu, config::kMaxPortMtu));
  if (xdp) read_xdp_mode(port);
  std::erase_if(port.wait_fds, [&](int fd) { return others.contains(fd); });
  port.capabilities.can_wait = !port.wait_fds.empty();
  port.capabilities.fragments_intact =
      settings.device.text.find("net_af_packet") == std::string::npos;
  return port;
}

Port port_on_device_of(const Port& access, const config::Config& config) {
  const config::Port& settings = config.ports.core;
  Port port;
  port.role = contract::PortRole::kCore;
  port.device = settings.device.text;
  port.has_twin = settings.has_twin();
  port.kernel_interface = settings.kernel_interface();
  port.xdp_interface = access.xdp_interface;
  port.shared_interface = access.shared_interface;
  port.mac = access.mac;
  port.mtu = access.mtu;
  port.capabilities = access.capabilities;
  port.tx_queues = access.tx_queues;
  port.ethdev_id = access.ethdev_id;
  port.on_others_device = true;
  port.members = access.members;
  port.device_inserts_tags = access.device_inserts_tags;
  port.vlan = tags_of(settings, access);
  port.no_multicast = access.no_multicast;
  port.xdp_mode = access.xdp_mode;
  port.zero_copy = access.zero_copy;
  port.numa_node = access.numa_node;
  return port;
}

void close_port(Port& port) noexcept {
  if (port.on_others_device) return;
  if (port.ethdev_id != UINT16_MAX) {
    if (port.lacp) stop_lacp(port.role);
    (void)rte_eth_dev_stop(port.ethdev_id);
    (void)rte_eth_dev_close(port.ethdev_id);
    port.ethdev_id = UINT16_MAX;
  }
  port.wire.reset();
}

}  // namespace pns::dataplane
