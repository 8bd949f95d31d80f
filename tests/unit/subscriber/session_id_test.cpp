// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_id.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace pns;
using namespace pns::subscriber;

namespace {

constexpr std::uint64_t k2026 = 1'767'225'600'000;  // ms since 1970

}  // namespace

TEST_CASE("session id: ids grow within a millisecond, over it, and when the clock is set back",
          "[session-id]") {
  std::uint64_t wall = k2026;
  SessionIdSource source(0x1234, [&] { return wall; });
  SessionId last = source.next();
  std::set<std::uint64_t> seen{last.value};
  const auto take = [&] {
    const SessionId next = source.next();
    CHECK(next.value > last.value);
    CHECK((next.value >> 7 & 0xffff) == 0x1234);
    CHECK(seen.insert(next.value).second);
    last = next;
  };
  for (int i = 0; i < 1000; ++i) take();  // more than one millisecond has numbers for
  wall += 5000;
  take();
  wall -= 3'600'000;
  for (int i = 0; i < 300; ++i) take();
}

TEST_CASE("session id: two hosts never share an id, nor do two runs of one host", "[session-id]") {
  SessionIdSource one(1, [] { return k2026; });
  SessionIdSource two(2, [] { return k2026; });
  CHECK(one.next() != two.next());
  // The next process starts in the same millisecond and has taken over the latest session.
  const SessionId taken_over = one.next();
  SessionIdSource next_run(1, [] { return k2026; });
  next_run.not_below(taken_over);
  CHECK(next_run.next().value > taken_over.value);
  // A damaged id of the far future leaves room for those that follow.
  next_run.not_below(SessionId(~std::uint64_t{0}));
  CHECK(next_run.next().value < taken_over.value + (std::uint64_t{1000} << 23));
}

TEST_CASE("session id: the text is 16 hexadecimal digits and reads back", "[session-id]") {
  CHECK(to_text(SessionId(0xabcdef)) == "0000000000abcdef");
  CHECK(parse_session_id("0000000000abcdef") == SessionId(0xabcdef));
  for (const char* bad : {"", "abcdef", "0000000000000000", "00000000000abcdeg", "0x00000000abcdef",
                          "0000000000abcdef0", " 000000000abcdef"})
    CHECK_FALSE(parse_session_id(bad));
}

TEST_CASE("session id: the node number follows the machine id", "[session-id]") {
  CHECK(node_number("0123456789abcdef0123456789abcdef") !=
        node_number("0123456789abcdef0123456789abcdee"));
  CHECK(node_number("0123") == node_number("0123\n"));
}
