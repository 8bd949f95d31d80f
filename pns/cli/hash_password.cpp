// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/hash_password.hpp"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "pns/cli/client.hpp"
#include "pns/crypto/mschap.hpp"

namespace pns::cli {
namespace {

constexpr std::size_t kLongest = 256;  // octets, as in the users file

// The terminal does not show what is typed while this lives.
class NoEcho {
 public:
  NoEcho() : is_terminal_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!is_terminal_) return;
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  ~NoEcho() {
    if (is_terminal_) (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;
  [[nodiscard]] bool is_terminal() const noexcept { return is_terminal_; }

 private:
  termios before_{};
  bool is_terminal_;
};

}  // namespace

int run_hash_password() {
  std::string password;
  {
    const NoEcho hidden;
    if (hidden.is_terminal()) fmt::print(stderr, "Password: ");
    std::getline(std::cin, password);
    if (hidden.is_terminal()) fmt::print(stderr, "\n");
  }
  if (password.empty() || password.size() > kLongest)
    return complain(fmt::format("a password has 1 to {} octets", kLongest), kRefused);
  const auto hash = crypto::nt_password_hash(password);
  ::explicit_bzero(password.data(), password.size());
  if (!hash) return complain("the password is no UTF-8", kRefused);
  std::string text;
  for (const std::byte octet : hash->bytes())
    text += fmt::format("{:02x}", std::to_integer<unsigned>(octet));
  fmt::print("{}\n", text);
  return kDone;
}

}  // namespace pns::cli
