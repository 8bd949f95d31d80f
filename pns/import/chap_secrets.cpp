// SPDX-License-Identifier: BSD-3-Clause
#include "pns/import/chap_secrets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "pns/base/ip_address.hpp"
#include "pns/base/utf8.hpp"
#include "pns/import/lines.hpp"

namespace pns::import {

void read_chap_secrets(std::string_view text, const std::string& file, ImportedServer& out) {
  std::set<std::string> names;
  for (const ImportedUser& user : out.users) names.insert(user.name);
  for (const Line& line : lines_of(text)) {
    const auto remark = [&](std::string_view why) {
      out.remarks.push_back(fmt::format("{}:{}: {}", file, line.number, why));
    };
    const auto words = words_of(line.text);
    if (words.size() < 3) {
      remark("has no client, server and secret");
      continue;
    }
    const auto& [client, secret] = std::tie(words[0], words[2]);
    if (client == "*") {
      remark("any client with one secret: give each user a line in users.yaml");
      continue;
    }
    if (secret.starts_with('@')) {
      remark(fmt::format("{}: the secret lies in another file: write it into users.yaml", client));
      continue;
    }
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (secret.empty() || !is_utf8(secret) || !is_utf8(client) ||
        std::ranges::any_of(secret, is_control) || std::ranges::any_of(client, is_control)) {
      remark("a name or secret that is empty, no UTF-8, or has control characters");
      continue;
    }
    if (!names.insert(client).second) {
      remark(fmt::format("{} is there already: the first line counts", client));
      continue;
    }
    ImportedUser user{client, secret, {}};
    if (words.size() > 3 && words[3] != "*" && words[3] != "-") {
      if (Ipv4Address::parse(words[3]))
        user.address = words[3];
      else
        remark(
            fmt::format("{}: '{}' is not one address: it gets one of the pool", client, words[3]));
    }
    if (words.size() > 4) remark(fmt::format("{}: only the first address counts", client));
    out.users.push_back(std::move(user));
  }
}

}  // namespace pns::import
