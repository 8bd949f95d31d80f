// SPDX-License-Identifier: BSD-3-Clause
//
// The table of clients: names, and what the observations in docs/loadgen.md say of each.
#include "tests/loadgen/profiles.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace pns;
using namespace pns::loadgen;

namespace {

const Profile& profile(std::string_view name) {
  const auto found = profiles_named(name);
  REQUIRE(found.size() == 1);
  return found.front();
}

}  // namespace

TEST_CASE("profiles: each has a name of its own, and `all` is every real client", "[loadgen]") {
  std::set<std::string_view> names;
  for (const Profile& one : kProfiles) {
    CHECK(names.insert(one.name).second);
    CHECK(&profile(one.name) == &one);
    CHECK(one.start.host.size() <= 64);
    CHECK(one.start.vendor.size() <= 64);
    CHECK(one.restart > Duration{});
    CHECK(one.tries > 0);
    CHECK((one.acks == Acks::kDelayed) == (one.ack_delay > Duration{}));
  }
  CHECK(names == std::set<std::string_view>{"instant", "windows", "android", "mikrotik",
                                            "pptp-linux", "linux-kernel"});
  CHECK(profiles_named("all").size() == kProfiles.size() - 1);
  CHECK(profiles_named("os2").empty());
}

TEST_CASE("profiles: what tells the clients apart on the wire", "[loadgen]") {
  const Profile& windows = profile("windows");
  CHECK(windows.start.vendor == "Microsoft Windows NT");  // fact 21
  CHECK(windows.start.firmware == 2600);
  CHECK(windows.start.maximum_channels == 0);
  CHECK(windows.call.id == CallIdChoice::kZero);  // fact 4
  CHECK(windows.mru == 1400);                     // fact 22
  CHECK(windows.callback);
  CHECK(windows.identifies);
  CHECK(windows.set_link_info);  // fact 25

  const Profile& android = profile("android");
  CHECK(android.call.window == 8192);           // fact 13
  CHECK(android.acks == Acks::kNone);           // fact 12
  CHECK(android.first_sequence == 0);           // fact 9
  CHECK_FALSE(android.compresses_fields);       // fact 20
  CHECK(android.echo_interval == Duration{});   // fact 26
  CHECK(android.farewell == Farewell::kClose);  // fact 29

  CHECK(profile("mikrotik").mru == 1450);  // fact 31
  CHECK(profile("mikrotik").start.framing == 2);
  CHECK(profile("mikrotik").start.bearer == 0);

  for (const auto* name : {"pptp-linux", "linux-kernel"}) {
    CHECK(profile(name).first_sequence == 1);  // fact 9
    CHECK(profile(name).start.vendor == "cananian");
    CHECK_FALSE(profile(name).offers_all_mppe);  // fact 17
  }
  CHECK(profile("linux-kernel").acks == Acks::kPiggyback);    // fact 12
  CHECK(profile("linux-kernel").reorder_wait == Duration{});  // fact 14
  CHECK(profile("pptp-linux").reorder_wait > Duration{});
}
