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
//   POST   /v1/confirm              the configuration that waits to be confirmed stays; 409: none
//                                   waits
//   PUT    /v1/drain                no new calls from now on. Body: read_drain_request()
//   GET    /v1/drain                how far it is: draining, deadline_s, calls_left, ...
//   DELETE /v1/drain                cancels it
//   GET    /v1/connections, /v1/sources, /v1/pools, /v1/ports, /v1/workers, /v1/stats, /v1/config
//   GET    /v1/audit                what contradicts what; see subscriber::AuditView
// Errors are {"error": "…"} with a 4xx or 5xx status.
//
// httplib's own few threads read the requests and render the answers. The event loop reads the
// sessions, in turns that are short whatever the number of sessions. A request waits for each turn,
// bounded. Sizes of requests and numbers of threads are bounded.
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
  using Answered = std::pair<int, std::string>;  // HTTP status and JSON

  // A request that the event loop carries out in several turns, with other work between them.
  class Job {
   public:
    Job() = default;
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    virtual ~Job() = default;
    // On the event loop. False: that was the last turn.
    virtual bool turn() = 0;
    // On the request's thread, after each turn: renders what the turn has taken.
    virtual void after_turn() {}
    // On the request's thread, after the last turn.
    virtual Answered answer() = 0;
  };

  struct Handlers {
    // Called on the request's thread. The selector is empty where the path has none.
    using Begin = std::function<std::unique_ptr<Job>(std::string_view selector)>;
    // Give JSON text, on the event loop.
    using OnLoop = std::function<std::string()>;
    // Give JSON text, on the request's thread, from what any thread may read.
    using OnThread = std::function<std::string()>;

    Begin sessions;
    Begin session;
    Begin clear;
    // Calls `answer` once, later or at once, with an HTTP status and JSON. On the event loop.
    std::function<void(std::string_view body, Answer answer)> place;
    std::function<void(std::string_view body, Answer answer)> restart;  // likewise
    std::function<void(std::string_view body, Answer answer)> confirm;  // likewise
    std::function<Answered(std::string_view body)> drain;               // on the event loop
    OnLoop drain_status;
    OnLoop cancel_drain;
    Begin connections;
    Begin sources;
    OnLoop pools;
    OnThread ports;
    OnThread workers;
    Begin stats;
    OnLoop config;
    Begin audit;
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
