// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/session/resume_store.hpp"

#include <fmt/format.h>
#include <lmdb.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <unordered_set>
#include <utility>

#include "pns/log/log.hpp"

namespace pns::session {
namespace {

using nlohmann::json;

// Raise when a field changes its meaning: records of another version are not read.
constexpr std::uint32_t kRecordVersion = 2;
constexpr std::size_t kOctetsPerSession = 4096;  // of map, generous: a page per record
constexpr std::size_t kLeastMap = std::size_t{64} << 20;

// Texts of peers may hold any octet; CBOR's byte strings keep them as they are.
json octets(std::string_view text) {
  return json::binary(std::vector<std::uint8_t>(text.begin(), text.end()));
}
std::string text_of(const json& value) {
  const auto& binary = value.get_binary();
  return {binary.begin(), binary.end()};
}
Ipv4Address address_of(const json& value) { return Ipv4Address(value.get<std::uint32_t>()); }

model::AuthMethod auth_of(const json& value) {
  const auto method = value.get<unsigned>();
  if (method > static_cast<unsigned>(model::AuthMethod::kEap))
    throw std::out_of_range("authentication method");
  return static_cast<model::AuthMethod>(method);
}

// Throws when the number is above that of `last`.
template <class Enum>
Enum enum_of(const json& value, Enum last) {
  const auto number = value.get<unsigned>();
  if (number > static_cast<unsigned>(last)) throw std::out_of_range("enumerator");
  return static_cast<Enum>(number);
}

json to_json(const StoredConnection& c) {
  json calls = json::array();
  for (const auto& call : c.machine.calls)
    calls.push_back(
        {call.our_call_id.value, call.peer_call_id ? json(call.peer_call_id->value) : json(nullptr),
         call.serial_number, static_cast<unsigned>(call.kind), static_cast<unsigned>(call.state)});
  return {{"version", kRecordVersion},
          {"id", c.id.value},
          {"local", c.local.value},
          {"peer", c.peer.value},
          {"peer_port", c.peer_port},
          {"opened_ns", c.opened_ns},
          {"host", octets(c.machine.peer_host_name)},
          {"vendor", octets(c.machine.peer_vendor_name)},
          {"firmware", c.machine.peer_firmware_revision},
          {"next_echo", c.machine.next_echo_identifier},
          {"originated", c.machine.originated},
          {"calls", calls}};
}

StoredConnection connection_from(const json& j) {
  StoredConnection c;
  c.id = ConnectionId(j.at("id").get<std::uint64_t>());
  c.local = address_of(j.at("local"));
  c.peer = address_of(j.at("peer"));
  c.peer_port = j.at("peer_port").get<std::uint16_t>();
  c.opened_ns = j.at("opened_ns").get<std::uint64_t>();
  c.machine.peer_host_name = text_of(j.at("host"));
  c.machine.peer_vendor_name = text_of(j.at("vendor"));
  c.machine.peer_firmware_revision = j.at("firmware").get<std::uint16_t>();
  c.machine.next_echo_identifier = j.at("next_echo").get<std::uint32_t>();
  c.machine.originated = j.at("originated").get<bool>();
  for (const auto& call : j.at("calls")) {
    pptp::ConnectionSnapshot::KnownCall known;
    known.our_call_id = OurCallId(call.at(0).get<std::uint16_t>());
    if (!call.at(1).is_null()) known.peer_call_id = PeerCallId(call.at(1).get<std::uint16_t>());
    known.serial_number = call.at(2).get<std::uint16_t>();
    known.kind = enum_of<model::CallKind>(call.at(3), model::CallKind::kAnnounced);
    known.state = enum_of<pptp::CallState>(call.at(4), pptp::CallState::kWaitDisconnect);
    // A state that this kind of call has not is as bad as a number out of range.
    if (pptp::machine_of(known.kind).find(known.state, pptp::CallEvent::kLost) == nullptr)
      throw std::out_of_range("state of a call");
    c.machine.calls.push_back(known);
  }
  return c;
}

json to_json(const StoredSession& s) {
  const auto& link = s.link;
  json j = {{"version", kRecordVersion},
            {"slot", s.slot.value},
            {"generation", s.generation},
            {"connection", s.connection.value},
            {"our_call_id", s.our_call_id.value},
            {"peer_call_id", s.peer_call_id.value},
            {"lease", {s.lease.address.value, s.lease.gateway.value, s.lease.pool}},
            {"prefix", s.lease.ipv6_prefix ? s.lease.ipv6_prefix->address.high : 0},
            {"started_ns", s.started_ns},
            {"opened_ns", s.opened_ns},
            {"mtu", s.mtu},
            {"user", octets(link.user)},
            {"auth", static_cast<std::uint8_t>(link.auth)},
            {"lcp",
             {link.lcp.our_magic, link.lcp.peer_magic, link.lcp.peer_mru, link.lcp.send_pfc,
              link.lcp.send_acfc}},
            {"our_address", link.network.our_address.value},
            {"subscriber", link.network.subscriber_address.value},
            {"dns", {link.network.dns[0].value, link.network.dns[1].value}},
            {"wins", {link.network.wins[0].value, link.network.wins[1].value}}};
  if (link.mppe) j["mppe"] = {link.mppe->key_bits, link.mppe->stateless};
  if (s.rate_bits_per_second) j["rate"] = *s.rate_bits_per_second;
  if (link.network.ipv6) {
    json dns = json::array();
    for (const auto& server : link.network.ipv6->dns) dns.push_back({server.high, server.low});
    j["ipv6_dns"] = dns;
  }
  if (link.ipv6) j["ipv6"] = {link.ipv6->ours, link.ipv6->peers};
  return j;
}

StoredSession session_from(const json& j) {
  StoredSession s;
  s.slot = SlotId(j.at("slot").get<std::uint32_t>());
  s.generation = j.at("generation").get<std::uint32_t>();
  s.connection = ConnectionId(j.at("connection").get<std::uint64_t>());
  s.our_call_id = OurCallId(j.at("our_call_id").get<std::uint16_t>());
  s.peer_call_id = PeerCallId(j.at("peer_call_id").get<std::uint16_t>());
  const auto& lease = j.at("lease");
  s.lease = {address_of(lease.at(0)), address_of(lease.at(1)), lease.at(2).get<std::string>()};
  if (const auto prefix = j.at("prefix").get<std::uint64_t>(); prefix != 0)
    s.lease.ipv6_prefix = Ipv6Prefix{{prefix, 0}, 64};
  s.started_ns = j.at("started_ns").get<std::uint64_t>();
  s.opened_ns = j.at("opened_ns").get<std::uint64_t>();
  s.mtu = j.at("mtu").get<std::uint16_t>();
  if (j.contains("rate")) s.rate_bits_per_second = j.at("rate").get<std::uint64_t>();
  auto& link = s.link;
  link.user = text_of(j.at("user"));
  link.auth = auth_of(j.at("auth"));
  const auto& lcp = j.at("lcp");
  link.lcp = {lcp.at(0).get<std::uint32_t>(), lcp.at(1).get<std::uint32_t>(),
              lcp.at(2).get<std::uint16_t>(), lcp.at(3).get<bool>(), lcp.at(4).get<bool>()};
  if (j.contains("mppe"))
    link.mppe =
        ppp::MppeAgreement{j.at("mppe").at(0).get<std::uint8_t>(), j.at("mppe").at(1).get<bool>()};
  link.network.our_address = address_of(j.at("our_address"));
  link.network.subscriber_address = address_of(j.at("subscriber"));
  for (std::size_t i = 0; i < 2; ++i) {
    link.network.dns.at(i) = address_of(j.at("dns").at(i));
    link.network.wins.at(i) = address_of(j.at("wins").at(i));
  }
  if (j.contains("ipv6_dns") && s.lease.ipv6_prefix) {
    auto& ipv6 = link.network.ipv6.emplace(model::Ipv6Parameters{.prefix = *s.lease.ipv6_prefix});
    for (std::size_t i = 0; i < ipv6.dns.size(); ++i)
      ipv6.dns.at(i) = {j.at("ipv6_dns").at(i).at(0).get<std::uint64_t>(),
                        j.at("ipv6_dns").at(i).at(1).get<std::uint64_t>()};
  }
  if (j.contains("ipv6"))
    link.ipv6 = ppp::LinkSnapshot::InterfaceIds{j.at("ipv6").at(0).get<std::uint64_t>(),
                                                j.at("ipv6").at(1).get<std::uint64_t>()};
  return s;
}

}  // namespace

std::expected<ResumeStore, std::string> ResumeStore::open(const std::filesystem::path& directory,
                                                          std::uint32_t max_sessions) {
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, ignored);
  ResumeStore store;
  int error = store.open_environment(directory, max_sessions);
  if (error == MDB_INVALID || error == MDB_VERSION_MISMATCH || error == MDB_CORRUPTED ||
      error == MDB_PAGE_NOTFOUND || error == MDB_INCOMPATIBLE) {
    log::warn("the store was damaged and is made anew",
              {{"directory", directory.string()}, {"error", mdb_strerror(error)}});
    std::filesystem::remove(directory / "data.mdb", ignored);
    std::filesystem::remove(directory / "lock.mdb", ignored);
    error = store.open_environment(directory, max_sessions);
  }
  if (error != 0)
    return std::unexpected(fmt::format("store {}: {}", directory.string(), mdb_strerror(error)));
  return store;
}

// 0, or LMDB's error with nothing left open.
int ResumeStore::open_environment(const std::filesystem::path& directory,
                                  std::uint32_t max_sessions) {
  const auto close = [this](int error) {
    if (environment_ != nullptr) mdb_env_close(std::exchange(environment_, nullptr));
    return error;
  };
  int error = mdb_env_create(&environment_);
  if (error != 0) return close(error);
  (void)mdb_env_set_maxdbs(environment_, 2);
  (void)mdb_env_set_mapsize(environment_,
                            std::max(kLeastMap, std::size_t{max_sessions} * 2 * kOctetsPerSession));
  // No sync: the store must outlive the process, not the host, whose memory the calls live in.
  error = mdb_env_open(environment_, directory.c_str(), MDB_NOSYNC | MDB_NOTLS, 0600);
  if (error != 0) return close(error);
  // A process that was killed while it read would keep its pages from being used again.
  (void)mdb_reader_check(environment_, nullptr);
  MDB_txn* transaction = nullptr;
  if ((error = mdb_txn_begin(environment_, nullptr, 0, &transaction)) != 0) return close(error);
  if ((error = mdb_dbi_open(transaction, "connections", MDB_CREATE | MDB_INTEGERKEY,
                            &connections_)) != 0 ||
      (error = mdb_dbi_open(transaction, "sessions", MDB_CREATE | MDB_INTEGERKEY, &sessions_)) !=
          0) {
    mdb_txn_abort(transaction);
    return close(error);
  }
  if ((error = mdb_txn_commit(transaction)) != 0) return close(error);
  return 0;
}

ResumeStore::ResumeStore(ResumeStore&& other) noexcept
    : environment_(std::exchange(other.environment_, nullptr)),
      connections_(other.connections_),
      sessions_(other.sessions_),
      failures_(other.failures_) {}

ResumeStore::~ResumeStore() {
  if (environment_ != nullptr) mdb_env_close(environment_);
}

bool ResumeStore::write(unsigned database, std::uint64_t key,
                        const std::vector<std::uint8_t>* value) {
  MDB_txn* transaction = nullptr;
  int error = mdb_txn_begin(environment_, nullptr, 0, &transaction);
  if (error == 0) {
    MDB_val name{sizeof(key), &key};
    if (value != nullptr) {
      MDB_val data{value->size(), const_cast<std::uint8_t*>(value->data())};
      error = mdb_put(transaction, database, &name, &data, 0);
    } else {
      error = mdb_del(transaction, database, &name, nullptr);
      if (error == MDB_NOTFOUND) error = 0;
    }
    if (error == 0)
      error = mdb_txn_commit(transaction);
    else
      mdb_txn_abort(transaction);
  }
  failures_ += error != 0 ? 1 : 0;
  return error == 0;
}

bool ResumeStore::put(const StoredConnection& connection) {
  const auto value = json::to_cbor(to_json(connection));
  return write(connections_, connection.id.value, &value);
}

bool ResumeStore::put(const StoredSession& session) {
  const auto value = json::to_cbor(to_json(session));
  return write(sessions_, session.slot.value, &value);
}

bool ResumeStore::erase(ConnectionId id) { return write(connections_, id.value, nullptr); }
bool ResumeStore::erase(SlotId slot) { return write(sessions_, slot.value, nullptr); }

void ResumeStore::clear() {
  MDB_txn* transaction = nullptr;
  if (mdb_txn_begin(environment_, nullptr, 0, &transaction) != 0) return;
  (void)mdb_drop(transaction, connections_, 0);
  (void)mdb_drop(transaction, sessions_, 0);
  (void)mdb_txn_commit(transaction);
}

void ResumeStore::keep_only(const std::vector<ConnectionId>& connections,
                            const std::vector<SlotId>& sessions) {
  std::unordered_set<std::uint64_t> kept_connections;
  for (const ConnectionId id : connections) kept_connections.insert(id.value);
  std::unordered_set<std::uint64_t> kept_sessions;
  for (const SlotId slot : sessions) kept_sessions.insert(slot.value);
  MDB_txn* transaction = nullptr;
  if (mdb_txn_begin(environment_, nullptr, 0, &transaction) != 0) return;
  for (const auto& [database, kept] :
       {std::pair{connections_, &kept_connections}, std::pair{sessions_, &kept_sessions}}) {
    MDB_cursor* cursor = nullptr;
    if (mdb_cursor_open(transaction, database, &cursor) != 0) continue;
    MDB_val name{};
    MDB_val value{};
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0) {
      std::uint64_t key = 0;
      if (name.mv_size == sizeof(key)) std::memcpy(&key, name.mv_data, sizeof(key));
      if (name.mv_size != sizeof(key) || !kept->contains(key)) (void)mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
  }
  (void)mdb_txn_commit(transaction);
}

template <class Visit>
void ResumeStore::read(unsigned database, Visit visit) const {
  MDB_txn* transaction = nullptr;
  if (mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction) != 0) return;
  MDB_cursor* cursor = nullptr;
  if (mdb_cursor_open(transaction, database, &cursor) == 0) {
    MDB_val key{};
    MDB_val value{};
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
      const auto* octets_begin = static_cast<const std::uint8_t*>(value.mv_data);
      try {
        const json record = json::from_cbor(octets_begin, octets_begin + value.mv_size);
        if (record.at("version").get<std::uint32_t>() == kRecordVersion) visit(record);
      } catch (const std::exception&) {
        // Half a record or one of another program: its call is not taken over.
      }
    }
    mdb_cursor_close(cursor);
  }
  mdb_txn_abort(transaction);
}

std::vector<StoredConnection> ResumeStore::connections() const {
  std::vector<StoredConnection> out;
  read(connections_, [&](const json& record) { out.push_back(connection_from(record)); });
  return out;
}

std::vector<StoredSession> ResumeStore::sessions() const {
  std::vector<StoredSession> out;
  read(sessions_, [&](const json& record) { out.push_back(session_from(record)); });
  return out;
}

}  // namespace pns::session
