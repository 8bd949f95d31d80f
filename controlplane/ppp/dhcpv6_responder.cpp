// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/dhcpv6_responder.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "controlplane/ppp/frame.hpp"
#include "pns/wire/dhcpv6.hpp"
#include "pns/wire/ipv6.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::ppp {
namespace {

using model::Dhcpv6Result;
using wire::Dhcpv6Error;
using wire::Dhcpv6Ia;
using wire::Dhcpv6Lease;
using wire::Dhcpv6Message;
using wire::Dhcpv6Option;
using wire::Dhcpv6Status;
using wire::Dhcpv6Type;
using Kind = Dhcpv6Ia::Kind;

constexpr std::uint8_t kBestPreference = 255;            // the client does not wait (§18.2.1)
constexpr std::uint32_t kRefreshTime = 86'400;           // seconds, the default of RFC 8415 §7.6
constexpr std::uint32_t kMaxRetransmissionTime = 3'600;  // SOL_MAX_RT, INF_MAX_RT: the defaults
constexpr std::uint32_t kT1 = Dhcpv6Responder::kPreferredLifetime / 2;      // §21.4: 0.5 and 0.8
constexpr std::uint32_t kT2 = Dhcpv6Responder::kPreferredLifetime / 5 * 4;  // of the preferred one
constexpr std::uint64_t kFirstIdentifier = 2;  // of an address; 1 looks like a router's
constexpr std::uint8_t kMaxDeclined = std::numeric_limits<std::uint8_t>::max();

Dhcpv6Result result_of(Dhcpv6Error error) noexcept {
  switch (error) {
    case Dhcpv6Error::kChecksum:
      return Dhcpv6Result::checksum;
    case Dhcpv6Error::kRelay:
      return Dhcpv6Result::relay;
    case Dhcpv6Error::kUnknownType:
      return Dhcpv6Result::unknown_type;
    case Dhcpv6Error::kBadOption:
      return Dhcpv6Result::bad_option;
    case Dhcpv6Error::kTooManyParts:
      return Dhcpv6Result::too_many_parts;
    case Dhcpv6Error::kNoDatagram:
      break;
  }
  return Dhcpv6Result::no_datagram;
}

// How RFC 8415 §16 wants the Server Identifier of a message to a server.
enum class ServerIdentifier : std::uint8_t { kForbidden, kNeeded, kOptional };

struct MessageRule {
  ServerIdentifier server;
  bool may_be_unicast;  // §18.4: it is answered, with UseMulticast
};

// Empty: only servers send it.
std::optional<MessageRule> rule_of(Dhcpv6Type type) noexcept {
  switch (type) {
    case Dhcpv6Type::kSolicit:
    case Dhcpv6Type::kConfirm:
    case Dhcpv6Type::kRebind:
      return MessageRule{ServerIdentifier::kForbidden, false};
    case Dhcpv6Type::kRequest:
    case Dhcpv6Type::kRenew:
    case Dhcpv6Type::kRelease:
    case Dhcpv6Type::kDecline:
      return MessageRule{ServerIdentifier::kNeeded, true};
    case Dhcpv6Type::kInformationRequest:
      return MessageRule{ServerIdentifier::kOptional, false};
    default:
      return std::nullopt;
  }
}

bool is_extension(Dhcpv6Type type) noexcept {
  return type == Dhcpv6Type::kRenew || type == Dhcpv6Type::kRebind;
}

bool holds(const Dhcpv6Ia& ia, const std::optional<Ipv6Prefix>& lease) noexcept {
  return lease && std::ranges::any_of(ia.leases(),
                                      [&](const Dhcpv6Lease& one) { return one.prefix == *lease; });
}

// An answer for an identity association that gives nothing.
Dhcpv6Ia refused(const Dhcpv6Ia& asked, Dhcpv6Status status) noexcept {
  return {.kind = asked.kind, .iaid = asked.iaid, .status = status};
}

// The rules of RFC 8415 §16 and §18.3 for one session.
class Dhcpv6Rules {
 public:
  Dhcpv6Rules(const Dhcpv6Settings& settings, const model::Ipv6Parameters& parameters)
      : settings_(settings), parameters_(parameters), delegation_(*parameters.delegation) {}

  // Why the message is not answered; empty: it is.
  [[nodiscard]] std::optional<Dhcpv6Result> objection(const Dhcpv6Message& message) const;
  Dhcpv6Result answer(const Dhcpv6Message& message, Dhcpv6Message& out);
  // After the answer.
  [[nodiscard]] const model::Delegation& delegation() const noexcept { return delegation_; }

 private:
  Dhcpv6Result give(const Dhcpv6Message& message, Dhcpv6Message& out);
  static Dhcpv6Result give(const Dhcpv6Ia& asked, Dhcpv6Type type,
                           const std::optional<Ipv6Prefix>& ours, Dhcpv6Ia& out);
  Dhcpv6Result confirm(const Dhcpv6Message& message, Dhcpv6Message& out) const;
  Dhcpv6Result release(const Dhcpv6Message& message, Dhcpv6Message& out);
  Dhcpv6Result decline(const Dhcpv6Message& message, Dhcpv6Message& out);
  // The lease of the session for an identity association of this kind.
  [[nodiscard]] std::optional<Ipv6Prefix> lease_of(Kind kind) const;
  // An address of it is not of this link.
  [[nodiscard]] bool is_elsewhere(const Dhcpv6Ia& ia) const;
  void add_configuration(const Dhcpv6Message& message, Dhcpv6Message& out) const;

  const Dhcpv6Settings& settings_;
  const model::Ipv6Parameters& parameters_;
  model::Delegation delegation_;
  model::Ipv6Bindings& bindings_ = delegation_.bindings;
};

std::optional<Dhcpv6Result> Dhcpv6Rules::objection(const Dhcpv6Message& message) const {
  const auto rule = rule_of(message.type);
  if (!rule) return Dhcpv6Result::server_message;
  if (!message.source.is_link_local()) return Dhcpv6Result::not_link_local;
  if (message.destination != wire::kAllDhcpv6Servers && !rule->may_be_unicast)
    return Dhcpv6Result::unicast;
  if (message.client_identifier.empty() && rule->server != ServerIdentifier::kOptional)
    return Dhcpv6Result::no_client_identifier;
  if (message.server_identifier.empty()) {
    if (rule->server == ServerIdentifier::kNeeded) return Dhcpv6Result::no_server_identifier;
  } else {
    if (rule->server == ServerIdentifier::kForbidden) return Dhcpv6Result::server_identifier;
    if (!std::ranges::equal(message.server_identifier, settings_.server_identifier))
      return Dhcpv6Result::other_server;
  }
  if (message.type == Dhcpv6Type::kInformationRequest && message.ia_count != 0)
    return Dhcpv6Result::unexpected_lease;
  // RFC 8415 §18.3.3: a Confirm is about addresses.
  const auto has_leases = [](const Dhcpv6Ia& ia) {
    return ia.kind != Dhcpv6Ia::Kind::kPrefixes && ia.lease_count != 0;
  };
  if (message.type == Dhcpv6Type::kConfirm && std::ranges::none_of(message.ias(), has_leases))
    return Dhcpv6Result::nothing_to_confirm;
  return std::nullopt;
}

Dhcpv6Result Dhcpv6Rules::answer(const Dhcpv6Message& message, Dhcpv6Message& out) {
  if (message.destination != wire::kAllDhcpv6Servers) {
    out.status = Dhcpv6Status::kUseMulticast;
    return Dhcpv6Result::use_multicast;
  }
  switch (message.type) {
    case Dhcpv6Type::kConfirm:
      return confirm(message, out);
    case Dhcpv6Type::kRelease:
      return release(message, out);
    case Dhcpv6Type::kDecline:
      return decline(message, out);
    case Dhcpv6Type::kInformationRequest:
      add_configuration(message, out);
      if (message.wants(Dhcpv6Option::kInformationRefreshTime))
        out.information_refresh = kRefreshTime;
      return Dhcpv6Result::informed;
    default:
      return give(message, out);
  }
}

// Solicit, Request, Renew, Rebind. The first identity association of a kind gets the lease.
Dhcpv6Result Dhcpv6Rules::give(const Dhcpv6Message& message, Dhcpv6Message& out) {
  std::optional<Dhcpv6Result> refusal;
  model::Ipv6Bindings given = bindings_;
  bool gives_prefix = false;
  bool gives_address = false;
  for (const Dhcpv6Ia& asked : message.ias()) {
    bool& taken = asked.kind == Kind::kPrefixes ? gives_prefix : gives_address;
    if (message.type == Dhcpv6Type::kRequest && is_elsewhere(asked)) {
      (void)out.add(refused(asked, Dhcpv6Status::kNotOnLink));
      refusal = refusal.value_or(Dhcpv6Result::not_on_link);
      continue;
    }
    const auto ours = taken ? std::nullopt : lease_of(asked.kind);
    Dhcpv6Ia ia{.kind = asked.kind, .iaid = asked.iaid};
    const Dhcpv6Result result = give(asked, message.type, ours, ia);
    (void)out.add(ia);
    if (result == Dhcpv6Result::bound)
      taken = true;
    else if (!refusal)
      refusal = result;
  }
  given.prefix |= gives_prefix;
  given.address |= gives_address;
  const bool gives = gives_prefix || gives_address;
  const bool solicits = message.type == Dhcpv6Type::kSolicit;
  out.rapid_commit = solicits && message.rapid_commit && gives;  // §18.3.1
  add_configuration(message, out);
  if (solicits && !out.rapid_commit) {
    out.type = Dhcpv6Type::kAdvertise;
    out.preference = kBestPreference;
    return gives || !refusal ? Dhcpv6Result::advertised : *refusal;
  }
  bindings_ = given;
  if (!gives) return refusal.value_or(Dhcpv6Result::no_binding);
  return is_extension(message.type) ? Dhcpv6Result::renewed : Dhcpv6Result::bound;
}

Dhcpv6Result Dhcpv6Rules::give(const Dhcpv6Ia& asked, Dhcpv6Type type,
                               const std::optional<Ipv6Prefix>& ours, Dhcpv6Ia& out) {
  if (ours) {
    out.t1 = kT1;
    out.t2 = kT2;
    (void)out.add({*ours, Dhcpv6Responder::kPreferredLifetime, Dhcpv6Responder::kValidLifetime});
    // §18.3.4: the client learns of the others that they are not to be used any more.
    if (is_extension(type))
      for (const Dhcpv6Lease& other : asked.leases())
        if (other.prefix != *ours) (void)out.add({other.prefix, 0, 0});
    return Dhcpv6Result::bound;
  }
  if (type == Dhcpv6Type::kRebind && asked.lease_count != 0) {  // §18.3.5
    for (const Dhcpv6Lease& other : asked.leases()) (void)out.add({other.prefix, 0, 0});
    return Dhcpv6Result::no_binding;
  }
  if (is_extension(type)) {
    out.status = Dhcpv6Status::kNoBinding;
    return Dhcpv6Result::no_binding;
  }
  const bool prefixes = asked.kind == Kind::kPrefixes;
  out.status = prefixes ? Dhcpv6Status::kNoPrefixAvail : Dhcpv6Status::kNoAddrsAvail;
  if (prefixes) return Dhcpv6Result::no_prefix;
  return asked.kind == Kind::kAddresses ? Dhcpv6Result::no_address
                                        : Dhcpv6Result::temporary_address;
}

Dhcpv6Result Dhcpv6Rules::confirm(const Dhcpv6Message& message, Dhcpv6Message& out) const {
  const bool all_on_link =
      std::ranges::none_of(message.ias(), [&](const Dhcpv6Ia& ia) { return is_elsewhere(ia); });
  out.status = all_on_link ? Dhcpv6Status::kSuccess : Dhcpv6Status::kNotOnLink;
  return all_on_link ? Dhcpv6Result::confirmed : Dhcpv6Result::not_on_link;
}

// A Release that is repeated finds nothing in force, and is a success all the same.
Dhcpv6Result Dhcpv6Rules::release(const Dhcpv6Message& message, Dhcpv6Message& out) {
  Dhcpv6Result result = Dhcpv6Result::no_binding;
  for (const Dhcpv6Ia& ia : message.ias()) {
    if (!holds(ia, lease_of(ia.kind))) {
      (void)out.add(refused(ia, Dhcpv6Status::kNoBinding));
      continue;
    }
    (ia.kind == Kind::kPrefixes ? bindings_.prefix : bindings_.address) = false;
    result = Dhcpv6Result::released;
  }
  out.status = Dhcpv6Status::kSuccess;
  return result;
}

Dhcpv6Result Dhcpv6Rules::decline(const Dhcpv6Message& message, Dhcpv6Message& out) {
  Dhcpv6Result result = Dhcpv6Result::no_binding;
  for (const Dhcpv6Ia& ia : message.ias()) {
    if (ia.kind != Kind::kAddresses || !holds(ia, lease_of(ia.kind))) {
      (void)out.add(refused(ia, Dhcpv6Status::kNoBinding));
      continue;
    }
    bindings_.address = false;
    if (bindings_.declined != kMaxDeclined) ++bindings_.declined;
    result = Dhcpv6Result::declined;
  }
  out.status = Dhcpv6Status::kSuccess;
  return result;
}

std::optional<Ipv6Prefix> Dhcpv6Rules::lease_of(Kind kind) const {
  constexpr std::uint8_t kHost = 128;
  if (kind == Kind::kPrefixes) return delegation_.prefix;
  if (kind == Kind::kTemporaryAddresses) return std::nullopt;
  if (delegation_.address) {
    if (bindings_.declined != 0) return std::nullopt;
    return Ipv6Prefix{*delegation_.address, kHost};
  }
  if (settings_.mode != Dhcpv6Mode::kStateful || bindings_.declined == kMaxDeclined)
    return std::nullopt;
  return Ipv6Prefix{{parameters_.prefix.address.high, kFirstIdentifier + bindings_.declined},
                    kHost};
}

bool Dhcpv6Rules::is_elsewhere(const Dhcpv6Ia& ia) const {
  const auto ours = lease_of(Kind::kAddresses);
  return ia.kind != Kind::kPrefixes &&
         std::ranges::any_of(ia.leases(), [&](const Dhcpv6Lease& lease) {
           return !parameters_.prefix.contains(lease.prefix.address) && lease.prefix != ours;
         });
}

void Dhcpv6Rules::add_configuration(const Dhcpv6Message& message, Dhcpv6Message& out) const {
  if (message.wants(Dhcpv6Option::kDnsServers))
    for (const Ipv6Address& server : parameters_.dns)
      if (!server.is_unspecified()) out.dns_room[out.dns_count++] = server;
  if (message.wants(Dhcpv6Option::kDomainList)) out.domain_list = settings_.domain_list;
  // Only for clients that ask (RFC 8415 §21.24, §21.25).
  if (message.requested.any() && message.wants(Dhcpv6Option::kSolMaxRt))
    out.sol_max_rt = kMaxRetransmissionTime;
  if (message.requested.any() && message.wants(Dhcpv6Option::kInfMaxRt))
    out.inf_max_rt = kMaxRetransmissionTime;
}

}  // namespace

Dhcpv6Flags dhcpv6_flags(const Dhcpv6Settings& settings,
                         const model::Ipv6Parameters& parameters) noexcept {
  const bool on = settings.mode != Dhcpv6Mode::kOff;
  return {
      .managed = on && (settings.mode == Dhcpv6Mode::kStateful || parameters.delegation->address),
      .other = on};
}

void Dhcpv6Responder::on_packet(Bytes packet, model::Ipv6Parameters& parameters,
                                std::uint64_t our_interface_id, const Dhcpv6Settings& settings,
                                Context& context) {
  const auto ignore = [&](Dhcpv6Result why) { context.add(model::Dhcpv6Handled{why}); };
  if (settings.mode == Dhcpv6Mode::kOff) return ignore(Dhcpv6Result::off);
  const auto message = wire::parse_dhcpv6(packet);
  if (!message) return ignore(result_of(message.error()));
  Dhcpv6Rules rules(settings, parameters);
  if (const auto why = rules.objection(*message)) return ignore(*why);
  if (!answers_.try_take(kRate, context.now)) return ignore(Dhcpv6Result::rate);

  Dhcpv6Message out;
  out.type = Dhcpv6Type::kReply;
  out.transaction = message->transaction;
  out.source = wire::link_local(our_interface_id);
  out.destination = message->source;
  out.client_identifier = message->client_identifier;
  out.server_identifier = settings.server_identifier;
  const Dhcpv6Result result = rules.answer(*message, out);
  if (rules.delegation() != *parameters.delegation) {
    parameters.delegation = rules.delegation();
    context.add(model::Ipv6BindingsChanged{rules.delegation().bindings});
  }

  std::vector<std::byte> frame = make_frame(wire::PppProtocol::kIpv6, wire::kIpv6MinimumMtu);
  const std::size_t size = wire::write_dhcpv6(information_of(frame), out);
  frame.resize(wire::kPppFrameHeaderLength + size);
  if (size != 0) context.add(model::SendFrame{std::move(frame)});
  context.add(model::Dhcpv6Handled{result});
}

}  // namespace pns::ppp
