// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/port_steering.hpp"

#include <catch2/catch.hpp>

#include "pns/base/toeplitz.hpp"

using namespace pns;
using namespace pns::contract;

namespace {

// Microsoft, "Verifying the RSS Hash Calculation": the key and the IPv4 vectors.
constexpr std::array<std::uint8_t, 40> kKey = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
struct Vector {
  const char* destination;
  std::uint16_t destination_port;
  const char* source;
  std::uint16_t source_port;
  std::uint32_t addresses;  // hash of source and destination address
  std::uint32_t with_ports;
};
constexpr Vector kVectors[] = {
    {"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
    {"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
    {"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
    {"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
    {"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
};

Ipv4Address ip(const char* text) { return Ipv4Address::parse(text).value(); }

// Entry i of the RETA is for worker i modulo `workers`.
PortSteering rss(std::uint16_t size, std::uint8_t workers) {
  PortSteering out;
  out.way = SteeringWay::kRss;
  out.reta_size = size;
  std::copy_n(kKey.begin(), out.key.size(), out.key.begin());
  for (std::uint16_t i = 0; i < size; ++i) out.reta[i] = static_cast<std::uint8_t>(i % workers);
  return out;
}

}  // namespace

TEST_CASE("toeplitz: the published vectors", "[contract][steering]") {
  for (const Vector& v : kVectors) {
    std::array<std::uint8_t, 12> data;
    for (std::size_t i = 0; i < 4; ++i) {
      data[i] = static_cast<std::uint8_t>(ip(v.source).value >> (24 - 8 * i));
      data[4 + i] = static_cast<std::uint8_t>(ip(v.destination).value >> (24 - 8 * i));
    }
    data[8] = static_cast<std::uint8_t>(v.source_port >> 8);
    data[9] = static_cast<std::uint8_t>(v.source_port);
    data[10] = static_cast<std::uint8_t>(v.destination_port >> 8);
    data[11] = static_cast<std::uint8_t>(v.destination_port);
    CHECK(toeplitz(kKey, std::span(data).first(8)) == v.addresses);
    CHECK(toeplitz(kKey, data) == v.with_ports);
  }
}

TEST_CASE("steering: the RETA entry of the hash is the worker", "[contract][steering]") {
  for (const std::uint16_t size : std::initializer_list<std::uint16_t>{64, 128, 512, 2048}) {
    PortSteering steering = rss(size, 1);
    for (const Vector& v : kVectors) {
      steering.reta[v.addresses % size] = 7;
      CHECK(predict(steering, ip(v.source), ip(v.destination)) == WorkerId(7));
      steering.reta[v.addresses % size] = 0;
      CHECK(predict(steering, ip(v.source), ip(v.destination)) == WorkerId(0));
      CHECK_FALSE(predict(steering, ip(v.destination)));
    }
  }
}

TEST_CASE("steering: of a hash of the destination alone the source does not matter",
          "[contract][steering]") {
  PortSteering steering = rss(128, 4);
  steering.hashed = HashedAddresses::kDestination;
  std::array<int, 4> seen{};
  for (std::uint32_t n = 0; n < 256; ++n) {
    const Ipv4Address subscriber(0x0a400000 + n);
    const auto worker = predict(steering, subscriber);
    REQUIRE(worker);
    CHECK(predict(steering, ip("192.0.2.1"), subscriber) == worker);
    CHECK(predict(steering, ip("10.0.0.9"), subscriber) == worker);
    ++seen.at(worker->value);
  }
  for (const int count : seen) CHECK(count > 16);
}

TEST_CASE("steering: nothing is predicted unless the way is the hash", "[contract][steering]") {
  PortSteering steering = rss(128, 2);
  for (const SteeringWay way : {SteeringWay::kHandOver, SteeringWay::kKey}) {
    steering.way = way;
    CHECK_FALSE(predict(steering, ip("192.0.2.1"), ip("192.0.2.2")));
    CHECK_FALSE(predict(steering, ip("192.0.2.2")));
  }
}

TEST_CASE("steering: what another process published is believed when it is in range",
          "[contract][steering]") {
  const PortSteering sound = rss(128, 4);
  CHECK(checked(sound, 4) == sound);
  CHECK(checked({.way = SteeringWay::kKey}, 4).way == SteeringWay::kKey);
  CHECK(checked(sound, 3) == PortSteering());  // a worker that there is not
  PortSteering bad = sound;
  SECTION("no entries") { bad.reta_size = 0; }
  SECTION("more than there is room for") { bad.reta_size = PortSteering::kLargestReta + 1; }
  SECTION("another hash") { bad.hashed = static_cast<HashedAddresses>(2); }
  SECTION("another way") { bad.way = static_cast<SteeringWay>(3); }
  CHECK(checked(bad, 4) == PortSteering());
}
