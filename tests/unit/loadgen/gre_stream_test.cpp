// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/gre_stream.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <vector>

#include "pns/wire/gre.hpp"

using namespace pns;
using namespace pns::loadgen;

namespace {

constexpr TimePoint kStart{Seconds(100)};

const Profile& profile(std::string_view name) { return profiles_named(name).front(); }

// The server's packet number `sequence`, whose one octet of payload says so.
std::vector<std::byte> packet(std::uint32_t sequence) {
  std::array<std::byte, 32> buffer;
  wire::GreHeader header;
  header.payload_length = 1;
  header.has_sequence = true;
  header.sequence = sequence;
  const std::size_t size = wire::write_gre(buffer, header);
  buffer[size] = static_cast<std::byte>(sequence);
  return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size) + 1};
}

struct Receiver {
  explicit Receiver(std::string_view name) : stream(profile(name)) {}
  void take(std::uint32_t sequence, TimePoint now = kStart) {
    stream.receive(packet(sequence), now, deliver());
  }
  void wait(TimePoint now) { stream.release(now, deliver()); }
  std::function<void(MutableBytes)> deliver() {
    return [this](MutableBytes frame) { out.push_back(std::to_integer<int>(frame[0])); };
  }
  wire::GreHeader sent() {
    std::array<std::byte, 64> buffer;
    const std::array<std::byte, 2> frame{};
    const auto header = wire::parse_gre(Bytes(buffer).first(stream.wrap(buffer, frame)));
    REQUIRE(header);
    return *header;
  }
  GreStream stream;
  std::vector<int> out;
};

}  // namespace

TEST_CASE("gre stream: first number and window of numbers as the profile has them", "[loadgen]") {
  Receiver android("android");
  android.stream.set_peer_call_id(77);
  CHECK(android.sent().sequence == 0);
  CHECK(android.sent().sequence == 1);
  CHECK(android.sent().call_id == 77);
  CHECK(Receiver("linux-kernel").sent().sequence == 1);
}

TEST_CASE("gre stream: late and repeated packets are dropped", "[loadgen]") {
  Receiver kernel("linux-kernel");
  for (const std::uint32_t sequence : {5U, 7U, 6U, 7U, 8U}) kernel.take(sequence);
  CHECK(kernel.out == std::vector{5, 7, 8});
  CHECK(kernel.stream.counts().stale == 2);
  CHECK(kernel.stream.counts().missing == 1);
}

TEST_CASE("gre stream: pptp-linux waits for what is missing, but not for ever", "[loadgen]") {
  Receiver linux_client("pptp-linux");
  for (const std::uint32_t sequence : {5U, 8U, 7U, 7U, 6U}) linux_client.take(sequence);
  CHECK(linux_client.out == std::vector{5, 6, 7, 8});
  CHECK(linux_client.stream.counts().stale == 1);
  linux_client.take(10);
  linux_client.wait(kStart + Milliseconds(299));
  CHECK(linux_client.out.back() == 8);
  linux_client.wait(kStart + Milliseconds(300));
  CHECK(linux_client.out.back() == 10);
  CHECK(linux_client.stream.counts().missing == 1);
  linux_client.take(9);
  CHECK(linux_client.stream.counts().stale == 2);
}

TEST_CASE("gre stream: numbers go on after 2^32", "[loadgen]") {
  Receiver linux_client("pptp-linux");
  for (const std::uint32_t sequence : {0xfffffffeU, 0U, 1U, 0xffffffffU})
    linux_client.take(sequence);
  CHECK(linux_client.out == std::vector{0xfe, 0xff, 0, 1});
}

TEST_CASE("gre stream: acknowledges with data, alone after a while, or never", "[loadgen]") {
  std::array<std::byte, 16> buffer;
  Receiver windows("windows");
  windows.take(3);
  CHECK(windows.stream.take_ack(buffer, kStart + Milliseconds(99)) == 0);
  const std::size_t size = windows.stream.take_ack(buffer, kStart + Milliseconds(100));
  const auto ack = wire::parse_gre(Bytes(buffer).first(size));
  REQUIRE(ack);
  CHECK(ack->has_ack);
  CHECK(ack->ack == 3);
  CHECK_FALSE(ack->has_sequence);
  CHECK_FALSE(windows.sent().has_ack);  // said already
  windows.take(4);
  CHECK(windows.sent().ack == 4);

  Receiver kernel("linux-kernel");
  kernel.take(3);
  CHECK(kernel.stream.take_ack(buffer, kStart + Seconds(9)) == 0);
  CHECK(kernel.sent().ack == 3);

  Receiver android("android");
  android.take(3);
  CHECK(android.stream.take_ack(buffer, kStart + Seconds(9)) == 0);
  CHECK_FALSE(android.sent().has_ack);
}

TEST_CASE("gre stream: numbers that are skipped are never used", "[loadgen]") {
  Receiver kernel("linux-kernel");
  CHECK(kernel.sent().sequence == 1);
  kernel.stream.skip(4096);
  CHECK(kernel.sent().sequence == 4098);
}
