// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/record.hpp"

#include "pns/base/be.hpp"

namespace pns::accounting {
namespace {

constexpr std::uint32_t kPlain = 1;
constexpr std::uint32_t kWithRealm = 2;

class Writer {
 public:
  // `octets`: of all but the realm.
  Writer(std::size_t octets, const std::string& realm) {
    octets_.reserve(octets + sizeof(std::uint32_t) + realm.size());
    number(realm.empty() ? kPlain : kWithRealm);
  }
  template <class Number>
  void number(Number value) {
    std::array<std::byte, sizeof(Number)> place{};
    store_be(place.data(), value);
    octets_.insert(octets_.end(), place.begin(), place.end());
  }
  void text(Bytes value) {
    number(static_cast<std::uint32_t>(value.size()));
    octets_.insert(octets_.end(), value.begin(), value.end());
  }
  // The last field.
  [[nodiscard]] Octets take(const std::string& realm) && {
    if (!realm.empty()) text(as_octets(realm));
    return std::move(octets_);
  }

 private:
  Octets octets_;
};

class Reader {
 public:
  explicit Reader(Bytes octets) : rest_(octets) {
    version_ = number<std::uint32_t>();
    ok_ = ok_ && (version_ == kPlain || version_ == kWithRealm);
  }
  template <class Number>
  Number number() {
    if (rest_.size() < sizeof(Number)) {
      ok_ = false;
      rest_ = {};
      return 0;
    }
    const auto value = load_be<Number>(rest_.data());
    rest_ = rest_.subspan(sizeof(Number));
    return value;
  }
  Octets text() {
    const std::size_t size = number<std::uint32_t>();
    if (size > rest_.size()) {
      ok_ = false;
      return {};
    }
    Octets value(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(size));
    rest_ = rest_.subspan(size);
    return value;
  }
  // The last field.
  std::string realm() {
    if (version_ != kWithRealm) return {};
    const Octets value = text();
    return {reinterpret_cast<const char*>(value.data()), value.size()};
  }
  // All was there, and nothing is left.
  [[nodiscard]] bool ok() const noexcept { return ok_ && rest_.empty(); }

 private:
  Bytes rest_;
  std::uint32_t version_ = 0;
  bool ok_ = true;
};

[[nodiscard]] bool is_status(std::uint32_t value) noexcept {
  switch (static_cast<Status>(value)) {
    case Status::kStart:
    case Status::kStop:
    case Status::kInterimUpdate:
    case Status::kAccountingOn:
    case Status::kAccountingOff:
      return true;
  }
  return false;
}

}  // namespace

Octets encode(const Record& record) {
  Writer out(28 + record.attributes.size(), record.realm);
  out.number(static_cast<std::uint32_t>(record.status));
  out.number(record.number);
  out.number(record.event_time);
  out.text(record.attributes);
  return std::move(out).take(record.realm);
}

Octets encode(const OpenSession& session) {
  Writer out(28 + session.identity.size() + session.counters.size(), session.realm);
  out.number(session.started);
  out.number(session.reported);
  out.text(session.identity);
  out.text(session.counters);
  return std::move(out).take(session.realm);
}

std::optional<Record> decode_record(Bytes octets) {
  Reader in(octets);
  const auto status = in.number<std::uint32_t>();
  Record record{.status = static_cast<Status>(status),
                .number = in.number<std::uint64_t>(),
                .event_time = in.number<std::uint64_t>(),
                .attributes = in.text(),
                .realm = in.realm()};
  if (!in.ok() || !is_status(status)) return std::nullopt;
  return record;
}

std::optional<OpenSession> decode_open_session(Bytes octets) {
  Reader in(octets);
  OpenSession session{.started = in.number<std::uint64_t>(),
                      .reported = in.number<std::uint64_t>(),
                      .identity = in.text(),
                      .counters = in.text(),
                      .realm = in.realm()};
  if (!in.ok()) return std::nullopt;
  return session;
}

}  // namespace pns::accounting
