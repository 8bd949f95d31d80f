// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/password_changes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "pns/base/bytes.hpp"
#include "pns/crypto/hash.hpp"

namespace pns::aaa {
namespace {

constexpr std::size_t kLargestFile = 64 << 20;
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::string_view kHead =
    "# Passwords that users have changed. Written by pns-control; remove a line to undo it.\n";

std::string reason() { return std::strerror(errno); }

std::uint64_t fingerprint(const Secret<16>& nt_hash) {
  const auto digest = crypto::sha1({as_octets("pns users.yaml"), nt_hash.bytes()});
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out = out << 8 | std::to_integer<std::uint64_t>(digest[i]);
  return out;
}

void append_hex(std::string& out, std::uint8_t octet) {
  out += kDigits[octet >> 4];
  out += kDigits[octet & 15];
}

std::optional<std::uint8_t> parse_hex(std::string_view two) {
  if (two.size() < 2) return std::nullopt;
  const auto high = kDigits.find(two[0]);
  const auto low = kDigits.find(two[1]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<std::uint8_t>(high << 4 | low);
}

std::string escape(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const auto octet = static_cast<std::uint8_t>(c);
    if (octet > 0x20 && octet != '%' && octet != 0x7f) {
      out += c;
      continue;
    }
    out += '%';
    append_hex(out, octet);
  }
  return out;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto octet = parse_hex(text.substr(i + 1));
    if (!octet) return std::nullopt;
    out += static_cast<char>(*octet);
    i += 2;
  }
  return out;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

std::expected<UniqueFd, std::string> PasswordChanges::find_directory(
    const std::filesystem::path& file) {
  UniqueFd directory(::open(file.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return std::unexpected("its directory cannot be found: " + reason());
  return directory;
}

std::expected<PasswordChanges, std::string> PasswordChanges::open(
    const std::filesystem::path& file) {
  const auto directory = find_directory(file);
  if (!directory) return std::unexpected(directory.error());
  return open(*directory, file.filename().string());
}

std::expected<PasswordChanges, std::string> PasswordChanges::open(const UniqueFd& found,
                                                                  std::string name) {
  struct stat status {};
  if (::fstat(found.get(), &status) != 0) return std::unexpected(reason());
  // Whoever else may write there could put a password of his own in place.
  if (status.st_uid != ::geteuid() || (status.st_mode & S_IRWXU) != S_IRWXU ||
      (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return std::unexpected("its directory must belong to the user of pns-control (uid " +
                           std::to_string(::geteuid()) + "; it belongs to uid " +
                           std::to_string(status.st_uid) + "), and nobody else may write to it");
  UniqueFd directory(::openat(found.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return std::unexpected("its directory cannot be opened: " + reason());
  PasswordChanges out(std::move(directory), std::move(name));
  if (auto done = out.read(); !done) return std::unexpected(done.error());
  return out;
}

std::expected<void, std::string> PasswordChanges::read() {
  const UniqueFd fd(::openat(directory_.get(), name_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return {};
  if (!fd) return std::unexpected(reason());
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return std::unexpected(reason());
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() ||
      (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return std::unexpected("must be a file that nobody but its owner may read (chmod 600)");
  if (static_cast<std::size_t>(status.st_size) > kLargestFile)
    return std::unexpected("is too large");
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::unexpected("cannot be read whole");
    have += static_cast<std::size_t>(got);
  }

  constexpr std::size_t kNameAt = 32 + 1 + 16 + 1;
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++number;
    if (line.empty() || line.front() == '#') continue;
    Entry entry;
    auto name = line.size() > kNameAt && line[32] == ' ' && line[kNameAt - 1] == ' '
                    ? unescape(line.substr(kNameAt))
                    : std::nullopt;
    bool good = name.has_value();
    for (std::size_t i = 0; good && i < 16 + 8; ++i) {
      const auto octet = parse_hex(line.substr(i < 16 ? 2 * i : 33 + 2 * (i - 16), 2));
      good = octet.has_value();
      if (i < 16)
        entry.nt_hash.bytes()[i] = std::byte{octet.value_or(0)};
      else
        entry.replaces = entry.replaces << 8 | octet.value_or(0);
    }
    if (!good) return std::unexpected("line " + std::to_string(number) + " is damaged");
    entries_.insert_or_assign(std::move(*name), entry);
  }
  wipe(std::as_writable_bytes(std::span(text)));
  return {};
}

void PasswordChanges::apply(std::vector<LocalUser>& users) {
  std::map<std::string, Entry> in_force;
  for (LocalUser& user : users) {
    const std::uint64_t configured = fingerprint(user.nt_hash);
    configured_.insert_or_assign(user.name, configured);
    const auto entry = entries_.find(user.name);
    if (entry == entries_.end() || entry->second.replaces != configured) continue;
    user.nt_hash = entry->second.nt_hash;
    user.password = SecretText();
    user.lm_hash.reset();
    user.password_expired = false;
    in_force.insert(*entry);
  }
  entries_ = std::move(in_force);
}

bool PasswordChanges::save(const std::string& name, const Secret<16>& nt_hash) {
  const auto configured = configured_.find(name);
  if (configured == configured_.end()) return false;
  auto entries = entries_;
  entries.insert_or_assign(name, Entry{.nt_hash = nt_hash, .replaces = configured->second});
  if (!write(entries)) return false;
  entries_ = std::move(entries);
  return true;
}

bool PasswordChanges::write(const std::map<std::string, Entry>& entries) const {
  std::string text;
  std::size_t length = kHead.size();
  for (const auto& [name, entry] : entries) length += 32 + 1 + 16 + 1 + 3 * name.size() + 1;
  text.reserve(length);  // never grows, so no copy of a hash is left behind
  text = kHead;
  for (const auto& [name, entry] : entries) {
    for (const std::byte octet : entry.nt_hash.bytes())
      append_hex(text, std::to_integer<std::uint8_t>(octet));
    text += ' ';
    for (unsigned i = 8; i-- > 0;)
      append_hex(text, static_cast<std::uint8_t>(entry.replaces >> (8 * i)));
    text += ' ';
    text += escape(name);
    text += '\n';
  }
  const std::string temporary = name_ + ".new";
  (void)::unlinkat(directory_.get(), temporary.c_str(), 0);  // of a process that was killed
  const UniqueFd fd(::openat(directory_.get(), temporary.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  const bool written = fd && write_all(fd.get(), text) && ::fsync(fd.get()) == 0;
  wipe(std::as_writable_bytes(std::span(text)));
  const bool kept = written && ::renameat(directory_.get(), temporary.c_str(), directory_.get(),
                                          name_.c_str()) == 0;
  if (const int error = errno; !kept) {
    (void)::unlinkat(directory_.get(), temporary.c_str(), 0);
    errno = error;  // the caller's log tells it
  }
  // The new file counts from here on, synced or not: a failure now must not say that it does not.
  if (kept) (void)::fsync(directory_.get());
  return kept;
}

}  // namespace pns::aaa
