// SPDX-License-Identifier: BSD-3-Clause
//
// pns-loadgen: emulates many PPTP subscribers against one server and prints what happened as JSON.
// One thread, one Asio loop; one raw GRE socket per source address (needs CAP_NET_RAW). Give each
// source address up to 65,535 sessions.

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "pns/base/be.hpp"
#include "pns/base/random.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/wire/gre.hpp"
#include "tests/loadgen/subscriber.hpp"

namespace pns::loadgen {
namespace {

using asio::ip::tcp;

struct Options {
  std::string server;
  std::string source;
  unsigned sources = 1;
  unsigned sessions = 1;
  unsigned concurrent = 100;  // set-ups in flight
  std::string user = "loadgen";
  std::string password;
  std::string ping;
  unsigned pings = 1;
  double hold = 0;
  double ping_interval = 0;
  double time_limit = 120;
  bool idle_connections = false;
};

TimePoint now() { return std::chrono::steady_clock::now(); }

Ipv4Address address_of(const std::string& text, const char* what) {
  const auto address = Ipv4Address::parse(text);
  if (!address) throw std::runtime_error(std::string(what) + ": not an IPv4 address: " + text);
  return *address;
}

sockaddr_in socket_address(Ipv4Address address) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(address.value);
  return out;
}

class Run;

// One subscriber with its TCP connection.
class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(Run& run, std::size_t source, std::uint16_t call_id);
  void start();
  void close();
  Subscriber machine;

 private:
  void read();
  Run& run_;
  std::size_t source_;
  tcp::socket socket_;
  std::array<std::byte, 4096> buffer_;
  std::size_t filled_ = 0;
};

class Run {
 public:
  explicit Run(const Options& given)
      : options(given),
        tick_(context),
        limit_(context),
        server(address_of(given.server, "--server")) {
    settings.user = options.user;
    settings.password = options.password;
    if (!options.ping.empty()) settings.ping = address_of(options.ping, "--ping");
    settings.pings = options.pings;
    const Ipv4Address first = address_of(options.source, "--source");
    for (unsigned i = 0; i < options.sources; ++i) open_source(Ipv4Address(first.value + i));
  }

  int go();
  void send_gre(std::size_t source, Bytes packet) {
    const sockaddr_in to = socket_address(server);
    if (::sendto(sources[source].fd.get(), packet.data(), packet.size(), MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0)
      ++send_errors;
  }
  void settled();

  Options options;
  SubscriberSettings settings;
  asio::io_context context{1};
  SystemRandom random;

  struct Source {
    Ipv4Address address;
    UniqueFd fd;
    std::unique_ptr<asio::posix::stream_descriptor> descriptor;
    std::vector<Client*> clients;  // by our Call ID
  };
  std::vector<Source> sources;
  std::uint64_t send_errors = 0;

 private:
  void open_source(Ipv4Address address);
  void receive(std::size_t source);
  void launch();
  void tick();
  void finish(const char* why);

  asio::steady_timer tick_;
  asio::steady_timer limit_;
  std::vector<std::shared_ptr<Client>> clients_;
  std::size_t launched_ = 0;
  TimePoint begun_{};
  TimePoint all_settled_{};
  TimePoint next_ping_{};
  bool holding_ = false;
  bool closing_ = false;

 public:
  Ipv4Address server;
};

Client::Client(Run& run, std::size_t source, std::uint16_t call_id)
    : machine(run.settings, call_id, run.random,
              {.control =
                   [this](Bytes message) {
                     if (::send(socket_.native_handle(), message.data(), message.size(),
                                MSG_NOSIGNAL | MSG_EOR) < 0)
                       ++run_.send_errors;
                   },
               .gre = [this](Bytes packet) { run_.send_gre(source_, packet); }}),
      run_(run),
      source_(source),
      socket_(run.context) {}

void Client::start() {
  socket_.open(tcp::v4());
  socket_.set_option(tcp::no_delay(true));
  socket_.bind({asio::ip::address_v4(run_.sources[source_].address.value), 0});
  socket_.async_connect({asio::ip::address_v4(run_.server.value), 1723},
                        [self = shared_from_this()](const asio::error_code& error) {
                          if (error) {
                            self->machine.on_closed(now());
                          } else {
                            if (!self->run_.options.idle_connections)
                              self->machine.on_connected(now());
                            self->read();
                          }
                          self->run_.settled();
                        });
}

void Client::read() {
  socket_.async_read_some(
      asio::buffer(buffer_.data() + filled_, buffer_.size() - filled_),
      [self = shared_from_this()](const asio::error_code& error, std::size_t got) {
        if (error) {
          if (error != asio::error::operation_aborted) self->machine.on_closed(now());
          return self->run_.settled();
        }
        self->filled_ += got;
        std::size_t used = 0;
        for (;;) {
          const Bytes head = Bytes(self->buffer_).subspan(used, self->filled_ - used);
          const auto length = wire::pptp::check_header(head);
          if (!length) return self->machine.on_closed(now());
          if (!*length || head.size() < **length) break;
          const auto message = wire::pptp::parse_message(head);
          used += **length;
          if (message) self->machine.on_control(*message, now());
        }
        std::memmove(self->buffer_.data(), self->buffer_.data() + used, self->filled_ - used);
        self->filled_ -= used;
        self->run_.settled();
        self->read();
      });
}

void Client::close() {
  asio::error_code ignored;
  socket_.close(ignored);
}

void Run::open_source(Ipv4Address address) {
  Source source;
  source.address = address;
  source.fd.reset(::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_GRE));
  const sockaddr_in local = socket_address(address);
  const int room = 8 << 20;
  if (!source.fd ||
      ::bind(source.fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0)
    throw std::runtime_error("raw GRE socket on " + address.to_string() + ": " +
                             std::strerror(errno));
  (void)::setsockopt(source.fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
  source.clients.resize(65536);
  source.descriptor =
      std::make_unique<asio::posix::stream_descriptor>(context, ::dup(source.fd.get()));
  sources.push_back(std::move(source));
  receive(sources.size() - 1);
}

void Run::receive(std::size_t index) {
  sources[index].descriptor->async_wait(
      asio::posix::stream_descriptor::wait_read, [this, index](const asio::error_code& error) {
        if (error) return;
        std::array<std::byte, 4096> packet;
        for (int i = 0; i < 256; ++i) {
          const auto got =
              ::recv(sources[index].fd.get(), packet.data(), packet.size(), MSG_DONTWAIT);
          if (got < 28) break;
          const std::size_t ip = (std::to_integer<std::size_t>(packet[0]) & 0x0f) * 4;
          be32 from;
          std::memcpy(&from, packet.data() + 12, sizeof(from));
          const Bytes gre = Bytes(packet).first(static_cast<std::size_t>(got)).subspan(ip);
          const auto header = wire::parse_gre(gre);
          if (!header || Ipv4Address(from) != server) continue;
          if (Client* client = sources[index].clients[header->call_id]; client != nullptr)
            client->machine.on_gre(gre, now());
        }
        settled();
        receive(index);
      });
}

void Run::launch() {
  std::size_t in_flight = 0;
  for (const auto& client : clients_) {
    const Stage stage = client->machine.stage();
    in_flight += stage < Stage::kUp ? 1 : 0;
  }
  while (launched_ < options.sessions && in_flight < options.concurrent) {
    const std::size_t source = launched_ % sources.size();
    const auto call_id = static_cast<std::uint16_t>(launched_ / sources.size() + 1);
    auto client = std::make_shared<Client>(*this, source, call_id);
    sources[source].clients[call_id] = client.get();
    clients_.push_back(client);
    client->start();
    ++launched_;
    ++in_flight;
  }
}

void Run::settled() {
  if (closing_ || holding_) return;
  launch();
}

void Run::tick() {
  const auto time = now();
  std::size_t open = 0;
  std::size_t unfinished = 0;
  for (const auto& client : clients_) {
    client->machine.on_tick(time);
    const Stage stage = client->machine.stage();
    unfinished += stage < Stage::kUp ? 1 : 0;
    open += stage != Stage::kDone && stage != Stage::kFailed ? 1 : 0;
  }
  if (!holding_ && !closing_) {
    launch();
    if (launched_ == options.sessions && unfinished == 0) {
      holding_ = true;
      all_settled_ = time;
      next_ping_ = time;
    }
  }
  if (holding_ && options.ping_interval > 0 && time >= next_ping_) {
    next_ping_ = time + std::chrono::duration_cast<Duration>(
                            std::chrono::duration<double>(options.ping_interval));
    for (const auto& client : clients_)
      if (client->machine.stage() == Stage::kUp) client->machine.send_ping(time);
  }
  if (holding_ && time - all_settled_ >= std::chrono::duration_cast<Duration>(
                                             std::chrono::duration<double>(options.hold))) {
    holding_ = false;
    closing_ = true;
    for (const auto& client : clients_) client->machine.hang_up(time);
  }
  if (closing_ && open == 0) return finish("");
  tick_.expires_after(std::chrono::milliseconds(20));
  tick_.async_wait([this](const asio::error_code& error) {
    if (!error) tick();
  });
}

void Run::finish(const char* why) {
  std::vector<double> set_ups;
  std::vector<double> answers;
  std::map<std::string, unsigned> failures;
  unsigned retransmitting = 0;
  std::uint64_t pings_sent = 0;
  std::uint64_t pings_answered = 0;
  std::uint64_t up = 0;
  for (const auto& client : clients_) {
    const Subscriber& machine = client->machine;
    if (machine.set_up()) {
      ++up;
      set_ups.push_back(static_cast<double>(machine.set_up()->count()) / 1e6);
    }
    if (machine.first_answer())
      answers.push_back(static_cast<double>(machine.first_answer()->count()) / 1e6);
    if (machine.stage() == Stage::kFailed) ++failures[machine.failure()];
    retransmitting += machine.retransmissions() != 0 ? 1 : 0;
    pings_sent += machine.pings_sent();
    pings_answered += machine.pings_answered();
    client->close();
  }
  const auto percentile = [](std::vector<double>& values, double p) {
    if (values.empty()) return 0.0;
    std::ranges::sort(values);
    return values[std::min(values.size() - 1,
                           static_cast<std::size_t>(p * static_cast<double>(values.size())))];
  };
  const double seconds = static_cast<double>((all_settled_ - begun_).count()) / 1e9;
  const nlohmann::ordered_json result = {
      {"sessions", options.sessions},
      {"up", up},
      {"failed", failures},
      {"stopped", why},
      {"with_retransmissions", retransmitting},
      {"seconds", seconds},
      {"set_ups_per_second", seconds > 0 ? static_cast<double>(up) / seconds : 0.0},
      {"set_up_ms",
       {{"p50", percentile(set_ups, 0.5)},
        {"p99", percentile(set_ups, 0.99)},
        {"max", percentile(set_ups, 1.0)}}},
      {"first_answer_ms",
       {{"p50", percentile(answers, 0.5)},
        {"p99", percentile(answers, 0.99)},
        {"max", percentile(answers, 1.0)}}},
      {"pings_sent", pings_sent},
      {"pings_answered", pings_answered},
      {"send_errors", send_errors}};
  std::cout << result.dump(2) << std::endl;
  context.stop();
}

int Run::go() {
  begun_ = now();
  launch();
  tick();
  limit_.expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(options.time_limit)));
  limit_.async_wait([this](const asio::error_code& error) {
    if (!error) finish("time limit");
  });
  context.run();
  const auto all_up = std::ranges::all_of(
      clients_, [](const auto& client) { return client->machine.set_up().has_value(); });
  const auto any_failed = std::ranges::any_of(
      clients_, [](const auto& client) { return client->machine.stage() == Stage::kFailed; });
  return options.idle_connections || (all_up && !any_failed) ? 0 : 1;
}

}  // namespace
}  // namespace pns::loadgen

int main(int argc, char** argv) {
  using namespace pns::loadgen;
  CLI::App app(
      "Emulates PPTP subscribers; prints JSON; exit status 0 when every session came up and "
      "ended politely",
      "pns-loadgen");
  Options options;
  app.add_option("--server", options.server, "address of the server")->required();
  app.add_option("--source", options.source, "first source address, configured here")->required();
  app.add_option("--sources", options.sources, "how many consecutive source addresses");
  app.add_option("--sessions", options.sessions, "sessions in all");
  app.add_option("--concurrent", options.concurrent, "set-ups in flight at a time");
  app.add_option("--user", options.user, "user name");
  app.add_option("--password", options.password, "password");
  app.add_option("--ping", options.ping, "intranet host to ping through each tunnel");
  app.add_option("--pings", options.pings, "answers that make a session count as up");
  app.add_option("--hold", options.hold, "seconds to stay up once all are settled");
  app.add_option("--ping-interval", options.ping_interval, "seconds between pings while holding");
  app.add_option("--time-limit", options.time_limit, "seconds after which to give up");
  app.add_flag("--idle-connections", options.idle_connections,
               "connect and stay silent until the time limit");
  CLI11_PARSE(app, argc, argv);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }
  try {
    return Run(options).go();
  } catch (const std::exception& error) {
    std::cerr << "pns-loadgen: " << error.what() << '\n';
    return 2;
  }
}
