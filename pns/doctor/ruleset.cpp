// SPDX-License-Identifier: BSD-3-Clause
//
// The JSON is that of libnftables-json(5).
#include "pns/doctor/ruleset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace pns::doctor {
namespace {

using Json = nlohmann::json;

constexpr int kMaxJumps = 16;  // as the kernel
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kGre = 47;

// Whether a packet matches. kNever: the expression does not apply, so that its negation does not
// match either (tcp dport != 22 and a packet of GRE).
enum class Match : std::uint8_t { kNo, kYes, kMaybe, kNever };

Match match_of(bool yes) noexcept { return yes ? Match::kYes : Match::kNo; }

// The outcomes of a chain that are possible.
struct Outcome {
  bool accept = false;
  bool drop = false;
  bool reject = false;
  bool other = false;  // leaves for another place: dnat, queue, or a verdict that is not known
  bool next = true;    // the rule behind it is reached
  std::vector<std::string> deciding{};  // rules that drop, reject or divert
  std::vector<std::string> unclear{};   // rules that may match

  void add(const Outcome& others) {
    accept |= others.accept;
    drop |= others.drop;
    reject |= others.reject;
    other |= others.other;
    std::ranges::copy(others.deciding, std::back_inserter(deciding));
    std::ranges::copy(others.unclear, std::back_inserter(unclear));
  }
};

const Json& member(const Json& object, const char* key) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

std::string text_of(const Json& object, const char* key) {
  const Json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

// The one key of a statement or expression: {"accept": null}.
std::pair<std::string, const Json*> only(const Json& object) {
  if (!object.is_object() || object.empty()) return {"", &object};
  return {object.begin().key(), &object.begin().value()};
}

std::optional<std::uint64_t> number_of(const Json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  return std::nullopt;
}

bool matches_name(std::string_view pattern, std::string_view name) noexcept {
  if (!pattern.ends_with('*')) return pattern == name;
  pattern.remove_suffix(1);
  return name.starts_with(pattern);
}

// A single address, prefix or range of a rule. Empty: it is none.
std::optional<Ipv4Range> addresses_of(const Json& value) {
  const auto address = [](const Json& text) {
    return text.is_string() ? Ipv4Address::parse(text.get<std::string>()) : std::nullopt;
  };
  if (const auto one = address(value)) return Ipv4Range{*one, *one};
  const auto& [kind, parts] = only(value);
  if (kind == "prefix") {
    const auto base = address(member(*parts, "addr"));
    const auto length = number_of(member(*parts, "len"));
    if (!base || !length || *length > 32) return std::nullopt;
    const Ipv4Prefix prefix{*base, static_cast<std::uint8_t>(*length)};
    return Ipv4Range{prefix.network(), prefix.last()};
  }
  if (kind == "range" && parts->is_array() && parts->size() == 2) {
    const auto first = address((*parts)[0]);
    const auto last = address((*parts)[1]);
    if (first && last) return Ipv4Range{*first, *last};
  }
  return std::nullopt;
}

// Addresses that no client of the network has: this network, loopback, multicast and reserved.
bool is_no_client(const Ipv4Range& range) noexcept {
  constexpr std::array kOthers = {Ipv4Range{Ipv4Address(0), Ipv4Address(0x00ffffff)},
                                  Ipv4Range{Ipv4Address(0x7f000000), Ipv4Address(0x7fffffff)},
                                  Ipv4Range{Ipv4Address(0xe0000000), Ipv4Address(0xffffffff)}};
  return std::ranges::any_of(kOthers, [&range](const Ipv4Range& other) {
    return other.contains(range.first) && other.contains(range.last);
  });
}

std::string_view trimmed(std::string_view line) noexcept {
  const auto first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t") - first + 1);
}

// The word behind the only place where `phrase` stands in a rule's words. Empty: there is none, or
// there are several.
std::string_view only_word_behind(std::string_view words, std::string_view phrase) noexcept {
  const auto at = words.find(phrase);
  if (at == std::string_view::npos || words.find(phrase, at + 1) != std::string_view::npos)
    return {};
  words.remove_prefix(at + phrase.size());
  if (!words.starts_with('{')) return words.substr(0, words.find(' '));
  const auto end = words.find('}');
  return end == std::string_view::npos ? std::string_view() : words.substr(1, end - 1);
}

// A port, a range of ports or a name, as in the JSON. Null: something else.
Json element_of(std::string_view item) {
  if (item.empty() || std::isalnum(static_cast<unsigned char>(item.front())) == 0) return nullptr;
  if (std::isdigit(static_cast<unsigned char>(item.front())) == 0) return item;
  const auto take_number = [&item] {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), value);
    item.remove_prefix(static_cast<std::size_t>(end - item.data()));
    return error == std::errc{} ? std::optional(value) : std::nullopt;
  };
  const auto first = take_number();
  if (!first) return nullptr;
  if (item.empty()) return *first;
  if (!item.starts_with('-')) return nullptr;
  item.remove_prefix(1);
  const auto last = take_number();
  if (!last || !item.empty()) return nullptr;
  return {{"range", {*first, *last}}};
}

// "1723", "22, 1000-2000", "new,related": the elements of a set. Null: something else.
Json elements_of(std::string_view list) {
  Json all = Json::array();
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    all.push_back(element_of(trimmed(item)));
    if (all.back().is_null()) return nullptr;
  }
  return all;
}

// An extension of iptables as the statement that nft would have, by the words into which nft
// translates it. The extension itself where the words are not that simple.
Json native_statement(const Json& statement, std::string_view words) {
  const auto& [kind, value] = only(statement);
  if (kind != "xt") return statement;
  const std::string name = text_of(*value, "name");
  const auto match = [&](const Json& left, std::string_view phrase) -> Json {
    const Json list = elements_of(only_word_behind(words, phrase));
    if (!list.is_array() || list.empty()) return statement;
    return {{"match", {{"op", "in"}, {"left", left}, {"right", list}}}};
  };
  if (text_of(*value, "type") == "target") {
    if (name == "REJECT" && words.find(" reject") != std::string_view::npos)
      return {{"reject", nullptr}};
    if (name == "LOG" || name == "NFLOG") return {{"log", nullptr}};
    return statement;
  }
  if (name == "comment") return {{"comment", nullptr}};
  // Several conditions in one extension: only_word_behind() would see one of them.
  const auto ct = words.find("ct ");
  if ((name == "conntrack" || name == "state") && ct != std::string_view::npos &&
      words.find(" ct ", ct + 1) == std::string_view::npos)
    return match({{"ct", {{"key", "state"}}}}, "ct state ");
  if (name == "multiport" && words.find("sport") == std::string_view::npos)
    return match({{"payload", {{"protocol", "tcp"}, {"field", "dport"}}}}, "tcp dport ");
  if (name == "addrtype" && words.find("fib saddr") == std::string_view::npos)
    return match({{"fib", {{"result", "type"}, {"flags", Json::array({"daddr"})}}}},
                 "fib daddr type ");
  return statement;
}

enum class Tracking : std::uint8_t { kNew, kEstablished, kUntracked, kUnknown };

constexpr std::array<std::pair<std::string_view, unsigned>, 8> kTcpFlags = {{{"fin", 1},
                                                                             {"syn", 2},
                                                                             {"rst", 4},
                                                                             {"psh", 8},
                                                                             {"ack", 16},
                                                                             {"urg", 32},
                                                                             {"ecn", 64},
                                                                             {"cwr", 128}}};
constexpr unsigned kSyn = 2;
constexpr unsigned kAck = 16;

// "syn", 2, ["fin", "syn"] or {"|": […]} as bits. Empty: something else.
std::optional<unsigned> tcp_flags_of(const Json& value) {
  if (const auto bits = number_of(value)) return static_cast<unsigned>(*bits);
  if (value.is_string()) {
    const auto found = std::ranges::find(kTcpFlags, value.get<std::string>(),
                                         [](const auto& flag) { return flag.first; });
    return found == kTcpFlags.end() ? std::nullopt : std::optional(found->second);
  }
  const auto& [kind, parts] = only(value);
  const Json& list = kind == "|" ? *parts : value;
  if (!list.is_array()) return std::nullopt;
  unsigned bits = 0;
  for (const Json& item : list) {
    const auto own = tcp_flags_of(item);
    if (!own) return std::nullopt;
    bits |= *own;
  }
  return bits;
}

}  // namespace

struct Ruleset::Parts {
  struct Rule {
    std::string text;  // "RULE in inet filter input"
    std::vector<Json> statements;
  };
  struct Chain {
    std::vector<Rule> rules;
    std::string hook;    // empty: no base chain
    std::string policy;  // accept or drop
    std::int64_t priority = 0;
    std::vector<std::string> devices;  // of hook ingress
  };
  using SetName = ChainName;  // of a set or map, by its name in place of the chain's

  std::map<ChainName, Chain> chains;
  std::map<SetName, Json> sets;            // elements
  std::map<SetName, std::string> helpers;  // of conntrack: their types
};

namespace {

// Where each rule's words are: chain and handle.
using RuleTexts = std::map<std::pair<ChainName, std::uint64_t>, std::string>;

// Off `nft -a list ruleset`. Long sets of a rule take several lines.
RuleTexts rule_texts(std::string_view text) {
  RuleTexts all;
  ChainName at;
  bool in_chain = false;
  std::string rule;
  while (!text.empty()) {
    const std::string_view raw = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), raw.size() + 1));
    std::string_view line = trimmed(raw);
    std::optional<std::uint64_t> handle;
    if (const auto mark = line.rfind("# handle "); mark != std::string_view::npos) {
      const std::string_view digits = line.substr(mark + 9);
      std::uint64_t value = 0;
      if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc{})
        handle = value;
      line = trimmed(line.substr(0, mark));
    }
    const auto word = [&line] {
      const std::string_view first = line.substr(0, line.find(' '));
      line.remove_prefix(std::min(line.size(), first.size() + 1));
      return std::string(first);
    };
    if (rule.empty() && line.starts_with("table ")) {
      (void)word();
      at.family = word();
      at.table = word();
    } else if (rule.empty() && line.starts_with("chain ")) {
      (void)word();
      at.chain = word();
      in_chain = true;
    } else if (in_chain && rule.empty() && line == "}") {
      in_chain = false;
    } else if (in_chain) {
      rule += (rule.empty() ? "" : " ") + std::string(line);
      if (handle) all[{at, *handle}] = std::exchange(rule, {});
      if (std::ranges::count(rule, '{') == std::ranges::count(rule, '}')) rule.clear();
    }
  }
  return all;
}

}  // namespace

namespace {

// One packet on its way through the chains. `All`: Ruleset::Parts, which only Ruleset can name.
template <class All>
class Walk {
 public:
  Walk(const All& parts, const FilteredPacket& packet)
      : parts_(parts),
        packet_(packet),
        tracking_(packet.is_new ? Tracking::kNew : Tracking::kEstablished) {}

  Outcome run(const ChainName& name, int depth = 0) {
    Outcome out;
    const auto found = parts_.chains.find(name);
    if (found == parts_.chains.end() || depth > kMaxJumps) {
      out.other = true;
      out.unclear.push_back("chain " + name.to_string());
      return out;
    }
    for (const auto& rule : found->second.rules) {
      bool returns = false;
      const Outcome own = run_rule(name, rule, depth, returns);
      out.add(own);
      if (returns) break;
      if (!own.next) {
        out.next = false;
        break;
      }
    }
    return out;
  }

 private:
  // `returns`: the rule surely returns from the chain.
  template <class Rule>
  Outcome run_rule(const ChainName& chain, const Rule& rule, int depth, bool& returns) {
    Outcome out;
    Match so_far = Match::kYes;
    for (std::size_t i = 0; i < rule.statements.size(); ++i) {
      const auto& [kind, value] = only(rule.statements[i]);
      const bool last = i + 1 == rule.statements.size();
      if (kind == "match") {
        const Match match = run_match(chain, *value);
        if (match == Match::kNo || match == Match::kNever) return out;
        if (match == Match::kMaybe) so_far = Match::kMaybe;
      } else if (kind == "vmap") {
        run_vmap(chain, *value, so_far, rule.text, depth, out, returns);
        if (!out.next || returns) return out;
      } else if (is_verdict(kind)) {
        apply(chain, kind, *value, so_far, rule.text, depth, out, returns);
        return out;
      } else if (kind == "notrack") {
        tracking_ = so_far == Match::kYes ? Tracking::kUntracked : Tracking::kUnknown;
      } else if (!is_harmless(kind)) {
        // A rate, a quota, an extension of iptables: it may match. At the end it may do anything.
        so_far = Match::kMaybe;
        if (last) {
          out.other = true;
          out.unclear.push_back(rule.text);
        }
      }
    }
    return out;
  }

  static bool is_verdict(std::string_view kind) noexcept {
    constexpr std::array<std::string_view, 15> kVerdicts = {
        "accept", "drop",     "reject",     "return", "continue", "jump", "goto",    "dnat",
        "snat",   "redirect", "masquerade", "tproxy", "queue",    "fwd",  "synproxy"};
    return std::ranges::find(kVerdicts, kind) != kVerdicts.end();
  }
  static bool is_harmless(std::string_view kind) noexcept {
    constexpr std::array<std::string_view, 11> kHarmless = {
        "counter", "log",  "comment", "mangle",    "set",       "map",
        "dup",     "flow", "secmark", "ct helper", "ct timeout"};
    return std::ranges::find(kHarmless, kind) != kHarmless.end();
  }

  void apply(const ChainName& chain, std::string_view kind, const Json& value, Match match,
             const std::string& text, int depth, Outcome& out, bool& returns) {
    const bool surely = match == Match::kYes;
    if (!surely) out.unclear.push_back(text);
    if (kind == "continue") return;
    if (kind == "return") {
      returns = surely;
      return;
    }
    if (kind == "jump" || kind == "goto") {
      const Outcome target = run({chain.family, chain.table, text_of(value, "target")}, depth + 1);
      out.add(target);
      if (!surely) return;
      out.next = target.next;
      returns = target.next && kind == "goto";  // goto comes back to the caller's caller
      return;
    }
    if (kind == "accept" || kind == "snat" || kind == "masquerade") {
      out.accept = true;
    } else {
      (kind == "drop" ? out.drop : kind == "reject" ? out.reject : out.other) = true;
      out.deciding.push_back(text);
      if (kind != "drop" && kind != "reject") out.unclear.push_back(text);
    }
    if (surely) out.next = false;
  }

  void run_vmap(const ChainName& chain, const Json& value, Match so_far, const std::string& text,
                int depth, Outcome& out, bool& returns) {
    const Json* entries = elements(chain, member(value, "data"));
    if (entries == nullptr) {
      out.other = true;
      out.unclear.push_back(text);
      return;
    }
    bool found = false;
    for (const bool catch_all : {false, true})
      for (const Json& entry : *entries) {
        if (found || !entry.is_array() || entry.size() != 2 || (entry[0] == "*") != catch_all)
          continue;
        Match match = catch_all ? Match::kYes : compare(chain, member(value, "key"), entry[0]);
        if (match == Match::kNo || match == Match::kNever) continue;
        if (match == Match::kYes) found = so_far == Match::kYes;
        if (so_far == Match::kMaybe) match = Match::kMaybe;
        const auto& [kind, target] = only(entry[1]);
        Outcome own;
        bool own_return = false;
        apply(chain, kind, *target, match, text, depth, own, own_return);
        out.add(own);
        if (match != Match::kYes) continue;
        out.next = own.next;
        returns = own_return;
      }
  }

  Match run_match(const ChainName& chain, const Json& value) {
    const std::string op = text_of(value, "op");
    const Json& left = member(value, "left");
    const Json& right = member(value, "right");
    if (op == "==" || op == "in" || op == "!=" || op.empty()) {
      const Match match = compare(chain, left, right);
      if (op != "!=" || match == Match::kMaybe || match == Match::kNever) return match;
      return match_of(match == Match::kNo);
    }
    const Json number = field(left);
    const auto own = number_of(number);
    const auto wanted = number_of(right);
    if (!own || !wanted)
      return compare(chain, left, right) == Match::kNever ? Match::kNever : Match::kMaybe;
    return match_of(op == "<"    ? *own < *wanted
                    : op == "<=" ? *own <= *wanted
                    : op == ">"  ? *own > *wanted
                                 : *own >= *wanted);
  }

  // The elements of a set or map: inline, or by name. Null: not known.
  const Json* elements(const ChainName& chain, const Json& value) const {
    if (const auto& [kind, list] = only(value); kind == "set") return list;
    if (!value.is_string()) return nullptr;
    const auto name = value.template get<std::string>();
    if (!name.starts_with('@')) return nullptr;
    const auto found = parts_.sets.find({chain.family, chain.table, name.substr(1)});
    return found == parts_.sets.end() ? nullptr : &found->second;
  }

  // Whether the packet's `left` is `right`, or one of it.
  Match compare(const ChainName& chain, const Json& left, const Json& right) {
    if (const Json* list = right.is_array() ? &right : elements(chain, right)) {
      if (is_tcp_flags(left)) return compare_one(left, right);
      Match best = compare_one(left, Json()) == Match::kNever ? Match::kNever : Match::kNo;
      for (const Json& item : *list) {
        const Json& value =
            item.is_object() && item.contains("elem") ? member(item["elem"], "val") : item;
        const Match match = value == "*" ? Match::kYes : compare_one(left, value);
        if (match == Match::kYes) return match;
        if (match == Match::kMaybe) best = match;
      }
      return best;
    }
    if (right.is_string() && right.get_ref<const std::string&>().starts_with('@')) {
      return compare_one(left, Json()) == Match::kNever ? Match::kNever : Match::kMaybe;
    }
    return compare_one(left, right);
  }

  Match compare_one(const Json& left, const Json& right) {
    const auto& [kind, value] = only(left);
    if (kind == "concat") {
      const Json& parts = member(right, "concat");
      if (!value->is_array() || !parts.is_array() || parts.size() != value->size())
        return Match::kMaybe;
      Match all = Match::kYes;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const Match match = compare_one((*value)[i], parts[i]);
        if (match == Match::kNo || match == Match::kNever) return match;
        if (match == Match::kMaybe) all = match;
      }
      return all;
    }
    if (is_tcp_flags(left)) return compare_tcp_flags(left, right);
    if (kind == "payload")
      return compare_payload(text_of(*value, "protocol"), text_of(*value, "field"), right);
    if (kind == "meta") return compare_meta(text_of(*value, "key"), right);
    if (kind == "ct") return compare_ct(text_of(*value, "key"), right);
    if (kind == "fib" && text_of(*value, "result") == "type" && !packet_.outgoing &&
        member(*value, "flags") == Json::array({"daddr"}))
      return match_of(right == "local");
    return Match::kMaybe;
  }

  // A field of the packet that has a number which is known.
  Json field(const Json& left) const {
    const auto& [kind, value] = only(left);
    if (kind != "payload" || packet_.protocol != kTcp) return {};
    const std::string protocol = text_of(*value, "protocol");
    if (protocol != "tcp" && protocol != "th") return {};
    return text_of(*value, "field") == (packet_.outgoing ? "sport" : "dport")
               ? Json(packet_.our_port)
               : Json();
  }

  Match compare_protocol(const Json& right) const {
    if (const auto number = number_of(right)) return match_of(*number == packet_.protocol);
    if (!right.is_string()) return Match::kMaybe;
    return match_of(right == (packet_.protocol == kTcp   ? "tcp"
                              : packet_.protocol == kGre ? "gre"
                                                         : ""));
  }

  static Match compare_number(std::uint64_t own, const Json& right) {
    if (const auto number = number_of(right)) return match_of(*number == own);
    const auto& [kind, bounds] = only(right);
    if (kind != "range" || !bounds->is_array() || bounds->size() != 2) return Match::kMaybe;
    const auto first = number_of((*bounds)[0]);
    const auto last = number_of((*bounds)[1]);
    return first && last ? match_of(*first <= own && own <= *last) : Match::kMaybe;
  }

  Match compare_own_address(const Json& right) const {
    const auto range = addresses_of(right);
    if (!range || packet_.our_addresses.empty()) return Match::kMaybe;
    const auto inside = static_cast<std::size_t>(std::ranges::count_if(
        packet_.our_addresses, [&](Ipv4Address own) { return range->contains(own); }));
    if (inside == 0) return Match::kNo;
    return inside == packet_.our_addresses.size() ? Match::kYes : Match::kMaybe;
  }

  static Match compare_client_address(const Json& right) {
    const auto range = addresses_of(right);
    if (range && range->size() == std::uint64_t{1} << 32) return Match::kYes;
    return range && is_no_client(*range) ? Match::kNo : Match::kMaybe;
  }

  Match compare_payload(const std::string& protocol, const std::string& name, const Json& right) {
    if (protocol == "ip") {
      if (name == "protocol") return compare_protocol(right);
      if (name == "version") return compare_number(4, right);
      if (name == (packet_.outgoing ? "saddr" : "daddr")) return compare_own_address(right);
      if (name == "saddr" || name == "daddr") return compare_client_address(right);
      return Match::kMaybe;
    }
    if (protocol == "tcp" || protocol == "th") {
      if (packet_.protocol != kTcp) return protocol == "tcp" ? Match::kNever : Match::kMaybe;
      if (name == (packet_.outgoing ? "sport" : "dport"))
        return compare_number(packet_.our_port, right);
      return Match::kMaybe;
    }
    constexpr std::array<std::string_view, 10> kOthers = {
        "ip6", "arp", "icmp", "icmpv6", "udp", "udplite", "sctp", "dccp", "esp", "ah"};
    return std::ranges::find(kOthers, protocol) != kOthers.end() ? Match::kNever : Match::kMaybe;
  }

  Match compare_meta(const std::string& key, const Json& right) const {
    if (key == "l4proto") return compare_protocol(right);
    if (key == "nfproto")
      return right.is_string() ? match_of(right == "ipv4") : compare_number(2, right);
    if (key == "protocol") return right.is_string() ? match_of(right == "ip") : Match::kMaybe;
    if (key == "pkttype" && !packet_.outgoing) return match_of(right == "host");
    const bool in = key == "iif" || key == "iifname";
    if (!in && key != "oif" && key != "oifname") return Match::kMaybe;
    if (in == packet_.outgoing || !right.is_string()) return Match::kMaybe;
    return match_of(matches_name(right.get<std::string>(), packet_.interface));
  }

  Match compare_ct(const std::string& key, const Json& right) const {
    if (key == "direction" && tracking_ != Tracking::kUntracked)
      return match_of(right == (packet_.outgoing ? "reply" : "original"));
    // A rule that translates addresses has ended the walk.
    if (key == "status" && (right == "dnat" || right == "snat")) return Match::kNo;
    if (key != "state" || tracking_ == Tracking::kUnknown || !right.is_string())
      return Match::kMaybe;
    constexpr std::array<std::string_view, 3> kNames = {"new", "established", "untracked"};
    return match_of(right == kNames.at(static_cast<std::size_t>(tracking_)));
  }

  static bool is_tcp_flags(const Json& left) {
    const auto& [kind, value] = only(left);
    if (kind == "&" && value->is_array() && value->size() == 2) return is_tcp_flags((*value)[0]);
    return kind == "payload" && text_of(*value, "protocol") == "tcp" &&
           text_of(*value, "field") == "flags";
  }

  // `tcp flags syn` asks for a common bit; `tcp flags & MASK == syn` for these bits.
  Match compare_tcp_flags(const Json& left, const Json& right) const {
    if (packet_.protocol != kTcp) return Match::kNever;
    const unsigned own = packet_.is_new ? kSyn : kAck;
    const auto wanted = tcp_flags_of(right);
    if (!wanted) return Match::kMaybe;
    const auto& [kind, parts] = only(left);
    if (kind != "&") return match_of((own & *wanted) != 0);
    const auto mask = tcp_flags_of((*parts)[1]);
    return mask ? match_of((own & *mask) == *wanted) : Match::kMaybe;
  }

  const All& parts_;
  const FilteredPacket& packet_;
  Tracking tracking_;
};

}  // namespace

Ruleset::Ruleset(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
Ruleset::Ruleset(Ruleset&&) noexcept = default;
Ruleset& Ruleset::operator=(Ruleset&&) noexcept = default;
Ruleset::~Ruleset() = default;

std::expected<Ruleset, std::string> Ruleset::parse(const std::string& json, std::string_view text) {
  const Json document = Json::parse(json, nullptr, false);
  const Json& objects = member(document, "nftables");
  if (!objects.is_array()) return std::unexpected(std::string("nft printed no ruleset"));
  const RuleTexts texts = rule_texts(text);
  auto parts = std::make_unique<Parts>();
  for (const Json& object : objects) {
    const auto& [kind, value] = only(object);
    const ChainName name{text_of(*value, "family"), text_of(*value, "table"),
                         text_of(*value, kind == "rule" ? "chain" : "name")};
    if (kind == "chain") {
      Parts::Chain& chain = parts->chains[name];
      chain.hook = text_of(*value, "hook");
      chain.policy = text_of(*value, "policy");
      if (const Json& priority = member(*value, "prio"); priority.is_number_integer())
        chain.priority = priority.get<std::int64_t>();
      const Json& devices = member(*value, "dev");
      for (const Json& device : devices.is_array() ? devices : Json::array({devices}))
        if (device.is_string()) chain.devices.push_back(device.get<std::string>());
    } else if (kind == "set" || kind == "map") {
      parts->sets[name] = member(*value, "elem");
    } else if (kind == "ct helper") {
      parts->helpers[name] = text_of(*value, "type");
    } else if (kind == "rule") {
      const Json& statements = member(*value, "expr");
      const auto handle = number_of(member(*value, "handle"));
      const auto words = texts.find({name, handle.value_or(0)});
      Parts::Rule rule{
          fmt::format("\"{}\" in {}",
                      words == texts.end()
                          ? statements.dump(-1, ' ', false, Json::error_handler_t::replace)
                          : words->second,
                      name.to_string()),
          {}};
      if (statements.is_array())
        for (const Json& statement : statements)
          rule.statements.push_back(native_statement(
              statement, words == texts.end() ? std::string_view() : words->second));
      parts->chains[name].rules.push_back(std::move(rule));
    }
  }
  return Ruleset(std::move(parts));
}

Judgement Ruleset::judge(const FilteredPacket& packet) const {
  std::vector<std::string_view> hooks = {"ingress", "prerouting", "input"};
  if (packet.outgoing) hooks = {"output", "postrouting"};
  Walk walk(*parts_, packet);
  Judgement judgement;
  bool surely_ends = false;
  bool unclear = false;
  std::vector<std::string> unclear_rules;
  for (const std::string_view hook : hooks) {
    std::vector<std::pair<std::int64_t, const ChainName*>> order;
    for (const auto& [name, chain] : parts_->chains) {
      const bool is_ours = name.family == "ip" || name.family == "inet" || name.family == "netdev";
      const bool here = chain.devices.empty() ||
                        std::ranges::find(chain.devices, packet.interface) != chain.devices.end();
      if (is_ours && here && chain.hook == hook) order.emplace_back(chain.priority, &name);
    }
    std::ranges::stable_sort(order, {}, [](const auto& item) { return item.first; });
    for (const auto& [priority, name] : order) {
      Outcome outcome = walk.run(*name);
      const Parts::Chain& chain = parts_->chains.at(*name);
      if (outcome.next) {
        const bool drops = chain.policy == "drop";
        (drops ? outcome.drop : outcome.accept) = true;
        if (drops) outcome.deciding.push_back("the policy of " + name->to_string());
      }
      const bool ends = outcome.drop || outcome.reject || outcome.other;
      if (!ends) continue;
      judgement.chains.push_back(*name);
      if (outcome.accept || outcome.other) {
        unclear = true;
        std::ranges::copy(outcome.unclear, std::back_inserter(unclear_rules));
      } else if (!surely_ends) {
        surely_ends = true;
        judgement.kind = outcome.reject ? Judgement::Kind::kRejected : Judgement::Kind::kDropped;
        judgement.rules = outcome.deciding;
      }
    }
  }
  if (!surely_ends && unclear) {
    judgement.kind = Judgement::Kind::kUnclear;
    judgement.rules = unclear_rules;
  }
  // A rule that several ways lead through is named once.
  std::vector<std::string> once;
  for (std::string& rule : judgement.rules)
    if (std::ranges::find(once, rule) == once.end()) once.push_back(std::move(rule));
  judgement.rules = std::move(once);
  return judgement;
}

std::vector<std::string> Ruleset::rules_with_helper(std::string_view type) const {
  std::vector<std::string> found;
  for (const auto& [name, chain] : parts_->chains)
    for (const auto& rule : chain.rules)
      for (const Json& statement : rule.statements) {
        const auto& [kind, value] = only(statement);
        if (kind != "ct helper" || !value->is_string()) continue;
        const auto helper =
            parts_->helpers.find({name.family, name.table, value->get<std::string>()});
        if (helper != parts_->helpers.end() && helper->second == type) found.push_back(rule.text);
      }
  return found;
}

}  // namespace pns::doctor
