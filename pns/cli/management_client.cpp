// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/management_client.hpp"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/stat.h>

namespace pns::cli {

std::expected<Response, std::string> request(const std::filesystem::path& socket, Method method,
                                             const std::string& path, const std::string& body,
                                             int within) {
  struct stat status {};
  if (::stat(socket.c_str(), &status) != 0)
    return std::unexpected(
        errno == EACCES ? fmt::format("{}: permission denied", socket.string())
                        : fmt::format("the server is not running (no socket {})", socket.string()));
  httplib::Client client(socket.string());
  client.set_address_family(AF_UNIX);
  client.set_default_headers({{"Host", "localhost"}});
  client.set_connection_timeout(5);
  client.set_read_timeout(within);
  const httplib::Result result =
      method == Method::kGet    ? client.Get(path)
      : method == Method::kPost ? client.Post(path, body, "application/json")
      : method == Method::kPut  ? client.Put(path, body, "application/json")
                                : client.Delete(path);
  if (!result) {
    if (result.error() == httplib::Error::Connection)
      return std::unexpected(
          fmt::format("the server is not running (nobody answers at {})", socket.string()));
    return std::unexpected(
        fmt::format("{}: {}", socket.string(), httplib::to_string(result.error())));
  }
  return Response{result->status, result->body};
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace pns::cli
