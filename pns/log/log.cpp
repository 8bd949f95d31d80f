// SPDX-License-Identifier: BSD-3-Clause
#include "pns/log/log.hpp"

#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <memory>
#include <mutex>

#include "pns/base/escape.hpp"

namespace pns::log {
namespace {

struct State {
  Format format = Format::kText;
  std::string process = "pns";
};
State& state() {
  static State instance;
  return instance;
}

std::atomic<std::uint64_t> lost_lines{0};

// stderr, without ever waiting for it. The descriptor itself stays as it is: others share it.
class Stderr final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  // A pipe or socket that is ready takes PIPE_BUF octets without blocking.
  [[nodiscard]] static bool put(std::string_view octets) noexcept {
    while (!octets.empty()) {
      pollfd ready{STDERR_FILENO, POLLOUT, 0};
      if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
      const auto wrote =
          ::write(STDERR_FILENO, octets.data(), std::min<std::size_t>(octets.size(), PIPE_BUF));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return false;
      octets.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
  }
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (!put({line.data(), line.size()})) lost_lines.fetch_add(1, std::memory_order_relaxed);
  }
  void flush_() override {}
};

spdlog::level::level_enum to_spdlog(Level level) noexcept {
  switch (level) {
    case Level::kTrace:
      return spdlog::level::trace;
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

constexpr std::array<std::string_view, 5> kLevelNames = {"trace", "debug", "info", "warn", "error"};

bool is_bare(std::string_view value) noexcept {
  if (value.empty()) return false;
  for (const char c : value)
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') return false;
  return true;
}

void append_quoted(std::string& out, Format format, std::string_view value) {
  out += '"';
  append_escaped(out, value, format == Format::kJson ? EscapeStyle::kJson : EscapeStyle::kQuoted);
  out += '"';
}

void append_pair(std::string& out, Format format, std::string_view key, std::string_view value,
                 bool number) {
  if (format == Format::kJson) {
    if (out.size() > 1) out += ',';
    append_quoted(out, format, key);
    out += ':';
    if (number)
      out += value;
    else
      append_quoted(out, format, value);
    return;
  }
  if (!out.empty()) out += ' ';
  out += key;
  out += '=';
  if (is_bare(value))
    out += value;
  else
    append_quoted(out, format, value);
}

}  // namespace

void start(Level level, Format format, std::string process) {
  state().format = format;
  state().process = std::move(process);
  auto logger = std::make_shared<spdlog::logger>("pns", std::make_shared<Stderr>());
  logger->set_pattern(format == Format::kJson ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v"
                                              : "%Y-%m-%dT%H:%M:%S.%eZ %v",
                      spdlog::pattern_time_type::utc);
  logger->set_level(to_spdlog(level));
  spdlog::set_default_logger(std::move(logger));
}

void set_level(Level level) noexcept { spdlog::default_logger_raw()->set_level(to_spdlog(level)); }

std::uint64_t lines_lost() noexcept { return lost_lines.load(std::memory_order_relaxed); }

bool enabled(Level level) noexcept {
  return spdlog::default_logger_raw()->should_log(to_spdlog(level));
}

std::string render(Format format, std::string_view process, Level level, std::string_view event,
                   Fields fields) {
  std::string line = format == Format::kJson ? "{" : "";
  append_pair(line, format, "level", kLevelNames.at(static_cast<std::size_t>(level)), false);
  append_pair(line, format, "process", process, false);
  append_pair(line, format, "event", event, false);
  for (const Field& field : fields) append_pair(line, format, field.key, field.value, field.number);
  if (format == Format::kJson) line += '}';
  return line;
}

void write(Level level, std::string_view event, Fields fields) {
  if (!enabled(level)) return;
  const std::string line = render(state().format, state().process, level, event, fields);
  // In JSON the pattern has opened the object already.
  spdlog::default_logger_raw()->log(
      to_spdlog(level), "{}",
      state().format == Format::kJson ? std::string_view(line).substr(1) : std::string_view(line));
}

}  // namespace pns::log
