// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/management/server.hpp"

#include <httplib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/post.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

namespace pns::management {
namespace {

constexpr auto kLoopTimeout = std::chrono::seconds(5);
constexpr auto kLoopSlice = std::chrono::milliseconds(100);
constexpr std::size_t kThreads = 12;
// Threads that may wait for a placed call; the others are for everybody else.
constexpr int kMostPlacing = 8;
constexpr auto kPlacingTimeout = std::chrono::seconds(610);  // above what a request may ask for
constexpr auto kRestartTimeout = std::chrono::seconds(30);   // above what the supervisor takes
constexpr auto kFinishPoll = std::chrono::milliseconds(1);
constexpr std::size_t kMaxQueuedConnections = 64;
constexpr std::size_t kMaxRequest = 64 * 1024;

// httplib's pool queues without bound; in this one the thread that accepts waits for room, and
// callers wait in the socket's backlog. (A task cannot be refused: it alone knows which descriptor
// to close.)
class BoundedPool final : public httplib::TaskQueue {
 public:
  explicit BoundedPool(std::size_t threads) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  void enqueue(std::function<void()> task) override {
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [this] { return tasks_.size() < kMaxQueuedConnections; });
      tasks_.push_back(std::move(task));
    }
    ready_.notify_one();
  }
  void shutdown() override {
    {
      const std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    ready_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      room_.notify_one();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  std::condition_variable room_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  bool stop_ = false;
};

// Whether a piece of work has begun on the event loop, or was given up before that. A caller that
// was told 503 must not see the work done later.
class Claim {
 public:
  // True for one caller only: the loop that begins the work, or the thread that gives it up.
  [[nodiscard]] bool take() noexcept { return !taken_.exchange(true); }

 private:
  std::atomic<bool> taken_{false};
};

// Waits for the answer of work that the loop begins by taking `claim`. False: given up before it
// began, because the loop was busy until `until`, or has ended.
template <class Result>
bool wait_for(std::future<Result>& answer, Claim& claim, const asio::io_context& loop,
              std::chrono::steady_clock::time_point until) {
  // In slices: a loop that has ended answers nobody, and must not hold up the end of the process.
  bool ended = false;
  while (answer.wait_for(ended ? std::chrono::milliseconds(0) : kLoopSlice) !=
         std::future_status::ready) {
    // Work that has begun is waited for, unless the loop has ended: then nothing comes any more.
    if (ended || (std::chrono::steady_clock::now() >= until && claim.take())) return false;
    ended = loop.stopped();  // and look once more: the answer may have been its last work
  }
  return true;
}

// Runs `work` on the event loop and waits for it. Empty: the loop did not begin it in time, and
// never will.
template <class Result>
std::optional<Result> on_loop(asio::io_context& loop, std::function<Result()> work) {
  auto promise = std::make_shared<std::promise<Result>>();
  auto claim = std::make_shared<Claim>();
  auto future = promise->get_future();
  asio::post(loop, [promise, claim, work = std::move(work)]() mutable {
    if (!claim->take()) return;
    try {
      // A job may take milliseconds to destroy. `work` lets go of it before the caller goes on, so
      // that the caller is the last one to hold it.
      Result result = std::exchange(work, nullptr)();
      promise->set_value(std::move(result));
    } catch (...) {
      promise->set_exception(std::current_exception());  // the request's failure, not the loop's
    }
  });
  if (!wait_for(future, *claim, loop, std::chrono::steady_clock::now() + kLoopTimeout))
    return std::nullopt;
  return future.get();
}

void refuse(httplib::Response& response, int status, const std::string& why) {
  response.status = status;
  using nlohmann::json;  // `why` may hold what a caller wrote: not UTF-8, perhaps
  response.set_content(json{{"error", why}}.dump(-1, ' ', false, json::error_handler_t::replace),
                       "application/json");
}

// A handler on the event loop that answers at once.
void answer_now(asio::io_context& loop, const std::function<std::string()>& handler,
                httplib::Response& response) {
  const auto body = on_loop<std::string>(loop, handler);
  if (!body) return refuse(response, 503, "the control process is busy");
  response.set_content(*body, "application/json");
}

// A job on the event loop, a turn at a time.
void answer_in_turns(asio::io_context& loop, std::shared_ptr<Server::Job> job,
                     httplib::Response& response) {
  for (bool more = true; more;) {
    const auto turned = on_loop<bool>(loop, [job] { return job->turn(); });
    if (!turned) return refuse(response, 503, "the control process is busy");
    more = *turned;
    job->after_turn();
  }
  auto [status, json] = job->answer();
  response.status = status;
  response.set_content(json, "application/json");
}

// A handler on the event loop that answers when it can. A loop that has ended answers nobody.
void answer_later(asio::io_context& loop,
                  const std::function<void(std::string_view, Server::Answer)>& handler,
                  const httplib::Request& request, httplib::Response& response,
                  std::chrono::steady_clock::duration within) {
  using Answered = Server::Answered;
  const auto promise = std::make_shared<std::promise<Answered>>();
  const auto claim = std::make_shared<Claim>();
  auto answered = promise->get_future();
  asio::post(loop, [handler, body = request.body, promise, claim] {
    if (!claim->take()) return;
    handler(body, [promise](int status, std::string json) {
      promise->set_value({status, std::move(json)});
    });
  });
  if (!wait_for(answered, *claim, loop, std::chrono::steady_clock::now() + within))
    return refuse(response, 503, "the control process is ending");
  auto [status, json] = answered.get();
  response.status = status;
  response.set_content(json, "application/json");
}

}  // namespace

// How many requests are being served. A request counts from its header line to the last octet of
// its answer; a kept connection without a request does not count.
class Server::Requests {
 public:
  void begin() noexcept {
    if (!std::exchange(counts_, true)) ++now_;
  }
  void end() noexcept {
    if (std::exchange(counts_, false)) --now_;
  }
  [[nodiscard]] int now() const noexcept { return now_; }

 private:
  static thread_local bool counts_;  // the request of this thread
  std::atomic<int> now_{0};
};
thread_local bool Server::Requests::counts_ = false;

Server::Server(const std::filesystem::path& socket)
    : server_(std::make_unique<httplib::Server>()),
      requests_(std::make_unique<Requests>()),
      socket_(socket) {
  server_->set_address_family(AF_UNIX);
  (void)::unlink(socket.c_str());
  const mode_t mask = ::umask(0177);  // the socket is born 0600
  const bool bound = server_->bind_to_port(socket.string(), 80);
  ::umask(mask);
  if (!bound) throw std::runtime_error("management.socket: cannot bind " + socket.string());
}

void Server::start(asio::io_context& loop, const Handlers& handlers) {
  server_->new_task_queue = [] { return new BoundedPool(kThreads); };
  server_->set_payload_max_length(kMaxRequest);
  server_->set_keep_alive_max_count(100);
  server_->set_read_timeout(5, 0);
  server_->set_write_timeout(5, 0);

  const auto get = [&](const char* pattern, std::function<std::string()> handler) {
    server_->Get(pattern, [&loop, handler = std::move(handler)](const httplib::Request&,
                                                                httplib::Response& response) {
      answer_now(loop, handler, response);
    });
  };
  get("/v1/pools", handlers.pools);
  get("/v1/config", handlers.config);
  const auto on_thread = [](const Handlers::OnThread& handler) {
    return [handler](const httplib::Request&, httplib::Response& response) {
      response.set_content(handler(), "application/json");
    };
  };
  server_->Get("/v1/ports", on_thread(handlers.ports));
  server_->Get("/v1/workers", on_thread(handlers.workers));
  const auto in_turns = [&loop](const Handlers::Begin& begin) {
    return [&loop, begin](const httplib::Request& request, httplib::Response& response) {
      const std::string selector = request.matches.size() > 1 ? request.matches[1].str() : "";
      answer_in_turns(loop, begin(selector), response);
    };
  };
  server_->Get("/v1/sessions", in_turns(handlers.sessions));
  server_->Get("/v1/connections", in_turns(handlers.connections));
  server_->Get("/v1/sources", in_turns(handlers.sources));
  server_->Get("/v1/stats", in_turns(handlers.stats));
  server_->Get("/v1/audit", in_turns(handlers.audit));
  server_->Get(R"(/v1/sessions/([^/]{1,256}))", in_turns(handlers.session));
  server_->Delete(R"(/v1/sessions/([^/]{1,256}))", in_turns(handlers.clear));
  get("/v1/drain", handlers.drain_status);
  server_->Delete("/v1/drain", [&loop, cancel = handlers.cancel_drain](
                                   const httplib::Request&, httplib::Response& response) {
    answer_now(loop, cancel, response);
  });
  server_->Put("/v1/drain", [&loop, drain = handlers.drain](const httplib::Request& request,
                                                            httplib::Response& response) {
    const auto answer =
        on_loop<Answered>(loop, [drain, body = request.body] { return drain(body); });
    if (!answer) return refuse(response, 503, "the control process is busy");
    response.status = answer->first;
    response.set_content(answer->second, "application/json");
  });
  server_->Post("/v1/calls",
                [&loop, place = handlers.place, placing = std::make_shared<std::atomic<int>>(0)](
                    const httplib::Request& request, httplib::Response& response) {
                  struct Leave {
                    std::atomic<int>& count;
                    ~Leave() { --count; }
                  } leave{*placing};
                  if (++*placing > kMostPlacing)
                    return refuse(response, 503, "too many calls are being placed at once");
                  answer_later(loop, place, request, response, kPlacingTimeout);
                });
  server_->Post("/v1/restart", [&loop, restart = handlers.restart](const httplib::Request& request,
                                                                   httplib::Response& response) {
    answer_later(loop, restart, request, response, kRestartTimeout);
  });
  server_->Post("/v1/confirm", [&loop, confirm = handlers.confirm](const httplib::Request& request,
                                                                   httplib::Response& response) {
    answer_later(loop, confirm, request, response, kRestartTimeout);
  });
  server_->set_error_handler([](const httplib::Request&, httplib::Response& response) {
    if (response.body.empty()) refuse(response, response.status, "no such resource");
  });

  server_->set_pre_routing_handler([this](const httplib::Request&, httplib::Response&) {
    requests_->begin();
    return httplib::Server::HandlerResponse::Unhandled;
  });
  server_->set_logger([this](const httplib::Request&, const httplib::Response&) {
    requests_->end();  // the answer is written
  });
  thread_ = std::thread([this] { (void)server_->listen_after_bind(); });
  // stop() does nothing to a server that is not running yet, and would leave its thread for ever.
  while (!server_->is_running()) std::this_thread::yield();
}

void Server::finish(std::chrono::milliseconds within) {
  server_->stop();
  const auto until = std::chrono::steady_clock::now() + within;
  while (requests_->now() > 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(kFinishPoll);
}

Server::~Server() {
  server_->stop();
  if (thread_.joinable()) thread_.join();
  (void)::unlink(socket_.c_str());
}

}  // namespace pns::management
