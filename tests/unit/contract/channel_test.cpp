// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/channel.hpp"

#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

using namespace pns;
using namespace pns::contract;
using Outcome = RingConsumer::Outcome;

namespace {

// One ring in plain memory, with both its ends.
struct Ring {
  std::unique_ptr<ChannelLayout> layout = std::make_unique<ChannelLayout>();
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  RingProducer producer{layout->commands, layout->command_octets, event.get()};
  RingConsumer consumer{layout->commands, layout->command_octets, event.get()};
};

std::vector<std::byte> pattern(std::size_t size, unsigned seed) {
  std::vector<std::byte> out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(seed * 31 + i * 7);
  return out;
}

MessageHeader header_of(MessageType type, std::uint32_t request = 0) {
  MessageHeader header;
  header.type = type;
  header.request = request;
  header.slot = SlotId(request * 3);
  header.generation = request + 1;
  return header;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

struct Pair {
  UniqueFd dataplane, control;
  Pair() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) == 0);
    dataplane.reset(fds[0]);
    control.reset(fds[1]);
  }
};

void send_descriptors(int socket, std::uint64_t magic, const std::vector<int>& fds) {
  iovec io{&magic, sizeof(magic)};
  std::vector<std::byte> control(CMSG_SPACE(sizeof(int) * fds.size()));
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(item), fds.data(), sizeof(int) * fds.size());
  }
  REQUIRE(::sendmsg(socket, &header, 0) == static_cast<ssize_t>(sizeof(magic)));
}

}  // namespace

TEST_CASE("channel: what is pushed comes out once, in order and whole", "[contract][channel]") {
  Ring ring;
  ReceivedMessage message;
  CHECK(ring.consumer.pop(message) == Outcome::kEmpty);

  const Reply reply{ReplyResult::kAddressInUse, 77};
  const auto frame = pattern(kMaxFrame, 5);
  REQUIRE(ring.producer.push(header_of(MessageType::kReply, 9), std::as_bytes(std::span(&reply, 1)),
                             {}));
  REQUIRE(ring.producer.push(header_of(MessageType::kPuntedFrame, 10), {}, frame));

  REQUIRE(ring.consumer.pop(message) == Outcome::kMessage);
  CHECK(message.header.type == MessageType::kReply);
  CHECK(message.header.request == 9);
  CHECK(message.header.slot == SlotId(27));
  CHECK(message.header.generation == 10);
  CHECK(message.payload().empty());
  REQUIRE(message.body_as<Reply>());
  CHECK(message.body_as<Reply>()->generation == 77);
  CHECK_FALSE(message.body_as<InstallSession>());

  REQUIRE(ring.consumer.pop(message) == Outcome::kMessage);
  CHECK(message.header.type == MessageType::kPuntedFrame);
  CHECK(message.body().empty());
  CHECK(std::ranges::equal(message.payload(), frame));
  CHECK(ring.consumer.pop(message) == Outcome::kEmpty);
}

TEST_CASE("channel: records of every size wrap over the ring's end and stay themselves",
          "[contract][channel]") {
  Ring ring;
  std::mt19937 random(1);
  std::uniform_int_distribution<std::size_t> body_size(0, kMaxBody);
  std::uniform_int_distribution<std::size_t> payload_size(0, kMaxFrame);
  struct Sent {
    std::size_t body, payload;
    std::uint32_t number;
  };
  std::deque<Sent> sent;
  ReceivedMessage message;
  std::uint32_t number = 0;
  std::size_t passed = 0;
  bool good = true;
  while (passed < 40 * kRingCapacity) {
    const Sent next{body_size(random), payload_size(random), ++number};
    const auto body = pattern(next.body, number);
    const auto payload = pattern(next.payload, number + 1);
    if (ring.producer.push(header_of(MessageType::kInjectFrame, number), body, payload)) {
      sent.push_back(next);
      if (random() % 3 != 0) continue;
    } else {
      --number;
    }
    for (auto count = random() % 40; count > 0 && !sent.empty(); --count) {
      good &= ring.consumer.pop(message) == Outcome::kMessage;
      const Sent expected = sent.front();
      sent.pop_front();
      good &= message.header.request == expected.number &&
              std::ranges::equal(message.body(), pattern(expected.body, expected.number)) &&
              std::ranges::equal(message.payload(), pattern(expected.payload, expected.number + 1));
      passed += expected.body + expected.payload;
    }
    REQUIRE(good);
  }
  CHECK(number > 20'000);
}

TEST_CASE("channel: a full ring refuses and nothing of the refused record is there",
          "[contract][channel]") {
  Ring ring;
  const auto frame = pattern(1000, 1);
  std::uint32_t taken = 0;
  while (ring.producer.push(header_of(MessageType::kInjectFrame, taken + 1), {}, frame)) ++taken;
  CHECK(taken == kRingCapacity / 1024);
  const auto head = ring.layout->commands.head.load();
  CHECK_FALSE(ring.producer.push(header_of(MessageType::kPing), {}, frame));
  CHECK(ring.layout->commands.head.load() == head);

  ReceivedMessage message;
  REQUIRE(ring.consumer.pop(message) == Outcome::kMessage);
  CHECK(message.header.request == 1);
  REQUIRE(ring.producer.push(header_of(MessageType::kInjectFrame, taken + 1), {}, frame));
  for (std::uint32_t expected = 2; expected <= taken + 1; ++expected) {
    REQUIRE(ring.consumer.pop(message) == Outcome::kMessage);
    REQUIRE(message.header.request == expected);
  }
  CHECK(ring.consumer.pop(message) == Outcome::kEmpty);
}

TEST_CASE("channel: a push with a reserve leaves that much room", "[contract][channel]") {
  Ring ring;
  constexpr std::size_t kReserve = 64 * 1024;
  const auto frame = pattern(1000, 1);
  while (ring.producer.push(header_of(MessageType::kInjectFrame), {}, frame, kReserve)) {
  }
  std::size_t octets = 0;
  while (ring.producer.push(header_of(MessageType::kInjectFrame), {}, frame)) octets += 1024;
  CHECK(octets >= kReserve);
  CHECK(octets < kReserve + 2048);
}

TEST_CASE("channel: what is too long for a record is refused by the producer",
          "[contract][channel]") {
  Ring ring;
  const auto long_one = pattern(kMaxFrame + 1, 0);
  CHECK_FALSE(ring.producer.push(header_of(MessageType::kInjectFrame), {}, long_one));
  CHECK_FALSE(
      ring.producer.push(header_of(MessageType::kPing), Bytes(long_one).first(kMaxBody + 1), {}));
  ReceivedMessage message;
  CHECK(ring.consumer.pop(message) == Outcome::kEmpty);
}

TEST_CASE("channel: hostile positions and lengths are corrupt, whatever they are",
          "[contract][channel]") {
  Ring ring;
  ReceivedMessage message;
  RingIndices& indices = ring.layout->commands;
  const auto put_header = [&](std::uint16_t body, std::uint32_t payload) {
    MessageHeader header = header_of(MessageType::kPing);
    header.body_size = body;
    header.payload_size = payload;
    std::memcpy(ring.layout->command_octets.data(), &header, sizeof(header));
  };
  SECTION("head far ahead of the tail") { indices.head = kRingCapacity + 8; }
  SECTION("head behind the tail") { indices.head = ~std::uint64_t{7}; }
  SECTION("less than a header") { indices.head = sizeof(MessageHeader) - 1; }
  SECTION("a body longer than any") {
    put_header(kMaxBody + 1, 0);
    indices.head = 4096;
  }
  SECTION("a payload longer than any") {
    put_header(0, kMaxFrame + 1);
    indices.head = 4096;
  }
  SECTION("a payload whose size wraps") {
    put_header(8, UINT32_MAX);
    indices.head = 4096;
  }
  SECTION("a record that ends behind the head") {
    put_header(16, 100);
    indices.head = 136;
  }
  CHECK(ring.consumer.pop(message) == Outcome::kCorrupt);
}

TEST_CASE("channel: random octets and positions never lead out of the ring",
          "[contract][channel]") {
  Ring ring;
  std::mt19937_64 random(7);
  ReceivedMessage message;
  for (int round = 0; round < 3000; ++round) {
    for (int i = 0; i < 64; ++i)
      ring.layout->command_octets.at(random() % kRingCapacity) = static_cast<std::byte>(random());
    ring.layout->commands.tail = random();
    ring.layout->commands.head = ring.layout->commands.tail + random() % (2 * kRingCapacity);
    for (int i = 0; i < 4; ++i)
      if (ring.consumer.pop(message) != Outcome::kMessage) break;
    // A producer whose consumer lies about the tail stays inside too.
    ring.layout->commands.tail = random();
    (void)ring.producer.push(header_of(MessageType::kPing), message.body().first(0),
                             pattern(random() % kMaxFrame, 1));
  }
  SUCCEED();
}

TEST_CASE("channel: a body that was read leaves no octet in the ring", "[contract][channel]") {
  Ring ring;
  ArmMppe keys;
  keys.send_start_key.fill(std::byte{0xa5});
  keys.receive_start_key.fill(std::byte{0x5a});
  ReceivedMessage message;
  // Enough to lie over the ring's end, too.
  for (std::size_t i = 0; i < 2 * kRingCapacity / 56; ++i) {
    REQUIRE(ring.producer.push(header_of(MessageType::kArmMppe), std::as_bytes(std::span(&keys, 1)),
                               {}));
    REQUIRE(ring.consumer.pop(message) == Outcome::kMessage);
    REQUIRE(message.body_as<ArmMppe>()->send_start_key == keys.send_start_key);
  }
  const auto& octets = ring.layout->command_octets;
  CHECK(std::ranges::count(octets, std::byte{0xa5}) == 0);
  CHECK(std::ranges::count(octets, std::byte{0x5a}) == 0);
}

TEST_CASE("channel: a consumer that sleeps is woken for every message of another thread",
          "[contract][channel]") {
  Ring ring;
  constexpr std::uint32_t kMessages = 30'000;
  std::thread producer([&] {
    for (std::uint32_t number = 1; number <= kMessages;) {
      if (ring.producer.push(header_of(MessageType::kPing, number), {}, {})) ++number;
      ring.producer.notify();
    }
  });
  std::uint32_t expected = 1;
  bool in_order = true;
  bool woken = true;
  ReceivedMessage message;
  while (expected <= kMessages && woken) {
    if (ring.consumer.prepare_sleep()) {
      pollfd wait{ring.consumer.event_fd(), POLLIN, 0};
      woken = ::poll(&wait, 1, 20'000) == 1;
    }
    ring.consumer.wake();
    while (ring.consumer.pop(message) == Outcome::kMessage)
      in_order &= message.header.request == expected++;
  }
  producer.join();
  CHECK(woken);
  CHECK(in_order);
  CHECK(expected == kMessages + 1);
}

TEST_CASE("channel: a consumer does not sleep over messages that are there",
          "[contract][channel]") {
  Ring ring;
  CHECK(ring.consumer.prepare_sleep());
  ring.consumer.wake();
  REQUIRE(ring.producer.push(header_of(MessageType::kPing), {}, {}));
  CHECK_FALSE(ring.consumer.prepare_sleep());
  CHECK(ring.layout->commands.consumer_sleeping.load() == 0);
  ring.producer.notify();  // nobody sleeps: no octet for the kernel
  pollfd wait{ring.event.get(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 0) == 0);
}

TEST_CASE("channel: made by the dataplane, it carries both ways to control",
          "[contract][channel]") {
  const Pair pair;
  auto dataplane = Channel::create_and_send(pair.dataplane.get());
  REQUIRE(dataplane);
  auto control = Channel::receive(pair.control.get(), 1000);
  REQUIRE(control);
  auto commands = control->command_producer();
  REQUIRE(commands.push(header_of(MessageType::kPing, 3), {}, {}));
  auto at_dataplane = dataplane->command_consumer();
  ReceivedMessage message;
  REQUIRE(at_dataplane.pop(message) == Outcome::kMessage);
  CHECK(message.header.request == 3);
  auto events = dataplane->event_producer();
  auto at_control = control->event_consumer();
  REQUIRE(at_control.prepare_sleep());
  const Reply reply;
  REQUIRE(events.push(header_of(MessageType::kReply, 3), std::as_bytes(std::span(&reply, 1)), {}));
  events.notify();
  pollfd wait{at_control.event_fd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 1000) == 1);
  at_control.wake();
  REQUIRE(at_control.pop(message) == Outcome::kMessage);
  CHECK(message.header.type == MessageType::kReply);
}

TEST_CASE("channel: no channel, a closed socket and another version are refused",
          "[contract][channel]") {
  Pair pair;
  const std::size_t before = open_descriptors();
  SECTION("nothing comes") { CHECK_FALSE(Channel::receive(pair.control.get(), 0)); }
  SECTION("closed") {
    pair.dataplane.reset();
    CHECK_FALSE(Channel::receive(pair.control.get(), 1000));
    return;
  }
  SECTION("without descriptors") {
    send_descriptors(pair.dataplane.get(), kChannelMagic, {});
    CHECK_FALSE(Channel::receive(pair.control.get(), 1000));
  }
  SECTION("with too few or too many, which are all closed again") {
    for (const std::size_t count : {1U, 2U, 4U, 5U}) {
      send_descriptors(pair.dataplane.get(), kChannelMagic, std::vector<int>(count, 2));
      CHECK_FALSE(Channel::receive(pair.control.get(), 1000));
    }
  }
  SECTION("with another magic number") {
    send_descriptors(pair.dataplane.get(), 42, {2, 2, 2});
    CHECK_FALSE(Channel::receive(pair.control.get(), 1000));
  }
  SECTION("memory of another size") {
    const UniqueFd memory(::memfd_create("test", MFD_CLOEXEC));
    REQUIRE(::ftruncate(memory.get(), 4096) == 0);
    send_descriptors(pair.dataplane.get(), kChannelMagic, {memory.get(), 2, 2});
    CHECK_FALSE(Channel::receive(pair.control.get(), 1000));
  }
  SECTION("another version, or another ring size") {
    for (const bool version : {true, false}) {
      const UniqueFd memory(::memfd_create("test", MFD_CLOEXEC));
      REQUIRE(::ftruncate(memory.get(), sizeof(ChannelLayout)) == 0);
      const std::uint64_t magic = kChannelMagic;
      const std::uint32_t theirs = kChannelMinCompatible - (version ? 1 : 0);
      const std::uint32_t capacity = kRingCapacity * (version ? 1 : 2);
      REQUIRE(::pwrite(memory.get(), &magic, 8, offsetof(ChannelLayout, magic)) == 8);
      REQUIRE(::pwrite(memory.get(), &theirs, 4, offsetof(ChannelLayout, version)) == 4);
      REQUIRE(::pwrite(memory.get(), &capacity, 4, offsetof(ChannelLayout, ring_capacity)) == 4);
      send_descriptors(pair.dataplane.get(), kChannelMagic, {memory.get(), 2, 2});
      const auto channel = Channel::receive(pair.control.get(), 1000);
      REQUIRE_FALSE(channel);
      CHECK(channel.error().find("version") != std::string::npos);
    }
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("channel: ends give back every descriptor and mapping", "[contract][channel]") {
  const Pair pair;
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 20; ++i) {
    auto dataplane = Channel::create_and_send(pair.dataplane.get());
    auto control = Channel::receive(pair.control.get(), 1000);
    REQUIRE((dataplane && control));
    Channel moved = std::move(*control);
    moved = std::move(*dataplane);
    CHECK(moved);
  }
  CHECK(open_descriptors() == before);
}

namespace {

// A body as it was, and as it is after a field was added.
struct Before {
  std::uint32_t first = 1;
};
struct After {
  static constexpr std::size_t kFirstSize = sizeof(Before);
  std::uint32_t first = 1;
  std::uint32_t added = 42;
};

ReceivedMessage message_with(Bytes body) {
  ReceivedMessage message{};
  message.header.body_size = static_cast<std::uint16_t>(body.size());
  std::copy(body.begin(), body.end(), message.octets.begin());
  return message;
}

}  // namespace

TEST_CASE("channel: a body that has grown is read by both sides", "[contract][channel]") {
  const Before before{7};
  const After after{7, 8};
  const auto old_message = message_with(std::as_bytes(std::span(&before, 1)));
  const auto new_message = message_with(std::as_bytes(std::span(&after, 1)));
  // A field that an older sender lacks has its default.
  REQUIRE(old_message.body_as<After>());
  CHECK(old_message.body_as<After>()->first == 7);
  CHECK(old_message.body_as<After>()->added == 42);
  CHECK(new_message.body_as<After>()->added == 8);
  // A field that an older reader does not know is left out.
  REQUIRE(new_message.body_as<Before>());
  CHECK(new_message.body_as<Before>()->first == 7);
  // Shorter than it ever was.
  CHECK_FALSE(message_with(std::as_bytes(std::span(&before, 1)).first(3)).body_as<After>());
  CHECK_FALSE(message_with({}).body_as<Before>());
}
