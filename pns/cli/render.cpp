// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "pns/base/escape.hpp"

namespace pns::cli {
namespace {

using Json = nlohmann::ordered_json;

// Indented JSON for a terminal. Outside its texts JSON has only ASCII and ends of lines; in them an
// escape means the same.
std::string printable_json(std::string_view json) {
  std::string out;
  for (std::size_t at = 0; at <= json.size();) {
    const std::size_t end = std::min(json.find('\n', at), json.size());
    if (at != 0) out += '\n';
    append_escaped(out, json.substr(at, end - at), EscapeStyle::kPlain);
    at = end + 1;
  }
  return out;
}

std::string cell(std::string_view field, const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_unsigned()) {
    if (field.ends_with("_s")) return human_duration(value.get<std::uint64_t>());
    if (field.ends_with("_bytes")) return human_bytes(value.get<std::uint64_t>());
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() ? "-" : escaped(text);
  }
  if (value.is_array()) {
    std::string list;
    for (const Json& item : value) list += (list.empty() ? "" : ",") + cell(field, item);
    return list.empty() ? "-" : list;
  }
  return escaped(value.dump());
}

// Columns as in a terminal: octets of UTF-8 continuation do not count.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string pad(const std::string& text, std::size_t width, bool right) {
  const std::size_t own = width_of(text);
  const std::string fill(width > own ? width - own : 0, ' ');
  return right ? fill + text : text + fill;
}

bool is_list_of_objects(const Json& json) {
  return json.is_array() && !json.empty() &&
         std::all_of(json.begin(), json.end(), [](const Json& item) { return item.is_object(); });
}

std::string table(const Json& rows, std::span<const std::string_view> wanted) {
  std::vector<std::string> fields;
  const auto add = [&](const std::string& field) {
    if (std::find(fields.begin(), fields.end(), field) == fields.end()) fields.push_back(field);
  };
  if (wanted.empty()) {
    for (const Json& row : rows)
      for (const auto& [field, value] : row.items()) add(field);
  } else {
    for (const std::string_view field : wanted)
      if (std::any_of(rows.begin(), rows.end(),
                      [&](const Json& row) { return row.contains(std::string(field)); }))
        add(std::string(field));
  }
  struct Column {
    std::vector<std::string> cells;
    std::size_t width = 0;
    bool numeric = true;
  };
  std::vector<Column> columns;
  for (const std::string& field : fields) {
    Column column;
    std::string head = field;
    for (const std::string_view suffix : {"_bytes", "_s"})
      if (head.ends_with(suffix) && head.size() > suffix.size())
        head.resize(head.size() - (suffix == "_s" ? suffix.size() : 0));
    std::transform(head.begin(), head.end(), head.begin(), [](char c) {
      return c == '_' ? ' ' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    });
    column.cells.push_back(head);
    for (const Json& row : rows) {
      const auto found = row.find(field);
      column.cells.push_back(found == row.end() ? "-" : cell(field, *found));
      if (found != row.end() && !found->is_number() && !found->is_null()) column.numeric = false;
    }
    for (const std::string& text : column.cells)
      column.width = std::max(column.width, width_of(text));
    columns.push_back(std::move(column));
  }
  std::string out;
  for (std::size_t line = 0; line <= rows.size(); ++line) {
    std::string text;
    for (const Column& column : columns)
      text += (text.empty() ? "" : "  ") + pad(column.cells[line], column.width, column.numeric);
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  return out;
}

void lines(const Json& object, const std::string& prefix,
           std::vector<std::pair<std::string, std::string>>& plain,
           std::vector<std::pair<std::string, const Json*>>& tables) {
  for (const auto& [field, value] : object.items()) {
    const std::string name = prefix + field;
    if (value.is_object())
      lines(value, name + ".", plain, tables);
    else if (is_list_of_objects(value))
      tables.emplace_back(name, &value);
    else
      plain.emplace_back(name, cell(field, value));
  }
}

std::string record(const Json& object) {
  std::vector<std::pair<std::string, std::string>> plain;
  std::vector<std::pair<std::string, const Json*>> tables;
  lines(object, "", plain, tables);
  std::size_t width = 0;
  for (const auto& [name, value] : plain) width = std::max(width, width_of(name));
  std::string out;
  for (const auto& [name, value] : plain) out += pad(name, width, false) + "  " + value + "\n";
  for (const auto& [name, rows] : tables)
    out += (out.empty() ? "" : "\n") + name + ":\n" + table(*rows, {});
  return out;
}

}  // namespace

std::expected<std::string, std::string> render(const std::string& text,
                                               std::span<const std::string_view> columns) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return std::unexpected("the server's answer is not JSON");
  if (json.is_array() && json.empty()) return "none\n";
  if (is_list_of_objects(json)) return table(json, columns);
  return json.is_object() ? record(json) : cell("", json) + "\n";
}

std::expected<std::string, std::string> render_records(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!is_list_of_objects(json)) return render(text, {});
  std::string out;
  for (const Json& object : json) out += (out.empty() ? "" : "\n") + record(object);
  return out;
}

std::expected<std::string, std::string> indent(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return std::unexpected("the server's answer is not JSON");
  return printable_json(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

std::string error_text(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_string())
    return escaped(json["error"].get<std::string>());
  return escaped(text);
}

std::string human_duration(std::uint64_t seconds) {
  constexpr std::array<std::pair<std::uint64_t, char>, 4> kUnits = {
      {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}}};
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    const auto [size, letter] = kUnits[i];
    if (seconds < size && i + 1 < kUnits.size()) continue;
    const std::string first = fmt::format("{}{}", seconds / size, letter);
    if (i + 1 == kUnits.size() || seconds % size == 0) return first;
    const auto [next_size, next_letter] = kUnits[i + 1];
    return fmt::format("{}{}{}", first, seconds % size / next_size, next_letter);
  }
  return {};
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 7> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return value < 10 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                    : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

}  // namespace pns::cli
