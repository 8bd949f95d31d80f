// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/stream_framer.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::pptp;
using namespace pns::wire::pptp;
using pns::test::octets;
using pns::test::Octets;

namespace {

Octets encode(const Message& message) {
  Octets out(kLongestMessage);
  out.resize(write_message(out, message));
  return out;
}

// Everything the framer yields from `stream`, fed in pieces of `step` octets.
std::vector<Message> messages_of(const Octets& stream, std::size_t step) {
  StreamFramer framer;
  std::vector<Message> out;
  for (std::size_t at = 0; at < stream.size(); at += step) {
    Bytes piece = Bytes(stream).subspan(at, std::min(step, stream.size() - at));
    while (!piece.empty()) {
      piece = piece.subspan(framer.feed(piece));
      while (const auto message = framer.next()) {
        REQUIRE(message->has_value());
        out.push_back(**message);
      }
    }
  }
  CHECK(framer.buffered() == 0);
  return out;
}

}  // namespace

TEST_CASE("framer: every message comes out however the stream is cut",
          "[pptp][rfc2637-1.4][conformance-10]") {
  const std::vector<Message> sent = {StartControlConnectionRequest{},
                                     EchoRequest{1},
                                     OutgoingCallRequest{.call_id = 9},
                                     EchoRequest{2},
                                     CallClearRequest{9},
                                     StopControlConnectionRequest{1}};
  Octets stream;
  for (const Message& message : sent) {
    const Octets one = encode(message);
    stream.insert(stream.end(), one.begin(), one.end());
  }
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    INFO("pieces of " << step << " octets");
    REQUIRE(messages_of(stream, step) == sent);
  }
}

TEST_CASE("framer: a message is yielded when its last octet arrives", "[pptp][rfc2637-1.4]") {
  const Octets request = encode(StartControlConnectionRequest{});
  StreamFramer framer;
  for (std::size_t i = 0; i < request.size(); ++i) {
    CHECK_FALSE(framer.next().has_value());
    CHECK(framer.feed(Bytes(request).subspan(i, 1)) == 1);
  }
  const auto message = framer.next();
  REQUIRE(message.has_value());
  CHECK(message->has_value());
}

TEST_CASE("framer: a hundred messages in one segment", "[pptp][conformance-10]") {
  Octets stream;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const Octets one = encode(EchoRequest{i});
    stream.insert(stream.end(), one.begin(), one.end());
  }
  const auto messages = messages_of(stream, stream.size());
  REQUIRE(messages.size() == 100);
  for (std::uint32_t i = 0; i < 100; ++i) CHECK(std::get<EchoRequest>(messages[i]).identifier == i);
}

TEST_CASE("framer: a padded message is read over exactly", "[pptp][conformance-4]") {
  Octets padded = encode(EchoRequest{7});
  padded.resize(1023, std::byte{0xee});
  padded[0] = std::byte{0x03};
  padded[1] = std::byte{0xff};
  const Octets next = encode(EchoRequest{8});
  const Octets stream = test::concat({padded, next});
  for (const std::size_t step : {std::size_t{1}, std::size_t{700}, stream.size()}) {
    const auto messages = messages_of(stream, step);
    REQUIRE(messages.size() == 2);
    CHECK(std::get<EchoRequest>(messages[0]).identifier == 7);
    CHECK(std::get<EchoRequest>(messages[1]).identifier == 8);
  }
}

TEST_CASE("framer: fails for good, once, after what was good", "[pptp][rfc2637-3]") {
  StreamFramer framer;
  const Octets stream =
      test::concat({encode(EchoRequest{1}), octets("0010 0001 deadbeef"), encode(EchoRequest{2})});
  CHECK(framer.feed(stream) == stream.size());
  auto message = framer.next();
  REQUIRE(message.has_value());
  CHECK(message->has_value());
  message = framer.next();
  REQUIRE(message.has_value());
  REQUIRE_FALSE(message->has_value());
  CHECK(message->error() == FrameError::kBadMagicCookie);
  CHECK(framer.failed());
  CHECK_FALSE(framer.next().has_value());
  CHECK(framer.feed(encode(EchoRequest{3})) == 16);
  CHECK_FALSE(framer.next().has_value());
  CHECK(framer.buffered() == 0);
}

TEST_CASE("framer: what is not PPTP is refused at its first wrong octets",
          "[pptp][conformance-12]") {
  struct Row {
    std::string_view name;
    Octets start;
    FrameError error;
  };
  const Row rows[] = {
      {"length 0", octets("0000"), FrameError::kBadLength},
      {"length 1", octets("0001"), FrameError::kBadLength},
      {"length 7", octets("0007"), FrameError::kBadLength},
      {"length 8", octets("0008"), FrameError::kBadLength},
      {"length 11", octets("000b"), FrameError::kBadLength},
      {"length 65535", octets("ffff"), FrameError::kBadLength},
      {"length 32768", octets("8000"), FrameError::kBadLength},
      {"length 1024", octets("0400"), FrameError::kBadLength},
      {"HTTP", test::to_octets(as_octets("GE")), FrameError::kBadLength},
      {"TLS", octets("1603"), FrameError::kBadLength},
      {"message type 2", octets("0010 0002"), FrameError::kBadMessageType},
      {"cookie", octets("0010 0001 4d3c2b1a"), FrameError::kBadMagicCookie},
      {"control type 16", octets("0010 0001 1a2b3c4d 0010"), FrameError::kUnknownControlType},
      {"short for its type", octets("0014 0001 1a2b3c4d 0007"), FrameError::kBadLength},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    StreamFramer framer;
    // Not one octet earlier.
    framer.feed(Bytes(row.start).first(row.start.size() - 1));
    CHECK_FALSE(framer.next().has_value());
    framer.feed(Bytes(row.start).last(1));
    const auto message = framer.next();
    REQUIRE(message.has_value());
    REQUIRE_FALSE(message->has_value());
    CHECK(message->error() == row.error);
    CHECK(StreamFramer::peek(row.start).error() == row.error);
  }
}

TEST_CASE("framer: holds no more than its capacity", "[pptp]") {
  Octets stream;
  while (stream.size() <= StreamFramer::kCapacity + 100) {
    const Octets one = encode(EchoRequest{static_cast<std::uint32_t>(stream.size())});
    stream.insert(stream.end(), one.begin(), one.end());
  }
  StreamFramer framer;
  CHECK(framer.feed(stream) == StreamFramer::kCapacity);
  CHECK(framer.feed(stream) == 0);
  CHECK(framer.next().has_value());
  CHECK(framer.feed(Bytes(stream).first(100)) == 16);
  CHECK(messages_of(stream, stream.size()).size() == stream.size() / 16);
}

TEST_CASE("framer: peek gives the length of a message only when all of it is there", "[pptp]") {
  const Octets stream = test::concat({encode(EchoRequest{1}), encode(EchoRequest{2})});
  for (std::size_t length = 0; length <= stream.size(); ++length) {
    const auto peeked = StreamFramer::peek(Bytes(stream).first(length));
    REQUIRE(peeked.has_value());
    CHECK(*peeked == (length < 16 ? std::optional<std::size_t>() : std::optional<std::size_t>(16)));
  }
}
