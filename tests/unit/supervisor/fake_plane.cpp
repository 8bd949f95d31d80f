// SPDX-License-Identifier: BSD-3-Clause
//
// A plane for the supervisor's tests, both of them by its name (pns-control, pns-dataplane). Its
// orders are in RUN_DIR/fake-NAME, read at start:
//   (absent)      become ready, beat, obey kStop
//   never-ready   end with status 3 before kReady
//   stubborn      become ready and ignore kStop and kLeave
//   asks          become ready and ask for neighbours that cannot exist
// It does not get ready with a configuration whose node.name is one of these:
//   broken        tell the supervisor why, and end with status 1
//   silent        beat and say no more
// With --check it prints RUN_DIR/fake-NAME-check, and ends with 1 when that has an error.
// The control one accepts on its listeners, stores each connection and answers `who` with its pid,
// `name` with the node.name of its configuration, `grants` with what it was given, `forget` by
// making the supervisor forget the connection, `restart X [SECONDS]` with what the supervisor says
// to that.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include "pns/contract/build_contract.hpp"
#include "pns/contract/process.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"

using namespace pns;
using namespace pns::contract;

namespace {

void say(int socket, SupervisorMessageType type, std::uint64_t connection = 0, int fd = -1) {
  SupervisorMessage message;
  message.type = type;
  message.connection = ConnectionId(connection);
  if (!send_supervisor_message(socket, message, fd)) std::exit(4);
}

// node.name of what the supervisor passed on; of the file where it passed nothing on.
std::string node_name(const std::string& file) {
  std::string text(64 * 1024, '\0');
  if (const char* fd = ::getenv("PNS_CONFIG_FD"); fd != nullptr) {
    const ssize_t got = ::pread(std::atoi(fd), text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  } else {
    std::getline(std::ifstream(file), text, '\0');
  }
  constexpr std::string_view kKey = "node: {name: ";
  const auto at = text.find(kKey);
  if (at == std::string::npos) return "none";
  return text.substr(at + kKey.size(), text.find('}', at) - at - kKey.size());
}

int check(const std::string& said) {
  std::string text;
  std::getline(std::ifstream(said), text, '\0');
  std::cout << text;
  return text.find("error: ") == std::string::npos ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_control = std::string(argv[0]).ends_with("pns-control");
  if (argc == 2 && std::strcmp(argv[1], "--contract") == 0) {
    ::puts(to_json(build_contract(), is_control ? "pns-control" : "pns-dataplane").c_str());
    return 0;
  }
  std::string run_dir;
  std::string config;
  bool checks = false;
  int supervisor = -1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--run-dir") == 0) run_dir = argv[i + 1];
    if (std::strcmp(argv[i], "--config") == 0) config = argv[i + 1];
    if (std::strcmp(argv[i], "--check") == 0) checks = true;
    if (std::strcmp(argv[i], "--supervisor-fd") == 0) supervisor = std::atoi(argv[i + 1]);
  }
  const std::string behaviour = run_dir + (is_control ? "/fake-control" : "/fake-dataplane");
  if (checks) return check(behaviour + "-check");
  std::string mode;
  std::ifstream(behaviour) >> mode;
  ::puts("a plane's stdout must not reach the supervisor's");
  ::fflush(stdout);

  auto grants = receive_grants(supervisor, 5000);
  if (!grants) return 5;
  auto memory = SessionMemory::attach(grants->session_memory.get());
  if (!memory) return 6;
  if (mode == "never-ready") return 3;
  const std::string name = node_name(config);
  if (name == "broken") {
    tell_failure(supervisor, "node.name: broken is no name for me");
    return 1;
  }
  while (name == "silent") {
    say(supervisor, SupervisorMessageType::kWatchdog);
    ::usleep(100'000);
  }
  say(supervisor, SupervisorMessageType::kReady);

  if (mode == "asks")
    for (const std::string_view text :
         {"", "nonsense", "224.0.0.1", "127.0.0.1", "0.0.0.0", "::"}) {
      SupervisorMessage message;
      message.type = SupervisorMessageType::kAskNeighbour;
      text.copy(message.text.data(), message.text.size() - 1);
      if (!send_supervisor_message(supervisor, message)) return 4;
    }

  const std::size_t granted = grants->connections.size();
  std::map<int, std::uint64_t> connections;
  std::uint64_t next_id = 1;
  for (auto& connection : grants->connections) {
    next_id = std::max(next_id, connection.id.value + 1);
    connections.emplace(connection.fd.release(), connection.id.value);
  }
  const auto starts_of = [&](Process process) {
    return memory->header().process(process).starts.load();
  };
  bool dataplane_serves = grants->dataplane_serves;
  for (;;) {
    std::vector<pollfd> wait = {{supervisor, POLLIN, 0}};
    for (const auto& listener : grants->listeners) wait.push_back({listener.fd.get(), POLLIN, 0});
    for (const auto& [fd, id] : connections) wait.push_back({fd, POLLIN, 0});
    (void)::poll(wait.data(), wait.size(), 500);
    say(supervisor, SupervisorMessageType::kWatchdog);
    for (std::size_t i = 0; i < wait.size(); ++i) {
      if (wait[i].revents == 0) continue;
      if (i == 0) {
        const auto received = receive_supervisor_message(supervisor);
        if (!received) return 7;
        if (received->message.type == SupervisorMessageType::kPlaneState)
          dataplane_serves = received->message.value != 0;
        const bool obeys = mode != "stubborn";
        if (received->message.type == SupervisorMessageType::kStop && obeys) return 0;
        if (received->message.type == SupervisorMessageType::kLeave && obeys) return 0;
        std::string said;
        if (received->message.type == SupervisorMessageType::kRestartAccepted) said = "accepted";
        if (received->message.type == SupervisorMessageType::kRestartRefused)
          said = received->message.text.data();
        const int asker = static_cast<int>(received->message.request);
        if (!said.empty() && connections.contains(asker))
          (void)::send(asker, said.data(), said.size(), MSG_NOSIGNAL);
      } else if (i <= grants->listeners.size()) {
        const int fd = ::accept4(wait[i].fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        connections.emplace(fd, next_id);
        say(supervisor, SupervisorMessageType::kStoreConnection, next_id++, fd);
      } else {
        std::array<char, 64> text{};
        const ssize_t got = ::read(wait[i].fd, text.data(), text.size() - 1);
        if (got <= 0) {
          say(supervisor, SupervisorMessageType::kForgetConnection, connections.at(wait[i].fd));
          connections.erase(wait[i].fd);
          ::close(wait[i].fd);
          continue;
        }
        const std::string word(text.data(), static_cast<std::size_t>(got));
        std::string answer;
        if (word == "who") answer = std::to_string(::getpid());
        if (word == "name") answer = name;
        if (word == "grants")
          answer = "connections " + std::to_string(granted) + " dataplane " +
                   std::to_string(dataplane_serves) + " starts " +
                   std::to_string(starts_of(Process::kControl)) + "/" +
                   std::to_string(starts_of(Process::kDataplane)) + "/" +
                   std::to_string(starts_of(Process::kSupervisor));
        if (word.starts_with("restart ")) {
          const auto space = word.find(' ', 8);
          const auto process =
              process_of(word.substr(8, space == std::string::npos ? space : space - 8));
          SupervisorMessage message;
          message.type = SupervisorMessageType::kRequestRestart;
          message.value = process ? static_cast<std::uint32_t>(*process) : 99;
          message.request = static_cast<std::uint32_t>(wait[i].fd);
          if (space != std::string::npos)
            message.within_s = static_cast<std::uint32_t>(std::atoi(word.c_str() + space));
          if (!send_supervisor_message(supervisor, message)) return 4;
          continue;
        }
        if (word == "forget") {
          say(supervisor, SupervisorMessageType::kForgetConnection, connections.at(wait[i].fd));
          answer = "forgotten";
        }
        if (::send(wait[i].fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return 8;
      }
    }
  }
}
