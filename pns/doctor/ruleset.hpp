// SPDX-License-Identifier: BSD-3-Clause
//
// Ruleset: the rules of nftables, and what becomes of a packet that meets them. A rule that is not
// understood, or that depends on something unknown (the source address, a rate), leaves several
// outcomes possible: then the judgement is kUnclear and names the rule. It is never a guess.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/ip_address.hpp"

namespace pns::doctor {

// A packet between any client and this host, by one interface.
struct FilteredPacket {
  bool outgoing = false;  // to the client
  std::string interface;
  std::uint8_t protocol = 6;                 // 6: TCP with our_port, else a protocol without ports
  std::uint16_t our_port = 1723;             // of TCP
  bool is_new = true;                        // the first of its connection: a SYN
  std::vector<Ipv4Address> our_addresses{};  // any of them; empty: not known
};

struct ChainName {
  std::string family;
  std::string table;
  std::string chain;

  [[nodiscard]] std::string to_string() const { return family + " " + table + " " + chain; }
  friend auto operator<=>(const ChainName&, const ChainName&) noexcept = default;
};

struct Judgement {
  enum class Kind : std::uint8_t {
    kAccepted,
    kDropped,
    kRejected,  // the sender is told
    kUnclear,
  };
  Kind kind = Kind::kAccepted;
  std::vector<std::string> rules{};  // those that decide, or are not clear: with their chains
  std::vector<ChainName> chains{};   // base chains that do not surely accept
};

class Ruleset {
 public:
  // `json`: of `nft -j list ruleset`. `text`: of `nft -a list ruleset`, for the words of a rule;
  // may be empty. Error: why it is no ruleset.
  [[nodiscard]] static std::expected<Ruleset, std::string> parse(const std::string& json,
                                                                 std::string_view text);
  Ruleset(Ruleset&&) noexcept;
  Ruleset& operator=(Ruleset&&) noexcept;
  ~Ruleset();

  // Incoming: by the hooks ingress, prerouting and input; outgoing: by output and postrouting.
  [[nodiscard]] Judgement judge(const FilteredPacket& packet) const;

  // The rules that give a connection this conntrack helper.
  [[nodiscard]] std::vector<std::string> rules_with_helper(std::string_view type) const;

 private:
  struct Parts;
  explicit Ruleset(std::unique_ptr<Parts> parts) noexcept;

  std::unique_ptr<Parts> parts_;
};

}  // namespace pns::doctor
