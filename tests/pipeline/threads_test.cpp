// SPDX-License-Identifier: BSD-3-Clause
//
// Workers on threads of their own, as in the process: WorkerLoop polls while this thread, as main,
// installs, configures and removes sessions at speed and is the network at both ports. Every
// conservation check of World holds at the end, and under the preset `tsan` no access is reported.
// tests/support/tsan_dpdk.hpp says what ThreadSanitizer cannot see of this.
#include <rte_cycles.h>
#include <rte_lcore.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "dataplane/routing/next_hops.hpp"
#include "dataplane/worker/worker_clock.hpp"
#include "dataplane/worker/worker_loop.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using contract::ReplyResult;
using dataplane::WorkerLoop;

namespace {

constexpr unsigned kSubscribers = 40;
constexpr unsigned kRounds = 6'000;      // one step of a session's life each
constexpr unsigned kPacketsARound = 8;   // offered to the ports
constexpr std::size_t kSequenceAt = 42;  // in a frame of from_peer()
constexpr unsigned kMaxBacklog = 256;    // packets in the receive rings before main goes on

// The workers of a World, each in its loop on a thread that DPDK knows.
class Threads {
 public:
  Threads(World& world, std::uint16_t workers, const WorkerLoop::Settings& settings) {
    for (std::uint16_t n = 0; n < workers; ++n)
      loops_.push_back(std::make_unique<WorkerLoop>(world.worker(n), world.doorbell(n), settings));
    for (const auto& loop : loops_)
      threads_.emplace_back([this, &loop] {
        if (rte_thread_register() != 0) ++failed_;
        loop->run();
        rte_thread_unregister();
      });
  }
  ~Threads() { stop(); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  void stop() {
    for (const auto& loop : loops_) loop->stop();
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  [[nodiscard]] unsigned failed() const { return failed_; }

 private:
  std::vector<std::unique_ptr<WorkerLoop>> loops_;
  std::vector<std::thread> threads_;
  std::atomic<unsigned> failed_{0};
};

// Slot n through one life after the other. Subscriber as World numbers them; its inner address is
// 10.64.0.n or, after a move, 10.64.1.n.
struct Life {
  enum class State { kFree, kInstalled, kRemoving };

  Subscriber s;
  State state = State::kFree;
  std::uint64_t token = 0;  // kRemoving
  bool armed = false;
  std::optional<ArmedPeer> peer;
  std::uint32_t sequence = 0;
  // Frames, made once for an address; the number is written in later.
  Octets up, down, up6, down6;
};

class Crowd {
 public:
  explicit Crowd(World& world) : world_(world) {
    for (unsigned n = 1; n <= kSubscribers; ++n) {
      Life& life = lives_.emplace_back();
      life.s.n = n;
      life.s.peer = "203.0.113." + std::to_string(n);
      life.s.address6 = Ipv6Address{life.s.prefix(), 7}.to_string();
      move_to(life, 0);
    }
  }

  // One step of one session's life.
  void step() {
    Life& life = any();
    switch (life.state) {
      case Life::State::kFree:
        return install(life);
      case Life::State::kRemoving:
        if (!world_.table().quiescent(life.token)) return;
        world_.table().release(life.s.slot());
        life.state = Life::State::kFree;
        ++removed_;
        return;
      case Life::State::kInstalled:
        return change(life);
    }
  }

  // A packet of a subscriber, in one of the ways they come, to a queue that may be the wrong one.
  void send() {
    Life& life = any();
    const unsigned queue = draw(2);
    switch (draw(6)) {
      case 0:
        (void)world_.offer(kCore, life.down, queue);
        return;
      case 1:
        (void)world_.offer(kCore, life.down6, queue);
        return;
      case 2:
        return send_up(life, life.up6, queue);
      case 3: {  // to another subscriber
        const Octets across = ppp(
            "0021", ip({.source = life.s.address, .destination = any().s.address}, pattern(20)));
        return send_up(life, from_peer(life.s, 0, across), queue);
      }
      default:
        return life.armed ? send_sealed(life, queue) : send_up(life, life.up, queue);
    }
  }

  // Takes the sent frames; false: one of them belongs to no session of ours.
  [[nodiscard]] bool drain() {
    bool right = true;
    for (const Octets& frame : world_.sent(kAccess)) {
      ++to_access_;
      // IPv4, GRE: the peer's Call ID and the peer's address are of one subscriber.
      right &= get16(frame, 40) == 0x2200 + std::to_integer<unsigned>(frame[33]);
    }
    for (const Octets& frame : world_.sent(kCore)) {
      ++to_core_;
      if (get16(frame, 12) == 0x0800)
        right &= get16(frame, 26) == 0x0a40;
      else
        right &= get32(frame, 22) == 0x20010db8;
    }
    (void)world_.punted(kAccess);
    (void)world_.punted(kCore);
    control_frames_ += world_.control().size();
    (void)world_.resolves();
    return right;
  }

  // All sessions end; the workers still run.
  void remove_all() {
    for (Life& life : lives_)
      if (life.state == Life::State::kInstalled) remove(life);
    for (Life& life : lives_)
      while (life.state == Life::State::kRemoving) {
        if (world_.table().quiescent(life.token)) {
          world_.table().release(life.s.slot());
          life.state = Life::State::kFree;
          ++removed_;
        } else {
          (void)drain();
          std::this_thread::yield();
        }
      }
  }

  [[nodiscard]] std::uint64_t installed() const { return installed_; }
  [[nodiscard]] std::uint64_t removed() const { return removed_; }
  [[nodiscard]] std::uint64_t to_access() const { return to_access_; }
  [[nodiscard]] std::uint64_t to_core() const { return to_core_; }
  [[nodiscard]] std::uint64_t control_frames() const { return control_frames_; }

 private:
  unsigned draw(unsigned below) { return static_cast<unsigned>(random_() % below); }
  Life& any() { return lives_[draw(kSubscribers)]; }

  // A full ring holds main up, never the worker.
  void command(const Life& life, WorkerCommandType type, WorkerCommand::Body body = {},
               Bytes frame = {}) {
    while (!world_.try_command(life.s, type, body, frame)) {
      (void)drain();
      std::this_thread::yield();
    }
  }

  void move_to(Life& life, unsigned block) {
    life.s.address = "10.64." + std::to_string(block) + "." + std::to_string(life.s.n);
    const Octets data = pattern(20);
    life.up = from_peer(life.s, 0,
                        ppp("0021", ip({.source = life.s.address, .destination = kServer}, data)));
    life.down = from_core(ip({.source = kServer, .destination = life.s.address}, data));
    life.up6 = from_peer(
        life.s, 0, ppp("0057", ip6({.source = life.s.address6, .destination = kServer6}, data)));
    life.down6 = from_core6(ip6({.source = kServer6, .destination = life.s.address6}, data));
  }

  void install(Life& life) {
    contract::InstallSession request;
    request.our_call_id = OurCallId(static_cast<std::uint16_t>(life.s.call()));
    request.peer_call_id = PeerCallId(static_cast<std::uint16_t>(life.s.peer_call()));
    request.local = Ipv4Address(address(kLocal));
    request.peer = Ipv4Address(address(life.s.peer));
    request.peer_window = 16;
    const auto generation =
        world_.table().install(life.s.slot(), request, dataplane::monotonic_ns());
    REQUIRE(generation);
    life.s.generation = *generation;
    life.state = Life::State::kInstalled;
    life.sequence = 0;
    life.armed = false;
    ++installed_;
    WorkerCommand::Body body;
    body.configure_link = {};
    body.configure_link.open = true;
    body.configure_link.our_magic = 0x11223344;
    command(life, WorkerCommandType::kConfigureLink, body);
    if (life.s.n % 2 == 0) arm(life);
    open_ipv4(life);
    if (life.s.n % 3 != 0) open_ipv6(life);
  }

  void open_ipv4(Life& life) {
    move_to(life, draw(2));
    const Ipv4Address inner(address(life.s.address));
    REQUIRE(world_.table().bind_address(life.s.slot(), inner) == ReplyResult::kDone);
    WorkerCommand::Body body;
    body.open_ipv4 = {};
    body.open_ipv4.subscriber = inner;
    body.open_ipv4.inner_mtu = 1400;
    command(life, WorkerCommandType::kOpenIpv4, body);
  }

  void open_ipv6(Life& life) {
    REQUIRE(world_.table().bind_prefix(life.s.slot(), life.s.prefix()) == ReplyResult::kDone);
    WorkerCommand::Body body;
    body.open_ipv6 = {};
    body.open_ipv6.prefix = life.s.prefix();
    body.open_ipv6.our_interface_id = Ipv6Address::parse(kOurLink)->low;
    body.open_ipv6.peer_interface_id = Ipv6Address::parse(kPeerLink)->low;
    body.open_ipv6.inner_mtu = 1400;
    command(life, WorkerCommandType::kOpenIpv6, body);
  }

  void arm(Life& life) {
    WorkerCommand::Body body;
    body.arm_mppe = {};
    body.arm_mppe.key_bits = 128;
    body.arm_mppe.stateless = true;
    for (unsigned i = 0; i < 16; ++i) {  // those of ArmedPeer
      body.arm_mppe.send_start_key[i] = static_cast<std::byte>(0x10 + i);
      body.arm_mppe.receive_start_key[i] = static_cast<std::byte>(0x80 + i);
    }
    command(life, WorkerCommandType::kArmMppe, body);
    life.peer.emplace();
    life.armed = true;
  }

  void change(Life& life) {
    switch (draw(8)) {
      case 0:
        world_.table().unbind_address(life.s.slot());
        command(life, WorkerCommandType::kCloseIpv4);
        return open_ipv4(life);
      case 1:
        return open_ipv4(life);  // perhaps with another address
      case 2:
        world_.table().unbind_prefix(life.s.slot());
        command(life, WorkerCommandType::kCloseIpv6);
        return open_ipv6(life);
      case 3:
        return arm(life);
      case 4:
        life.armed = false;
        return command(life, WorkerCommandType::kDisarmMppe);
      case 5:  // LCP Echo-Request to the peer
        return command(life, WorkerCommandType::kInjectFrame, {},
                       octets("ff03 c021 09 01 0008 00000000"));
      case 6:
        return change_next_hop();
      default:
        return remove(life);
    }
  }

  void remove(Life& life) {
    life.token = world_.table().unlink(life.s.slot());
    REQUIRE(life.token != 0);
    life.state = Life::State::kRemoving;
  }

  // The router of the access side gets another MAC and gets it back, as routes do from netlink.
  void change_next_hop() {
    dataplane::NextHop hop = world_.routing().outer.get(dataplane::NextHopId(1));
    hop.destination[5] ^= 1;
    REQUIRE(world_.routing().outer.set(dataplane::NextHopId(1), hop));
    hop.destination[5] ^= 1;
    REQUIRE(world_.routing().outer.set(dataplane::NextHopId(1), hop));
  }

  // Now and then a number is left out, so that later packets wait for it.
  void send_up(Life& life, Octets frame, unsigned queue) {
    if (draw(16) == 0) ++life.sequence;
    put32(frame, kSequenceAt, life.sequence++);
    (void)world_.offer(kAccess, frame, queue);
  }
  void send_sealed(Life& life, unsigned queue) {
    const Octets inner = concat(
        {octets("0021"), ip({.source = life.s.address, .destination = kServer}, pattern(20))});
    send_up(life, from_peer(life.s, 0, life.peer->seal(inner)), queue);
  }

  World& world_;
  std::mt19937 random_{20'260'601};
  std::vector<Life> lives_;
  std::uint64_t installed_ = 0, removed_ = 0;
  std::uint64_t to_access_ = 0, to_core_ = 0, control_frames_ = 0;
};

// Packets that the workers have not taken yet. Main waits for them, so that a slow machine sees as
// many packets of living sessions as a fast one.
unsigned backlog() {
  unsigned packets = 0;
  for (const char* name : {"rx00", "rx01", "rx10", "rx11"})  // World's: port, queue
    packets += rte_ring_count(rte_ring_lookup(name));
  return packets;
}

// World's time becomes CLOCK_MONOTONIC, which the loops read.
void catch_up(World& world) { world.advance(dataplane::monotonic_ns() - world.now_ns()); }

void live_and_die(const WorkerLoop::Settings& settings, bool adaptive) {
  World world({.workers = 2,
               .ring_size = 1024,
               .punt_rate = 1'000,
               .punt_burst = 64,
               .reorder = {.packets = 8, .wait_ns = 1'000'000},
               .send_window = {.adaptive = adaptive}});
  catch_up(world);
  Crowd crowd(world);
  (void)world.counted();
  {
    Threads threads(world, 2, settings);
    bool right = true;
    for (unsigned round = 0; round < kRounds; ++round) {
      crowd.step();
      for (unsigned n = 0; n < kPacketsARound; ++n) crowd.send();
      if (round % 4 == 0) right &= crowd.drain();
      while (backlog() > kMaxBacklog) {
        right &= crowd.drain();
        std::this_thread::yield();
      }
    }
    crowd.remove_all();
    right &= crowd.drain();
    threads.stop();
    CHECK(threads.failed() == 0);
    CHECK(right);
  }
  catch_up(world);
  world.run();
  CHECK(crowd.drain());
  CHECK(crowd.installed() == crowd.removed());
  CHECK(crowd.installed() > 200);
  for (const contract::SessionRecord& record : std::span(&world.record({}), kSubscribers + 1))
    CHECK(record.state.load() == contract::SlotState::kFree);

  const auto counted = world.counted();
  const auto count = [&](const char* name) {
    const auto found = counted.find(name);
    return found == counted.end() ? 0 : found->second;
  };
  CHECK(count("access_tx") == crowd.to_access());
  CHECK(count("core_tx") == crowd.to_core());
  CHECK(count("upstream_packets") > 1'000);
  CHECK(count("downstream_packets") > 1'000);
  CHECK(count("handed_out") > 1'000);
  CHECK(count("handed_in") + count("drop handover_full") >= count("handed_out"));
  CHECK(count("reordered") > 0);
  CHECK(count("injected") > 0);
  CHECK(count("drop internal") == 0);
}

WorkerLoop::Settings settings_of(config::IdleMode mode) {
  WorkerLoop::Settings settings;
  settings.mode = mode;
  settings.spin_polls = 16;
  settings.sleep = std::chrono::microseconds(20);
  settings.wait = std::chrono::milliseconds(1);
  settings.ns_per_cycle = 1e9 / static_cast<double>(rte_get_tsc_hz());
  return settings;
}

}  // namespace

TEST_CASE("threads: sessions come and go under traffic, workers spin", "[pipeline][threads]") {
  live_and_die(settings_of(config::IdleMode::kSpin), false);
}

TEST_CASE("threads: sessions come and go under traffic, workers nap", "[pipeline][threads]") {
  live_and_die(settings_of(config::IdleMode::kSleep), true);
}

TEST_CASE("threads: sessions come and go under traffic, workers wait", "[pipeline][threads]") {
  // Ring ports have no descriptor: the other end of a pair that stays silent stands for one.
  WorkerLoop::Settings settings = settings_of(config::IdleMode::kWait);
  const dataplane::Doorbell silent;
  settings.wait_fds = {silent.fd()};
  live_and_die(settings, false);
}
