// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_authorization.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pns/radius/cisco_avpair.hpp"
#include "pns/radius/numbers.hpp"
#include "pns/radius/rate_limit.hpp"
#include "pns/radius/routes.hpp"
#include "pns/radius/terminate_time.hpp"
#include "pns/radius/values.hpp"

namespace pns::aaa {

namespace attribute = radius::attribute;
using model::ServiceChange;
using radius::AttributeId;
using Reason = IgnoredAttribute::Reason;

namespace {

constexpr std::uint16_t kMinMtu = 576;                       // octets (RFC 791 §3.1)
constexpr std::uint16_t kMaxMtu = 1500;                      // octets
constexpr Seconds kMinInterim{60};                           // RFC 2869 §5.16
constexpr std::size_t kMaxFilterName = 64;                   // octets
constexpr std::uint64_t kGigaword = std::uint64_t{1} << 32;  // octets
constexpr std::uint64_t kMaxSeconds = std::numeric_limits<std::uint32_t>::max();
using Meaning = config::AttributeMeaning;

enum class Effect : std::uint8_t { kDone, kUnreadable, kUnsupported };
constexpr Effect done_if(bool done) noexcept { return done ? Effect::kDone : Effect::kUnreadable; }

template <class T>
void set_first(std::optional<T>& out, T value) {
  if (!out) out = std::move(value);
}

Effect read_seconds(Bytes value, std::optional<Seconds>& out) {
  const auto seconds = radius::read_u32(value);
  if (seconds) set_first(out, Seconds(*seconds));
  return done_if(seconds.has_value());
}

Effect read_number(Bytes value, std::optional<std::uint32_t>& out) {
  const auto number = radius::read_u32(value);
  if (number) set_first(out, *number);
  return done_if(number.has_value());
}

model::RateLimit rate_of(const radius::RateLimit& limit) noexcept {
  return {.bits_per_second = limit.rate, .burst_octets = limit.burst_bits() / 8};
}

// The attributes that an Access-Accept and a CoA-Request have in common, as they stand.
class TermsReader {
 public:
  // An attribute of this meaning. Empty: the meaning is none of these terms.
  std::optional<Effect> read(const config::RadiusAttribute& attribute, Bytes value);
  // Empty: another attribute.
  std::optional<Effect> read(AttributeId id, Bytes value);
  Effect read(const radius::CiscoRateLimit& limit);

  // One direction, by precedence; empty: none was given.
  [[nodiscard]] std::optional<model::RateLimit> rate(radius::TrafficDirection direction) const;
  [[nodiscard]] const std::optional<Seconds>& session_time() const noexcept { return session_; }
  [[nodiscard]] const std::optional<Seconds>& idle_time() const noexcept { return idle_; }
  [[nodiscard]] const std::optional<std::string>& upstream_filter() const noexcept { return in_; }
  [[nodiscard]] const std::optional<std::string>& downstream_filter() const noexcept {
    return out_;
  }
  [[nodiscard]] model::VolumeQuota quota() const noexcept {
    return {
        .upstream = receive_.octets(), .downstream = transmit_.octets(), .total = total_.octets()};
  }

 private:
  // A number of octets in two attributes.
  struct Volume {
    std::optional<std::uint32_t> low;
    std::optional<std::uint32_t> gigawords;
    std::optional<std::uint64_t> whole;  // of one attribute: instead of both
    [[nodiscard]] std::optional<std::uint64_t> octets() const noexcept {
      if (whole) return whole;
      if (!low && !gigawords) return std::nullopt;
      return gigawords.value_or(0) * kGigaword + low.value_or(0);
    }
  };
  Effect read_rate_limit(Bytes value);
  Effect read_filter(Bytes value);
  Effect read_rate(const config::RadiusAttribute& attribute, Bytes value);
  Effect read_filter_name(Meaning meaning, Bytes value);

  std::optional<std::uint64_t> up_;  // of the configuration's attributes; bit/s
  std::optional<std::uint64_t> down_;
  std::optional<radius::MikrotikRateLimit> mikrotik_;
  std::optional<model::RateLimit> cisco_up_;
  std::optional<model::RateLimit> cisco_down_;
  std::optional<std::uint32_t> wispr_up_;
  std::optional<std::uint32_t> wispr_down_;
  std::optional<Seconds> session_;
  std::optional<Seconds> idle_;
  std::optional<std::string> in_;
  std::optional<std::string> out_;
  Volume receive_, transmit_, total_;
};

Effect read_octets(const config::RadiusAttribute& attribute, Bytes value,
                   std::optional<std::uint64_t>& out) {
  const auto octets = read_quantity(attribute, value);
  if (octets) set_first(out, *octets);
  return done_if(octets.has_value());
}

Effect read_time(const config::RadiusAttribute& attribute, Bytes value,
                 std::optional<Seconds>& out) {
  const auto seconds = read_quantity(attribute, value);
  if (!seconds || *seconds > kMaxSeconds) return Effect::kUnreadable;
  set_first(out, Seconds(static_cast<Seconds::rep>(*seconds)));
  return Effect::kDone;
}

std::optional<Effect> TermsReader::read(const config::RadiusAttribute& attribute, Bytes value) {
  switch (attribute.means) {
    case Meaning::kRate:
    case Meaning::kRateUp:
    case Meaning::kRateDown:
      return read_rate(attribute, value);
    case Meaning::kRateLimit:
      return read_rate_limit(value);
    case Meaning::kFilter:
    case Meaning::kFilterUp:
    case Meaning::kFilterDown:
      return read_filter_name(attribute.means, value);
    case Meaning::kSessionTimeout:
      return read_time(attribute, value, session_);
    case Meaning::kIdleTimeout:
      return read_time(attribute, value, idle_);
    case Meaning::kQuota:
      return read_octets(attribute, value, total_.whole);
    case Meaning::kQuotaUp:
      return read_octets(attribute, value, receive_.whole);
    case Meaning::kQuotaDown:
      return read_octets(attribute, value, transmit_.whole);
    default:
      return std::nullopt;
  }
}

Effect TermsReader::read_rate(const config::RadiusAttribute& attribute, Bytes value) {
  const auto rate = read_quantity(attribute, value);
  if (!rate || *rate > radius::kMaximumRate) return Effect::kUnreadable;
  if (attribute.means != Meaning::kRateDown) set_first(up_, *rate);
  if (attribute.means != Meaning::kRateUp) set_first(down_, *rate);
  return Effect::kDone;
}

Effect TermsReader::read_filter_name(Meaning meaning, Bytes value) {
  const auto name = radius::read_text(value);
  if (!name || name->size() > kMaxFilterName) return Effect::kUnreadable;
  if (meaning != Meaning::kFilterDown) set_first(in_, std::string(*name));
  if (meaning != Meaning::kFilterUp) set_first(out_, std::string(*name));
  return Effect::kDone;
}

std::optional<Effect> TermsReader::read(AttributeId id, Bytes value) {
  if (id == attribute::kSessionTimeout) return read_seconds(value, session_);
  if (id == attribute::kIdleTimeout) return read_seconds(value, idle_);
  if (id == attribute::kFilterId) return read_filter(value);
  if (id == attribute::kMikrotikRateLimit) return read_rate_limit(value);
  if (id == attribute::kWisprBandwidthMaxUp) return read_number(value, wispr_up_);
  if (id == attribute::kWisprBandwidthMaxDown) return read_number(value, wispr_down_);
  if (id == attribute::kMikrotikRecvLimit) return read_number(value, receive_.low);
  if (id == attribute::kMikrotikXmitLimit) return read_number(value, transmit_.low);
  if (id == attribute::kMikrotikTotalLimit) return read_number(value, total_.low);
  if (id == attribute::kMikrotikRecvLimitGigawords) return read_number(value, receive_.gigawords);
  if (id == attribute::kMikrotikXmitLimitGigawords) return read_number(value, transmit_.gigawords);
  if (id == attribute::kMikrotikTotalLimitGigawords) return read_number(value, total_.gigawords);
  return std::nullopt;
}

Effect TermsReader::read(const radius::CiscoRateLimit& limit) {
  const bool up = limit.direction == radius::TrafficDirection::kUpload;
  set_first(up ? cisco_up_ : cisco_down_,
            model::RateLimit{.bits_per_second = limit.rate, .burst_octets = limit.normal_burst});
  return Effect::kDone;
}

Effect TermsReader::read_rate_limit(Bytes value) {
  const auto limit = radius::MikrotikRateLimit::parse(radius::as_text(value));
  if (limit) set_first(mikrotik_, *limit);
  return done_if(limit.has_value());
}

// "NAME" is for both directions; "NAME.in" is for packets from the subscriber, as on an interface.
Effect TermsReader::read_filter(Bytes value) {
  auto name = radius::read_text(value);
  const bool in = name && name->ends_with(".in");
  const bool out = name && name->ends_with(".out");
  if (in) name->remove_suffix(3);
  if (out) name->remove_suffix(4);
  if (!name || name->empty() || name->size() > kMaxFilterName) return Effect::kUnreadable;
  if (!out) set_first(in_, std::string(*name));
  if (!in) set_first(out_, std::string(*name));
  return Effect::kDone;
}

std::optional<model::RateLimit> TermsReader::rate(radius::TrafficDirection direction) const {
  const bool up = direction == radius::TrafficDirection::kUpload;
  if (const auto& own = up ? up_ : down_) return model::RateLimit{.bits_per_second = *own};
  if (mikrotik_) return rate_of(up ? mikrotik_->upload : mikrotik_->download);
  if (const auto& cisco = up ? cisco_up_ : cisco_down_) return *cisco;
  if (const auto& wispr = up ? wispr_up_ : wispr_down_)
    return model::RateLimit{.bits_per_second = *wispr};
  return std::nullopt;
}

// Attributes that another function reads, or that ask for nothing.
bool is_read_elsewhere(AttributeId id) noexcept {
  constexpr auto kElsewhere = std::to_array<AttributeId>(
      {attribute::kUserName, attribute::kServiceType, attribute::kFramedProtocol,
       attribute::kReplyMessage, attribute::kClass, attribute::kProxyState, attribute::kEapMessage,
       attribute::kMessageAuthenticator, attribute::kMsChapError, attribute::kMsChapMppeKeys,
       attribute::kMsMppeSendKey, attribute::kMsMppeRecvKey, attribute::kMsChap2Success,
       attribute::kMsChapDomain});
  return std::ranges::find(kElsewhere, id) != kElsewhere.end();
}

void note(Effect effect, AttributeId id, IgnoredAttributes& ignored) {
  if (effect == Effect::kDone) return;
  ignored.push_back(
      {.id = id,
       .reason = effect == Effect::kUnreadable ? Reason::kUnreadable : Reason::kUnsupported});
}

// ---- Access-Accept

Effect read_pool(Bytes value, std::optional<std::string>& out) {
  const auto name = radius::read_text(value);
  if (name) set_first(out, std::string(*name));
  return done_if(name.has_value());
}

class AcceptReader {
 public:
  AcceptReader(std::chrono::sys_seconds now, const AttributeMeanings& meanings,
               model::AuthGrant& grant)
      : now_(now), meanings_(meanings), grant_(grant) {}

  Effect read(AttributeId id, Bytes value);
  [[nodiscard]] std::expected<void, EndReason> finish(IgnoredAttributes& ignored);

 private:
  Effect read_meant(const config::RadiusAttribute& attribute, Bytes value);
  Effect read_name_server(const config::RadiusAttribute& attribute, Bytes value);
  Effect read_framed(AttributeId id, Bytes value);
  Effect read_microsoft(AttributeId id, Bytes value);
  Effect read_address(Bytes value);
  Effect read_netmask(Bytes value);
  Effect read_prefix(Bytes value);
  Effect set_mtu(std::optional<std::uint64_t> mtu);
  Effect read_delegated_prefix(Bytes value);
  Effect read_ipv6_address(Bytes value);
  Effect read_route(const std::optional<radius::FramedRoute>& route);
  Effect read_ipv6_route(const std::optional<radius::FramedIpv6Route>& route);
  Effect set_interim(const std::optional<Seconds>& interval);
  Effect set_sessions(std::optional<std::uint64_t> sessions);
  Effect read_terminate_time(Bytes value);
  Effect read_termination(Bytes value);
  void finish_termination(IgnoredAttributes& ignored);
  Effect read_cisco(Bytes value);
  Effect read_policy(Bytes value);
  Effect read_types(Bytes value);
  template <class Prefix>
  void add_network(const Prefix& network);
  [[nodiscard]] model::MppeTerms& mppe() {
    if (!grant_.link.mppe) grant_.link.mppe.emplace();
    return *grant_.link.mppe;
  }

  std::chrono::sys_seconds now_;
  const AttributeMeanings& meanings_;
  model::AuthGrant& grant_;
  TermsReader terms_;
  std::optional<std::string> pool_;
  std::optional<std::string> cisco_pool_;
  std::optional<std::string> ipv6_pool_;
  std::optional<std::string> stateful_pool_;
  std::optional<std::string> delegated_pool_;
  std::optional<std::uint8_t> netmask_;  // its length
  std::optional<Seconds> until_terminate_;
  std::optional<radius::TerminationAction> termination_;
  std::optional<std::vector<std::byte>> state_;
  Networks networks_;
  bool bad_route_ = false;
  bool has_policy_ = false;
  bool has_types_ = false;
  std::vector<Ipv4Address> gateways_;  // of routes, when they are not the subscriber by 0.0.0.0
};

Effect AcceptReader::read(AttributeId id, Bytes value) {
  if (const config::RadiusAttribute* const meant = meanings_.find(id)) {
    const auto effect = terms_.read(*meant, value);
    return effect ? *effect : read_meant(*meant, value);
  }
  if (const auto effect = terms_.read(id, value)) return *effect;
  if (is_read_elsewhere(id)) return Effect::kDone;
  if (id.vendor == radius::vendor::kMicrosoft) return read_microsoft(id, value);
  if (id == attribute::kCiscoAvPair) return read_cisco(value);
  if (id == attribute::kWisprSessionTerminateTime) return read_terminate_time(value);
  return read_framed(id, value);
}

// An attribute of the configuration that only an Access-Accept may have.
Effect AcceptReader::read_meant(const config::RadiusAttribute& attribute, Bytes value) {
  switch (attribute.means) {
    case Meaning::kPool: {
      const auto name = radius::read_text(value);
      if (name) set_first(pool_, std::string(*name));
      return done_if(name.has_value());
    }
    case Meaning::kRoute:
      return read_route(radius::FramedRoute::parse(radius::as_text(value)));
    case Meaning::kDns:
    case Meaning::kWins:
      return read_name_server(attribute, value);
    case Meaning::kSessions:
      return set_sessions(read_quantity(attribute, value));
    case Meaning::kInterimInterval: {
      std::optional<Seconds> interval;
      (void)read_time(attribute, value, interval);
      return set_interim(interval);
    }
    case Meaning::kMtu:
      return set_mtu(read_quantity(attribute, value));
    default:
      return Effect::kUnsupported;
  }
}

// Puts it into the first free place; those that have none are left out.
template <class Address, std::size_t N>
Effect add_server(const std::optional<Address>& address, std::array<Address, N>& servers) {
  if (!address || *address == Address()) return Effect::kUnreadable;
  const auto free = std::ranges::find(servers, Address());
  if (free != servers.end()) *free = *address;
  return Effect::kDone;
}

Effect AcceptReader::read_name_server(const config::RadiusAttribute& attribute, Bytes value) {
  const std::string_view text = attribute.is_text ? radius::as_text(value) : "";
  const bool ipv6 = attribute.is_text ? text.find(':') != std::string_view::npos
                                      : value.size() == sizeof(Ipv6Address);
  if (ipv6 && attribute.means == Meaning::kDns)
    return add_server(attribute.is_text ? Ipv6Address::parse(text) : radius::read_ipv6(value),
                      grant_.link.ipv6_dns);
  return add_server(attribute.is_text ? Ipv4Address::parse(text) : radius::read_ipv4(value),
                    attribute.means == Meaning::kDns ? grant_.link.dns : grant_.link.wins);
}

Effect AcceptReader::read_framed(AttributeId id, Bytes value) {
  if (id == attribute::kFramedIpAddress) return read_address(value);
  if (id == attribute::kFramedIpNetmask) return read_netmask(value);
  if (id == attribute::kFramedIpv6Prefix) return read_prefix(value);
  if (id == attribute::kFramedMtu) return set_mtu(radius::read_u32(value));
  if (id == attribute::kFramedRoute)
    return read_route(radius::FramedRoute::parse(radius::as_text(value)));
  if (id == attribute::kFramedIpv6Route)
    return read_ipv6_route(radius::FramedIpv6Route::parse(radius::as_text(value)));
  if (id == attribute::kTerminationAction) return read_termination(value);
  if (id == attribute::kState) {
    set_first(state_, std::vector(value.begin(), value.end()));
    return Effect::kDone;
  }
  if (id == attribute::kAcctInterimInterval) {
    std::optional<Seconds> interval;
    (void)read_seconds(value, interval);
    return set_interim(interval);
  }
  if (id == attribute::kPortLimit) return set_sessions(radius::read_u32(value));
  if (id == attribute::kFramedPool) return read_pool(value, pool_);
  if (id == attribute::kFramedIpv6Pool) return read_pool(value, ipv6_pool_);
  if (id == attribute::kStatefulIpv6AddressPool) return read_pool(value, stateful_pool_);
  if (id == attribute::kDelegatedIpv6PrefixPool) return read_pool(value, delegated_pool_);
  if (id == attribute::kDelegatedIpv6Prefix) return read_delegated_prefix(value);
  if (id == attribute::kFramedIpv6Address) return read_ipv6_address(value);
  if (id == attribute::kDnsServerIpv6Address) {
    const auto address = radius::read_ipv6(value);
    if (!address) return Effect::kUnreadable;
    const auto free = std::ranges::find(grant_.link.ipv6_dns, Ipv6Address());
    if (free != grant_.link.ipv6_dns.end()) *free = *address;
    return Effect::kDone;
  }
  return Effect::kUnsupported;
}

Effect AcceptReader::read_microsoft(AttributeId id, Bytes value) {
  if (id == attribute::kMsMppeEncryptionPolicy) return read_policy(value);
  if (id == attribute::kMsMppeEncryptionTypes) return read_types(value);
  Ipv4Address* out = nullptr;
  if (id == attribute::kMsPrimaryDnsServer) out = &grant_.link.dns[0];
  if (id == attribute::kMsSecondaryDnsServer) out = &grant_.link.dns[1];
  if (id == attribute::kMsPrimaryNbnsServer) out = &grant_.link.wins[0];
  if (id == attribute::kMsSecondaryNbnsServer) out = &grant_.link.wins[1];
  if (out == nullptr) return Effect::kUnsupported;
  const auto address = radius::read_ipv4(value);
  if (address && out->is_unspecified()) *out = *address;
  return done_if(address.has_value());
}

Effect AcceptReader::read_address(Bytes value) {
  const auto address = radius::read_ipv4(value);
  if (!address) return Effect::kUnreadable;
  if (address->value != radius::kAddressOfClient && address->value != radius::kAddressOfPool)
    set_first(grant_.address, *address);
  return Effect::kDone;
}

Effect AcceptReader::read_netmask(Bytes value) {
  const auto mask = radius::read_ipv4(value);
  if (!mask) return Effect::kUnreadable;
  const int length = std::countl_one(mask->value);
  const Ipv4Prefix whole{.address = {}, .length = static_cast<std::uint8_t>(length)};
  if (length == 0 || whole.mask() != mask->value) return Effect::kUnreadable;
  set_first(netmask_, whole.length);
  return Effect::kDone;
}

Effect AcceptReader::read_prefix(Bytes value) {
  const auto prefix = radius::read_ipv6_prefix(value);
  if (!prefix || prefix->length != 64) return Effect::kUnreadable;
  set_first(grant_.ipv6_prefix, *prefix);
  return Effect::kDone;
}

// RFC 4818. A subscriber who asks for networks needs at least one /64.
Effect AcceptReader::read_delegated_prefix(Bytes value) {
  const auto prefix = radius::read_ipv6_prefix(value);
  if (!prefix || prefix->length > 64 || !may_be_behind_subscriber(*prefix))
    return Effect::kUnreadable;
  set_first(grant_.delegated_prefix, *prefix);
  return Effect::kDone;
}

// RFC 6911 §3.1.
Effect AcceptReader::read_ipv6_address(Bytes value) {
  const auto address = radius::read_ipv6(value);
  if (!address || !may_be_behind_subscriber(Ipv6Prefix{*address, 128})) return Effect::kUnreadable;
  set_first(grant_.ipv6_address, *address);
  return Effect::kDone;
}

Effect AcceptReader::set_mtu(std::optional<std::uint64_t> mtu) {
  if (!mtu || *mtu < kMinMtu || *mtu > kMaxMtu) return Effect::kUnreadable;
  if (grant_.link.mtu == 0) grant_.link.mtu = static_cast<std::uint16_t>(*mtu);
  return Effect::kDone;
}

template <class Prefix>
void AcceptReader::add_network(const Prefix& network) {
  if (may_be_behind_subscriber(network) && networks_.size() < kMaxNetworks)
    networks_.add(network);
  else
    bad_route_ = true;
}

Effect AcceptReader::read_route(const std::optional<radius::FramedRoute>& route) {
  if (!route) {
    bad_route_ = true;
    return Effect::kUnreadable;
  }
  if (!route->gateway.is_unspecified()) gateways_.push_back(route->gateway);
  add_network(route->destination);
  return Effect::kDone;
}

// A gateway behind the subscriber is reached through him.
Effect AcceptReader::read_ipv6_route(const std::optional<radius::FramedIpv6Route>& route) {
  if (!route) {
    bad_route_ = true;
    return Effect::kUnreadable;
  }
  add_network(route->destination);
  return Effect::kDone;
}

// RFC 2869 §5.16: not below a minute. 0: no interim records.
Effect AcceptReader::set_interim(const std::optional<Seconds>& interval) {
  if (!interval) return Effect::kUnreadable;
  set_first(grant_.interim_interval,
            *interval == Seconds(0) ? *interval : std::max(*interval, kMinInterim));
  return Effect::kDone;
}

Effect AcceptReader::set_sessions(std::optional<std::uint64_t> sessions) {
  if (!sessions || *sessions == 0 || *sessions > std::numeric_limits<std::uint32_t>::max())
    return Effect::kUnreadable;
  set_first(grant_.sessions, static_cast<std::uint32_t>(*sessions));
  return Effect::kDone;
}

Effect AcceptReader::read_terminate_time(Bytes value) {
  const auto at = radius::parse_terminate_time(radius::as_text(value));
  if (!at) return Effect::kUnreadable;
  set_first(until_terminate_, std::max(Seconds(1), Seconds(*at - now_)));
  return Effect::kDone;
}

Effect AcceptReader::read_termination(Bytes value) {
  const auto action = radius::read_u32(value);
  if (!action || *action > number(radius::TerminationAction::kRadiusRequest))
    return Effect::kUnreadable;
  set_first(termination_, static_cast<radius::TerminationAction>(*action));
  return Effect::kDone;
}

// RFC 2865 §5.29. With PAP only the peer can begin.
void AcceptReader::finish_termination(IgnoredAttributes& ignored) {
  if (termination_ != radius::TerminationAction::kRadiusRequest) return;
  if (grant_.method == model::AuthMethod::kPap || !grant_.terms.limits.session_time)
    return note(Effect::kUnsupported, attribute::kTerminationAction, ignored);
  grant_.login_again = state_ ? std::move(*state_) : std::vector<std::byte>();
}

Effect AcceptReader::read_cisco(Bytes value) {
  const auto pair = radius::parse_cisco_avpair(radius::as_text(value));
  if (!pair) return Effect::kUnreadable;
  if (const auto* const limit = std::get_if<radius::CiscoRateLimit>(&*pair))
    return terms_.read(*limit);
  if (const auto* const pool = std::get_if<radius::CiscoAddressPool>(&*pair)) {
    set_first(cisco_pool_, std::string(pool->name));
    return Effect::kDone;
  }
  if (const auto* const route = std::get_if<radius::FramedRoute>(&*pair)) return read_route(*route);
  return Effect::kUnsupported;
}

Effect AcceptReader::read_policy(Bytes value) {
  const auto policy = radius::read_u32(value);
  if (!policy || (*policy != number(radius::MppeEncryptionPolicy::kAllowed) &&
                  *policy != number(radius::MppeEncryptionPolicy::kRequired)))
    return Effect::kUnreadable;
  if (!std::exchange(has_policy_, true))
    mppe().required = *policy == number(radius::MppeEncryptionPolicy::kRequired);
  return Effect::kDone;
}

Effect AcceptReader::read_types(Bytes value) {
  const auto types = radius::read_u32(value);
  if (!types) return Effect::kUnreadable;
  constexpr std::uint32_t kAll = radius::kMppeType40 | radius::kMppeType56 | radius::kMppeType128;
  if ((*types & kAll) == 0) return Effect::kUnsupported;
  if (std::exchange(has_types_, true)) return Effect::kDone;
  mppe().bits40 = (*types & radius::kMppeType40) != 0;
  mppe().bits56 = (*types & radius::kMppeType56) != 0;
  mppe().bits128 = (*types & radius::kMppeType128) != 0;
  return Effect::kDone;
}

template <class T>
std::optional<T> limit_of(const std::optional<T>& value) {
  return value && *value != T{0} ? value : std::nullopt;
}

std::expected<void, EndReason> AcceptReader::finish(IgnoredAttributes& ignored) {
  // RFC 2865 §5.9: the subscriber is a router to a network. It is the one that holds his address.
  if (netmask_ && *netmask_ != 32) {
    if (grant_.address)
      add_network(Ipv4Prefix{Ipv4Prefix{*grant_.address, *netmask_}.network(), *netmask_});
    else
      note(Effect::kUnsupported, attribute::kFramedIpNetmask, ignored);
  }
  // A gateway that is neither the subscriber nor behind him is not this server's business.
  for (const Ipv4Address gateway : gateways_)
    if (gateway != grant_.address &&
        std::ranges::none_of(networks_.ipv4, [gateway](const Ipv4Prefix& network) {
          return network.contains(gateway);
        }))
      bad_route_ = true;
  if (bad_route_) return std::unexpected(EndReason::auth_bad_route);
  if (!networks_.empty()) grant_.networks = std::make_shared<const Networks>(std::move(networks_));
  if (auto& pool = pool_ ? pool_ : cisco_pool_) grant_.pool = std::move(*pool);
  // Addresses of DHCPv6 are of the session's /64.
  if (auto& pool = ipv6_pool_ ? ipv6_pool_ : stateful_pool_) grant_.ipv6_pool = std::move(*pool);
  if (delegated_pool_) grant_.delegated_pool = std::move(*delegated_pool_);
  model::ServiceTerms& terms = grant_.terms;
  terms.rates = {
      .upstream = terms_.rate(radius::TrafficDirection::kUpload).value_or(model::RateLimit()),
      .downstream = terms_.rate(radius::TrafficDirection::kDownload).value_or(model::RateLimit())};
  terms.filters = {.upstream = terms_.upstream_filter().value_or(""),
                   .downstream = terms_.downstream_filter().value_or("")};
  const model::VolumeQuota quota = terms_.quota();
  terms.limits = {.session_time = limit_of(terms_.session_time()),
                  .idle_time = limit_of(terms_.idle_time()),
                  .quota = {.upstream = limit_of(quota.upstream),
                            .downstream = limit_of(quota.downstream),
                            .total = limit_of(quota.total)}};
  if (until_terminate_)
    terms.limits.session_time =
        std::min(*until_terminate_, terms.limits.session_time.value_or(Seconds::max()));
  finish_termination(ignored);
  return {};
}

}  // namespace

std::expected<void, EndReason> read_authorization(const radius::PacketView& packet,
                                                  std::chrono::sys_seconds now,
                                                  const AttributeMeanings& meanings,
                                                  model::AuthGrant& grant,
                                                  IgnoredAttributes& ignored) {
  AcceptReader reader(now, meanings, grant);
  for (const radius::Attribute& attribute : packet)
    note(reader.read(attribute.id, attribute.value), attribute.id, ignored);
  return reader.finish(ignored);
}

std::vector<std::vector<std::byte>> read_classes(const radius::PacketView& packet) {
  std::vector<std::vector<std::byte>> classes;
  for (const Bytes value : packet.all(attribute::kClass))
    if (classes.size() < model::kMaximumClasses) classes.emplace_back(value.begin(), value.end());
  return classes;
}

// ---- CoA-Request

ServiceChange read_service_change(const radius::PacketView& packet,
                                  const AttributeMeanings& meanings, IgnoredAttributes& ignored) {
  ServiceChange change;
  TermsReader terms;
  const auto read = [&](AttributeId id, Bytes value) {
    if (const config::RadiusAttribute* const meant = meanings.find(id))
      return terms.read(*meant, value).value_or(Effect::kUnsupported);
    if (const auto effect = terms.read(id, value)) return *effect;
    if (id == attribute::kClass) return Effect::kDone;
    if (id == attribute::kCiscoAvPair) {
      const auto pair = radius::parse_cisco_avpair(radius::as_text(value));
      if (!pair) return Effect::kUnreadable;
      if (const auto* const limit = std::get_if<radius::CiscoRateLimit>(&*pair))
        return terms.read(*limit);
      return Effect::kUnsupported;
    }
    return Effect::kUnsupported;
  };
  for (const radius::Attribute& attribute : packet)
    note(read(attribute.id, attribute.value), attribute.id, ignored);
  change.upstream_rate = terms.rate(radius::TrafficDirection::kUpload);
  change.downstream_rate = terms.rate(radius::TrafficDirection::kDownload);
  change.upstream_filter = terms.upstream_filter();
  change.downstream_filter = terms.downstream_filter();
  change.session_time = terms.session_time();
  change.idle_time = terms.idle_time();
  change.quota = terms.quota();
  if (packet.has(attribute::kClass)) change.classes = read_classes(packet);
  return change;
}

}  // namespace pns::aaa
