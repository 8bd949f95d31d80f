// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/gre_stream.hpp"

#include <cstring>

#include "pns/wire/gre.hpp"

namespace pns::loadgen {

GreCounts& GreCounts::operator+=(const GreCounts& other) noexcept {
  sent += other.sent;
  received += other.received;
  acks_sent += other.acks_sent;
  acks_received += other.acks_received;
  stale += other.stale;
  missing += other.missing;
  return *this;
}

std::size_t GreStream::wrap(MutableBytes out, Bytes frame) noexcept {
  wire::GreHeader header;
  header.call_id = peer_call_id_;
  header.payload_length = static_cast<std::uint16_t>(frame.size());
  header.has_sequence = true;
  header.sequence = next_sequence_++;
  header.has_ack = ack_due_.has_value();
  header.ack = expected_.value_or(0) - 1;
  ack_due_.reset();
  const std::size_t size = wire::write_gre(out, header);
  if (size == 0 || out.size() - size < frame.size()) return 0;
  std::memcpy(out.data() + size, frame.data(), frame.size());
  ++counts_.sent;
  return size + frame.size();
}

void GreStream::take(Bytes packet, TimePoint now) {
  const auto header = wire::parse_gre(packet);
  if (!header) return;
  if (header->has_ack) ++counts_.acks_received;
  if (header->payload_length == 0 || header->payload_length > kMaximumFrame) return;
  if (!expected_) expected_ = header->sequence;
  const std::uint32_t sequence = header->sequence;
  const auto ahead = static_cast<std::int32_t>(sequence - *expected_);
  if (ahead < 0 || waiting_.contains(sequence)) {
    ++counts_.stale;
    return;
  }
  const Bytes frame = packet.subspan(header->size(), header->payload_length);
  if (profile_.acks != Acks::kNone && !ack_due_) ack_due_ = now + profile_.ack_delay;
  if (ahead > 0 && profile_.reorder_wait == Duration{}) skip_to(sequence);
  waiting_.emplace(sequence, Early{{frame.begin(), frame.end()}, now + profile_.reorder_wait});
  if (waiting_.size() > kMaximumWaiting) skip_to(waiting_.begin()->first);
}

void GreStream::skip_to(std::uint32_t sequence) noexcept {
  counts_.missing += sequence - *expected_;
  expected_ = sequence;
}

std::size_t GreStream::take_ack(MutableBytes out, TimePoint now) noexcept {
  if (profile_.acks != Acks::kDelayed || !ack_due_ || *ack_due_ > now) return 0;
  ack_due_.reset();
  ++counts_.acks_sent;
  wire::GreHeader header;
  header.call_id = peer_call_id_;
  header.has_ack = true;
  header.ack = expected_.value_or(0) - 1;
  return wire::write_gre(out, header);
}

}  // namespace pns::loadgen
