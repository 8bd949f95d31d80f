// SPDX-License-Identifier: BSD-3-Clause
//
// The management API over its real socket, its JSON, and the metrics of the same counters.
#include <httplib.h>
#include <prometheus/metric_family.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "controlplane/management/render.hpp"
#include "controlplane/management/server.hpp"
#include "controlplane/metrics/collector.hpp"
#include "pns/base/unique_fd.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::management;
using nlohmann::json;

namespace {

// Answers after so many turns of the loop.
class TestJob final : public Server::Job {
 public:
  using Turned = std::function<void()>;
  explicit TestJob(Server::Answered answer, int turns = 1, Turned on_loop = {},
                   Turned on_thread = {})
      : answer_(std::move(answer)),
        turns_(turns),
        on_loop_(std::move(on_loop)),
        on_thread_(std::move(on_thread)) {}
  bool turn() override {
    if (on_loop_) on_loop_();
    return --turns_ > 0;
  }
  void after_turn() override {
    if (on_thread_) on_thread_();
  }
  Server::Answered answer() override { return answer_; }

 private:
  Server::Answered answer_;
  int turns_;
  Turned on_loop_;
  Turned on_thread_;
};

std::unique_ptr<Server::Job> job(int status, std::string json) {
  return std::make_unique<TestJob>(Server::Answered{status, std::move(json)});
}

struct World {
  pns::test::ScratchDirectory scratch;
  asio::io_context loop{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
  std::thread thread;
  std::vector<std::string> cleared;
  std::vector<Server::Answer> placing;
  Server::Handlers::Begin list_connections = [](std::string_view) { return job(200, "[]"); };
  std::unique_ptr<Server> server;

  World() {
    make_server();
    thread = std::thread([this] { loop.run(); });
  }
  void make_server() {
    server = std::make_unique<Server>(socket());
    server->start(
        loop, Server::Handlers{
                  .sessions = [](std::string_view) { return job(200, "[1]"); },
                  .session =
                      [](std::string_view name) {
                        return name == "alice" ? job(200, "[2]") : job(404, R"({"error":"none"})");
                      },
                  .clear =
                      [this](std::string_view name) {
                        return std::make_unique<TestJob>(
                            name == "alice" ? Server::Answered{200, R"({"cleared":1})"}
                                            : Server::Answered{404, R"({"error":"none"})"},
                            1, [this, name = std::string(name)] { cleared.push_back(name); });
                      },
                  .place =
                      [this](std::string_view body, Server::Answer answer) {
                        if (body == "now") return answer(400, R"({"error":"no"})");
                        placing.push_back(std::move(answer));  // answered later
                      },
                  .restart =
                      [](std::string_view body, const Server::Answer& answer) {
                        answer(body == "yes" ? 202 : 409, R"({"error":"no"})");
                      },
                  .confirm =
                      [](std::string_view, const Server::Answer& answer) {
                        answer(409, R"({"error":"none waits"})");
                      },
                  .drain = [](std::string_view body) -> Server::Answered {
                    if (body == "bad") return {400, R"({"error":"no"})"};
                    return {200, R"({"draining":true})"};
                  },
                  .drain_status = [] { return std::string(R"({"draining":null})"); },
                  .cancel_drain = [] { return std::string(R"({"draining":false})"); },
                  .connections = [this](std::string_view all) { return list_connections(all); },
                  .sources = [](std::string_view) { return job(200, "[]"); },
                  .pools = [] { return std::string("[]"); },
                  .ports = [] { return std::string("[]"); },
                  .workers = []() -> std::string { throw std::runtime_error("broken"); },
                  .stats = [](std::string_view) -> std::unique_ptr<Server::Job> {
                    return std::make_unique<TestJob>(Server::Answered{200, "{}"}, 1,
                                                     [] { throw std::runtime_error("broken"); });
                  },
                  .config = [] { return std::string("{}"); },
                  .audit = [](std::string_view) { return job(200, "{}"); }});
  }
  ~World() {
    server.reset();
    loop.stop();
    if (thread.joinable()) thread.join();
  }
  [[nodiscard]] std::filesystem::path socket() const { return scratch.path / "control.sock"; }
  [[nodiscard]] httplib::Client client() const {
    httplib::Client out(socket().string());
    out.set_address_family(AF_UNIX);
    return out;
  }
};

}  // namespace

TEST_CASE("management: requests are answered from the event loop", "[management]") {
  World world;
  auto client = world.client();
  auto result = client.Get("/v1/sessions");
  REQUIRE(result);
  CHECK(result->status == 200);
  CHECK(result->body == "[1]");
  CHECK(client.Get("/v1/sessions/alice")->body == "[2]");
  CHECK(client.Get("/v1/sessions/bob")->status == 404);
  CHECK(json::parse(client.Get("/v1/sessions/bob")->body).contains("error"));
  CHECK(client.Get("/nothing")->status == 404);
  CHECK(json::parse(client.Get("/nothing")->body).contains("error"));
  CHECK(client.Delete("/v1/sessions/alice")->status == 200);
  CHECK(client.Delete("/v1/sessions/bob")->status == 404);
  CHECK(world.cleared == std::vector<std::string>{"alice", "bob"});
}

TEST_CASE("management: other work of the loop runs between the turns of a job", "[management]") {
  World world;
  constexpr int kTurns = 50;
  // Each turn posts work. It runs before the next turn but one: the next may be posted already.
  int posted = 0;
  int ran = 0;
  int behind = 0;  // turns that came before it
  std::atomic<int> rendered{0};
  std::atomic<bool> on_loop_thread{false};
  const auto turn = [&] {
    behind += ran + 1 < posted ? 1 : 0;
    ++posted;
    asio::post(world.loop, [&] { ++ran; });
  };
  const auto render = [&] {
    ++rendered;
    if (std::this_thread::get_id() == world.thread.get_id()) on_loop_thread = true;
  };
  world.list_connections = [&](std::string_view) {
    return std::make_unique<TestJob>(Server::Answered{200, "[3]"}, kTurns, turn, render);
  };
  CHECK(world.client().Get("/v1/connections")->body == "[3]");
  CHECK(rendered == kTurns);
  CHECK_FALSE(on_loop_thread);
  CHECK(world.client().Get("/v1/sessions")->status == 200);  // the loop has passed that place
  CHECK(posted == kTurns);
  CHECK(behind == 0);
}

TEST_CASE("management: a job is destroyed on the request's thread", "[management]") {
  World world;
  struct Heavy {
    std::thread::id& destroyed_by;
    ~Heavy() { destroyed_by = std::this_thread::get_id(); }
  };
  for (int i = 0; i < 300; ++i) {
    std::thread::id destroyed_by;
    world.list_connections = [&](std::string_view) {
      const auto heavy = std::shared_ptr<Heavy>(new Heavy{destroyed_by});
      return std::make_unique<TestJob>(Server::Answered{200, "[]"}, 3, [heavy] {});
    };
    REQUIRE(world.client().Get("/v1/connections")->status == 200);
    CHECK(world.client().Get("/v1/sessions")->status == 200);  // the loop has passed that place
    REQUIRE(destroyed_by != std::thread::id());
    REQUIRE(destroyed_by != world.thread.get_id());
  }
}

TEST_CASE("management: a loop that ends amid the turns of a job holds no caller", "[management]") {
  World world;
  int turns = 0;
  world.list_connections = [&](std::string_view) {
    return std::make_unique<TestJob>(Server::Answered{200, "[3]"}, 1'000'000, [&] {
      if (++turns == 10) world.loop.stop();
    });
  };
  const auto result = world.client().Get("/v1/connections");
  REQUIRE(result);
  CHECK(result->status == 503);
  CHECK(turns == 10);
}

TEST_CASE("management: pages of a list become one array", "[management]") {
  JsonArray array;
  CHECK(array.empty());
  for (const char* page : {"[]", "[1,2]", "[]", R"([{"a":[]}])"}) array.append(page);
  CHECK_FALSE(array.empty());
  CHECK(array.take() == R"([1,2,{"a":[]}])");
  JsonArray nothing;
  nothing.append("[]");
  CHECK(nothing.take() == "[]");
}

TEST_CASE("management: a restart is accepted or refused with the reason", "[management]") {
  World world;
  auto client = world.client();
  CHECK(client.Post("/v1/restart", "yes", "application/json")->status == 202);
  const auto refused = client.Post("/v1/restart", "no", "application/json");
  REQUIRE(refused);
  CHECK(refused->status == 409);
  CHECK(json::parse(refused->body)["error"] == "no");
  const auto none = client.Post("/v1/confirm", "{}", "application/json");
  REQUIRE(none);
  CHECK(none->status == 409);
}

TEST_CASE("management: a request for a restart names one process, and a time", "[management]") {
  for (const std::string process : {"control", "dataplane", "supervisor"}) {
    const auto request = read_restart_request(R"({"process":")" + process + "\"}");
    REQUIRE(request);
    CHECK(request->process == pns::contract::process_of(process));
    CHECK(request->within == pns::Seconds(0));
  }
  const auto timed = read_restart_request(R"({"process":"control","timeout_s":600})");
  REQUIRE(timed);
  CHECK(timed->within == pns::Seconds(600));
  const auto kept = read_restart_request(R"({"process":"control","confirm_within_s":86400})");
  REQUIRE(kept);
  CHECK(kept->confirm_within == pns::Seconds(86'400));
  for (const char* text :
       {R"({"process":"dataplane","confirm_within_s":60})",
        R"({"process":"control","confirm_within_s":0})",
        R"({"process":"control","confirm_within_s":86401})", "", "[]", "{}", R"({"process":1})",
        R"({"process":"all"})", R"({"process":"control","now":true})",
        R"({"process":"control","timeout_s":0})", R"({"process":"control","timeout_s":601})",
        R"({"process":"control","timeout_s":-1})"}) {
    CAPTURE(text);
    CHECK_FALSE(read_restart_request(text));
  }
}

TEST_CASE("management: a name that is no UTF-8 gets its answer", "[management]") {
  World world;
  auto client = world.client();
  const auto result = client.Get("/v1/sessions/%ff%fe");
  REQUIRE(result);
  CHECK(result->status == 404);
  CHECK(json::parse(result->body).contains("error"));
}

TEST_CASE("management: a handler that throws fails its request, not the loop", "[management]") {
  World world;
  auto client = world.client();
  for (const char* path : {"/v1/stats", "/v1/workers"}) {
    const auto broken = client.Get(path);
    REQUIRE(broken);
    CHECK(broken->status == 500);
  }
  CHECK(client.Get("/v1/sessions")->status == 200);
}

TEST_CASE("management: the socket is its owner's alone and goes with the server", "[management]") {
  World world;
  struct stat status {};
  REQUIRE(::stat(world.socket().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  world.server.reset();
  CHECK_FALSE(std::filesystem::exists(world.socket()));
  world.make_server();  // also over what a killed process left
  CHECK(world.client().Get("/v1/sessions")->status == 200);
  CHECK_THROWS_AS(Server(world.scratch.path / "no" / "such" / "place"), std::runtime_error);
}

TEST_CASE("management: long lines, noise and large bodies are refused, and it goes on serving",
          "[management][conformance-76]") {
  World world;
  // The answer to these octets; empty when it closes without a word.
  const auto answer_to = [&world](const std::string& octets) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    world.socket().string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
            0);
    (void)::send(socket.get(), octets.data(), octets.size(), MSG_NOSIGNAL);  // may close early
    (void)::shutdown(socket.get(), SHUT_WR);
    std::string answer(64, '\0');
    const auto got = ::recv(socket.get(), answer.data(), answer.size(), 0);
    answer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return answer;
  };
  const auto refused = [](const std::string& answer) {
    return answer.empty() || answer.starts_with("HTTP/1.1 4");
  };
  CHECK(refused(answer_to("GET /v1/sessions/" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n")));
  CHECK(refused(
      answer_to("GET /v1/sessions HTTP/1.1\r\nX: " + std::string(100'000, 'b') + "\r\n\r\n")));
  CHECK(refused(answer_to(std::string(100'000, '\xff'))));
  CHECK(refused(answer_to(std::string(1'000, '\0'))));
  CHECK(refused(answer_to("\r\n\r\n")));
  CHECK(refused(answer_to("POST /v1/calls HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nx")));
  CHECK(refused(answer_to("GET /v1/sessions/" + std::string(300, 'a') + " HTTP/1.1\r\n\r\n")));
  CHECK(world.placing.empty());
  for (int i = 0; i < 1'000; ++i) CHECK(refused(answer_to(i % 2 == 0 ? "" : "G")));
  CHECK(world.client().Get("/v1/sessions")->status == 200);
}

TEST_CASE("management: callers beyond the queue wait, and none is forgotten", "[management]") {
  World world;
  std::promise<void> gate;
  std::atomic<bool> held{false};
  asio::post(world.loop, [&, opened = gate.get_future().share()] {
    held = true;
    opened.wait();
  });
  while (!held) std::this_thread::yield();
  constexpr int kCallers = 80;  // twelve are being served, 64 queue
  std::atomic<int> connected{0};
  std::atomic<int> served{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i)
    callers.emplace_back([&] {
      const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      world.socket().string().copy(address.sun_path, sizeof(address.sun_path) - 1);
      const timeval limit{10, 0};
      (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
      if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return;
      const std::string request =
          "GET /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
      (void)!::write(fd.get(), request.data(), request.size());
      ++connected;
      std::string answer(1024, ' ');
      const auto got = ::read(fd.get(), answer.data(), answer.size());
      if (got > 0 && answer.starts_with("HTTP/1.1 200")) ++served;
    });
  while (connected < 70) std::this_thread::yield();
  gate.set_value();
  for (auto& caller : callers) caller.join();
  CHECK(served == kCallers);
}

TEST_CASE("management: a placed call is answered when it is up, and holds up nobody else",
          "[management]") {
  World world;
  CHECK(world.client().Post("/v1/calls", "now", "application/json")->status == 400);
  const auto on_loop = [&world](auto work) {
    std::promise<decltype(work())> promise;
    asio::post(world.loop, [&] { promise.set_value(work()); });
    return promise.get_future().get();
  };
  std::vector<std::future<int>> callers;
  for (std::size_t i = 0; i < 10; ++i) {  // two more than may wait
    callers.push_back(std::async(std::launch::async, [&world] {
      const auto result = world.client().Post("/v1/calls", "{}", "application/json");
      return result ? result->status : 0;
    }));
    // One after the other: the socket's backlog is short.
    if (i < 8)
      while (on_loop([&] { return world.placing.size(); }) <= i) std::this_thread::yield();
    else
      callers.back().wait();
  }
  CHECK(world.client().Get("/v1/sessions")->status == 200);
  (void)on_loop([&] {
    for (const auto& answer : world.placing) answer(200, R"({"session":1})");
    return true;
  });
  std::map<int, int> statuses;
  for (auto& caller : callers) ++statuses[caller.get()];
  CHECK(statuses[200] == 8);
  CHECK(statuses[503] == 2);
}

TEST_CASE("management: a request to place a call is read strictly", "[management]") {
  const auto good = read_place_request(
      R"({"pac": "192.0.2.1", "number": "555", "subaddress": "9", "timeout_s": 5})");
  REQUIRE(good);
  CHECK(good->pac == Ipv4Address(0xc0000201));
  CHECK(good->call.phone_number == "555");
  CHECK(good->call.subaddress == "9");
  CHECK(good->timeout == std::chrono::seconds(5));
  CHECK(read_place_request(R"({"pac": "192.0.2.1"})")->timeout == std::chrono::seconds(60));
  const std::string long_number(65, '5');
  for (const std::string& bad :
       {std::string("no json"), std::string("[]"), std::string("{}"), std::string(R"({"pac": 1})"),
        std::string(R"({"pac": "0.0.0.0"})"), std::string(R"({"pac": "224.0.0.1"})"),
        std::string(R"({"pac": "host"})"), std::string(R"({"pac": "192.0.2.1", "nummer": "5"})"),
        std::string(R"({"pac": "192.0.2.1", "number": 5})"),
        std::string(R"({"pac": "192.0.2.1", "timeout_s": 0})"),
        std::string(R"({"pac": "192.0.2.1", "timeout_s": 601})"),
        std::string(R"({"pac": "192.0.2.1", "timeout_s": -1})"),
        R"({"pac": "192.0.2.1", "number": ")" + long_number + "\"}"}) {
    INFO(bad);
    CHECK_FALSE(read_place_request(bad));
  }
}

TEST_CASE("management: what came of a placed call names the reason and the PAC's codes",
          "[management]") {
  subscriber::PlacedCall call;
  call.session = SessionId(3);
  call.user = "alice";
  call.address = Ipv4Address(0x0a400002);
  CHECK(json::parse(render_placed(call))["session"] == "0000000000000003");
  CHECK(json::parse(render_placed(call))["address"] == "10.64.0.2");
  call.failure = EndReason::call_refused_by_peer;
  call.codes = {2, 4, 17};
  const auto failed = json::parse(render_placed(call));
  CHECK(failed["reason"] == "call_refused_by_peer");
  CHECK(failed["error"].get<std::string>().ends_with(": general-error, no-resource"));
  CHECK(failed["cause_code"] == 17);
}

TEST_CASE("management: a loop that has ended holds no caller and no exit", "[management]") {
  World world;
  world.loop.stop();
  world.thread.join();
  const auto started = std::chrono::steady_clock::now();
  const auto result = world.client().Get("/v1/sessions");
  REQUIRE(result);
  CHECK(result->status == 503);
  CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds(2));
}

TEST_CASE("management: names of any octets are rendered as valid JSON", "[management]") {
  subscriber::SessionView view;
  for (int octet = 0; octet < 256; ++octet) view.user += static_cast<char>(octet);
  view.state = "open";
  const auto sessions = json::parse(render_sessions({view}));
  REQUIRE(sessions.size() == 1);
  for (const char* key :
       {"user", "peer", "address", "state", "our_call_id", "peer_call_id", "auth", "mppe", "worker",
        "uptime_s", "rx_packets", "rx_bytes", "tx_packets", "tx_bytes"})
    CHECK(sessions[0].contains(key));
  subscriber::ConnectionView connection;
  connection.host_name = connection.vendor = view.user;
  CHECK(json::parse(render_connections({connection})).size() == 1);
}

TEST_CASE("management: the terms of a session are rendered, and null where there is no limit",
          "[management]") {
  subscriber::SessionView view;
  auto session = json::parse(render_sessions({view}))[0];
  for (const char* const key :
       {"session_left_s", "idle_timeout_s", "quota_left_bytes", "rx_quota_left_bytes",
        "tx_quota_left_bytes", "rx_rate", "rx_burst_bytes", "tx_rate", "tx_burst_bytes",
        "interim_interval_s"})
    CHECK(session.at(key).is_null());
  for (const char* const key : {"realm", "pool", "rx_filter", "tx_filter"})
    CHECK(session.at(key) == "");
  CHECK(session.at("class") == json::array());

  view.terms = {.realm = "example.com",
                .pool = "gold",
                .session_left_s = 59,
                .idle_timeout_s = 300,
                .quota_left = 5'000'000'000,
                .interim_interval_s = 60,
                .up = {.rate = 1'000'000, .burst = 12'500, .filter = "in", .quota_left = 7},
                .down = {.rate = 2'000'000, .burst = 25'000, .filter = "out", .quota_left = 8},
                .classes = {{std::byte{0}, std::byte{0xff}}, {std::byte{0x41}}}};
  session = json::parse(render_sessions({view}))[0];
  CHECK(session.at("realm") == "example.com");
  CHECK(session.at("pool") == "gold");
  CHECK(session.at("session_left_s") == 59);
  CHECK(session.at("idle_timeout_s") == 300);
  CHECK(session.at("quota_left_bytes") == 5'000'000'000);
  CHECK(session.at("rx_quota_left_bytes") == 7);
  CHECK(session.at("tx_quota_left_bytes") == 8);
  CHECK(session.at("rx_rate") == 1'000'000);
  CHECK(session.at("rx_burst_bytes") == 12'500);
  CHECK(session.at("tx_rate") == 2'000'000);
  CHECK(session.at("tx_burst_bytes") == 25'000);
  CHECK(session.at("rx_filter") == "in");
  CHECK(session.at("tx_filter") == "out");
  CHECK(session.at("interim_interval_s") == 60);
  CHECK(session.at("class") == json{"00ff", "41"});
}

TEST_CASE("management: a drain is begun, asked for and cancelled", "[management]") {
  World world;
  auto client = world.client();
  CHECK(client.Get("/v1/drain")->body == R"({"draining":null})");
  CHECK(client.Put("/v1/drain", "{}", "application/json")->body == R"({"draining":true})");
  const auto bad = client.Put("/v1/drain", "bad", "application/json");
  CHECK(bad->status == 400);
  CHECK(bad->body == R"({"error":"no"})");
  CHECK(client.Delete("/v1/drain")->body == R"({"draining":false})");
}

TEST_CASE("management: the request for a drain, and its answer", "[management]") {
  CHECK(read_drain_request("{}").value() == std::nullopt);
  CHECK(read_drain_request(R"({"deadline_s":null})").value() == std::nullopt);
  CHECK(read_drain_request(R"({"deadline_s":1800})").value() == Seconds(1800));
  CHECK(read_drain_request(R"({"deadline_s":0})").value() == Seconds(0));
  for (const char* wrong : {"", "[]", "7", R"({"deadline_s":-1})", R"({"deadline_s":1.5})",
                            R"({"deadline_s":2592001})", R"({"deadline_s":"1"})", R"({"x":1})"})
    CHECK_FALSE(read_drain_request(wrong));
  subscriber::DrainView view{.draining = true,
                             .deadline_s = 5,
                             .calls_left = 2,
                             .calls_at_start = 9,
                             .connections = 3,
                             .since_s = 4};
  CHECK(json::parse(render_drain(view)) == json{{"draining", true},
                                                {"deadline_s", 5},
                                                {"calls_left", 2},
                                                {"calls_at_start", 9},
                                                {"connections", 3},
                                                {"since_s", 4}});
  view.deadline_s.reset();
  CHECK(json::parse(render_drain(view)).at("deadline_s").is_null());
}

TEST_CASE("metrics: every family has its prefix, one type, and no series twice", "[metrics]") {
  const UniqueFd fd = std::move(*contract::SessionMemory::create(4, false, 1));
  const auto memory = std::move(*contract::SessionMemory::attach(fd.get()));
  memory.header().worker_count = 2;
  memory.workers()[0].drops[1].add(3);
  model::Statistics statistics;
  statistics.setup_time.buckets[2].add(5);
  statistics.setup_time.count.add(5);
  const metrics::Collector collector(memory, statistics, [] {
    return std::vector<metrics::Collector::PoolUse>{{"default", 10, 3}};
  });
  std::set<std::string> names;
  for (const auto& family : collector.Collect()) {
    INFO(family.name);
    CHECK(family.name.starts_with("pns_"));
    CHECK_FALSE(family.help.empty());
    CHECK(names.insert(family.name).second);
    std::set<std::string> series;
    for (const auto& metric : family.metric) {
      std::string labels;
      for (const auto& label : metric.label) labels += label.name + "=" + label.value + ",";
      CHECK(series.insert(labels).second);
    }
  }
  CHECK(names.contains("pns_pool_addresses_used"));
  CHECK(names.contains("pns_packet_buffers_in_use"));
  CHECK(names.contains("pns_port_link_up"));
  const auto stats = json::parse(render_stats(statistics, memory, {}));
  CHECK(stats.at("sessions_max") == 4);
  CHECK(json::parse(render_workers(memory)).size() == 2);
}

TEST_CASE("broadcasts: the same numbers in the metrics and in stats", "[metrics]") {
  const UniqueFd fd = std::move(*contract::SessionMemory::create(4, false, 1));
  const auto memory = std::move(*contract::SessionMemory::attach(fd.get()));
  memory.header().worker_count = 2;
  memory.workers()[0].broadcasts_up.add(1);
  memory.workers()[1].broadcasts_up.add(2);
  memory.workers()[1].broadcasts_down.add(5);
  memory.workers()[0].broadcast_copies.add(40);
  memory.header().main_drops[static_cast<std::size_t>(DropReason::broadcast_limited)].set(7);
  model::Statistics statistics;
  const auto stats = json::parse(render_stats(statistics, memory, {}));
  CHECK(stats.at("broadcasts") == json{{"up", 3}, {"down", 5}, {"copies", 40}});

  std::map<std::string, double> series;
  const metrics::Collector collector(memory, statistics,
                                     [] { return std::vector<metrics::Collector::PoolUse>{}; });
  for (const auto& family : collector.Collect())
    for (const auto& metric : family.metric) {
      std::string text = family.name;
      for (const auto& label : metric.label) text += "," + label.value;
      if (metric.counter.value != 0 && text.find("broadcast") != std::string::npos)
        series[text] = metric.counter.value;
    }
  CHECK(series == std::map<std::string, double>{
                      {"pns_broadcasts_relayed_total,up,0", 1},
                      {"pns_broadcasts_relayed_total,up,1", 2},
                      {"pns_broadcasts_relayed_total,down,1", 5},
                      {"pns_broadcast_copies_total,0", 40},
                      {"pns_dataplane_drops_total,both,broadcast_limited,main", 7}});
}

TEST_CASE("metrics: packets that waited for a rate are counted by worker", "[metrics]") {
  const UniqueFd fd = std::move(*contract::SessionMemory::create(4, false, 1));
  const auto memory = std::move(*contract::SessionMemory::attach(fd.get()));
  memory.header().worker_count = 2;
  memory.workers()[1].shaped.add(41);
  model::Statistics statistics;
  const metrics::Collector collector(memory, statistics,
                                     [] { return std::vector<metrics::Collector::PoolUse>{}; });
  std::map<std::string, double> series;
  for (const auto& family : collector.Collect())
    for (const auto& metric : family.metric)
      if (family.name == "pns_shaped_packets_total")
        series[metric.label.front().value] = metric.counter.value;
  CHECK(series == std::map<std::string, double>{{"0", 0}, {"1", 41}});
}

TEST_CASE("port losses: the same numbers in the metrics, in stats and in ports", "[metrics]") {
  const UniqueFd fd = std::move(*contract::SessionMemory::create(4, false, 1));
  const auto memory = std::move(*contract::SessionMemory::attach(fd.get()));
  const auto tell = [](contract::PortLosses::Place& place, PortLoss loss, std::uint64_t count) {
    place.told |= 1U << static_cast<unsigned>(loss);
    place.counts[static_cast<std::size_t>(loss)].total.add(count);
  };
  auto& access = memory.header().port_losses[0];
  tell(access.queues[1], PortLoss::socket_full, 40);
  tell(access.queues[0], PortLoss::socket_full, 0);
  tell(access.port, PortLoss::missed, 2);
  tell(access.queues[1], PortLoss::send_ring_empty, 999);
  tell(memory.header().port_losses[1].port, PortLoss::twin_full, 5);
  access.device[0].name = {"rx_dropped"};
  access.device[0].count.total.add(77);
  access.device_counters = 1;
  memory.workers()[0].ports[0].rx_packets.add(100);
  model::Statistics statistics;

  std::map<std::string, double> series;
  const metrics::Collector collector(memory, statistics,
                                     [] { return std::vector<metrics::Collector::PoolUse>{}; });
  for (const auto& family : collector.Collect()) {
    if (!family.name.starts_with("pns_port_") || family.name.find("lost") == std::string::npos)
      if (family.name != "pns_port_events_total" && family.name != "pns_port_device_counter_total")
        continue;
    for (const auto& metric : family.metric) {
      std::string text = family.name;
      for (const auto& label : metric.label) text += "," + label.value;
      series[text] = metric.counter.value;
    }
  }
  CHECK(series == std::map<std::string, double>{
                      {"pns_port_receive_lost_packets_total,access,missed", 2},
                      {"pns_port_receive_lost_packets_total,access,socket_full,0", 0},
                      {"pns_port_receive_lost_packets_total,access,socket_full,1", 40},
                      {"pns_port_transmit_lost_packets_total,core,twin_full", 5},
                      {"pns_port_events_total,access,send_ring_empty,1", 999},
                      {"pns_port_device_counter_total,access,rx_dropped", 77}});

  const auto row = [](const char* port, const json& queue, const char* kind, const char* counter,
                      int count) {
    return json{
        {"port", port}, {"queue", queue}, {"kind", kind}, {"counter", counter}, {"count", count}};
  };
  const auto missed = row("access", {}, "receive", "missed", 2);
  const auto full = row("access", 1, "receive", "socket_full", 40);
  const auto twin = row("core", {}, "transmit", "twin_full", 5);
  const auto stats = json::parse(render_stats(statistics, memory, {}));
  CHECK(stats.at("port_losses") == json{missed, full, twin});
  CHECK(stats.at("ports") == json{{{"port", "access"},
                                   {"rx_packets", 100},
                                   {"receiving_workers", 1},
                                   {"receive_lost", 42},
                                   {"tx_packets", 0},
                                   {"transmit_lost", 0}},
                                  {{"port", "core"},
                                   {"rx_packets", 0},
                                   {"receiving_workers", 0},
                                   {"receive_lost", 0},
                                   {"tx_packets", 0},
                                   {"transmit_lost", 5}}});
  CHECK(json::parse(render_ports(memory)) ==
        json{missed, row("access", 0, "receive", "socket_full", 0), full,
             row("access", 1, "event", "send_ring_empty", 999),
             row("access", {}, "device", "rx_dropped", 77), twin});
}

TEST_CASE("management: the workers show what MPPE is computed with", "[management]") {
  const UniqueFd fd = std::move(*contract::SessionMemory::create(4, false, 1));
  const auto memory = std::move(*contract::SessionMemory::attach(fd.get()));
  memory.header().worker_count = 1;
  const auto shown = [&memory] { return json::parse(render_workers(memory)).at(0); };
  CHECK(shown().at("mppe") == "");
  CHECK(shown().at("mppe_rc4").empty());

  auto& mppe = memory.header().mppe;
  mppe.variant = contract::MppeKernelInfo::Variant::kAvx2;
  mppe.forms[0] = 2;
  mppe.forms[1] = 3;
  mppe.forms[2] = 1;
  CHECK(shown().at("mppe") == "avx2");
  CHECK(shown().at("mppe_rc4") == json({"words", "both", "bytes"}));
  CHECK(shown().at("mppe_bytes_step").empty());  // forced: nothing was measured

  mppe.measured = true;
  mppe.bytes_step[0] = 279;
  mppe.words_step[0] = 175;
  CHECK(shown().at("mppe_bytes_step").at(0) == 2.79);
  CHECK(shown().at("mppe_words_step").at(0) == 1.75);
}

TEST_CASE("management: a kept connection without a request does not hold up the end",
          "[management]") {
  World world;
  auto client = world.client();
  client.set_keep_alive(true);
  REQUIRE(client.Get("/v1/sessions")->status == 200);
  const UniqueFd silent(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  world.socket().string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(::connect(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
          0);
  const auto started = std::chrono::steady_clock::now();
  world.server->finish(std::chrono::seconds(1));
  CHECK(std::chrono::steady_clock::now() - started < std::chrono::milliseconds(500));
}

TEST_CASE("management: a request that is being served has its answer before the end",
          "[management]") {
  World world;
  auto caller = std::async(std::launch::async, [&world] {
    const auto result = world.client().Post("/v1/calls", "{}", "application/json");
    return result ? result->status : 0;
  });
  const auto on_loop = [&world](auto work) {
    std::promise<decltype(work())> promise;
    asio::post(world.loop, [&] { promise.set_value(work()); });
    return promise.get_future().get();
  };
  while (on_loop([&] { return world.placing.empty(); })) std::this_thread::yield();
  auto finished =
      std::async(std::launch::async, [&world] { world.server->finish(std::chrono::seconds(10)); });
  CHECK(finished.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout);
  (void)on_loop([&] {
    world.placing.front()(200, R"({"session":1})");
    return true;
  });
  finished.get();
  CHECK(caller.get() == 200);
}

TEST_CASE("management: a request that was answered with 503 is not carried out later",
          "[management][slow]") {
  World world;
  std::promise<void> gate;
  std::atomic<bool> held{false};
  asio::post(world.loop, [&, opened = gate.get_future().share()] {
    held = true;
    opened.wait();
  });
  while (!held) std::this_thread::yield();
  auto client = world.client();
  client.set_read_timeout(10, 0);
  const auto refused = client.Delete("/v1/sessions/alice");  // after 5 s
  gate.set_value();
  REQUIRE(refused);
  CHECK(refused->status == 503);
  CHECK(world.client().Get("/v1/sessions")->status == 200);  // the loop has passed that place
  CHECK(world.cleared.empty());
}
