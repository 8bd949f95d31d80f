// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/host_network.hpp"

#include <net/if.h>

#include <algorithm>
#include <utility>

#include "pns/supervisor/kernel_parameters.hpp"
#include "pns/supervisor/kernel_port.hpp"
#include "pns/supervisor/policy_rules.hpp"

namespace pns::supervisor {
namespace {

using contract::SupervisorMessage;
using contract::SupervisorMessageType;

template <class Prefix>
bool is_one_of(const Prefix& prefix, const std::vector<Prefix>& all) {
  return std::ranges::find(all, prefix) != all.end();
}

}  // namespace

HostNetwork::Result HostNetwork::open(std::uint32_t sessions) {
  remove_rules(our_interfaces());  // of a run that was killed
  if (auto done = open_taps(); !done) return done;
  made_ = true;
  ways_back_.set_limit(2 * std::size_t{sessions});
  if (auto done = open_kernel_port(); !done) return done;
  if (auto done = open_services(); !done) return done;
  if (auto done = open_neighbour_requests(); !done) return done;
  if (auto done = open_session_routes(); !done) return done;
  session_routes_.clean();  // of a run that was killed
  return {};
}

HostNetwork::Result HostNetwork::open_taps() {
  for (std::uint32_t role = 0; role < contract::kPorts; ++role) {
    const config::Port& settings = port(role);
    const bool is_first = role == static_cast<std::uint32_t>(contract::PortRole::kAccess);
    if ((is_first || !config_.ports.one_device()) &&
        settings.device.kind == config::DeviceKind::kTap) {
      auto wire = open_tap(settings.device.interface);
      if (!wire) return std::unexpected(wire.error());
      wires_[role] = std::move(*wire);
    }
    if (settings.has_twin() && (is_first || !config_.ports.one_link())) {
      auto twin = open_tap(settings.twin);
      if (!twin) return std::unexpected(twin.error());
      set_parameters(ipv6_quiet(settings.twin));
      twins_[role] = std::move(*twin);
    }
  }
  return {};
}

HostNetwork::Result HostNetwork::open_kernel_port() {
  const config::Port& core = config_.ports.core;
  if (!core.leads_to_host()) return {};
  if (auto done = make_kernel_port(core); !done) return done;
  if (auto done = configure_kernel_port(config_, {}, kernel_port_addresses_); !done) return done;
  kernel_port_pools_ = config::prefixes_of_pools(config_);
  return {};
}

HostNetwork::Result HostNetwork::open_services() {
  const config::Services& services = config_.ports.core.services;
  if (!services.enabled) return {};
  auto tun = open_tun(services.interface);
  if (!tun) return std::unexpected(tun.error());
  services_ = std::move(*tun);
  services_addresses_ = {};
  if (auto done = configure_services(config_, Old::kRemove, services_addresses_); !done)
    return done;
  return open_services_routes();
}

HostNetwork::Result HostNetwork::open_services_routes() {
  const config::Services& services = config_.ports.core.services;
  return services_routes_.open({.interface = services.interface, .table = services.table});
}

HostNetwork::Result HostNetwork::open_neighbour_requests() {
  auto opened = netlink::NeighbourRequests::open();
  if (!opened) return std::unexpected(opened.error());
  neighbour_requests_ = std::move(*opened);
  return {};
}

HostNetwork::Result HostNetwork::open_session_routes() {
  const config::Port& core = config_.ports.core;
  return kernel_routes_.open({.interface = core.kernel_interface(), .table = core.table});
}

void HostNetwork::take(const HandOver& state) {
  made_ = true;
  services_.reset(state.services.fd);
  for (std::uint32_t role = 0; role < contract::kPorts; ++role) {
    wires_[role].reset(state.ports[role].wire);
    twins_[role].reset(state.ports[role].twin);
    twin_configured_[role] = state.ports[role].twin_configured;
  }
}

HostNetwork::Result HostNetwork::reopen(bool control_runs) {
  if (auto done = open_neighbour_requests(); !done) return done;
  if (auto done = open_session_routes(); !done) return done;
  session_routes_.adopt();
  if (!control_runs) session_routes_.expect_again();
  return {};
}

void HostNetwork::resume(const Snapshot::Pointer& dataplane, std::uint32_t sessions) {
  ways_back_.set_limit(2 * std::size_t{sessions});
  std::optional<config::Config> theirs;
  if (dataplane)
    if (auto loaded = config::load(dataplane->source())) theirs = std::move(*loaded);
  resume_ways_back(theirs ? *theirs : config_);
  resume_services();
}

// The supervisor before has set this, with the pools that the dataplane runs with. A prefix of no
// pool is one that a session has.
void HostNetwork::resume_ways_back(const config::Config& config) {
  const config::Port& core = config_.ports.core;
  const Networks pools = config::prefixes_of_pools(config);
  if (core.leads_to_host()) {
    kernel_port_pools_ = pools;
    const config::Port& port = config.ports.core;
    kernel_port_addresses_.ipv4.insert(port.addresses.begin(), port.addresses.end());
    kernel_port_addresses_.ipv6.insert(port.ipv6_addresses.begin(), port.ipv6_addresses.end());
  } else if (services_) {
    for (const auto& [name, pool] : config.pools)
      services_addresses_.ipv4.insert({pool.gateway, 32});
  } else {
    return;
  }
  Networks known = link_routes(interface_of_ways_back(core), tables_of_ways_back(core));
  std::erase_if(known.ipv4, [&](const auto& each) { return is_one_of(each, pools.ipv4); });
  std::erase_if(known.ipv6, [&](const auto& each) { return is_one_of(each, pools.ipv6); });
  ways_back_.adopt(known);
}

// Off and on take effect here; the dataplane follows at its next start. No call hangs on them: a
// failure is logged.
void HostNetwork::resume_services() {
  const config::Services& services = config_.ports.core.services;
  if (!services_ && !services.enabled) return;
  if (!services.enabled) {
    switch_off_services(config_.ports, services_addresses_);
    ways_back_.forget();
    services_.reset();
    return;
  }
  const auto done = [&]() -> Result {
    if (!services_) return open_services();
    if (auto opened = open_services_routes(); !opened) return opened;
    return configure_services(config_, Old::kKeep, services_addresses_);
  }();
  if (!done) log::error("services failed", {{"reason", done.error()}});
  if (services_) session_routes_.add_place(services_routes_);
}

void HostNetwork::describe(HandOver& state) const {
  state.services = {.fd = services_.get(), .name = config_.ports.core.services.interface};
  for (std::uint32_t role = 0; role < contract::kPorts; ++role)
    state.ports[role] = {.wire = wires_[role].get(),
                         .twin = twins_[role].get(),
                         .twin_configured = twin_configured_[role],
                         .device = port(role).device.text,
                         .twin_name = port(role).twin};
}

int HostNetwork::fd_for(const SupervisorMessage& message) const {
  switch (message.type) {
    case SupervisorMessageType::kGrantWire:
      return wires_.at(message.port).get();
    case SupervisorMessageType::kGrantTwin:
      return twins_.at(message.port).get();
    case SupervisorMessageType::kGrantServices:
      return services_.get();
    default:
      return -1;
  }
}

void HostNetwork::on_dataplane_start(const Snapshot::Pointer& configuration) {
  forget_ways_back();
  refresh_services(configuration);
}

// Addresses and routes of the pools that the dataplane starts with. Routes of sessions that ended
// meanwhile go; it asks for the others again.
void HostNetwork::refresh_services(const Snapshot::Pointer& configuration) {
  const config::Services& services = config_.ports.core.services;
  if (!services.enabled) return;
  config::Config config = config_;
  if (auto theirs =
          configuration ? config::load(configuration->source()) : config::load(config_.file);
      theirs)
    config.pools = std::move(theirs->pools);
  const auto done = [&]() -> Result {
    // Switched on while the dataplane before had the interface still.
    if (!services_)
      if (auto opened = open_services(); !opened) return opened;
    return configure_services(config, Old::kRemove, services_addresses_);
  }();
  if (!done) log::error("services failed", {{"reason", done.error()}});
  if (services_) session_routes_.add_place(services_routes_);
}

// The dataplane asks again for those of the sessions that it has.
void HostNetwork::forget_ways_back() {
  const config::Port& core = config_.ports.core;
  // Those out of the interface of services go when that is configured.
  if (core.leads_to_host())
    remove_other_link_routes(core.device.interface, tables_of_ways_back(core), kernel_port_pools_);
  ways_back_.forget();
}

// A dataplane may have come with pools that were not there before.
void HostNetwork::on_dataplane_ready(const Snapshot::Pointer& configuration) {
  if (!config_.ports.core.leads_to_host() || !configuration) return;
  const auto now = config::load(configuration->source());
  // Only the planes can read it, or the port is another one.
  if (!now || now->ports.core.device.text != config_.ports.core.device.text) return;
  if (auto done = configure_kernel_port(*now, ways_back_.networks(), kernel_port_addresses_); !done)
    log::error("kernel port not configured", {{"reason", done.error()}});
  kernel_port_pools_ = config::prefixes_of_pools(*now);
  // The kernel drops the routes of an interface with its last address.
  session_routes_.repeat();
}

std::expected<bool, std::string> HostNetwork::set_twin(const SupervisorMessage& message) {
  if (message.port >= contract::kPorts || !twins_[message.port]) {
    log::error("twin unknown", {{"port", message.port}});
    return false;
  }
  const bool before = twin_configured_[message.port];
  const auto role = static_cast<contract::PortRole>(message.port);
  auto done = configure_twin(port(message.port), role, message.mac, message.value, before);
  // The one twin of one link has the routes of both ports.
  if (done && role == contract::PortRole::kAccess && config_.ports.one_link())
    done = configure_twin(config_.ports.core, contract::PortRole::kCore, message.mac, message.value,
                          before);
  if (!done) {
    if (!before) return std::unexpected(std::move(done.error()));
    log::error("twin failed", {{"reason", done.error()}});
  }
  twin_configured_[message.port] = true;
  if (role == contract::PortRole::kCore || config_.ports.one_link()) session_routes_.repeat();
  return true;
}

// The dataplane has no capability. Its requests are checked and bounded: each makes an entry in the
// kernel's neighbour table.
void HostNetwork::ask_neighbour(const SupervisorMessage& message, TimePoint now) {
  const std::string_view text(message.text.data());
  const auto ipv4 = Ipv4Address::parse(text);
  const auto ipv6 = Ipv6Address::parse(text);
  const auto may_be_asked = [](const auto& address) {
    return address && !address->is_unspecified() && !address->is_loopback() &&
           !address->is_multicast();
  };
  const bool good = message.port < contract::kPorts && message.value <= 1 &&
                    (may_be_asked(ipv4) || may_be_asked(ipv6));
  if (!good || !neighbour_budget_.allow(now)) {
    if (neighbour_log_.allow(now))
      log::warn("neighbour request refused", {{"port", message.port},
                                              {"reason", good ? "too many" : "malformed"},
                                              {"suppressed", neighbour_log_.take_suppressed()}});
    return;
  }
  const config::Port& asked = port(message.port);
  const auto index = static_cast<int>(::if_nametoindex(asked.kernel_interface().c_str()));
  const auto verb =
      message.value == 0 ? netlink::NeighbourVerb::kAsk : netlink::NeighbourVerb::kForget;
  if (ipv4)
    neighbour_requests_->send(verb, index, *ipv4);
  else
    neighbour_requests_->send(verb, index, *ipv6);
}

void HostNetwork::set_way_back(const SupervisorMessage& message, TimePoint now) {
  if (!services_ && !config_.ports.core.leads_to_host()) return;
  const std::string_view text(message.text.data());
  // A value that is none makes the text none.
  ways_back_.set(message.value <= 1 ? text : std::string_view(), message.value == 0, now);
}

void HostNetwork::remove() {
  if (!made_) return;
  remove_rules(our_interfaces());
  if (config_.ports.core.leads_to_host()) remove_kernel_port(config_.ports.core);
  session_routes_.clean();
}

}  // namespace pns::supervisor
