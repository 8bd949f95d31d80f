// SPDX-License-Identifier: BSD-3-Clause
#include "pns/import/chap_secrets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "pns/base/ip_address.hpp"
#include "pns/base/utf8.hpp"
#include "pns/import/lines.hpp"

namespace pns::import {

namespace {

constexpr std::size_t kHashDigits = 32;

bool is_nt_hash(std::string_view secret) noexcept {
  return secret.size() == kHashDigits &&
         secret.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

bool is_writable(std::string_view text) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  return !text.empty() && is_utf8(text) && std::ranges::none_of(text, is_control);
}

// Why a line makes no user; empty: it makes one.
std::string objection(const std::vector<std::string>& words, const ChapSecrets& how) {
  if (words.size() < 3) return "has no client, server and secret";
  const std::string& client = words[0];
  const std::string& secret = words[2];
  if (client == "*") return "any client with one secret: give each user a line in users.yaml";
  if (!how.server.empty() && words[1] != "*" && words[1] != how.server)
    return fmt::format("{}: of the server {}", client, words[1]);
  if (secret.starts_with('@'))
    return fmt::format("{}: the secret lies in another file: write it into users.yaml", client);
  if (!is_writable(client) || !is_writable(secret))
    return "a name or secret that is empty, no UTF-8, or has control characters";
  if (how.are_nt_hashes && !is_nt_hash(secret))
    return fmt::format("{}: the secret is no NT hash: write the password into users.yaml", client);
  return {};
}

// The words behind the secret.
void read_addresses(const std::vector<std::string>& words, const ChapSecrets& how,
                    ImportedUser& user, auto remark) {
  if (words.size() > 3 && words[3] != "*" && words[3] != "-") {
    if (Ipv4Address::parse(words[3]))
      user.address = words[3];
    else if (how.has_pools && words[3].find_first_of("/,-") == std::string::npos)
      user.pool = words[3];
    else
      remark(
          fmt::format("{}: '{}' is not one address: it gets one of the pool", user.name, words[3]));
  }
  if (words.size() <= 4) return;
  if (how.has_pools)
    remark(fmt::format("{}: write the rate {} as `rate` of the user", user.name, words[4]));
  else
    remark(fmt::format("{}: only the first address counts", user.name));
}

}  // namespace

void read_chap_secrets(std::string_view text, const ChapSecrets& how, ImportedServer& out) {
  std::set<std::string> names;
  for (const ImportedUser& user : out.users) names.insert(user.name);
  for (const Line& line : lines_of(text)) {
    const auto remark = [&](std::string_view why) {
      out.remarks.push_back(fmt::format("{}:{}: {}", how.file, line.number, why));
    };
    const auto words = words_of(line.text);
    if (const std::string why = objection(words, how); !why.empty()) {
      remark(why);
      continue;
    }
    if (!names.insert(words[0]).second) {
      remark(fmt::format("{} is there already: the first line counts", words[0]));
      continue;
    }
    ImportedUser user{.name = words[0], .password = words[2], .is_nt_hash = how.are_nt_hashes};
    read_addresses(words, how, user, remark);
    out.users.push_back(std::move(user));
  }
}

}  // namespace pns::import
