// SPDX-License-Identifier: BSD-3-Clause
//
// SessionRoutes: the kernel's routes to the networks behind subscribers. They stand in the core
// port's table, for routing daemons, and in a second place, by which programs of this host answer
// (services_interface.hpp). The control process tells which are in force; they outlive it. One that
// its successor does not tell again belongs to a call that is gone. Supervisor thread only. At most
// kMaxRoutes.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pns/base/time.hpp"
#include "pns/log/log.hpp"
#include "pns/netlink/subscriber_routes.hpp"

namespace pns::supervisor {

class SessionRoutes {
 public:
  static constexpr std::size_t kMaxRoutes = 65'536;

  // The kernel, or another in tests.
  class Kernel {
   public:
    using Result = std::expected<void, std::string>;
    Kernel() = default;
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual ~Kernel() = default;
    [[nodiscard]] virtual Result add(const Ipv4Prefix& network) = 0;
    [[nodiscard]] virtual Result add(const Ipv6Prefix& network) = 0;
    [[nodiscard]] virtual Result remove(const Ipv4Prefix& network) = 0;
    [[nodiscard]] virtual Result remove(const Ipv6Prefix& network) = 0;
    [[nodiscard]] virtual std::expected<Networks, std::string> list() = 0;
  };

  explicit SessionRoutes(Kernel& kernel, std::size_t most = kMaxRoutes)
      : kernels_{&kernel}, most_(most) {}

  // Takes all of them away: at the end of the server, and before one starts where another was
  // killed.
  void clean();
  // The routes of an earlier program of this process are this one's.
  void adopt();
  // `network`: text of the control process, which is believed nothing.
  void set(std::string_view network, bool in_force, TimePoint now);
  // The control process has ended: its successor must tell all networks again.
  void expect_again();
  // It has told all that are left.
  void forget_others();
  // Routes go with an interface that goes down: sets them again.
  void repeat();
  // A further place for all of them, in which those that are not in force go, and one less. Where
  // it fails, the others stand.
  void add_place(Kernel& kernel);
  void remove_place(Kernel& kernel);

  [[nodiscard]] std::size_t size() const noexcept { return routes_.size(); }

 private:
  using Network = std::variant<Ipv4Prefix, Ipv6Prefix>;
  [[nodiscard]] static std::optional<Network> parse(std::string_view text);
  [[nodiscard]] static Kernel::Result add_to(Kernel& kernel, const Network& network);
  // The last error of any place. add(): `stands`: it has succeeded in one.
  [[nodiscard]] Kernel::Result add(const Network& network, bool& stands);
  [[nodiscard]] Kernel::Result remove(const Network& network);
  void warn(std::string_view network, std::string_view reason, TimePoint now);

  std::vector<Kernel*> kernels_;  // the first has what adopt() takes
  std::size_t most_;
  std::map<Network, bool> routes_;  // true: told by the control process that runs
  log::RateLimit log_{1, Seconds(1)};
};

// The kernel itself. Without a socket nothing is done and everything fails.
class NetlinkRoutes final : public SessionRoutes::Kernel {
 public:
  [[nodiscard]] std::expected<void, std::string> open(netlink::SubscriberRoutes::Place place);
  void close() { routes_.reset(); }
  [[nodiscard]] Result add(const Ipv4Prefix& network) override {
    return act(&Routes::add, network);
  }
  [[nodiscard]] Result add(const Ipv6Prefix& network) override {
    return act(&Routes::add, network);
  }
  [[nodiscard]] Result remove(const Ipv4Prefix& network) override {
    return act(&Routes::remove, network);
  }
  [[nodiscard]] Result remove(const Ipv6Prefix& network) override {
    return act(&Routes::remove, network);
  }
  [[nodiscard]] std::expected<Networks, std::string> list() override;

 private:
  using Routes = netlink::SubscriberRoutes;
  template <class Prefix>
  [[nodiscard]] Result act(Result (Routes::*what)(const Prefix&) const, const Prefix& network) {
    if (!routes_) return std::unexpected(std::string("no netlink socket"));
    return ((*routes_).*what)(network);
  }

  std::optional<Routes> routes_;
};

}  // namespace pns::supervisor
