// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/steering.hpp"

#include <fmt/format.h>
#include <rte_errno.h>

#include <algorithm>
#include <bit>

namespace pns::dataplane {
namespace {

constexpr std::uint16_t kKeyPresent = 0x2000;  // RFC 2637 §4.1
constexpr std::uint16_t kGrePptp = 0x880b;
// Either makes a driver hash the addresses of GRE packets: it has no type of its own for them.
constexpr std::uint64_t kHashesGre = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER;
constexpr std::uint64_t kTransport = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
                                     RTE_ETH_RSS_NONFRAG_IPV4_SCTP | RTE_ETH_RSS_NONFRAG_IPV6_TCP |
                                     RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_NONFRAG_IPV6_SCTP;
// Modifiers with which it is no longer both addresses.
constexpr std::uint64_t kModifiers = RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_L3_DST_ONLY |
                                     RTE_ETH_RSS_L3_PRE32 | RTE_ETH_RSS_L3_PRE40 |
                                     RTE_ETH_RSS_L3_PRE48 | RTE_ETH_RSS_L3_PRE56 |
                                     RTE_ETH_RSS_L3_PRE64 | RTE_ETH_RSS_L3_PRE96;

}  // namespace

Buckets assign_buckets(std::uint16_t workers) noexcept {
  Buckets buckets;
  for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket)
    buckets[bucket] = static_cast<std::uint8_t>(bucket % workers);
  return buckets;
}

std::uint64_t wanted_rss(contract::PortRole role, std::uint64_t offered,
                         config::Steering steering) noexcept {
  const std::uint64_t ip =
      offered & (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER |
                 RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER);
  // GRE has no ports, and the hash of the access port is to be predicted.
  if (role != contract::PortRole::kCore) return ip;
  if (ip != 0 && steering != config::Steering::kNone && (offered & RTE_ETH_RSS_L3_DST_ONLY) != 0)
    return ip | RTE_ETH_RSS_L3_DST_ONLY;
  // Nothing is predicted. Some drivers (i40e, ena) have a type for each protocol and none for all
  // of IP: without them every TCP and UDP packet arrives on the first queue.
  return ip | (offered & kTransport);
}

RssState read_rss(std::uint16_t ethdev_id, std::uint64_t asked) {
  RssState state;
  state.asked = asked;
  rte_eth_dev_info info{};
  if (rte_eth_dev_info_get(ethdev_id, &info) != 0) return state;
  // Drivers that leave the size open write the classic 40 octets.
  std::vector<std::uint8_t> key(std::max<std::size_t>(info.hash_key_size, 40));
  rte_eth_rss_conf conf{};
  conf.rss_key = key.data();
  conf.rss_key_len = static_cast<std::uint8_t>(key.size());
  if (rte_eth_dev_rss_hash_conf_get(ethdev_id, &conf) != 0) return state;
  state.active = conf.rss_hf;
  state.key = std::move(key);

  std::vector<rte_eth_rss_reta_entry64> groups((info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1U) /
                                               RTE_ETH_RETA_GROUP_SIZE);
  for (auto& group : groups) group.mask = UINT64_MAX;
  if (groups.empty() || rte_eth_dev_rss_reta_query(ethdev_id, groups.data(), info.reta_size) != 0)
    return state;
  for (std::size_t i = 0; i < info.reta_size; ++i)
    state.reta.push_back(groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE]);
  return state;
}

contract::PortSteering plan_rss(const RssState& state, std::uint16_t workers) {
  using contract::PortSteering;
  PortSteering plan;
  const std::uint64_t modifiers = state.active & kModifiers;
  if ((state.active & kHashesGre) == 0 || modifiers != (state.asked & kModifiers) ||
      (modifiers != 0 && modifiers != RTE_ETH_RSS_L3_DST_ONLY))
    return plan;
  // A key of zeros hashes everything to one entry, and a RETA with one queue hides what was never
  // filled in: nothing to choose by.
  if (state.key.size() < PortSteering::kKeySize ||
      std::all_of(state.key.begin(), state.key.end(), [](auto octet) { return octet == 0; }))
    return plan;
  if (state.reta.empty() || state.reta.size() > PortSteering::kLargestReta ||
      std::all_of(state.reta.begin(), state.reta.end(),
                  [&](std::uint16_t queue) { return queue == state.reta.front(); }))
    return plan;
  plan.way = contract::SteeringWay::kRss;
  plan.hashed =
      modifiers == 0 ? contract::HashedAddresses::kBoth : contract::HashedAddresses::kDestination;
  plan.reta_size = static_cast<std::uint16_t>(state.reta.size());
  std::copy_n(state.key.begin(), plan.key.size(), plan.key.begin());
  std::transform(
      state.reta.begin(), state.reta.end(), plan.reta.begin(),
      [workers](std::uint16_t queue) { return static_cast<std::uint8_t>(queue % workers); });
  return plan;
}

std::vector<KeyRule> key_rules(const Buckets& buckets) {
  std::size_t period = 1;
  const auto repeats = [&] {
    for (std::size_t bucket = period; bucket < buckets.size(); ++bucket)
      if (buckets[bucket] != buckets[bucket - period]) return false;
    return true;
  };
  while (!repeats()) period *= 2;
  std::vector<KeyRule> rules;
  for (std::size_t value = 0; value < period; ++value)
    rules.push_back({static_cast<std::uint16_t>(value), static_cast<std::uint16_t>(period - 1),
                     buckets[value]});
  return rules;
}

FlowRule::FlowRule(const KeyRule& rule) noexcept {
  attributes.ingress = 1;
  ipv4_mask.hdr.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
  gre.c_rsvd0_ver = gre_mask.c_rsvd0_ver = rte_cpu_to_be_16(kKeyPresent);
  gre.protocol = rte_cpu_to_be_16(kGrePptp);
  gre_mask.protocol = RTE_BE16(0xffff);
  key = rte_cpu_to_be_32(rule.value);
  key_mask = rte_cpu_to_be_32(rule.mask);
  queue.index = rule.queue;
  pattern[0].type = RTE_FLOW_ITEM_TYPE_ETH;
  pattern[1] = {RTE_FLOW_ITEM_TYPE_IPV4, &ipv4, nullptr, &ipv4_mask};
  pattern[2] = {RTE_FLOW_ITEM_TYPE_GRE, &gre, nullptr, &gre_mask};
  pattern[3] = {RTE_FLOW_ITEM_TYPE_GRE_KEY, &key, nullptr, &key_mask};
  pattern[4].type = RTE_FLOW_ITEM_TYPE_END;
  actions[0] = {RTE_FLOW_ACTION_TYPE_QUEUE, &queue};
  actions[1].type = RTE_FLOW_ACTION_TYPE_END;
}

std::string install_key_rules(std::uint16_t ethdev_id, const std::vector<KeyRule>& rules) {
  rte_flow_error error{};
  const auto reason = [&](const char* call, int result) {
    return fmt::format("{}: {}", call,
                       error.message != nullptr ? error.message : rte_strerror(-result));
  };
  std::vector<rte_flow*> made;
  const auto take_back = [&] {
    rte_flow_error ignored{};
    for (rte_flow* flow : made) (void)rte_flow_destroy(ethdev_id, flow, &ignored);
  };
  for (const KeyRule& rule : rules) {
    const FlowRule flow(rule);
    error = {};
    if (const int result = rte_flow_validate(ethdev_id, &flow.attributes, flow.pattern.data(),
                                             flow.actions.data(), &error);
        result != 0) {
      take_back();
      return reason("validate", result);
    }
    rte_flow* const created = rte_flow_create(ethdev_id, &flow.attributes, flow.pattern.data(),
                                              flow.actions.data(), &error);
    if (created == nullptr) {
      std::string text = reason("create", -rte_errno);
      take_back();
      return text;
    }
    made.push_back(created);
  }
  return {};
}

}  // namespace pns::dataplane
