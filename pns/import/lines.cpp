// SPDX-License-Identifier: BSD-3-Clause
#include "pns/import/lines.hpp"

#include <cctype>

#include "pns/base/ip_address.hpp"

namespace pns::import {
namespace {

bool is_blank(char c) noexcept { return std::isspace(static_cast<unsigned char>(c)) != 0; }

// The text before a comment. A comment character inside quotes, or inside a word, is none.
std::string_view without_comment(std::string_view text, char comment) noexcept {
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == '\\') ++i;
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == comment && (i == 0 || is_blank(text[i - 1]))) {
      return text.substr(0, i);
    }
  }
  return text;
}

// Without the address of the network and the broadcast address.
std::string hosts_of(const Ipv4Prefix& prefix) {
  const bool has_both = prefix.has_broadcast();
  const Ipv4Address first(prefix.network().value + (has_both ? 1 : 0));
  const Ipv4Address last(prefix.last().value - (has_both ? 1 : 0));
  return first.to_string() + "-" + last.to_string();
}

}  // namespace

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<Line> lines_of(std::string_view text, char comment) {
  std::vector<Line> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line = trimmed(without_comment(text.substr(0, end), comment));
    if (!line.empty()) lines.push_back({number, std::string(line)});
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.emplace_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size()) {
      word += text[++i];
      in_word = true;
    } else if (quote != '\0') {
      if (c == quote)
        quote = '\0';
      else
        word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      in_word = true;
    } else if (!is_blank(c)) {
      word += c;
      in_word = true;
    } else if (in_word) {
      words.push_back(std::move(word));
      word.clear();
      in_word = false;
    }
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::string whole_range(std::string_view range) {
  if (const auto prefix = Ipv4Prefix::parse(range)) return hosts_of(*prefix);
  const auto dash = range.find('-');
  if (dash == std::string_view::npos) return std::string(range);
  const auto first = trimmed(range.substr(0, dash));
  const auto last = trimmed(range.substr(dash + 1));
  const auto dot = first.rfind('.');
  const bool is_short = last.find('.') == std::string_view::npos && dot != std::string_view::npos;
  return std::string(first) + "-" + (is_short ? std::string(first.substr(0, dot + 1)) : "") +
         std::string(last);
}

}  // namespace pns::import
