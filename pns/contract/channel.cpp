// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace pns::contract {
namespace {

constexpr std::size_t record_size(std::size_t body, std::size_t payload) noexcept {
  return (sizeof(MessageHeader) + body + payload + 7) & ~std::size_t{7};
}

// Copies into the ring at a position that may wrap round its end.
void copy_in(std::byte* ring, std::uint64_t position, Bytes source) noexcept {
  const std::size_t at = position & (kRingCapacity - 1);
  const std::size_t first = std::min(source.size(), kRingCapacity - at);
  if (first != 0) std::memcpy(ring + at, source.data(), first);
  if (first != source.size()) std::memcpy(ring, source.data() + first, source.size() - first);
}

void copy_out(const std::byte* ring, std::uint64_t position, MutableBytes target) noexcept {
  const std::size_t at = position & (kRingCapacity - 1);
  const std::size_t first = std::min(target.size(), kRingCapacity - at);
  if (first != 0) std::memcpy(target.data(), ring + at, first);
  if (first != target.size()) std::memcpy(target.data() + first, ring, target.size() - first);
}

void zero(std::byte* ring, std::uint64_t position, std::size_t length) noexcept {
  const std::size_t at = position & (kRingCapacity - 1);
  const std::size_t first = std::min(length, kRingCapacity - at);
  std::memset(ring + at, 0, first);
  std::memset(ring, 0, length - first);
}

std::string system_error(const char* call) {
  return std::string(call) + ": " + std::strerror(errno);
}

}  // namespace

bool RingProducer::push(MessageHeader header, Bytes body, Bytes payload,
                        std::size_t reserve) noexcept {
  if (body.size() > kMaxBody || payload.size() > kMaxFrame) return false;
  const std::size_t needed = record_size(body.size(), payload.size());
  const std::uint64_t head = indices_->head.load(std::memory_order_relaxed);
  const std::uint64_t used = head - indices_->tail.load(std::memory_order_acquire);
  if (used > kRingCapacity || kRingCapacity - used < needed + reserve) return false;
  header.body_size = static_cast<std::uint16_t>(body.size());
  header.payload_size = static_cast<std::uint32_t>(payload.size());
  copy_in(octets_, head, std::as_bytes(std::span(&header, 1)));
  copy_in(octets_, head + sizeof(MessageHeader), body);
  copy_in(octets_, head + sizeof(MessageHeader) + body.size(), payload);
  indices_->head.store(head + needed, std::memory_order_release);
  return true;
}

void RingProducer::notify() noexcept {
  // Pairs with the fence in prepare_sleep(): either we see the flag or the consumer sees our head.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (indices_->consumer_sleeping.load(std::memory_order_relaxed) == 0) return;
  const std::uint64_t one = 1;
  (void)!::write(event_fd_, &one, sizeof(one));
}

RingConsumer::Outcome RingConsumer::pop(ReceivedMessage& out) noexcept {
  const std::uint64_t tail = indices_->tail.load(std::memory_order_relaxed);
  const std::uint64_t available = indices_->head.load(std::memory_order_acquire) - tail;
  if (available == 0) return Outcome::kEmpty;
  if (available > kRingCapacity || available < sizeof(MessageHeader)) return Outcome::kCorrupt;
  copy_out(octets_, tail, std::as_writable_bytes(std::span(&out.header, 1)));
  const MessageHeader& header = out.header;
  if (header.body_size > kMaxBody || header.payload_size > kMaxFrame) return Outcome::kCorrupt;
  const std::size_t length = std::size_t{header.body_size} + header.payload_size;
  const std::size_t whole = record_size(header.body_size, header.payload_size);
  if (whole > available) return Outcome::kCorrupt;
  copy_out(octets_, tail + sizeof(MessageHeader), MutableBytes(out.octets).first(length));
  zero(octets_, tail + sizeof(MessageHeader), header.body_size);  // bodies may hold keys
  indices_->tail.store(tail + whole, std::memory_order_release);
  return Outcome::kMessage;
}

bool RingConsumer::prepare_sleep() noexcept {
  indices_->consumer_sleeping.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (indices_->head.load(std::memory_order_acquire) ==
      indices_->tail.load(std::memory_order_relaxed))
    return true;
  indices_->consumer_sleeping.store(0, std::memory_order_relaxed);
  return false;
}

void RingConsumer::wake(bool signalled) noexcept {
  indices_->consumer_sleeping.store(0, std::memory_order_relaxed);
  if (!signalled) return;
  std::uint64_t count = 0;
  (void)!::read(event_fd_, &count, sizeof(count));
}

Channel::Channel(Channel&& other) noexcept
    : layout_(std::exchange(other.layout_, nullptr)),
      memory_(std::move(other.memory_)),
      command_event_(std::move(other.command_event_)),
      event_event_(std::move(other.event_event_)) {}

Channel& Channel::operator=(Channel&& other) noexcept {
  if (this != &other) {
    std::swap(layout_, other.layout_);
    std::swap(memory_, other.memory_);
    std::swap(command_event_, other.command_event_);
    std::swap(event_event_, other.event_event_);
  }
  return *this;
}

Channel::~Channel() {
  if (layout_ != nullptr) ::munmap(layout_, sizeof(ChannelLayout));
}

std::expected<Channel, std::string> Channel::map(UniqueFd memory, UniqueFd commands,
                                                 UniqueFd events) {
  struct stat status {};
  if (::fstat(memory.get(), &status) != 0) return std::unexpected(system_error("fstat"));
  if (static_cast<std::size_t>(status.st_size) != sizeof(ChannelLayout))
    return std::unexpected("channel: size is " + std::to_string(status.st_size) +
                           ", this program expects " + std::to_string(sizeof(ChannelLayout)));
  void* base =
      ::mmap(nullptr, sizeof(ChannelLayout), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (base == MAP_FAILED) return std::unexpected(system_error("mmap"));
  (void)::madvise(base, sizeof(ChannelLayout), MADV_DONTDUMP);
  Channel channel;
  channel.layout_ = static_cast<ChannelLayout*>(base);
  channel.memory_ = std::move(memory);
  channel.command_event_ = std::move(commands);
  channel.event_event_ = std::move(events);
  return channel;
}

std::expected<Channel, std::string> Channel::create_and_send(int socket) {
  UniqueFd memory(::memfd_create("pns-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return std::unexpected(system_error("memfd_create"));
  if (::ftruncate(memory.get(), sizeof(ChannelLayout)) != 0)
    return std::unexpected(system_error("ftruncate"));
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return std::unexpected(system_error("F_ADD_SEALS"));
  UniqueFd commands(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  UniqueFd events(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!commands || !events) return std::unexpected(system_error("eventfd"));
  const std::array<int, 3> fds{memory.get(), commands.get(), events.get()};

  auto channel = map(std::move(memory), std::move(commands), std::move(events));
  if (!channel) return channel;
  // The rings' octets stay the zeros of a fresh memfd; only the small fields are constructed.
  channel->layout_->magic = kChannelMagic;
  channel->layout_->version = kChannelVersion;
  channel->layout_->min_compatible = kChannelMinCompatible;
  channel->layout_->ring_capacity = kRingCapacity;
  new (&channel->layout_->commands) RingIndices;
  new (&channel->layout_->events) RingIndices;

  std::uint64_t magic = kChannelMagic;
  iovec io{&magic, sizeof(magic)};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(fds))> control{};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = SOL_SOCKET;
  item->cmsg_type = SCM_RIGHTS;
  item->cmsg_len = CMSG_LEN(sizeof(fds));
  std::memcpy(CMSG_DATA(item), fds.data(), sizeof(fds));
  if (::sendmsg(socket, &header, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof(magic)))
    return std::unexpected(system_error("sendmsg"));
  return channel;
}

std::expected<Channel, std::string> Channel::receive(int socket, int timeout_ms) {
  pollfd wait{socket, POLLIN, 0};
  if (::poll(&wait, 1, timeout_ms) <= 0)
    return std::unexpected("channel: the dataplane sends no channel");
  std::uint64_t magic = 0;
  std::array<UniqueFd, 3> fds;
  std::size_t count = 0;
  iovec io{&magic, sizeof(magic)};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(3 * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const auto got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  if (got <= 0) return std::unexpected("channel: the dataplane closed the socket");
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item))
    if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_RIGHTS)
      // However many came, each is ours now and must be closed. (Padding has room for a fourth.)
      for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= item->cmsg_len; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(item) + at, sizeof(fd));
        UniqueFd owned(fd);
        if (count < fds.size()) fds.at(count) = std::move(owned);
        ++count;
      }
  if (got != static_cast<ssize_t>(sizeof(magic)) || magic != kChannelMagic || count != fds.size())
    return std::unexpected("channel: malformed hand-shake");
  auto channel = map(std::move(fds[0]), std::move(fds[1]), std::move(fds[2]));
  if (!channel) return channel;
  const ChannelLayout& layout = *channel->layout_;
  const FormatVersion theirs{layout.version, layout.min_compatible};
  if (layout.magic != kChannelMagic || layout.ring_capacity != kRingCapacity ||
      !fit(theirs, {kChannelVersion, kChannelMinCompatible}))
    return std::unexpected("channel: version is " + std::to_string(theirs.version) +
                           " (compatible from " + std::to_string(theirs.min_compatible) +
                           "), this program has " + std::to_string(kChannelVersion) +
                           " (compatible from " + std::to_string(kChannelMinCompatible) + ")");
  return channel;
}

RingProducer Channel::command_producer() noexcept {
  return {layout_->commands, layout_->command_octets, command_event_.get()};
}
RingConsumer Channel::command_consumer() noexcept {
  return {layout_->commands, layout_->command_octets, command_event_.get()};
}
RingProducer Channel::event_producer() noexcept {
  return {layout_->events, layout_->event_octets, event_event_.get()};
}
RingConsumer Channel::event_consumer() noexcept {
  return {layout_->events, layout_->event_octets, event_event_.get()};
}

}  // namespace pns::contract
