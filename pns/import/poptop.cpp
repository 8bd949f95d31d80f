// SPDX-License-Identifier: BSD-3-Clause
#include "pns/import/poptop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "pns/import/chap_secrets.hpp"
#include "pns/import/lines.hpp"

namespace pns::import {
namespace {

// Without a meaning here: pppd's and pptpd's own affairs.
constexpr auto kPassedOver = std::to_array<std::string_view>({"debug",
                                                              "logwtmp",
                                                              "speed",
                                                              "noipparam",
                                                              "ppp",
                                                              "stimeout",
                                                              "delegate",
                                                              "vrf",
                                                              "name",
                                                              "lock",
                                                              "nobsdcomp",
                                                              "novj",
                                                              "novjccomp",
                                                              "nologfd",
                                                              "nodefaultroute",
                                                              "auth",
                                                              "dump",
                                                              "noccp",
                                                              "nodeflate",
                                                              "noaccomp",
                                                              "nopcomp",
                                                              "ipcp-accept-local",
                                                              "ipcp-accept-remote",
                                                              "logfile",
                                                              "mru",
                                                              "idle-count",
                                                              "refuse-eap",
                                                              "noipx",
                                                              "nodetach",
                                                              "modem",
                                                              "crtscts",
                                                              "local",
                                                              "default-asyncmap"});

class Reader {
 public:
  Reader(std::string secrets, const ReadFile& read_file)
      : secrets_(std::move(secrets)), read_file_(read_file) {}

  ImportedServer read(std::string_view text, const std::string& file) {
    std::string options = "/etc/ppp/options.pptpd";
    read_lines(text, file, &options);
    if (const auto more = read_file_(options))
      read_lines(*more, options, nullptr);
    else
      out_.remarks.push_back(options + ": cannot be read: its options are missing");
    if (has_radius_)
      out_.remarks.push_back(secrets_ + ": is not read, because pppd asks RADIUS");
    else if (const auto secrets = read_file_(secrets_))
      read_chap_secrets(*secrets, {.file = secrets_, .server = name_}, out_);
    else
      out_.remarks.push_back(secrets_ + ": cannot be read: write the users into users.yaml");
    finish(file);
    return std::move(out_);
  }

 private:
  void remark(std::string_view why) {
    out_.remarks.push_back(fmt::format("{}:{}: {}: {}", file_, line_, key_, why));
  }
  std::optional<unsigned> number(const std::vector<std::string>& words) {
    unsigned value = 0;
    const std::string_view text = words.size() > 1 ? std::string_view(words[1]) : "";
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
    remark("has no number");
    return std::nullopt;
  }

  // `options`: where `option FILE` goes; null: this is that file.
  void read_lines(std::string_view text, const std::string& file, std::string* options) {
    file_ = file;
    for (const Line& line : lines_of(text)) {
      line_ = line.number;
      const auto words = words_of(line.text);
      key_ = words.front();
      if (options != nullptr && key_ == "option" && words.size() > 1)
        *options = words[1];
      else if (options == nullptr ? !read_option(words) : !read_pptpd(words))
        if (std::ranges::find(kPassedOver, key_) == kPassedOver.end())
          remark("not carried over: this server has no such key");
    }
  }

  // True: it is carried over, or has a remark.
  bool read_pptpd(const std::vector<std::string>& words) {
    const std::string value = words.size() > 1 ? words[1] : "";
    if (key_ == "listen") {
      if (value != "0.0.0.0") out_.listen.push_back(value);
    } else if (key_ == "localip") {
      gateway_ = value.substr(0, value.find_first_of(",-"));
      if (gateway_ != value) remark("every subscriber has one gateway here: the first address");
    } else if (key_ == "remoteip") {
      for (const std::string& range : split(value, ','))
        out_.pools["default"].ranges.push_back(whole_range(range));
    } else if (key_ == "connections") {
      out_.max_connections = number(words);
    } else if (key_ == "bcrelay") {
      remark("ppp.broadcast_relay needs a core port in the LAN (docs/lan-addresses.md)");
    } else {
      return false;
    }
    return true;
  }

  bool read_option(const std::vector<std::string>& words) {
    if (key_ == "ms-dns" && words.size() > 1)
      out_.dns.push_back(words[1]);
    else if (key_ == "ms-wins" && words.size() > 1)
      out_.wins.push_back(words[1]);
    else if (key_ == "mtu")
      out_.mtu = number(words);
    else if (key_ == "lcp-echo-interval")
      out_.echo_interval_s = number(words);
    else if (key_ == "lcp-echo-failure")
      out_.echo_failures = number(words);
    else if (key_.starts_with("require-mppe") || (key_ == "mppe" && words.size() > 1))
      read_mppe(words);
    else if (key_ == "name" && words.size() > 1)
      name_ = words[1];
    else if (key_ == "proxyarp")
      read_proxy_arp();
    else if (key_ == "nomppe")
      out_.mppe = "off";
    else if (key_.starts_with("require-") || key_.starts_with("refuse-"))
      return read_method();
    else if (key_ == "plugin")
      read_plugin(words);
    else if (key_ == "noauth")
      remark("not carried over: this server admits nobody without a login");
    else if (key_ == "idle" || key_ == "maxconnect")
      remark("not carried over: idle_timeout and session_timeout of users do this");
    else
      return false;
    return true;
  }

  void read_proxy_arp() {
    out_.lan_addresses = true;
    remark("the core port must be the LAN's interface: put it in place of eth1");
  }

  void read_mppe(const std::vector<std::string>& words) {
    out_.mppe = "require";
    for (const std::string& word : words)
      if (word.find("nomppe") != std::string::npos) out_.mppe = "off";
  }

  bool read_method() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kMethods = {
        {{"mschap-v2", "mschapv2"}, {"mschap", "mschap"}, {"chap", "chap"}, {"pap", "pap"}}};
    const bool require = key_.starts_with("require-");
    const std::string_view name = std::string_view(key_).substr(require ? 8 : 7);
    for (const auto& [theirs, ours] : kMethods)
      if (name == theirs) {
        (require ? required_ : refused_).emplace_back(ours);
        return true;
      }
    return false;
  }

  void read_plugin(const std::vector<std::string>& words) {
    const std::string name = words.size() > 1 ? words[1] : "";
    if (name.find("radius") == std::string::npos || name.find("radattr") != std::string::npos) {
      if (name.find("radattr") == std::string::npos) remark("not carried over: pppd loads plugins");
      return;
    }
    has_radius_ = true;
    out_.needs_radius = true;
    remark("the servers stand in radiusclient's files: write aaa.radius (docs/radius.md)");
  }

  void finish(const std::string& file) {
    out_.auth = required_;
    if (required_.empty() && !refused_.empty())
      for (const std::string_view method : {"mschapv2", "mschap", "chap", "pap"})
        if (std::ranges::find(refused_, method) == refused_.end()) out_.auth.emplace_back(method);
    if (out_.mppe.empty())
      out_.remarks.push_back(file + ": no mppe is set: this server requires encryption");
    if (!out_.pools.contains("default"))
      out_.remarks.push_back(file + ": there is no remoteip: write pools.default into pns.yaml");
    if (gateway_.empty())
      out_.remarks.push_back(file + ": there is no localip: write the gateway of the pool");
    for (auto& [name, pool] : out_.pools) pool.gateway = gateway_;
  }

  std::string secrets_;
  const ReadFile& read_file_;
  ImportedServer out_;
  std::string file_;
  std::size_t line_ = 0;
  std::string key_;
  std::string gateway_;
  std::string name_;  // of this server, in chap-secrets
  std::vector<std::string> required_;
  std::vector<std::string> refused_;
  bool has_radius_ = false;
};

}  // namespace

ImportedServer read_poptop(std::string_view text, const std::string& file,
                           const std::string& secrets, const ReadFile& read_file) {
  return Reader(secrets, read_file).read(text, file);
}

}  // namespace pns::import
