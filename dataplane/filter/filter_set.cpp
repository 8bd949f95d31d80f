// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/filter/filter_set.hpp"

#include <fmt/format.h>
#include <rte_acl.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

namespace pns::dataplane {
namespace {

using config::FilterRule;

// The userdata of a rule, which its match gives; 0 is no match.
enum Verdict : std::uint32_t { kNoMatch = 0, kDeny = 1, kPermit = 2 };

// Octets of the tables of one family. 4,096 rules with ranges of ports stay far below.
constexpr std::size_t kMaxTables = std::size_t{256} << 20;

constexpr std::size_t kIpv4Fields = 6;
constexpr std::size_t kIpv6Fields = 12;

template <std::size_t N>
RTE_ACL_RULE_DEF(Rule, N);
static_assert(sizeof(Rule<kIpv6Fields>) == RTE_ACL_RULE_SZ(kIpv6Fields));

// Fields behind the addresses: ports, then one word of protocol and fragment.
constexpr std::uint32_t kProtocolAt = 24;
constexpr std::uint32_t kFragmentAt = 16;

template <class Key, std::size_t N>
constexpr std::array<rte_acl_field_def, N> make_fields() {
  constexpr std::size_t kWords = sizeof(Key::addresses) / 4;
  std::array<rte_acl_field_def, N> fields{};
  std::uint8_t n = 0;
  std::uint8_t input = 0;
  const auto add = [&](std::uint8_t type, std::uint8_t size, std::size_t offset) {
    fields[n] = {.type = type,
                 .size = size,
                 .field_index = n,
                 .input_index = input,
                 .offset = static_cast<std::uint32_t>(offset)};
    ++n;
  };
  add(RTE_ACL_FIELD_TYPE_BITMASK, 1, offsetof(Key, filter));
  for (std::size_t word = 0; word < kWords; ++word) {
    ++input;
    add(RTE_ACL_FIELD_TYPE_MASK, 4, offsetof(Key, addresses) + 4 * word);
  }
  ++input;
  add(RTE_ACL_FIELD_TYPE_RANGE, 2, offsetof(Key, ports));
  add(RTE_ACL_FIELD_TYPE_RANGE, 2, offsetof(Key, ports) + 2);
  ++input;
  add(RTE_ACL_FIELD_TYPE_BITMASK, 4, offsetof(Key, protocol));
  return fields;
}

rte_acl_field ports_field(const std::optional<FilterRule::Ports>& ports) {
  const FilterRule::Ports range = ports.value_or(FilterRule::Ports());
  rte_acl_field field{};
  field.value.u16 = range.first;
  field.mask_range.u16 = range.last;
  return field;
}

// A prefix of `length` bits as words of 32.
void put_words(std::span<rte_acl_field> out, std::span<const std::uint32_t> words,
               unsigned length) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const unsigned before = static_cast<unsigned>(i) * 32;
    out[i].value.u32 = words[i];
    out[i].mask_range.u32 = std::clamp(length, before, before + 32) - before;
  }
}

void put_address(std::span<rte_acl_field, 1> out, const std::optional<Ipv4Prefix>& prefix) {
  const Ipv4Prefix known = prefix.value_or(Ipv4Prefix());
  const std::array<std::uint32_t, 1> words = {known.network().value};
  put_words(out, words, known.length);
}

void put_address(std::span<rte_acl_field, 4> out, const std::optional<Ipv6Prefix>& prefix) {
  const Ipv6Prefix known = prefix.value_or(Ipv6Prefix());
  const Ipv6Address network = known.network();
  const std::array<std::uint32_t, 4> words = {
      static_cast<std::uint32_t>(network.high >> 32), static_cast<std::uint32_t>(network.high),
      static_cast<std::uint32_t>(network.low >> 32), static_cast<std::uint32_t>(network.low)};
  put_words(out, words, known.length);
}

// The rules of one family, in the order of the file.
template <std::size_t N>
class RuleList {
 public:
  static constexpr std::size_t kWords = (N - 4) / 2;

  template <class Prefix>
  void add(std::uint8_t number, const FilterRule& rule, const std::optional<Prefix>& source,
           const std::optional<Prefix>& destination) {
    const bool names_ports = rule.source_ports || rule.destination_ports;
    Rule<N> made = base(number, rule);
    put_address(std::span(made.field).template subspan<1, kWords>(), source);
    put_address(std::span(made.field).template subspan<1 + kWords, kWords>(), destination);
    if (names_ports) set_fragment(made, false);
    rules_.push_back(made);
    // A later fragment has no ports. A rule that permits must let it pass with the packet it is of.
    if (!names_ports || !rule.permit) return;
    made.field[N - 3] = ports_field({});
    made.field[N - 2] = ports_field({});
    set_fragment(made, true);
    rules_.push_back(made);
  }

  // Null and no error: there are no rules.
  [[nodiscard]] std::expected<rte_acl_ctx*, std::string> build(
      const char* family, const std::array<rte_acl_field_def, N>& fields) const {
    if (rules_.empty()) return nullptr;
    // rte_acl gives the context of the same name back.
    static std::atomic<unsigned> made{0};
    const std::string name = fmt::format("pns-{}-{}", family, made.fetch_add(1));
    const rte_acl_param parameters{.name = name.c_str(),
                                   .socket_id = SOCKET_ID_ANY,
                                   .rule_size = RTE_ACL_RULE_SZ(N),
                                   .max_rule_num = static_cast<std::uint32_t>(rules_.size())};
    rte_acl_ctx* const context = rte_acl_create(&parameters);
    if (context == nullptr)
      return std::unexpected(fmt::format("filters: rte_acl_create: {}", rte_strerror(rte_errno)));
    rte_acl_config settings{};
    settings.num_categories = 1;
    settings.num_fields = N;
    settings.max_size = kMaxTables;
    std::ranges::copy(fields, settings.defs);
    int error = rte_acl_add_rules(context, reinterpret_cast<const rte_acl_rule*>(rules_.data()),
                                  static_cast<std::uint32_t>(rules_.size()));
    if (error == 0) error = rte_acl_build(context, &settings);
    if (error == 0) return context;
    rte_acl_free(context);
    return std::unexpected(fmt::format("filters: rte_acl_build: {}", rte_strerror(-error)));
  }

 private:
  Rule<N> base(std::uint8_t number, const FilterRule& rule) const {
    Rule<N> made{};
    made.data.category_mask = 1;
    made.data.priority = static_cast<std::int32_t>(RTE_ACL_MAX_PRIORITY - rules_.size());
    made.data.userdata = rule.permit ? kPermit : kDeny;
    made.field[0].value.u8 = number;
    made.field[0].mask_range.u8 = 0xff;
    made.field[N - 3] = ports_field(rule.source_ports);
    made.field[N - 2] = ports_field(rule.destination_ports);
    if (rule.protocol) {
      made.field[N - 1].value.u32 = std::uint32_t{*rule.protocol} << kProtocolAt;
      made.field[N - 1].mask_range.u32 = 0xffU << kProtocolAt;
    }
    return made;
  }
  static void set_fragment(Rule<N>& rule, bool later) {
    rte_acl_field& word = rule.field[N - 1];
    constexpr std::uint32_t kBits = 0xffU << kFragmentAt;
    word.value.u32 = (word.value.u32 & ~kBits) | (later ? 1U << kFragmentAt : 0);
    word.mask_range.u32 |= kBits;
  }

  std::vector<Rule<N>> rules_;
};

template <class Key>
std::uint32_t classify(const rte_acl_ctx* context, std::span<const Key> keys) noexcept {
  if (context == nullptr) return 0;
  std::array<const std::uint8_t*, FilterSet::kBatch> data;
  std::array<std::uint32_t, FilterSet::kBatch> verdicts;
  const std::size_t count = std::min(keys.size(), data.size());
  for (std::size_t i = 0; i < count; ++i) data[i] = reinterpret_cast<const std::uint8_t*>(&keys[i]);
  if (rte_acl_classify(context, data.data(), verdicts.data(), static_cast<std::uint32_t>(count),
                       1) != 0)
    return 0;
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < count; ++i) bits |= (verdicts[i] == kPermit ? 1U : 0U) << i;
  return bits;
}

}  // namespace

std::expected<std::unique_ptr<FilterSet>, std::string> FilterSet::create(
    std::span<const Numbered> filters) {
  RuleList<kIpv4Fields> ipv4;
  RuleList<kIpv6Fields> ipv6;
  for (const Numbered& filter : filters) {
    for (const FilterRule& rule : *filter.rules) {
      if (rule.family != 6) ipv4.add(filter.number, rule, rule.ipv4_source, rule.ipv4_destination);
      if (rule.family != 4) ipv6.add(filter.number, rule, rule.ipv6_source, rule.ipv6_destination);
    }
  }
  std::unique_ptr<FilterSet> set(new FilterSet);
  const auto built4 = ipv4.build("ipv4", make_fields<Ipv4FilterKey, kIpv4Fields>());
  if (!built4) return std::unexpected(built4.error());
  set->ipv4_ = *built4;
  const auto built6 = ipv6.build("ipv6", make_fields<Ipv6FilterKey, kIpv6Fields>());
  if (!built6) return std::unexpected(built6.error());
  set->ipv6_ = *built6;
  return set;
}

FilterSet::~FilterSet() {
  rte_acl_free(ipv4_);
  rte_acl_free(ipv6_);
}

std::uint32_t FilterSet::permitted(std::span<const Ipv4FilterKey> keys) const noexcept {
  return classify(ipv4_, keys);
}

std::uint32_t FilterSet::permitted(std::span<const Ipv6FilterKey> keys) const noexcept {
  return classify(ipv6_, keys);
}

}  // namespace pns::dataplane
