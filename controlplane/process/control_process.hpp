// SPDX-License-Identifier: BSD-3-Clause
//
// ControlProcess: the composition root of pns-control. Its members stand in the order in which they
// start:
//
//   configuration → what only root may open → another user, no privileges → users (read on a
//   thread) → grants → session memory → store → links to the supervisor and the dataplane →
//   subscribers, and the sockets that an earlier process left → management → metrics → listeners →
//   ready
//
// Nothing that another process has written is read before the privileges are gone, but for the
// configuration.
//
// Established calls are served as soon as run() turns the loop; new calls as soon as the dataplane
// is attached and the users are read.
#pragma once

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "controlplane/aaa/deferred_authenticator.hpp"
#include "controlplane/aaa/guess_limiter.hpp"
#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/aaa/ordered_authenticator.hpp"
#include "controlplane/aaa/password_changes.hpp"
#include "controlplane/aaa/password_saver.hpp"
#include "controlplane/aaa/realms.hpp"
#include "controlplane/accounting/service.hpp"
#include "controlplane/dataplane_link/dataplane_link.hpp"
#include "controlplane/management/server.hpp"
#include "controlplane/metrics/collector.hpp"
#include "controlplane/model/statistics.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/process/authorization_source.hpp"
#include "controlplane/process/privileged_start.hpp"
#include "controlplane/process/radius_source.hpp"
#include "controlplane/process/users_loader.hpp"
#include "controlplane/resume/journal.hpp"
#include "controlplane/runtime/address_watch.hpp"
#include "controlplane/runtime/asio_event_loop.hpp"
#include "controlplane/runtime/connector.hpp"
#include "controlplane/runtime/listener.hpp"
#include "controlplane/runtime/memory_watch.hpp"
#include "controlplane/runtime/socket_poller.hpp"
#include "controlplane/runtime/supervisor_link.hpp"
#include "controlplane/subscriber/service.hpp"
#include "pns/base/random.hpp"
#include "pns/base/stopwatch.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/config/source.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"

namespace pns::control {

class ControlProcess {
 public:
  // Everything up to the loop. Throws std::runtime_error with the reason why it cannot start.
  ControlProcess(config::Source source, const std::filesystem::path& run_dir,
                 UniqueFd supervisor_socket);
  ~ControlProcess();
  ControlProcess(const ControlProcess&) = delete;
  ControlProcess& operator=(const ControlProcess&) = delete;

  // Serves until it is told to stop. Throws when it cannot go on.
  void run();

 private:
  // Pool figures for the scrape thread, refreshed on the event loop.
  class PoolFigures {
   public:
    void refresh(const std::vector<pools::PoolStatus>& status);
    [[nodiscard]] std::vector<metrics::Collector::PoolUse> get() const;

   private:
    mutable std::mutex mutex_;
    std::vector<metrics::Collector::PoolUse> figures_;
  };

  [[nodiscard]] subscriber::Services services();
  void start_management();
  void start_metrics();
  void make_listeners();
  void on_users(UsersLoader::Users users);
  void on_host_addresses(const HostAddresses& host);
  void allow_password_changes(aaa::PasswordChanges changes);
  void make_ordered_authenticator();
  void on_attached();
  void try_ready();
  void start_accounting();
  void start_authorization();
  void on_memory(bool over);
  void on_spool(bool full);
  void refuse_calls_or_not();
  void stop(Milliseconds within);
  void leave();
  void leave_when_flushed();
  void every_second();
  void give_memory_back();
  void end_phase(model::StartPhase phase);

  Stopwatch watch_;
  config::Source source_;  // until all of it is read
  config::Config config_;
  Opened opened_;
  Confined confined_;
  asio::io_context context_{1};
  AsioEventLoop loop_{context_};
  SystemRandom random_;
  model::Statistics statistics_;
  std::optional<aaa::PasswordChanges> password_changes_;  // until the users are read
  UsersLoader users_loader_;
  contract::Grants grants_;
  contract::SessionMemory memory_;
  pools::PoolSet pools_;
  AddressWatch address_watch_;
  std::optional<aaa::PasswordSaver> password_saver_;
  aaa::DeferredAuthenticator deferred_authenticator_;
  std::optional<aaa::LocalAuthenticator> local_authenticator_;
  Timer guess_timer_;
  aaa::GuessLimiter guess_limiter_;
  aaa::RealmAuthenticator realm_authenticator_;
  std::unique_ptr<resume::Journal> journal_;
  Connector connector_;
  SocketPoller socket_poller_;
  std::optional<RadiusSource> radius_;  // without radius in aaa.order: empty
  std::optional<aaa::OrderedAuthenticator> ordered_authenticator_;
  std::optional<accounting::Service> accounting_;  // without servers for it: empty
  SupervisorLink supervisor_;
  DataplaneLink dataplane_;
  subscriber::Service service_;
  std::optional<AuthorizationSource> authorization_;  // without dynamic authorization: empty
  MemoryWatch memory_watch_;
  PoolFigures pool_figures_;
  std::unique_ptr<metrics::Endpoint> metrics_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  asio::signal_set signals_;
  Timer leave_timer_;
  TimePoint leave_until_{};
  Timer second_timer_;
  TimePoint turn_window_end_{};
  std::int64_t peak_sessions_ = 0;  // since memory was given back
  int seconds_below_peak_ = 0;
  std::uint64_t frames_lost_ =
      0;  // control frames that the ring from the dataplane had no room for
  std::optional<std::string> failure_;
  std::size_t granted_connections_ = 0;
  bool memory_is_short_ = false;
  bool spool_is_short_ = false;
  bool users_read_ = false;
  bool attached_ = false;
};

}  // namespace pns::control
