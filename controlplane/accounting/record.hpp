// SPDX-License-Identifier: BSD-3-Clause
//
// Records of accounting (RFC 2866) as the spool keeps them: plain structs, and their octets. Pure
// functions, any thread. Numbers in the octets are big-endian. A record of an unknown version, or
// one that is cut, gives an empty result. Version 2 has the realm behind all else. Records without
// a realm are of version 1, so that an older program can read them.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pns/base/bytes.hpp"
#include "pns/base/ids.hpp"
#include "pns/radius/numbers.hpp"

namespace pns::accounting {

using Octets = std::vector<std::byte>;

using Status = radius::AcctStatusType;

// One Accounting-Request that no server has answered yet.
struct Record {
  Status status = Status::kStart;
  std::uint64_t number = 0;      // tells it from every other record of this spool
  std::uint64_t event_time = 0;  // seconds since 1970; Event-Timestamp (RFC 2869 §5.3)
  Octets attributes;             // all but Acct-Delay-Time
  std::string realm{};           // its servers alone may have the record; empty: any server
  friend bool operator==(const Record&, const Record&) = default;
};

// A session whose Start is written and whose Stop is not. A process that starts after a crash makes
// the Stop out of it.
struct OpenSession {
  std::uint64_t started = 0;   // seconds since 1970
  std::uint64_t reported = 0;  // of the latest report; seconds since 1970
  Octets identity;             // attributes that every record of the session has
  Octets counters;             // attributes of the latest report; empty: there was none
  std::string realm{};         // as in Record
  friend bool operator==(const OpenSession&, const OpenSession&) = default;
};

// A session's records stand together, in the order in which they are sent. At most one of each kind
// waits: a later Interim-Update takes the place of the one before.
enum class Slot : std::uint8_t { kStart = 1, kInterimUpdate = 2, kStop = 3 };

// Session 0: Accounting-On and Accounting-Off, which are of no session.
struct RecordKey {
  SessionId session{};
  Slot slot = Slot::kStart;
  friend auto operator<=>(const RecordKey&, const RecordKey&) noexcept = default;
};

[[nodiscard]] constexpr Slot slot_of(Status status) noexcept {
  switch (status) {
    case Status::kInterimUpdate:
      return Slot::kInterimUpdate;
    case Status::kStop:
    case Status::kAccountingOff:
      return Slot::kStop;
    case Status::kStart:
    case Status::kAccountingOn:
      break;
  }
  return Slot::kStart;
}

[[nodiscard]] Octets encode(const Record& record);
[[nodiscard]] Octets encode(const OpenSession& session);
[[nodiscard]] std::optional<Record> decode_record(Bytes octets);
[[nodiscard]] std::optional<OpenSession> decode_open_session(Bytes octets);

}  // namespace pns::accounting
