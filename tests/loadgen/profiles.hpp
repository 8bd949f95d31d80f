// SPDX-License-Identifier: BSD-3-Clause
//
// How real PPTP clients behave on the wire, as data: one row of kProfiles each. Nothing here acts;
// what a row means is done by Dialer (control connection), GreStream (numbers and acks) and
// PppClient. constexpr, any thread.
//
// A comment "fact N" names the numbered list of observations that docs/loadgen.md carries; a value
// without one is the client's published source, or, where it says "assumed", a choice of ours.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "pns/base/time.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::loadgen {

enum class CallIdChoice : std::uint8_t {
  kCounter,  // 1, 2, 3, …
  kZero,     // 0 where it is free, else the next one
  kRandom,   // 1 to 65,534
};

enum class Acks : std::uint8_t {
  kNone,       // never
  kPiggyback,  // in packets that carry data, and nowhere else
  kDelayed,    // there, and in a packet of their own when no data goes for ack_delay
};

enum class Farewell : std::uint8_t {
  kClear,       // Call-Clear-Request, and the Call-Disconnect-Notify awaited (RFC 2637 §2.12)
  kDisconnect,  // Call-Disconnect-Notify, the message of a PAC (§2.13)
  kClose,       // TCP is closed, without a word
};

struct Profile {
  std::string_view name;

  // ---- Start-Control-Connection-Request (§2.1)
  struct Start {
    std::uint32_t framing;
    std::uint32_t bearer;
    std::uint16_t maximum_channels;
    std::uint16_t firmware;
    std::string_view host;
    std::string_view vendor;
  } start;

  // ---- Outgoing-Call-Request (§2.7)
  struct Call {
    CallIdChoice id;
    std::uint32_t minimum_bps;
    std::uint32_t maximum_bps;
    std::uint32_t bearer;
    std::uint32_t framing;
    std::uint16_t window;  // packets
  } call;

  // ---- The connection afterwards
  Duration echo_interval;  // between Echo-Requests; 0: only answers
  bool set_link_info;      // sent when LCP is open (§2.15)
  Farewell farewell;
  bool terminates_lcp;  // Terminate-Request before the farewell
  bool stops;           // Stop-Control-Connection-Request at the end

  // ---- GRE
  std::uint32_t first_sequence;
  Acks acks;
  Duration ack_delay;
  Duration reorder_wait;  // what came early waits so long for what is missing; 0: late is lost

  // ---- PPP
  bool compresses_fields;  // leaves out FF 03 and zero octets where the server permits it
  std::uint16_t mru;       // asked for; 0: not mentioned
  bool accm;               // asks for an Async-Control-Character-Map of 0
  bool pfc;
  bool acfc;
  bool callback;          // asks for callback (option 13), which a server must reject
  bool identifies;        // sends LCP Identification packets (RFC 1570 §1.1)
  bool offers_all_mppe;   // its CCP request has every strength and MPPC; the server picks
  std::uint8_t ipcp_dns;  // name servers asked for: 0 to 2
  bool ipcp_wins;         // as many WINS servers
  Duration restart;       // of Configure-Requests and authentication
  unsigned tries;
};

inline constexpr std::uint32_t kAny = 3;  // both framings, both bearers

inline constexpr std::array kProfiles = {
    // Answers at once, without a breath between question and answer: what exposes a server's races.
    Profile{.name = "instant",
            .start = {kAny, kAny, 0, 0, "loadgen", "loadgen"},
            .call = {CallIdChoice::kCounter, 2'400, 1'000'000'000, kAny, kAny, 64},
            .echo_interval = {},
            .set_link_info = false,
            .farewell = Farewell::kClear,
            .terminates_lcp = false,
            .stops = false,
            .first_sequence = 1,
            .acks = Acks::kPiggyback,
            .ack_delay = {},
            .reorder_wait = {},
            .compresses_fields = false,
            .mru = 0,
            .accm = false,
            .pfc = false,
            .acfc = false,
            .callback = false,
            .identifies = false,
            .offers_all_mppe = false,
            .ipcp_dns = 0,
            .ipcp_wins = false,
            .restart = Seconds(1),
            .tries = 10},
    // Facts 4 (Call ID 0), 21 (Start and Call requests), 22 (LCP), 25 (Set-Link-Info), 26 (echo).
    // Assumed: first sequence number, acks, window and timers.
    Profile{.name = "windows",
            .start = {wire::pptp::kFramingAsync, wire::pptp::kBearerAnalog, 0, 2600, "",
                      "Microsoft Windows NT"},
            .call = {CallIdChoice::kZero, 300, 100'000'000, kAny, kAny, 64},
            .echo_interval = Seconds(60),
            .set_link_info = true,
            .farewell = Farewell::kClear,
            .terminates_lcp = true,
            .stops = true,
            .first_sequence = 0,
            .acks = Acks::kDelayed,
            .ack_delay = Milliseconds(100),
            .reorder_wait = {},
            .compresses_fields = true,
            .mru = 1400,
            .accm = false,
            .pfc = true,
            .acfc = true,
            .callback = true,
            .identifies = true,
            .offers_all_mppe = true,
            .ipcp_dns = 2,
            .ipcp_wins = true,
            .restart = Seconds(3),
            .tries = 10},
    // Facts 9 (first number 0), 12 (no acks), 13 (window 8192), 20 (FF 03 always), 26 (answers
    // echoes only), 29 (closes without Stop). Start and Call requests: mtpd's pptp.c.
    Profile{.name = "android",
            .start = {kAny, kAny, 1, 0, "anonymous", ""},
            .call = {CallIdChoice::kRandom, 1'000, 100'000'000, kAny, kAny, 8192},
            .echo_interval = {},
            .set_link_info = false,
            .farewell = Farewell::kClose,
            .terminates_lcp = false,
            .stops = false,
            .first_sequence = 0,
            .acks = Acks::kNone,
            .ack_delay = {},
            .reorder_wait = {},
            .compresses_fields = false,
            .mru = 1400,
            .accm = true,
            .pfc = true,
            .acfc = true,
            .callback = false,
            .identifies = false,
            .offers_all_mppe = false,
            .ipcp_dns = 2,
            .ipcp_wins = false,
            .restart = Seconds(3),
            .tries = 10},
    // Facts 21 (framing 2, bearer 0, channels 0, as it answers) and 31 (MRU 1450). Assumed: the
    // rest; it says goodbye with a PAC's message, so that servers meet one that does.
    Profile{.name = "mikrotik",
            .start = {wire::pptp::kFramingSync, 0, 0, 1, "MikroTik", "MikroTik"},
            .call = {CallIdChoice::kCounter, 300, 100'000'000, kAny, wire::pptp::kFramingSync, 100},
            .echo_interval = Seconds(60),
            .set_link_info = false,
            .farewell = Farewell::kDisconnect,
            .terminates_lcp = true,
            .stops = true,
            .first_sequence = 0,
            .acks = Acks::kDelayed,
            .ack_delay = Milliseconds(50),
            .reorder_wait = {},
            .compresses_fields = false,
            .mru = 1450,
            .accm = false,
            .pfc = false,
            .acfc = false,
            .callback = false,
            .identifies = false,
            .offers_all_mppe = false,
            .ipcp_dns = 2,
            .ipcp_wins = false,
            .restart = Seconds(1),
            .tries = 10},
    // Facts 2 (looks its Call-Disconnect-Notify up) and 9 (first number 1). pptp_options.h; PPP is
    // pppd's: LCP as it asks by default, one MPPE strength (fact 17).
    Profile{.name = "pptp-linux",
            .start = {kAny, kAny, 65535, 1, "local", "cananian"},
            .call = {CallIdChoice::kCounter, 2'400, 1'000'000'000, kAny, kAny, 3},
            .echo_interval = Seconds(60),
            .set_link_info = false,
            .farewell = Farewell::kClear,
            .terminates_lcp = true,
            .stops = true,
            .first_sequence = 1,
            .acks = Acks::kDelayed,
            .ack_delay = Milliseconds(500),
            .reorder_wait = Milliseconds(300),
            .compresses_fields = true,
            .mru = 0,
            .accm = true,
            .pfc = true,
            .acfc = true,
            .callback = false,
            .identifies = false,
            .offers_all_mppe = false,
            .ipcp_dns = 0,
            .ipcp_wins = false,
            .restart = Seconds(3),
            .tries = 10},
    // Facts 4 (Call IDs 1 to 65534), 9 (first number 1), 12 (no acks of their own), 14 (late is
    // dropped). The control connection and PPP are pptp-linux's and pppd's.
    Profile{.name = "linux-kernel",
            .start = {kAny, kAny, 65535, 1, "local", "cananian"},
            .call = {CallIdChoice::kRandom, 2'400, 1'000'000'000, kAny, kAny, 50},
            .echo_interval = Seconds(60),
            .set_link_info = false,
            .farewell = Farewell::kClear,
            .terminates_lcp = true,
            .stops = true,
            .first_sequence = 1,
            .acks = Acks::kPiggyback,
            .ack_delay = {},
            .reorder_wait = {},
            .compresses_fields = true,
            .mru = 0,
            .accm = true,
            .pfc = true,
            .acfc = true,
            .callback = false,
            .identifies = false,
            .offers_all_mppe = false,
            .ipcp_dns = 2,
            .ipcp_wins = false,
            .restart = Seconds(3),
            .tries = 10},
};

// The rows that a name means: one row; all but "instant" for "all"; none for an unknown name.
[[nodiscard]] constexpr std::span<const Profile> profiles_named(std::string_view name) noexcept {
  const std::span<const Profile> rows(kProfiles);
  if (name == "all") return rows.subspan(1);
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i].name == name) return rows.subspan(i, 1);
  return {};
}

}  // namespace pns::loadgen
