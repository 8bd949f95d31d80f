// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/record.hpp"

#include <catch2/catch.hpp>

using namespace pns;
using namespace pns::accounting;

namespace {

const Record kRecord{.status = Status::kInterimUpdate,
                     .number = 0x1122334455667788,
                     .event_time = 1'796'000'000,
                     .attributes = {std::byte{1}, std::byte{3}, std::byte{'u'}}};
const OpenSession kSession{.started = 1'796'000'000,
                           .reported = 1'796'000'060,
                           .identity = {std::byte{1}, std::byte{3}, std::byte{'u'}},
                           .counters = {std::byte{42}}};

}  // namespace

TEST_CASE("accounting record: what is written is read", "[accounting]") {
  CHECK(decode_record(encode(kRecord)) == kRecord);
  CHECK(decode_open_session(encode(kSession)) == kSession);
  CHECK(decode_open_session(encode(OpenSession{})) == OpenSession{});
}

TEST_CASE("accounting record: one that is cut, too long or of another version is none",
          "[accounting]") {
  const Octets whole = encode(kRecord);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(decode_record(Bytes(whole).first(size)));
  Octets longer = whole;
  longer.push_back(std::byte{0});
  CHECK_FALSE(decode_record(longer));
  Octets other = whole;
  other[3] = std::byte{3};
  CHECK_FALSE(decode_record(other));
  Octets unknown = whole;
  unknown[7] = std::byte{99};  // Acct-Status-Type
  CHECK_FALSE(decode_record(unknown));

  const Octets session = encode(kSession);
  for (std::size_t size = 0; size < session.size(); ++size)
    CHECK_FALSE(decode_open_session(Bytes(session).first(size)));
}

TEST_CASE("accounting record: each status has the place in which it is sent", "[accounting]") {
  CHECK(slot_of(Status::kStart) < slot_of(Status::kInterimUpdate));
  CHECK(slot_of(Status::kInterimUpdate) < slot_of(Status::kStop));
  CHECK(slot_of(Status::kAccountingOn) < slot_of(Status::kAccountingOff));
  CHECK(RecordKey{SessionId(1), Slot::kStop} < RecordKey{SessionId(2), Slot::kStart});
}

TEST_CASE("accounting record: a realm is kept; a record without one is as older programs write it",
          "[accounting][realms]") {
  Record record = kRecord;
  record.realm = "example.com";
  const Octets whole = encode(record);
  CHECK(whole[3] == std::byte{2});
  CHECK(decode_record(whole) == record);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(decode_record(Bytes(whole).first(size)));
  OpenSession session = kSession;
  session.realm = "example.com";
  CHECK(decode_open_session(encode(session)) == session);
  CHECK(encode(kRecord)[3] == std::byte{1});
  CHECK(encode(kSession)[3] == std::byte{1});
}
