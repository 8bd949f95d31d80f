// SPDX-License-Identifier: BSD-3-Clause
//
// How a YAML file is read strictly: a Document holds the file's errors and where each key stands; a
// Section is one mapping in it. A Section refuses unknown and doubled keys when it is opened, and
// reads its keys into fields, leaving a field alone (its default) when the key is absent or wrong.
// Private to pns/config; the only header that shows yaml-cpp.
#pragma once

#include <yaml-cpp/yaml.h>

#include <array>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "pns/config/config.hpp"
#include "pns/config/values.hpp"

namespace pns::config {

class Document {
 public:
  // `known_keys`: dotted patterns of every leaf, "*" for names and list entries.
  Document(std::filesystem::path file, std::span<const std::string_view> known_keys)
      : name_(file.string()), file_(std::filesystem::absolute(file)), known_keys_(known_keys) {}

  // Absolute.
  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }

  // The whole text as YAML; an error is noted when it is none, or has more than one document.
  [[nodiscard]] YAML::Node parse(const std::string& text);

  void error(int line, std::string key, std::string reason);
  // The same at the line where `key` stands, or the nearest key above it that does.
  void error_at(const std::string& key, std::string reason);
  // Where `key` stands; 0 when it was not in the file.
  [[nodiscard]] int line_of(const std::string& key) const;
  [[nodiscard]] bool has(const std::string& key) const { return lines_.contains(key); }

  // Everything noted so far, by line; empties the list.
  [[nodiscard]] std::vector<ConfigError> take_errors();
  [[nodiscard]] bool ok() const noexcept { return errors_.empty(); }

 private:
  friend class Section;

  std::string name_;  // the file as its user called it
  std::filesystem::path file_;
  std::span<const std::string_view> known_keys_;
  std::vector<ConfigError> errors_;
  std::map<std::string, int, std::less<>> lines_;
};

class Section {
 public:
  // The top of a document.
  Section(Document& document, const YAML::Node& node);

  // The mapping under `key`; empty when absent.
  [[nodiscard]] Section section(const std::string& key) const;
  // Each named mapping under `key` (pools), or each mapping of the list under `key` (routes).
  [[nodiscard]] std::vector<std::pair<std::string, Section>> named_sections(
      const std::string& key) const;
  [[nodiscard]] std::vector<Section> list_sections(const std::string& key) const;
  // Each of this mapping's entries as a section (the users file's top).
  [[nodiscard]] std::vector<std::pair<std::string, Section>> entries() const;

  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] bool is_list(const std::string& key) const;
  [[nodiscard]] bool is_mapping(const std::string& key) const;
  [[nodiscard]] bool is_empty_list(const std::string& key) const;
  // The scalars of a list as they stand, wrong or not; nothing when it is no list.
  [[nodiscard]] std::vector<std::string> words(const std::string& key) const;
  [[nodiscard]] std::string path(const std::string& key) const;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  // Notes an error when the key is absent.
  void require(const std::string& key) const;

  // One scalar. `parser`: string_view → Parsed<U>, U convertible to T.
  template <class T, class Parser>
  void read(const std::string& key, T& out, Parser parser) const {
    const auto scalar = find_scalar(key);
    if (!scalar) return;
    auto value = parser(std::string_view(scalar->text));
    if (!value)
      document_->error(scalar->line, scalar->path, std::move(value.error()));
    else
      out = static_cast<T>(std::move(*value));
  }
  template <class T, class Parser>
  void read(const std::string& key, std::optional<T>& out, Parser parser) const {
    T value{};
    const auto before = document_->errors_.size();
    read(key, value, parser);
    if (has(key) && document_->errors_.size() == before) out = std::move(value);
  }

  // A list of scalars, none twice; errors name the entry: ppp.dns.0.
  template <class T, class Parser>
  void read_list(const std::string& key, std::vector<T>& out, Parser parser) const {
    const auto scalars = find_scalars(key);
    if (!scalars) return;
    out.clear();
    for (const Scalar& scalar : *scalars) {
      auto value = parser(std::string_view(scalar.text));
      if (!value)
        document_->error(scalar.line, scalar.path, std::move(value.error()));
      else
        out.push_back(static_cast<T>(std::move(*value)));
    }
  }

 private:
  struct Scalar {
    std::string text;
    std::string path;
    int line = 0;
  };

  Section(Document& document, YAML::Node node, std::string path, std::string pattern, int line);

  void open();
  [[nodiscard]] bool is_known(const std::string& pattern) const;
  [[nodiscard]] std::string known_here() const;
  [[nodiscard]] std::optional<YAML::Node> find(const std::string& key) const;
  [[nodiscard]] std::optional<Scalar> find_scalar(const std::string& key) const;
  [[nodiscard]] std::optional<std::vector<Scalar>> find_scalars(const std::string& key) const;
  [[nodiscard]] std::optional<Scalar> as_scalar(const YAML::Node& node, std::string path,
                                                int line) const;

  Document* document_;
  YAML::Node node_;
  std::string path_;     // "" at the top
  std::string pattern_;  // path with names and indices as "*"
  int line_ = 0;
  std::map<std::string, YAML::Node> children_;
};

// Any text that is not empty.
[[nodiscard]] Parsed<std::string> parse_text(std::string_view text);

// A parser for one of a few words.
template <class T, std::size_t N>
[[nodiscard]] auto one_of(const std::pair<std::string_view, T> (&choices)[N]) {
  return [&choices](std::string_view text) -> Parsed<T> {
    std::string list;
    for (const auto& [word, value] : choices) {
      if (word == text) return value;
      if (!list.empty()) list += ", ";
      list += word;
    }
    return std::unexpected("'" + std::string(text) + "' is not one of " + list);
  };
}

inline constexpr std::pair<std::string_view, bool> kOnOrOff[] = {{"off", false}, {"on", true}};

// A parser for a file or a directory that a key names; relative ones are relative to the
// configuration file.
[[nodiscard]] inline auto file_beside(const Document& document) {
  return [directory = document.file().parent_path()](
             std::string_view text) -> Parsed<std::filesystem::path> {
    if (text.empty()) return std::unexpected("must not be empty");
    return (directory / std::filesystem::path(text)).lexically_normal();
  };
}

// A parser for integers in [min, max].
[[nodiscard]] inline auto integer(std::uint64_t min, std::uint64_t max) {
  return [min, max](std::string_view text) { return parse_unsigned(text, min, max); };
}

// A parser for durations in [min, max] in the unit of T.
template <class T>
[[nodiscard]] auto duration(T min, T max) {
  return [min, max](std::string_view text) -> Parsed<T> {
    const auto value = parse_duration(text, min, max);
    if (!value) return std::unexpected(value.error());
    const T rounded = std::chrono::duration_cast<T>(*value);
    if (rounded != *value)
      return std::unexpected("'" + std::string(text) + "' is finer than this key can be");
    return rounded;
  };
}

// The text of a file, or why it cannot be read.
[[nodiscard]] Parsed<std::string> read_file(const std::filesystem::path& file);
// The same of an open one, from its beginning.
[[nodiscard]] Parsed<std::string> read_file(int fd);

// Overwrites a text that may hold secrets.
void wipe_text(std::string& text) noexcept;

// The ports, each with the name of its key below `ports`.
using NamedPort = std::pair<std::string_view, const Port*>;
[[nodiscard]] inline std::array<NamedPort, 2> named_ports(const Config& config) noexcept {
  return {NamedPort{"access", &config.ports.access}, NamedPort{"core", &config.ports.core}};
}

// A value of either family, as a parser: IPv6 has a colon.
template <class Parser4, class Parser6>
auto of_either_family(Parser4 parser4, Parser6 parser6) {
  using Value = std::variant<typename decltype(parser4(std::string_view()))::value_type,
                             typename decltype(parser6(std::string_view()))::value_type>;
  return [parser4, parser6](std::string_view text) -> Parsed<Value> {
    if (text.find(':') != std::string_view::npos) {
      auto value = parser6(text);
      if (!value) return std::unexpected(std::move(value.error()));
      return *value;
    }
    auto value = parser4(text);
    if (!value) return std::unexpected(std::move(value.error()));
    return *value;
  };
}

// A list of values of both families under one key. Lists that the file does not give are left.
template <class Parser4, class Parser6, class T4, class T6>
void read_families(const Section& section, const char* key, std::vector<T4>& out4,
                   std::vector<T6>& out6, Parser4 parser4, Parser6 parser6) {
  if (!section.has(key)) return;
  std::vector<std::variant<T4, T6>> both;
  section.read_list(key, both, of_either_family(parser4, parser6));
  out4.clear();
  out6.clear();
  for (const auto& value : both) {
    if (const auto* v4 = std::get_if<T4>(&value)) out4.push_back(*v4);
    if (const auto* v6 = std::get_if<T6>(&value)) out6.push_back(*v6);
  }
}

}  // namespace pns::config
