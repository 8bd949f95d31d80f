// SPDX-License-Identifier: BSD-3-Clause
//
// Config: the operator's YAML file as validated, immutable plain structs, and the reader that makes
// it. Fields are named as the keys are. Both planes, the supervisor and `pns check` read the file
// with this same reader, so none of them can understand it differently.
//
// load() is strict: unknown keys, wrong types and impossible combinations are errors, and all of
// them are reported, not only the first. Nothing here keeps state; called at start-up, any thread.
// docs/configuration.md explains every key.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pns/base/ip_address.hpp"
#include "pns/base/ip_endpoint.hpp"
#include "pns/base/networks.hpp"
#include "pns/base/secret.hpp"

namespace pns::config {

using Milliseconds = std::chrono::milliseconds;
using Microseconds = std::chrono::microseconds;

struct Node {
  std::string name = "pns";  // host name in Start-Control-Connection-Reply; 1..63 octets
};

struct Cores {
  std::uint16_t main = 0;              // lcore of the dataplane's main thread
  std::vector<std::uint16_t> workers;  // lcores, one worker each, none equal to main; never empty
};

enum class HugePages : std::uint8_t { kAuto, kOn, kOff };  // kOn: refuse to start without

struct Memory {
  HugePages hugepages = HugePages::kAuto;
  std::uint32_t megabytes = 512;  // for the EAL: packet buffers, rings, tables
};

enum class IdleMode : std::uint8_t { kAuto, kSpin, kSleep, kWait };

struct Idle {
  IdleMode mode = IdleMode::kAuto;  // kAuto: wait when there are as many lcores as online CPUs
  std::uint32_t spin_polls = 256;   // empty polls before a worker sleeps or waits
  Microseconds sleep{50};           // kSleep: nap length
  Milliseconds wait{10};            // kWait: longest poll(2)
};

enum class MppeVariant : std::uint8_t { kAuto, kPortable, kAvx2, kAvx512 };
enum class MppeRc4 : std::uint8_t { kAuto, kBytes, kWords };

// How packets find the worker that owns their session (docs/steering.md).
enum class Steering : std::uint8_t {
  kAuto,  // flow rules by GRE key where the driver takes them, else kRss
  kKey,   // flow rules or nothing: the access port's hash is not predicted
  kRss,   // Call IDs and addresses by the predicted hash
  kNone,  // neither
};

struct Dataplane {
  Cores cores;
  Memory memory;
  Idle idle;
  MppeVariant mppe_variant = MppeVariant::kAuto;  // kAuto: the fastest that the CPU has
  MppeRc4 mppe_rc4 = MppeRc4::kAuto;              // kAuto: what a measurement at start finds best
  Steering steering = Steering::kAuto;
  std::uint32_t max_sessions = 16384;
};

enum class DeviceKind : std::uint8_t {
  kXdp,   // "xdp:IFACE": kernel interface shared by an XDP program
  kTap,   // "tap:IFACE": a TAP that the supervisor makes is the wire
  kPci,   // "0000:3b:00.1"
  kVdev,  // any other DPDK device string
  // "kernel:IFACE": the host's own IP stack, by an interface that the supervisor makes
  kKernel,
  kBond,  // "bond:MODE": link aggregation over several devices
};

// Link aggregation. kActiveBackup: one member carries all, the others wait. kLacp: IEEE 802.3ad.
enum class BondMode : std::uint8_t { kActiveBackup, kLacp };

struct Device {
  DeviceKind kind = DeviceKind::kVdev;
  std::string text;       // as written; kBond: with its members, "bond:MODE,0000:3b:00.0,…"
  std::string interface;  // kXdp, kTap, kKernel: the name after the colon; else empty
  BondMode bond_mode = BondMode::kActiveBackup;  // kBond
  std::vector<std::string> members = {};         // kBond: PCI addresses or DPDK device strings

  [[nodiscard]] bool uses_xdp() const noexcept {
    return kind == DeviceKind::kXdp || kind == DeviceKind::kKernel;
  }
  // The interface that has the XDP program and its sockets; empty: none. A kernel: device is a pair
  // of interfaces, and this is the one that the host does not use.
  [[nodiscard]] std::string xdp_interface() const {
    return kind == DeviceKind::kXdp      ? interface
           : kind == DeviceKind::kKernel ? interface + std::string(kPeerSuffix)
                                         : std::string();
  }
  static constexpr std::string_view kPeerSuffix = "-dp";
};

struct Route {
  Ipv4Prefix to;
  Ipv4Address via;
};

struct Ipv6Route {
  Ipv6Prefix to;
  Ipv6Address via;
};

// The largest packet of IP, in octets, that fits into one packet buffer.
inline constexpr std::uint16_t kMaxPortMtu = 2000;

// VLAN tags of a port's frames, the outermost first. IEEE 802.1Q; two: 802.1ad.
inline constexpr std::size_t kMaxVlanTags = 2;
inline constexpr std::uint16_t kMaxVlanId = 4094;

// The way of subscribers to programs of this host: a TUN interface (docs/decisions/0022).
struct Services {
  bool enabled = true;
  std::string interface = "pns-services";
  std::uint32_t table = 1725;  // the kernel's routing table with the way back
};

struct Port {
  Device device;
  std::vector<std::uint16_t> vlan;  // at most kMaxVlanTags; empty: untagged frames
  // The rest is for devices that take every packet (all but xdp:, where it is empty). A kernel:
  // device has addresses and an MTU alone.
  std::string twin;                        // name of the TAP twin
  std::vector<Ipv4Prefix> addresses;       // put on the twin, or on kernel:IFACE; host bits kept
  std::vector<Ipv6Prefix> ipv6_addresses;  // of the same list
  std::vector<Route> routes;
  std::vector<Ipv6Route> ipv6_routes;  // of the same list
  std::optional<Ipv4Address> gateway;  // default route through this port
  std::optional<Ipv6Address> ipv6_gateway;
  std::uint16_t mtu = 0;  // octets of IP; 0: the device's
  // The kernel's routing table of this port alone. 0, only with xdp: and kernel:, there is none.
  std::uint32_t table = 0;
  bool reachable_by_subscribers = false;  // access port, of every kind: inner packets may take it
  Services services;                      // core port, of every kind

  [[nodiscard]] bool has_twin() const noexcept { return !device.uses_xdp(); }
  // The host's own IP stack takes every packet, and routes.
  [[nodiscard]] bool leads_to_host() const noexcept { return device.kind == DeviceKind::kKernel; }
  // The interface of the kernel that has this port's addresses.
  [[nodiscard]] const std::string& kernel_interface() const noexcept {
    return has_twin() ? twin : device.interface;
  }
};

struct Ports {
  Port access;
  Port core;

  [[nodiscard]] bool use_xdp() const noexcept {
    return access.device.uses_xdp() || core.device.uses_xdp();
  }
  // Both ports are one device. An xdp: port with tags is the kernel's VLAN interface, a device of
  // its own.
  [[nodiscard]] bool one_device() const noexcept {
    return access.device.text == core.device.text &&
           access.device.interface == core.device.interface;
  }
  // They are one link too: a packet's kind says which port it is for.
  [[nodiscard]] bool one_link() const noexcept { return one_device() && access.vlan == core.vlan; }
};

// A port that is that PCI device, or a bond with one.
[[nodiscard]] bool has_pci(const Device& device);

// The reorder stage of GRE (RFC 2637 §4.3), before MPPE.
struct Reorder {
  std::uint16_t packets = 32;  // held per session; 0: off
  Milliseconds wait{10};       // at most, for what is missing
};

// RFC 2637 §4.2: what the peer's advertised window does to our sending.
enum class SendWindow : std::uint8_t {
  kIgnore,    // nothing: never blocks
  kAdaptive,  // sliding window with adaptive time-outs (§4.4); bounded queue
};

// Fragments of outer packets (RFC 2637 §1.4).
struct Reassembly {
  std::uint32_t packets = 1024;  // being put together at once, each worker; 0: off
  Milliseconds wait{1'000};      // for the rest of a packet
};

struct Gre {
  Reorder reorder;
  SendWindow send_window = SendWindow::kIgnore;
  Reassembly reassembly;
};

// How many calls are set up at once, and what becomes of those that ask meanwhile.
struct Admission {
  std::uint32_t set_ups = 256;              // in flight: admitted, link not open yet
  std::uint32_t per_source_set_ups = 64;    // of one outer address; default: a quarter of set_ups
  std::uint32_t waiting = 16'384;           // requests that wait
  std::uint32_t per_source_waiting = 2048;  // of one outer address; at most `waiting`
  Milliseconds wait{20'000};                // after which a request is refused
  Milliseconds set_up_time{10'000};         // after which a set-up no longer counts in set_ups
};

// A token bucket: `burst` at once, then `rate` a second.
struct Rate {
  std::uint32_t rate = 0;  // a second; 0: no limit
  std::uint32_t burst = 1;
};

// The costs that one source, the outer address of a peer, may cause (docs/limits.md).
struct SourceLimits {
  std::uint32_t connections = 2500;           // default: an eighth of max_connections, at least 64
  Rate new_calls{100, 2000};                  // requests for calls
  Rate messages{1000, 10'000};                // control messages
  Milliseconds idle_connection_time{60'000};  // without a call, then it is closed; 0: never
  Milliseconds set_up_deadline{60'000};       // from installation to the open link; 0: none
  std::uint32_t failed_logins_per_account = 10;   // of one source within a minute; 0: no limit
  std::uint32_t failed_logins_per_source = 1000;  // of all its accounts; 0: no limit
  std::vector<Ipv4Prefix> allow;                  // empty: everybody
  std::vector<Ipv4Prefix> deny;                   // stronger than allow
  std::vector<Ipv4Prefix> exempt;                 // no limit but deny, allow and failed logins
};

struct Pptp {
  std::vector<Ipv4Address> listen;  // TCP 1723; empty: every address of the access port
  Milliseconds echo_interval{60'000};
  std::uint32_t max_connections = 20000;
  Gre gre;
  Admission admission;
  SourceLimits limits;
  bool incoming_calls = true;     // Incoming-Call-Requests of PACs: accept, or refuse
  bool wan_error_notify = false;  // tell subscribers of drops towards them (RFC 2637 §2.14)
};

struct LcpEcho {
  Milliseconds interval{30'000};  // 0: off
  std::uint32_t failures = 4;     // unanswered requests that end a link
};

enum class AuthMethod : std::uint8_t { kEap, kMsChapV2, kMsChap, kChap, kPap };
enum class MppePolicy : std::uint8_t { kOff, kPrefer, kRequire };
enum class MppeMode : std::uint8_t { kStateless, kStateful, kAny };

struct Mppe {
  MppePolicy policy = MppePolicy::kRequire;
  std::vector<std::uint8_t> key_bits = {
      128};  // any of 128, 56, 40, each once; empty when policy is kOff
  MppeMode mode = MppeMode::kStateless;
};

enum class EapMethod : std::uint8_t {
  kMsChapV2,
  kMd5,
  kRadius,  // those that the RADIUS server runs; alone in a list
};

// DHCPv6 on the links: not spoken; without addresses of its own; with them.
enum class Dhcpv6 : std::uint8_t { kOff, kStateless, kStateful };

struct Ppp {
  std::uint16_t mtu = 1400;  // octets of inner IP, before MPPE takes its 4
  LcpEcho lcp_echo;
  std::vector<AuthMethod> auth = {AuthMethod::kMsChapV2};  // in order of preference
  std::vector<EapMethod> eap = {EapMethod::kMsChapV2};     // the same, inside EAP
  std::uint32_t auth_retries = 3;  // other passwords on one call, where MS-CHAP lets a peer try
  Mppe mppe;
  std::vector<Ipv4Address> dns;       // at most 2
  std::vector<Ipv6Address> ipv6_dns;  // of the same list, at most 3
  std::vector<Ipv4Address> wins;      // at most 2
  std::string domain;                 // of subscribers, by DHCPINFORM; empty: none
  Dhcpv6 dhcpv6 = Dhcpv6::kStateless;
  // IPv4 broadcasts between the core network and subscribers with addresses in it: a second and
  // worker, in each direction; 0: not relayed.
  std::uint32_t broadcast_relay = 0;
};

// Octets of ppp.domain, and of the routes of a pool in DHCP option 121: prefix length, the octets
// of the prefix that it covers, and 4 more, for each route.
inline constexpr std::size_t kMaxDomain = 63;
inline constexpr std::size_t kMaxRouteOctets = 170;

inline constexpr std::uint32_t kMaxBroadcastRelay = 10'000;

struct Pool {
  std::vector<Ipv4Range> ranges;                 // disjoint, in the order written, at least one
  Ipv4Address gateway;                           // our address in IPCP; in no range of any pool
  std::vector<Ipv6Prefix> ipv6_prefixes{};       // each session gets a /64 of them; empty: no IPv6
  std::vector<Ipv6Prefix> delegated_prefixes{};  // each session gets one out of them by DHCPv6
  std::uint8_t delegated_length = 56;            // of such a prefix, bits: 48 to 64
  bool skip_0_and_255 = false;                   // never lease addresses that end in .0 or .255
  std::vector<Ipv4Range> exclude{};              // inside the ranges: never leased from the pool
  std::string next{};                            // pool that serves when this one is used up
  std::vector<std::string> groups{};             // of accounts that get this pool
  std::vector<Ipv4Address> dialled{};            // who dialled one of these gets this pool
  std::vector<Ipv4Prefix> routes{};              // told by DHCPINFORM; at most kMaxRouteOctets
};

enum class AaaSource : std::uint8_t { kLocal, kRadius };

struct LocalAaa {
  std::filesystem::path users_file;  // made absolute: relative ones are relative to the config file
  std::filesystem::path password_changes_file;  // empty: expired passwords cannot be changed
};

enum class RadiusKind : std::uint8_t { kAuthentication, kAccounting };
// Whether an answer to an Access-Request must have one.
enum class RadiusMessageAuthenticator : std::uint8_t { kRequire, kAccept };

// Whether a request of dynamic authorization must have one.
enum class RadiusEventTimestamp : std::uint8_t { kRequire, kAccept };

// The meaning of a vendor's attribute (docs/radius.md).
enum class AttributeMeaning : std::uint8_t {
  kRate,
  kRateUp,
  kRateDown,
  kRateLimit,  // the text of Mikrotik-Rate-Limit
  kFilter,
  kFilterUp,
  kFilterDown,
  kPool,
  kRoute,  // the text of Framed-Route
  kSessionTimeout,
  kIdleTimeout,
  kQuota,
  kQuotaUp,
  kQuotaDown,
  kDns,
  kWins,
  kSessions,
  kInterimInterval,
  kMtu,
};
enum class AttributeUnit : std::uint8_t {
  kBit,
  kKbit,
  kMbit,
  kByte,
  kKbyte,
  kMbyte,
  kGbyte,
  kSecond,
  kMinute,
  kHour,
};

struct RadiusAttribute {
  std::uint32_t vendor = 0;  // IANA enterprise number; 0: an attribute without a vendor
  std::uint8_t type = 0;
  AttributeMeaning means = AttributeMeaning::kRate;
  std::optional<AttributeUnit> unit{};  // of a rate, a quota or a time; empty: bit, byte, second
  bool is_text = false;                 // a number as decimal digits, an address as text

  [[nodiscard]] constexpr bool is_rate() const noexcept {
    return means <= AttributeMeaning::kRateDown;
  }
  [[nodiscard]] constexpr bool is_quota() const noexcept {
    return means >= AttributeMeaning::kQuota && means <= AttributeMeaning::kQuotaDown;
  }
  [[nodiscard]] constexpr bool is_time() const noexcept {
    return means == AttributeMeaning::kSessionTimeout || means == AttributeMeaning::kIdleTimeout ||
           means == AttributeMeaning::kInterimInterval;
  }
  // Its value is always a text.
  [[nodiscard]] constexpr bool is_name() const noexcept {
    return means >= AttributeMeaning::kRateLimit && means <= AttributeMeaning::kRoute;
  }
  // From a number in the attribute's unit to bit/s, octets or seconds.
  [[nodiscard]] constexpr std::uint64_t multiplier() const noexcept {
    constexpr std::array<std::uint64_t, 10> kMultipliers = {
        1, 1'000, 1'000'000, 1, 1'000, 1'000'000, 1'000'000'000, 1, 60, 3'600};
    if (!unit) return 1;
    const bool octets_a_second = is_rate() && *unit >= AttributeUnit::kByte;
    return kMultipliers[static_cast<std::size_t>(*unit)] * (octets_a_second ? 8 : 1);
  }
};

struct RadiusServer {
  std::string name;  // for aaa.realms; may be empty
  IpAddress address;
  std::uint16_t auth_port = 1812;
  std::uint16_t accounting_port = 1813;
  std::vector<RadiusKind> kinds = {RadiusKind::kAuthentication, RadiusKind::kAccounting};
  std::filesystem::path secret_file;
  std::uint32_t priority = 0;   // the lowest number that answers is used
  std::uint32_t weight = 1;     // share among servers of one priority
  Milliseconds timeout{1'000};  // of a transmission, before the server's time was measured
  std::uint32_t tries = 3;      // transmissions before a request goes to another server
  std::uint32_t window = 1024;  // requests in flight at most
  bool status_server = true;    // RFC 5997

  [[nodiscard]] bool does(RadiusKind kind) const noexcept {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
};

// When a server is dead: both, and no answer to a Status-Server.
struct RadiusDead {
  Milliseconds after{10'000};  // without any answer
  std::uint32_t timeouts = 3;  // transmissions without an answer, in a row
  Milliseconds probe_interval{5'000};
};

// When the spool of accounting is nearly full.
enum class OnFullSpool : std::uint8_t { kRefuseNewCalls, kDropInterimsFirst };

struct RadiusAccounting {
  Milliseconds interim_interval{300'000};
  std::filesystem::path spool_directory = "/var/lib/pns/accounting";
  std::uint32_t spool_megabytes = 256;
  OnFullSpool on_full = OnFullSpool::kRefuseNewCalls;
};

// A client of dynamic authorization, or a network of them.
struct AuthorizationClient {
  std::variant<Ipv4Prefix, Ipv6Prefix> network;
  std::filesystem::path secret_file;
  std::uint32_t rate = 2'000;  // requests a second, and as many at once
};

// RFC 5176.
struct DynamicAuthorization {
  std::vector<IpAddress> listen;
  std::uint16_t port = 3799;
  std::vector<AuthorizationClient> clients;
  RadiusMessageAuthenticator message_authenticator = RadiusMessageAuthenticator::kAccept;
  RadiusEventTimestamp event_timestamp = RadiusEventTimestamp::kRequire;
  Milliseconds timestamp_window{300'000};  // before and after our clock
};

struct Radius {
  std::vector<RadiusServer> servers;
  std::optional<IpAddress> ipv4_source;  // source_addresses; empty: the kernel's choice
  std::optional<IpAddress> ipv6_source;
  std::string nas_identifier;  // default: node.name
  RadiusMessageAuthenticator message_authenticator = RadiusMessageAuthenticator::kRequire;
  Milliseconds deadline{25'000};  // for an answer to a login, of whichever server
  std::uint32_t waiting = 8192;   // requests of one kind that wait for a server
  RadiusDead dead;
  RadiusAccounting accounting;
  std::vector<RadiusAttribute> attributes;
  std::optional<DynamicAuthorization> dynamic_authorization;

  // The server of this name; null: there is none.
  [[nodiscard]] const RadiusServer* find_server(std::string_view name) const noexcept {
    const auto found = std::find_if(
        servers.begin(), servers.end(),
        [name](const RadiusServer& server) { return !name.empty() && server.name == name; });
    return found == servers.end() ? nullptr : &*found;
  }
  // Some server takes records.
  [[nodiscard]] bool accounts() const noexcept {
    return std::any_of(servers.begin(), servers.end(), [](const RadiusServer& server) {
      return server.does(RadiusKind::kAccounting);
    });
  }
};

// A new login needs the place of an older session of the same account: its share of
// sessions_per_user, its fixed address, or an address of a pool that is used up.
// A session of another account has the fixed address of a new login.
enum class OnConflict : std::uint8_t { kRefuse, kReplace };

enum class OnLimit : std::uint8_t {
  kRefuse,           // the new login is refused
  kReplace,          // the oldest session ends
  kReplaceIfSilent,  // a session whose peer does not answer within a second ends; else kRefuse
};

// The name in the file of the realm that stands for all others.
inline constexpr std::string_view kOtherRealms = "DEFAULT";

// Users with this realm in their name.
struct Realm {
  std::string name;
  std::vector<AaaSource> order{};      // empty: aaa.order
  std::vector<std::string> servers{};  // names of RADIUS servers; empty: all
  bool strip = false;                  // the account's name is without the realm

  [[nodiscard]] bool has_server(std::string_view server) const noexcept {
    return std::find(servers.begin(), servers.end(), server) != servers.end();
  }
};

struct Aaa {
  std::vector<AaaSource> order = {AaaSource::kLocal};  // asked one after the other
  std::vector<Realm> realms{};
  std::string default_realm{};  // realm of users whose name has none; empty: none

  // Some users are looked for in this source.
  [[nodiscard]] bool asks(AaaSource source) const noexcept {
    const auto has = [source](const std::vector<AaaSource>& list) {
      return std::find(list.begin(), list.end(), source) != list.end();
    };
    return has(order) || std::any_of(realms.begin(), realms.end(),
                                     [has](const Realm& realm) { return has(realm.order); });
  }
  // Records of sessions go to RADIUS servers.
  [[nodiscard]] bool accounts() const noexcept {
    return asks(AaaSource::kRadius) && radius && radius->accounts();
  }

  // CoA-Requests and Disconnect-Requests are taken.
  [[nodiscard]] bool authorizes_dynamically() const noexcept {
    return asks(AaaSource::kRadius) && radius && radius->dynamic_authorization;
  }

  std::uint32_t sessions_per_user = 0;  // at once, of one account; 0: no limit
  OnLimit on_limit = OnLimit::kReplaceIfSilent;
  OnConflict on_conflict = OnConflict::kRefuse;
  LocalAaa local;
  std::optional<Radius> radius;
};

struct Endpoint {
  Ipv4Address address;
  std::uint16_t port = 0;
};

struct Metrics {
  std::optional<Endpoint> listen = Endpoint{Ipv4Address(0x7f000001), 9655};  // empty: "off"
};

// The control process.
struct Control {
  std::uint32_t memory_megabytes = 1024;  // of its own: no new calls above it; 0: no limit
};

struct Management {
  std::filesystem::path socket;  // empty: RUN_DIR/control.sock
};

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kText, kJson };

struct Log {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};

inline constexpr std::size_t kMaxFilters = 63;
inline constexpr std::size_t kMaxFilterName = 64;  // octets

// A rule of a filter: what it leaves out matches everything.
struct FilterRule {
  bool permit = false;                   // else deny
  std::uint8_t family = 0;               // 4 or 6; 0: both
  std::optional<std::uint8_t> protocol;  // of the upper layer
  std::optional<Ipv4Prefix> ipv4_source, ipv4_destination;
  std::optional<Ipv6Prefix> ipv6_source, ipv6_destination;
  struct Ports {
    std::uint16_t first = 0, last = 65'535;
    friend bool operator==(const Ports&, const Ports&) = default;
  };
  std::optional<Ports> source_ports, destination_ports;  // with TCP or UDP
  friend bool operator==(const FilterRule&, const FilterRule&) = default;
};
using Filter = std::vector<FilterRule>;  // the first that matches decides; none: deny

// The fate of packets that are over the rate of their session.
enum class RateMode : std::uint8_t { kPolice, kShape };  // dropped; delayed
inline constexpr std::chrono::milliseconds kMinShapingDelay{1};
inline constexpr std::chrono::milliseconds kMaxShapingDelay{500};
inline constexpr std::chrono::milliseconds kMaxRateBurst{10'000};

inline constexpr std::size_t kMaxRateGroups = 127;
inline constexpr std::size_t kMaxRateGroupName = 64;  // octets

// Rates that the sessions of a group have together, in bits per second; empty: no limit.
struct RateGroup {
  std::optional<std::uint64_t> up, down;
};

struct Rates {
  struct Direction {
    RateMode mode = RateMode::kPolice;
    std::chrono::milliseconds delay{100};  // of a packet at most, with kShape
    // A rate without a burst has the octets of this time. Empty: by the mode.
    std::optional<std::chrono::milliseconds> burst;
    // TCP that has lost all that it had sent waits for its shortest retransmission timeout, 200 ms
    // (Linux). A bucket that holds more than that loses nothing of the rate meanwhile. A shaper has
    // a queue for that, and a long burst fills the queue and more at once.
    [[nodiscard]] std::chrono::milliseconds burst_time() const noexcept {
      return burst.value_or(std::chrono::milliseconds(mode == RateMode::kShape ? 20 : 250));
    }
    // Octets of a burst at so many bits per second; at least one, since 0 is another default.
    [[nodiscard]] std::uint64_t burst_octets(std::uint64_t bits_per_second) const noexcept {
      constexpr std::uint64_t kMaxRate = 1'000'000'000'000'000;  // the product fits
      return std::min(bits_per_second, kMaxRate) / 8 *
                 static_cast<std::uint64_t>(burst_time().count()) / 1'000 +
             1;
    }
  };
  Direction up;    // from the subscriber
  Direction down;  // to the subscriber
  [[nodiscard]] bool shape() const noexcept {
    return up.mode == RateMode::kShape || down.mode == RateMode::kShape;
  }
};

struct Config {
  std::filesystem::path file;  // where it was read from, absolute
  Node node;
  Dataplane dataplane;
  Ports ports;
  Pptp pptp;
  Ppp ppp;
  std::map<std::string, Pool> pools;      // "default" is always there
  std::map<std::string, Filter> filters;  // at most kMaxFilters
  Rates rates;
  std::map<std::string, RateGroup> rate_groups;  // at most kMaxRateGroups
  Aaa aaa;
  Metrics metrics;
  Control control;
  Management management;
  Log log;
};

// The prefixes of all pools, disjoint; those that are delegated among them.
[[nodiscard]] Networks prefixes_of_pools(const Config& config);

// One thing wrong with a file.
struct ConfigError {
  std::string file;
  int line = 0;        // from 1; 0: the file as a whole
  std::string key;     // dotted path, e.g. ppp.lcp_echo.interval; empty: the file as a whole
  std::string reason;  // one line

  // "file:line: key: reason"
  [[nodiscard]] std::string to_string() const;
};

// Reads and validates. Error: everything that is wrong, in the order of the file.
[[nodiscard]] std::expected<Config, std::vector<ConfigError>> load(
    const std::filesystem::path& file);

// The same from text; `file` is used in errors and to resolve relative paths.
[[nodiscard]] std::expected<Config, std::vector<ConfigError>> parse(
    const std::string& text, const std::filesystem::path& file);

// The terms of a user's service. Empty: none, or as the configuration says.
struct UserTerms {
  std::optional<std::chrono::seconds> session_timeout;
  std::optional<std::chrono::seconds> idle_timeout;
  std::optional<std::uint64_t> quota;       // octets of both directions
  std::optional<std::uint64_t> quota_up;    // octets
  std::optional<std::uint64_t> quota_down;  // octets
  std::optional<std::uint64_t> rate_up;     // bits per second
  std::optional<std::uint64_t> rate_down;   // bits per second
  std::optional<std::uint64_t> burst_up;    // octets, beside rate_up; empty: those of rates
  std::optional<std::uint64_t> burst_down;  // octets, beside rate_down
  std::string rate_group;
  std::string filter_up;
  std::string filter_down;
  std::vector<Ipv4Address> dns;                          // at most 2, before ppp.dns
  std::vector<Ipv6Address> ipv6_dns;                     // of the same list, at most 3
  std::vector<Ipv4Address> wins;                         // at most 2, before ppp.wins
  std::optional<std::uint32_t> sessions;                 // at once; 0: any number
  std::optional<std::chrono::seconds> interim_interval;  // of accounting; 0: no interim records
  std::uint16_t mtu = 0;                                 // octets of inner IP at most; 0: ppp.mtu
  bool mppe_required = false;
  std::vector<std::uint8_t> mppe_key_bits;  // of ppp.mppe.key_bits, these alone; empty: all
};

// One entry of the users file. Exactly one of password and nt_hash is set.
struct LocalUser {
  std::string name;
  std::optional<SecretText> password;
  std::optional<Secret<16>> nt_hash;  // MD4 of the UTF-16LE password (RFC 2759 §8.3)
  std::optional<Ipv4Address> address;
  std::optional<Ipv6Prefix> ipv6_prefix{};  // a /64
  std::optional<Ipv6Prefix> delegated_ipv6_prefix{};
  Networks routes{};                // networks behind this user
  std::optional<std::string> pool;  // absent: by group or dialled address
  UserTerms terms{};
  std::vector<std::string> groups;
  bool disabled = false;
  bool password_expired = false;
};

// Reads the users file alone. `warnings`, when given, receives what is unwise but not wrong (a file
// that others may read).
[[nodiscard]] std::expected<std::vector<LocalUser>, std::vector<ConfigError>> load_users(
    const std::filesystem::path& file, std::vector<ConfigError>* warnings = nullptr);

// Reads config.aaa.local.users_file and checks it against the configuration too: pools that exist,
// fixed addresses that are nobody's gateway, interface, network or broadcast address, fixed
// prefixes that hold no interface address, routes to networks that are nobody else's, and a method
// for each user.
[[nodiscard]] std::expected<std::vector<LocalUser>, std::vector<ConfigError>> load_users(
    const Config& config, std::vector<ConfigError>* warnings = nullptr);

// The same of that file, opened before: for a process that may not open it any more.
[[nodiscard]] std::expected<std::vector<LocalUser>, std::vector<ConfigError>> load_users(
    const Config& config, int fd);

// The same from text, `file` being what errors call it; without a configuration the text alone is
// checked.
[[nodiscard]] std::expected<std::vector<LocalUser>, std::vector<ConfigError>> parse_users(
    const std::string& text, const std::filesystem::path& file, const Config* config = nullptr);

// The effective configuration as JSON text, two spaces of indent, for `pns show config`. Holds no
// secrets: users and shared secrets are in files of their own, which only their names stand for.
[[nodiscard]] std::string dump_json(const Config& config);

// Every key the reader knows, as dotted patterns; "*" stands for a name or a list entry:
// pools.*.gateway. The reader refuses what is not here; docs/configuration.md must name each.
[[nodiscard]] std::span<const std::string_view> known_keys() noexcept;
[[nodiscard]] std::span<const std::string_view> known_user_keys() noexcept;

[[nodiscard]] std::string_view name_of(HugePages value) noexcept;
[[nodiscard]] std::string_view name_of(IdleMode value) noexcept;
[[nodiscard]] std::string_view name_of(MppeVariant value) noexcept;
[[nodiscard]] std::string_view name_of(MppeRc4 value) noexcept;
[[nodiscard]] std::string_view name_of(Steering value) noexcept;
[[nodiscard]] std::string_view name_of(DeviceKind value) noexcept;
[[nodiscard]] std::string_view name_of(BondMode value) noexcept;
[[nodiscard]] std::string_view name_of(SendWindow value) noexcept;
[[nodiscard]] std::string_view name_of(AuthMethod value) noexcept;
[[nodiscard]] std::string_view name_of(EapMethod value) noexcept;
[[nodiscard]] std::string_view name_of(MppePolicy value) noexcept;
[[nodiscard]] std::string_view name_of(MppeMode value) noexcept;
[[nodiscard]] std::string_view name_of(Dhcpv6 value) noexcept;
[[nodiscard]] std::string_view name_of(AaaSource value) noexcept;
[[nodiscard]] std::string_view name_of(AttributeMeaning value) noexcept;
[[nodiscard]] std::string_view name_of(AttributeUnit value) noexcept;
[[nodiscard]] std::string_view name_of(OnLimit value) noexcept;
[[nodiscard]] std::string_view name_of(OnConflict value) noexcept;
[[nodiscard]] std::string_view name_of(RadiusKind value) noexcept;
[[nodiscard]] std::string_view name_of(RadiusMessageAuthenticator value) noexcept;
[[nodiscard]] std::string_view name_of(RadiusEventTimestamp value) noexcept;
[[nodiscard]] std::string_view name_of(OnFullSpool value) noexcept;
[[nodiscard]] std::string_view name_of(LogLevel value) noexcept;
[[nodiscard]] std::string_view name_of(LogFormat value) noexcept;

}  // namespace pns::config
