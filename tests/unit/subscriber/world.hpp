// SPDX-License-Identifier: BSD-3-Clause
//
// The surroundings of a Service, in one process and one thread: a fake dataplane that speaks the
// real Channel over a unix socket and keeps session memory as the real one does, subscribers on
// loopback TCP with a PPP client behind each call, a fake supervisor that keeps what it is given.
// Host outlives Control, so that a test may end one control process and start the next.
#pragma once

#include <sys/socket.h>

#include <asio/io_context.hpp>
#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/dataplane_link/dataplane_link.hpp"
#include "controlplane/runtime/asio_event_loop.hpp"
#include "controlplane/runtime/connector.hpp"
#include "controlplane/runtime/socket_poller.hpp"
#include "controlplane/runtime/supervisor_link.hpp"
#include "controlplane/subscriber/service.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/channel.hpp"
#include "pns/contract/session_memory.hpp"
#include "tests/support/ppp_client.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/unit/subscriber/all_pages.hpp"

namespace pns::test {

// The dataplane's end of the contract, without packets.
class FakeDataplane {
 public:
  FakeDataplane(const std::filesystem::path& socket, contract::SessionMemory& memory);

  // Does what can be done now. Result: something was there to do.
  bool turn();
  // As a SIGKILL of the process; commands not taken yet are lost. back() listens again.
  void die();
  void back();

  bool hold_installs = false;  // leave them in the ring's order, unanswered, until released
  bool hold_removals = false;
  std::optional<contract::ReplyResult> refuse_install;
  std::optional<contract::ReplyResult> refuse_open;
  bool run_ppp = true;  // a client behind each call answers injected frames
  std::function<bool(contract::MessageType)> lose;  // true: this command never arrives
  std::function<bool(Bytes)> lose_answer;           // true: this frame of a client is lost

  std::map<std::uint32_t, PppClient> clients;                            // by slot
  std::map<contract::MessageType, int> seen;                             // commands by type
  std::vector<std::pair<std::uint32_t, std::uint16_t>> installed_calls;  // slot, peer's Call ID
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  [[nodiscard]] std::size_t slots_in_use() const;

 private:
  void handle(const contract::ReceivedMessage& message);
  void carry_out(const contract::ReceivedMessage& message);
  void reply(const contract::MessageHeader& command, contract::ReplyResult result,
             std::uint32_t generation);

  std::filesystem::path path_;
  contract::SessionMemory& memory_;
  UniqueFd listener_;
  UniqueFd control_;
  contract::Channel channel_;
  contract::RingConsumer commands_;
  contract::RingProducer events_;
  std::deque<std::unique_ptr<contract::ReceivedMessage>> held_;
  bool pushed_ = false;
};

// The parts that outlive a control process.
struct Host {
  explicit Host(std::uint32_t max_sessions = 8);

  ScratchDirectory scratch;
  std::filesystem::path directory = scratch.path;
  UniqueFd memory_fd;
  contract::SessionMemory memory;
  FakeDataplane dataplane;
  config::Config config;
  std::vector<Ipv4Address> listen = {Ipv4Address(0x7f000002)};  // placed calls come from here
  std::uint16_t pac_port = 1;                                   // see PacHost
  std::uint64_t wall_ms = 1'800'000'000'000;                    // the wall clock, for session ids
  // The supervisor's: connections it holds, by id.
  std::map<std::uint64_t, contract::Grants::Connection> stored;

  [[nodiscard]] std::vector<contract::Grants::Connection> grants() const;

 private:
};

// The journal of a control process of this host.
[[nodiscard]] std::unique_ptr<resume::Journal> open_journal(const Host& host,
                                                            resume::Journal::Post post);

// One control process.
class Control {
 public:
  explicit Control(Host& host);
  ~Control();

  // Turns everything until the condition holds. False: it did not within five seconds.
  bool until(const std::function<bool()>& condition);
  // Turns everything until nothing happens any more.
  void settle();

  Host& host;
  bool hold_turns = false;  // no turn ends: its changes are not stored
  asio::io_context loop{1};
  FakeRandom random;
  model::Statistics statistics;
  pools::PoolSet pools;
  aaa::LocalAuthenticator authenticator;
  control::AsioEventLoop event_loop{loop};
  control::SocketPoller poller{loop};
  control::Connector connector{loop, subscriber::CallPlacer::kMaxAttempts};
  std::unique_ptr<resume::Journal> journal;
  UniqueFd supervisor_end;
  control::SupervisorLink supervisor;
  control::DataplaneLink dataplane;
  std::unique_ptr<subscriber::Service> service;

  [[nodiscard]] std::int64_t ended(EndReason reason) const {
    return statistics.call_ends[static_cast<std::size_t>(reason)].get();
  }
  // The records for the next process, resting Call IDs of any age.
  [[nodiscard]] resume::Journal::Contents stored() const { return journal->load(0); }
  [[nodiscard]] std::size_t leases() const { return pools.status().front().in_use; }
  // No call, slot or lease is in use.
  [[nodiscard]] bool all_free() const;

 private:
  bool turn();
  static UniqueFd supervisor_pair(UniqueFd& other);
};

// The selector that names one session.
[[nodiscard]] inline subscriber::Selector by_id(SessionId id) {
  return {.kind = subscriber::Selector::Kind::kId, .id = id};
}

// A subscriber's side of one control connection.
class Caller {
 public:
  static constexpr Ipv4Address kLocal{0xc6336401};
  static constexpr Ipv4Address kPeer{0xcb007105};

  explicit Caller(Control& control, Ipv4Address local = kLocal, Ipv4Address peer = kPeer) {
    connect(control, local, peer);
  }
  // A connection that the server opened to us.
  explicit Caller(UniqueFd accepted) : socket(std::move(accepted)) {}

  void send(const wire::pptp::Message& message);
  void send(Bytes octets);
  // Start-Control-Connection and its reply.
  void start(Control& control);
  void dial(std::uint16_t call_id);
  // Returns when everything sent so far has been handled: the answer to an Echo-Request is there.
  void barrier(Control& control);
  void hang_up() { socket.reset(); }
  // Every message that came so far.
  const std::vector<wire::pptp::Message>& read();
  [[nodiscard]] bool closed() {
    (void)read();
    return closed_;
  }
  // The latest message of a type.
  template <class M>
  const M* last() {
    (void)read();
    for (auto message = messages_.rbegin(); message != messages_.rend(); ++message)
      if (const M* found = std::get_if<M>(&*message)) return found;
    return nullptr;
  }
  template <class M>
  std::size_t count() {
    (void)read();
    return static_cast<std::size_t>(std::ranges::count_if(
        messages_, [](const auto& message) { return std::holds_alternative<M>(message); }));
  }

  UniqueFd socket;

 private:
  void connect(Control& control, Ipv4Address local, Ipv4Address peer);
  std::uint32_t echoes_ = 0;
  std::vector<std::byte> octets_;
  std::vector<wire::pptp::Message> messages_;
  bool closed_ = false;
};

// A PAC that the server can call, on loopback: 127.0.0.1, a port of its own. Make it before
// Control.
class PacHost {
 public:
  static constexpr Ipv4Address kAddress{0x7f000001};

  explicit PacHost(Host& host);
  // The connection that the server opens; waits for it.
  [[nodiscard]] Caller accept(Control& control);
  // As accept(), and says Start-Control-Connection-Reply.
  [[nodiscard]] Caller establish(Control& control);
  [[nodiscard]] bool called() const;  // a connection waits to be accepted
  void close() { listener_.reset(); }

 private:
  UniqueFd listener_;
};

}  // namespace pns::test
