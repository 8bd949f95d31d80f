// SPDX-License-Identifier: BSD-3-Clause
//
// The meaning of a CoA-Request and a Disconnect-Request, attribute by attribute (RFC 5176 §3).
#include "controlplane/aaa/authorization_request.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "controlplane/aaa/radius_call.hpp"
#include "pns/radius/numbers.hpp"
#include "pns/radius/packet_builder.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::aaa;
namespace attribute = radius::attribute;
using radius::Code;
using radius::PacketBuilder;
using Refusal = model::AuthorizationRefusal;

namespace {

const AuthorizationNas kNas{
    .identifier = "lns",
    .addresses = {Ipv4Address(0xc6336401), *Ipv6Address::parse("2001:db8::1")}};

using Fill = std::function<void(PacketBuilder&)>;

class Read {
 public:
  Read(Code code, const Fill& fill)
      : builder_(code, 1, {}, PacketBuilder::MessageAuthenticator::kNone) {
    fill(builder_);
    const auto packet = radius::PacketView::parse(*builder_.finish());
    REQUIRE(packet);
    result_ = read_authorization_request(*packet, kNas, {});
  }
  const AuthorizationRequest& operator*() const {
    REQUIRE(result_);
    return *result_;
  }
  const AuthorizationRequest* operator->() const { return &**this; }
  // Its text; empty: it was taken.
  std::string refused() const {
    return result_ ? "" : std::string(model::name_of(result_.error().reason));
  }
  std::optional<radius::AttributeId> attribute() const { return result_.error().attribute; }

 private:
  PacketBuilder builder_;
  std::expected<AuthorizationRequest, RequestRefusal> result_ = std::unexpected(RequestRefusal{});
};

Read disconnect(const Fill& fill) { return {Code::kDisconnectRequest, fill}; }
// A CoA-Request for alice that sets Class, and these too.
Read change(const Fill& fill) {
  return {Code::kCoaRequest, [&](PacketBuilder& p) {
            p.add_text(attribute::kUserName, "alice");
            p.add_text(attribute::kClass, "gold");
            fill(p);
          }};
}
void nothing(PacketBuilder&) {}

}  // namespace

TEST_CASE("authorization request: each identification attribute, alone", "[aaa][rfc5176-3]") {
  CHECK(disconnect([](auto& p) { p.add_text(attribute::kUserName, "alice"); })->sessions.user ==
        "alice");
  CHECK(disconnect([](auto& p) {
          p.add_text(attribute::kAcctSessionId, "0000000000000A1b");
        })->sessions.session == SessionId(0x0a1b));
  CHECK(disconnect([](auto& p) { p.add_u32(attribute::kNasPort, 7); })->sessions.slot == SlotId(7));
  const Ipv4Address inner(0x0a400007);
  CHECK(disconnect([&](auto& p) {
          p.add_ipv4(attribute::kFramedIpAddress, inner);
        })->sessions.address == inner);
  const Ipv6Prefix prefix = *Ipv6Prefix::parse("2001:db8:1:2::/64");
  CHECK(disconnect([&](auto& p) {
          p.add_ipv6_prefix(attribute::kFramedIpv6Prefix, prefix);
        })->sessions.ipv6_prefix == prefix);
  const Ipv6Address host = *Ipv6Address::parse("2001:db8:1:2::5");
  const auto both = disconnect([&](auto& p) {
    p.add_ipv6(attribute::kFramedIpv6Address, host);
    p.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix, prefix);
  });
  CHECK(both->sessions.ipv6_address == host);
  CHECK(both->sessions.delegated_prefix == prefix);
  const auto two = disconnect([&](auto& p) {
    p.add_text(attribute::kUserName, "alice");
    p.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix, prefix);
    p.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix, *Ipv6Prefix::parse("2001:db8:3::/56"));
  });
  CHECK(two->sessions.names_none);  // a session has one
  const Ipv4Address outer(0xcb007105);
  CHECK(disconnect([](auto& p) {
          p.add_text(attribute::kCallingStationId, "203.0.113.5");
        })->sessions.peer == outer);
  CHECK(disconnect([](auto& p) {
          p.add_text(attribute::kCalledStationId, "203.0.113.5");
        })->sessions.local == outer);
  const auto port =
      disconnect([](auto& p) { p.add_text(attribute::kNasPortId, "pptp:203.0.113.5:9"); });
  CHECK(port->sessions.port_id->peer == outer);
  CHECK(port->sessions.port_id->peer_call_id == PeerCallId(9));
}

TEST_CASE("authorization request: what our accounting says of a session identifies it",
          "[aaa][rfc5176-3]") {
  PacketBuilder ours(Code::kAccountingRequest, 0);
  add_call(ours, {.session = SessionId(0x0a1b),
                  .slot = SlotId(3),
                  .peer_call_id = PeerCallId(17),
                  .peer = Ipv4Address(0xcb007105),
                  .local = Ipv4Address(0xc6336401)});
  const auto record = radius::PacketView::parse(*ours.finish());
  const auto request = disconnect([&](auto& p) {
    for (const auto id : {attribute::kAcctSessionId, attribute::kNasPort, attribute::kNasPortId,
                          attribute::kCallingStationId, attribute::kCalledStationId})
      p.add(id, *record->find_first(id));
  });
  const model::SessionIdentification expected{
      .session = SessionId(0x0a1b),
      .slot = SlotId(3),
      .port_id = model::SessionIdentification::PortId{Ipv4Address(0xcb007105), PeerCallId(17)},
      .peer = Ipv4Address(0xcb007105),
      .local = Ipv4Address(0xc6336401)};
  CHECK(request->sessions == expected);
}

TEST_CASE("authorization request: identification that no session of this server can have",
          "[aaa][rfc5176-3]") {
  for (const auto& [id, text] : std::vector<std::pair<radius::AttributeId, std::string>>{
           {attribute::kAcctSessionId, "80"},
           {attribute::kCallingStationId, "00-11-22-33-44-55"},
           {attribute::kCalledStationId, "isp"},
           {attribute::kNasPortId, "pptp:203.0.113.5:65536"},
           {attribute::kNasPortId, "pptp:"},
           {attribute::kNasPortId, "ge-0/0/1"},
           {attribute::kAcctMultiSessionId, "1"},
           {attribute::kChargeableUserIdentity, "cui"}}) {
    INFO(text);
    CHECK(disconnect([&](auto& p) { p.add_text(id, text); })->sessions.names_none);
  }
  // A session has one prefix.
  CHECK(disconnect([](auto& p) {
          p.add_ipv6_prefix(attribute::kFramedIpv6Prefix, *Ipv6Prefix::parse("2001:db8:1::/64"));
          p.add_ipv6_prefix(attribute::kFramedIpv6Prefix, *Ipv6Prefix::parse("2001:db8:2::/64"));
        })->sessions.names_none);
}

TEST_CASE("authorization request: a session must be named, and by what can find it",
          "[aaa][rfc5176-3.5]") {
  CHECK(disconnect(nothing).refused() == "missing_attribute");
  const auto by_interface = [](auto& p) { p.add_interface_id(attribute::kFramedInterfaceId, 5); };
  CHECK(disconnect(by_interface).refused() == "missing_attribute");
  CHECK(disconnect([&](auto& p) {
          by_interface(p);
          p.add_text(attribute::kUserName, "alice");
        })->sessions.interface_id == 5);
}

TEST_CASE("authorization request: each NAS attribute must be ours", "[aaa][rfc5176-3.5]") {
  const auto with_nas = [](const Fill& nas) {
    return disconnect([&](auto& p) {
      p.add_text(attribute::kUserName, "alice");
      nas(p);
    });
  };
  const auto identifier = [](std::string_view text) {
    return [text](PacketBuilder& p) { p.add_text(attribute::kNasIdentifier, text); };
  };
  CHECK(with_nas(identifier("lns")).refused().empty());
  CHECK(with_nas(identifier("lns2")).refused() == "other_nas");
  CHECK(with_nas([](auto& p) { p.add_ipv4(attribute::kNasIpAddress, Ipv4Address(0xc6336401)); })
            .refused()
            .empty());
  const auto other = with_nas([&](auto& p) {
    identifier("lns")(p);
    p.add_ipv4(attribute::kNasIpAddress, Ipv4Address(0xc6336402));
  });
  CHECK(other.refused() == "other_nas");
  CHECK(other.attribute() == attribute::kNasIpAddress);
  CHECK(with_nas([](auto& p) {
          p.add_ipv6(attribute::kNasIpv6Address, *Ipv6Address::parse("2001:db8::1"));
        })
            .refused()
            .empty());
  CHECK(with_nas([](auto& p) {
          p.add_ipv6(attribute::kNasIpv6Address, *Ipv6Address::parse("2001:db8::2"));
        }).refused() == "other_nas");
}

TEST_CASE("authorization request: a Disconnect-Request changes nothing but Class of the Stop",
          "[aaa][rfc5176-3]") {
  const auto with = [](const Fill& more) {
    return disconnect([&](auto& p) {
      p.add_text(attribute::kUserName, "alice");
      more(p);
    });
  };
  const auto request = with([](auto& p) {
    p.add_text(attribute::kClass, "a");
    p.add_text(attribute::kClass, "b");
  });
  CHECK(request->is_disconnect);
  CHECK(request->change.classes->size() == 2);
  CHECK(with([](auto& p) { p.add_u32(attribute::kSessionTimeout, 9); }).refused() ==
        "unsupported_attribute");
  CHECK(with([](auto& p) { p.add_text(attribute::kState, "s"); }).refused() ==
        "unsupported_attribute");
  CHECK(with([](auto& p) { p.add_text(attribute::kReplyMessage, "bye"); }).refused() ==
        "unsupported_attribute");
  const auto vendor = with([](auto& p) { p.add_text(attribute::kCiscoAvPair, "a=b"); });
  CHECK(vendor.refused() == "unsupported_attribute");
  CHECK(vendor.attribute() == attribute::kCiscoAvPair);
  CHECK(with([](auto& p) {
          p.add_u32(attribute::kServiceType, number(radius::ServiceType::kFramed));
        }).refused() == "unsupported_service");
}

TEST_CASE("authorization request: a CoA-Request changes Class; it must change something",
          "[aaa][rfc5176-2.2]") {
  const auto request = change([](auto& p) { p.add_text(attribute::kClass, "silver"); });
  CHECK_FALSE(request->is_disconnect);
  REQUIRE(request->change.classes->size() == 2);
  CHECK(request->change.classes->at(0).size() == 4);
  CHECK(request->change.classes->at(1).size() == 6);
  const Read empty{Code::kCoaRequest, [](auto& p) { p.add_text(attribute::kUserName, "alice"); }};
  CHECK(empty.refused() == "missing_attribute");
  CHECK(change([](auto& p) { p.add_u32(attribute::kPortLimit, 1); }).refused() ==
        "unsupported_attribute");
  CHECK(change([](auto& p) { p.add_text(attribute::kEapMessage, "x"); }).refused() ==
        "unsupported_attribute");
  CHECK(change([](auto& p) { p.add_text({0, 200}, "x"); }).refused() == "unsupported_attribute");
  // Attributes of sessions that requests cannot name: they are no change either.
  for (const auto id : {attribute::kNasPortType, attribute::kTunnelClientEndpoint,
                        attribute::kTunnelServerEndpoint}) {
    const Read named{Code::kCoaRequest, [id](auto& p) {
                       p.add_text(attribute::kUserName, "alice");
                       p.add_u32(id, 5);
                     }};
    CHECK(named.refused() == "unsupported_attribute");
    CHECK(named.attribute() == id);
  }
}

TEST_CASE("authorization request: a CoA-Request changes the terms of the service",
          "[aaa][rfc5176-2.2]") {
  const auto request = change([](auto& p) {
    p.add_u32(attribute::kSessionTimeout, 3600);
    p.add_u32(attribute::kIdleTimeout, 0);
    p.add_text(attribute::kFilterId, "basic.in");
    p.add_text(attribute::kFilterId, "open.out");
    p.add_text(attribute::kMikrotikRateLimit, "1M/2M");
  });
  CHECK(request->change.session_time == Seconds(3600));
  CHECK(request->change.idle_time == Seconds(0));
  CHECK(request->change.upstream_filter == "basic");
  CHECK(request->change.downstream_filter == "open");
  REQUIRE(request->change.upstream_rate);
  CHECK(request->change.upstream_rate->bits_per_second == 1'000'000);
  CHECK(request->change.downstream_rate->bits_per_second == 2'000'000);
  const auto bad = change([](auto& p) { p.add_text(attribute::kMikrotikRateLimit, "fast"); });
  CHECK(bad.refused() == "invalid_value");
  CHECK(bad.attribute() == attribute::kMikrotikRateLimit);
}

TEST_CASE("authorization request: Service-Type and State", "[aaa][rfc5176-3.2][rfc5176-3.3]") {
  const auto service = [](radius::ServiceType type) {
    return [type](PacketBuilder& p) { p.add_u32(attribute::kServiceType, number(type)); };
  };
  CHECK(change(service(radius::ServiceType::kFramed)).refused().empty());
  CHECK(change(service(radius::ServiceType{1})).refused() == "unsupported_service");
  const auto authorize_only = service(radius::ServiceType::kAuthorizeOnly);
  CHECK(change(authorize_only).refused() == "missing_attribute");
  const auto state = [](PacketBuilder& p) { p.add_text(attribute::kState, "s"); };
  CHECK(change([&](auto& p) {
          authorize_only(p);
          state(p);
        }).refused() == "unsupported_service");
  CHECK(change(state).refused().empty());
  CHECK(change([&](auto& p) {
          state(p);
          state(p);
        }).refused() == "invalid_request");
}

TEST_CASE("authorization request: a value of another form, and an attribute that comes twice",
          "[aaa][rfc5176-3.5]") {
  const Bytes three = as_octets("abc");
  for (const auto id :
       {attribute::kNasPort, attribute::kFramedIpAddress, attribute::kFramedIpv6Prefix,
        attribute::kFramedIpv6Address, attribute::kFramedInterfaceId, attribute::kNasIpAddress,
        attribute::kNasIpv6Address, attribute::kServiceType}) {
    INFO(unsigned{id.number});
    const auto request = change([&](auto& p) { p.add(id, three); });
    CHECK(request.refused() == "invalid_request");
    CHECK(request.attribute() == id);
  }
  CHECK(disconnect([](auto& p) { p.add_text(attribute::kUserName, "\xff"); }).refused() ==
        "invalid_request");
  CHECK(change([](auto& p) { p.add_text(attribute::kUserName, "alice"); }).refused() ==
        "invalid_request");
  CHECK(change([](auto& p) {
          p.add_text(attribute::kProxyState, "1");
          p.add_text(attribute::kProxyState, "2");
        })
            .refused()
            .empty());
}

TEST_CASE("authorization request: State and Proxy-State go back unchanged and in order",
          "[aaa][rfc5176-3.1]") {
  PacketBuilder request(Code::kCoaRequest, 1);
  request.add_text(attribute::kProxyState, "first");
  request.add_text(attribute::kUserName, "alice");
  request.add_text(attribute::kState, "s");
  request.add_text(attribute::kProxyState, "second");
  PacketBuilder answer(Code::kCoaAck, 1);
  add_echoes(answer, radius::PacketView::parse(*request.finish())->attributes());
  const auto packet = radius::PacketView::parse(*answer.finish());
  std::vector<std::string> echoed;
  for (const radius::Attribute& a : *packet)
    if (a.id != attribute::kMessageAuthenticator)
      echoed.emplace_back(radius::find_attribute(a.id)->name)
          .append("=" + std::string(reinterpret_cast<const char*>(a.value.data()), a.value.size()));
  CHECK(echoed == std::vector<std::string>{"Proxy-State=first", "State=s", "Proxy-State=second"});
}
