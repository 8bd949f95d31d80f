// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/session/registry.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <asio/post.hpp>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "controlplane/session/settings.hpp"
#include "pns/mppe/state.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::session {

using control::SessionHandle;
using model::SetupStage;

namespace {

constexpr std::size_t kLastEnds = 256;
constexpr auto kRemovalRetry = Milliseconds(50);
constexpr auto kLastWords = Milliseconds(300);  // from the end of a link to Call-Disconnect-Notify
// Shares of contract::kCommandCredits; the rest is for commands of calls that are up.
constexpr std::size_t kMaxInstallsInFlight = contract::kCommandCredits / 4;
constexpr std::size_t kMaxRemovalsInFlight = contract::kCommandCredits / 4;
constexpr std::size_t kMessageBuffer = wire::pptp::kLongestMessage;
constexpr std::uint16_t kLeastIpv6Mtu = 1280;
constexpr std::size_t kMaximumEarlyFrames = 4;  // kept of a call that is not connected yet
constexpr std::uint16_t kMppeOverhead = 4;      // octets of inner MTU (RFC 3078 §3)

// A session whose peer's GRE came this lately is alive; one so young is given the time.
constexpr auto kAlive = Seconds(5);
constexpr auto kWanErrorLook = Seconds(2);  // how often drop counters are looked at

}  // namespace

// One TCP 1723 connection with its machine.
struct Registry::Connection : std::enable_shared_from_this<Connection> {
  Connection(asio::io_context& context, pptp::ControlConnection the_machine, TimePoint now)
      : machine(std::move(the_machine)), timer(context), opened(now) {}

  ConnectionId id;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t peer_port = 0;
  std::shared_ptr<control::ControlSocket> socket;
  pptp::ControlConnection machine;
  asio::steady_timer timer;
  std::optional<TimePoint> armed;
  TimePoint opened;
  std::unordered_map<OurCallId, SlotId> calls;
  std::unordered_map<std::uint32_t, SlotId> offers;  // calls whose installation is not answered
  std::optional<pptp::ConnectionSnapshot> saved;     // as it stands in the store
  std::unordered_set<std::uint32_t> withdrawn;       // offers in waiting_offers_ to pass over
  std::optional<wire::pptp::Message> kept_start;     // of a collision that we win (§3.1.3)
  bool established_told = false;                     // to the placer
  bool closed = false;
};

// One call: PPTP call, PPP link, lease and dataplane slot.
struct Registry::Session {
  enum class State : std::uint8_t { kDialling, kInstalling, kUp, kRemoving };

  explicit Session(asio::io_context& context) : timer(context) {}

  State state = State::kInstalling;
  model::CallKind kind = model::CallKind::kSubscriber;
  std::uint64_t placed = 0;   // the placer's number; 0: not placed by us
  bool link_started = false;  // PPP runs
  // Frames of an incoming call that overtook its Incoming-Call-Connected: GRE is faster than TCP.
  std::vector<std::vector<std::byte>> early;
  model::WanErrors wan_errors;
  SessionHandle handle;
  std::uint64_t serial = 0;  // tells this session from an earlier one in the same slot
  ConnectionId connection;
  std::uint32_t offer = 0;
  bool withdrawn = false;                      // over before the dataplane answered
  EndReason withdrawn_for = EndReason::kNone;  // kNone: counted already
  OurCallId our_call_id;
  PeerCallId peer_call_id;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t worker = 0;
  std::unique_ptr<ppp::Link> link;
  model::LinkPhase phase = model::LinkPhase::kDead;
  std::optional<model::Lease> lease;
  std::string user;
  std::optional<std::uint64_t> rate_bits_per_second;
  std::uint16_t peer_mru = 1500;
  std::uint16_t mtu = 0;
  std::optional<contract::ConfigureLink> configured;  // while LCP is open
  std::optional<model::OpenIpv6> ipv6;                // while IPV6CP lets data flow
  std::string lease_user;                             // whom the lease was given to
  asio::steady_timer timer;
  std::optional<TimePoint> armed;
  TimePoint started;
  std::optional<TimePoint> opened;
  std::size_t stage = 0;
  EndReason link_end = EndReason::kNone;  // the link is over, the peer is about to be told
};

Registry::Registry(Parts parts)
    : parts_(parts),
      link_settings_(make_link_settings(parts.config)),
      connection_settings_(make_connection_settings(parts.config)),
      sessions_(parts.memory.header().max_sessions),
      sessions_by_worker_(contract::kMaxWorkers, 0),
      shut_down_timer_(parts.context),
      removal_timer_(parts.context),
      wan_timer_(parts.context),
      placer_(parts.context, parts.listen, parts.pac_port, placer_hooks()),
      refusal_log_(20, std::chrono::seconds(1)),
      connection_log_(50, std::chrono::seconds(1)) {
  free_slots_.reserve(sessions_.size());
  for (std::size_t slot = sessions_.size(); slot-- > 0;) {
    const bool free = parts_.memory.sessions()[slot].state.load(std::memory_order_acquire) ==
                      contract::SlotState::kFree;
    (free ? free_slots_ : orphans_).emplace_back(static_cast<std::uint32_t>(slot));
  }
  if (connection_settings_.wan_error_notify) report_wan_errors();
}

Registry::~Registry() = default;

TimePoint Registry::now() noexcept { return std::chrono::steady_clock::now(); }

Registry::Session* Registry::find(SlotId slot) const noexcept {
  return slot.value < sessions_.size() ? sessions_[slot.value].get() : nullptr;
}

Registry::Session* Registry::find(SlotId slot, std::uint64_t serial) const noexcept {
  Session* session = find(slot);
  return session != nullptr && session->serial == serial ? session : nullptr;
}

// ---- connections ----------------------------------------------------------------------------

void Registry::accept(UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t peer_port) {
  parts_.statistics.connections_accepted.add();
  if (shut_down_ != ShutDown::kNo || connections_.size() >= parts_.config.pptp.max_connections) {
    const auto reason =
        shut_down_ != ShutDown::kNo ? EndReason::shutting_down : EndReason::connection_limit;
    parts_.statistics.connection_ends[static_cast<std::size_t>(reason)].add();
    if (connection_log_.allow(now()))
      log::warn("connection refused", {{"peer", peer},
                                       {"reason", name_of(reason)},
                                       {"suppressed", connection_log_.take_suppressed()}});
    return;
  }
  const ConnectionId id(next_connection_++);
  parts_.supervisor.store_connection(id, fd.get(), local, peer, peer_port);
  add_connection(id, std::move(fd), local, peer, peer_port,
                 pptp::ControlConnection(connection_settings_, now()))
      ->socket->start();
}

std::shared_ptr<Registry::Connection> Registry::add_connection(ConnectionId id, UniqueFd fd,
                                                               Ipv4Address local, Ipv4Address peer,
                                                               std::uint16_t peer_port,
                                                               pptp::ControlConnection machine) {
  auto connection = std::make_shared<Connection>(parts_.context, std::move(machine), now());
  connection->id = id;
  connection->local = local;
  connection->peer = peer;
  connection->peer_port = peer_port;
  // The handlers hold the connection weakly by its id: it may be gone when they run.
  connection->socket = std::make_shared<control::ControlSocket>(
      parts_.context, std::move(fd),
      control::ControlSocket::Events{
          .frame =
              [this, id](Bytes head) {
                control::ControlSocket::Events::Framing framing;
                const auto found = connections_.find(id);
                if (found == connections_.end()) return framing.stop = true, framing;
                const auto length = wire::pptp::check_header(head);
                if (!length) {
                  framing.stop = true;
                  const auto keep = found->second;
                  apply(*keep, keep->machine.on_frame_error(length.error(), now()));
                } else if (!*length) {
                  framing.needed = wire::pptp::kHeaderLength;
                } else if (head.size() >= **length) {
                  framing.message = **length;
                } else {
                  // The whole header first: a bad one is refused without waiting for the rest.
                  framing.needed = std::max(wire::pptp::kHeaderLength,
                                            head.size() < wire::pptp::kHeaderLength ? 0 : **length);
                }
                return framing;
              },
          .message =
              [this, id](Bytes octets) {
                const auto found = connections_.find(id);
                if (found == connections_.end()) return;
                const auto keep = found->second;
                on_message(*keep, octets);
              },
          .closed =
              [this, id](EndReason reason) {
                const auto found = connections_.find(id);
                if (found == connections_.end()) return;
                const auto keep = found->second;
                apply(*keep, keep->machine.on_tcp_closed(reason, now()));
                close(*keep, reason);
              }});
  connections_.emplace(id, connection);
  parts_.statistics.connections.set(static_cast<std::int64_t>(connections_.size()));
  arm_timer(*connection);
  return connection;
}

// Before the peer is told: a successor must know what the peer knows.
void Registry::save(Connection& connection) {
  auto snapshot = connection.machine.snapshot();
  if (!snapshot || snapshot == connection.saved) return;
  (void)parts_.store.put(StoredConnection{.id = connection.id,
                                          .local = connection.local,
                                          .peer = connection.peer,
                                          .peer_port = connection.peer_port,
                                          .opened_ns = monotonic_ns(connection.opened),
                                          .machine = *snapshot});
  connection.saved = std::move(snapshot);
}

void Registry::on_message(Connection& connection, Bytes octets) {
  const auto message = wire::pptp::parse_message(octets);
  if (!message) {
    parts_.statistics.messages_received[0].add();
    return apply(connection, connection.machine.on_frame_error(message.error(), now()));
  }
  parts_.statistics.messages_received[message->index() + 1].add();
  using wire::pptp::StartControlConnectionRequest;
  if (connection.machine.state() == pptp::ConnectionState::kIdle &&
      std::holds_alternative<StartControlConnectionRequest>(*message) &&
      placer_.on_start_request(connection.local, connection.peer) ==
          CallPlacer::Collision::kWeWin) {
    // Nothing may be said here: the peer, who lost, closes. Kept for the case that ours fails.
    connection.kept_start = *message;
    return apply(connection, connection.machine.on_collision(now()));
  }
  apply(connection, connection.machine.on_message(*message, now()));
}

// Our connection to this peer came to nothing: what it asked for meanwhile is answered after all.
void Registry::apply_kept_start(Ipv4Address peer) {
  std::vector<std::shared_ptr<Connection>> kept;
  for (const auto& [id, connection] : connections_)
    if (connection->peer == peer && connection->kept_start) kept.push_back(connection);
  for (const auto& connection : kept) {
    const auto start = std::exchange(connection->kept_start, std::nullopt);
    apply(*connection, connection->machine.on_message(*start, now()));
  }
}

void Registry::apply(Connection& connection, const model::ConnectionActions& actions) {
  const auto keep = connection.shared_from_this();
  if (!connection.closed) save(connection);
  for (const auto& action : actions) {
    if (connection.closed) break;
    if (const auto* send_message = std::get_if<model::SendMessage>(&action)) {
      send(connection, send_message->message);
    } else if (const auto* offer = std::get_if<model::OfferCall>(&action)) {
      begin_call(connection, *offer);
    } else if (const auto* withdraw = std::get_if<model::WithdrawOffer>(&action)) {
      const auto found = connection.offers.find(withdraw->offer);
      if (found == connection.offers.end()) {
        connection.withdrawn.insert(withdraw->offer);  // it waits for its installation
      } else if (Session* session = find(found->second)) {
        session->withdrawn = true;
        session->withdrawn_for = withdraw->reason;
      }
    } else if (const auto* refusal = std::get_if<model::RefuseCall>(&action)) {
      count_refusal(connection, refusal->reason);
    } else if (const auto* end = std::get_if<model::EndCall>(&action)) {
      if (const auto found = connection.calls.find(end->our_call_id);
          found != connection.calls.end())
        if (Session* session = find(found->second)) end_session(*session, end->reason, end->codes);
    } else if (const auto* connect = std::get_if<model::ConnectCall>(&action)) {
      on_connected(connection, *connect);
    } else if (const auto* errors = std::get_if<model::ReportWanErrors>(&action)) {
      on_wan_errors(connection, *errors);
    } else if (const auto* shut = std::get_if<model::CloseConnection>(&action)) {
      close(connection, shut->reason);
    }
  }
  arm_timer(connection);
  if (!connection.closed && !connection.established_told &&
      connection.machine.state() == pptp::ConnectionState::kEstablished) {
    connection.established_told = true;
    placer_.on_established(connection.id, connection.peer);
  }
}

void Registry::send(Connection& connection, const wire::pptp::Message& message) {
  std::array<std::byte, kMessageBuffer> buffer;
  const std::size_t length = wire::pptp::write_message(buffer, message);
  parts_.statistics.messages_sent[message.index() + 1].add();
  connection.socket->send(Bytes(buffer).first(length));
}

void Registry::close(Connection& connection, EndReason reason) {
  if (connection.closed) return;
  connection.closed = true;
  // Offers that the dataplane has not answered yet end when it does.
  for (const auto& [offer, slot] : connection.offers)
    if (Session* session = find(slot); session != nullptr && !session->withdrawn) {
      session->withdrawn = true;
      session->withdrawn_for = reason;
    }
  while (!connection.calls.empty()) {
    Session* session = find(connection.calls.begin()->second);
    if (session != nullptr)
      end_session(*session, reason);
    else
      connection.calls.erase(connection.calls.begin());
  }
  connection.timer.cancel();
  connection.socket->close_after_flush();
  parts_.supervisor.forget_connection(connection.id);
  if (connection.saved) (void)parts_.store.erase(connection.id);
  parts_.statistics.connection_ends[static_cast<std::size_t>(reason)].add();
  if (connection_log_.allow(now()))
    log::info("connection closed", {{"connection", connection.id.value},
                                    {"peer", connection.peer},
                                    {"reason", name_of(reason)},
                                    {"suppressed", connection_log_.take_suppressed()}});
  connections_.erase(connection.id);
  parts_.statistics.connections.set(static_cast<std::int64_t>(connections_.size()));
  placer_.on_closed(connection.id, connection.peer, reason);
  if (connection.machine.originated() && !connection.established_told)
    apply_kept_start(connection.peer);
  advance_shut_down();
}

void Registry::arm_timer(Connection& connection) {
  if (connection.closed) return;
  const auto deadline = connection.machine.deadline();
  if (deadline == connection.armed) return;
  connection.armed = deadline;
  if (!deadline) {
    connection.timer.cancel();
    return;
  }
  connection.timer.expires_at(
      std::chrono::time_point_cast<std::chrono::steady_clock::duration>(*deadline));
  connection.timer.async_wait(
      [this, weak = connection.weak_from_this()](const asio::error_code& error) {
        const auto alive = weak.lock();
        if (error || !alive || alive->closed) return;
        alive->armed.reset();
        apply(*alive, alive->machine.on_deadline(now()));
      });
}

// ---- calls ----------------------------------------------------------------------------------

pptp::CallIdAllocator& Registry::call_ids(Ipv4Address local) {
  return call_ids_.try_emplace(local).first->second;
}

// A Call ID whose bucket belongs to the worker with the fewest sessions.
std::optional<OurCallId> Registry::allocate_call_id(Ipv4Address local) {
  const auto& header = parts_.memory.header();
  const auto workers = std::clamp<std::uint32_t>(
      header.worker_count.load(std::memory_order_relaxed), 1, contract::kMaxWorkers);
  const WorkerId lightest(static_cast<std::uint16_t>(
      std::min_element(sessions_by_worker_.begin(), sessions_by_worker_.begin() + workers) -
      sessions_by_worker_.begin()));
  auto& allocator = call_ids(local);
  if (const auto id = allocator.allocate(buckets_of(lightest), parts_.random, now())) return id;
  return allocator.allocate(parts_.random, now());
}

// The steering buckets that lead to a worker.
std::bitset<kSteeringBuckets> Registry::buckets_of(WorkerId worker) const {
  std::bitset<kSteeringBuckets> buckets;
  const auto& steering = parts_.memory.header().steering;
  for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket)
    buckets[bucket] = steering[bucket].load(std::memory_order_relaxed) == worker.value;
  return buckets;
}

void Registry::refuse_call(Connection& connection, std::uint32_t offer, EndReason reason) {
  apply(connection, connection.machine.on_call_refused(offer, reason, now()));
}

void Registry::count_refusal(const Connection& connection, EndReason reason) {
  parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
  if (refusal_log_.allow(now()))
    log::warn("call refused", {{"connection", connection.id.value},
                               {"peer", connection.peer},
                               {"reason", name_of(reason)},
                               {"suppressed", refusal_log_.take_suppressed()}});
}

void Registry::begin_call(Connection& connection, const model::OfferCall& offer) {
  if (shut_down_ != ShutDown::kNo)
    return refuse_call(connection, offer.offer, EndReason::shutting_down);
  if (!parts_.dataplane.attached())
    return refuse_call(connection, offer.offer, EndReason::dataplane_unavailable);
  if (installs_in_flight_ >= kMaxInstallsInFlight) {
    // Those of closed connections lie here until their turn: peers that dial, close and dial again
    // while the dataplane is slow must find an end.
    if (waiting_offers_.size() >= sessions_.size())
      return refuse_call(connection, offer.offer, EndReason::no_session_slot);
    waiting_offers_.emplace_back(connection.id, offer);
    return;
  }
  install(connection, offer);
}

// Oldest first. An offer whose connection is gone, or that the machine gave up, is passed over.
void Registry::install_waiting() {
  while (!waiting_offers_.empty() && installs_in_flight_ < kMaxInstallsInFlight) {
    const auto [id, offer] = waiting_offers_.front();
    waiting_offers_.pop_front();
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    const auto connection = found->second;
    if (!connection->withdrawn.erase(offer.offer)) begin_call(*connection, offer);
  }
}

void Registry::install(Connection& connection, const model::OfferCall& offer) {
  const EndReason busy = make_room(connection.local, connection.peer, offer.peer_call_id);
  if (busy != EndReason::kNone) return refuse_call(connection, offer.offer, busy);
  const auto made = make_session(connection, offer.kind);
  if (!made) return refuse_call(connection, offer.offer, made.error());
  Session& session = **made;
  session.offer = offer.offer;
  session.peer_call_id = offer.peer_call_id;
  if (!install(session, offer.peer_window)) {
    release(session);
    return refuse_call(connection, offer.offer, EndReason::dataplane_unavailable);
  }
  connection.offers.emplace(offer.offer, session.handle.slot);
}

std::expected<Registry::Session*, EndReason> Registry::make_session(Connection& connection,
                                                                    model::CallKind kind) {
  if (free_slots_.empty()) return std::unexpected(EndReason::no_session_slot);
  const auto call_id = allocate_call_id(connection.local);
  if (!call_id) return std::unexpected(EndReason::no_call_id);
  const SlotId slot = free_slots_.back();
  free_slots_.pop_back();
  auto session = std::make_unique<Session>(parts_.context);
  session->handle.slot = slot;
  session->serial = next_serial_++;
  session->kind = kind;
  session->connection = connection.id;
  session->our_call_id = *call_id;
  session->local = connection.local;
  session->peer = connection.peer;
  session->worker =
      parts_.memory.header().steering[steering_bucket(*call_id)].load(std::memory_order_relaxed);
  session->started = now();
  ++sessions_by_worker_.at(session->worker);
  sessions_[slot.value] = std::move(session);
  return sessions_[slot.value].get();
}

bool Registry::install(Session& session, std::uint16_t peer_window) {
  contract::InstallSession spec;
  spec.our_call_id = session.our_call_id;
  spec.peer_call_id = session.peer_call_id;
  spec.local = session.local;
  spec.peer = session.peer;
  spec.peer_window = peer_window;
  spec.mppe_required = parts_.config.ppp.mppe.policy == config::MppePolicy::kRequire;
  const SlotId slot = session.handle.slot;
  const auto serial = session.serial;
  const auto sent = parts_.dataplane.install(
      slot, spec, [this, slot, serial](const control::DataplaneLink::Reply& reply) {
        on_installed(slot, serial, reply);
      });
  if (!sent) return false;
  ++installs_in_flight_;
  session.state = Session::State::kInstalling;
  parts_.statistics.setups[static_cast<std::size_t>(SetupStage::kOffered)].add();
  destinations_[{session.local, session.peer, session.peer_call_id}] = {slot, serial};
  return true;
}

// What we send to one address under one Call ID reaches one client. A session that is alive keeps
// it; one that is not makes room for the call that the same peer opens in its place.
EndReason Registry::make_room(Ipv4Address local, Ipv4Address peer, PeerCallId peer_call_id) {
  const auto found = destinations_.find({local, peer, peer_call_id});
  if (found == destinations_.end()) return EndReason::kNone;
  Session* older = find(found->second.first, found->second.second);
  if (older == nullptr || older->state == Session::State::kRemoving || older->withdrawn)
    return EndReason::kNone;
  if (older->state != Session::State::kUp) return EndReason::peer_call_id_busy;
  if (older->link_end != EndReason::kNone) {  // on its way out
    tell_peer(*older);
    return EndReason::kNone;
  }
  const auto& record = parts_.memory.sessions()[older->handle.slot.value];
  const TimePoint heard(Duration(record.upstream.last_receive_ns.load(std::memory_order_relaxed)));
  if (now() - std::max(heard, older->started) <= kAlive) return EndReason::peer_call_id_busy;
  older->link_end = EndReason::replaced;
  tell_peer(*older);
  return EndReason::kNone;
}

void Registry::on_installed(SlotId slot, std::uint64_t serial,
                            const control::DataplaneLink::Reply& reply) {
  --installs_in_flight_;
  if (Session* session = find(slot, serial); session != nullptr) on_installed(*session, reply);
  install_waiting();
  remove_waiting();
}

void Registry::on_installed(Session& installed, const control::DataplaneLink::Reply& reply) {
  Session* session = &installed;
  const SlotId slot = session->handle.slot;
  const std::uint64_t serial = session->serial;
  const auto found = connections_.find(session->connection);
  const auto connection = found == connections_.end() ? nullptr : found->second;
  if (connection) connection->offers.erase(session->offer);

  if (!reply || reply->result != contract::ReplyResult::kDone) {
    log::warn("dataplane refused a session", {{"slot", slot.value},
                                              {"peer", session->peer},
                                              {"result", reply ? contract::name_of(reply->result)
                                                               : control::name_of(reply.error())}});
    // When the dataplane was lost it may or may not have installed it: session memory knows.
    session->handle.generation =
        parts_.memory.sessions()[slot.value].generation.load(std::memory_order_acquire);
    const std::uint32_t offer = session->offer;
    const bool placed = session->kind == model::CallKind::kPlaced;
    const OurCallId our_call_id = session->our_call_id;
    const EndReason reason =
        reply ? EndReason::dataplane_refused : EndReason::dataplane_unavailable;
    if (placed && !session->withdrawn) count_end(*session, reason, {});
    // A slot that is not free over there must become so, or it would refuse every call from now on.
    if (reply && reply->result != contract::ReplyResult::kBadSlot)
      release(*session);
    else
      remove_from_dataplane(*session);
    if (connection && placed)
      apply(*connection, connection->machine.end_call(our_call_id, reason, {}, now()));
    else if (connection)
      refuse_call(*connection, offer, reason);
    return;
  }
  session->handle.generation = reply->generation;
  if (session->withdrawn || !connection || connection->closed) {
    if (session->withdrawn_for != EndReason::kNone)
      parts_.statistics.call_ends[static_cast<std::size_t>(session->withdrawn_for)].add();
    return remove_from_dataplane(*session);
  }
  session->state = Session::State::kUp;
  auto settings = link_settings_;
  settings.peer = session->peer;
  session->link = std::make_unique<ppp::Link>(settings, parts_.random, now());
  parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session->phase)].add();
  parts_.statistics.sessions_by_kind[static_cast<std::size_t>(session->kind)].add();
  parts_.statistics.calls_by_kind[static_cast<std::size_t>(session->kind)].add();
  connection->calls.emplace(session->our_call_id, slot);
  reach(*session, SetupStage::kInstalled);
  // The Reply leaves now, after the dataplane serves GRE for this call.
  if (session->kind != model::CallKind::kPlaced)
    apply(*connection,
          connection->machine.on_call_accepted(session->offer, session->our_call_id, now()));
  session = find(slot, serial);
  // PPP of an incoming call waits for Incoming-Call-Connected.
  if (session != nullptr && session->kind != model::CallKind::kIncoming) start_link(*session);
}

void Registry::start_link(Session& session) {
  if (session.state != Session::State::kUp || session.link_started ||
      session.link_end != EndReason::kNone)
    return;
  session.link_started = true;
  const SessionHandle handle = session.handle;
  const auto early = std::exchange(session.early, {});
  apply(session, session.link->start(now()));
  for (const auto& frame : early) deliver(handle, frame);
}

// The peer's side of the call stands.
void Registry::on_connected(Connection& connection, const model::ConnectCall& connect) {
  const auto found = connection.calls.find(connect.our_call_id);
  Session* session = found == connection.calls.end() ? nullptr : find(found->second);
  if (session == nullptr) return;
  if (session->state != Session::State::kDialling) return start_link(*session);
  EndReason reason = make_room(connection.local, connection.peer, connect.peer_call_id);
  if (reason == EndReason::kNone) {
    session->peer_call_id = connect.peer_call_id;
    if (parts_.dataplane.attached() && install(*session, connect.peer_window)) return;
    reason = EndReason::dataplane_unavailable;
  }
  apply(connection, connection.machine.end_call(connect.our_call_id, reason, {}, now()));
}

void Registry::on_wan_errors(Connection& connection, const model::ReportWanErrors& report) {
  const auto found = connection.calls.find(report.our_call_id);
  Session* session = found == connection.calls.end() ? nullptr : find(found->second);
  if (session == nullptr) return;
  for (std::size_t i = 0; i < model::WanErrors::kCount; ++i) {
    const std::uint32_t before = session->wan_errors.counts.at(i);
    const std::uint32_t total = report.totals.counts.at(i);
    parts_.statistics.wan_errors.at(i).add(total >= before ? total - before : total);
  }
  session->wan_errors = report.totals;
}

// WAN-Error-Notify for calls of which we are the PAC: what the dataplane could not deliver to the
// peer is the only line error that a tunnel has.
void Registry::report_wan_errors() {
  for (const auto& session : sessions_) {
    if (!session || session->state != Session::State::kUp) continue;
    const auto found = connections_.find(session->connection);
    if (found == connections_.end() || model::we_are_pns(session->kind)) continue;
    const auto connection = found->second;
    const auto drops = parts_.memory.sessions()[session->handle.slot.value].downstream.drops.get();
    model::WanErrors totals;
    totals.counts[model::kBufferOverrun] =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(drops, ~std::uint32_t{0}));
    apply(*connection, connection->machine.report_wan_errors(session->our_call_id, totals, now()));
  }
  wan_timer_.expires_after(kWanErrorLook);
  wan_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) report_wan_errors();
  });
}

// ---- calls that we place --------------------------------------------------------------------

void Registry::place_call(const PlaceRequest& request, PlacedDone done) {
  EndReason reason = EndReason::kNone;
  if (shut_down_ != ShutDown::kNo) reason = EndReason::shutting_down;
  if (!parts_.dataplane.attached()) reason = EndReason::dataplane_unavailable;
  if (reason == EndReason::kNone) return placer_.place(request, std::move(done));
  parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
  done({.failure = reason});
}

CallPlacer::Hooks Registry::placer_hooks() {
  return {.established = [this](Ipv4Address pac) -> std::optional<ConnectionId> {
            // One that we opened goes before one that a host behind the same address may have
            // opened.
            std::optional<ConnectionId> best;
            for (const auto& [id, connection] : connections_) {
              if (connection->peer != pac || connection->closed ||
                  connection->machine.state() != pptp::ConnectionState::kEstablished)
                continue;
              if (connection->machine.originated()) return id;
              if (!best || id < *best) best = id;
            }
            return best;
          },
          .originate = [this](UniqueFd fd, Ipv4Address local,
                              Ipv4Address pac) -> std::optional<ConnectionId> {
            if (shut_down_ != ShutDown::kNo ||
                connections_.size() >= parts_.config.pptp.max_connections)
              return std::nullopt;
            const ConnectionId id(next_connection_++);
            parts_.supervisor.store_connection(id, fd.get(), local, pac, parts_.pac_port);
            const auto connection =
                add_connection(id, std::move(fd), local, pac, parts_.pac_port,
                               pptp::ControlConnection::originate(connection_settings_, now()));
            apply(*connection, connection->machine.open(now()));
            connection->socket->start();
            return id;
          },
          .give_way =
              [this](ConnectionId id) {
                const auto found = connections_.find(id);
                if (found == connections_.end()) return;
                const auto connection = found->second;
                apply(*connection, connection->machine.on_collision(now()));
              },
          .dial = [this](ConnectionId id, std::uint64_t number,
                         const pptp::OutgoingCall& call) { return dial(id, number, call); },
          .clear =
              [this](SlotId slot, EndReason reason) {
                Session* session = find(slot);
                if (session == nullptr) return;
                if (session->state == Session::State::kUp) return close_link(*session, reason);
                const auto found = connections_.find(session->connection);
                if (found == connections_.end()) return;
                const auto connection = found->second;
                apply(*connection,
                      connection->machine.end_call(session->our_call_id, reason, {}, now()));
              },
          .count_end =
              [this](EndReason reason) {
                parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
              }};
}

std::expected<SlotId, EndReason> Registry::dial(ConnectionId id, std::uint64_t number,
                                                const pptp::OutgoingCall& call) {
  if (!parts_.dataplane.attached()) return std::unexpected(EndReason::dataplane_unavailable);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return std::unexpected(EndReason::peer_closed_tcp);
  const auto connection = found->second;
  const auto made = make_session(*connection, model::CallKind::kPlaced);
  if (!made) return std::unexpected(made.error());
  Session& session = **made;
  session.state = Session::State::kDialling;
  session.placed = number;
  const SlotId slot = session.handle.slot;
  const OurCallId our_call_id = session.our_call_id;
  connection->calls.emplace(our_call_id, slot);
  apply(*connection, connection->machine.place_call(our_call_id, call, now()));
  return slot;
}

// ---- ends -----------------------------------------------------------------------------------

void Registry::end_session(Session& session, EndReason reason, const model::PeerCodes& codes) {
  using State = Session::State;
  const bool placed = session.kind == model::CallKind::kPlaced;
  // Offers that are being installed end by WithdrawOffer.
  if (session.state == State::kRemoving || (session.state == State::kInstalling && !placed)) return;
  const State state = session.state;
  if (session.link_end != EndReason::kNone) {
    reason = session.link_end;  // it came first
  } else if (session.link && session.link->refused() != EndReason::kNone &&
             info_of(reason).stage != "local") {
    reason = session.link->refused();  // and so it hung up
  }
  count_end(session, reason, codes);
  if (state == State::kInstalling)
    session.withdrawn = true;  // the dataplane's answer comes first
  else if (state == State::kDialling)
    release(session);
  else
    remove_from_dataplane(session);
  advance_shut_down();
}

void Registry::count_end(Session& session, EndReason reason, const model::PeerCodes& codes) {
  const SlotId slot = session.handle.slot;
  if (const auto found = connections_.find(session.connection); found != connections_.end())
    found->second->calls.erase(session.our_call_id);
  session.timer.cancel();
  const auto& record = parts_.memory.sessions()[slot.value];
  const auto duration = std::chrono::duration_cast<Seconds>(now() - session.started).count();
  const bool up = session.state == Session::State::kUp;
  log::info("call ended", {{"session", slot.value},
                           {"peer", session.peer},
                           {"kind", model::name_of(session.kind)},
                           {"user", session.user},
                           {"reason", name_of(reason)},
                           {"stage", info_of(reason).stage},
                           {"phase", model::name_of(session.phase)},
                           {"duration_s", duration},
                           {"rx_bytes", up ? record.upstream.bytes.get() : 0},
                           {"tx_bytes", up ? record.downstream.bytes.get() : 0}});
  parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
  if (up) {
    parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session.phase)].add(-1);
    parts_.statistics.sessions_by_kind[static_cast<std::size_t>(session.kind)].add(-1);
  }
  last_ends_.emplace_front(now(), EndView{session.user, session.peer, std::string(name_of(reason)),
                                          0, static_cast<std::uint64_t>(duration)});
  if (last_ends_.size() > kLastEnds) last_ends_.pop_back();
  if (session.opened) (void)parts_.store.erase(slot);
  if (session.placed != 0) placer_.on_ended(std::exchange(session.placed, 0), reason, codes);
}

void Registry::remove_from_dataplane(Session& session) {
  session.state = Session::State::kRemoving;
  waiting_removals_.emplace_back(session.handle.slot, session.serial);
  remove_waiting();
}

void Registry::remove_waiting() {
  while (!waiting_removals_.empty() && removals_in_flight_ < kMaxRemovalsInFlight) {
    const auto [slot, serial] = waiting_removals_.front();
    if (Session* session = find(slot, serial); session != nullptr) {
      const auto sent = parts_.dataplane.remove(
          session->handle,
          [this, slot, serial](const auto& reply) { on_removed(slot, serial, reply); });
      if (!sent) return remove_later();
      ++removals_in_flight_;
    }
    waiting_removals_.pop_front();
  }
  // What an earlier process left has time.
  while (!orphans_.empty() && removals_in_flight_ < kMaxRemovalsInFlight) {
    const SlotId slot = orphans_.back();
    const auto& record = parts_.memory.sessions()[slot.value];
    const SessionHandle handle{slot, record.generation.load(std::memory_order_acquire)};
    const auto sent =
        parts_.dataplane.remove(handle, [this, slot](const control::DataplaneLink::Reply& reply) {
          --removals_in_flight_;
          (reply ? free_slots_ : orphans_).push_back(slot);
          remove_waiting();
        });
    if (!sent) return remove_later();
    orphans_.pop_back();
    ++removals_in_flight_;
  }
}

// No room for a command: tried again soon. With no dataplane: when it is back.
void Registry::remove_later() {
  if (!parts_.dataplane.attached()) return;
  removal_timer_.expires_after(kRemovalRetry);
  removal_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) remove_waiting();
  });
}

void Registry::on_removed(SlotId slot, std::uint64_t serial,
                          const control::DataplaneLink::Reply& reply) {
  --removals_in_flight_;
  Session* session = find(slot, serial);
  if (session != nullptr && reply) release(*session);
  // Without an answer the dataplane was lost: asked again when it is back.
  if (session != nullptr && !reply) waiting_removals_.emplace_back(slot, serial);
  remove_waiting();
}

void Registry::release(Session& released) {
  Session* session = &released;
  const SlotId slot = session->handle.slot;
  // Only now can no packet meet the old session: everything it had is free again.
  if (const auto found = destinations_.find({session->local, session->peer, session->peer_call_id});
      found != destinations_.end() && found->second == std::pair(slot, session->serial))
    destinations_.erase(found);
  call_ids(session->local).release(session->our_call_id, now());
  if (session->lease) parts_.pools.release(*session->lease);
  --sessions_by_worker_.at(session->worker);
  sessions_[slot.value].reset();
  free_slots_.push_back(slot);
}

// ---- links ----------------------------------------------------------------------------------

void Registry::apply(Session& session, const model::LinkActions& actions) {
  const SlotId slot = session.handle.slot;
  const std::uint64_t serial = session.serial;
  const bool changes = std::ranges::any_of(actions, [](const model::LinkAction& action) {
    const auto* phase = std::get_if<model::PhaseChanged>(&action);
    return (phase != nullptr && phase->phase == model::LinkPhase::kOpen) ||
           std::holds_alternative<model::OpenIpv6>(action) ||
           std::holds_alternative<model::CloseIpv6>(action);
  });
  if (changes) save(session);
  for (const auto& action : actions) {
    Session* alive = find(slot, serial);
    if (alive == nullptr || alive->state != Session::State::kUp) return;
    std::visit([&](const auto& a) { perform(*alive, a); }, action);
  }
  if (Session* alive = find(slot, serial); alive != nullptr) arm_timer(*alive);
}

void Registry::require(Session& session, const control::DataplaneLink::Sent& sent) {
  if (sent) return;
  log::warn("command to the dataplane lost",
            {{"session", session.handle.slot.value}, {"why", control::name_of(sent.error())}});
  if (session.state != Session::State::kUp) return;
  perform(session, model::LinkEnded{EndReason::dataplane_unavailable});
}

void Registry::perform(Session& session, const model::SendFrame& action) {
  // A lost control frame is PPP's everyday life: its restart timer sends it again.
  (void)parts_.dataplane.inject(session.handle, action.frame);
}

void Registry::perform(Session& session, const model::ConfigureLink& action) {
  session.peer_mru = action.peer_mru;
  if (action.open) reach(session, SetupStage::kLcpOpen);
  contract::ConfigureLink link;
  link.open = action.open;
  link.send_acfc = action.send_acfc;
  link.send_pfc = action.send_pfc;
  link.our_magic = action.our_magic;
  link.peer_mru = action.peer_mru;
  session.configured = action.open ? std::optional(link) : std::nullopt;
  require(session, parts_.dataplane.configure_link(session.handle, link));
}

void Registry::perform(Session& session, const model::ArmMppe& action) {
  contract::ArmMppe keys;
  keys.key_bits = action.key_bits;
  keys.stateless = action.stateless;
  std::ranges::copy(action.keys.send.bytes(), keys.send_start_key.begin());
  std::ranges::copy(action.keys.receive.bytes(), keys.receive_start_key.begin());
  reach(session, SetupStage::kCcpOpen);
  require(session, parts_.dataplane.arm_mppe(session.handle, keys));
}

void Registry::perform(Session& session, const model::DisarmMppe&) {
  require(session, parts_.dataplane.disarm_mppe(session.handle));
}

std::uint16_t Registry::inner_mtu(const Session& session) const {
  const bool encrypted = session.link->status().mppe != "none";
  return static_cast<std::uint16_t>(std::min(parts_.config.ppp.mtu, session.peer_mru) -
                                    (encrypted ? kMppeOverhead : 0));
}

control::DataplaneLink::Completion Registry::address_answer(const Session& session) {
  return [this, slot = session.handle.slot,
          serial = session.serial](const control::DataplaneLink::Reply& reply) {
    Session* alive = find(slot, serial);
    if (alive == nullptr || alive->state != Session::State::kUp) return;
    if (reply && reply->result == contract::ReplyResult::kDone) return;
    log::warn(
        "dataplane refused an address",
        {{"session", slot.value},
         {"result", reply ? contract::name_of(reply->result) : control::name_of(reply.error())}});
    if (reply) perform(*alive, model::LinkEnded{EndReason::dataplane_refused});
  };
}

void Registry::perform(Session& session, const model::OpenIpv4& action) {
  session.mtu = inner_mtu(session);
  contract::OpenIpv4 open;
  open.subscriber = action.subscriber;
  if (session.lease) open.gateway = session.lease->gateway;
  open.inner_mtu = session.mtu;
  open.rate_bits_per_second = session.rate_bits_per_second.value_or(0);
  require(session, parts_.dataplane.open_ipv4(session.handle, open, address_answer(session)));
}

void Registry::perform(Session& session, const model::CloseIpv4&) {
  require(session, parts_.dataplane.close_ipv4(session.handle));
}

void Registry::perform(Session& session, const model::OpenIpv6& action) {
  if (!session.lease || !session.lease->ipv6_prefix) return;
  session.ipv6 = action;
  contract::OpenIpv6 open;
  open.prefix = session.lease->ipv6_prefix->address.high;
  open.our_interface_id = action.our_interface_id;
  open.peer_interface_id = action.peer_interface_id;
  open.inner_mtu = inner_mtu(session);
  open.rate_bits_per_second = session.rate_bits_per_second.value_or(0);
  require(session, parts_.dataplane.open_ipv6(session.handle, open, address_answer(session)));
}

void Registry::perform(Session& session, const model::CloseIpv6&) {
  session.ipv6.reset();
  require(session, parts_.dataplane.close_ipv6(session.handle));
}

void Registry::perform(Session& session, const model::Authenticate& action) {
  model::AuthRequest request = action.request;
  session.user = request.user;
  parts_.statistics.auth_pending.add();
  parts_.authenticator.authenticate(
      std::move(request),
      [this, slot = session.handle.slot, serial = session.serial](model::AuthResult result) {
        parts_.statistics.auth_pending.add(-1);
        on_auth_result(slot, serial, result);
      });
}

void Registry::perform(Session& session, const model::PhaseChanged& action) {
  parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session.phase)].add(-1);
  // Negotiated anew, or ending: nothing a successor could carry on as open.
  if (session.phase == model::LinkPhase::kOpen && action.phase != model::LinkPhase::kOpen)
    (void)parts_.store.erase(session.handle.slot);
  session.phase = action.phase;
  parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session.phase)].add();
  if (action.phase != model::LinkPhase::kOpen || session.opened) return;
  session.opened = now();
  reach(session, SetupStage::kOpen);
  const auto took =
      std::chrono::duration_cast<Milliseconds>(*session.opened - session.started).count();
  auto& statistics = parts_.statistics;
  statistics.setup_time_ms_sum.add(took);
  statistics.setup_time_count.add();
  for (std::size_t i = 0; i < model::kSetupTimeBoundsMs.size(); ++i)
    if (took <= model::kSetupTimeBoundsMs[i]) {
      statistics.setup_time_buckets[i].add();
      break;
    }
  const auto status = session.link->status();
  log::info("call up", {{"session", session.handle.slot.value},
                        {"peer", session.peer},
                        {"user", session.user},
                        {"address", session.lease ? session.lease->address : Ipv4Address()},
                        {"auth", model::name_of(status.auth)},
                        {"mppe", status.mppe},
                        {"mtu", session.mtu},
                        {"kind", model::name_of(session.kind)},
                        {"our_call_id", session.our_call_id.value},
                        {"peer_call_id", session.peer_call_id.value},
                        {"setup_ms", took}});
  if (session.placed != 0)
    placer_.on_open(std::exchange(session.placed, 0), session.user,
                    session.lease ? session.lease->address : Ipv4Address());
}

void Registry::close_link(Session& session, EndReason reason) {
  if (session.link_started) return apply(session, session.link->close(reason, now()));
  perform(session, model::LinkEnded{reason});
}

void Registry::perform(Session& session, const model::LinkEnded& action) {
  if (session.link_end != EndReason::kNone) return;
  session.link_end = action.reason;
  // The peer's PPP reads our last frame before its control connection hears that the call is gone;
  // many peers clear the call themselves meanwhile.
  if (shut_down_ != ShutDown::kNo) return tell_peer(session);
  session.timer.expires_after(kLastWords);
  session.timer.async_wait(
      [this, slot = session.handle.slot, serial = session.serial](const asio::error_code& error) {
        Session* alive = find(slot, serial);
        if (!error && alive != nullptr && alive->state == Session::State::kUp) tell_peer(*alive);
      });
}

// Call-Disconnect-Notify, and the end of the session.
void Registry::tell_peer(Session& session) {
  const auto found = connections_.find(session.connection);
  if (found == connections_.end()) return end_session(session, session.link_end);
  const auto connection = found->second;
  const auto& record = parts_.memory.sessions()[session.handle.slot.value];
  pptp::CallStatistics call;
  call.rx_packets = record.upstream.gre_packets.get();
  call.rx_bytes = record.upstream.gre_bytes.get();
  call.tx_packets = record.downstream.gre_packets.get();
  call.tx_bytes = record.downstream.gre_bytes.get();
  call.duration = std::chrono::duration_cast<Seconds>(now() - session.started);
  apply(*connection,
        connection->machine.end_call(session.our_call_id, session.link_end, call, now()));
}

std::optional<model::Lease> Registry::lease_for(const model::AuthGrant& grant,
                                                OurCallId our_call_id) {
  // An address in a bucket of the same worker lets core-side hashing reach the owner too.
  const WorkerId owner(parts_.memory.header().steering[steering_bucket(our_call_id)].load(
      std::memory_order_relaxed));
  const auto lease = grant.address ? parts_.pools.claim(*grant.address, grant.pool)
                                   : parts_.pools.allocate(grant.pool, buckets_of(owner));
  if (!lease) return std::nullopt;
  model::Lease out = *lease;
  parts_.pools.add_ipv6(out, grant.pool, grant.ipv6_prefix);
  return out;
}

model::NetworkParameters Registry::network_parameters(const Session& session) const {
  const model::Lease& lease = *session.lease;
  model::NetworkParameters parameters;
  parameters.our_address = lease.gateway;
  parameters.subscriber_address = lease.address;
  const auto& ppp = parts_.config.ppp;
  std::copy_n(ppp.dns.begin(), std::min(ppp.dns.size(), parameters.dns.size()),
              parameters.dns.begin());
  std::copy_n(ppp.wins.begin(), std::min(ppp.wins.size(), parameters.wins.size()),
              parameters.wins.begin());
  // RFC 8200 §5: no IPv6 over a link that cannot carry 1,280 octets.
  if (lease.ipv6_prefix && std::min(ppp.mtu, session.peer_mru) >= kLeastIpv6Mtu + kMppeOverhead) {
    parameters.ipv6 = model::Ipv6Parameters{.prefix = *lease.ipv6_prefix};
    std::copy_n(ppp.ipv6_dns.begin(), std::min(ppp.ipv6_dns.size(), parameters.ipv6->dns.size()),
                parameters.ipv6->dns.begin());
  }
  return parameters;
}

void Registry::on_auth_result(SlotId slot, std::uint64_t serial, const model::AuthResult& result) {
  Session* session = find(slot, serial);
  if (session == nullptr || session->state != Session::State::kUp) return;
  if (!result) {
    parts_.statistics.auth_denied.add();
    if (refusal_log_.allow(now()))
      log::warn("authentication failed", {{"session", slot.value},
                                          {"peer", session->peer},
                                          {"user", session->user},
                                          {"reason", name_of(result.error().reason)},
                                          {"suppressed", refusal_log_.take_suppressed()}});
    return apply(*session, session->link->on_auth_result(result, std::nullopt, now()));
  }
  parts_.statistics.auth_accepted.add();
  session->user = result->user;
  session->rate_bits_per_second = result->rate_bits_per_second;
  // Re-authentication keeps the lease; another account gets one of its own. (The address is out of
  // the dataplane's index: the link closed IPv4 before it asked again.)
  if (session->lease && session->lease_user != result->user) {
    parts_.pools.release(*session->lease);
    session->lease.reset();
  }
  if (!session->lease) session->lease = lease_for(*result, session->our_call_id);
  session->lease_user = result->user;
  if (!session->lease) return apply(*session, session->link->on_no_address(now()));
  reach(*session, SetupStage::kAuthenticated);
  apply(*session, session->link->on_auth_result(result, network_parameters(*session), now()));
}

void Registry::arm_timer(Session& session) {
  if (session.state != Session::State::kUp || session.link_end != EndReason::kNone) return;
  const auto deadline = session.link->deadline();
  if (deadline == session.armed) return;
  session.armed = deadline;
  if (!deadline) {
    session.timer.cancel();
    return;
  }
  session.timer.expires_at(
      std::chrono::time_point_cast<std::chrono::steady_clock::duration>(*deadline));
  session.timer.async_wait(
      [this, slot = session.handle.slot, serial = session.serial](const asio::error_code& error) {
        Session* alive = find(slot, serial);
        if (error || alive == nullptr || alive->state != Session::State::kUp) return;
        alive->armed.reset();
        apply(*alive, alive->link->on_deadline(now()));
      });
}

void Registry::reach(Session& session, SetupStage stage) {
  const auto index = static_cast<std::size_t>(stage);
  if (index <= session.stage && stage != SetupStage::kOffered) return;
  session.stage = index;
  parts_.statistics.setups[index].add();
}

// ---- the dataplane ----------------------------------------------------------------------------

void Registry::on_punted(SessionHandle handle, Bytes frame) {
  parts_.statistics.punted_frames_received.add();
  deliver(handle, frame);
}

void Registry::deliver(SessionHandle handle, Bytes frame) {
  Session* session = find(handle.slot);
  if (session == nullptr || session->state != Session::State::kUp ||
      session->handle.generation != handle.generation) {
    parts_.statistics.punted_frames_stale.add();
  } else if (session->link_started) {
    apply(*session, session->link->on_frame(frame, now()));
  } else if (session->early.size() < kMaximumEarlyFrames) {
    session->early.emplace_back(frame.begin(), frame.end());
  } else {
    parts_.statistics.punted_frames_stale.add();
  }
}

void Registry::save(Session& session) {
  auto snapshot = session.link->snapshot();
  if (!snapshot || !session.lease) return;
  snapshot->keys.reset();  // keys do not go to the store
  (void)parts_.store.put(StoredSession{.slot = session.handle.slot,
                                       .generation = session.handle.generation,
                                       .connection = session.connection,
                                       .our_call_id = session.our_call_id,
                                       .peer_call_id = session.peer_call_id,
                                       .lease = *session.lease,
                                       .started_ns = monotonic_ns(session.started),
                                       .opened_ns = monotonic_ns(session.opened.value_or(now())),
                                       .mtu = inner_mtu(session),
                                       .rate_bits_per_second = session.rate_bits_per_second,
                                       .link = std::move(*snapshot)});
}

void Registry::take_over(std::vector<contract::Grants::Connection> connections) {
  const auto stored_connections = parts_.store.connections();
  const auto stored_sessions = parts_.store.sessions();
  std::vector<std::shared_ptr<Connection>> carried;
  std::size_t closed = 0;
  for (auto& granted : connections) {
    next_connection_ = std::max(next_connection_, granted.id.value + 1);
    const auto known = std::ranges::find(stored_connections, granted.id, &StoredConnection::id);
    if (known == stored_connections.end()) {
      // Never established, or already stopping: the peer dials again.
      ++closed;
      parts_.supervisor.forget_connection(granted.id);
      (void)::shutdown(granted.fd.get(), SHUT_RDWR);
      continue;
    }
    auto connection = add_connection(
        granted.id, std::move(granted.fd), granted.local, granted.peer, granted.tcp_port,
        pptp::ControlConnection(connection_settings_, known->machine, now()));
    connection->opened = TimePoint(Duration(known->opened_ns));
    carried.push_back(std::move(connection));
  }
  std::size_t sessions = 0;
  for (const auto& stored : stored_sessions) sessions += take_over(stored) ? 1 : 0;
  // Calls that were being set up when the process died: tell the peer that they are gone.
  for (const auto& connection : carried) {
    const auto snapshot = connection->machine.snapshot();
    for (const auto& call : snapshot ? snapshot->calls : decltype(snapshot->calls){})
      if (!connection->calls.contains(call.our_call_id))
        apply(*connection, connection->machine.end_call(call.our_call_id,
                                                        EndReason::control_restarted, {}, now()));
    save(*connection);
    connection->socket->start();
  }
  // Last, so that a process that is killed in here leaves to the next one what it found itself.
  std::vector<ConnectionId> kept_connections;
  for (const auto& [id, connection] : connections_) kept_connections.push_back(id);
  std::vector<SlotId> kept_sessions;
  for (const auto& session : sessions_)
    if (session) kept_sessions.push_back(session->handle.slot);
  parts_.store.keep_only(kept_connections, kept_sessions);
  if (connections.empty() && orphans_.empty()) return;
  log::info("took over from an earlier control process", {{"connections", carried.size()},
                                                          {"connections_closed", closed},
                                                          {"sessions", sessions},
                                                          {"sessions_ended", orphans_.size()}});
}

// True: the call goes on. Session memory, the store and the connection must agree on it.
bool Registry::take_over(const StoredSession& stored) {
  const auto orphan = std::ranges::find(orphans_, stored.slot);
  const auto found = connections_.find(stored.connection);
  if (orphan == orphans_.end() || found == connections_.end()) return false;
  const auto& record = parts_.memory.sessions()[stored.slot.value];
  if (record.state.load(std::memory_order_acquire) != contract::SlotState::kInstalled ||
      record.generation.load(std::memory_order_relaxed) != stored.generation ||
      record.our_call_id != stored.our_call_id)
    return false;
  const auto& connection = found->second;
  const auto snapshot = connection->machine.snapshot();
  if (!snapshot) return false;
  const auto known = std::ranges::find(snapshot->calls, stored.our_call_id,
                                       &pptp::ConnectionSnapshot::KnownCall::our_call_id);
  if (known == snapshot->calls.end() || known->state != pptp::CallState::kEstablished) return false;
  if (!call_ids(record.local).claim(stored.our_call_id)) return false;
  if (!parts_.pools.restore(stored.lease)) {
    call_ids(record.local).release(stored.our_call_id, now());
    return false;
  }
  orphans_.erase(orphan);
  auto session = std::make_unique<Session>(parts_.context);
  session->state = Session::State::kUp;
  session->kind = known->kind;
  session->link_started = true;
  session->handle = {stored.slot, stored.generation};
  session->serial = next_serial_++;
  session->connection = stored.connection;
  session->our_call_id = stored.our_call_id;
  session->peer_call_id = stored.peer_call_id;
  session->local = record.local;
  session->peer = record.peer;
  session->worker = parts_.memory.header().steering[steering_bucket(stored.our_call_id)].load(
      std::memory_order_relaxed);
  auto settings = link_settings_;
  settings.peer = record.peer;
  session->link = std::make_unique<ppp::Link>(settings, stored.link, parts_.random, now());
  session->phase = model::LinkPhase::kOpen;
  session->lease = stored.lease;
  session->user = stored.link.user;
  session->lease_user = stored.link.user;
  if (stored.link.ipv6) session->ipv6 = {stored.link.ipv6->ours, stored.link.ipv6->peers};
  session->configured = {.open = true,
                         .send_acfc = stored.link.lcp.send_acfc,
                         .send_pfc = stored.link.lcp.send_pfc,
                         .our_magic = stored.link.lcp.our_magic,
                         .peer_mru = stored.link.lcp.peer_mru};
  session->rate_bits_per_second = stored.rate_bits_per_second;
  session->peer_mru = stored.link.lcp.peer_mru;
  session->mtu = stored.mtu;
  session->started = TimePoint(Duration(stored.started_ns));
  session->opened = TimePoint(Duration(stored.opened_ns));
  session->stage = static_cast<std::size_t>(SetupStage::kOpen);
  connection->calls.emplace(stored.our_call_id, stored.slot);
  destinations_[{session->local, session->peer, session->peer_call_id}] = {stored.slot,
                                                                           session->serial};
  parts_.statistics.sessions_by_kind[static_cast<std::size_t>(session->kind)].add();
  ++sessions_by_worker_.at(session->worker);
  parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session->phase)].add();
  arm_timer(*session);
  save(*session);
  sessions_[stored.slot.value] = std::move(session);
  return true;
}

void Registry::when_attached(std::function<void()> ready) {
  when_attached_ = std::move(ready);
  if (parts_.dataplane.attached() && when_attached_) std::exchange(when_attached_, nullptr)();
}

// What the dataplane has is what lies in session memory; commands that were in the channel when it
// was lost never came. A call whose set-up lost one would hang for ever without a word.
void Registry::check_sessions() {
  for (std::size_t slot = 0; slot < sessions_.size(); ++slot) {
    Session* session = sessions_[slot].get();
    if (session == nullptr || session->state != Session::State::kUp) continue;
    const auto& record = parts_.memory.sessions()[slot];
    const auto flags = record.flags.load(std::memory_order_acquire);
    const bool there =
        record.state.load(std::memory_order_acquire) == contract::SlotState::kInstalled &&
        record.generation.load(std::memory_order_relaxed) == session->handle.generation;
    const bool open = session->phase == model::LinkPhase::kOpen;
    // Between authentication and the end of set-up the keys may be among what was lost.
    const bool keys_sure = open ? session->link->status().mppe == "none" ||
                                      record.downstream.mppe.mode != mppe::Mode::kOff
                                : session->phase != model::LinkPhase::kNetwork;
    if (!there || !keys_sure) {
      perform(*session, model::LinkEnded{EndReason::dataplane_unavailable});
      continue;
    }
    if (session->configured && (flags & contract::kFlagLcpOpen) == 0)
      require(*session, parts_.dataplane.configure_link(session->handle, *session->configured));
    if (open && (flags & contract::kFlagIpv4Open) == 0 && session->lease)
      perform(*session, model::OpenIpv4{session->lease->address});
    if (session->ipv6 && (flags & contract::kFlagIpv6Open) == 0) perform(*session, *session->ipv6);
  }
}

void Registry::on_dataplane_attached() {
  parts_.statistics.dataplane_attached.set(1);
  parts_.statistics.dataplane_attaches.add();
  log::info("dataplane attached");
  check_sessions();
  remove_waiting();
  install_waiting();
  if (when_attached_) std::exchange(when_attached_, nullptr)();
}

void Registry::on_dataplane_detached() {
  parts_.statistics.dataplane_attached.set(0);
  log::warn("dataplane lost");
}

// ---- the operator -----------------------------------------------------------------------------

// First the links, with Terminate-Request and its answer, so that each peer's PPP knows; a call
// whose link has ended gets its Disconnect-Notify. Then the connections, with Stop-Request and its
// answer.
void Registry::shut_down(Milliseconds within, std::function<void()> done) {
  if (shut_down_ != ShutDown::kNo) return;
  shut_down_ = ShutDown::kLinks;
  shut_down_done_ = std::move(done);
  log::info("ending all calls", {{"connections", connections_.size()}});
  placer_.shut_down();
  for (const auto& session : sessions_)
    if (session && session->state == Session::State::kUp)
      close_link(*session, EndReason::shutting_down);
  shut_down_until_ = now() + within;
  wait_shut_down(now() + within / 2);
  advance_shut_down();
}

void Registry::wait_shut_down(TimePoint until) {
  shut_down_timer_.expires_at(
      std::chrono::time_point_cast<std::chrono::steady_clock::duration>(until));
  shut_down_timer_.async_wait([this](const asio::error_code& error) {
    if (error) return;
    shut_down_ == ShutDown::kLinks ? stop_connections() : finish_shut_down();
  });
}

// Called whenever a call or a connection has ended.
void Registry::advance_shut_down() {
  if (shut_down_ == ShutDown::kLinks && std::ranges::all_of(connections_, [](const auto& entry) {
        return entry.second->calls.empty();
      }))
    asio::post(parts_.context, [this] { stop_connections(); });
  else if (shut_down_ == ShutDown::kConnections && connections_.empty())
    asio::post(parts_.context, [this] { finish_shut_down(); });
}

void Registry::stop_connections() {
  if (shut_down_ != ShutDown::kLinks) return;
  shut_down_ = ShutDown::kConnections;
  wait_shut_down(shut_down_until_);
  std::vector<std::shared_ptr<Connection>> all;
  all.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  for (const auto& connection : all)
    apply(*connection, connection->machine.stop(EndReason::shutting_down, now()));
  advance_shut_down();
}

void Registry::finish_shut_down() {
  shut_down_timer_.cancel();
  if (shut_down_done_) std::exchange(shut_down_done_, nullptr)();
}

bool Registry::clear(std::string_view id_or_user) {
  std::uint32_t id = 0;
  const auto [end, error] =
      std::from_chars(id_or_user.data(), id_or_user.data() + id_or_user.size(), id);
  const bool number = error == std::errc{} && end == id_or_user.data() + id_or_user.size();
  bool any = false;
  for (const auto& session : sessions_) {
    if (!session || session->state != Session::State::kUp) continue;
    if (number ? session->handle.slot.value != id : session->user != id_or_user) continue;
    any = true;
    close_link(*session, EndReason::operator_cleared);
  }
  return any;
}

std::vector<SessionView> Registry::sessions() const {
  std::vector<SessionView> views;
  const auto time = now();
  for (const auto& session : sessions_) {
    if (!session || session->state == Session::State::kInstalling) continue;
    const auto& record = parts_.memory.sessions()[session->handle.slot.value];
    SessionView view;
    view.id = session->handle.slot.value;
    view.user = session->user;
    view.peer = session->peer;
    view.local = session->local;
    if (session->lease && session->phase == model::LinkPhase::kOpen)
      view.address = session->lease->address;
    view.state = session->state == Session::State::kRemoving   ? "removing"
                 : session->state == Session::State::kDialling ? "dialling"
                                                               : model::name_of(session->phase);
    view.kind = model::name_of(session->kind);
    view.wan_errors = session->wan_errors;
    view.our_call_id = session->our_call_id;
    view.peer_call_id = session->peer_call_id;
    if (session->link) {
      const auto status = session->link->status();
      view.auth = model::name_of(status.auth);
      view.mppe = status.mppe;
      view.ipv6_prefix = status.ipv6_prefix;
    }
    view.worker = session->worker;
    view.connection = session->connection.value;
    view.uptime_s = static_cast<std::uint64_t>(
        std::chrono::duration_cast<Seconds>(time - session->opened.value_or(session->started))
            .count());
    const std::uint64_t last = record.upstream.last_receive_ns.load(std::memory_order_relaxed);
    if (last != 0 && monotonic_ns(time) > last)
      view.idle_s = (monotonic_ns(time) - last) / 1'000'000'000;
    if (session->opened)
      view.setup_ms = static_cast<std::uint64_t>(
          std::chrono::duration_cast<Milliseconds>(*session->opened - session->started).count());
    view.mtu = session->mtu;
    view.rx_packets = record.upstream.packets.get();
    view.rx_bytes = record.upstream.bytes.get();
    view.tx_packets = record.downstream.packets.get();
    view.tx_bytes = record.downstream.bytes.get();
    view.rx_drops = record.upstream.drops.get();
    view.tx_drops = record.downstream.drops.get();
    view.sequence_gaps = record.upstream.sequence_gaps.get();
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<ConnectionView> Registry::connections() const {
  std::vector<ConnectionView> views;
  const auto time = now();
  for (const auto& [id, connection] : connections_) {
    ConnectionView view;
    view.id = id.value;
    view.peer = connection->peer;
    view.peer_port = connection->peer_port;
    view.local = connection->local;
    view.state = pptp::name_of(connection->machine.state());
    view.role = connection->machine.originated() ? "originated" : "accepted";
    for (const auto& call : connection->machine.calls())
      ++view.calls_by_kind.at(static_cast<std::size_t>(call.kind));
    view.host_name = connection->machine.peer_host_name();
    view.vendor = connection->machine.peer_vendor_name();
    view.calls = connection->calls.size();
    view.uptime_s = static_cast<std::uint64_t>(
        std::chrono::duration_cast<Seconds>(time - connection->opened).count());
    views.push_back(std::move(view));
  }
  std::ranges::sort(views, {}, &ConnectionView::id);
  return views;
}

std::vector<EndView> Registry::last_ends() const {
  std::vector<EndView> views;
  const auto time = now();
  for (const auto& [when, end] : last_ends_) {
    views.push_back(end);
    views.back().ago_s =
        static_cast<std::uint64_t>(std::chrono::duration_cast<Seconds>(time - when).count());
  }
  return views;
}

}  // namespace pns::session
