// SPDX-License-Identifier: BSD-3-Clause
//
// Settings of PPP, from the configuration (key `ppp`). Plain values, made once and shared
// by all links.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "controlplane/model/auth.hpp"
#include "controlplane/ppp/dhcp_responder.hpp"
#include "controlplane/ppp/dhcpv6_responder.hpp"
#include "pns/base/time.hpp"

namespace pns::ppp {

enum class MppePolicy : std::uint8_t {
  kRequire,  // no encryption, no session
  kPrefer,   // without it if the peer cannot
  kOff,      // CCP is not spoken
};

enum class MppeMode : std::uint8_t {
  kStateless,  // H bit set, nothing else
  kStateful,   // H bit clear, nothing else
  kAny,        // stateless is asked for; stateful is accepted
};

// Strengths that may be used. The strongest common one is.
struct MppeStrengths {
  bool bits40 = false;
  bool bits56 = false;
  bool bits128 = true;
};

// Methods inside EAP.
enum class EapMethod : std::uint8_t {
  kMd5,       // RFC 3748 §5.4
  kMsChapV2,  // draft-kamath-pppext-eap-mschapv2
};

struct LinkSettings;
struct NetworkProtocolKind;
// IPCP and IPV6CP.
[[nodiscard]] std::span<const NetworkProtocolKind> standard_network_protocols() noexcept;

class AuthenticatorSide;
// The server's side of a method; null for kNone. `settings` must outlive it.
[[nodiscard]] std::unique_ptr<AuthenticatorSide> standard_authenticator(
    model::AuthMethod method, const LinkSettings& settings);

struct LinkSettings {
  std::uint16_t mru = 1400;  // octets we ask the peer to send at most (ppp.mtu)
  std::string name = "pns";  // in CHAP challenges; at most 64 octets go out
  std::vector<model::AuthMethod> auth = {model::AuthMethod::kMsChapV2};  // in order of preference
  std::vector<EapMethod> eap = {EapMethod::kMsChapV2};                   // the same, inside EAP
  bool eap_relay = false;     // AAA runs the methods inside EAP; `eap` has no effect
  unsigned auth_retries = 3;  // other passwords that MS-CHAP lets a peer try on one call

  MppePolicy mppe = MppePolicy::kRequire;
  MppeStrengths mppe_strengths;
  MppeMode mppe_mode = MppeMode::kStateless;

  // LCP echo from this machine; 0: the dataplane does it. After `failures` unanswered ones the link
  // ends.
  Duration lcp_echo_interval = Seconds(30);
  unsigned lcp_echo_failures = 4;

  // RFC 1661 §4.6. The first retransmission comes early: peers often lose what is sent right after
  // Outgoing-Call-Reply.
  Duration first_restart_timer = Seconds(1);
  Duration restart_timer = Seconds(3);
  unsigned max_configure = 10;
  unsigned max_terminate = 2;
  unsigned max_failure = 5;

  Duration auth_retry_timeout = Seconds(60);     // for a person to type another password
  Duration auth_decision_timeout = Seconds(30);  // Authenticate to on_auth_result
  unsigned rejects_per_second = 10;              // Code-Rejects and Protocol-Rejects together

  InformSettings inform;
  Dhcpv6Settings dhcpv6;

  // The network control protocols that the link knows. Static storage.
  std::span<const NetworkProtocolKind> network_protocols = standard_network_protocols();
  // Makes the server's side of the method that LCP agreed on.
  std::unique_ptr<AuthenticatorSide> (*make_authenticator)(
      model::AuthMethod method, const LinkSettings& settings) = standard_authenticator;
};

}  // namespace pns::ppp
