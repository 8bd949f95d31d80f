// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/radius_sender.hpp"

#include <algorithm>
#include <limits>

namespace pns::accounting {

namespace attribute = radius::attribute;

void add_record(radius::PacketBuilder& packet, const Record& record, const aaa::RadiusNas& nas,
                std::uint64_t now) {
  packet.add_u32(attribute::kAcctStatusType, radius::number(record.status));
  aaa::add_nas(packet, nas);
  for (radius::AttributeIterator each(record.attributes); each != std::default_sentinel; ++each)
    packet.add(each->id, each->value);
  packet.add_u32(attribute::kEventTimestamp, static_cast<std::uint32_t>(record.event_time));
  const std::uint64_t delay = now - std::min(now, record.event_time);
  if (delay != 0)
    packet.add_u32(attribute::kAcctDelayTime,
                   static_cast<std::uint32_t>(
                       std::min<std::uint64_t>(delay, std::numeric_limits<std::uint32_t>::max())));
}

void RadiusSender::send(const Record& record, std::move_only_function<void(bool answered)> done) {
  aaa::RadiusQuestion question;
  question.kind = model::RadiusKind::kAccounting;
  question.patience = patience_;
  question.among = shared_->realms.of(record.realm, model::RadiusKind::kAccounting);
  question.build = [shared = shared_, record](radius::PacketBuilder& packet,
                                              const aaa::RadiusAttempt&) {
    add_record(packet, record, shared->nas, shared->wall());
  };
  client_.ask(std::move(question),
              [done = std::move(done)](
                  std::expected<aaa::RadiusAnswer, aaa::RadiusFailure> answer) mutable {
                done(answer.has_value());
              });
}

}  // namespace pns::accounting
