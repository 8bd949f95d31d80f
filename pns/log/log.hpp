// SPDX-License-Identifier: BSD-3-Clause
//
// The log of every process: one line per event on stderr, key=value or JSON, values escaped so that
// nothing from the wire can break a line or a terminal. Events that a peer can cause at will go
// through a RateLimit, which says how many it held back. A reader of stderr that stops reading
// costs lines, never time: what cannot be written at once is lost and counted.
//
// Any thread (spdlog's sink is locked); never from a packet path.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::log {

enum class Level : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };
enum class Format : std::uint8_t { kText, kJson };

// Call once at start. `process` stands in every line (pns, control, dataplane).
void start(Level level, Format format, std::string process);

// Lines below this level are not written from now on. Any thread, after start().
void set_level(Level level) noexcept;

// One key and its value, rendered when the field is made.
struct Field {
  std::string_view key;
  std::string value;
  bool number = false;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), number(true) {}
  Field(std::string_view k, Ipv4Address v) : key(k), value(v.to_string()) {}
  template <class Number>
  requires std::is_arithmetic_v<Number> Field(std::string_view k, Number v)
      : key(k), value(fmt::format("{}", v)), number(is_number(v)) {}

 private:
  // JSON knows neither nan nor inf, and a char is a text.
  template <class Number>
  [[nodiscard]] static bool is_number(Number v) noexcept {
    if constexpr (std::is_floating_point_v<Number>) return std::isfinite(v);
    return !std::is_same_v<Number, char>;
  }
};
using Fields = std::initializer_list<Field>;

// Lines of this process that nobody took.
[[nodiscard]] std::uint64_t lines_lost() noexcept;

[[nodiscard]] bool enabled(Level level) noexcept;
void write(Level level, std::string_view event, Fields fields);

inline void debug(std::string_view event, Fields fields = {}) {
  write(Level::kDebug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) { write(Level::kInfo, event, fields); }
inline void warn(std::string_view event, Fields fields = {}) { write(Level::kWarn, event, fields); }
inline void error(std::string_view event, Fields fields = {}) {
  write(Level::kError, event, fields);
}

// The text of one line without time stamp; for tests of the escaping.
[[nodiscard]] std::string render(Format format, std::string_view process, Level level,
                                 std::string_view event, Fields fields);

// At most `burst` lines at once and `burst` per `interval`; counts what it holds back.
class RateLimit {
 public:
  constexpr RateLimit(std::uint32_t burst, Duration interval) noexcept
      : burst_(burst), interval_(interval) {}
  // True: write the line, and say suppressed() if it is not 0 (taking it).
  [[nodiscard]] bool allow(TimePoint now) noexcept {
    if (now - window_start_ >= interval_) {
      window_start_ = now;
      used_ = 0;
    }
    if (used_ < burst_) {
      ++used_;
      return true;
    }
    ++suppressed_;
    return false;
  }
  [[nodiscard]] std::uint64_t take_suppressed() noexcept { return std::exchange(suppressed_, 0); }

 private:
  std::uint32_t burst_;
  Duration interval_;
  TimePoint window_start_{};
  std::uint32_t used_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace pns::log
