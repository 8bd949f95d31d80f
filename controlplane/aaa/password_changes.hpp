// SPDX-License-Identifier: BSD-3-Clause
//
// PasswordChanges: the file of passwords that users have changed themselves (RFC 2759 §7), key
// aaa.local.password_changes_file. It holds NT hashes, never passwords, and is laid over users.yaml
// at start. An entry holds only as long as users.yaml still has the password that was changed: an
// operator who writes another one there has the last word.
//
// One line each: NT hash (32 hexadecimal digits), fingerprint of the hash in users.yaml (16
// digits), name (octets below '!', '%' and 7F as %XX). Lines that begin with '#' are comments.
//
// The file is replaced whole: written beside itself with mode 0600, synced, renamed, the directory
// synced. A caller waits for the disk: PasswordSaver has a thread for it.
// The directory must belong to the user of this process, which has no capability. One thread at a
// time.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "controlplane/aaa/local_authenticator.hpp"
#include "pns/base/secret.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::aaa {

class PasswordChanges {
 public:
  // The directory of `file`, found but not opened: for a process that later may not walk to it.
  // Error: why not, ready to print after the file's name.
  [[nodiscard]] static std::expected<UniqueFd, std::string> find_directory(
      const std::filesystem::path& file);

  // Opens the directory and reads the file of this name in it, which need not exist yet. Error: why
  // not, ready to print after the file's name.
  [[nodiscard]] static std::expected<PasswordChanges, std::string> open(const UniqueFd& directory,
                                                                        std::string name);
  // Both of them.
  [[nodiscard]] static std::expected<PasswordChanges, std::string> open(
      const std::filesystem::path& file);

  // Lays the file over the accounts. Call once, before save().
  void apply(std::vector<LocalUser>& users);

  // Keeps a change of one of those accounts. False: it could not be written; the file on disk is
  // what it was.
  [[nodiscard]] bool save(const std::string& name, const Secret<16>& nt_hash);

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    Secret<16> nt_hash;
    std::uint64_t replaces = 0;  // fingerprint of the hash in users.yaml
  };

  PasswordChanges(UniqueFd directory, std::string name) noexcept
      : directory_(std::move(directory)), name_(std::move(name)) {}
  [[nodiscard]] std::expected<void, std::string> read();
  [[nodiscard]] bool write(const std::map<std::string, Entry>& entries) const;

  UniqueFd directory_;
  std::string name_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::uint64_t> configured_;  // fingerprints in users.yaml, by account
};

}  // namespace pns::aaa
