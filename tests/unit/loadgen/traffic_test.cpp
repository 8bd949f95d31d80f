// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/traffic.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

#include "pns/wire/checksum.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/ipv4.hpp"

using namespace pns;
using namespace pns::loadgen;

namespace {

constexpr TimePoint kStart{Seconds(100)};
constexpr Ipv4Address kOwn(0x0a400002);
constexpr Ipv4Address kHost(0x0a000035);

struct Traveller {
  explicit Traveller(Flow::Kind kind) : flow({kind, kHost, 7000, 0x5054, 100}, 9) {}

  std::array<std::byte, 100> send() {
    std::array<std::byte, 100> packet;
    REQUIRE(flow.write(packet, kOwn, kStart) == packet.size());
    return packet;
  }
  bool receive(Bytes packet) {
    return flow.on_packet(packet, kOwn, kStart + Milliseconds(5), &latencies);
  }
  Flow flow;
  LatencyHistogram latencies;
};

std::array<std::byte, 100> echoed(std::array<std::byte, 100> packet) {
  const auto header = wire::parse_ipv4(packet);
  REQUIRE(header);
  REQUIRE(wire::answer_echo(packet, *header));
  return packet;
}

}  // namespace

TEST_CASE("flow: pings are counted as lost, reordered, repeated and damaged", "[loadgen]") {
  Traveller ping(Flow::Kind::kPing);
  const auto first = ping.send();
  const auto second = ping.send();
  (void)ping.send();
  CHECK_FALSE(ping.receive(first));  // a request is no answer
  CHECK(ping.receive(echoed(second)));
  CHECK(ping.receive(echoed(first)));
  CHECK(ping.receive(echoed(first)));
  auto damaged = echoed(ping.send());
  damaged.back() ^= std::byte{1};
  CHECK(ping.receive(damaged));
  const TrafficCounts& counts = ping.flow.counts();
  CHECK(counts.sent == 4);
  CHECK(counts.received == 2);
  CHECK(counts.lost() == 2);
  CHECK(counts.reordered == 1);
  CHECK(counts.duplicated == 1);
  CHECK(counts.damaged == 1);
  CHECK(ping.latencies.count() == 2);
  CHECK(ping.latencies.percentile(0.5) >= Milliseconds(5));
  CHECK(ping.latencies.percentile(0.5) < Milliseconds(6));
}

TEST_CASE("flow: an answer to another session is foreign, not damaged", "[loadgen]") {
  Traveller ping(Flow::Kind::kPing);
  Flow other({Flow::Kind::kPing, kHost, 7000, 0x5054, 100}, 10);
  std::array<std::byte, 100> packet;
  (void)other.write(packet, kOwn, kStart);
  CHECK(ping.receive(echoed(packet)));
  CHECK(ping.flow.counts().foreign == 1);
  CHECK(ping.flow.counts().received == 0);
  CHECK(ping.flow.counts().damaged == 0);
}

TEST_CASE("flow: a datagram is whole UDP and its echo is an answer", "[loadgen]") {
  Traveller udp(Flow::Kind::kUdp);
  auto packet = udp.send();
  // RFC 768: the sum over pseudo header and datagram, checksum included, is zero.
  std::array<std::byte, 12 + 80> summed{};
  std::copy_n(packet.begin() + 12, 8, summed.begin());
  summed[9] = std::byte{17};
  summed[11] = std::byte{80};
  std::copy_n(packet.begin() + 20, 80, summed.begin() + 12);
  CHECK(wire::internet_checksum(summed) == 0);
  // The host swaps addresses and ports.
  std::swap_ranges(packet.begin() + 12, packet.begin() + 16, packet.begin() + 16);
  std::swap_ranges(packet.begin() + 20, packet.begin() + 22, packet.begin() + 22);
  CHECK(udp.receive(packet));
  CHECK(udp.flow.counts().received == 1);
}

TEST_CASE("latency histogram: percentiles are a few percent exact", "[loadgen]") {
  LatencyHistogram histogram;
  CHECK(histogram.percentile(0.5) == Duration{});
  for (int i = 1; i <= 1000; ++i) histogram.add(std::chrono::microseconds(i));
  for (const auto& [part, expected] : {std::pair{0.5, 500e3}, {0.9, 900e3}, {0.99, 990e3}}) {
    const auto value = static_cast<double>(histogram.percentile(part).count());
    CHECK(value >= expected);
    CHECK(value < expected * 1.05);
  }
  LatencyHistogram long_ones;
  long_ones.add(std::chrono::hours(100));
  histogram += long_ones;
  CHECK(histogram.count() == 1001);
  CHECK(histogram.percentile(1) >= std::chrono::hours(100));
}
