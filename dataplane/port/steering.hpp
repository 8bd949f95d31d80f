// SPDX-License-Identifier: BSD-3-Clause
//
// How the NIC of a port is brought to put a session's packets on the queue of the worker that owns
// it, and what of it is told the control process: flow rules on the GRE key where the driver takes
// them, else the hash that it chooses queues by. Main thread, while ports are opened.
#pragma once

#include <rte_byteorder.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/port_steering.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// Bucket → worker.
using Buckets = std::array<std::uint8_t, kSteeringBuckets>;
// In turn. 1 to kMaxWorkers workers.
[[nodiscard]] Buckets assign_buckets(std::uint16_t workers) noexcept;

// The types that are asked of a driver that offers `offered`
// (rte_eth_dev_info::flow_type_rss_offloads). Access port: IP. Core port: IP by the destination
// alone, because that is the subscriber; where the driver cannot do that, IP, TCP, UDP and SCTP.
[[nodiscard]] std::uint64_t wanted_rss(contract::PortRole role, std::uint64_t offered,
                                       config::Steering steering) noexcept;

// A driver's hash: numbers as rte_eth_dev_rss_hash_conf_get() and
// rte_eth_dev_rss_reta_query() give them.
struct RssState {
  std::uint64_t asked = 0;   // RTE_ETH_RSS_… that the port was configured with
  std::uint64_t active = 0;  // … and that the driver reports
  std::vector<std::uint8_t> key;
  std::vector<std::uint16_t> reta;  // queues
};
// Empty key or RETA: the driver does not say.
[[nodiscard]] RssState read_rss(std::uint16_t ethdev_id, std::uint64_t asked);
// kRss when the state tells the queue of a GRE packet and there is more than one, else kHandOver.
// Queue modulo workers = worker.
[[nodiscard]] contract::PortSteering plan_rss(const RssState& state, std::uint16_t workers);

// A rule: packets with `value` in the bits `mask` of the Call ID go to a queue.
struct KeyRule {
  std::uint16_t value = 0;
  std::uint16_t mask = 0;
  std::uint16_t queue = 0;
  friend bool operator==(const KeyRule&, const KeyRule&) noexcept = default;
};
// The fewest rules that look at the low bits alone and send every bucket to the queue with its
// worker's number: as many as the period of the buckets, when that is a power of two.
[[nodiscard]] std::vector<KeyRule> key_rules(const Buckets& buckets);

// A KeyRule as rte_flow takes it: enhanced GRE of PPTP (RFC 2637 §4.1: protocol 0x880B, key
// present) whose key field has the Call ID in its low half. Not of fragments: the first alone has a
// key, and reassembly needs all of them at one worker, where the hash brings them. Points into
// itself: neither copied nor moved.
struct FlowRule {
  explicit FlowRule(const KeyRule& rule) noexcept;
  FlowRule(const FlowRule&) = delete;
  FlowRule& operator=(const FlowRule&) = delete;

  rte_flow_attr attributes{};
  rte_flow_item_ipv4 ipv4{}, ipv4_mask{};
  rte_flow_item_gre gre{}, gre_mask{};
  rte_be32_t key = 0, key_mask = 0;
  rte_flow_action_queue queue{};
  std::array<rte_flow_item, 5> pattern{};  // Ethernet, IPv4, GRE, key, end
  std::array<rte_flow_action, 2> actions{};
};

// All rules or none. Result: empty when the driver has taken them, else why not.
[[nodiscard]] std::string install_key_rules(std::uint16_t ethdev_id,
                                            const std::vector<KeyRule>& rules);

}  // namespace pns::dataplane
