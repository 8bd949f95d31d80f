// SPDX-License-Identifier: BSD-3-Clause
#include "pns/log/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>

using namespace pns;
using namespace pns::log;

namespace {

std::string text(Fields fields) {
  return render(Format::kText, "control", Level::kInfo, "call up", fields);
}
nlohmann::json json(Fields fields) {
  return nlohmann::json::parse(render(Format::kJson, "control", Level::kInfo, "call up", fields));
}

}  // namespace

TEST_CASE("log: a line in text is key=value, quoted where it must be", "[log]") {
  CHECK(
      text({{"session", 7}, {"peer", Ipv4Address(0xc6336401)}, {"user", "alice"}, {"ok", true}}) ==
      R"(level=info process=control event="call up" session=7 peer=198.51.100.1 user=alice ok=true)");
  CHECK(text({{"user", ""}}).ends_with(R"( user="")"));
  CHECK(text({{"user", "a b"}}).ends_with(R"( user="a b")"));
  CHECK(text({{"user", "a=b"}}).ends_with(R"( user="a=b")"));
}

TEST_CASE("log: nothing from the wire breaks a line or a terminal", "[log]") {
  CHECK(text({{"user", "x\nlevel=error"}}).ends_with(R"( user="x\u000alevel=error")"));
  CHECK(text({{"user", R"(DOM\bob "B")"}}).ends_with(R"( user="DOM\\bob \"B\"")"));
  CHECK(text({{"user", "\x1b[2J\x7f"}}).ends_with(R"( user="\u001b[2J\u007f")"));
  CHECK(text({{"user", std::string_view("a\0b", 3)}}).ends_with(R"( user="a\u0000b")"));
  CHECK(text({{"user", "M\xc3\xbcller"}}).ends_with(" user=\"M\xc3\xbcller\""));
  CHECK(text({{"user",
               "\xc2\x9b"
               "2J"}})
            .ends_with(R"( user="\u009b2J")"));
  CHECK(text({{"user", "\xff"}}).ends_with(R"( user="\xff")"));
  std::string every;
  for (int octet = 0; octet < 256; ++octet) every += static_cast<char>(octet);
  for (const char c : text({{"user", every}})) CHECK((c >= ' ' && c <= '~'));  // no UTF-8 in it
}

TEST_CASE("log: every line in JSON is one valid object", "[log]") {
  const auto object = json({{"session", 7},
                            {"rate", std::uint64_t{18'446'744'073'709'551'615U}},
                            {"change", -3},
                            {"open", false},
                            {"user", "a \"quoted\" \\ name\n"}});
  CHECK(object.at("level") == "info");
  CHECK(object.at("process") == "control");
  CHECK(object.at("event") == "call up");
  CHECK(object.at("session") == 7);
  CHECK(object.at("rate") == 18'446'744'073'709'551'615U);
  CHECK(object.at("change") == -3);
  CHECK(object.at("open") == false);
  CHECK(object.at("user") == "a \"quoted\" \\ name\n");
  std::string every;
  for (int octet = 0; octet < 256; ++octet) every += static_cast<char>(octet);
  CHECK_NOTHROW(json({{"user", every}}));
  // A text means what it was; octets that are no text can be told apart.
  CHECK(json({{"user", "M\xc3\xbcller"}}).at("user") == "M\xc3\xbcller");
  CHECK(json({{"user",
               "\xc2\x9b"
               "2J"}})
            .at("user") ==
        "\xc2\x9b"
        "2J");
  CHECK(json({{"user", "M\xfcller"}}).at("user") == R"(M\xfcller)");
  for (const char c : render(Format::kJson, "control", Level::kInfo, "x", {{"user", "\xc2\x9b"}}))
    CHECK((c >= ' ' && c <= '~'));
}

TEST_CASE("log: values that are no JSON numbers become texts", "[log]") {
  CHECK(json({{"x", std::numeric_limits<double>::infinity()}}).at("x") == "inf");
  CHECK(json({{"x", std::numeric_limits<double>::quiet_NaN()}}).at("x").is_string());
  CHECK(json({{"x", 'c'}}).at("x") == "c");
  CHECK(json({{"x", 0.5}}).at("x") == 0.5);
}

TEST_CASE("log: a rate limit lets a burst through and counts what it holds back", "[log]") {
  RateLimit limit(3, std::chrono::seconds(1));
  TimePoint now{std::chrono::seconds(100)};
  for (int i = 0; i < 3; ++i) CHECK(limit.allow(now));
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limit.allow(now));
  now += std::chrono::milliseconds(999);
  CHECK_FALSE(limit.allow(now));
  now += std::chrono::milliseconds(1);
  CHECK(limit.allow(now));
  CHECK(limit.take_suppressed() == 6);
  CHECK(limit.take_suppressed() == 0);
}

TEST_CASE("log: a reader that stops costs lines, not time", "[log]") {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  REQUIRE(::fcntl(pipe[0], F_SETFL, O_NONBLOCK) == 0);
  const int before = ::dup(STDERR_FILENO);
  REQUIRE(::dup2(pipe[1], STDERR_FILENO) == STDERR_FILENO);
  start(Level::kInfo, Format::kText, "test");
  std::size_t read = 0;
  const auto drain = [&] {
    std::array<char, 65'536> octets;
    std::string all;
    for (ssize_t got = 0; (got = ::read(pipe[0], octets.data(), octets.size())) > 0;)
      all.append(octets.data(), static_cast<std::size_t>(got));
    read += static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n'));
    return all;
  };
  constexpr std::size_t kLines = 5000;  // more than a pipe holds
  for (std::size_t i = 0; i < kLines; ++i) info("a line", {{"number", i}});
  const auto lost = lines_lost();
  (void)drain();
  info("the last line");
  const std::string last = drain();
  ::dup2(before, STDERR_FILENO);
  for (const int fd : {before, pipe[0], pipe[1]}) ::close(fd);
  CHECK(lost > 0);
  CHECK(lost == lines_lost());
  CHECK(read == kLines + 1 - lost);
  CHECK(last.find("the last line") != std::string::npos);
}
