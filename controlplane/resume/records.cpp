// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/resume/records.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pns/contract/build_contract.hpp"

namespace pns::resume {
namespace {

constexpr std::size_t kLengthAt = 4;  // in the head of a record
constexpr std::size_t kLongestField = std::numeric_limits<std::uint16_t>::max();

// Each kind of record counts its tags for itself. A number is never given again.
enum class ConnectionTag : std::uint16_t { kHostName = 1, kVendorName = 2 };
enum class SessionTag : std::uint16_t {
  kUser = 1,
  kPool = 2,
  kIpv6Prefix = 3,
  kRate = 4,  // of both directions: what programs know that do not know kRates
  kLcp = 5,   // absent: the link begins with LCP
  kMppe = 6,
  kIpv6Dns = 7,  // present: IPV6CP is spoken
  kIpv6Ids = 8,
  kIpv4Networks = 9,  // behind the subscriber
  kIpv6Networks = 10,
  kWithoutIpv4 = 11,  // present: the peer has rejected IPCP
  kOrigin = 12,       // absent: the account is of the users file
  kRates = 13,        // of each direction; absent: as kRate
  kUpstreamFilter = 14,
  kDownstreamFilter = 15,
  kMtuLimit = 20,
  kLimits = 21,
  kInterimInterval = 22,
  kRealm = 23,
  kLoginAgain = 24,
  kRateGroup = 25,
  kDelegatedPrefix = 26,
  kIpv6Address = 27,
  kIpv6Bindings = 28,      // absent: nothing is in force
#ifdef PNS_CONTRACT_TRIAL  // pns/contract/build_contract.hpp
  kTrial = 0xffff,
#endif
};
enum class DrainTag : std::uint16_t { kDeadline = 1 };
#ifdef PNS_CONTRACT_TRIAL
std::uint64_t trial_keys = 0;  // event-loop thread only
#endif

class RecordWriter {
 public:
  RecordWriter() {
    u16(contract::kStoreVersion);
    u16(contract::kStoreMinCompatible);
    u32(0);  // the length: see take()
  }
  void u8(std::uint8_t value) { number(value, 1); }
  void u16(std::uint16_t value) { number(value, 2); }
  void u32(std::uint32_t value) { number(value, 4); }
  void u64(std::uint64_t value) { number(value, 8); }
  void flag(bool value) { u8(value ? 1 : 0); }
  void address(Ipv4Address value) { u32(value.value); }
  // An optional field; `write` writes its value.
  template <class Tag, class Write>
  void field(Tag tag, Write write) {
    u16(static_cast<std::uint16_t>(tag));
    const std::size_t length_at = octets_.size();
    u16(0);
    write();
    patch(length_at, octets_.size() - length_at - 2, 2);
  }
  // A text that is longer than a field can be is cut.
  template <class Tag>
  void text(Tag tag, std::string_view value) {
    if (value.empty()) return;
    const Bytes octets = as_octets(value.substr(0, kLongestField));
    field(tag, [&] { octets_.insert(octets_.end(), octets.begin(), octets.end()); });
  }
  [[nodiscard]] Octets take() {
    patch(kLengthAt, octets_.size(), 4);
    return std::move(octets_);
  }

 private:
  void number(std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i)
      octets_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  void patch(std::size_t at, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i)
      octets_[at + i] = static_cast<std::byte>(value >> (8 * i));
  }

  Octets octets_;
};

// A cursor that stays failed after the first read beyond its end or of a value out of range.
class FieldReader {
 public:
  explicit FieldReader(Bytes octets) : octets_(octets) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return octets_.empty(); }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  Ipv4Address address() { return Ipv4Address(u32()); }
  bool flag() {
    const std::uint8_t value = u8();
    if (value > 1) ok_ = false;
    return value == 1;
  }
  template <class Enum>
  Enum enumerator(Enum last) {
    const std::uint8_t value = u8();
    if (value > static_cast<std::uint8_t>(last)) ok_ = false;
    return static_cast<Enum>(value);
  }
  Bytes take(std::size_t length) {
    if (length > octets_.size()) ok_ = false;
    if (!ok_) return {};
    const Bytes out = octets_.first(length);
    octets_ = octets_.subspan(length);
    return out;
  }
  std::string text() {
    const Bytes all = take(octets_.size());
    return {reinterpret_cast<const char*>(all.data()), all.size()};
  }
  void fail() { ok_ = false; }

  // Passes each optional field to `read`, with its tag and a reader of its value. The octets that
  // `read` does not take of a value are skipped.
  template <class Tag, class Read>
  void fields(Read read) {
    while (ok_ && !at_end()) {
      const auto tag = static_cast<Tag>(u16());
      FieldReader value(take(u16()));
      if (!ok_) return;
      read(tag, value);
      if (!value.ok()) ok_ = false;
    }
  }

 private:
  std::uint64_t number(std::size_t width) {
    const Bytes octets = take(width);
    std::uint64_t value = 0;
    for (std::size_t i = octets.size(); i-- > 0;)
      value = value << 8 | std::to_integer<std::uint64_t>(octets[i]);
    return value;
  }

  Bytes octets_;
  bool ok_ = true;
};

// The core and the fields of a record, when this program may read it.
std::optional<FieldReader> open(Bytes record) {
  FieldReader reader(record);
  const std::uint16_t version = reader.u16();
  const std::uint16_t min_compatible = reader.u16();
  const std::uint32_t length = reader.u32();
  if (!reader.ok() || length != record.size() || min_compatible > contract::kStoreVersion ||
      version < contract::kStoreMinCompatible)
    return std::nullopt;
  return reader;
}

constexpr std::uint64_t kMaxSeconds = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kLongestClass = 253;  // octets of an attribute's value (RFC 2865 §5)
constexpr std::size_t kLongestState = 253;

void write_origin(RecordWriter& out, const model::AuthOrigin& origin) {
  if (origin == model::AuthOrigin()) return;
  out.field(SessionTag::kOrigin, [&] {
    out.flag(origin.is_radius);
    for (const Octets& value : origin.classes) {
      if (value.size() > kLongestClass) continue;
      out.u8(static_cast<std::uint8_t>(value.size()));
      for (const std::byte octet : value) out.u8(std::to_integer<std::uint8_t>(octet));
    }
  });
}

void read_origin(FieldReader& in, model::AuthOrigin& origin) {
  origin.is_radius = in.flag();
  while (in.ok() && !in.at_end()) {
    const Bytes value = in.take(in.u8());
    if (in.ok()) origin.classes.emplace_back(value.begin(), value.end());
  }
}

// A flag before each value says whether there is one.
template <class Value>
void write_optional(RecordWriter& out, const std::optional<Value>& value) {
  out.flag(value.has_value());
  if constexpr (std::is_same_v<Value, Seconds>)
    out.u64(std::min(kMaxSeconds, static_cast<std::uint64_t>(value.value_or(Seconds(0)).count())));
  else
    out.u64(value.value_or(0));
}

template <class Value>
void read_optional(FieldReader& in, std::optional<Value>& out) {
  const bool present = in.flag();
  const std::uint64_t value = in.u64();
  if (!present) return;
  if constexpr (std::is_same_v<Value, Seconds>) {
    if (value > kMaxSeconds) return in.fail();
    out = Seconds(static_cast<Seconds::rep>(value));
  } else {
    out = value;
  }
}

void write(RecordWriter& out, const model::SessionConditions& conditions) {
  const model::ServiceLimits& limits = conditions.limits;
  if (limits != model::ServiceLimits())
    out.field(SessionTag::kLimits, [&] {
      write_optional(out, limits.session_time);
      write_optional(out, limits.idle_time);
      write_optional(out, limits.quota.upstream);
      write_optional(out, limits.quota.downstream);
      write_optional(out, limits.quota.total);
    });
  if (const auto& interval = conditions.interim_interval)
    out.field(SessionTag::kInterimInterval,
              [&] { out.u64(static_cast<std::uint64_t>(interval->count())); });
  if (const auto& state = conditions.login_again; state && state->size() <= kLongestState)
    out.field(SessionTag::kLoginAgain, [&] {
      for (const std::byte octet : *state) out.u8(std::to_integer<std::uint8_t>(octet));
    });
}

void read_limits(FieldReader& in, model::ServiceLimits& limits) {
  read_optional(in, limits.session_time);
  read_optional(in, limits.idle_time);
  read_optional(in, limits.quota.upstream);
  read_optional(in, limits.quota.downstream);
  read_optional(in, limits.quota.total);
}

void write(RecordWriter& out, const Ipv6Address& address) {
  out.u64(address.high);
  out.u64(address.low);
}

Ipv6Address read_ipv6(FieldReader& in) {
  Ipv6Address out;
  out.high = in.u64();
  out.low = in.u64();
  return out;
}

void write(RecordWriter& out, const Networks& networks) {
  if (!networks.ipv4.empty())
    out.field(SessionTag::kIpv4Networks, [&] {
      for (const Ipv4Prefix& network : networks.ipv4) {
        out.address(network.address);
        out.u8(network.length);
      }
    });
  if (!networks.ipv6.empty())
    out.field(SessionTag::kIpv6Networks, [&] {
      for (const Ipv6Prefix& network : networks.ipv6) {
        write(out, network.address);
        out.u8(network.length);
      }
    });
}

Ipv4Prefix read_network4(FieldReader& in) {
  const Ipv4Address address = in.address();
  return {address, in.u8()};
}

Ipv6Prefix read_network6(FieldReader& in) {
  const Ipv6Address address = read_ipv6(in);
  return {address, in.u8()};
}

// Fails for a network that no subscriber can have, and for too many of them.
template <class Prefix, class Read>
void read_networks(FieldReader& in, std::vector<Prefix>& out, Read read) {
  while (in.ok() && !in.at_end()) {
    const Prefix network = read(in);
    if (!may_be_behind_subscriber(network) || out.size() == kMaxNetworks) return in.fail();
    out.push_back(network);
  }
}

// Whether a call of this kind can be in this state, with or without a Call ID of ours.
bool is_possible(const pptp::KnownCall& call) {
  using model::CallKind;
  using pptp::CallState;
  if (call.is_offer())
    return (call.kind == CallKind::kSubscriber && call.state == CallState::kWaitCsAns) ||
           (call.kind == CallKind::kIncoming && call.state == CallState::kOffered);
  const auto* lost = pptp::machine_of(call.kind).find(call.state, pptp::CallEvent::kLost);
  return lost != nullptr && lost->legal && call.state != CallState::kWaitCsAns &&
         call.state != CallState::kOffered;
}

}  // namespace

// ---- connection

Octets encode(const StoredConnection& connection) {
  const auto& machine = connection.machine;
  RecordWriter out;
  out.u64(connection.id.value);
  out.address(connection.local);
  out.address(connection.peer);
  out.u16(connection.peer_port);
  out.u64(connection.opened_ns);
  out.u16(machine.peer_firmware_revision);
  out.u32(machine.next_echo_identifier);
  out.flag(machine.originated);
  out.text(ConnectionTag::kHostName, machine.peer_host_name);
  out.text(ConnectionTag::kVendorName, machine.peer_vendor_name);
  return out.take();
}

std::optional<StoredConnection> decode_connection(Bytes record) {
  auto in = open(record);
  if (!in) return std::nullopt;
  StoredConnection out;
  out.id = ConnectionId(in->u64());
  out.local = in->address();
  out.peer = in->address();
  out.peer_port = in->u16();
  out.opened_ns = in->u64();
  out.machine.peer_firmware_revision = in->u16();
  out.machine.next_echo_identifier = in->u32();
  out.machine.originated = in->flag();
  in->fields<ConnectionTag>([&](ConnectionTag tag, FieldReader& value) {
    if (tag == ConnectionTag::kHostName) out.machine.peer_host_name = value.text();
    if (tag == ConnectionTag::kVendorName) out.machine.peer_vendor_name = value.text();
  });
  if (!in->ok()) return std::nullopt;
  return out;
}

// ---- call

Octets encode(const pptp::KnownCall& call) {
  RecordWriter out;
  out.u32(call.number);
  out.u8(static_cast<std::uint8_t>(call.kind));
  out.u8(static_cast<std::uint8_t>(call.state));
  out.flag(call.our_call_id.has_value());
  out.u16(call.our_call_id.value_or(OurCallId()).value);
  out.flag(call.peer_call_id.has_value());
  out.u16(call.peer_call_id.value_or(PeerCallId()).value);
  out.u16(call.serial_number);
  out.u16(call.peer_window);
  out.u32(call.maximum_bps);
  return out.take();
}

std::optional<pptp::KnownCall> decode_call(Bytes record) {
  auto in = open(record);
  if (!in) return std::nullopt;
  pptp::KnownCall out;
  out.number = in->u32();
  out.kind = in->enumerator(model::CallKind::kAnnounced);
  out.state = in->enumerator(pptp::CallState::kWaitDisconnect);
  const bool ours = in->flag();
  const OurCallId our_call_id(in->u16());
  const bool theirs = in->flag();
  const PeerCallId peer_call_id(in->u16());
  if (ours) out.our_call_id = our_call_id;
  if (theirs) out.peer_call_id = peer_call_id;
  out.serial_number = in->u16();
  out.peer_window = in->u16();
  out.maximum_bps = in->u32();
  in->fields<std::uint16_t>([](std::uint16_t, FieldReader&) {});
  // The machine counts on from the highest number.
  if (!in->ok() || out.number == 0 || out.number == std::numeric_limits<std::uint32_t>::max() ||
      !is_possible(out))
    return std::nullopt;
  return out;
}

// ---- session

namespace {

void write(RecordWriter& out, const model::Delegation& delegation) {
  if (const auto& prefix = delegation.prefix)
    out.field(SessionTag::kDelegatedPrefix, [&] {
      write(out, prefix->address);
      out.u8(prefix->length);
    });
  if (delegation.address)
    out.field(SessionTag::kIpv6Address, [&] { write(out, *delegation.address); });
  const model::Ipv6Bindings& bindings = delegation.bindings;
  if (bindings != model::Ipv6Bindings())
    out.field(SessionTag::kIpv6Bindings, [&] {
      out.flag(bindings.prefix);
      out.flag(bindings.address);
      out.u8(bindings.declined);
    });
}

void read_delegated(FieldReader& in, std::optional<Ipv6Prefix>& out) {
  const Ipv6Prefix prefix = read_network6(in);
  if (!may_be_behind_subscriber(prefix)) return in.fail();
  out = prefix;
}

void read_bindings(FieldReader& in, model::Ipv6Bindings& out) {
  out.prefix = in.flag();
  out.address = in.flag();
  out.declined = in.u8();
}

void write_service(RecordWriter& out, const StoredSession& session) {
  const model::RateLimit& upstream = session.rates.upstream;
  const model::RateLimit& downstream = session.rates.downstream;
  if (upstream.bits_per_second != 0 && downstream.bits_per_second != 0)
    out.field(SessionTag::kRate,
              [&] { out.u64(std::max(upstream.bits_per_second, downstream.bits_per_second)); });
  if (session.rates != model::ServiceRates())
    out.field(SessionTag::kRates, [&] {
      for (const model::RateLimit* rate : {&upstream, &downstream}) {
        out.u64(rate->bits_per_second);
        out.u64(rate->burst_octets);
      }
    });
  out.text(SessionTag::kUpstreamFilter, session.filters.upstream);
  out.text(SessionTag::kDownstreamFilter, session.filters.downstream);
  out.text(SessionTag::kRateGroup, session.rates.group);
}

}  // namespace

Octets encode(const StoredSession& session) {
  const auto& link = session.link;
  RecordWriter out;
  out.u64(session.id.value);
  out.u32(session.slot.value);
  out.u32(session.generation);
  out.u64(session.connection.value);
  out.u16(session.our_call_id.value);
  out.u16(session.peer_call_id.value);
  out.address(session.lease.address);
  out.address(session.lease.gateway);
  out.u64(session.started_ns);
  out.u64(session.opened_ns);
  out.u16(session.mtu);
  out.u8(static_cast<std::uint8_t>(link.auth));
  out.address(link.network.our_address);
  out.address(link.network.subscriber_address);
  for (const auto& server : link.network.dns) out.address(server);
  for (const auto& server : link.network.wins) out.address(server);
#ifdef PNS_CONTRACT_TRIAL
  out.field(SessionTag::kTrial, [&] { out.u64(session.id.value); });
#endif
  out.text(SessionTag::kUser, link.user);
  out.text(SessionTag::kPool, session.lease.pool);
  if (const auto& prefix = session.lease.ipv6_prefix)
    out.field(SessionTag::kIpv6Prefix, [&] { out.u64(prefix->address.high); });
  if (const auto& networks = session.lease.networks) write(out, *networks);
  write(out, *session.lease.delegation);
  write_service(out, session);
  if (!link.from_lcp)
    out.field(SessionTag::kLcp, [&] {
      out.u32(link.lcp.our_magic);
      out.u32(link.lcp.peer_magic);
      out.u16(link.lcp.peer_mru);
      out.flag(link.lcp.send_pfc);
      out.flag(link.lcp.send_acfc);
    });
  if (link.mppe)
    out.field(SessionTag::kMppe, [&] {
      out.u8(link.mppe->key_bits);
      out.flag(link.mppe->stateless);
    });
  if (link.network.ipv6)
    out.field(SessionTag::kIpv6Dns, [&] {
      for (const auto& server : link.network.ipv6->dns) write(out, server);
    });
  if (link.ipv6)
    out.field(SessionTag::kIpv6Ids, [&] {
      out.u64(link.ipv6->ours);
      out.u64(link.ipv6->peers);
    });
  if (!link.ipv4) out.field(SessionTag::kWithoutIpv4, [] {});
  write_origin(out, session.origin);
  out.text(SessionTag::kRealm, session.origin.realm);
  if (link.network.mtu != 0) out.field(SessionTag::kMtuLimit, [&] { out.u16(link.network.mtu); });
  write(out, session.conditions);
  return out.take();
}

std::optional<StoredSession> decode_session(Bytes record) {
  auto in = open(record);
  if (!in) return std::nullopt;
  StoredSession out;
  auto& link = out.link;
  out.id = SessionId(in->u64());
  out.slot = SlotId(in->u32());
  out.generation = in->u32();
  out.connection = ConnectionId(in->u64());
  out.our_call_id = OurCallId(in->u16());
  out.peer_call_id = PeerCallId(in->u16());
  out.lease.address = in->address();
  out.lease.gateway = in->address();
  out.started_ns = in->u64();
  out.opened_ns = in->u64();
  out.mtu = in->u16();
  link.auth = in->enumerator(model::AuthMethod::kEap);
  link.network.our_address = in->address();
  link.network.subscriber_address = in->address();
  for (auto& server : link.network.dns) server = in->address();
  for (auto& server : link.network.wins) server = in->address();
  link.from_lcp = true;
  std::optional<decltype(model::Ipv6Parameters::dns)> ipv6_dns;
  Networks networks;
  model::Delegation delegation;
  std::uint64_t rate_of_both = 0;
  std::optional<model::ServiceRates> rates;
  std::string rate_group;
  in->fields<SessionTag>([&](SessionTag tag, FieldReader& value) {
    switch (tag) {
#ifdef PNS_CONTRACT_TRIAL
      case SessionTag::kTrial:
        trial_keys += value.u64() == out.id.value ? 1 : 0;
        return;
#endif
      case SessionTag::kUser:
        link.user = value.text();
        return;
      case SessionTag::kPool:
        out.lease.pool = value.text();
        return;
      case SessionTag::kIpv6Prefix: {
        const std::uint64_t high = value.u64();
        if (high == 0) return value.fail();
        out.lease.ipv6_prefix = Ipv6Prefix{{high, 0}, 64};
        return;
      }
      case SessionTag::kRate:
        rate_of_both = value.u64();
        return;
      case SessionTag::kRates:
        rates.emplace();
        for (model::RateLimit* rate : {&rates->upstream, &rates->downstream})
          *rate = {.bits_per_second = value.u64(), .burst_octets = value.u64()};
        return;
      case SessionTag::kRateGroup:
        rate_group = value.text();
        return;
      case SessionTag::kUpstreamFilter:
        out.filters.upstream = value.text();
        return;
      case SessionTag::kDownstreamFilter:
        out.filters.downstream = value.text();
        return;
      case SessionTag::kLcp:
        link.from_lcp = false;
        link.lcp.our_magic = value.u32();
        link.lcp.peer_magic = value.u32();
        link.lcp.peer_mru = value.u16();
        link.lcp.send_pfc = value.flag();
        link.lcp.send_acfc = value.flag();
        return;
      case SessionTag::kMppe:
        link.mppe.emplace();
        link.mppe->key_bits = value.u8();
        link.mppe->stateless = value.flag();
        return;
      case SessionTag::kIpv6Dns:
        ipv6_dns.emplace();
        for (auto& server : *ipv6_dns) server = read_ipv6(value);
        return;
      case SessionTag::kIpv6Ids:
        // Not emplace(): clang 14 takes a nested class with initializers for incomplete there.
        link.ipv6 = ppp::LinkSnapshot::InterfaceIds{};
        link.ipv6->ours = value.u64();
        link.ipv6->peers = value.u64();
        return;
      case SessionTag::kIpv4Networks:
        return read_networks(value, networks.ipv4, read_network4);
      case SessionTag::kIpv6Networks:
        return read_networks(value, networks.ipv6, read_network6);
      case SessionTag::kDelegatedPrefix:
        return read_delegated(value, delegation.prefix);
      case SessionTag::kIpv6Address:
        delegation.address = read_ipv6(value);
        return;
      case SessionTag::kIpv6Bindings:
        return read_bindings(value, delegation.bindings);
      case SessionTag::kWithoutIpv4:
        link.ipv4 = false;
        return;
      case SessionTag::kOrigin:
        return read_origin(value, out.origin);
      case SessionTag::kMtuLimit:
        link.network.mtu = value.u16();
        return;
      case SessionTag::kLimits:
        return read_limits(value, out.conditions.limits);
      case SessionTag::kLoginAgain:
        out.conditions.login_again.emplace();
        while (value.ok() && !value.at_end())
          out.conditions.login_again->push_back(static_cast<std::byte>(value.u8()));
        return;
      case SessionTag::kRealm:
        out.origin.realm = value.text();
        return;
      case SessionTag::kInterimInterval: {
        const std::uint64_t seconds = value.u64();
        if (seconds > kMaxSeconds) return value.fail();
        out.conditions.interim_interval = Seconds(static_cast<Seconds::rep>(seconds));
        return;
      }
    }
  });
  if (!in->ok() || networks.size() > kMaxNetworks) return std::nullopt;
  out.rates = rates.value_or(model::ServiceRates{.upstream = {.bits_per_second = rate_of_both},
                                                 .downstream = {.bits_per_second = rate_of_both}});
  out.rates.group = std::move(rate_group);
  if (!networks.empty()) out.lease.networks = std::make_shared<const Networks>(std::move(networks));
  out.lease.delegation = delegation;
  // Without a prefix there is nothing to say in IPV6CP.
  if (ipv6_dns && out.lease.ipv6_prefix)
    link.network.ipv6 = model::Ipv6Parameters{
        .prefix = *out.lease.ipv6_prefix, .dns = *ipv6_dns, .delegation = out.lease.delegation};
  return out;
}

// ---- drain

Octets encode(const StoredDrain& drain) {
  RecordWriter out;
  out.u64(drain.since_ns);
  out.u64(drain.calls_at_start);
  if (drain.deadline_ns) out.field(DrainTag::kDeadline, [&] { out.u64(*drain.deadline_ns); });
  return out.take();
}

std::optional<StoredDrain> decode_drain(Bytes record) {
  auto in = open(record);
  if (!in) return std::nullopt;
  StoredDrain out;
  out.since_ns = in->u64();
  out.calls_at_start = in->u64();
  in->fields<DrainTag>([&](DrainTag tag, FieldReader& value) {
    if (tag == DrainTag::kDeadline) out.deadline_ns = value.u64();
  });
  if (!in->ok()) return std::nullopt;
  return out;
}

// ---- a number

Octets encode_number(std::uint64_t number) {
  RecordWriter out;
  out.u64(number);
  return out.take();
}

std::optional<std::uint64_t> decode_number(Bytes record) {
  auto in = open(record);
  if (!in) return std::nullopt;
  const std::uint64_t out = in->u64();
  in->fields<std::uint16_t>([](std::uint16_t, FieldReader&) {});
  if (!in->ok()) return std::nullopt;
  return out;
}

#ifdef PNS_CONTRACT_TRIAL
std::uint64_t trial_keys_read() noexcept { return trial_keys; }
#endif

}  // namespace pns::resume
