// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/session_routes.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

using namespace pns;
using namespace pns::supervisor;

namespace {

class FakeKernel final : public SessionRoutes::Kernel {
 public:
  Result add(const Ipv4Prefix& network) override { return add_one(network); }
  Result add(const Ipv6Prefix& network) override { return add_one(network); }
  Result remove(const Ipv4Prefix& network) override { return remove_one(network); }
  Result remove(const Ipv6Prefix& network) override { return remove_one(network); }
  std::expected<Networks, std::string> list() override {
    Networks out;
    for (const std::string& text : routes) {
      if (const auto ipv4 = Ipv4Prefix::parse(text)) out.ipv4.push_back(*ipv4);
      if (const auto ipv6 = Ipv6Prefix::parse(text)) out.ipv6.push_back(*ipv6);
    }
    return out;
  }
  std::set<std::string> routes;
  int calls = 0;
  bool refuses = false;

 private:
  Result add_one(const auto& network) {
    ++calls;
    if (refuses) return std::unexpected(std::string("no"));
    routes.insert(network.to_string());
    return {};
  }
  Result remove_one(const auto& network) {
    ++calls;
    routes.erase(network.to_string());
    return {};
  }
};

constexpr TimePoint kNow{};
using Routes = std::set<std::string>;

}  // namespace

TEST_CASE("session routes: they follow what the control process tells", "[supervisor][networks]") {
  FakeKernel kernel;
  SessionRoutes routes(kernel);
  routes.set("192.168.50.0/24", true, kNow);
  routes.set("2001:db8:50::/48", true, kNow);
  routes.set("192.168.50.0/24", true, kNow);
  CHECK(kernel.routes == Routes{"192.168.50.0/24", "2001:db8:50::/48"});
  CHECK(kernel.calls == 2);
  routes.set("192.168.50.0/24", false, kNow);
  routes.set("192.168.60.0/24", false, kNow);
  CHECK(kernel.routes == Routes{"2001:db8:50::/48"});
  CHECK(kernel.calls == 3);
}

TEST_CASE("session routes: what no subscriber can have behind him is refused",
          "[supervisor][networks]") {
  FakeKernel kernel;
  SessionRoutes routes(kernel);
  for (const char* bad : {"", "0.0.0.0/0", "::/0", "192.168.50.1/24", "192.168.50.0", "127.0.0.0/8",
                          "10.0.0.0/7", "fe80::/64", "::ffff:0:0/96", "x; reboot"})
    routes.set(bad, true, kNow);
  CHECK(kernel.calls == 0);
}

TEST_CASE("session routes: no more than the bound", "[supervisor][networks]") {
  FakeKernel kernel;
  SessionRoutes routes(kernel, 2);
  for (const char* network : {"10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"})
    routes.set(network, true, kNow);
  CHECK(routes.size() == 2);
  routes.set("10.1.0.0/16", false, kNow);
  routes.set("10.3.0.0/16", true, kNow);
  CHECK(kernel.routes == Routes{"10.2.0.0/16", "10.3.0.0/16"});
  // One that the kernel refuses does not count.
  routes.set("10.2.0.0/16", false, kNow);
  kernel.refuses = true;
  routes.set("10.4.0.0/16", true, kNow);
  CHECK(routes.size() == 1);
}

TEST_CASE("session routes: those of calls that ended with the control process go",
          "[supervisor][networks]") {
  FakeKernel kernel;
  SessionRoutes routes(kernel);
  for (const char* network : {"10.1.0.0/16", "10.2.0.0/16", "2001:db8:1::/48"})
    routes.set(network, true, kNow);
  routes.expect_again();
  CHECK(kernel.routes.size() == 3);  // packets are forwarded meanwhile
  const int calls = kernel.calls;
  routes.set("10.2.0.0/16", true, kNow);
  routes.set("10.9.0.0/16", true, kNow);
  CHECK(kernel.calls == calls + 1);  // the one that stays is not touched
  routes.forget_others();
  CHECK(kernel.routes == Routes{"10.2.0.0/16", "10.9.0.0/16"});
  routes.forget_others();
  CHECK(kernel.routes.size() == 2);
}

TEST_CASE("session routes: a server that starts finds those of a killed one, and takes them away",
          "[supervisor][networks]") {
  FakeKernel kernel;
  kernel.routes = {"10.1.0.0/16", "2001:db8:1::/48"};
  SessionRoutes first(kernel);
  first.clean();
  CHECK(kernel.routes.empty());
  // A supervisor that takes its own place keeps them.
  kernel.routes = {"10.1.0.0/16", "2001:db8:1::/48"};
  SessionRoutes second(kernel);
  second.adopt();
  CHECK(second.size() == 2);
  second.forget_others();
  CHECK(kernel.routes.size() == 2);
  second.set("10.1.0.0/16", false, kNow);
  CHECK(kernel.routes == Routes{"2001:db8:1::/48"});
  // A twin that was made anew has lost them.
  kernel.routes.clear();
  second.repeat();
  CHECK(kernel.routes == Routes{"2001:db8:1::/48"});
  second.clean();
  CHECK(kernel.routes.empty());
}

TEST_CASE(
    "session routes: a second place has the same ones, and neither keeps the other from its own",
    "[supervisor][networks]") {
  FakeKernel daemons;
  FakeKernel services;
  services.routes = {"10.9.0.0/16", "10.1.0.0/16"};  // of a run that was killed
  SessionRoutes routes(daemons);
  routes.set("10.1.0.0/16", true, kNow);
  routes.set("2001:db8:1::/48", true, kNow);
  routes.add_place(services);
  CHECK(services.routes == Routes{"10.1.0.0/16", "2001:db8:1::/48"});
  routes.set("10.2.0.0/16", true, kNow);
  routes.set("10.1.0.0/16", false, kNow);
  CHECK(services.routes == Routes{"10.2.0.0/16", "2001:db8:1::/48"});
  CHECK(services.routes == daemons.routes);
  // Where one fails, the network is in force all the same, and goes with its session.
  services.refuses = true;
  routes.set("10.3.0.0/16", true, kNow);
  CHECK(daemons.routes.contains("10.3.0.0/16"));
  services.refuses = false;
  routes.repeat();
  CHECK(services.routes == daemons.routes);
  daemons.refuses = true;
  routes.set("10.4.0.0/16", true, kNow);
  CHECK(services.routes.contains("10.4.0.0/16"));
  routes.set("10.4.0.0/16", false, kNow);
  CHECK(services.routes == daemons.routes);
  // The interface has gone, and its routes with it.
  routes.remove_place(services);
  services.routes.clear();
  routes.set("10.2.0.0/16", false, kNow);
  CHECK(services.calls > 0);
  const int calls = services.calls;
  routes.clean();
  CHECK(services.calls == calls);
  CHECK(daemons.routes.empty());
}
