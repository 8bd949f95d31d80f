// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "pns/base/secret.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::config {
namespace {

int line_of_mark(const YAML::Mark& mark) noexcept { return mark.is_null() ? 0 : mark.line + 1; }

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

// Takes a document in and keeps nothing of it.
class Listener final : public YAML::EventHandler {
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Not YAML::LoadAll: where a document begins with a comma yaml-cpp 0.7 does not go on, and LoadAll
// takes all memory there is.
bool has_second_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Listener listener;
  return parser.HandleNextDocument(listener) && parser.HandleNextDocument(listener);
}

}  // namespace

std::string ConfigError::to_string() const {
  std::string text = file;
  if (line > 0) text += ":" + std::to_string(line);
  if (!key.empty()) text += ": " + key;
  return text + ": " + reason;
}

YAML::Node Document::parse(const std::string& text) {
  try {
    if (has_second_document(text)) error(0, "", "holds more than one YAML document");
    return YAML::Load(text);
  } catch (const YAML::Exception& e) {
    error(line_of_mark(e.mark), "", "not YAML: " + e.msg);
    return {};
  }
}

void Document::error(int line, std::string key, std::string reason) {
  errors_.push_back({name_, line, std::move(key), std::move(reason)});
}

void Document::error_at(const std::string& key, std::string reason) {
  std::string at = key;
  while (!at.empty() && !lines_.contains(at)) {
    const auto dot = at.rfind('.');
    at.resize(dot == std::string::npos ? 0 : dot);
  }
  error(at.empty() ? 0 : lines_.at(at), key, std::move(reason));
}

int Document::line_of(const std::string& key) const {
  const auto found = lines_.find(key);
  return found == lines_.end() ? 0 : found->second;
}

std::vector<ConfigError> Document::take_errors() {
  std::stable_sort(errors_.begin(), errors_.end(),
                   [](const ConfigError& a, const ConfigError& b) { return a.line < b.line; });
  return std::exchange(errors_, {});
}

Section::Section(Document& document, const YAML::Node& node)
    : document_(&document), node_(node), line_(0) {
  open();
}

Section::Section(Document& document, YAML::Node node, std::string path, std::string pattern,
                 int line)
    : document_(&document),
      node_(std::move(node)),
      path_(std::move(path)),
      pattern_(std::move(pattern)),
      line_(line) {
  open();
}

// Reads the keys of the mapping: unknown and doubled ones are errors here, once.
void Section::open() {
  if (!node_.IsDefined() || node_.IsNull()) return;
  if (!node_.IsMap()) {
    document_->error(line_, path_, "must be a mapping of keys to values");
    return;
  }
  for (const auto& item : node_) {
    const int line = line_of_mark(item.first.Mark());
    if (!item.first.IsScalar()) {
      document_->error(line, path_, "a key must be a plain word");
      continue;
    }
    const std::string& key = item.first.Scalar();
    const std::string child_path = join(path_, key);
    if (children_.contains(key)) {
      document_->error(
          line, child_path,
          "appears twice (first in line " + std::to_string(document_->line_of(child_path)) + ")");
      continue;
    }
    if (!is_known(join(pattern_, key)) && !is_known(join(pattern_, "*"))) {
      document_->error(line, child_path, "unknown key; known here: " + known_here());
      continue;
    }
    document_->lines_.emplace(child_path, line);
    children_.emplace(key, item.second);
  }
}

bool Section::is_known(const std::string& pattern) const {
  return std::any_of(
      document_->known_keys_.begin(), document_->known_keys_.end(), [&](std::string_view known) {
        return known == pattern ||
               (known.starts_with(pattern) && known.substr(pattern.size()).starts_with('.'));
      });
}

std::string Section::known_here() const {
  std::string list;
  std::string last;
  const std::string prefix = pattern_.empty() ? "" : pattern_ + ".";
  for (const std::string_view known : document_->known_keys_) {
    if (!known.starts_with(prefix)) continue;
    const std::string word(
        known.substr(prefix.size(), known.find('.', prefix.size()) - prefix.size()));
    if (word == last) continue;
    list += (list.empty() ? "" : ", ") + word;
    last = word;
  }
  return list;
}

bool Section::has(const std::string& key) const { return children_.contains(key); }

bool Section::is_list(const std::string& key) const {
  const auto node = find(key);
  return node && node->IsSequence();
}

bool Section::is_mapping(const std::string& key) const {
  const auto node = find(key);
  return node && node->IsMap();
}

bool Section::is_empty_list(const std::string& key) const {
  const auto node = find(key);
  return node && node->IsSequence() && node->size() == 0;
}

std::vector<std::string> Section::words(const std::string& key) const {
  std::vector<std::string> result;
  const auto node = find(key);
  if (!node || !node->IsSequence()) return result;
  for (const auto& item : *node)
    if (item.IsScalar()) result.push_back(item.Scalar());
  return result;
}

std::string Section::path(const std::string& key) const { return join(path_, key); }

void Section::require(const std::string& key) const {
  if (!has(key)) document_->error(line_, path(key), "must be given");
}

std::optional<YAML::Node> Section::find(const std::string& key) const {
  const auto found = children_.find(key);
  if (found == children_.end()) return std::nullopt;
  return found->second;
}

Section Section::section(const std::string& key) const {
  const auto node = find(key);
  return Section(*document_, node ? *node : YAML::Node(), path(key), join(pattern_, key),
                 document_->line_of(path(key)));
}

std::vector<std::pair<std::string, Section>> Section::entries() const {
  std::vector<std::pair<std::string, Section>> result;
  for (const auto& [name, node] : children_) {
    result.emplace_back(name, Section(*document_, node, path(name), join(pattern_, "*"),
                                      document_->line_of(path(name))));
  }
  return result;
}

std::vector<std::pair<std::string, Section>> Section::named_sections(const std::string& key) const {
  return section(key).entries();
}

std::vector<Section> Section::list_sections(const std::string& key) const {
  std::vector<Section> result;
  const auto node = find(key);
  if (!node) return result;
  if (!node->IsSequence()) {
    document_->error(document_->line_of(path(key)), path(key), "must be a list of mappings");
    return result;
  }
  std::size_t index = 0;
  for (const auto& item : *node) {
    const std::string item_path = path(key) + "." + std::to_string(index++);
    const int line = line_of_mark(item.Mark());
    document_->lines_.emplace(item_path, line);
    result.push_back(Section(*document_, item, item_path, join(join(pattern_, key), "*"), line));
  }
  return result;
}

std::optional<Section::Scalar> Section::as_scalar(const YAML::Node& node, std::string path,
                                                  int line) const {
  if (node.IsNull()) {
    document_->error(line, std::move(path), "has no value");
    return std::nullopt;
  }
  if (!node.IsScalar()) {
    document_->error(line, std::move(path), "must be a single value");
    return std::nullopt;
  }
  return Scalar{node.Scalar(), std::move(path), line};
}

std::optional<Section::Scalar> Section::find_scalar(const std::string& key) const {
  const auto node = find(key);
  if (!node) return std::nullopt;
  return as_scalar(*node, path(key), document_->line_of(path(key)));
}

std::optional<std::vector<Section::Scalar>> Section::find_scalars(const std::string& key) const {
  const auto node = find(key);
  if (!node) return std::nullopt;
  if (!node->IsSequence()) {
    document_->error(document_->line_of(path(key)), path(key), "must be a list");
    return std::nullopt;
  }
  std::vector<Scalar> scalars;
  std::set<std::string> seen;
  std::size_t index = 0;
  for (const auto& item : *node) {
    const int line = line_of_mark(item.Mark());
    const std::string item_path = path(key) + "." + std::to_string(index++);
    document_->lines_.emplace(item_path, line);
    auto scalar = as_scalar(item, item_path, line);
    if (!scalar) continue;
    if (!seen.insert(scalar->text).second) {
      document_->error(line, scalar->path, "'" + scalar->text + "' is in the list twice");
      continue;
    }
    scalars.push_back(std::move(*scalar));
  }
  return scalars;
}

Parsed<std::string> parse_text(std::string_view text) {
  if (text.empty()) return std::unexpected("must not be empty");
  return std::string(text);
}

namespace {

std::unexpected<std::string> cannot(const char* what) {
  return std::unexpected(std::string("cannot ") + what + ": " + std::strerror(errno));
}

}  // namespace

Parsed<std::string> read_file(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return cannot("open");
  return read_file(fd.get());
}

Parsed<std::string> read_file(int fd) {
  constexpr std::size_t kLargest = 64 * 1024 * 1024;
  constexpr std::size_t kChunk = 65536;
  struct stat status {};
  if (::fstat(fd, &status) != 0) return cannot("read");
  // Room for all of it: a text that grows leaves copies behind.
  std::string text;
  if (status.st_size > 0 && static_cast<std::size_t>(status.st_size) <= kLargest)
    text.reserve(static_cast<std::size_t>(status.st_size) + kChunk);
  for (;;) {
    const std::size_t have = text.size();
    text.resize(have + kChunk);
    // At an offset of its own: several processes may read one descriptor. A pipe has no offsets.
    ssize_t got = ::pread(fd, text.data() + have, kChunk, static_cast<off_t>(have));
    if (got < 0 && errno == ESPIPE) got = ::read(fd, text.data() + have, kChunk);
    text.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) {
      if (errno == EINTR) continue;
      return cannot("read");
    }
    if (got == 0) return text;
    if (text.size() > kLargest) return std::unexpected("larger than 64 MiB");
  }
}

void wipe_text(std::string& text) noexcept {
  wipe(std::as_writable_bytes(std::span(text)));
  text.clear();
}

}  // namespace pns::config
