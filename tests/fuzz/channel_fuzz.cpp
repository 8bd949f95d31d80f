// SPDX-License-Identifier: BSD-3-Clause
//
// The consumer of a channel's ring against a producer that breaks every rule, and the message
// bodies it yields. First two octets: where the ring stands, so that records wrap round its end,
// and by how much `head` lies about what is there; the rest is what the ring holds. Then a producer
// that keeps the rules must get everything through the same ring, whole and in order.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "pns/contract/channel.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;
using namespace pns::contract;
using Outcome = RingConsumer::Outcome;

using Ring = std::array<std::byte, kRingCapacity>;

// A plane reads this of a message: a body only when it has its size at least.
template <class Body>
void body_as(const ReceivedMessage& message) {
  PNS_CLAIM(message.body_as<Body>().has_value() ==
            (message.header.body_size >= first_size<Body>()));
}

void check(const ReceivedMessage& message) {
  PNS_CLAIM(message.header.body_size <= kMaxBody && message.header.payload_size <= kMaxFrame);
  PNS_CLAIM(message.body().size() == message.header.body_size);
  PNS_CLAIM(message.payload().size() == message.header.payload_size);
  PNS_CLAIM(message.payload().data() + message.payload().size() <=
            message.octets.data() + message.octets.size());
  body_as<InstallSession>(message);
  body_as<ConfigureLink>(message);
  body_as<ArmMppe>(message);
  body_as<OpenIpv4>(message);
  body_as<OpenIpv6>(message);
  if (const auto reply = message.body_as<Reply>()) PNS_CLAIM(!name_of(reply->result).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto ring = std::make_unique<Ring>();
  static const auto message = std::make_unique<ReceivedMessage>();
  fuzz::Input input(data, std::min<std::size_t>(size, 16'384));
  RingIndices indices;
  // Near its end, or not.
  const std::uint64_t start = 3 * kRingCapacity - 8 * input.octet();
  const std::uint8_t lie = input.octet();
  const Bytes held = input.octets(size);
  for (std::size_t i = 0; i < held.size(); ++i)
    (*ring)[(start + i) & (kRingCapacity - 1)] = held[i];
  indices.tail = start;
  // As much as there is, more than there is, less than nothing, more than fits.
  indices.head = start + (lie < 0xf0   ? held.size()
                          : lie < 0xf8 ? held.size() + lie
                          : lie < 0xfc ? std::uint64_t{0} - lie
                                       : kRingCapacity + lie);
  RingConsumer consumer(indices, *ring, -1);
  for (;;) {
    const std::uint64_t before = indices.tail;
    const Outcome outcome = consumer.pop(*message);
    const std::uint64_t taken = indices.tail - before;
    if (outcome != Outcome::kMessage) {
      PNS_CLAIM(taken == 0);
      PNS_CLAIM((outcome == Outcome::kEmpty) == (indices.head == indices.tail));
      break;
    }
    check(*message);
    PNS_CLAIM(taken >= sizeof(MessageHeader) && taken % 8 == 0 &&
              taken <= sizeof(MessageHeader) + kMaxBody + kMaxFrame + 7);
    PNS_CLAIM(indices.head - indices.tail <= kRingCapacity);
    // No key stays behind.
    for (std::size_t i = 0; i < message->header.body_size; ++i)
      PNS_CLAIM((*ring)[(before + sizeof(MessageHeader) + i) & (kRingCapacity - 1)] ==
                std::byte{0});
  }

  indices.tail = indices.head = start;
  RingProducer producer(indices, *ring, -1);
  std::vector<std::pair<Bytes, Bytes>> sent;
  for (Bytes rest = held; !rest.empty();) {
    const std::size_t body =
        std::min<std::size_t>(std::to_integer<std::size_t>(rest[0]) % 80, rest.size());
    const std::size_t payload =
        std::min<std::size_t>(std::to_integer<std::size_t>(rest[0]) * 7, rest.size() - body);
    const bool fits = body <= kMaxBody && payload <= kMaxFrame;
    MessageHeader header;
    header.type = MessageType::kInjectFrame;
    PNS_CLAIM(producer.push(header, rest.first(body), rest.subspan(body, payload)) == fits);
    if (fits) sent.emplace_back(rest.first(body), rest.subspan(body, payload));
    rest = rest.subspan(std::max<std::size_t>(body + payload, 1));
  }
  for (const auto& [body, payload] : sent) {
    PNS_CLAIM(consumer.pop(*message) == Outcome::kMessage);
    check(*message);
    PNS_CLAIM(std::ranges::equal(message->body(), body));
    PNS_CLAIM(std::ranges::equal(message->payload(), payload));
  }
  PNS_CLAIM(consumer.pop(*message) == Outcome::kEmpty);
  return 0;
}
