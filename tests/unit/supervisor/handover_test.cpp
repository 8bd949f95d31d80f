// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/handover.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

using namespace pns;
using namespace pns::supervisor;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

contract::SupervisorMessage twin_ready() {
  contract::SupervisorMessage message;
  message.type = contract::SupervisorMessageType::kTwinReady;
  message.port = 1;
  message.mac = {1, 2, 3, 4, 5, 6};
  std::strcpy(message.text.data(), "twin1");
  return message;
}

// Every field differs from its default.
HandOver full_state() {
  HandOver state;
  state.program = "/opt/pns/bin/pns";
  state.run_dir_lock = 3;
  state.session_memory = 4;
  state.gre_guard = 5;
  state.services = {.fd = 16, .name = "services0"};
  state.ports[0] = {
      .wire = 6, .twin = 7, .twin_configured = true, .device = "tap:a", .twin_name = "ta"};
  state.ports[1] = {
      .wire = -1, .twin = 8, .twin_configured = false, .device = "0000:01:00.0", .twin_name = "tb"};
  state.listeners = {{9, Ipv4Address(0xc6336401)}, {10, Ipv4Address(0xc6336402)}};
  state.connections = {{.fd = 11,
                        .id = ConnectionId(0xfedcba9876543210),
                        .local = Ipv4Address(0xc6336401),
                        .peer = Ipv4Address(0xffffffff),
                        .tcp_port = 65535}};
  state.control = {.pid = 4711,
                   .socket = 12,
                   .state = PlaneState::kReady,
                   .was_ready = true,
                   .started = Clock::time_point(1s),
                   .ready_at = Clock::time_point(2s),
                   .backoff = 400ms,
                   .kill_at = Clock::time_point(3s),
                   .restart_at = std::nullopt,
                   .waiting = {}};
  state.dataplane.was_ready = true;
  state.dataplane.restart_at = Clock::time_point(4s);
  state.dataplane.waiting = {twin_ready(), twin_ready()};
  state.configurations = {{.config = 13, .users = 14}, {.config = 15, .users = -1}};
  state.configuration = 1;
  state.control.configuration = 0;
  state.request = 0xffffffff;
  state.asked = Clock::time_point(5s);
  return state;
}

void check_equal(const HandOver::Plane& a, const HandOver::Plane& b) {
  CHECK(a.pid == b.pid);
  CHECK(a.socket == b.socket);
  CHECK(a.state == b.state);
  CHECK(a.was_ready == b.was_ready);
  CHECK(a.started == b.started);
  CHECK(a.ready_at == b.ready_at);
  CHECK(a.backoff == b.backoff);
  CHECK(a.kill_at == b.kill_at);
  CHECK(a.configuration == b.configuration);
  CHECK(a.restart_at == b.restart_at);
  REQUIRE(a.waiting.size() == b.waiting.size());
  for (std::size_t i = 0; i < a.waiting.size(); ++i)
    CHECK(std::memcmp(&a.waiting[i], &b.waiting[i], sizeof(a.waiting[i])) == 0);
}

// The answer of decode to the full state after `change`.
std::string refusal_of(const std::function<void(Json&)>& change) {
  Json json = Json::parse(encode(full_state()));
  change(json);
  const auto decoded = decode(json.dump());
  return decoded ? "taken" : decoded.error();
}

}  // namespace

TEST_CASE("hand-over: what was encoded comes back", "[supervisor]") {
  const HandOver state = full_state();
  const auto decoded = decode(encode(state));
  REQUIRE(decoded);
  CHECK(decoded->program == state.program);
  CHECK(decoded->run_dir_lock == 3);
  CHECK(decoded->session_memory == 4);
  CHECK(decoded->gre_guard == 5);
  CHECK(decoded->services == state.services);
  CHECK(decoded->ports == state.ports);
  CHECK(decoded->listeners == state.listeners);
  CHECK(decoded->connections == state.connections);
  CHECK(decoded->configurations == state.configurations);
  CHECK(decoded->configuration == 1);
  check_equal(decoded->control, state.control);
  check_equal(decoded->dataplane, state.dataplane);
  CHECK(decoded->request == state.request);
  CHECK(decoded->asked == state.asked);
  CHECK(decoded->descriptors() ==
        std::vector<int>{3, 4, 5, 12, 16, 6, 7, 8, 9, 10, 11, 13, 14, 15});
}

TEST_CASE("hand-over: no part of one is taken for a whole", "[supervisor]") {
  const std::string text = encode(full_state());
  for (std::size_t length = 0; length < text.size(); ++length)
    REQUIRE_FALSE(decode(std::string_view(text).substr(0, length)));
}

TEST_CASE("hand-over: every item is needed, and refused with another type", "[supervisor]") {
  const Json whole = Json::parse(encode(full_state()));
  const auto try_all = [&](const Json::json_pointer& at) {
    for (const auto& [key, value] : whole[at].items()) {
      CAPTURE(key);
      // An earlier supervisor does not have it.
      const bool added = key == "configuration" || key == "services";
      CHECK((refusal_of([&](Json& json) { json[at].erase(key); }) == "taken") == added);
      CHECK(refusal_of([&](Json& json) { json[at][key] = Json::object(); }) != "taken");
    }
  };
  for (const char* at : {"", "/control", "/dataplane", "/services", "/ports/0", "/listeners/1"})
    try_all(Json::json_pointer(at));
}

TEST_CASE("hand-over: values that cannot be are refused", "[supervisor]") {
  REQUIRE(refusal_of([](Json&) {}) == "taken");
  CHECK(refusal_of([](Json& j) { j["version"] = 99; }) == "taken");  // compatible from ours
  CHECK(refusal_of([](Json& j) { j["version"] = j["min_compatible"] = 99; }) ==
        "hand-over: version is 99 (compatible from 99), this program has 4 (compatible from 2); "
        "see docs/upgrade.md");
  CHECK_THAT(refusal_of([](Json& j) { j["supervisor_protocol_version"] = 1; }),
             Catch::StartsWith("hand-over: supervisor_protocol_version is 1 (compatible"));
  CHECK_THAT(refusal_of([](Json& j) { j["gre_guard"] = 4; }), Catch::Contains("two uses"));
  CHECK_THAT(refusal_of([](Json& j) { j["gre_guard"] = 2; }), Catch::Contains("no descriptor"));
  CHECK_THAT(refusal_of([](Json& j) { j["gre_guard"] = -1; }), Catch::Contains("no descriptor"));
  CHECK_THAT(refusal_of([](Json& j) { j["gre_guard"] = 1ULL << 40; }),
             Catch::Contains("out of range"));
  CHECK_THAT(refusal_of([](Json& j) { j["connections"][0][4] = 65536; }),
             Catch::Contains("out of range"));
  CHECK_THAT(refusal_of([](Json& j) { j["ports"].push_back(j["ports"][0]); }),
             Catch::Contains("number of ports"));
  CHECK_THAT(refusal_of([](Json& j) { j["control"]["pid"] = 1; }), Catch::Contains("no process"));
  CHECK_THAT(refusal_of([](Json& j) { j["control"]["state"] = 3; }),
             Catch::Contains("no state of a plane"));
  CHECK_THAT(refusal_of([](Json& j) { j["control"]["started"] = -1; }), Catch::Contains("time"));
  CHECK_THAT(refusal_of([](Json& j) { j["dataplane"]["socket"] = 13; }),
             Catch::Contains("a plane that is none"));
  const auto with_message = [](const std::string& text) {
    return refusal_of([&](Json& j) { j["dataplane"]["waiting"][0] = text; });
  };
  const std::string message =
      Json::parse(encode(full_state()))["dataplane"]["waiting"][0].get<std::string>();
  REQUIRE(with_message(message) == "taken");
  CHECK_THAT(with_message(message.substr(2)), Catch::Contains("another size"));
  CHECK_THAT(with_message("zz" + message.substr(2)), Catch::Contains("hexadecimal"));
  CHECK_THAT(with_message("00" + message.substr(2)), Catch::Contains("a message that is none"));
}

TEST_CASE("hand-over: sealed memory holds the text, and only sealed memory is read",
          "[supervisor]") {
  const std::string text(100'000, 'x');
  const auto sealed = seal(text);
  REQUIRE(sealed);
  CHECK(::write(sealed->get(), "y", 1) < 0);
  const auto read = read_sealed(sealed->get());
  REQUIRE(read);
  CHECK(*read == text);
  CHECK(*read_sealed(sealed->get()) == text);  // from the start, wherever it was

  const UniqueFd open(::memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK_FALSE(read_sealed(open.get()));
  CHECK_FALSE(read_sealed(STDIN_FILENO));
  CHECK_FALSE(read_sealed(-1));
}

TEST_CASE("hand-over: descriptors are inherited while they are to be", "[supervisor]") {
  const UniqueFd first(::memfd_create("a", MFD_CLOEXEC));
  const UniqueFd second(::memfd_create("b", MFD_CLOEXEC));
  const std::vector<int> both = {first.get(), second.get()};
  REQUIRE(set_inherited(both, true));
  for (const int fd : both) CHECK(::fcntl(fd, F_GETFD) == 0);
  REQUIRE(set_inherited(both, false));
  for (const int fd : both) CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
  const std::vector<int> with_none = {first.get(), 1'000'000};
  CHECK_FALSE(set_inherited(with_none, true));
}

TEST_CASE("hand-over: an earlier supervisor hands no configuration over", "[supervisor]") {
  Json json = Json::parse(encode(full_state()));
  json.erase("configurations");
  json.erase("configuration");
  for (const char* plane : {"control", "dataplane"}) json[plane].erase("configuration");
  const auto decoded = decode(json.dump());
  REQUIRE(decoded);
  CHECK(decoded->configuration == -1);
  CHECK(decoded->control.configuration == -1);
  CHECK_THAT(refusal_of([](Json& j) { j["control"]["configuration"] = 2; }),
             Catch::Contains("no configuration"));
}
