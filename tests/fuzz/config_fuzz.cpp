// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration file, and the users file beside it: the octets up to the first NUL are the one,
// what follows the other. Nothing is thrown whatever they are; a refusal says what is wrong and
// where, an acceptance can be shown.
#include <algorithm>
#include <string>
#include <string_view>

#include "pns/config/config.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;

void check(const std::vector<config::ConfigError>& errors, std::string_view text) {
  const auto lines =
      2 + std::count(text.begin(), text.end(), '\n') + std::count(text.begin(), text.end(), '\r');
  PNS_CLAIM(!errors.empty());
  for (const auto& error : errors) {
    PNS_CLAIM(!error.reason.empty() && error.line >= 0 && error.line <= lines);
    PNS_CLAIM(error.to_string().find(error.reason) != std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data),
                               std::min<std::size_t>(size, 8192));
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string text(input.substr(0, end));
  const std::string users(input.substr(std::min(end + 1, input.size())));

  const auto config = config::parse(text, "/etc/pns/pns.yaml");
  if (config) {
    PNS_CLAIM(config->pools.contains("default") && !config->dataplane.cores.workers.empty());
    PNS_CLAIM(config::dump_json(*config).front() == '{');
  } else {
    check(config.error(), text);
  }
  const auto read = config::parse_users(users, "users.yaml", config ? &*config : nullptr);
  if (!read) return check(read.error(), users), 0;
  for (const auto& user : *read) PNS_CLAIM(user.password.has_value() != user.nt_hash.has_value());
  return 0;
}
