// SPDX-License-Identifier: BSD-3-Clause
//
// Server: the management API, HTTP/JSON on a unix socket that only root may open. `pns` uses
// nothing else, and neither need anyone:
//   GET    /v1/sessions             array, one object per session
//   GET    /v1/sessions/{selector}  array of the sessions that match; 404: none does
//   DELETE /v1/sessions/{selector}  ends them: {"cleared": number}
//                                   selector: id=…, user=…, address=…, peer=…, or a user's name
//                                   (subscriber::parse_selector)
//   POST   /v1/calls                places a call. Body: read_place_request(). Answers when its PPP
//                                   link is open (200) or it has failed (502 with the reason)
//   POST   /v1/restart              {"process": "control" | "dataplane" | "supervisor"}: 202 when
//                                   it is about to happen, 409 with the reason when it is refused
//   PUT    /v1/drain                no new calls from now on. Body: read_drain_request()
//   GET    /v1/drain                how far it is: draining, deadline_s, calls_left, ...
//   DELETE /v1/drain                cancels it
//   GET    /v1/connections, /v1/sources, /v1/pools, /v1/ports, /v1/workers, /v1/stats, /v1/config
//   GET    /v1/audit                what contradicts what; see subscriber::AuditView
// Errors are {"error": "…"} with a 4xx or 5xx status.
//
// Requests are read on httplib's own few threads; what touches sessions runs on the event loop,
// and a request waits for it, bounded. Sizes of requests and numbers of threads are bounded.
#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace httplib {
class Server;
}

namespace pns::management {

class Server {
 public:
  using Answer = std::function<void(int status, std::string json)>;
  // Each returns JSON text and runs on the event loop.
  struct Handlers {
    std::function<std::string()> sessions;
    // Each gives an HTTP status and JSON.
    std::function<std::pair<int, std::string>(std::string_view selector)> session;
    std::function<std::pair<int, std::string>(std::string_view selector)> clear;
    // Calls `answer` once, later or at once, with an HTTP status and JSON.
    std::function<void(std::string_view body, Answer answer)> place;
    std::function<void(std::string_view body, Answer answer)> restart;  // likewise
    // Each gives an HTTP status and JSON.
    std::function<std::pair<int, std::string>(std::string_view body)> drain;
    std::function<std::string()> drain_status;
    std::function<std::string()> cancel_drain;
    std::function<std::string()> connections;
    std::function<std::string()> sources;
    std::function<std::string()> pools;
    std::function<std::string()> ports;
    std::function<std::string()> workers;
    std::function<std::string()> stats;
    std::function<std::string()> config;
    std::function<std::string()> audit;
  };

  // Makes the socket; callers wait in its backlog. Throws std::runtime_error when it cannot be
  // made.
  explicit Server(const std::filesystem::path& socket);
  // Serves from now on. `loop` outlives this.
  void start(asio::io_context& loop, const Handlers& handlers);
  // Takes no further connection, and waits until the requests that are being served have their
  // answers. Connections that are kept without a request are not waited for.
  void finish(std::chrono::milliseconds within);
  ~Server();  // also waits for kept connections, up to 5 s
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  class Requests;

  std::unique_ptr<httplib::Server> server_;
  std::unique_ptr<Requests> requests_;
  std::thread thread_;
  std::filesystem::path socket_;
};

}  // namespace pns::management
