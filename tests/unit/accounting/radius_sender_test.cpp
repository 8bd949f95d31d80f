// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/radius_sender.hpp"

#include <catch2/catch.hpp>
#include <optional>

#include "controlplane/accounting/session_facts.hpp"
#include "pns/radius/packet.hpp"
#include "pns/radius/values.hpp"

using namespace pns;
using namespace pns::accounting;
namespace attribute = radius::attribute;

namespace {

constexpr std::uint64_t kNoon = 1'796'000'000;
const aaa::RadiusNas kNas{.identifier = "lab", .ipv4 = Ipv4Address(0x7f000001), .ipv6 = {}};

// The packet that says this record at this time.
class Sent {
 public:
  Sent(const Record& record, std::uint64_t now)
      : builder_(radius::Code::kAccountingRequest, 7, {},
                 radius::PacketBuilder::MessageAuthenticator::kNone) {
    add_record(builder_, record, kNas, now);
  }
  [[nodiscard]] std::optional<std::uint32_t> number(radius::AttributeId id) {
    const auto packet = radius::PacketView::parse(*builder_.finish());
    REQUIRE(packet);
    REQUIRE(packet->count(id) <= 1);
    const auto value = packet->find_first(id);
    return value ? radius::read_u32(*value) : std::nullopt;
  }
  [[nodiscard]] std::size_t count(radius::AttributeId id) {
    return radius::PacketView::parse(*builder_.finish())->count(id);
  }

 private:
  radius::PacketBuilder builder_;
};

}  // namespace

TEST_CASE("radius sender: a record with the name of the server and the time of its event",
          "[accounting]") {
  const Record record{.status = Status::kStop,
                      .number = 1,
                      .event_time = kNoon,
                      .attributes = cause_attributes(TerminateCause::kLostCarrier)};
  Sent sent(record, kNoon);
  CHECK(sent.number(attribute::kAcctStatusType) == 2);
  CHECK(sent.number(attribute::kAcctTerminateCause) == 2);
  CHECK(sent.number(attribute::kEventTimestamp) == kNoon);
  CHECK(sent.number(attribute::kNasIpAddress) == 0x7f000001);
  CHECK(sent.count(attribute::kNasIdentifier) == 1);
  CHECK(sent.count(attribute::kNasIpv6Address) == 0);
}

TEST_CASE("radius sender: the delay is that of this packet, and is left out where there is none",
          "[accounting]") {
  const Record record{.status = Status::kStart, .number = 1, .event_time = kNoon, .attributes = {}};
  CHECK_FALSE(Sent(record, kNoon).number(attribute::kAcctDelayTime));
  CHECK(Sent(record, kNoon + 90).number(attribute::kAcctDelayTime) == 90);
  // The clock was set back.
  CHECK_FALSE(Sent(record, kNoon - 5).number(attribute::kAcctDelayTime));
  CHECK(Sent(record, kNoon + 0x200000000).number(attribute::kAcctDelayTime) == 0xffffffff);
}
