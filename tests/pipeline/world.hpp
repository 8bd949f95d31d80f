// SPDX-License-Identifier: BSD-3-Clause
//
// World: real workers with all their stages between ring ports, and hands on every end: frames in
// and out of both ports, the twins, and main (which plays the control process). Workers are polled
// in turn in this thread; time stands still unless told otherwise.
//
// At its end each World checks that nothing was lost on the books (received + injected + generated
// + handed in = sent + punted + to control + handed out + consumed + drops) and that no buffer is
// out.
#pragma once

#include <rte_ring.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/filter/filter_set.hpp"
#include "dataplane/routing/broadcast_networks.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/worker/worker.hpp"
#include "dataplane/worker/worker_command.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/mppe/mppe.hpp"
#include "tests/support/octets.hpp"
#include "tests/support/packets.hpp"

namespace pns::test {

inline constexpr std::string_view kAccessMac = "020000000001";
inline constexpr std::string_view kCoreMac = "020000000002";
inline constexpr std::string_view kAccessRouterMac = "020000000011";
inline constexpr std::string_view kCoreRouterMac = "020000000012";
inline constexpr std::string_view kLocal = "198.51.100.1";
inline constexpr std::string_view kServer = "10.0.0.9";  // a host behind the core router
inline constexpr std::string_view kIcmpSource = "10.64.0.1";
inline constexpr std::string_view kServer6 = "2001:db8:c::9";  // behind the core router too
inline constexpr std::string_view kOurs6 = "2001:db8:c::1";    // the core port's, source of errors
// Both ends of every subscriber's link.
inline constexpr std::string_view kOurLink = "fe80::1:2:3:4";
inline constexpr std::string_view kPeerLink = "fe80::a:b:c:d";

using dataplane::WorkerCommand;
using dataplane::WorkerCommandType;
inline constexpr auto kAccess = contract::PortRole::kAccess;
inline constexpr auto kCore = contract::PortRole::kCore;

// A subscriber with its session. Number n: slot n, call 0x0100 + n, peer 203.0.113.n,
// address 10.64.0.n, prefix 2001:db8:64:n::/64, peer's Call ID 0x2200 + n.
struct Subscriber {
  unsigned n = 0;
  std::uint32_t generation = 0;
  std::string peer;
  std::string address;
  std::string address6;  // prefix and ::7
  [[nodiscard]] std::uint64_t prefix() const { return 0x20010db800640000 + n; }
  unsigned our_call = 0;  // 0: as above
  [[nodiscard]] unsigned call() const { return our_call != 0 ? our_call : 0x0100 + n; }
  [[nodiscard]] unsigned peer_call() const { return 0x2200 + n; }
  [[nodiscard]] SlotId slot() const { return SlotId(n); }
};

struct WorldOptions {
  std::uint16_t workers = 1;
  bool twins = true;
  bool services = true;  // of the host
  bool control_attached = true;
  unsigned ring_size = 256;          // of every ring but the ports'
  bool listed_punt_classes = false;  // rates and rings of punt_classes.def, else as follows
  std::uint32_t punt_rate = 0;       // of every class
  std::uint32_t punt_burst = 1;
  std::uint16_t mtu = 1500;
  std::array<std::vector<std::uint16_t>, 2> vlans{};  // tags of the access and of the core port
  bool one_device = false;  // all frames come by the access port's queues, for its MAC address
  // ppp.broadcast_relay, and the core port's address in the network that subscribers are in.
  std::uint32_t broadcast_relay = 0;
  std::string_view lan = "10.64.0.1/24";
  std::uint32_t max_sessions = 64;  // at most 250: subscribers are numbered by an octet
  dataplane::Reassembly::Settings reassembly{};
  dataplane::Reorder::Settings reorder{};
  dataplane::GapQueue::Settings gaps{.packets_in_all = 1'024};
  dataplane::SendWindow::Settings send_window{};
  dataplane::RateSettings rates{};
  std::vector<dataplane::RateGroups::Limits> rate_groups{};  // by number; empty: no groups
  std::map<std::uint8_t, config::Filter> filters{};          // by number; empty: no filter set
  dataplane::MppeVariant mppe_variant = dataplane::best_variant();
  dataplane::Rc4Form mppe_rc4 = dataplane::Rc4Form::kBytes;
};

struct ControlFrame {
  SlotId slot;
  std::uint32_t generation = 0;
  Octets frame;
};
// A report that no packet of a session opens.
struct PathReport {
  SlotId slot;
  std::uint32_t generation = 0;
  bool opened_since_armed = false;
};
struct ResolveRequest {
  Ipv6Address next_hop;  // IPv4: mapped
  contract::PortRole port{};
  Octets frame;
  bool outer = false;  // GRE to a peer
};

// The subscriber's end of a session that World::arm() has armed.
struct ArmedPeer {
  mppe::DirectionState send;
  mppe::DirectionState receive;

  explicit ArmedPeer(bool stateless = true, unsigned bits = 128);
  // An inner frame (Protocol field on) as a PPP frame.
  Octets seal(Bytes inner);
  // A frame we sent → the inner frame, or the reason.
  std::string open(const Octets& frame);
};

class World {
 public:
  explicit World(WorldOptions options = {});
  ~World();

  // --- sessions ---
  // Installed; link open, IPv4 open in the clear, unless told otherwise.
  Subscriber add(unsigned n, bool open = true, bool mppe_required = false);
  // Another inner address and Call ID than number n has.
  Subscriber add(unsigned n, std::string inner, unsigned our_call);
  // IPv6 open for its prefix.
  void open_ipv6(const Subscriber& s, std::uint16_t mtu = 1400);
  // Both directions, same start key; and the peer's two states.
  void arm(const Subscriber& s, bool stateless = true, unsigned bits = 128);
  [[nodiscard]] contract::SessionRecord& record(const Subscriber& s) {
    return memory_.sessions()[s.n];
  }
  void command(const Subscriber& s, WorkerCommandType type, WorkerCommand::Body body = {},
               Bytes frame = {});
  // False: no room in the ring to its worker, or no buffer.
  [[nodiscard]] bool try_command(const Subscriber& s, WorkerCommandType type,
                                 WorkerCommand::Body body = {}, Bytes frame = {});
  void inject(const Subscriber& s, std::string_view hex) {
    command(s, WorkerCommandType::kInjectFrame, {}, octets(hex));
  }
  void send_frame(contract::PortRole port, Bytes frame);

  // --- packets ---
  void receive(contract::PortRole port, Bytes frame, unsigned queue = 0);
  // While workers run on threads. False: the ring is full, or no buffer is free.
  [[nodiscard]] bool offer(contract::PortRole port, Bytes frame, unsigned queue);
  // An mbuf of the test's making.
  void receive_mbuf(contract::PortRole port, rte_mbuf* packet, unsigned queue = 0);
  void from_twin(contract::PortRole port, Bytes frame);
  void from_services(Bytes packet);
  void from_lan(Bytes frame);  // as main has read it
  // Polls all workers in turn until they have been idle twice.
  void run();
  void advance(std::uint64_t ns) { now_ns_ += ns; }
  [[nodiscard]] std::vector<Octets> sent(contract::PortRole port);
  [[nodiscard]] std::vector<Octets> punted(contract::PortRole port);
  [[nodiscard]] std::vector<Octets> to_services();  // packets of IP
  [[nodiscard]] std::vector<ControlFrame> control();
  // Among what control() has taken or would take.
  [[nodiscard]] std::vector<PathReport> path_reports();
  [[nodiscard]] std::vector<ResolveRequest> resolves();

  // --- books ---
  // All counters that are not zero since the last call, by name.
  [[nodiscard]] std::map<std::string, std::uint64_t> counted();
  // Frames for the kernel since the start, by class and result, where not zero.
  [[nodiscard]] std::map<std::string, std::uint64_t> punt_classes() const;
  // Only drops.
  [[nodiscard]] std::map<std::string, std::uint64_t> drops();

  // Destroys workers and table and makes new ones over the same session memory.
  void restart(std::uint16_t workers);

  [[nodiscard]] contract::SessionMemoryHeader& header() { return memory_.header(); }
  [[nodiscard]] dataplane::SessionTable& table() { return *table_; }
  [[nodiscard]] dataplane::RoutingTables routing() { return *routing_; }
  [[nodiscard]] dataplane::Worker& worker(unsigned n = 0) { return *workers_[n]; }
  [[nodiscard]] dataplane::Doorbell& doorbell(unsigned n) { return *doorbells_[n]; }
  [[nodiscard]] rte_mempool* pool();
  [[nodiscard]] std::uint64_t now_ns() const { return now_ns_; }
  [[nodiscard]] const std::vector<Octets>& leftovers() const { return leftovers_; }

 private:
  void add(Subscriber& s, bool open, bool mppe_required);
  [[nodiscard]] rte_ring* make_ring();
  [[nodiscard]] rte_ring* make_ring(unsigned size);
  // The messages of the workers to main for this, in order; the rest is kept for later.
  [[nodiscard]] std::vector<rte_mbuf*> take_from_main(dataplane::Lane lane);
  void lead_to_session(const dataplane::SessionTable::Binding& binding, bool bound);
  void set_route(const Ipv6Prefix& route, bool exists);
  void set_broadcast_route(bool exists);
  void start(std::uint16_t workers);
  void stop();
  void check_books();
  [[nodiscard]] std::map<std::string, std::uint64_t> totals() const;

  WorldOptions options_;
  UniqueFd fd_;
  contract::SessionMemory memory_;
  std::unique_ptr<dataplane::SessionTable> table_;
  std::optional<dataplane::RoutingTables> routing_;
  std::set<Ipv6Prefix> subscribers_;  // that have a route; IPv4: mapped
  std::vector<rte_ring*> rings_;
  std::vector<rte_ring*> commands_;
  std::vector<rte_ring*> to_main_;  // of all workers, in the order of MainRing
  std::array<std::vector<rte_ring*>, 2> to_twin_, from_twin_;
  std::vector<rte_ring*> to_services_, from_services_;
  rte_ring* from_lan_ = nullptr;  // to the first worker
  dataplane::BroadcastNetworks lan_;
  std::vector<std::unique_ptr<dataplane::Doorbell>> doorbells_;
  std::unique_ptr<dataplane::FilterSet> filters_;
  std::unique_ptr<dataplane::RateGroups> rate_groups_;
  std::vector<std::unique_ptr<dataplane::Worker>> workers_;
  std::atomic<bool> control_attached_;
  std::vector<PathReport> path_reports_;
  std::vector<rte_mbuf*> from_main_;  // popped from to_main, not yet asked for
  std::uint64_t now_ns_ = 1'000'000'000;
  std::uint64_t cycles_ = 0;
  std::map<std::string, std::uint64_t> last_;
  std::uint64_t lost_in_restart_ = 0;  // packets that waited
  std::vector<Octets> leftovers_;
};

// --- frames of the usual kind ---

// PPP over GRE over IPv4 over Ethernet, as the peer's router delivers it.
Octets from_peer(const Subscriber& s, std::optional<std::uint32_t> sequence, Bytes ppp,
                 std::optional<std::uint32_t> ack = {});
// As our side sends it: outer TTL 64, no TOS, DF clear.
Octets to_peer(const Subscriber& s, unsigned id, std::optional<std::uint32_t> sequence, Bytes ppp,
               std::optional<std::uint32_t> ack = {});
Octets from_core(Bytes packet);
Octets to_core(Bytes packet);
Octets from_core6(Bytes packet);
Octets to_core6(Bytes packet);
// FF 03 and a Protocol before it.
Octets ppp(std::string_view protocol, Bytes information);

}  // namespace pns::test
