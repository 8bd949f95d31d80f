// SPDX-License-Identifier: BSD-3-Clause
//
// Octets of memory that one ControlSocket costs while it waits for its peer, and that they all go
// back: what is left over would keep the pages of other objects.
#include <memory>
#include <vector>

#include "controlplane/runtime/control_socket.hpp"
#include "tests/support/live_memory.hpp"
#include "tests/unit/control_runtime/loop.hpp"

using namespace pns;
using namespace pns::control;
using namespace pns::test;

namespace {

class Nobody final : public MessageTransport::Owner {
 public:
  MessageTransport::Framing frame(ConnectionId, Bytes) override { return {.needed = 16}; }
  void on_message(ConnectionId, Bytes) override {}
  void on_closed(ConnectionId, EndReason) override {}
  void on_readable(ConnectionId) override {}
  void when_handled(ConnectionId, std::move_only_function<void()>) override {}
};

// The memory of so many sockets. They are closed, and `left` is what they leave.
std::size_t memory_of(std::size_t count, std::size_t& left) {
  asio::io_context loop{1};
  SocketPoller poller(loop);
  Nobody owner;
  std::vector<TcpPair> pairs(count);
  std::vector<std::shared_ptr<ControlSocket>> sockets(count);
  drain(loop);
  const std::size_t before = live_memory.octets;
  for (std::size_t i = 0; i < count; ++i) {
    sockets[i] =
        std::make_shared<ControlSocket>(poller, std::move(pairs[i].ours), ConnectionId(i), owner);
    sockets[i]->start();
    sockets[i]->send(as_octets("a message"));
  }
  drain(loop);
  const std::size_t with = live_memory.octets;
  for (auto& socket : sockets) socket->close();
  for (auto& socket : sockets) socket.reset();
  drain(loop);
  left = live_memory.octets - before;
  return with - before;
}

}  // namespace

TEST_CASE("socket memory: a socket that waits holds little, and gives it back", "[runtime]") {
  std::size_t left_by_few = 0;
  std::size_t left_by_many = 0;
  const std::size_t few = memory_of(50, left_by_few);
  const std::size_t many = memory_of(150, left_by_many);
  const std::size_t each = (many - few) / 100;
  const std::size_t left = (left_by_many - left_by_few) / 100;
  INFO(each << " octets each, " << left << " of them in the poller's table");
  CHECK(each - left <= 176);
  CHECK(each - left > sizeof(ControlSocket));
  // 24 octets for each descriptor, of which there are two here; and a vector that has grown.
  CHECK(left <= 4 * 24 + 16);
}
