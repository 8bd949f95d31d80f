// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/socket_poller.hpp"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace pns::control {
namespace {

constexpr int kBatch = 64;  // sockets in one turn of the event loop

constexpr unsigned bit(SocketPoller::Wait what) noexcept { return static_cast<unsigned>(what); }

int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return fd;
}

}  // namespace

SocketPoller::SocketPoller(asio::io_context& context)
    : context_(context), epoll_(context, make_epoll()) {
  wait_for_any();
}

// A socket that ends with its entry may call forget().
SocketPoller::~SocketPoller() { const std::vector<Entry> entries = std::exchange(entries_, {}); }

bool SocketPoller::wait(int fd, Wait what, std::shared_ptr<Socket> socket) {
  const auto at = static_cast<std::size_t>(fd);
  if (at >= entries_.size()) entries_.resize(at + 1);
  Entry& entry = entries_[at];
  entry.socket = std::move(socket);
  entry.waits |= bit(what);
  return arm(fd, entry);
}

// One-shot: an event disarms the descriptor. One that was closed without forget() is not known any
// more.
bool SocketPoller::arm(int fd, Entry& entry) noexcept {
  epoll_event event{};
  event.events = EPOLLONESHOT;
  if ((entry.waits & bit(Wait::kReadable)) != 0) event.events |= EPOLLIN;
  if ((entry.waits & bit(Wait::kWritable)) != 0) event.events |= EPOLLOUT;
  event.data.fd = fd;
  const auto control = [&](int operation) {
    return ::epoll_ctl(epoll_.native_handle(), operation, fd, &event) == 0;
  };
  if (entry.known && control(EPOLL_CTL_MOD)) return true;
  entry.known = control(EPOLL_CTL_ADD) || (errno == EEXIST && control(EPOLL_CTL_MOD));
  return entry.known;
}

void SocketPoller::forget(int fd) noexcept {
  const auto at = static_cast<std::size_t>(fd);
  if (at >= entries_.size()) return;
  Entry entry = std::exchange(entries_[at], {});
  if (entry.known) (void)::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
}

void SocketPoller::wait_for_any() {
  epoll_.async_wait(asio::posix::stream_descriptor::wait_read,
                    [this](const asio::error_code& error) {
                      if (!error) run();
                    });
}

// A handler may close any socket, and another one may then have its descriptor: it sees one wake-up
// too many.
void SocketPoller::run() {
  std::array<epoll_event, kBatch> events;
  const int count = ::epoll_wait(epoll_.native_handle(), events.data(), kBatch, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const auto at = static_cast<std::size_t>(event.data.fd);
    if (at >= entries_.size() || !entries_[at].socket) continue;
    Entry& entry = entries_[at];
    const auto socket = entry.socket;
    unsigned ready = entry.waits;
    if ((event.events & (EPOLLERR | EPOLLHUP)) == 0) {
      if ((event.events & EPOLLIN) == 0) ready &= ~bit(Wait::kReadable);
      if ((event.events & EPOLLOUT) == 0) ready &= ~bit(Wait::kWritable);
    }
    entry.waits &= ~ready;
    if (entry.waits != 0)
      (void)arm(event.data.fd, entry);  // known: no new memory is needed
    else
      entry.socket.reset();
    if ((ready & bit(Wait::kReadable)) != 0) socket->on_readable();
    if ((ready & bit(Wait::kWritable)) != 0) socket->on_writable();
  }
  wait_for_any();
}

}  // namespace pns::control
