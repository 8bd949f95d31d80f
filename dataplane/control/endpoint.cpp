// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/control/endpoint.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/routing/mapped_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {

using contract::MessageType;
using contract::ReplyResult;

namespace {

constexpr int kCommandBatch = 512;
constexpr unsigned kPuntBatch = 64;
constexpr int kRemovalPollMs = 1;
// Room in the event ring that punted frames leave for the answers to outstanding commands.
constexpr std::size_t kReplyReserve =
    contract::kCommandCredits * (sizeof(contract::MessageHeader) + sizeof(contract::Reply) + 8);

}  // namespace

Endpoint::Endpoint(SessionTable& sessions, SessionNetworks& networks,
                   std::vector<WorkerLine> workers, rte_mempool* command_pool, RandomSource& random,
                   Resolve resolve)
    : sessions_(sessions),
      networks_(networks),
      header_(sessions.memory().header()),
      workers_(std::move(workers)),
      backlog_(workers_.size()),
      ring_bell_(workers_.size(), false),
      command_pool_(command_pool),
      random_(random),
      resolve_(std::move(resolve)) {}

Endpoint::~Endpoint() {
  for (auto& queue : backlog_)
    for (rte_mbuf* command : queue) {
      wipe_command(command);
      rte_pktmbuf_free(command);
    }
}

std::expected<void, std::string> Endpoint::listen(UniqueFd socket, uid_t control_uid) {
  listener_ = std::move(socket);
  control_uid_ = control_uid;
  if (::listen(listener_.get(), 4) != 0)
    return std::unexpected(fmt::format("dataplane.sock: listen: {}", std::strerror(errno)));
  return {};
}

void Endpoint::add_poll_fds(std::vector<pollfd>& fds) const {
  fds.push_back({listener_.get(), POLLIN, 0});
  if (!control_) return;
  fds.push_back({control_.get(), POLLIN, 0});
  fds.push_back({commands_.event_fd(), POLLIN, 0});
}

int Endpoint::poll_timeout_ms() const noexcept {
  return removals_.empty() && !backlogged() ? -1 : kRemovalPollMs;
}

bool Endpoint::prepare_sleep() noexcept {
  for (const WorkerLine& worker : workers_)
    for (const rte_ring* ring : worker.to_main)
      if (ring != nullptr && rte_ring_empty(ring) == 0) return false;
  return !channel_ || backlogged() || commands_.prepare_sleep();
}

bool Endpoint::backlogged() const noexcept {
  return std::ranges::any_of(backlog_, [](const auto& queue) { return !queue.empty(); });
}

Endpoint::Readable Endpoint::readable(std::span<const pollfd> appended) noexcept {
  const auto is_set = [&](std::size_t n) {
    return n < appended.size() && appended[n].revents != 0;
  };
  return {is_set(0), is_set(1), is_set(2)};
}

void Endpoint::turn(std::uint64_t now_ns, Readable readable) {
  if (channel_) {
    commands_.wake(readable.commands);
    if (readable.control) {
      char octet = 0;
      const auto got = ::recv(control_.get(), &octet, 1, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) detach();
    }
  }
  // Last: what is readable is known of the control process before.
  if (readable.listener) accept_control();
  drain_backlog();
  take_commands(now_ns);
  finish_removals();
  take_from_workers();
  for (std::size_t i = 0; i < workers_.size(); ++i)
    if (ring_bell_[i]) {
      ring_bell_[i] = false;
      workers_[i].doorbell->ring();
    }
  if (events_pending_ && channel_) events_.notify();
  events_pending_ = false;
}

void Endpoint::accept_control() {
  for (;;) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
        (peer.uid != control_uid_ && peer.uid != 0)) {
      log::warn("control process refused", {{"uid", peer.uid}});
      continue;
    }
    detach();
    auto channel = contract::Channel::create_and_send(socket.get());
    if (!channel) {
      log::error("channel failed", {{"error", channel.error()}});
      continue;
    }
    channel_ = std::move(*channel);
    commands_ = channel_.command_consumer();
    events_ = channel_.event_producer();
    control_ = std::move(socket);
    control_attached_.store(true, std::memory_order_relaxed);
    log::info("control process attached", {{"pid", peer.pid}});
  }
}

void Endpoint::detach() {
  if (!channel_) return;
  control_attached_.store(false, std::memory_order_relaxed);
  channel_ = contract::Channel();
  control_.reset();
  for (Removal& removal : removals_) removal.request = 0;  // done all the same, nobody to tell
  log::warn("control process lost");
}

void Endpoint::take_commands(std::uint64_t now_ns) {
  contract::ReceivedMessage message;
  for (int i = 0; i < kCommandBatch && channel_ && !backlogged(); ++i) {
    switch (commands_.pop(message)) {
      case contract::RingConsumer::Outcome::kEmpty:
        return;
      case contract::RingConsumer::Outcome::kCorrupt:
        log::error("command ring corrupt");
        return detach();
      case contract::RingConsumer::Outcome::kMessage:
        break;
    }
    handle(message, now_ns);
    if (message.header.type == MessageType::kArmMppe)
      wipe(MutableBytes(message.octets).first(message.header.body_size));
  }
}

void Endpoint::handle(const contract::ReceivedMessage& message, std::uint64_t now_ns) {
  const auto& header = message.header;
  if (header.type == MessageType::kPing) return reply(header, ReplyResult::kDone, 0);
  if (header.type == MessageType::kInstallSession) {
    const auto spec = message.body_as<contract::InstallSession>();
    if (!spec) {
      header_.channel_commands_invalid.add(1);
      return reply(header, ReplyResult::kBadMessage, 0);
    }
    const auto generation = sessions_.install(header.slot, *spec, now_ns,
                                              static_cast<std::uint16_t>(random_.next_u32()));
    return generation ? reply(header, ReplyResult::kDone, *generation)
                      : reply(header, generation.error(), 0);
  }
  if (sessions_.record(header.slot) == nullptr) {
    header_.channel_commands_invalid.add(1);
    return reply(header, ReplyResult::kBadSlot, 0);
  }
  if (header.type == MessageType::kRemoveSession) {
    // On its way out already, asked for by a control process that is gone: done when it is done.
    const auto known = std::ranges::find(removals_, header.slot, &Removal::slot);
    if (known != removals_.end()) {
      known->request = header.request;
      return;
    }
  }
  if (!sessions_.is_current(header.slot, header.generation)) {
    // Gone already: to remove it once more is done, anything else comes too late.
    return reply(header,
                 header.type == MessageType::kRemoveSession ? ReplyResult::kDone
                                                            : ReplyResult::kBadGeneration,
                 header.generation);
  }
  switch (header.type) {
    case MessageType::kRemoveSession:
      networks_.unlink(header.slot);
      header_.networks.set(networks_.size());
      removals_.push_back(
          {header.slot, header.generation, header.request, sessions_.unlink(header.slot)});
      return;
    case MessageType::kOpenIpv4: {
      const auto open = message.body_as<contract::OpenIpv4>();
      const auto result =
          open ? sessions_.bind_address(header.slot, open->subscriber) : ReplyResult::kBadMessage;
      if (result == ReplyResult::kDone) forward(message);
      return reply(header, result, header.generation);
    }
    case MessageType::kCloseIpv4:
      sessions_.unbind_address(header.slot);
      return forward(message);
    case MessageType::kOpenIpv6: {
      const auto open = message.body_as<contract::OpenIpv6>();
      const auto result =
          open ? sessions_.bind_prefix(header.slot, open->prefix) : ReplyResult::kBadMessage;
      if (result == ReplyResult::kDone) forward(message);
      return reply(header, result, header.generation);
    }
    case MessageType::kCloseIpv6:
      sessions_.unbind_prefix(header.slot);
      return forward(message);
    case MessageType::kSetNetworks: {
      const auto result = set_networks(message);
      if (result == ReplyResult::kDone) forward(message);
      return reply(header, result, header.generation);
    }
    case MessageType::kSetService: {
      const auto service = message.body_as<contract::SessionService>();
      if (service && is_known(*service)) {
        forward(message);
        return reply(header, ReplyResult::kDone, header.generation);
      }
      header_.channel_commands_invalid.add(1);
      return reply(header, ReplyResult::kBadMessage, header.generation);
    }
    case MessageType::kConfigureLink:
    case MessageType::kArmMppe:
    case MessageType::kDisarmMppe:
    case MessageType::kInjectFrame:
      return forward(message);
    default:
      header_.channel_commands_invalid.add(1);
      return reply(header, ReplyResult::kBadMessage, 0);
  }
}

bool Endpoint::is_known(const contract::SessionService& service) const noexcept {
  const auto known = [this](std::uint8_t number) {
    return number == 0 || (number < contract::kFilterRoom &&
                           header_.filters[number].load(std::memory_order_relaxed) != 0);
  };
  const std::uint16_t group = service.rate_group;
  const bool known_group =
      group == 0 || (group < contract::kRateGroupRoom &&
                     header_.rate_groups[group].load(std::memory_order_relaxed) != 0);
  return known_group && known(service.filters.upstream) && known(service.filters.downstream);
}

ReplyResult Endpoint::set_networks(const contract::ReceivedMessage& message) {
  const auto body = message.body_as<contract::SetNetworks>();
  const Bytes payload = message.payload();
  std::vector<Ipv6Prefix> networks;
  bool valid = body && body->count <= kMaxSessionNetworks &&
               payload.size() == body->count * sizeof(contract::SessionNetwork);
  for (std::size_t i = 0; valid && i < body->count; ++i) {
    contract::SessionNetwork entry;
    std::memcpy(&entry, payload.data() + i * sizeof(entry), sizeof(entry));
    const Ipv4Prefix ipv4{Ipv4Address(static_cast<std::uint32_t>(entry.address.low)), entry.length};
    const Ipv6Prefix ipv6{entry.address, entry.length};
    const bool is_ipv4 = entry.family == 4;
    valid = is_ipv4 ? entry.address.high == 0 && entry.address.low >> 32 == 0 &&
                          may_be_behind_subscriber(ipv4)
                    : entry.family == 6 && may_be_behind_subscriber(ipv6);
    networks.push_back(valid && is_ipv4 ? mapped(ipv4) : ipv6);
  }
  if (!valid) {
    header_.channel_commands_invalid.add(1);
    return ReplyResult::kBadMessage;
  }
  const ReplyResult result = networks_.set(message.header.slot, networks);
  header_.networks.set(networks_.size());
  return result;
}

// Hands a command to the session's owner.
void Endpoint::forward(const contract::ReceivedMessage& message) {
  const auto& header = message.header;
  WorkerCommand command;
  command.type = static_cast<WorkerCommandType>(header.type);
  command.slot = header.slot;
  command.generation = header.generation;
  bool valid = true;
  switch (header.type) {
    case MessageType::kConfigureLink: {
      const auto body = message.body_as<contract::ConfigureLink>();
      if ((valid = body.has_value())) command.body.configure_link = *body;
      break;
    }
    case MessageType::kArmMppe: {
      auto body = message.body_as<contract::ArmMppe>();
      valid = body && (body->key_bits == 40 || body->key_bits == 56 || body->key_bits == 128);
      if (valid) command.body.arm_mppe = *body;
      if (body) wipe(std::as_writable_bytes(std::span(&*body, 1)));
      break;
    }
    case MessageType::kOpenIpv4:
      command.body.open_ipv4 = *message.body_as<contract::OpenIpv4>();
      break;
    case MessageType::kOpenIpv6:
      command.body.open_ipv6 = *message.body_as<contract::OpenIpv6>();
      break;
    case MessageType::kSetNetworks:
      command.body.set_networks = *message.body_as<contract::SetNetworks>();
      break;
    case MessageType::kSetService:
      command.body.set_service = *message.body_as<contract::SessionService>();
      break;
    case MessageType::kInjectFrame:
      valid = !message.payload().empty();
      break;
    default:
      break;
  }
  const bool has_frame = header.type == MessageType::kInjectFrame;
  rte_mbuf* packet =
      valid ? make_command(command_pool_, command, has_frame ? message.payload() : Bytes())
            : nullptr;
  wipe(std::as_writable_bytes(std::span(&command, 1)));
  if (packet == nullptr) {
    header_.channel_commands_invalid.add(1);
    return;
  }
  const auto* record = sessions_.record(header.slot);
  enqueue(std::min<std::size_t>(sessions_.owner(record->our_call_id).value, workers_.size() - 1),
          packet);
}

void Endpoint::enqueue(std::size_t worker, rte_mbuf* command) {
  ring_bell_[worker] = true;
  if (backlog_[worker].empty() && rte_ring_enqueue(workers_[worker].commands, command) == 0) return;
  backlog_[worker].push_back(command);
}

void Endpoint::drain_backlog() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    auto& queue = backlog_[i];
    while (!queue.empty() && rte_ring_enqueue(workers_[i].commands, queue.front()) == 0)
      queue.pop_front();
    if (!queue.empty()) ring_bell_[i] = true;
  }
}

void Endpoint::finish_removals() {
  std::erase_if(removals_, [this](const Removal& removal) {
    if (removal.token != 0 && !sessions_.quiescent(removal.token)) return false;
    sessions_.release(removal.slot);
    networks_.release(removal.slot);
    if (removal.request != 0) {
      contract::MessageHeader command;
      command.request = removal.request;
      command.slot = removal.slot;
      reply(command, ReplyResult::kDone, removal.generation);
    }
    return true;
  });
}

void Endpoint::reply(const contract::MessageHeader& command, ReplyResult result,
                     std::uint32_t generation) {
  if (command.request == 0 || !channel_) return;
  contract::MessageHeader header;
  header.type = MessageType::kReply;
  header.request = command.request;
  header.slot = command.slot;
  header.generation = generation;
  const contract::Reply body{result, generation};
  // Punted frames leave room for as many replies as there are credits, so this cannot fail while
  // control keeps the rules; one that does not loses its answers, not our memory.
  if (events_.push(header, std::as_bytes(std::span(&body, 1)), {}))
    events_pending_ = true;
  else
    header_.channel_events_dropped.add(1);
}

void Endpoint::take_from_workers() {
  for (const WorkerLine& worker : workers_)
    for (rte_ring* ring : worker.to_main)
      if (ring != nullptr) take_from(*ring);
}

void Endpoint::take_from(rte_ring& ring) {
  std::array<void*, kPuntBatch> packets;
  const unsigned count = rte_ring_dequeue_burst(&ring, packets.data(), kPuntBatch, nullptr);
  for (unsigned i = 0; i < count; ++i) {
    auto* packet = static_cast<rte_mbuf*>(packets[i]);
    const PacketContext& context = context_of(packet);
    if (context.lane == Lane::kResolve) {
      resolve_(context.port, context.next_hop, packet);
    } else {
      punt(packet);
      rte_pktmbuf_free(packet);
    }
  }
}

void Endpoint::punt(rte_mbuf* packet) {
  const PacketContext& context = context_of(packet);
  if (!channel_ || packet->nb_segs != 1) return header_.channel_events_dropped.add(1);
  contract::MessageHeader header;
  header.slot = context.slot;
  header.generation = context.generation;
  bool pushed = false;
  if ((context.flags & kPacketPathDead) != 0) {
    header.type = MessageType::kPathDead;
    contract::PathDead body;
    body.opened_since_armed = (context.flags & kPacketOpenedOnce) != 0;
    pushed = events_.push(header, std::as_bytes(std::span(&body, 1)), {}, kReplyReserve);
  } else {
    header.type = MessageType::kPuntedFrame;
    pushed = events_.push(header, {}, octets_of(packet), kReplyReserve);
  }
  if (pushed)
    events_pending_ = true;
  else
    header_.channel_events_dropped.add(1);
}

void Endpoint::transmit(contract::PortRole port, rte_mbuf* packet) {
  WorkerCommand command;
  command.type = WorkerCommandType::kSendFrame;
  command.port = port;
  std::memcpy(static_cast<void*>(&command_of(packet)), &command, sizeof(command));
  enqueue(0, packet);
}

}  // namespace pns::dataplane
