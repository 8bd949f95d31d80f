// SPDX-License-Identifier: BSD-3-Clause
#include "pns/import/accel_ppp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <utility>
#include <vector>

#include "pns/import/chap_secrets.hpp"
#include "pns/import/lines.hpp"

namespace pns::import {
namespace {

// Sections of other protocols and of accel-ppp itself.
constexpr auto kPassedOver = std::to_array<std::string_view>(
    {"core", "pppoe", "l2tp", "ipoe", "sstp", "ipv6-nd", "cli", "snmp", "log", "log-pgsql"});
// Sections that have a counterpart of another form.
constexpr auto kElsewhere = std::to_array<std::pair<std::string_view, std::string_view>>(
    {{"shaper", "docs/rates-and-filters.md has rates of subscribers"},
     {"connlimit", "pptp.limits and pptp.admission do this"},
     {"pppd-compat", "no scripts run: use RADIUS accounting or the log"},
     {"ipv6-dhcp", "docs/ipv6.md has the keys of DHCPv6"}});
// Modules whose work this server does, or that belong to other protocols.
constexpr auto kKnownModules = std::to_array<std::string_view>(
    {"log_file", "log_syslog", "log_tcp",   "log_pgsql", "pptp",    "l2tp",         "pppoe",
     "ipoe",     "sstp",       "radius",    "ippool",    "sigchld", "chap-secrets", "ipv6pool",
     "ipv6_nd",  "ipv6_dhcp",  "connlimit", "net-snmp",  "metrics", "shaper"});

std::optional<unsigned> number_of(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "a,b,key=value,…": the parts without "=", and the others by key.
struct Parts {
  std::vector<std::string> plain;
  std::map<std::string, std::string> keys;
};
Parts parts_of(std::string_view value) {
  Parts parts;
  for (const std::string& part : split(value, ',')) {
    const auto equals = part.find('=');
    if (equals == std::string::npos)
      parts.plain.push_back(part);
    else
      parts.keys[part.substr(0, equals)] = part.substr(equals + 1);
  }
  return parts;
}

class Reader {
 public:
  Reader(const std::string& file, const ReadFile& read_file) : file_(file), read_file_(read_file) {}

  ImportedServer read(std::string_view text) {
    for (const Line& line : lines_of(text)) {
      line_ = line.number;
      if (line.text.front() == '[' && line.text.back() == ']') {
        section_ = line.text.substr(1, line.text.size() - 2);
        continue;
      }
      const auto equals = line.text.find('=');
      key_ = std::string(trimmed(std::string_view(line.text).substr(0, equals)));
      const std::string value =
          equals == std::string::npos
              ? std::string()
              : std::string(trimmed(std::string_view(line.text).substr(equals + 1)));
      read_key(value);
    }
    finish();
    return std::move(out_);
  }

 private:
  void remark(std::string_view why) {
    out_.remarks.push_back(fmt::format("{}:{}: [{}] {}: {}", file_, line_, section_, key_, why));
  }
  void not_carried(std::string_view remedy = "this server has no such key") {
    remark(fmt::format("not carried over: {}", remedy));
  }
  std::optional<unsigned> number(const std::string& value) {
    const auto read = number_of(value);
    if (!read) remark("is no number");
    return read;
  }

  void read_key(const std::string& value) {
    using Handler = void (Reader::*)(const std::string&);
    static const std::map<std::string_view, Handler> kSections = {
        {"modules", &Reader::read_module},    {"pptp", &Reader::read_pptp},
        {"ppp", &Reader::read_ppp},           {"auth", &Reader::read_auth},
        {"dns", &Reader::read_dns},           {"wins", &Reader::read_wins},
        {"ip-pool", &Reader::read_pool},      {"ipv6-pool", &Reader::read_ipv6_pool},
        {"ipv6-dns", &Reader::read_ipv6_dns}, {"chap-secrets", &Reader::read_secrets},
        {"radius", &Reader::read_radius},     {"client-ip-range", &Reader::read_client_range},
        {"metrics", &Reader::read_metrics},   {"common", &Reader::read_common}};
    if (std::ranges::find(kPassedOver, section_) != kPassedOver.end()) return;
    for (const auto& [section, remedy] : kElsewhere)
      if (section == section_) return not_carried(remedy);
    if (const auto found = kSections.find(section_); found != kSections.end())
      return (this->*found->second)(value);
    not_carried("this server has no such section");
  }

  void read_module(const std::string&) {
    if (key_.starts_with("auth_")) {
      static const std::map<std::string_view, std::string_view> kMethods = {
          {"auth_mschap_v2", "mschapv2"},
          {"auth_mschap_v1", "mschap"},
          {"auth_chap_md5", "chap"},
          {"auth_pap", "pap"}};
      if (const auto found = kMethods.find(key_); found != kMethods.end())
        out_.auth.emplace_back(found->second);
      else
        not_carried("this server has no such method");
    } else if (std::ranges::find(kKnownModules, key_) == kKnownModules.end()) {
      not_carried("this server has no such module");
    } else {
      has_radius_ |= key_ == "radius";
      has_secrets_ |= key_ == "chap-secrets";
      has_ipv6_pool_ |= key_ == "ipv6pool";
    }
  }

  void read_pptp(const std::string& value) {
    if (key_ == "bind") {
      if (value != "0.0.0.0") out_.listen.push_back(value);
    } else if (key_ == "mppe") {
      read_mppe(value);
    } else if (key_ == "ip-pool") {
      default_pool_ = value;
    } else if (key_ == "session-timeout") {
      not_carried("session_timeout of users, or Session-Timeout by RADIUS, does this");
    } else if (key_ == "echo-interval") {
      not_carried("pptp.echo_interval does this");
    } else if (key_ != "verbose" && key_ != "ifname" && key_ != "port" && key_ != "timeout" &&
               key_ != "echo-failure") {
      not_carried();
    } else if (key_ == "port" && value != "1723") {
      not_carried("this server listens on TCP 1723 alone");
    }
  }

  void read_mppe(const std::string& value) {
    if (value == "deny")
      out_.mppe = "off";
    else if (value == "prefer" || value == "require")
      out_.mppe = value;
    else
      remark(fmt::format("'{}' is none of deny, prefer, require", value));
  }

  void read_ppp(const std::string& value) {
    if (key_ == "mtu")
      out_.mtu = number(value);
    else if (key_ == "lcp-echo-interval")
      out_.echo_interval_s = number(value);
    else if (key_ == "lcp-echo-failure")
      out_.echo_failures = number(value);
    else if (key_ == "mppe")
      read_mppe(value);
    else if (key_ == "single-session")
      not_carried("aaa.sessions_per_user and aaa.on_limit do this");
    else if (key_ == "ipv6")
      has_ipv6_ &= value != "deny";
    else if (key_ != "verbose" && key_ != "min-mtu" && key_ != "mru" && key_ != "ccp" &&
             key_ != "ipv4" && key_ != "ipv6-intf-id" && key_ != "ipv6-peer-intf-id" &&
             key_ != "ipv6-accept-peer-intf-id" && key_ != "unit-cache" &&
             key_ != "unit-preallocate")
      not_carried();
  }

  void read_common(const std::string&) {
    not_carried(key_ == "single-session" ? "aaa.sessions_per_user: 1 and aaa.on_limit do this"
                : key_ == "max-sessions" ? "pptp.max_connections and dataplane.max_sessions do this"
                                         : "this server has no such key");
  }

  void read_auth(const std::string& value) {
    if (key_ == "noauth" && value != "0") not_carried("this server admits nobody without a login");
    if (key_ == "any-login" && value != "0") not_carried("this server checks every login");
  }

  void read_dns(const std::string& value) { out_.dns.push_back(value); }
  void read_ipv6_dns(const std::string& value) { out_.dns.push_back(value.empty() ? key_ : value); }
  void read_wins(const std::string& value) { out_.wins.push_back(value); }

  // "RANGE", or "pool = RANGE,name=NAME", and the gateway on a line of its own.
  void read_pool(const std::string& value) {
    if (key_ == "gw-ip-address") {
      gateway_ = value.substr(0, value.find('/'));
    } else if (key_ == "attr" || key_ == "vendor" || key_ == "shuffle") {
      if (key_ != "shuffle") not_carried("Framed-Pool (docs/radius.md) names a pool");
    } else {
      // A range may stand alone: then what looks like a key is the range, with options behind it.
      const bool alone = key_.find_first_of("./") != std::string::npos;
      const std::string whole = alone && !value.empty() ? key_ + "=" + value : alone ? key_ : value;
      const Parts parts = parts_of(whole);
      if (parts.plain.empty()) return remark("has no range");
      const auto named = parts.keys.find("name");
      const auto of_pool = parts.keys.find("pool");
      const std::string name = named != parts.keys.end()     ? named->second
                               : of_pool != parts.keys.end() ? of_pool->second
                               : parts.plain.size() > 1      ? parts.plain[1]
                                                             : "default";
      out_.pools[name].ranges.push_back(whole_range(parts.plain[0]));
      if (const auto next = parts.keys.find("next"); next != parts.keys.end())
        out_.pools[name].next = next->second;
    }
  }

  // "PREFIX/N,64" for the link; "delegate=PREFIX/N,56" for DHCPv6.
  void read_ipv6_pool(const std::string& value) {
    if (key_ == "delegate") return read_delegated(value);
    const std::string whole = value.empty() ? key_ : key_ + "=" + value;
    const Parts parts = parts_of(whole);
    if (parts.plain.empty() || parts.plain[0].find(':') == std::string::npos) return not_carried();
    if (parts.plain.size() > 1 && parts.plain[1] != "64")
      return not_carried("a subscriber's link gets a /64");
    ipv6_prefixes_.push_back(parts.plain[0]);
  }

  void read_delegated(const std::string& value) {
    const Parts parts = parts_of(value);
    if (parts.plain.size() < 2) return not_carried("PREFIX,LENGTH is needed");
    const auto length = number(parts.plain[1]);
    if (!length) return;
    ImportedPool& pool = out_.pools["default"];
    if (*length < 48 || *length > 64 ||
        (!pool.delegated_prefixes.empty() && *length != pool.delegated_length))
      return not_carried("a pool delegates prefixes of one length, 48 to 64 bits");
    pool.delegated_prefixes.push_back(parts.plain[0]);
    pool.delegated_length = *length;
  }

  void read_secrets(const std::string& value) {
    if (key_ == "gw-ip-address")
      gateway_ = value.substr(0, value.find('/'));
    else if (key_ == "chap-secrets")
      secrets_.file = value;
    else if (key_ == "encrypted")
      secrets_.are_nt_hashes = value != "0";
    else if (key_ == "username-hash")
      hashes_names_ = true;
    else
      not_carried();
  }

  void read_radius(const std::string& value) {
    if (key_ == "server") return read_server(value);
    if (key_ == "nas-identifier") {
      out_.nas_identifier = value;
    } else if (key_ == "gw-ip-address") {
      gateway_ = value;
    } else if (key_ == "acct-interim-interval") {
      out_.interim_interval_s = number(value);
      if (out_.interim_interval_s == 0U) out_.interim_interval_s.reset();  // none
    } else if (key_ == "default-realm") {
      not_carried("aaa.default_realm does this");
    } else if (key_ == "strip-realm") {
      not_carried("`strip` of a realm below aaa.realms does this");
    } else if (key_ == "dae-allowed") {
      not_carried("aaa.radius.dynamic_authorization.clients does this");
    } else if (key_ == "timeout" || key_ == "max-try") {
      not_carried("`timeout` and `tries` of each server do this");
    } else if (key_ == "dae-server") {
      const auto parts = split(value, ',');
      const auto colon = parts[0].rfind(':');
      out_.authorization_listen = parts[0].substr(0, colon);
      if (colon != std::string::npos)
        if (const auto port = number_of(parts[0].substr(colon + 1)); port && *port <= UINT16_MAX)
          out_.authorization_port = static_cast<std::uint16_t>(*port);
      if (parts.size() > 1) out_.authorization_secret = parts[1];
    } else if (key_ == "nas-ip-address" || key_ == "bind") {
      remark("see aaa.radius.source_addresses");
    } else if (key_ != "dictionary" && key_ != "verbose" && key_ != "acct-timeout" &&
               key_ != "acct-on" && key_ != "interim-verbose") {
      not_carried();
    }
  }

  // "ADDRESS,SECRET,auth-port=…,acct-port=…,req-limit=…,fail-time=…,max-fail=…,weight=…,backup"
  void read_server(const std::string& value) {
    // A secret may have any character but a comma.
    const auto fields = split(value, ',');
    if (fields.size() < 2 || fields[0].empty() || fields[1].empty())
      return remark("has no address and secret");
    ImportedRadiusServer server{fields[0], fields[1]};
    const auto rest = value.find(',', value.find(',') + 1);
    const Parts parts =
        rest == std::string::npos ? Parts() : parts_of(std::string_view(value).substr(rest + 1));
    for (const std::string& word : parts.plain)
      if (word == "backup") server.backup = true;
    for (const auto& [key, text] : parts.keys) {
      const auto number = number_of(text);
      const bool is_port = number && *number <= UINT16_MAX;
      if (key == "auth-port" && is_port)
        server.auth_port = static_cast<std::uint16_t>(*number);
      else if (key == "acct-port" && is_port)
        server.accounting_port = static_cast<std::uint16_t>(*number);
      else if (key == "weight" && number)
        server.weight = *number;
      else if (key != "req-limit" && key != "fail-time" && key != "fail-timeout" &&
               key != "max-fail")
        remark(fmt::format("{} is not carried over", key));
    }
    out_.radius.push_back(std::move(server));
  }

  void read_client_range(const std::string&) {
    if (key_ == "disable" || key_ == "0.0.0.0/0") return;
    remark("see pptp.limits.allow, which has the addresses of clients");
  }

  void read_metrics(const std::string& value) {
    if (key_ == "address") out_.metrics = value;
  }

  void finish() {
    finish_users();
    if (!has_radius_ && !out_.radius.empty()) {
      out_.radius.clear();
      out_.remarks.push_back(file_ + ": [radius] counts only with the module radius");
    }
    if (out_.mppe.empty())
      out_.remarks.push_back(file_ + ": no mppe is set: this server requires encryption");
    if (has_ipv6_ && has_ipv6_pool_)
      out_.dns.insert(out_.dns.end(), ipv6_dns_.begin(), ipv6_dns_.end());
    finish_pools();
  }

  void finish_users() {
    if (!has_secrets_ && secrets_.file.empty()) return;
    if (secrets_.file.empty()) secrets_.file = "/etc/ppp/chap-secrets";
    secrets_.has_pools = true;
    if (hashes_names_)
      out_.remarks.push_back(secrets_.file + ": names are hashed: write the users into users.yaml");
    else if (const auto text = read_file_(secrets_.file))
      read_chap_secrets(*text, secrets_, out_);
    else
      out_.remarks.push_back(secrets_.file + ": cannot be read: write the users into users.yaml");
  }

  // One pool must be the default: that of [pptp], else the first.
  void finish_pools() {
    if (!out_.pools.contains("default") && !out_.pools.empty()) {
      if (!out_.pools.contains(default_pool_)) default_pool_ = out_.pools.begin()->first;
      auto chosen = out_.pools.extract(default_pool_);
      out_.remarks.push_back(fmt::format("{}: pool {} is `default` here", file_, default_pool_));
      chosen.key() = "default";
      out_.pools.insert(std::move(chosen));
      for (auto& [name, pool] : out_.pools)
        if (pool.next == default_pool_) pool.next = "default";
    }
    if (gateway_.empty())
      out_.remarks.push_back(file_ + ": there is no gw-ip-address: write the gateway of each pool");
    if (out_.pools.empty())
      return out_.remarks.push_back(
          file_ + ": there is no address pool: write pools.default into pns.yaml");
    if (has_ipv6_ && has_ipv6_pool_) out_.pools["default"].ipv6_prefixes = ipv6_prefixes_;
    for (auto& [name, pool] : out_.pools) pool.gateway = gateway_;
  }

  std::string file_;
  const ReadFile& read_file_;
  ImportedServer out_;
  std::size_t line_ = 0;
  std::string section_;
  std::string key_;
  std::string gateway_;
  std::string default_pool_;
  std::vector<std::string> ipv6_prefixes_;
  std::vector<std::string> ipv6_dns_;
  ChapSecrets secrets_;
  bool hashes_names_ = false;
  bool has_ipv6_ = true;
  bool has_ipv6_pool_ = false;
  bool has_radius_ = false;
  bool has_secrets_ = false;
};

}  // namespace

ImportedServer read_accel_ppp(std::string_view text, const std::string& file,
                              const ReadFile& read_file) {
  return Reader(file, read_file).read(text);
}

}  // namespace pns::import
