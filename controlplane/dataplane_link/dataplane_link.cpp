// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dataplane_link/dataplane_link.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <asio/post.hpp>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "pns/base/secret.hpp"

namespace pns::control {
namespace {

constexpr auto kRetryInterval = std::chrono::milliseconds(20);
// Room that injected frames leave for the commands that must not fail.
constexpr std::size_t kCommandReserve = std::size_t{128} * 1024;
// Events handled before other work of the loop gets its turn.
constexpr int kEventBatch = 128;

template <class T>
Bytes octets_of(const T& value) noexcept {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

DataplaneLink::DataplaneLink(asio::io_context& context, std::filesystem::path socket_path,
                             Events events)
    : context_(context),
      socket_path_(std::move(socket_path)),
      events_(std::move(events)),
      retry_(context),
      socket_(context),
      event_descriptor_(context) {}

DataplaneLink::~DataplaneLink() {
  // The descriptor of event_descriptor_ belongs to the channel.
  if (event_descriptor_.is_open()) event_descriptor_.release();
}

void DataplaneLink::start() { connect(); }

void DataplaneLink::stop() {
  stopped_ = true;
  retry_.cancel();
  detach();
}

void DataplaneLink::connect_later() {
  if (stopped_) return;
  retry_.expires_after(kRetryInterval);
  retry_.async_wait([this](const asio::error_code& error) {
    if (!error) connect();
  });
}

void DataplaneLink::connect() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket_path_.string();
  if (!fd || path.size() >= sizeof(address.sun_path)) return connect_later();
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return connect_later();
  socket_.assign(fd.release());
  socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [this](const asio::error_code& error) {
                       if (!error) on_hand_shake();
                     });
}

void DataplaneLink::on_hand_shake() {
  auto channel = contract::Channel::receive(socket_.native_handle(), 0);
  if (!channel) {
    socket_.close();
    return connect_later();
  }
  channel_ = std::move(*channel);
  commands_ = channel_.command_producer();
  event_ring_ = channel_.event_consumer();
  event_descriptor_.assign(event_ring_.event_fd());
  ++statistics_.attaches;
  wait_hang_up();
  wait_events();
  events_.attached();
}

void DataplaneLink::wait_hang_up() {
  // Nothing is sent on the socket after the hand-shake: readable means closed. A wait that ended
  // before another attach and is handled after it concerns nobody.
  socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [this, attach = statistics_.attaches](const asio::error_code& error) {
                       if (error || attach != statistics_.attaches) return;
                       detach();
                       connect_later();
                     });
}

void DataplaneLink::wait_events() {
  if (!channel_) return;
  if (!event_ring_.prepare_sleep()) {
    asio::post(context_, [this, attach = statistics_.attaches] {
      if (attach == statistics_.attaches) drain_events();
    });
    return;
  }
  event_descriptor_.async_wait(
      asio::posix::stream_descriptor::wait_read,
      [this, attach = statistics_.attaches](const asio::error_code& error) {
        if (!error && attach == statistics_.attaches) drain_events();
      });
}

void DataplaneLink::drain_events() {
  if (!channel_) return;
  event_ring_.wake();
  contract::ReceivedMessage message;
  for (int i = 0; i < kEventBatch; ++i) {
    const auto outcome = event_ring_.pop(message);
    if (outcome == contract::RingConsumer::Outcome::kEmpty) break;
    if (outcome == contract::RingConsumer::Outcome::kCorrupt) {
      detach();
      return connect_later();
    }
    ++statistics_.events;
    if (message.header.type == contract::MessageType::kPuntedFrame) {
      events_.punted({message.header.slot, message.header.generation}, message.payload());
    } else if (message.header.type == contract::MessageType::kPathDead) {
      if (const auto body = message.body_as<contract::PathDead>())
        events_.path_dead({message.header.slot, message.header.generation},
                          body->opened_since_armed);
    } else if (message.header.type == contract::MessageType::kReply) {
      const auto reply = message.body_as<contract::Reply>();
      auto node = outstanding_.extract(message.header.request);
      if (!reply || node.empty()) {
        ++statistics_.replies_unknown;
      } else {
        node.mapped()(Reply(*reply));
      }
    }
    if (!channel_) return;  // a handler stopped us
  }
  wait_events();
}

void DataplaneLink::detach() {
  if (event_descriptor_.is_open()) event_descriptor_.release();
  asio::error_code ignored;
  if (socket_.is_open()) socket_.close(ignored);
  if (!channel_) return;
  channel_ = contract::Channel();
  auto lost = std::exchange(outstanding_, {});
  for (auto& [request, done] : lost) done(std::unexpected(IpcError::kDetached));
  events_.detached();
}

DataplaneLink::Sent DataplaneLink::send(contract::MessageType type, SlotId slot,
                                        std::uint32_t generation, Bytes body, Bytes payload,
                                        Completion* done) {
  if (!channel_) return std::unexpected(IpcError::kDetached);
  if (done != nullptr && outstanding_.size() >= contract::kCommandCredits) {
    ++statistics_.commands_refused;
    return std::unexpected(IpcError::kNoCredit);
  }
  contract::MessageHeader header;
  header.type = type;
  header.slot = slot;
  header.generation = generation;
  if (done != nullptr) {
    header.request = next_request_;
    next_request_ = next_request_ == UINT32_MAX ? 1 : next_request_ + 1;
  }
  const bool frame = type == contract::MessageType::kInjectFrame;
  if (!commands_.push(header, body, payload, frame ? kCommandReserve : 0)) {
    ++statistics_.commands_refused;
    return std::unexpected(IpcError::kRingFull);
  }
  ++statistics_.commands;
  if (done != nullptr) outstanding_.emplace(header.request, std::move(*done));
  if (!flush_posted_) {
    flush_posted_ = true;
    asio::post(context_, [this] {
      flush_posted_ = false;
      flush();
    });
  }
  return {};
}

void DataplaneLink::flush() noexcept {
  if (channel_) commands_.notify();
}

DataplaneLink::Sent DataplaneLink::install(SlotId slot, const contract::InstallSession& spec,
                                           Completion done) {
  return send(contract::MessageType::kInstallSession, slot, 0, octets_of(spec), {}, &done);
}

DataplaneLink::Sent DataplaneLink::remove(SessionHandle session, Completion done) {
  return send(contract::MessageType::kRemoveSession, session.slot, session.generation, {}, {},
              &done);
}

DataplaneLink::Sent DataplaneLink::configure_link(SessionHandle session,
                                                  const contract::ConfigureLink& link) {
  return send(contract::MessageType::kConfigureLink, session.slot, session.generation,
              octets_of(link), {}, nullptr);
}

DataplaneLink::Sent DataplaneLink::arm_mppe(SessionHandle session, contract::ArmMppe& keys) {
  auto sent = send(contract::MessageType::kArmMppe, session.slot, session.generation,
                   octets_of(keys), {}, nullptr);
  wipe(std::as_writable_bytes(std::span(&keys, 1)));
  return sent;
}

DataplaneLink::Sent DataplaneLink::disarm_mppe(SessionHandle session) {
  return send(contract::MessageType::kDisarmMppe, session.slot, session.generation, {}, {},
              nullptr);
}

DataplaneLink::Sent DataplaneLink::open_ipv4(SessionHandle session, const contract::OpenIpv4& open,
                                             Completion done) {
  return send(contract::MessageType::kOpenIpv4, session.slot, session.generation, octets_of(open),
              {}, &done);
}

DataplaneLink::Sent DataplaneLink::close_ipv4(SessionHandle session) {
  return send(contract::MessageType::kCloseIpv4, session.slot, session.generation, {}, {}, nullptr);
}

DataplaneLink::Sent DataplaneLink::open_ipv6(SessionHandle session, const contract::OpenIpv6& open,
                                             Completion done) {
  return send(contract::MessageType::kOpenIpv6, session.slot, session.generation, octets_of(open),
              {}, &done);
}

DataplaneLink::Sent DataplaneLink::close_ipv6(SessionHandle session) {
  return send(contract::MessageType::kCloseIpv6, session.slot, session.generation, {}, {}, nullptr);
}

DataplaneLink::Sent DataplaneLink::set_service(SessionHandle session,
                                               const contract::SessionService& service,
                                               Completion done) {
  return send(contract::MessageType::kSetService, session.slot, session.generation,
              octets_of(service), {}, done ? &done : nullptr);
}

DataplaneLink::Sent DataplaneLink::set_networks(SessionHandle session, const Networks& networks,
                                                Completion done) {
  std::vector<contract::SessionNetwork> list;
  for (const Ipv4Prefix& network : networks.ipv4)
    list.push_back({.address = {0, network.address.value}, .family = 4, .length = network.length});
  for (const Ipv6Prefix& network : networks.ipv6)
    list.push_back({.address = network.address, .family = 6, .length = network.length});
  contract::SetNetworks body;
  body.count = static_cast<std::uint16_t>(list.size());
  return send(contract::MessageType::kSetNetworks, session.slot, session.generation,
              octets_of(body), std::as_bytes(std::span(list)), &done);
}

DataplaneLink::Sent DataplaneLink::inject(SessionHandle session, Bytes frame) {
  return send(contract::MessageType::kInjectFrame, session.slot, session.generation, {}, frame,
              nullptr);
}

}  // namespace pns::control
