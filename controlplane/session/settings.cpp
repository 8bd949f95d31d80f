// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/session/settings.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "pns/crypto/mschap.hpp"

namespace pns::session {
namespace {

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

ppp::LinkSettings make_link_settings(const config::Config& config) {
  ppp::LinkSettings settings;
  settings.mru = config.ppp.mtu;
  settings.name = config.node.name;
  settings.auth.clear();
  std::ranges::transform(config.ppp.auth, std::back_inserter(settings.auth), method_of);
  settings.mppe = policy_of(config.ppp.mppe.policy);
  const auto& bits = config.ppp.mppe.key_bits;
  settings.mppe_strengths = {.bits40 = std::ranges::find(bits, 40) != bits.end(),
                             .bits56 = std::ranges::find(bits, 56) != bits.end(),
                             .bits128 = std::ranges::find(bits, 128) != bits.end()};
  settings.mppe_mode = mode_of(config.ppp.mppe.mode);
  settings.lcp_echo_interval = config.ppp.lcp_echo.interval;
  settings.lcp_echo_failures = config.ppp.lcp_echo.failures;
  return settings;
}

pptp::ConnectionSettings make_connection_settings(const config::Config& config) {
  pptp::ConnectionSettings settings;
  settings.host_name = config.node.name;
  settings.echo_interval = config.pptp.echo_interval;
  settings.echo_timeout = config.pptp.echo_interval;  // RFC 2637 §3.1.4: 60 s and 60 s by default
  settings.accept_incoming_calls = config.pptp.incoming_calls;
  settings.wan_error_notify = config.pptp.wan_error_notify;
  return settings;
}

std::vector<pools::PoolConfig> make_pools(const config::Config& config) {
  std::vector<pools::PoolConfig> pools;
  for (const auto& [name, pool] : config.pools)
    pools.push_back({.name = name, .ranges = pool.ranges, .gateway = pool.gateway});
  return pools;
}

std::vector<aaa::LocalUser> make_users(const std::vector<config::LocalUser>& users) {
  std::vector<aaa::LocalUser> out;
  for (const auto& user : users) {
    aaa::LocalUser local;
    local.name = user.name;
    const auto hash =
        user.nt_hash ? user.nt_hash : crypto::nt_password_hash(user.password.value_or(""));
    if (!hash) throw std::runtime_error("user " + user.name + ": the password is not UTF-8");
    local.nt_hash = *hash;
    local.address = user.address;
    local.pool = user.pool.value_or("default");
    local.rate_bits_per_second = user.rate_bits_per_second;
    local.groups = user.groups;
    out.push_back(std::move(local));
  }
  return out;
}

}  // namespace pns::session
