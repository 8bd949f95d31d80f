// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/terminate_time.hpp"

#include <cstdint>

namespace pns::radius {
namespace {

// Takes numbers of a fixed width, and single characters, off the front of a text.
class Fields {
 public:
  explicit Fields(std::string_view text) noexcept : rest_(text) {}

  // 0 and failed when there are not so many digits, or their value is above `maximum`.
  int number(std::size_t digits, int maximum) noexcept {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (i >= rest_.size() || rest_[i] < '0' || rest_[i] > '9') {
        ok_ = false;
        return 0;
      }
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    ok_ = ok_ && value <= maximum;
    return ok_ ? value : 0;
  }
  bool take(char c) noexcept {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) noexcept { ok_ = take(c) && ok_; }
  [[nodiscard]] bool ended_well() const noexcept { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::optional<std::chrono::sys_seconds> parse_terminate_time(std::string_view text) noexcept {
  using namespace std::chrono;
  Fields fields(text);
  const year y(fields.number(4, 9999));
  fields.expect('-');
  const month m(static_cast<unsigned>(fields.number(2, 12)));
  fields.expect('-');
  const day d(static_cast<unsigned>(fields.number(2, 31)));
  fields.expect('T');
  const hours hour(fields.number(2, 23));
  fields.expect(':');
  const minutes minute(fields.number(2, 59));
  fields.expect(':');
  const seconds second(fields.number(2, 59));
  minutes offset(0);
  if (!fields.take('Z')) {
    const bool west = fields.take('-');
    if (!west) fields.expect('+');
    offset = hours(fields.number(2, 23));
    fields.take(':');
    offset += minutes(fields.number(2, 59));
    if (west) offset = -offset;
  }
  const year_month_day date(y, m, d);
  if (!fields.ended_well() || !date.ok()) return std::nullopt;
  return sys_days(date) + hour + minute + second - offset;
}

}  // namespace pns::radius
