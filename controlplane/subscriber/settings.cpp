// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/settings.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <stdexcept>

#include "controlplane/ppp/compression.hpp"
#include "pns/base/bytes.hpp"
#include "pns/crypto/hash.hpp"
#include "pns/crypto/mschap.hpp"
#include "pns/wire/dhcp.hpp"
#include "pns/wire/dhcpv6.hpp"

namespace pns::subscriber {
namespace {

constexpr std::uint16_t kMinIpv6Mtu = 1280;  // octets (RFC 8200 §5)

// From a call's admission to the dataplane's answer.
constexpr auto kInstallTime = Seconds(10);

model::AuthMethod method_of(config::AuthMethod method) noexcept {
  switch (method) {
    case config::AuthMethod::kEap:
      return model::AuthMethod::kEap;
    case config::AuthMethod::kMsChapV2:
      return model::AuthMethod::kMsChapV2;
    case config::AuthMethod::kMsChap:
      return model::AuthMethod::kMsChap;
    case config::AuthMethod::kChap:
      return model::AuthMethod::kChapMd5;
    case config::AuthMethod::kPap:
      return model::AuthMethod::kPap;
  }
  return model::AuthMethod::kNone;
}

ppp::EapMethod eap_method_of(config::EapMethod method) noexcept {
  return method == config::EapMethod::kMd5 ? ppp::EapMethod::kMd5 : ppp::EapMethod::kMsChapV2;
}

static_assert(config::kMaxDomain == wire::kMaxDhcpDomain);
static_assert(config::kMaxRouteOctets == wire::kMaxDhcpRoutes);

ppp::Dhcpv6Mode mode_of(config::Dhcpv6 mode) noexcept {
  switch (mode) {
    case config::Dhcpv6::kOff:
      return ppp::Dhcpv6Mode::kOff;
    case config::Dhcpv6::kStateless:
      return ppp::Dhcpv6Mode::kStateless;
    case config::Dhcpv6::kStateful:
      return ppp::Dhcpv6Mode::kStateful;
  }
  return ppp::Dhcpv6Mode::kOff;
}

// DUID-UUID (RFC 6355 §4), the same over restarts. Not the machine's id itself, which is no
// business of subscribers; each server of a host has one of its own.
std::vector<std::byte> server_identifier(std::string_view node, std::string_view machine_id) {
  constexpr std::uint16_t kDuidUuid = 4;
  const auto digest = crypto::sha1(
      {as_octets("pns dhcpv6"), as_octets(machine_id), as_octets("/"), as_octets(node)});
  std::vector<std::byte> duid(2 + 16);
  Writer writer(duid);
  writer.write_u16(kDuidUuid);
  writer.write_bytes(Bytes(digest).first(16));
  // Version 5, variant of RFC 9562 §4: a name and SHA-1 made it.
  duid[2 + 6] = (duid[2 + 6] & std::byte{0x0f}) | std::byte{0x50};
  duid[2 + 8] = (duid[2 + 8] & std::byte{0x3f}) | std::byte{0x80};
  return duid;
}

ppp::Dhcpv6Settings make_dhcpv6_settings(const config::Config& config,
                                         std::string_view machine_id) {
  ppp::Dhcpv6Settings settings;
  settings.mode = mode_of(config.ppp.dhcpv6);
  settings.server_identifier = server_identifier(config.node.name, machine_id);
  settings.domain_list.resize(wire::kMaxDomainList);
  settings.domain_list.resize(wire::write_dhcpv6_domain(settings.domain_list, config.ppp.domain));
  return settings;
}

bool contains(const auto& list, auto value) { return std::ranges::find(list, value) != list.end(); }

// Fills `out` from the front: first the account's, then the configuration's, none twice.
template <class Servers>
void add_servers(Servers& out, const Servers& granted, const auto& configured) {
  auto free = out.begin();
  const auto add = [&](const auto& server) {
    if (server == typename Servers::value_type() || free == out.end() ||
        std::find(out.begin(), free, server) != free)
      return;
    *free++ = server;
  };
  std::ranges::for_each(granted, add);
  std::ranges::for_each(configured, add);
}

ppp::MppePolicy policy_of(config::MppePolicy policy) noexcept {
  switch (policy) {
    case config::MppePolicy::kOff:
      return ppp::MppePolicy::kOff;
    case config::MppePolicy::kPrefer:
      return ppp::MppePolicy::kPrefer;
    case config::MppePolicy::kRequire:
      return ppp::MppePolicy::kRequire;
  }
  return ppp::MppePolicy::kRequire;
}

ppp::MppeMode mode_of(config::MppeMode mode) noexcept {
  switch (mode) {
    case config::MppeMode::kStateless:
      return ppp::MppeMode::kStateless;
    case config::MppeMode::kStateful:
      return ppp::MppeMode::kStateful;
    case config::MppeMode::kAny:
      return ppp::MppeMode::kAny;
  }
  return ppp::MppeMode::kStateless;
}

}  // namespace

ppp::LinkSettings make_link_settings(const config::Config& config, std::string_view machine_id) {
  ppp::LinkSettings settings;
  settings.mru = config.ppp.mtu;
  settings.name = config.node.name;
  settings.auth.clear();
  settings.eap.clear();
  std::ranges::transform(config.ppp.auth, std::back_inserter(settings.auth), method_of);
  settings.eap_relay = contains(config.ppp.eap, config::EapMethod::kRadius);
  if (!settings.eap_relay)
    std::ranges::transform(config.ppp.eap, std::back_inserter(settings.eap), eap_method_of);
  if (config.ppp.mppe.policy == config::MppePolicy::kRequire) {
    // A method without keys could only end in no_mppe_keys, after a password was sent for nothing.
    std::erase(settings.eap, ppp::EapMethod::kMd5);
    std::erase_if(settings.auth, [&settings](model::AuthMethod method) {
      return method == model::AuthMethod::kPap || method == model::AuthMethod::kChapMd5 ||
             (method == model::AuthMethod::kEap && settings.eap.empty() && !settings.eap_relay);
    });
  }
  settings.auth_retries = config.ppp.auth_retries;
  settings.mppe = policy_of(config.ppp.mppe.policy);
  const auto& bits = config.ppp.mppe.key_bits;
  settings.mppe_strengths = {
      .bits40 = contains(bits, 40), .bits56 = contains(bits, 56), .bits128 = contains(bits, 128)};
  settings.mppe_mode = mode_of(config.ppp.mppe.mode);
  settings.lcp_echo_interval = config.ppp.lcp_echo.interval;
  settings.lcp_echo_failures = config.ppp.lcp_echo.failures;
  settings.dhcpv6 = make_dhcpv6_settings(config, machine_id);
  settings.inform.domain = config.ppp.domain;
  for (const auto& [name, pool] : config.pools) {
    settings.inform.pools.push_back({.ranges = pool.ranges, .routes = pool.routes});
    if (name == "default") settings.inform.outside_routes = pool.routes;
  }
  return settings;
}

pptp::ConnectionSettings make_connection_settings(const config::Config& config) {
  pptp::ConnectionSettings settings;
  settings.host_name = config.node.name;
  settings.echo_interval = config.pptp.echo_interval;
  settings.echo_timeout = config.pptp.echo_interval;  // RFC 2637 §3.1.4: 60 s and 60 s by default
  settings.answer_timeout = config.pptp.admission.wait + kInstallTime;
  settings.accept_incoming_calls = config.pptp.incoming_calls;
  settings.wan_error_notify = config.pptp.wan_error_notify;
  return settings;
}

SourceLimits::Settings make_source_limits(const config::Config& config) {
  const config::SourceLimits& limits = config.pptp.limits;
  return {.connections = limits.connections,
          .all_connections = config.pptp.max_connections,
          .new_calls = {limits.new_calls.rate, limits.new_calls.burst},
          .messages = {limits.messages.rate, limits.messages.burst},
          .idle_connection_time = limits.idle_connection_time,
          .allow = limits.allow,
          .deny = limits.deny,
          .exempt = limits.exempt};
}

aaa::GuessLimits make_guess_limits(const config::Config& config) {
  return {.per_account = config.pptp.limits.failed_logins_per_account,
          .per_source = config.pptp.limits.failed_logins_per_source};
}

aaa::Realms make_realms(const config::Aaa& config) {
  std::vector<aaa::RealmSettings> listed;
  std::optional<aaa::RealmSettings> others;
  for (const config::Realm& realm : config.realms) {
    aaa::RealmSettings settings{.name = realm.name, .strip = realm.strip};
    if (realm.name == config::kOtherRealms)
      others = std::move(settings);
    else
      listed.push_back(std::move(settings));
  }
  return {std::move(listed), std::move(others), config.default_realm};
}

Admission::Settings make_admission_settings(const config::Config& config) {
  const config::Admission& admission = config.pptp.admission;
  return {.set_ups = admission.set_ups,
          .per_source_set_ups = admission.per_source_set_ups,
          .waiting = admission.waiting,
          .per_source_waiting = admission.per_source_waiting,
          .wait = admission.wait,
          .set_up_time = admission.set_up_time};
}

std::vector<pools::PoolConfig> make_pools(const config::Config& config) {
  std::vector<pools::PoolConfig> pools;
  for (const auto& [name, pool] : config.pools)
    pools.push_back({.name = name,
                     .ranges = pool.ranges,
                     .gateway = pool.gateway,
                     .ipv6_prefixes = pool.ipv6_prefixes,
                     .delegated_prefixes = pool.delegated_prefixes,
                     .delegated_length = pool.delegated_length,
                     .skip_0_and_255 = pool.skip_0_and_255,
                     .exclude = pool.exclude,
                     .next = pool.next});
  return pools;
}

void add_own(OwnAddresses& own, const Ipv4Prefix& interface) {
  own.addresses.push_back(interface.address);
  if (!interface.has_broadcast()) return;
  own.addresses.push_back(interface.network());
  own.addresses.push_back(interface.last());
}

void add_own(OwnAddresses& own, const Ipv6Prefix& interface) {
  own.prefixes.push_back({Ipv6Prefix{interface.address, 64}.network(), 64});
}

model::NetworkParameters make_network_parameters(const model::Lease& lease, const config::Ppp& ppp,
                                                 std::uint16_t peer_mru,
                                                 const model::LinkTerms& terms) {
  model::NetworkParameters parameters;
  parameters.our_address = lease.gateway;
  parameters.subscriber_address = lease.address;
  parameters.mtu = terms.mtu;
  add_servers(parameters.dns, terms.dns, ppp.dns);
  add_servers(parameters.wins, terms.wins, ppp.wins);
  // No IPv6 over a link that cannot carry its minimum MTU.
  if (lease.ipv6_prefix && (terms.mtu == 0 || terms.mtu >= kMinIpv6Mtu) &&
      std::min(ppp.mtu, peer_mru) >= kMinIpv6Mtu + ppp::MppeAgreement::kOverhead) {
    parameters.ipv6 =
        model::Ipv6Parameters{.prefix = *lease.ipv6_prefix, .delegation = lease.delegation};
    add_servers(parameters.ipv6->dns, terms.ipv6_dns, ppp.ipv6_dns);
  }
  return parameters;
}

OwnAddresses own_addresses(const config::Config& config) {
  OwnAddresses own{.addresses = config.pptp.listen, .prefixes = {}};
  for (const config::Port* port : {&config.ports.access, &config.ports.core}) {
    for (const Ipv4Prefix& address : port->addresses) add_own(own, address);
    for (const Ipv6Prefix& address : port->ipv6_addresses) add_own(own, address);
    if (port->gateway) own.addresses.push_back(*port->gateway);
    for (const config::Route& route : port->routes) own.addresses.push_back(route.via);
  }
  return own;
}

namespace {

model::RateLimit make_rate(const std::optional<std::uint64_t>& rate,
                           const std::optional<std::uint64_t>& burst) {
  return rate ? model::RateLimit{.bits_per_second = *rate, .burst_octets = burst.value_or(0)}
              : model::RateLimit();
}

model::ServiceTerms make_terms(const config::UserTerms& terms) {
  return {.rates = {.upstream = make_rate(terms.rate_up, terms.burst_up),
                    .downstream = make_rate(terms.rate_down, terms.burst_down),
                    .group = terms.rate_group},
          .filters = {.upstream = terms.filter_up, .downstream = terms.filter_down},
          .limits = {.session_time = terms.session_timeout,
                     .idle_time = terms.idle_timeout,
                     .quota = {.upstream = terms.quota_up,
                               .downstream = terms.quota_down,
                               .total = terms.quota}}};
}

model::LinkTerms make_link_terms(const config::UserTerms& terms) {
  model::LinkTerms link;
  std::ranges::copy(terms.dns, link.dns.begin());
  std::ranges::copy(terms.ipv6_dns, link.ipv6_dns.begin());
  std::ranges::copy(terms.wins, link.wins.begin());
  link.mtu = terms.mtu;
  const auto& bits = terms.mppe_key_bits;
  if (terms.mppe_required || !bits.empty())
    link.mppe = model::MppeTerms{.required = terms.mppe_required,
                                 .bits40 = bits.empty() || contains(bits, 40),
                                 .bits56 = bits.empty() || contains(bits, 56),
                                 .bits128 = bits.empty() || contains(bits, 128)};
  return link;
}

}  // namespace

std::vector<aaa::LocalUser> make_users(const std::vector<config::LocalUser>& users,
                                       const config::Ppp& ppp) {
  const bool md5 =
      contains(ppp.auth, config::AuthMethod::kChap) ||
      (contains(ppp.auth, config::AuthMethod::kEap) && contains(ppp.eap, config::EapMethod::kMd5));
  const bool lm_keys = contains(ppp.auth, config::AuthMethod::kMsChap) &&
                       (contains(ppp.mppe.key_bits, 40) || contains(ppp.mppe.key_bits, 56));
  std::vector<aaa::LocalUser> out;
  for (const auto& user : users) {
    aaa::LocalUser local;
    local.name = user.name;
    const SecretText password = user.password.value_or(SecretText());
    const auto hash = user.nt_hash ? user.nt_hash : crypto::nt_password_hash(password.view());
    if (!hash) throw std::runtime_error("user " + user.name + ": the password is not UTF-8");
    local.nt_hash = *hash;
    if (md5) local.password = password;
    if (lm_keys) local.lm_hash = crypto::lm_password_hash(password.view());
    local.disabled = user.disabled;
    local.password_expired = user.password_expired;
    local.address = user.address;
    local.ipv6_prefix = user.ipv6_prefix;
    local.delegated_prefix = user.delegated_ipv6_prefix;
    if (!user.routes.empty()) local.networks = std::make_shared<const Networks>(user.routes);
    local.pool = user.pool.value_or("");
    local.terms = make_terms(user.terms);
    local.link = make_link_terms(user.terms);
    local.sessions = user.terms.sessions;
    local.interim_interval = user.terms.interim_interval;
    local.groups = user.groups;
    out.push_back(std::move(local));
  }
  return out;
}

}  // namespace pns::subscriber
