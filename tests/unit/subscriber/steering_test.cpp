// SPDX-License-Identifier: BSD-3-Clause
//
// Which worker a call is given to: by prediction, by balance, and when the dataplane comes back
// with other workers.
#include "controlplane/subscriber/steering.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <set>

#include "tests/unit/subscriber/world.hpp"

using namespace pns;
using namespace pns::test;
using contract::HashedAddresses;
using contract::PortRole;
using contract::PortSteering;
using contract::SteeringWay;
using model::SteeredBy;
using subscriber::Steering;

namespace {

constexpr Ipv4Address kLocal = Caller::kLocal;

PortSteering rss(std::uint16_t workers, HashedAddresses hashed, std::uint8_t salt = 1) {
  PortSteering out;
  out.way = SteeringWay::kRss;
  out.hashed = hashed;
  out.reta_size = 128;
  for (std::size_t i = 0; i < out.key.size(); ++i)
    out.key[i] = static_cast<std::uint8_t>(31 * i + 57 * salt + 11);
  for (std::size_t i = 0; i < out.reta_size; ++i)
    out.reta[i] = static_cast<std::uint8_t>((i + salt) % workers);
  return out;
}

// The values that a dataplane writes when it starts.
void publish(contract::SessionMemoryHeader& header, std::uint16_t workers,
             const PortSteering& access, const PortSteering& core = {}) {
  header.worker_count = workers;
  for (std::size_t bucket = 0; bucket < kSteeringBuckets; ++bucket)
    header.steering[bucket] = static_cast<std::uint8_t>(bucket % workers);
  header.port_steering = {access, core};
}

// The values that the control process then knows.
Steering published(Host& host, std::uint16_t workers, const PortSteering& access) {
  publish(host.memory.header(), workers, access);
  Steering steering;
  steering.read(host.memory.header());
  return steering;
}

Ipv4Address peer_number(std::uint32_t n) { return Ipv4Address(0xcb007100 + n); }

// Peers whose packets reach this worker, by what is published.
Ipv4Address peer_of(const PortSteering& access, WorkerId worker, std::uint32_t from = 0) {
  for (std::uint32_t n = from;; ++n)
    if (contract::predict(access, peer_number(n), kLocal) == worker) return peer_number(n);
}

std::int64_t steered(const model::Statistics& statistics, SteeredBy by) {
  return statistics.calls_steered[static_cast<std::size_t>(by)].get();
}

// One open call from this peer, which stays. The number of calls that there are then.
std::size_t dial(Control& control, std::vector<std::unique_ptr<Caller>>& callers,
                 Ipv4Address peer) {
  callers.push_back(std::make_unique<Caller>(control, kLocal, peer));
  callers.back()->start(control);
  callers.back()->dial(static_cast<std::uint16_t>(callers.size()));
  REQUIRE(control.until([&] {
    return static_cast<std::size_t>(std::ranges::count(sessions_of(*control.service), "open",
                                                       &subscriber::SessionView::state)) ==
           callers.size();
  }));
  return callers.size();
}

}  // namespace

TEST_CASE("steering: the predicted worker is taken until it has too much to do",
          "[subscriber][steering]") {
  Host host;
  const auto access = rss(4, HashedAddresses::kBoth);
  const Steering steering = published(host, 4, access);
  CHECK(steering.workers() == 4);
  CHECK(steering.way(PortRole::kAccess) == SteeringWay::kRss);
  std::vector<std::uint32_t> sessions(contract::kMaxWorkers);
  const auto peer = peer_of(access, WorkerId(2));
  const auto choose = [&] { return steering.choose(sessions, kLocal, peer); };

  sessions[2] = 85;  // mean 21 and 64
  CHECK(choose().worker == WorkerId(2));
  CHECK(choose().by(WorkerId(2)) == SteeredBy::kPrediction);
  sessions[2] = 90;
  CHECK(choose().worker == WorkerId(0));
  CHECK(choose().by(WorkerId(0)) == SteeredBy::kAgainstPrediction);
  // With many sessions a quarter of the mean is more than 64.
  sessions = {1000, 1000, 1331, 1000};
  sessions.resize(contract::kMaxWorkers);
  CHECK(choose().worker == WorkerId(2));
  sessions = {1000, 999, 1370, 1000};
  sessions.resize(contract::kMaxWorkers);
  CHECK(choose().worker == WorkerId(1));
  // An entry beyond the workers that there are does not count.
  sessions = {10, 10, 10, 10, 0, 100000};
  sessions.resize(contract::kMaxWorkers);
  CHECK(choose().worker == WorkerId(2));
}

TEST_CASE("steering: everybody behind one NAT is dealt out all the same",
          "[subscriber][steering]") {
  Host host;
  const auto access = rss(2, HashedAddresses::kBoth);
  const Steering steering = published(host, 2, access);
  std::vector<std::uint32_t> sessions(contract::kMaxWorkers);
  const auto peer = peer_of(access, WorkerId(0));
  for (int n = 0; n < 10000; ++n)
    ++sessions.at(steering.choose(sessions, kLocal, peer).worker.value);
  CHECK(sessions[0] + sessions[1] == 10000);
  CHECK(sessions[0] > 6000);
  CHECK(sessions[0] <= 6251);  // five quarters of the mean
}

TEST_CASE("steering: without a prediction sessions are balanced", "[subscriber][steering]") {
  Host host;
  auto& header = host.memory.header();
  PortSteering access;
  SECTION("nothing is known") {}
  SECTION("the NIC steers by key") { access.way = SteeringWay::kKey; }
  SECTION("a table that names a worker that there is not") {
    access = rss(8, HashedAddresses::kBoth);
  }
  publish(header, 4, access);
  Steering steering;
  steering.read(header);
  std::vector<std::uint32_t> sessions(contract::kMaxWorkers);
  for (std::uint32_t n = 0; n < 400; ++n) {
    const auto choice = steering.choose(sessions, kLocal, peer_number(n));
    CHECK(choice.by(choice.worker) == SteeredBy::kBalance);
    ++sessions.at(choice.worker.value);
  }
  for (std::size_t worker = 0; worker < 4; ++worker) CHECK(sessions[worker] == 100);
}

TEST_CASE("steering: a table of buckets that is out of range leads to the first worker",
          "[subscriber][steering]") {
  Host host;
  auto& header = host.memory.header();
  publish(header, 2, {});
  header.steering[5] = 200;
  Steering steering;
  steering.read(header);
  CHECK(steering.owner(OurCallId(0x1205)) == WorkerId(0));
  CHECK(steering.owner(OurCallId(0x1207)) == WorkerId(1));
  header.worker_count = 1'000'000;
  steering.read(header);
  CHECK(steering.workers() == contract::kMaxWorkers);
}

TEST_CASE("subscriber: calls belong to the worker that their packets reach, and so do addresses",
          "[subscriber][steering]") {
  Host host;
  const auto access = rss(2, HashedAddresses::kBoth);
  const auto core = rss(2, HashedAddresses::kDestination, 2);
  publish(host.memory.header(), 2, access, core);
  Control control(host);
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::uint32_t n = 0; n < 6; ++n) dial(control, callers, peer_number(n));
  std::set<std::uint16_t> workers;
  for (const auto& view : sessions_of(*control.service)) {
    CHECK(WorkerId(view.worker) == contract::predict(access, view.peer, kLocal));
    CHECK(view.worker == view.our_call_id.value % 2);
    CHECK(WorkerId(view.worker) == contract::predict(core, view.address));
    workers.insert(view.worker);
  }
  CHECK(workers.size() == 2);
  CHECK(steered(control.statistics, SteeredBy::kPrediction) == 6);
  CHECK(steered(control.statistics, SteeredBy::kBalance) == 0);
  CHECK(control.statistics.port_steering[0].get() == static_cast<int>(SteeringWay::kRss));
}

TEST_CASE("subscriber: where nothing is predicted the workers take turns",
          "[subscriber][steering]") {
  Host host;
  publish(host.memory.header(), 2, {.way = SteeringWay::kKey});
  Control control(host);
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::uint32_t n = 0; n < 4; ++n) dial(control, callers, Caller::kPeer);
  const auto sessions = sessions_of(*control.service);
  CHECK(std::ranges::count(sessions, 0, &subscriber::SessionView::worker) == 2);
  // The bucket of the address is that of the Call ID.
  for (const auto& view : sessions) CHECK(view.address.value % 2 == view.our_call_id.value % 2U);
  CHECK(steered(control.statistics, SteeredBy::kBalance) == 4);
  CHECK(control.statistics.port_steering[0].get() == static_cast<int>(SteeringWay::kKey));
}

TEST_CASE("subscriber: a dataplane that comes back with other workers steers anew",
          "[subscriber][steering]") {
  Host host;
  publish(host.memory.header(), 2, rss(2, HashedAddresses::kBoth),
          rss(2, HashedAddresses::kDestination));
  Control control(host);
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::uint32_t n = 0; n < 3; ++n) dial(control, callers, peer_number(n));
  host.dataplane.die();
  REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
  const auto access = rss(4, HashedAddresses::kBoth, 3);
  const auto core = rss(4, HashedAddresses::kDestination, 4);
  publish(host.memory.header(), 4, access, core);
  host.dataplane.back();
  REQUIRE(control.until([&] { return control.dataplane.attached(); }));
  for (const auto& view : sessions_of(*control.service))
    CHECK(view.worker == view.our_call_id.value % 4);
  const auto old = callers.size();
  for (std::uint16_t worker = 0; worker < 4; ++worker)
    dial(control, callers, peer_of(access, WorkerId(worker), 50));
  std::size_t fresh = 0;
  for (const auto& view : sessions_of(*control.service)) {
    if (view.peer.value < peer_number(50).value) continue;
    ++fresh;
    CHECK(WorkerId(view.worker) == contract::predict(access, view.peer, kLocal));
    CHECK(WorkerId(view.worker) == contract::predict(core, view.address));
  }
  CHECK(fresh == callers.size() - old);
  // Every lease comes back, whichever buckets it was given under.
  for (auto& caller : callers) caller->hang_up();
  CHECK(control.until([&] { return control.all_free(); }));

  SECTION("and with a core port of which nothing is known") {
    host.dataplane.die();
    REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
    publish(host.memory.header(), 1, {});
    host.dataplane.back();
    REQUIRE(control.until([&] { return control.dataplane.attached(); }));
    callers.clear();
    dial(control, callers, peer_number(1));
    CHECK(sessions_of(*control.service).at(0).worker == 0);
    CHECK(steered(control.statistics, SteeredBy::kBalance) == 1);
  }
}
