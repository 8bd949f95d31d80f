// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/routing/broadcast_networks.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace pns;
using namespace pns::dataplane;

namespace {

Ipv4Address at(const char* text) { return *Ipv4Address::parse(text); }

std::vector<Ipv4Prefix> list(std::initializer_list<const char*> texts) {
  std::vector<Ipv4Prefix> out;
  for (const char* text : texts) out.push_back(*Ipv4Prefix::parse(text));
  return out;
}

std::string found(const std::optional<Ipv4Prefix>& network) {
  return network ? network->to_string() : "none";
}

}  // namespace

TEST_CASE("broadcast networks: the network in which a packet is a broadcast", "[dataplane]") {
  BroadcastNetworks networks;
  CHECK(found(networks.find(at("10.0.0.9"), kLimitedBroadcast)) == "none");
  CHECK(networks.set(list({"10.0.0.1/24", "10.0.0.1/16", "192.0.2.1/32", "192.0.2.2/31"})) == 2);
  // The smallest network of the sender, unless the destination names one.
  CHECK(found(networks.find(at("10.0.0.9"), kLimitedBroadcast)) == "10.0.0.1/24");
  CHECK(found(networks.find(at("10.0.0.9"), at("10.0.0.255"))) == "10.0.0.1/24");
  CHECK(found(networks.find(at("10.0.0.9"), at("10.0.255.255"))) == "10.0.0.1/16");
  CHECK(found(networks.find(at("10.0.7.9"), kLimitedBroadcast)) == "10.0.0.1/16");
  CHECK(found(networks.find(at("10.0.7.9"), at("10.0.0.255"))) == "none");
  CHECK(found(networks.find(at("10.0.0.9"), at("10.0.0.254"))) == "none");
  CHECK(found(networks.find(at("192.0.2.1"), kLimitedBroadcast)) == "none");
  CHECK(networks.is_own(at("10.0.0.1")));
  CHECK_FALSE(networks.is_own(at("10.0.0.2")));
  // Fewer than before.
  CHECK(networks.set(list({"10.0.0.1/16"})) == 1);
  CHECK(found(networks.find(at("10.0.0.9"), kLimitedBroadcast)) == "10.0.0.1/16");
  CHECK(networks.set({}) == 0);
  CHECK(found(networks.find(at("10.0.0.9"), kLimitedBroadcast)) == "none");
}

TEST_CASE("broadcast networks: as many as there is room for", "[dataplane]") {
  std::vector<Ipv4Prefix> many;
  for (std::uint32_t n = 0; n < 20; ++n) many.push_back({Ipv4Address(0x0a000001 + (n << 8)), 24});
  BroadcastNetworks networks;
  CHECK(networks.set(many) == 20);
  CHECK(networks.find(at("10.0.15.9")));
  CHECK_FALSE(networks.find(at("10.0.16.9")));
}
