// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/pptp.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::wire::pptp;
using pns::test::octets;
using pns::test::Octets;
using pns::test::to_octets;

namespace {

Octets encode(const Message& message) {
  Octets out(kLongestMessage);
  out.resize(write_message(out, message));
  return out;
}

Octets zeros(std::size_t count) { return Octets(count, std::byte{0}); }

// One of each type, every field different from zero and from its neighbours.
std::vector<Message> one_of_each() {
  return {StartControlConnectionRequest{0x0100, 0x11121314, 0x21222324, 0x3132, 0x4142,
                                        to_text<64>("client.example"), to_text<64>("vendor")},
          StartControlConnectionReply{0x0100, 1, 2, 0x11121314, 0x21222324, 0x3132, 0x4142,
                                      to_text<64>("server.example"), to_text<64>("pns")},
          StopControlConnectionRequest{3},
          StopControlConnectionReply{1, 2},
          EchoRequest{0xdeadbeef},
          EchoReply{0xdeadbeef, 1, 2},
          OutgoingCallRequest{0x0102, 0x0304, 0x05060708, 0x090a0b0c, 0x0d0e0f10, 0x11121314,
                              0x1516, 0x1718, 0xffff, to_text<64>("555-1212"), to_text<64>("sub")},
          OutgoingCallReply{0x0102, 0x0304, 5, 6, 0x0708, 0x090a0b0c, 0x0d0e, 0x0f10, 0x11121314},
          IncomingCallRequest{0x0102, 0x0304, 0x05060708, 0x090a0b0c, 0xffff, 0x0d0e,
                              to_text<64>("dialed"), to_text<64>("dialing"), to_text<64>("sub")},
          IncomingCallReply{0x0102, 0x0304, 5, 6, 0x0708, 0x090a},
          IncomingCallConnected{0x0102, 0x03040506, 0x0708, 0x090a, 0x0b0c0d0e},
          CallClearRequest{0x0102},
          CallDisconnectNotify{0x0102, 3, 4, 0x0506, to_text<128>("statistics")},
          WanErrorNotify{0x0102, 0x03040506, 0x0708090a, 0x0b0c0d0e, 0x0f101112, 0x13141516,
                         0x1718191a},
          SetLinkInfo{0x0102, 0x03040506, 0x0708090a}};
}

}  // namespace

TEST_CASE("pptp: every message survives a round trip at its fixed length", "[wire][rfc2637-2]") {
  const auto messages = one_of_each();
  REQUIRE(messages.size() == kControlMessageTypeCount);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    INFO(name_of(type_of(messages[i])));
    CHECK(static_cast<std::size_t>(type_of(messages[i])) == i + 1);
    const Octets encoded = encode(messages[i]);
    CHECK(encoded.size() == fixed_length(static_cast<std::uint16_t>(i + 1)));
    const auto decoded = parse_message(encoded);
    REQUIRE(decoded.has_value());
    CHECK(*decoded == messages[i]);
  }
}

TEST_CASE("pptp: fixed lengths are those of the RFC", "[wire][rfc2637-2]") {
  const std::size_t lengths[] = {156, 156, 16, 16, 16, 20, 168, 32, 220, 24, 28, 16, 148, 40, 24};
  for (std::uint16_t type = 1; type <= 15; ++type) CHECK(fixed_length(type) == lengths[type - 1]);
  CHECK(fixed_length(0) == 0);
  CHECK(fixed_length(16) == 0);
  CHECK(fixed_length(65535) == 0);
}

TEST_CASE("pptp: a message does not fit in one octet less", "[wire]") {
  for (const Message& message : one_of_each()) {
    Octets out(fixed_length(static_cast<std::uint16_t>(type_of(message))) - 1, std::byte{0x55});
    CHECK(write_message(out, message) == 0);
    CHECK(std::all_of(out.begin(), out.end(), [](std::byte b) { return b == std::byte{0x55}; }));
  }
}

// Composed by hand from the diagram of RFC 2637 §2.1, with the values a Windows client sends
// (wire-facts 21): framing 1, bearer 1, no channels, firmware 2600.
TEST_CASE("pptp: Start-Control-Connection-Request of a Windows client", "[wire][rfc2637-2.1]") {
  const Octets vendor = to_octets(as_octets("Microsoft Windows NT"));
  const Octets wire =
      test::concat({octets("009c 0001 1a2b3c4d 0001 0000 0100 0000 00000001 00000001 0000 0a28"),
                    zeros(64), vendor, zeros(64 - vendor.size())});
  const auto decoded = parse_message(wire);
  REQUIRE(decoded.has_value());
  const auto& request = std::get<StartControlConnectionRequest>(*decoded);
  CHECK(request.protocol_version == 0x0100);
  CHECK(request.framing_capabilities == 1);
  CHECK(request.bearer_capabilities == 1);
  CHECK(request.maximum_channels == 0);
  CHECK(request.firmware_revision == 2600);
  CHECK(text_of(request.host_name).empty());
  CHECK(text_of(request.vendor_name) == "Microsoft Windows NT");
  CHECK(encode(*decoded) == wire);
}

// By hand from §2.7; speeds and bearer as Windows sends them.
TEST_CASE("pptp: Outgoing-Call-Request of a Windows client", "[wire][rfc2637-2.7]") {
  const Octets wire = test::concat(
      {octets("00a8 0001 1a2b3c4d 0007 0000 8000 0001 0000012c 05f5e100 00000003 00000003 0040 0000"
              "0000 0000"),
       zeros(128)});
  const auto decoded = parse_message(wire);
  REQUIRE(decoded.has_value());
  const auto& request = std::get<OutgoingCallRequest>(*decoded);
  CHECK(request.call_id == 0x8000);
  CHECK(request.call_serial_number == 1);
  CHECK(request.minimum_bps == 300);
  CHECK(request.maximum_bps == 100'000'000);
  CHECK(request.bearer_type == 3);
  CHECK(request.framing_type == 3);
  CHECK(request.packet_recv_window_size == 64);
  CHECK(encode(*decoded) == wire);
}

// By hand from §2.8, §2.12, §2.13.
TEST_CASE("pptp: the messages of one call, octet for octet", "[wire][rfc2637-2.8]") {
  CHECK(encode(OutgoingCallReply{.call_id = 0x1234,
                                 .peers_call_id = 0x8000,
                                 .result_code = 1,
                                 .connect_speed = 10'000'000,
                                 .packet_recv_window_size = 64}) ==
        octets("0020 0001 1a2b3c4d 0008 0000 1234 8000 01 00 0000 00989680 0040 0000 00000000"));
  CHECK(encode(CallClearRequest{0x8000}) == octets("0010 0001 1a2b3c4d 000c 0000 8000 0000"));
  CHECK(encode(CallDisconnectNotify{.call_id = 0x1234, .result_code = 4}) ==
        test::concat({octets("0094 0001 1a2b3c4d 000d 0000 1234 04 00 0000 0000"), zeros(128)}));
}

TEST_CASE("pptp: reserved fields are ignored on input and zero on output", "[wire][rfc2637-2]") {
  // Echo-Request with Reserved0 set, as some Cisco routers send it.
  const auto decoded = parse_message(octets("0010 0001 1a2b3c4d 0005 ffff 00000007"));
  REQUIRE(decoded.has_value());
  CHECK(std::get<EchoRequest>(*decoded).identifier == 7);
  CHECK(encode(*decoded) == octets("0010 0001 1a2b3c4d 0005 0000 00000007"));
  const auto clear = parse_message(octets("0010 0001 1a2b3c4d 000c abcd 8000 ffff"));
  REQUIRE(clear.has_value());
  CHECK(encode(*clear) == octets("0010 0001 1a2b3c4d 000c 0000 8000 0000"));
}

TEST_CASE("pptp: every prefix of every message is refused as too short", "[wire]") {
  for (const Message& message : one_of_each()) {
    const Octets whole = encode(message);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const auto decoded = parse_message(Bytes(whole).first(length));
      REQUIRE_FALSE(decoded.has_value());
      CHECK(decoded.error() == FrameError::kBadLength);
    }
  }
}

TEST_CASE("pptp: a Length that does not fit the type is refused", "[wire][conformance-1]") {
  for (const Message& message : one_of_each()) {
    const Octets whole = encode(message);
    for (std::uint32_t length = 0; length <= 0xffff; length += length < 300 ? 1 : 97) {
      Octets changed = whole;
      changed.resize(2000);
      changed[0] = static_cast<std::byte>(length >> 8);
      changed[1] = static_cast<std::byte>(length);
      const auto header = check_header(changed);
      const bool good = length >= whole.size() && length <= kLongestToleratedMessage;
      CHECK(header.has_value() == good);
      if (!good) CHECK(header.error() == FrameError::kBadLength);
      if (good) CHECK(parse_message(changed) == message);
    }
  }
}

TEST_CASE("pptp: each wrong header field has its own error, as soon as it is there",
          "[wire][conformance-5]") {
  const auto error_after = [](std::string_view hex) -> std::optional<FrameError> {
    const auto result = check_header(octets(hex));
    if (result) return std::nullopt;
    return result.error();
  };
  CHECK(error_after("0010 0002") == FrameError::kBadMessageType);
  CHECK(error_after("0010 0000") == FrameError::kBadMessageType);
  CHECK(error_after("0010 0001 1a2b3c4e") == FrameError::kBadMagicCookie);
  CHECK(error_after("0010 0001 1a2b3c4d 0000") == FrameError::kUnknownControlType);
  CHECK(error_after("0010 0001 1a2b3c4d 0010") == FrameError::kUnknownControlType);
  CHECK(error_after("0010 0001 1a2b3c4d ffff") == FrameError::kUnknownControlType);
  CHECK(error_after("0400") == FrameError::kBadLength);
  CHECK(error_after("0010 0001 1a2b3c4d 0001") == FrameError::kBadLength);
  CHECK(error_after("0010 0001 1a2b3c4d 0005") == std::nullopt);
  CHECK(error_after("0010 0001 1a2b3c") == std::nullopt);
  CHECK(error_after("00") == std::nullopt);

  CHECK(end_reason_of(FrameError::kBadLength) == EndReason::bad_length);
  CHECK(end_reason_of(FrameError::kBadMagicCookie) == EndReason::bad_magic_cookie);
  CHECK(end_reason_of(FrameError::kBadMessageType) == EndReason::bad_message_type);
  CHECK(end_reason_of(FrameError::kUnknownControlType) == EndReason::unknown_control_type);
}

TEST_CASE("pptp: a text field without a terminator ends at its 64th octet", "[wire]") {
  const std::string long_name(100, 'x');
  const Text<64> field = to_text<64>(long_name);
  CHECK(text_of(field) == std::string(64, 'x'));
  CHECK(text_of(to_text<64>("")) == "");
}
