// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/render.hpp"

#include <array>
#include <catch2/catch.hpp>

#include "pns/cli/management_client.hpp"

using namespace pns::cli;

TEST_CASE("render: a list of objects is an aligned table", "[cli]") {
  const std::string json = R"([
    {"id": 7, "user": "alice", "uptime_s": 3720, "rx_bytes": 1536, "mppe": null, "up": true},
    {"id": 1000, "user": "böb", "uptime_s": 5, "rx_bytes": 0, "groups": ["a", "b"]}])";
  CHECK(render(json, {}).value() ==
        "  ID  USER   UPTIME  RX BYTES  MPPE  UP   GROUPS\n"
        "   7  alice    1h2m   1.5 KiB     -  yes  -\n"
        "1000  böb        5s       0 B     -  -    a,b\n");
}

TEST_CASE("render: chosen columns come in their order, absent ones are left out", "[cli]") {
  constexpr std::array<std::string_view, 3> kColumns = {"user", "nothing", "id"};
  CHECK(render(R"([{"id": 7, "x": 1, "user": "alice"}])", kColumns).value() ==
        "USER   ID\n"
        "alice   7\n");
}

TEST_CASE("render: an object is aligned lines, with its lists as tables", "[cli]") {
  CHECK(render(R"({"user": "alice", "drops": {"late": 3}, "ports": [{"name": "access"}]})", {})
            .value() ==
        "user        alice\n"
        "drops.late  3\n"
        "\n"
        "ports:\n"
        "NAME\n"
        "access\n");
}

TEST_CASE("render: an empty list says so, and what is not JSON is an error", "[cli]") {
  CHECK(render("[]", {}).value() == "none\n");
  CHECK(render("{", {}).error() == "the server's answer is not JSON");
  CHECK(indent("<html>").error() == "the server's answer is not JSON");
}

TEST_CASE("render: control characters of a peer do not reach the terminal", "[cli]") {
  CHECK(render("{\"user\": \"a\\u001b[2Jb\\n\"}", {}).value() == "user  a\\u001b[2Jb\\u000a\n");
  CHECK(render("{\"user\": \"a\\u009b2J\"}", {}).value() == "user  a\\u009b2J\n");
  CHECK(render("{\"user\": \"a\xc2\x9b"
               "2J\"}",
               {})
            .value() == "user  a\\u009b2J\n");
  CHECK(render("{\"user\": \"M\xc3\xbcller\"}", {}).value() == "user  M\xc3\xbcller\n");
  CHECK(error_text("{\"error\": \"\\u009b\"}") == "\\u009b");
  CHECK(error_text("\xff\x9b") == "\\xff\\x9b");
  // JSON for a terminal is the same JSON.
  const std::string shown = indent("{\"user\": \"M\xc3\xbc\\u009b\\u202e\\n\"}").value();
  CHECK(shown == "{\n  \"user\": \"M\xc3\xbc\\u009b\\u202e\\n\"\n}\n");
}

TEST_CASE("render: JSON is handed on with every field in its order", "[cli]") {
  CHECK(indent(R"([{"b":1,"a":"x"}])").value() ==
        "[\n  {\n    \"b\": 1,\n    \"a\": \"x\"\n  }\n]\n");
}

TEST_CASE("render: the error of the server's answer", "[cli]") {
  CHECK(error_text(R"({"error": "no such session"})") == "no such session");
  CHECK(error_text("plain") == "plain");
}

TEST_CASE("render: durations show their two largest units", "[cli]") {
  CHECK(human_duration(0) == "0s");
  CHECK(human_duration(59) == "59s");
  CHECK(human_duration(60) == "1m");
  CHECK(human_duration(307) == "5m7s");
  CHECK(human_duration(3600) == "1h");
  CHECK(human_duration(11520 + 59) == "3h12m");
  CHECK(human_duration(86400 * 2 + 3600 * 3) == "2d3h");
}

TEST_CASE("render: sizes", "[cli]") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1023) == "1023 B");
  CHECK(human_bytes(1024) == "1.0 KiB");
  CHECK(human_bytes(20 * 1024 * 1024) == "20 MiB");
  CHECK(human_bytes(~0ULL) == "16 EiB");
}

TEST_CASE("client: a user's name becomes one segment of a path", "[cli]") {
  CHECK(percent_encode("alice-1.x_~") == "alice-1.x_~");
  CHECK(percent_encode("CORP\\bob/x?#%") == "CORP%5Cbob%2Fx%3F%23%25");
}

TEST_CASE("client: a server that is not there is told apart", "[cli]") {
  const auto response = request("/nonexistent/control.sock", Method::kGet, "/v1/stats");
  REQUIRE_FALSE(response);
  CHECK(response.error() == "the server is not running (no socket /nonexistent/control.sock)");
}

TEST_CASE("render: the objects of a list as lines of each", "[cli]") {
  CHECK(render_records(R"([{"user": "alice", "left_s": null}, {"user": "bob", "left_s": 60}])")
            .value() ==
        "user    alice\n"
        "left_s  -\n"
        "\n"
        "user    bob\n"
        "left_s  1m\n");
  CHECK(render_records("[]").value() == "none\n");
  CHECK(render_records(R"({"user": "alice"})").value() == "user  alice\n");
  CHECK(render_records("{").error() == "the server's answer is not JSON");
}
