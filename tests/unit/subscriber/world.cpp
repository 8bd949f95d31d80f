// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/subscriber/world.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>

#include <asio/post.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "controlplane/runtime/control_socket.hpp"
#include "controlplane/subscriber/settings.hpp"

namespace pns::test {

using namespace contract;

FakeDataplane::FakeDataplane(const std::filesystem::path& socket, SessionMemory& memory)
    : path_(socket), memory_(memory) {
  back();
}

void FakeDataplane::back() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  std::filesystem::remove(path_);
  listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
          0);
  REQUIRE(::listen(listener_.get(), 4) == 0);
}

void FakeDataplane::die() {
  listener_.reset();
  channel_ = Channel();
  control_.reset();
  held_.clear();
  // As SessionTable::adopt() does at the next start.
  for (auto& record : memory_.sessions())
    if (record.state == SlotState::kRemoving) record.state = SlotState::kFree;
}

std::size_t FakeDataplane::slots_in_use() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      memory_.sessions(), [](const auto& record) { return record.state != SlotState::kFree; }));
}

bool FakeDataplane::turn() {
  bool worked = false;
  if (listener_) {
    if (UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        socket) {
      channel_ = Channel::create_and_send(socket.get()).value();
      commands_ = channel_.command_consumer();
      events_ = channel_.event_producer();
      control_ = std::move(socket);
      held_.clear();
      worked = true;
    }
  }
  if (!channel_) return worked;
  auto message = std::make_unique<ReceivedMessage>();
  while (channel_ && commands_.pop(*message) == RingConsumer::Outcome::kMessage) {
    worked = true;
    handle(*message);
  }
  for (std::size_t left = held_.size(); left > 0; --left) {
    auto first = std::move(held_.front());
    held_.pop_front();
    handle(*first);
  }
  if (channel_ && std::exchange(pushed_, false)) events_.notify();
  return worked;
}

void FakeDataplane::handle(const ReceivedMessage& message) {
  const auto type = message.header.type;
  if (lose && lose(type)) return;
  if ((type == MessageType::kInstallSession && hold_installs) ||
      (type == MessageType::kRemoveSession && hold_removals)) {
    held_.push_back(std::make_unique<ReceivedMessage>(message));
    return;
  }
  ++seen[type];
  carry_out(message);
}

void FakeDataplane::carry_out(const ReceivedMessage& message) {
  const auto& header = message.header;
  auto& record = memory_.sessions()[header.slot.value];
  const std::uint32_t generation = record.generation;
  if (header.type == MessageType::kInstallSession) {
    if (refuse_install) return reply(header, *refuse_install, 0);
    if (record.state != SlotState::kFree) return reply(header, ReplyResult::kBadSlot, 0);
    const auto spec = message.body_as<InstallSession>().value();
    record.generation = generation + 1;
    record.our_call_id = spec.our_call_id;
    record.peer_call_id = spec.peer_call_id;
    record.local = spec.local;
    record.peer = spec.peer;
    record.flags = 0;
    record.subscriber = {};
    record.upstream.mppe = {};
    record.downstream.mppe = {};
    record.upstream.last_receive_ns = 0;
    record.state = SlotState::kInstalled;
    clients[header.slot.value] = PppClient();
    installed_calls.emplace_back(header.slot.value, spec.peer_call_id.value);
    return reply(header, ReplyResult::kDone, generation + 1);
  }
  if (record.state != SlotState::kInstalled || generation != header.generation)
    return reply(header,
                 header.type == MessageType::kRemoveSession ? ReplyResult::kDone
                                                            : ReplyResult::kBadGeneration,
                 header.generation);
  switch (header.type) {
    case MessageType::kRemoveSession:
      record.state = SlotState::kFree;
      return reply(header, ReplyResult::kDone, generation);
    case MessageType::kConfigureLink:
      record.flags = message.body_as<ConfigureLink>()->open ? record.flags | kFlagLcpOpen
                                                            : record.flags & ~kFlagLcpOpen;
      return;
    case MessageType::kArmMppe:
      record.upstream.mppe.mode = record.downstream.mppe.mode = mppe::Mode::kStateless;
      return;
    case MessageType::kDisarmMppe:
      record.upstream.mppe.mode = record.downstream.mppe.mode = mppe::Mode::kOff;
      return;
    case MessageType::kOpenIpv4: {
      if (refuse_open) return reply(header, *refuse_open, generation);
      const auto open = message.body_as<OpenIpv4>().value();
      record.subscriber = open.subscriber;
      record.inner_mtu = open.inner_mtu;
      record.flags |= kFlagIpv4Open;
      return reply(header, ReplyResult::kDone, generation);
    }
    case MessageType::kCloseIpv4:
      record.subscriber = {};
      record.flags &= ~kFlagIpv4Open;
      return;
    case MessageType::kInjectFrame: {
      if (!run_ppp) return;
      MessageHeader event;
      event.type = MessageType::kPuntedFrame;
      event.slot = header.slot;
      event.generation = generation;
      for (const auto& answer : clients[header.slot.value].on_frame(message.payload()))
        if (!lose_answer || !lose_answer(answer)) {
          record.upstream.last_receive_ns = 1;
          REQUIRE(events_.push(event, {}, Bytes(answer).subspan(2)));
        }
      pushed_ = true;
      return;
    }
    default:
      return;
  }
}

void FakeDataplane::reply(const MessageHeader& command, ReplyResult result,
                          std::uint32_t generation) {
  if (command.request == 0) return;
  MessageHeader header;
  header.type = MessageType::kReply;
  header.request = command.request;
  header.slot = command.slot;
  const Reply body{result, generation};
  REQUIRE(events_.push(header, std::as_bytes(std::span(&body, 1)), {}));
  pushed_ = true;
}

Host::Host(std::uint32_t max_sessions)
    : memory_fd(SessionMemory::create(max_sessions, false, 1).value()),
      memory(SessionMemory::attach(memory_fd.get()).value()),
      dataplane(directory / "dataplane.sock", memory) {
  memory.header().worker_count = 1;
  config.pools["default"] = {.ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a4000fe)}},
                             .gateway = Ipv4Address(0x0a400001)};
}

std::vector<Grants::Connection> Host::grants() const {
  std::vector<Grants::Connection> out;
  for (const auto& [id, known] : stored)
    out.push_back(
        {UniqueFd(::dup(known.fd.get())), known.id, known.local, known.peer, known.tcp_port});
  return out;
}

UniqueFd Control::supervisor_pair(UniqueFd& other) {
  std::array<int, 2> fds{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) == 0);
  other.reset(fds[1]);
  return UniqueFd(fds[0]);
}

namespace {

std::vector<aaa::LocalUser> users() {
  std::vector<aaa::LocalUser> out(2);
  out[0].name = "User";
  out[0].nt_hash = crypto::nt_password_hash("clientPass").value();
  out[1].name = "Other";
  out[1].nt_hash = crypto::nt_password_hash("otherPass").value();
  out[1].address = Ipv4Address(0x0a400063);
  return out;
}

}  // namespace

std::unique_ptr<resume::Journal> open_journal(const Host& host, resume::Journal::Post post) {
  return resume::Journal::open(host.directory / "store", 64, "boot", std::move(post)).value();
}

Control::Control(Host& the_host)
    : host(the_host),
      pools(subscriber::make_pools(host.config)),
      authenticator(users(), random),
      journal(open_journal(host,
                           [this](resume::Journal::Action action) {
                             if (!hold_turns) asio::post(loop, std::move(action));
                           })),
      supervisor(loop, supervisor_pair(supervisor_end), contract::kSupervisorVersion,
                 {.stop = {}, .lost = {}}),
      dataplane(loop, host.directory / "dataplane.sock",
                {.attached = [this] { service->on_dataplane_attached(); },
                 .detached = [this] { service->on_dataplane_detached(); },
                 .punted = [this](control::SessionHandle handle,
                                  Bytes frame) { service->on_punted(handle, frame); },
                 .path_dead = [this](control::SessionHandle handle,
                                     bool opened) { service->on_path_dead(handle, opened); }}) {
  service = std::make_unique<subscriber::Service>(
      subscriber::Services{.loop = event_loop,
                           .config = host.config,
                           .memory = host.memory,
                           .statistics = statistics,
                           .keeper = supervisor,
                           .dataplane = dataplane,
                           .authenticator = authenticator,
                           .pools = pools,
                           .journal = *journal,
                           .random = random},
      subscriber::CallControl::Network{
          .make_transport =
              [this](UniqueFd fd, ConnectionId id, control::MessageTransport::Owner& owner) {
                return std::make_shared<control::ControlSocket>(poller, std::move(fd), id, owner);
              },
          .opener = connector,
          .listen = host.listen,
          .pac_port = host.pac_port},
      subscriber::SessionIdSource(1, [&time = host.wall_ms] { return ++time; }));
  service->take_over(host.grants());
  dataplane.start();
  REQUIRE(until([this] { return dataplane.attached(); }));
}

Control::~Control() { turn(); }  // the supervisor reads what was said last

bool Control::turn() {
  bool worked = host.dataplane.turn();
  loop.restart();
  worked |= loop.poll() != 0;
  while (auto received = receive_supervisor_message(supervisor_end.get())) {
    worked = true;
    const auto& message = received->message;
    if (message.type == SupervisorMessageType::kStoreConnection)
      host.stored[message.connection.value] = {std::move(received->fd), message.connection,
                                               message.local, message.peer, message.tcp_port};
    else if (message.type == SupervisorMessageType::kForgetConnection)
      host.stored.erase(message.connection.value);
  }
  return worked;
}

bool Control::until(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    if (turn()) continue;
    loop.restart();
    (void)loop.run_one_for(std::chrono::milliseconds(1));
  }
  return true;
}

void Control::settle() {
  // Loopback TCP and eventfds need a moment of the kernel's: quiet means quiet for a few turns.
  for (int quiet = 0; quiet < 5;) {
    if (turn()) {
      quiet = 0;
      continue;
    }
    loop.restart();
    quiet = loop.run_one_for(std::chrono::milliseconds(1)) != 0 ? 0 : quiet + 1;
  }
}

bool Control::all_free() const {
  return sessions_of(*service).empty() && leases() == 0 && host.dataplane.slots_in_use() == 0;
}

void Caller::connect(Control& control, Ipv4Address local, Ipv4Address peer) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  socket.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  REQUIRE(accepted);
  control.service->accept(std::move(accepted), local, peer, 4711);
}

void Caller::send(const wire::pptp::Message& message) {
  std::array<std::byte, wire::pptp::kLongestMessage> buffer{};
  const auto size = wire::pptp::write_message(buffer, message);
  send(Bytes(buffer).first(size));
}

void Caller::send(Bytes data) {
  REQUIRE(::send(socket.get(), data.data(), data.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(data.size()));
}

void Caller::barrier(Control& control) {
  const std::uint32_t mark = ++echoes_;
  send(wire::pptp::EchoRequest{.identifier = mark});
  REQUIRE(control.until([&] {
    const auto* reply = last<wire::pptp::EchoReply>();
    return reply != nullptr && reply->identifier == mark;
  }));
}

void Caller::start(Control& control) {
  send(wire::pptp::StartControlConnectionRequest{});
  REQUIRE(
      control.until([this] { return last<wire::pptp::StartControlConnectionReply>() != nullptr; }));
}

void Caller::dial(std::uint16_t call_id) {
  send(wire::pptp::OutgoingCallRequest{
      .call_id = call_id, .maximum_bps = 100'000'000, .packet_recv_window_size = 64});
}

PacHost::PacHost(Host& host)
    : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(kAddress.value);
  socklen_t length = sizeof(address);
  REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(listener_.get(), 8) == 0);
  REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  host.pac_port = ntohs(address.sin_port);
}

bool PacHost::called() const {
  pollfd state{listener_.get(), POLLIN, 0};
  return ::poll(&state, 1, 0) > 0;
}

Caller PacHost::accept(Control& control) {
  REQUIRE(control.until([this] { return called(); }));
  return Caller(UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
}

Caller PacHost::establish(Control& control) {
  Caller caller = accept(control);
  REQUIRE(control.until(
      [&] { return caller.last<wire::pptp::StartControlConnectionRequest>() != nullptr; }));
  caller.send(wire::pptp::StartControlConnectionReply{.result_code = 1});
  return caller;
}

const std::vector<wire::pptp::Message>& Caller::read() {
  std::array<std::byte, 4096> buffer;
  while (socket) {
    const auto got = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (got <= 0) {
      closed_ = true;
      break;
    }
    octets_.insert(octets_.end(), buffer.begin(), buffer.begin() + got);
  }
  for (;;) {
    const auto length = wire::pptp::check_header(octets_);
    REQUIRE(length);
    if (!*length || octets_.size() < **length) break;
    const auto message = wire::pptp::parse_message(Bytes(octets_).first(**length));
    REQUIRE(message);
    messages_.push_back(*message);
    octets_.erase(octets_.begin(), octets_.begin() + static_cast<std::ptrdiff_t>(**length));
  }
  return messages_;
}

}  // namespace pns::test
