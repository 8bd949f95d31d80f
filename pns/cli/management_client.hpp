// SPDX-License-Identifier: BSD-3-Clause
//
// One HTTP request to the management socket of a running server. The only user of cpp-httplib here.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

namespace pns::cli {

enum class Method { kGet, kDelete, kPost, kPut };

struct Response {
  int status = 0;    // HTTP
  std::string body;  // JSON text
};

// Error: one line that says whether the server is not running or did not answer.
// `body`: JSON, of a POST or PUT. `within`: seconds in which the answer must come.
[[nodiscard]] std::expected<Response, std::string> request(const std::filesystem::path& socket,
                                                           Method method, const std::string& path,
                                                           const std::string& body = {},
                                                           int within = 10);

// A user's name as one segment of a path (RFC 3986 §2.1).
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace pns::cli
