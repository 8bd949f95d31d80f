// SPDX-License-Identifier: BSD-3-Clause
//
// ImportedServer: the part of another PPTP server's configuration that this server has too, in no
// server's syntax. The readers (accel_ppp.hpp, poptop.hpp) fill it and write remarks; write_files()
// turns it into files of ours. Pure: no file is touched. Start of a command, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pns::import {

struct ImportedPool {
  std::vector<std::string> ranges{};              // "A-B", "A/N", one address
  std::string gateway{};                          // empty: not known
  std::string next{};                             // pool that follows when this one is exhausted
  std::vector<std::string> ipv6_prefixes{};       // "P/N"
  std::vector<std::string> delegated_prefixes{};  // likewise
  unsigned delegated_length = 0;                  // bits, of all of these
};

struct ImportedRadiusServer {
  std::string address;
  std::string secret;
  std::uint16_t auth_port = 1812;        // 0: not for authentication
  std::uint16_t accounting_port = 1813;  // 0: not for accounting
  std::optional<unsigned> weight{};
  bool backup = false;
};

struct ImportedUser {
  std::string name;
  std::string password;   // or its NT hash in hexadecimal
  std::string address{};  // empty: of the pool
  std::string pool{};     // empty: the default
  bool is_nt_hash = false;
};

struct ImportedServer {
  std::vector<std::string> listen{};
  std::vector<std::string> auth{};  // words of ppp.auth; empty: the default
  std::string mppe{};               // off, prefer, require; empty: not said
  bool lan_addresses = false;       // pools lie inside the LAN (proxy ARP)
  bool needs_radius = false;        // its servers are not known
  std::optional<unsigned> mtu{};
  std::optional<unsigned> echo_interval_s{};  // LCP Echo-Request
  std::optional<unsigned> echo_failures{};
  std::optional<unsigned> max_connections{};
  std::vector<std::string> dns{};
  std::vector<std::string> wins{};
  std::map<std::string, ImportedPool> pools{};
  std::string nas_identifier{};
  std::vector<ImportedRadiusServer> radius{};
  std::optional<unsigned> interim_interval_s{};
  std::string authorization_listen{};  // of Disconnect- and CoA-Requests; empty: off
  std::optional<std::uint16_t> authorization_port{};
  std::string authorization_secret{};
  std::string metrics{};  // ADDRESS:PORT; empty: the default
  std::vector<ImportedUser> users{};
  // One line each: "FILE:LINE: key: why it was not carried over, and the remedy".
  std::vector<std::string> remarks{};
};

struct OutputFile {
  std::string name;  // relative to the directory of pns.yaml
  std::string text;
  bool is_secret = false;  // mode 0600
};

// pns.yaml first. `from`: the program it came from, for a comment.
[[nodiscard]] std::vector<OutputFile> write_files(const ImportedServer& server,
                                                  const std::string& from);

}  // namespace pns::import
