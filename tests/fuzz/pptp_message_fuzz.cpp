// SPDX-License-Identifier: BSD-3-Clause
//
// One PPTP control message (RFC 2637 §2) out of any octets, all fifteen types. First octet: when
// its top bit is set, the rest is the body of that type and gets the right header in front, so that
// a fuzzer need not find the cookie. A refusal must have its reason in the octets;
// what is read must survive being written, and nothing behind its fixed length may matter.
#include <algorithm>
#include <vector>

#include "pns/wire/pptp.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;
using namespace pns::wire::pptp;

std::uint16_t word_at(Bytes octets, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(octets[at]) << 8 |
                                    std::to_integer<unsigned>(octets[at + 1]));
}

// Whether the first ten octets are a header of RFC 2637 §2 that these octets can hold.
bool header_is_right(Bytes octets) {
  if (octets.size() < 10) return false;
  const std::size_t length = word_at(octets, 0);
  const std::size_t fixed = fixed_length(word_at(octets, 8));
  return word_at(octets, 2) == 1 && word_at(octets, 4) == 0x1a2b && word_at(octets, 6) == 0x3c4d &&
         fixed != 0 && length >= fixed && length < kLongestToleratedMessage + 1;
}

void check(Bytes octets) {
  // However much of it is there: refused at once, or as long as its Length says.
  for (std::size_t size = 0; size <= std::min<std::size_t>(octets.size(), 16); ++size) {
    const auto start = check_header(octets.first(size));
    if (!start) {
      PNS_CLAIM(!header_is_right(octets));
      return;
    }
    PNS_CLAIM(start->has_value() == (size >= 2));
    if (*start) PNS_CLAIM(**start == word_at(octets, 0));
  }
  if (octets.size() < 10) return;
  PNS_CLAIM(header_is_right(octets));
  const std::size_t length = word_at(octets, 0);
  if (octets.size() < length) return;

  const auto message = parse_message(octets);
  PNS_CLAIM(message.has_value());
  PNS_CLAIM(static_cast<std::uint16_t>(type_of(*message)) == word_at(octets, 8));
  const std::size_t fixed = fixed_length(word_at(octets, 8));
  std::vector<std::byte> written(fixed);
  PNS_CLAIM(write_message(written, *message) == fixed);
  PNS_CLAIM(word_at(written, 0) == fixed);
  PNS_CLAIM(parse_message(written) == message);
  std::vector<std::byte> other(octets.begin(), octets.end());
  std::fill(other.begin() + static_cast<std::ptrdiff_t>(fixed), other.end(), std::byte{0xa5});
  PNS_CLAIM(parse_message(other) == message);
  std::vector<std::byte> small(fixed - 1);
  PNS_CLAIM(write_message(small, *message) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, std::min<std::size_t>(size, 2048));
  const std::uint8_t first = input.octet();
  if ((first & 0x80) == 0) {
    check(input.octets(size));
    return 0;
  }
  const auto type = static_cast<std::uint16_t>(1 + first % kControlMessageTypeCount);
  std::vector<std::byte> whole(fixed_length(type));
  Writer writer(whole);
  writer.write_u16(static_cast<std::uint16_t>(whole.size()));
  writer.write_u16(1);
  writer.write_u32(0x1a2b3c4d);
  writer.write_u16(type);
  const Bytes body = input.octets(whole.size() - writer.size());
  writer.write_bytes(body);
  check(whole);
  return 0;
}
