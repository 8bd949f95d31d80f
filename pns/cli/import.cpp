// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/import.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "pns/base/unique_fd.hpp"
#include "pns/cli/client.hpp"
#include "pns/config/config.hpp"
#include "pns/import/accel_ppp.hpp"
#include "pns/import/imported_server.hpp"
#include "pns/import/poptop.hpp"

namespace pns::cli {
namespace {

std::optional<std::string> read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Empty: done.
std::string write_new(const std::filesystem::path& path, const import::OutputFile& file,
                      bool force) {
  const int how = force ? O_TRUNC : O_EXCL;
  const UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | how, file.is_secret ? 0600 : 0644));
  if (!fd || (file.is_secret && ::fchmod(fd.get(), 0600) != 0) ||
      ::write(fd.get(), file.text.data(), file.text.size()) !=
          static_cast<ssize_t>(file.text.size()))
    return fmt::format("{}: {}", path.string(), std::strerror(errno));
  return {};
}

int write_all(const import::ImportedServer& server, const std::string& from,
              const ImportOptions& options) {
  const std::vector<import::OutputFile> files = import::write_files(server, from);
  std::error_code error;
  std::filesystem::create_directories(options.output, error);
  for (const import::OutputFile& file : files)
    if (const auto path = options.output / file.name;
        !options.force && std::filesystem::exists(path, error))
      return complain(path.string() + " is there already (--force writes over it)", kRefused);
  for (const import::OutputFile& file : files) {
    const auto path = options.output / file.name;
    if (const std::string why = write_new(path, file, options.force); !why.empty())
      return complain(why, kRefused);
    fmt::print("wrote {}\n", path.string());
  }
  for (const std::string& remark : server.remarks) fmt::print("{}\n", remark);
  const auto config = config::load(options.output / files.front().name);
  if (config) {
    fmt::print("Next: put the NIC into `ports`, then `pns check --config {}`.\n",
               (options.output / files.front().name).string());
    return kDone;
  }
  for (const auto& wrong : config.error()) fmt::print("to be mended: {}\n", wrong.to_string());
  return complain("the files are written; mend these lines before `pns check`", kRefused);
}

}  // namespace

int run_import_accel_ppp(const ImportOptions& options) {
  const auto text = read_whole(options.file);
  if (!text) return complain(options.file.string() + ": cannot be read", kRefused);
  return write_all(import::read_accel_ppp(*text, options.file, read_whole), "accel-ppp", options);
}

int run_import_poptop(const ImportOptions& options) {
  const auto text = read_whole(options.file);
  if (!text) return complain(options.file.string() + ": cannot be read", kRefused);
  return write_all(import::read_poptop(*text, options.file, options.secrets, read_whole), "poptop",
                   options);
}

}  // namespace pns::cli
