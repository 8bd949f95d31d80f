// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/authorization_request.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <charconv>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "controlplane/aaa/radius_authorization.hpp"
#include "controlplane/model/session_id_text.hpp"
#include "pns/radius/numbers.hpp"
#include "pns/radius/values.hpp"

namespace pns::aaa {

namespace attribute = radius::attribute;
using Refusal = model::AuthorizationRefusal;
using radius::AttributeId;

namespace {

// They may come more than once.
constexpr std::array kRepeatable = {attribute::kClass, attribute::kFilterId, attribute::kProxyState,
                                    attribute::kFramedIpv6Prefix, attribute::kDelegatedIpv6Prefix};

// "pptp:192.0.2.1:17", as aaa::add_call() writes it.
std::optional<model::SessionIdentification::PortId> parse_port_id(std::string_view text) noexcept {
  constexpr std::string_view kHead = "pptp:";
  const std::size_t colon = text.rfind(':');
  if (!text.starts_with(kHead) || colon < kHead.size()) return std::nullopt;
  const auto peer = Ipv4Address::parse(text.substr(kHead.size(), colon - kHead.size()));
  std::uint16_t call_id = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, call_id);
  if (!peer || error != std::errc{} || stopped != end) return std::nullopt;
  return model::SessionIdentification::PortId{*peer, PeerCallId(call_id)};
}

// Reads a request attribute by attribute. Each of its faults is kept: the gravest one counts.
class RequestReader {
 public:
  RequestReader(const radius::PacketView& packet, const AuthorizationNas& nas,
                const AttributeMeanings& meanings) noexcept
      : packet_(packet),
        nas_(nas),
        meanings_(meanings),
        is_disconnect_(packet.code() == radius::Code::kDisconnectRequest) {}

  std::expected<AuthorizationRequest, RequestRefusal> read() {
    IgnoredAttributes ignored;
    auto change = read_service_change(packet_, meanings_, ignored);
    for (const radius::Attribute& attribute : packet_) take(attribute, ignored);
    if (foreign_) return refuse(Refusal::other_nas, foreign_);
    if (service_) return refuse(*service_, attribute::kServiceType);
    if (unsupported_) return refuse(Refusal::unsupported_attribute, unsupported_);
    if (invalid_) return refuse(Refusal::invalid_request, invalid_);
    if (!sessions_.selects()) return refuse(Refusal::missing_attribute);
    if (!is_disconnect_ && !changes_) return refuse(Refusal::missing_attribute);
    if (unreadable_) return refuse(Refusal::invalid_value, unreadable_);
    return AuthorizationRequest{.is_disconnect = is_disconnect_,
                                .sessions = std::move(sessions_),
                                .change = std::move(change)};
  }

 private:
  static std::unexpected<RequestRefusal> refuse(Refusal reason,
                                                std::optional<AttributeId> attribute = {}) {
    return std::unexpected(RequestRefusal{reason, attribute});
  }
  static void note(std::optional<AttributeId>& fault, AttributeId id) {
    if (!fault) fault = id;
  }

  void take(const radius::Attribute& given, const IgnoredAttributes& ignored) {
    if (seen_.test(given.id.number) && given.id.vendor == radius::vendor::kIetf &&
        std::ranges::find(kRepeatable, given.id) == kRepeatable.end())
      note(invalid_, given.id);
    seen_.set(given.id.number);
    if (take_nas(given) || take_session(given) || take_envelope(given)) return;
    take_change(given.id, ignored);
  }

  // A Disconnect-Request may have Class alone, for the accounting Stop (RFC 5176 §3.6, note 4).
  void take_change(AttributeId id, const IgnoredAttributes& ignored) {
    const auto fault = std::ranges::find(ignored, id, &IgnoredAttribute::id);
    if ((is_disconnect_ && id != attribute::kClass) ||
        (fault != ignored.end() && fault->reason == IgnoredAttribute::Reason::kUnsupported))
      return note(unsupported_, id);
    if (fault != ignored.end()) note(unreadable_, id);
    changes_ = true;
  }

  template <class Value>
  void must_be_ours(AttributeId id, const std::optional<Value>& value, bool ours) {
    if (!value)
      note(invalid_, id);
    else if (!ours)
      note(foreign_, id);
  }
  template <class Address>
  void take_nas_address(AttributeId id, const std::optional<Address>& value) {
    must_be_ours(
        id, value,
        value && std::ranges::find(nas_.addresses, IpAddress(*value)) != nas_.addresses.end());
  }

  bool take_nas(const radius::Attribute& given) {
    const auto& [id, value] = given;
    if (id == attribute::kNasIdentifier) {
      const auto text = radius::read_text(value);
      must_be_ours(id, text, text == nas_.identifier);
    } else if (id == attribute::kNasIpAddress) {
      take_nas_address(id, radius::read_ipv4(value));
    } else if (id == attribute::kNasIpv6Address) {
      take_nas_address(id, radius::read_ipv6(value));
    } else {
      return false;
    }
    return true;
  }

  // Places a value that has the form of its kind.
  template <class Read, class Place>
  void identify(AttributeId id, const std::optional<Read>& value, Place place) {
    if (!value)
      note(invalid_, id);
    else
      place(*value);
  }
  // A text that is `parsed` where it can be a session's.
  template <class Value>
  void identify_by_text(AttributeId id, Bytes value, std::optional<Value>& out, auto parse) {
    identify(id, radius::read_text(value), [&](std::string_view text) {
      out = parse(text);
      if (!out) sessions_.names_none = true;
    });
  }

  bool take_session(const radius::Attribute& given) {
    const auto& [id, value] = given;
    if (id == attribute::kUserName)
      identify(id, radius::read_text(value),
               [this](std::string_view user) { sessions_.user.emplace(user); });
    else if (id == attribute::kAcctSessionId)
      identify_by_text(id, value, sessions_.session, model::parse_session_id);
    else if (id == attribute::kCallingStationId)
      identify_by_text(id, value, sessions_.peer, Ipv4Address::parse);
    else if (id == attribute::kCalledStationId)
      identify_by_text(id, value, sessions_.local, Ipv4Address::parse);
    else if (id == attribute::kNasPortId)
      identify_by_text(id, value, sessions_.port_id, parse_port_id);
    else
      return take_number(given);
    return true;
  }

  bool take_number(const radius::Attribute& given) {
    const auto& [id, value] = given;
    if (id == attribute::kNasPort)
      identify(id, radius::read_u32(value),
               [this](std::uint32_t port) { sessions_.slot = SlotId(port); });
    else if (id == attribute::kFramedIpAddress)
      identify(id, radius::read_ipv4(value),
               [this](Ipv4Address address) { sessions_.address = address; });
    else if (id == attribute::kFramedIpv6Prefix)
      identify(id, radius::read_ipv6_prefix(value), [this](const Ipv6Prefix& prefix) {
        // A session has one.
        if (sessions_.ipv6_prefix && *sessions_.ipv6_prefix != prefix) sessions_.names_none = true;
        sessions_.ipv6_prefix = prefix;
      });
    else if (id == attribute::kDelegatedIpv6Prefix)
      identify(id, radius::read_ipv6_prefix(value), [this](const Ipv6Prefix& prefix) {
        if (sessions_.delegated_prefix && *sessions_.delegated_prefix != prefix)
          sessions_.names_none = true;
        sessions_.delegated_prefix = prefix;
      });
    else if (id == attribute::kFramedIpv6Address)
      identify(id, radius::read_ipv6(value),
               [this](const Ipv6Address& address) { sessions_.ipv6_address = address; });
    else if (id == attribute::kFramedInterfaceId)
      identify(id, radius::read_interface_id(value),
               [this](std::uint64_t interface) { sessions_.interface_id = interface; });
    else if (id == attribute::kAcctMultiSessionId || id == attribute::kChargeableUserIdentity)
      sessions_.names_none = true;  // this server gives no session any
    else
      return false;
    return true;
  }

  // Neither identification nor change.
  bool take_envelope(const radius::Attribute& given) {
    const auto& [id, value] = given;
    if (id == attribute::kServiceType)
      take_service_type(radius::read_u32(value));
    else if (id == attribute::kState)
      return !is_disconnect_;
    else
      return id == attribute::kProxyState || id == attribute::kMessageAuthenticator ||
             id == attribute::kEventTimestamp;
    return true;
  }

  // Authorize-Only asks for an Access-Request of ours, which this server does not send (RFC 5176
  // §3.2). Framed is the service that every session has.
  void take_service_type(const std::optional<std::uint32_t>& type) {
    if (!type) return note(invalid_, attribute::kServiceType);
    if (is_disconnect_ || *type != number(radius::ServiceType::kFramed))
      service_ = Refusal::unsupported_service;
    if (!is_disconnect_ && *type == number(radius::ServiceType::kAuthorizeOnly) &&
        !packet_.has(attribute::kState))
      service_ = Refusal::missing_attribute;
  }

  const radius::PacketView& packet_;
  const AuthorizationNas& nas_;
  const AttributeMeanings& meanings_;
  bool is_disconnect_;
  model::SessionIdentification sessions_;
  bool changes_ = false;
  std::bitset<256> seen_;  // numbers of attributes
  std::optional<AttributeId> foreign_;
  std::optional<Refusal> service_;
  std::optional<AttributeId> unsupported_;
  std::optional<AttributeId> invalid_;
  std::optional<AttributeId> unreadable_;  // a change whose value makes no sense
};

}  // namespace

std::expected<AuthorizationRequest, RequestRefusal> read_authorization_request(
    const radius::PacketView& packet, const AuthorizationNas& nas,
    const AttributeMeanings& meanings) {
  return RequestReader(packet, nas, meanings).read();
}

void add_echoes(radius::PacketBuilder& answer, Bytes request_attributes) noexcept {
  for (radius::AttributeIterator at(request_attributes); at != std::default_sentinel; ++at)
    if (at->id == attribute::kState || at->id == attribute::kProxyState)
      answer.add(at->id, at->value);
}

}  // namespace pns::aaa
