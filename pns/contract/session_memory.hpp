// SPDX-License-Identifier: BSD-3-Clause
//
// Session memory: one memfd that the supervisor creates and holds, mapped by both planes.
//
//   SessionMemoryHeader · WorkerCounters[kMaxWorkers] · SessionRecord[max_sessions]
//   · SessionExtension[max_sessions]
//
// It is what lets a plane be killed at any instant: the dataplane finds its sessions here when it
// comes back, the control process reads counters here at scrape time and its calls when it comes
// back. Fixed layout; magic, version and sizes are checked at attach and a mismatch is refused.
// A new field takes octets that are reserved here, whose value is zero as long as nobody writes
// them; it raises kSessionMemoryVersion alone (format_version.hpp). No struct changes its size.
// Each field says which process and thread writes it and who reads it. No pointers, no DPDK, no STL
// containers. Host byte order unless the type says otherwise.
//
// Words: "main" is the dataplane's main thread, "owner" the worker that owns the session.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "pns/base/drop_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/punt_class.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/build_contract.hpp"
#include "pns/contract/counter.hpp"
#include "pns/contract/octet_rate.hpp"
#include "pns/contract/port_losses.hpp"
#include "pns/contract/port_steering.hpp"
#include "pns/contract/process.hpp"
#include "pns/mppe/state.hpp"

namespace pns::contract {

inline constexpr std::uint64_t kSessionMemoryMagic = 0x504e53534d454d31;  // "PNSSMEM1"
inline constexpr std::size_t kMaxWorkers = 64;
inline constexpr std::size_t kPorts = 2;
inline constexpr std::size_t kDropReasonRoom = 128;
static_assert(kDropReasonCount <= kDropReasonRoom);
inline constexpr std::size_t kPuntClassRoom = 8;
static_assert(kPuntClassCount <= kPuntClassRoom);
// Numbers of filters. 0 means no filter.
inline constexpr std::size_t kFilterRoom = 64;
// Numbers of groups of sessions that share a rate. 0 means no group.
inline constexpr std::size_t kRateGroupRoom = 128;
// FNV-1a of the name of a filter or a group, never 0: what session memory keeps of a name.
[[nodiscard]] constexpr std::uint64_t name_mark(std::string_view name) noexcept {
  std::uint64_t mark = 0xcbf2'9ce4'8422'2325;
  for (const char octet : name) mark = (mark ^ static_cast<std::uint8_t>(octet)) * 0x100'0000'01b3;
  return mark == 0 ? 1 : mark;
}

enum class PortRole : std::uint8_t { kAccess = 0, kCore = 1 };

// Counters of one worker for one port. Worker: writes; metrics: reads. Never reset by a restart.
struct PortCounters {
  Counter rx_packets, rx_bytes;  // frames taken from the port, bytes with the Ethernet header
  Counter tx_packets, tx_bytes;  // frames the port accepted
  Counter punted;                // towards the kernel (twin)
  Counter handed_out;            // received here, of a session that another worker owns
  std::array<Counter, 2> reserved;
};

// Frames of one class for the twins of both ports. Worker: writes; metrics: reads.
struct PuntClassCounters {
  Counter passed;   // went into the ring to the punt thread
  Counter policed;  // over the rate of the class: also in drops, as punt_policed
};

// One worker's books. Conservation: rx + injected + handed in = tx + punted + control + handed out
// + Σ drops (each packet counted exactly once where it ends). Worker: writes; metrics: reads.
struct alignas(64) WorkerCounters {
  std::array<PortCounters, kPorts> ports;
  Counter punted_control;  // PPP control frames handed to the control process
  Counter injected;        // frames from the control process sent towards a peer
  Counter generated;       // frames made here: stand-alone acks, Echo-Replies, ICMP errors
  Counter consumed;        // frames that ended here on purpose: ack-only, answered Echo-Requests
  Counter handed_out, handed_in;  // between workers
  Counter acks_sent, acks_received;
  Counter sequence_gaps;                  // GRE sequence numbers never seen
  Counter reordered;                      // GRE packets that waited for an earlier one
  Counter reassembled;                    // outer packets put together out of fragments
  Counter window_waits, window_timeouts;  // the peer's window, where it is minded
  Counter mppe_key_steps;                 // extra key changes because of gaps
  Counter polls, idle_polls;
  Counter busy_cycles;  // TSC cycles of non-empty polls
  Counter upstream_packets,
      upstream_bytes;  // inner packets delivered to the core, bytes of inner IP
  Counter downstream_packets, downstream_bytes;                // inner packets sent to subscribers
  std::array<PuntClassCounters, kPuntClassRoom> punt_classes;  // by PuntClass
  Counter neighbour_answers;  // ARP and Neighbor Discovery, for addresses of subscribers
  // IPv4 broadcasts that were relayed: of subscribers into the core network, of the core network to
  // subscribers, and the copies that were made of both kinds for subscribers.
  Counter broadcasts_up, broadcasts_down, broadcast_copies;
  Counter shaped;  // packets that waited for the rate of their session
  std::array<Counter, 11> reserved;
  std::array<Counter, kDropReasonRoom> drops;  // by DropReason
};
static_assert(sizeof(WorkerCounters) == 1600);

enum class SlotState : std::uint32_t {
  kFree = 0,
  kInstalled = 1,  // GRE is served
  kRemoving = 2,   // out of the tables, waiting until every worker has passed a quiescent point
};

// Flags of SessionRecord::flags.
inline constexpr std::uint32_t kFlagLcpOpen = 1U << 0;       // answer Echo-Requests
inline constexpr std::uint32_t kFlagIpv4Open = 1U << 1;      // IPv4 may pass
inline constexpr std::uint32_t kFlagMppeRequired = 1U << 2;  // no network data in the clear, ever
inline constexpr std::uint32_t kFlagSendAcfc = 1U << 3;      // leave out FF 03 when sending
inline constexpr std::uint32_t kFlagSendPfc = 1U << 4;       // one-octet protocols when sending
inline constexpr std::uint32_t kFlagIpv6Open = 1U << 6;      // IPv6 may pass
inline constexpr std::uint32_t kFlagMppe = 1U << 7;          // a direction's MPPE mode is not kOff
inline constexpr std::uint32_t kFlagNetworks = 1U << 8;      // networks are behind the subscriber
// upstream_rate and downstream.rate hold, and one of them is a limit. Without this flag they may be
// left from a session that is gone.
inline constexpr std::uint32_t kFlagRates = 1U << 9;
inline constexpr std::uint32_t kFlagRateGroup = 1U << 10;  // downstream.rate_group holds
// The numbers of the session's filters, in SessionMemoryHeader::filters; 0: none.
inline constexpr std::uint32_t kUpstreamFilterAt = 16;    // bits 16-23
inline constexpr std::uint32_t kDownstreamFilterAt = 24;  // bits 24-31
inline constexpr std::uint32_t kFiltersMask = 0xffffU << kUpstreamFilterAt;
[[nodiscard]] constexpr std::uint8_t upstream_filter(std::uint32_t flags) noexcept {
  return static_cast<std::uint8_t>(flags >> kUpstreamFilterAt);
}
[[nodiscard]] constexpr std::uint8_t downstream_filter(std::uint32_t flags) noexcept {
  return static_cast<std::uint8_t>(flags >> kDownstreamFilterAt);
}

// The receive half. Owner: writes; control and metrics: read the counters. First line: what every
// packet touches.
struct alignas(64) UpstreamState {
  std::atomic<std::uint32_t> highest_sequence{
      0};                         // owner's upstream half: writes; its downstream half: reads (ack)
  bool sequence_started = false;  // a first payload packet was seen (any number)
  bool ack_received = false;
  std::uint16_t unacked_packets = 0;  // since the last ack we sent
  std::uint32_t highest_ack_received = 0;
  bool far_pending = false;  // far_sequence waits for a second packet to follow it
  // The owner's queue that holds packets of this session which came too early; 0: none. Means
  // nothing to another process.
  std::uint16_t reorder_queue = 0;
  std::uint64_t ack_due_ns = 0;                   // CLOCK_MONOTONIC; when a stand-alone ack leaves
  std::atomic<std::uint64_t> last_receive_ns{0};  // CLOCK_MONOTONIC; owner: writes; control: reads
  Counter packets, bytes;          // inner packets delivered upstream, bytes of inner IP
  Counter gre_packets, gre_bytes;  // GRE packets accepted, bytes of the outer IP packet
  // --- second line ---
  Counter drops;  // all reasons
  Counter sequence_gaps;
  std::uint32_t far_sequence = 0;  // a number too far ahead to be believed at once
  // The owner's entry that holds packets of this session behind a gap in the key chain; 0: none.
  // Means nothing to another process.
  std::uint16_t gap_entry = 0;
  std::uint16_t unopened = 0;  // packets since failing_since_ns that did not open
  // Token buckets of the owner, each the time until which what passed is paid for
  // (CLOCK_MONOTONIC).
  std::uint64_t punt_spent_ns = 0;       // control frames to the control process
  std::uint64_t rate_spent_ns = 0;       // SessionRecord::upstream_rate
  std::uint64_t key_steps_spent_ns = 0;  // MPPE key changes because of gaps
  std::uint64_t reset_spent_ns = 0;      // CCP Reset-Requests we send (stateful MPPE)
  std::uint64_t failing_since_ns = 0;    // CLOCK_MONOTONIC, while mppe.failing
  mppe::DirectionState mppe;
};

// The send half. Owner: writes; control and metrics: read the counters.
struct alignas(64) DownstreamState {
  std::uint32_t next_sequence =
      0;           // number of the next packet that carries payload; stored before it leaves
  OctetRate rate;  // owner writes on command; with kFlagRates only
  // Number in SessionMemoryHeader::rate_groups, of both directions. Owner writes on command; with
  // kFlagRateGroup only.
  std::uint16_t rate_group = 0;
  std::uint16_t ip_identification = 0;
  std::uint16_t send_window = 0;   // packets, where the peer's window is minded; 0: not begun
  std::uint16_t send_queue = 0;    // the owner's queue of packets that wait; 0: none
  Counter packets, bytes;          // inner packets sent to the subscriber, bytes of inner IP
  Counter gre_packets, gre_bytes;  // GRE packets sent, bytes of the outer IP packet
  Counter drops;
  std::uint64_t rate_spent_ns = 0;  // rate
  mppe::DirectionState mppe;
};

// The sliding window towards the peer, where it is minded (RFC 2637 §4.2, §4.4). Owner only.
struct SendWindowState {
  std::uint32_t settled_sequence = 0;  // before this one all is acknowledged or given up
  std::uint32_t timed_sequence = 0;    // the packet whose round trip is measured …
  std::uint64_t timed_ns = 0;          // … and when it left; 0: none is
  // At most SendWindow::kLongestTimeoutNs, 3 s, each.
  std::uint32_t round_trip_ns = 0, deviation_ns = 0, timeout_ns = 0;
  std::uint16_t acked_in_row = 0;    // packets since the window was last changed
#ifdef PNS_CONTRACT_TRIAL            // build_contract.hpp
  std::uint16_t trial_ack_sent = 0;  // low half of the last acknowledgement that left
#else
  std::uint16_t reserved = 0;
#endif
};

// One session. Index in the array is the SlotId. The lines that a packet in the clear touches are
// the first and the first of its direction; MPPE adds the first of that direction's state.
struct alignas(64) SessionRecord {
  // --- identity: main writes at install and remove; workers, control and metrics read ---
  std::atomic<SlotState> state{SlotState::kFree};
  std::atomic<std::uint32_t> generation{0};  // odd numbers never mean anything; +1 at each install
  OurCallId our_call_id;
  PeerCallId peer_call_id;
  Ipv4Address local;              // our outer address, the one the peer dialled
  Ipv4Address peer;               // the peer's outer address
  std::uint16_t peer_window = 0;  // packets
  // --- owner only ---
  // upstream.highest_sequence is not acknowledged yet. Other workers read it to prefetch.
  bool ack_pending = false;
  bool ack_listed = false;  // in the owner's AckList; means nothing to another process
  // --- link: owner writes on command; control and metrics read ---
  std::atomic<std::uint32_t> flags{0};  // kFlag…
  Ipv4Address subscriber;               // inner address; 0 until IPCP opened
  Ipv4Address gateway;                  // our inner address
  std::uint32_t our_magic = 0;          // for Echo-Reply
  std::uint16_t inner_mtu = 0;          // octets of inner IP that fit downstream
  std::uint16_t peer_mru = 0;           // octets
  OctetRate upstream_rate;              // with kFlagRates only
  // rate_of_both() for programs that know no other rate; packets are judged by the other two.
  std::uint64_t rate_bits_per_second = 0;
  std::uint64_t ipv6_prefix = 0;  // upper half of the subscriber's /64, host order; 0: none
  alignas(64) UpstreamState upstream;
  alignas(64) DownstreamState downstream;
  // --- what few packets touch ---
  SendWindowState send_window;         // owner only
  std::uint64_t icmp_spent_ns = 0;     // owner only: time until which ICMP errors are paid for
  std::uint64_t installed_ns = 0;      // CLOCK_MONOTONIC; as identity
  std::uint64_t our_interface_id = 0;  // RFC 5072 §4.1, host order; as link
  std::uint64_t peer_interface_id = 0;
};

static_assert(sizeof(SessionRecord) == 960, "an odd number of cache lines, or they collide");
static_assert(offsetof(SessionRecord, upstream_rate) == 44);
static_assert(offsetof(SessionRecord, rate_bits_per_second) == 48);
static_assert(offsetof(DownstreamState, rate) == 4);
static_assert(offsetof(DownstreamState, ip_identification) == 10);
static_assert(offsetof(SessionRecord, upstream) == 64);
static_assert(offsetof(UpstreamState, drops) == 64);
static_assert(offsetof(DownstreamState, mppe) == 64);
static_assert(std::is_standard_layout_v<SessionRecord>);

// Room for what a session's record has no room for, away from the lines that packets touch. A
// program that writes a field sets `generation` to the record's and the rest to zero first; with
// another generation the fields are those of a session that is gone.
struct SessionExtension {
  std::atomic<std::uint32_t> generation{0};
  // Owner only: packets that wait for a rate, upstream and downstream. Means nothing to another
  // process.
  std::array<std::uint16_t, 2> waiting{};
  // Owner only: time until which requests for neighbours are paid for (CLOCK_MONOTONIC).
  std::uint64_t resolve_spent_ns = 0;
  // Owner only: the same of packets to services of the host.
  std::uint64_t service_spent_ns = 0;
  // Owner only: the same of broadcasts.
  std::uint64_t broadcast_spent_ns = 0;
};
static_assert(sizeof(SessionExtension) == 32);
static_assert(offsetof(SessionExtension, resolve_spent_ns) == 8);

// A format in memory that outlives programs: the versions of all who have used it, together().
// Whoever attaches: writes; supervisor: reads.
struct SharedFormat {
  std::atomic<std::uint32_t> version{0};
  std::atomic<std::uint32_t> min_compatible{0};
  [[nodiscard]] FormatVersion get() const noexcept {
    return {version.load(std::memory_order_relaxed),
            min_compatible.load(std::memory_order_relaxed)};
  }
  void set(FormatVersion to) noexcept {
    version.store(to.version, std::memory_order_relaxed);
    min_compatible.store(to.min_compatible, std::memory_order_relaxed);
  }
};

// A drop reason as the newest program calls it. Whoever attaches and knows it: writes, once.
struct DropReasonName {
  std::array<char, 31> name{};  // NUL-terminated; empty: nobody knows it
  std::uint8_t direction = 0;   // index in kDirections
  static constexpr std::array<std::string_view, 3> kDirections = {"both", "upstream", "downstream"};
};

// Whether the device of a port has a link.
enum class PortLink : std::uint64_t { kUnknown = 0, kDown = 1, kUp = 2 };

// State of one process, as the supervisor knows it. Supervisor: writes; control: reads.
struct ProcessInfo {
  std::atomic<std::uint32_t> starts{0};  // the first included
  std::atomic<std::uint32_t> serves{0};  // the number of the start that was last ready
  std::atomic<std::int32_t> pid{0};      // 0: none
};

// The last planned start that failed, after which the configuration before it serves again.
// Supervisor: writes, the count last; control: reads.
struct StartFailure {
  std::atomic<std::uint32_t> count{0};    // of all so far
  std::atomic<std::uint32_t> process{0};  // Process
  std::array<char, 248> reason{};         // NUL-terminated
};

// The MPPE engine, chosen when the dataplane starts (dataplane::MppeChoice). Dataplane
// main: writes before its workers start; control: reads, to show it.
struct MppeKernelInfo {
  static constexpr std::size_t kStreams = 6;
  enum class Variant : std::uint8_t { kUnknown = 0, kPortable = 1, kAvx2 = 2, kAvx512 = 3 };
  std::atomic<Variant> variant{Variant::kUnknown};
  std::atomic<bool> measured{false};
  // By number of streams, from one. Bit 0: some functions of RC4 use octets; bit 1: some use words.
  std::array<std::atomic<std::uint8_t>, kStreams> forms{};
  // Hundredths of TSC cycles for a step of a stream; 0: not measured.
  std::array<std::atomic<std::uint16_t>, kStreams> bytes_step{}, words_step{};
};

struct alignas(64) SessionMemoryHeader {
  // --- supervisor: writes at creation; both planes: read and check at attach ---
  // Magic and format stay where they are for ever.
  std::uint64_t magic = kSessionMemoryMagic;
  SharedFormat format;  // session memory's
  SharedFormat store;
  std::uint32_t header_size = 0;
  std::uint32_t worker_counters_size = 0;
  std::uint32_t session_record_size = 0;
  std::uint32_t session_extension_size = 0;
  std::uint32_t max_sessions = 0;
  std::uint32_t reserved = 0;
  std::uint64_t total_size = 0;
  std::uint64_t created_ns = 0;  // CLOCK_MONOTONIC
  // --- dataplane main: writes; control: reads ---
  std::atomic<std::uint32_t> dataplane_epoch{0};  // +1 at each attach of a dataplane
  std::atomic<std::uint32_t> worker_count{0};
  std::atomic<std::uint64_t> tsc_hz{0};
  std::array<std::atomic<std::uint8_t>, kSteeringBuckets> steering{};  // bucket → worker
  // By PortRole. Written before the endpoint listens; control copies and checks it when it has
  // attached.
  std::array<PortSteering, kPorts> port_steering;
  MppeKernelInfo mppe;
  // --- supervisor: writes; control: reads ---
  std::array<ProcessInfo, kProcesses> processes;  // by Process
  [[nodiscard]] ProcessInfo& process(Process which) noexcept {
    return processes[static_cast<std::size_t>(which)];
  }
  [[nodiscard]] const ProcessInfo& process(Process which) const noexcept {
    return processes[static_cast<std::size_t>(which)];
  }
  // --- dataplane main: writes; metrics: reads ---
  Counter channel_events_dropped;    // punted frames that found the ring to control full
  Counter channel_commands_invalid;  // commands refused because a field was out of range
  Counter neighbours, routes;        // entries known (set, not summed)
  Counter twin_to_kernel, twin_from_kernel, twin_dropped;    // frames through the TAP twins
  std::array<PortLosses, kPorts> port_losses;                // by PortRole
  std::array<DropReasonName, kDropReasonRoom> drop_reasons;  // by DropReason
  Counter neighbour_lost;  // packets given up while they waited for a neighbour (set, not summed)
  // Packets that main gave up, by DropReason: workers have counted them as punted (set, not
  // summed).
  std::array<Counter, kDropReasonRoom> main_drops;
  // The pool for packets, set once a second, not summed; 0: the dataplane is older.
  Counter packet_buffers, packet_buffers_in_use;
  StartFailure start_failure;
  std::array<Counter, kPorts> port_link;  // PortLink, by PortRole; set, not summed
  Counter networks;                       // behind subscribers, in force; set, not summed
  // By number: the mark of the filter (name_mark()); 0: the number is free. A number keeps its
  // mark while a session has it. Main: writes before the endpoint listens; control: reads.
  std::array<std::atomic<std::uint64_t>, kFilterRoom> filters{};
  // The same of the groups that share a rate.
  std::array<std::atomic<std::uint64_t>, kRateGroupRoom> rate_groups{};
  std::array<std::uint64_t, 282 - kRateGroupRoom> reserved2{};
};

// A drop reason of this session memory, which may be of a newer program.
struct DropReasonLabel {
  std::string name;  // lower case, digits and _; "unknown_N" when nobody has told it
  std::string_view direction;
};
[[nodiscard]] DropReasonLabel drop_reason_label(const SessionMemoryHeader& header,
                                                std::size_t reason);
// Whether it is counted here: this program knows it, or a newer one has named it.
[[nodiscard]] bool has_drop_reason(const SessionMemoryHeader& header, std::size_t reason) noexcept;

// A mapping of session memory. Move-only; unmaps when it goes away.
class SessionMemory {
 public:
  SessionMemory() noexcept = default;
  SessionMemory(SessionMemory&& other) noexcept;
  SessionMemory& operator=(SessionMemory&& other) noexcept;
  ~SessionMemory();

  // Octets of the memory for `max_sessions` sessions, in whole huge pages of 2 MiB.
  [[nodiscard]] static std::size_t size(std::uint32_t max_sessions) noexcept;
  // Makes a sealed memfd for `max_sessions` sessions, on huge pages when `huge_pages` and the host
  // has them free, and initialises it. Error: text naming the call that failed.
  [[nodiscard]] static std::expected<UniqueFd, std::string> create(std::uint32_t max_sessions,
                                                                   bool huge_pages,
                                                                   std::uint64_t now_ns);
  // Maps and checks magic, versions and every size, then adds what this program knows: its versions
  // and the names of its drop reasons. Error: what differs, both values; nothing is written then.
  [[nodiscard]] static std::expected<SessionMemory, std::string> attach(int fd);

  [[nodiscard]] explicit operator bool() const noexcept { return base_ != nullptr; }
  [[nodiscard]] SessionMemoryHeader& header() const noexcept;
  [[nodiscard]] std::span<WorkerCounters> workers() const noexcept;       // kMaxWorkers
  [[nodiscard]] std::span<SessionRecord> sessions() const noexcept;       // max_sessions
  [[nodiscard]] std::span<SessionExtension> extensions() const noexcept;  // max_sessions
  [[nodiscard]] std::size_t size() const noexcept { return size_; }       // octets mapped

 private:
  void* base_ = nullptr;
  std::size_t size_ = 0;
};

// The number of the filter with this name; empty: the dataplane does not know it.
[[nodiscard]] std::optional<std::uint8_t> find_filter(const SessionMemoryHeader& header,
                                                      std::string_view name) noexcept;
// The same of a group of sessions.
[[nodiscard]] std::optional<std::uint16_t> find_rate_group(const SessionMemoryHeader& header,
                                                           std::string_view name) noexcept;

}  // namespace pns::contract
