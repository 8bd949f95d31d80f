// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/session/resume_store.hpp"

#include <lmdb.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace pns;
using namespace pns::session;

namespace {

struct Directory {
  std::filesystem::path path;
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "pns-store-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

std::string every_octet() {
  std::string out;
  for (int octet = 0; octet < 256; ++octet) out += static_cast<char>(octet);
  return out;
}

StoredConnection stored_connection(std::uint64_t id) {
  StoredConnection c;
  c.id = ConnectionId(id);
  c.local = Ipv4Address(0xc6336401);
  c.peer = Ipv4Address(0xcb007105);
  c.peer_port = 50'000;
  c.opened_ns = 123'456'789'012'345;
  c.machine.peer_host_name = every_octet();
  c.machine.peer_vendor_name = "\xff\xfe";
  c.machine.peer_firmware_revision = 0xffff;
  c.machine.next_echo_identifier = 0xffffffff;
  for (std::uint16_t call = 1; call <= 300; ++call)
    c.machine.calls.push_back(
        {OurCallId(static_cast<std::uint16_t>(65'000 + call)), PeerCallId(call), call});
  using model::CallKind;
  using pptp::CallState;
  c.machine.originated = true;
  c.machine.calls.push_back(
      {OurCallId(1), std::nullopt, 301, CallKind::kPlaced, CallState::kWaitReply});
  c.machine.calls.push_back(
      {OurCallId(2), PeerCallId(0), 302, CallKind::kIncoming, CallState::kWaitDisconnect});
  c.machine.calls.push_back(
      {OurCallId(3), PeerCallId(9), 303, CallKind::kAnnounced, CallState::kEstablished});
  return c;
}

StoredSession stored_session(std::uint32_t slot) {
  StoredSession s;
  s.slot = SlotId(slot);
  s.generation = 0xfffffffe;
  s.connection = ConnectionId(0xffffffffffff);
  s.our_call_id = OurCallId(65'535);
  s.peer_call_id = PeerCallId(0);
  s.lease = {Ipv4Address(0x0a400005), Ipv4Address(0x0a400001), "default"};
  s.started_ns = 1;
  s.opened_ns = UINT64_MAX;
  s.mtu = 1396;
  s.rate_bits_per_second = 20'000'000'000;
  s.link.lcp = {.our_magic = 0xdeadbeef,
                .peer_magic = 7,
                .peer_mru = 1500,
                .send_pfc = true,
                .send_acfc = false};
  s.link.user = every_octet();
  s.link.auth = model::AuthMethod::kMsChapV2;
  s.link.mppe = ppp::MppeAgreement{128, true};
  s.link.network = {.our_address = Ipv4Address(1),
                    .subscriber_address = Ipv4Address(2),
                    .dns = {Ipv4Address(3), Ipv4Address(4)},
                    .wins = {Ipv4Address(5), Ipv4Address(6)}};
  s.lease.ipv6_prefix = Ipv6Prefix::parse("2001:db8:100:7::/64");
  s.link.network.ipv6 = model::Ipv6Parameters{
      .prefix = *s.lease.ipv6_prefix,
      .dns = {Ipv6Address::parse("2001:db8::53").value(), Ipv6Address(), Ipv6Address(1, 2)}};
  s.link.ipv6 = ppp::LinkSnapshot::InterfaceIds{1, 0xffffffffffffffff};
  return s;
}

ResumeStore open(const Directory& directory) {
  return ResumeStore::open(directory.path, 64).value();
}

// Writes a value under a key as another program might.
void put_raw(const Directory& directory, const char* database, std::uint64_t key,
             const std::vector<std::uint8_t>& value) {
  MDB_env* environment = nullptr;
  REQUIRE(mdb_env_create(&environment) == 0);
  mdb_env_set_maxdbs(environment, 2);
  REQUIRE(mdb_env_open(environment, directory.path.c_str(), 0, 0600) == 0);
  MDB_txn* transaction = nullptr;
  REQUIRE(mdb_txn_begin(environment, nullptr, 0, &transaction) == 0);
  MDB_dbi dbi = 0;
  REQUIRE(mdb_dbi_open(transaction, database, MDB_CREATE | MDB_INTEGERKEY, &dbi) == 0);
  MDB_val name{sizeof(key), &key};
  MDB_val data{value.size(), const_cast<std::uint8_t*>(value.data())};
  REQUIRE(mdb_put(transaction, dbi, &name, &data, 0) == 0);
  REQUIRE(mdb_txn_commit(transaction) == 0);
  mdb_env_close(environment);
}

std::vector<std::uint8_t> get_raw(const Directory& directory, const char* database,
                                  std::uint64_t key) {
  MDB_env* environment = nullptr;
  REQUIRE(mdb_env_create(&environment) == 0);
  mdb_env_set_maxdbs(environment, 2);
  REQUIRE(mdb_env_open(environment, directory.path.c_str(), 0, 0600) == 0);
  MDB_txn* transaction = nullptr;
  REQUIRE(mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction) == 0);
  MDB_dbi dbi = 0;
  REQUIRE(mdb_dbi_open(transaction, database, MDB_INTEGERKEY, &dbi) == 0);
  MDB_val name{sizeof(key), &key};
  MDB_val data{};
  REQUIRE(mdb_get(transaction, dbi, &name, &data) == 0);
  const auto* octets = static_cast<const std::uint8_t*>(data.mv_data);
  std::vector<std::uint8_t> out(octets, octets + data.mv_size);
  mdb_txn_abort(transaction);
  mdb_env_close(environment);
  return out;
}

}  // namespace

TEST_CASE("resume store: what was put is read again after a new start, octet for octet",
          "[resume]") {
  const Directory directory;
  {
    auto store = open(directory);
    REQUIRE(store.put(stored_connection(1)));
    REQUIRE(store.put(stored_connection(0x1234567890)));
    REQUIRE(store.put(stored_session(0)));
    REQUIRE(store.put(stored_session(40'000)));
    CHECK(store.probe());
  }
  const auto store = open(directory);
  const auto connections = store.connections();
  REQUIRE(connections.size() == 2);
  const auto expected = stored_connection(1);
  CHECK(connections[0].id == ConnectionId(1));
  CHECK(connections[0].local == expected.local);
  CHECK(connections[0].peer == expected.peer);
  CHECK(connections[0].peer_port == expected.peer_port);
  CHECK(connections[0].opened_ns == expected.opened_ns);
  CHECK(connections[0].machine == expected.machine);
  CHECK(connections[1].id == ConnectionId(0x1234567890));
  const auto sessions = store.sessions();
  REQUIRE(sessions.size() == 2);
  const auto wanted = stored_session(40'000);
  const auto& s = sessions[1];
  CHECK(s.slot == wanted.slot);
  CHECK(s.generation == wanted.generation);
  CHECK(s.connection == wanted.connection);
  CHECK(s.our_call_id == wanted.our_call_id);
  CHECK(s.peer_call_id == wanted.peer_call_id);
  CHECK(s.lease.address == wanted.lease.address);
  CHECK(s.lease.gateway == wanted.lease.gateway);
  CHECK(s.lease.pool == wanted.lease.pool);
  CHECK(s.started_ns == wanted.started_ns);
  CHECK(s.opened_ns == wanted.opened_ns);
  CHECK(s.mtu == wanted.mtu);
  CHECK(s.rate_bits_per_second == wanted.rate_bits_per_second);
  CHECK(s.link.user == wanted.link.user);
  CHECK(s.link.auth == wanted.link.auth);
  CHECK(s.link.lcp.our_magic == wanted.link.lcp.our_magic);
  CHECK(s.link.lcp.peer_magic == wanted.link.lcp.peer_magic);
  CHECK(s.link.lcp.peer_mru == wanted.link.lcp.peer_mru);
  CHECK(s.link.lcp.send_pfc);
  CHECK_FALSE(s.link.lcp.send_acfc);
  CHECK(s.link.mppe == wanted.link.mppe);
  CHECK(s.link.network.dns == wanted.link.network.dns);
  CHECK(s.link.network.wins == wanted.link.network.wins);
  CHECK(s.lease.ipv6_prefix == wanted.lease.ipv6_prefix);
  CHECK(s.link.network.ipv6 == wanted.link.network.ipv6);
  REQUIRE(s.link.ipv6);
  CHECK(s.link.ipv6->ours == 1);
  CHECK(s.link.ipv6->peers == 0xffffffffffffffff);
  CHECK(s.link.network.subscriber_address == wanted.link.network.subscriber_address);
}

TEST_CASE("resume store: no key is ever written", "[resume]") {
  const Directory directory;
  auto s = stored_session(1);
  model::MppeKeys keys;
  const std::string marker = "SIXTEEN OCTETS!!";
  std::memcpy(keys.send.bytes().data(), marker.data(), 16);
  s.link.keys = keys;
  {
    auto store = open(directory);
    REQUIRE(store.put(s));
  }
  std::ifstream file(directory.path / "data.mdb", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  CHECK(all.find("default") != std::string::npos);
  CHECK(all.find(marker) == std::string::npos);
  CHECK_FALSE(open(directory).sessions().at(0).link.keys);
}

TEST_CASE("resume store: absent options stay absent", "[resume]") {
  const Directory directory;
  auto store = open(directory);
  auto s = stored_session(1);
  s.link.mppe.reset();
  s.rate_bits_per_second.reset();
  s.lease.pool.clear();
  REQUIRE(store.put(s));
  const auto got = store.sessions().at(0);
  CHECK_FALSE(got.link.mppe);
  CHECK_FALSE(got.rate_bits_per_second);
  CHECK(got.lease.pool.empty());
}

TEST_CASE("resume store: a link that begins with LCP has no LCP agreement, and is read as such",
          "[resume]") {
  auto s = stored_session(1);
  CHECK_FALSE(decode_session(encode(s)).value().link.from_lcp);
  s.link.from_lcp = true;
  const auto got = decode_session(encode(s)).value();
  CHECK(got.link.from_lcp);
  CHECK(got.link.lcp.our_magic == 0);
  CHECK(got.link.user == s.link.user);
  CHECK(got.link.mppe.has_value());
}

TEST_CASE("resume store: put replaces, erase removes one, clear removes all", "[resume]") {
  const Directory directory;
  auto store = open(directory);
  auto c = stored_connection(1);
  REQUIRE(store.put(c));
  c.peer_port = 1;
  REQUIRE(store.put(c));
  REQUIRE(store.put(stored_connection(2)));
  REQUIRE(store.put(stored_session(1)));
  REQUIRE(store.connections().size() == 2);
  CHECK(store.connections()[0].peer_port == 1);
  CHECK(store.erase(ConnectionId(1)));
  CHECK(store.erase(ConnectionId(77)));  // not there: as it should be
  CHECK(store.connections().size() == 1);
  CHECK(store.sessions().size() == 1);
  store.clear();
  CHECK(store.connections().empty());
  CHECK(store.sessions().empty());
  CHECK(store.probe());
}

TEST_CASE("resume store: a call that ended leaves its Call ID to rest", "[resume]") {
  const Directory directory;
  auto store = open(directory);
  REQUIRE(store.put(stored_session(1)));
  REQUIRE(store.put(stored_session(2)));
  const session::RestingCallId first{Ipv4Address(0xc6336401), OurCallId(0xffff), 900};
  const session::RestingCallId second{Ipv4Address(0xc6336402), OurCallId(1), 500};
  REQUIRE(store.put_to_rest(SlotId(1), first));
  REQUIRE(store.put_to_rest(SlotId(77), second));  // a call that was never open
  REQUIRE(store.sessions().size() == 1);
  CHECK(store.sessions()[0].slot == SlotId(2));
  store.keep_only({}, {});
  CHECK(store.resting(499) == std::vector{second, first});
  CHECK(store.resting(500) == std::vector{first});
  CHECK(store.resting(0) == std::vector{first});  // the other one was forgotten
  store.clear();
  CHECK(store.resting(0).empty());
  CHECK(store.probe());
}

TEST_CASE("resume store: keep_only erases everything else, readable or not", "[resume]") {
  const Directory directory;
  put_raw(directory, "sessions", 9, {0xff, 0xff});
  auto store = open(directory);
  for (std::uint32_t i = 1; i <= 200; ++i) {
    REQUIRE(store.put(stored_connection(i)));
    REQUIRE(store.put(stored_session(i * 2)));
  }
  store.keep_only({ConnectionId(7), ConnectionId(200)}, {SlotId(4)});
  REQUIRE(store.connections().size() == 2);
  CHECK(store.connections()[0].id == ConnectionId(7));
  CHECK(store.connections()[1].id == ConnectionId(200));
  REQUIRE(store.sessions().size() == 1);
  CHECK(store.sessions()[0].slot == SlotId(4));
}

TEST_CASE("resume store: damaged records and those of another version are passed over",
          "[resume]") {
  const Directory directory;
  {
    auto store = open(directory);
    REQUIRE(store.put(stored_session(5)));
  }
  const auto good = get_raw(directory, "sessions", 5);
  using nlohmann::json;
  const auto changed = [&](std::uint64_t key, const char* field, const json& value) {
    json record = json::from_cbor(good);
    record[field] = value;
    put_raw(directory, "sessions", key, json::to_cbor(record));
  };
  put_raw(directory, "sessions", 1, {});
  put_raw(directory, "sessions", 2, {0xff, 0x00, 0x13});
  put_raw(directory, "sessions", 3, json::to_cbor(json::array({1, 2, 3})));
  for (std::size_t length = 1; length < good.size(); length += 7)
    put_raw(directory, "sessions", 100 + length,
            {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)});
  changed(10, "version", 1);
  changed(11, "version", "2");
  changed(12, "user", "a text, not octets");
  changed(13, "lease", json::array({1}));
  changed(14, "dns", 5);
  changed(15, "auth", 200);
  changed(16, "auth", 6);
  changed(17, "our_call_id", 65'536);  // beyond its field
  changed(18, "generation", 1e300);
  changed(19, "mtu", -1);
  const auto sessions = open(directory).sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].slot == SlotId(5));
}

TEST_CASE("resume store: a call in a state that its kind has not is damage", "[resume]") {
  const Directory directory;
  {
    auto store = open(directory);
    auto connection = stored_connection(5);
    connection.machine.calls.resize(1);
    REQUIRE(store.put(connection));
  }
  const auto good = get_raw(directory, "connections", 5);
  using nlohmann::json;
  const auto changed = [&](std::uint64_t key, const json& call) {
    json record = json::from_cbor(good);
    record["calls"][0] = call;
    put_raw(directory, "connections", key, json::to_cbor(record));
  };
  changed(10, {1, 2, 3, 4, 5});        // no such kind
  changed(11, {1, 2, 3, 0, 7});        // no such state
  changed(12, {1, 2, 3, 0, 2});        // a subscriber's call is never in wait_reply
  changed(13, {1, 2, 3});              // of version 1
  changed(14, {1, "2", 3, 0, 5});      // a Call ID that is a text
  changed(15, {1, nullptr, 3, 2, 2});  // good: placed, wait_reply
  const auto connections = open(directory).connections();
  REQUIRE(connections.size() == 2);
  CHECK(connections[0].id == ConnectionId(5));
  CHECK(connections[1].machine.calls.at(0).state == pptp::CallState::kWaitReply);
}

TEST_CASE("resume store: a file that is no store is replaced, not fatal", "[resume]") {
  const Directory directory;
  {
    auto store = open(directory);
    REQUIRE(store.put(stored_session(5)));
  }
  SECTION("overwritten") {
    std::ofstream(directory.path / "data.mdb", std::ios::binary | std::ios::trunc)
        << std::string(64 * 1024, 'x');
  }
  SECTION("short") {
    std::ofstream(directory.path / "data.mdb", std::ios::binary | std::ios::trunc) << "x";
  }
  SECTION("empty") {
    std::ofstream(directory.path / "data.mdb", std::ios::binary | std::ios::trunc);
  }
  auto store = ResumeStore::open(directory.path, 64);
  REQUIRE(store);
  CHECK(store->sessions().empty());
  CHECK(store->put(stored_session(1)));
  CHECK(store->sessions().size() == 1);
}

TEST_CASE("resume store: a directory that cannot be made is an error with its name", "[resume]") {
  const auto store = ResumeStore::open("/proc/no/such/place", 64);
  REQUIRE_FALSE(store);
  CHECK(store.error().find("/proc/no/such/place") != std::string::npos);
}

TEST_CASE("resume store: a drain is one record, read as it was written", "[store]") {
  const StoredDrain plain{.since_ns = 7, .calls_at_start = 9};
  const StoredDrain with_deadline{.since_ns = 7, .deadline_ns = 1ULL << 60, .calls_at_start = 9};
  CHECK(decode_drain(encode(plain)) == plain);
  CHECK(decode_drain(encode(with_deadline)) == with_deadline);
  const auto octets = encode(with_deadline);
  for (std::size_t size = 0; size < octets.size(); ++size)
    CHECK_FALSE(decode_drain(std::span(octets).first(size)));
  CHECK_FALSE(decode_session(octets));
}
