// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/traffic.hpp"

#include <algorithm>
#include <bit>

#include "pns/wire/checksum.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::loadgen {
namespace {

constexpr std::uint32_t kMark = 0x504e534c;  // "PNSL"

std::byte filler(std::size_t at, std::uint32_t session) noexcept {
  return static_cast<std::byte>(static_cast<std::uint8_t>(at + session));
}

// The sum that UDP adds for what IPv4 says of it (RFC 768).
std::uint16_t udp_checksum(Bytes datagram, Ipv4Address source, Ipv4Address destination) noexcept {
  std::array<std::byte, 12> pseudo;
  Writer out(pseudo);
  out.write_u32(source.value);
  out.write_u32(destination.value);
  out.write_u16(wire::kIpProtocolUdp);
  out.write_u16(static_cast<std::uint16_t>(datagram.size()));
  const std::uint16_t sum = wire::finish_sum(wire::raw_sum(datagram, wire::raw_sum(pseudo)));
  return sum == 0 ? 0xffff : sum;
}

}  // namespace

// ---- LatencyHistogram

std::size_t LatencyHistogram::bucket_of(std::uint64_t ns) noexcept {
  if (ns < (1U << kPartBits)) return ns;
  const auto power = static_cast<unsigned>(std::bit_width(ns)) - 1 - kPartBits;
  return (std::size_t{power} << kPartBits) + (ns >> power);
}

std::uint64_t LatencyHistogram::upper_end(std::size_t bucket) noexcept {
  if (bucket < (2U << kPartBits)) return bucket;
  const std::size_t power = (bucket >> kPartBits) - 1;
  return (((bucket & ((1U << kPartBits) - 1)) + (1U << kPartBits) + 1) << power) - 1;
}

void LatencyHistogram::add(Duration latency) noexcept {
  const auto ns = static_cast<std::uint64_t>(std::max<Duration::rep>(0, latency.count()));
  ++buckets_[std::min(bucket_of(ns), kBuckets - 1)];
  ++count_;
}

LatencyHistogram& LatencyHistogram::operator+=(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  return *this;
}

Duration LatencyHistogram::percentile(double p) const noexcept {
  if (count_ == 0) return {};
  const auto rank =
      std::min(count_, static_cast<std::uint64_t>(p * static_cast<double>(count_)) + 1);
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  while (bucket + 1 < kBuckets && (seen += buckets_[bucket]) < rank) ++bucket;
  return Duration(static_cast<Duration::rep>(upper_end(bucket)));
}

TrafficCounts& TrafficCounts::operator+=(const TrafficCounts& other) noexcept {
  sent += other.sent;
  received += other.received;
  reordered += other.reordered;
  duplicated += other.duplicated;
  damaged += other.damaged;
  foreign += other.foreign;
  return *this;
}

// ---- Flow

// IPv4, then ICMP Echo or UDP (8 octets both), then: mark, session, number, time, filler.
std::size_t Flow::write(MutableBytes out, Ipv4Address from, TimePoint now) {
  const bool udp = settings_.kind == Kind::kUdp;
  const std::uint64_t number = counts_.sent++;
  answered_.push_back(false);
  wire::Ipv4Header header;
  header.total_length = static_cast<std::uint16_t>(settings_.size);
  header.identification = static_cast<std::uint16_t>(number);
  header.time_to_live = 64;
  header.protocol = udp ? wire::kIpProtocolUdp : wire::kIpProtocolIcmp;
  header.source = from;
  header.destination = settings_.target;
  const std::size_t ip = wire::write_ipv4(out, header);
  const MutableBytes datagram = out.subspan(ip, settings_.size - ip);
  Writer body(datagram);
  if (udp) {
    body.write_u16(settings_.identifier);
    body.write_u16(settings_.port);
    body.write_u16(static_cast<std::uint16_t>(datagram.size()));
    body.write_u16(0);
  } else {
    body.write_u8(wire::kIcmpEchoRequest);
    body.write_u8(0);
    body.write_u16(0);
    body.write_u16(settings_.identifier);
    body.write_u16(static_cast<std::uint16_t>(number));
  }
  const std::uint64_t ns = monotonic_ns(now);
  body.write_u32(kMark);
  body.write_u32(session_);
  body.write_u32(static_cast<std::uint32_t>(number >> 32));
  body.write_u32(static_cast<std::uint32_t>(number));
  body.write_u32(static_cast<std::uint32_t>(ns >> 32));
  body.write_u32(static_cast<std::uint32_t>(ns));
  for (std::size_t at = body.size(); at < datagram.size(); ++at)
    datagram[at] = filler(at, session_);
  Writer sum(datagram.subspan(udp ? 6 : 2, 2));
  sum.write_u16(udp ? udp_checksum(datagram, from, settings_.target)
                    : wire::internet_checksum(datagram));
  return settings_.size;
}

bool Flow::on_packet(Bytes packet, Ipv4Address own, TimePoint now, LatencyHistogram* latencies) {
  newly_answered_.reset();
  const auto ip = wire::parse_ipv4(packet);
  const bool udp = settings_.kind == Kind::kUdp;
  if (!ip || ip->source != settings_.target || ip->destination != own ||
      ip->protocol != (udp ? wire::kIpProtocolUdp : wire::kIpProtocolIcmp))
    return false;
  const Bytes datagram = packet.subspan(ip->header_length, ip->total_length - ip->header_length);
  Reader in(datagram);
  if (udp) {
    const auto source = in.read_u16();
    const auto destination = in.read_u16();
    in.skip(4);
    if (source != settings_.port || destination != settings_.identifier) return false;
  } else {
    const auto type = in.read_u8();
    in.skip(3);
    const auto identifier = in.read_u16();
    in.skip(2);
    if (type != wire::kIcmpEchoReply || identifier != settings_.identifier) return false;
  }
  const auto mark = in.read_u32();
  const auto session = in.read_u32();
  const std::uint64_t high = in.read_u32();
  const std::uint64_t number = high << 32 | in.read_u32();
  const std::uint64_t seconds = in.read_u32();
  const std::uint64_t ns = seconds << 32 | in.read_u32();
  if (!in.ok() || mark != kMark) return false;
  if (session != session_) {
    ++counts_.foreign;
    return true;
  }
  if (number >= counts_.sent) return false;
  const std::size_t head = in.position();
  bool whole = datagram.size() == settings_.size - wire::kIpv4HeaderSize;
  for (std::size_t at = head; whole && at < datagram.size(); ++at)
    whole = datagram[at] == filler(at, session_);
  if (!whole) {
    ++counts_.damaged;
  } else if (answered_[number]) {
    ++counts_.duplicated;
  } else {
    answered_[number] = true;
    newly_answered_ = number;
    if (number < highest_answered_) ++counts_.reordered;
    highest_answered_ = std::max(highest_answered_, number);
    ++counts_.received;
    if (latencies != nullptr)
      latencies->add(now - TimePoint(Duration(static_cast<Duration::rep>(ns))));
  }
  return true;
}

}  // namespace pns::loadgen
