// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/connector.hpp"

#include <sys/socket.h>

#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <utility>

#include "controlplane/runtime/socket_address.hpp"

namespace pns::control {
struct Connector::Attempt {
  explicit Attempt(asio::io_context& context) : socket(context), timer(context) {}
  asio::ip::tcp::socket socket;
  asio::steady_timer timer;
  Done done;
};

Connector::Connector(asio::io_context& context, std::size_t max_at_once)
    : context_(context), most_(max_at_once) {}

Connector::~Connector() = default;

std::uint64_t Connector::connect(Ipv4Address local, Ipv4Address remote, std::uint16_t remote_port,
                                 Duration within, Done done) {
  if (attempts_.size() >= most_) return 0;
  const std::uint64_t number = next_++;
  auto& attempt = *attempts_.emplace(number, std::make_unique<Attempt>(context_)).first->second;
  attempt.done = std::move(done);
  const auto fail = [this, number](int error) {
    asio::post(context_, [this, number, error] { finish(number, std::unexpected(error)); });
    return number;
  };

  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const SocketAddress from = to_socket_address({local, 0});
  if (!fd || ::bind(fd.get(), from.get(), from.length) != 0) return fail(errno);
  asio::error_code error;
  attempt.socket.assign(asio::ip::tcp::v4(), fd.get(), error);
  if (error) return fail(error.value());
  (void)fd.release();

  // The handlers find the attempt by its number: it may be over when they run.
  attempt.timer.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(within));
  attempt.timer.async_wait([this, number](const asio::error_code& stopped) {
    if (!stopped) finish(number, std::unexpected(ETIMEDOUT));
  });
  attempt.socket.async_connect(
      asio::ip::tcp::endpoint(asio::ip::address_v4(remote.value), remote_port),
      [this, number](const asio::error_code& result) {
        if (result == asio::error::operation_aborted) return;  // cancelled or timed out
        const auto found = attempts_.find(number);
        if (found == attempts_.end()) return;
        if (result) return finish(number, std::unexpected(result.value()));
        asio::error_code ignored;
        finish(number, UniqueFd(found->second->socket.release(ignored)));
      });
  return number;
}

void Connector::cancel(std::uint64_t attempt) { attempts_.erase(attempt); }

void Connector::finish(std::uint64_t number, std::expected<UniqueFd, int> result) {
  const auto found = attempts_.find(number);
  if (found == attempts_.end()) return;
  const Done done = std::move(found->second->done);
  attempts_.erase(found);
  done(std::move(result));
}

}  // namespace pns::control
