// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/control_process.hpp"

#include <malloc.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "controlplane/metrics/accounting_collector.hpp"
#include "controlplane/metrics/authorization_collector.hpp"
#include "controlplane/metrics/radius_collector.hpp"
#include "controlplane/process/accounting_source.hpp"
#include "controlplane/process/management_handlers.hpp"
#include "controlplane/process/start_check.hpp"
#include "controlplane/runtime/control_socket.hpp"
#include "controlplane/runtime/wall_clock.hpp"
#include "controlplane/subscriber/settings.hpp"
#include "pns/log/log.hpp"
#include "pns/privilege/run_places.hpp"

namespace pns::control {

using model::StartPhase;
using subscriber::CallPlacer;

namespace {

constexpr int kGrantTimeoutMs = 10'000;
constexpr auto kFlushTime = Milliseconds(300);                // of a planned restart
constexpr auto kFinishTime = std::chrono::milliseconds(500);  // of answers that are being written
constexpr auto kFlushPoll = Milliseconds(5);
// Memory is given back after a peak of at least this many sessions, once half of them have been
// gone for this long.
constexpr std::int64_t kWorthTrimming = 1000;
constexpr int kTrimAfterSeconds = 5;
constexpr auto kTurnWindow = Seconds(30);          // of the longest turn that is shown
constexpr auto kLastRecords = Milliseconds(1000);  // of accounting, once all calls have ended
constexpr auto kSignalStop = Milliseconds(5000);

template <class T>
T need(std::expected<T, std::string> value) {
  if (!value) throw std::runtime_error(value.error());
  return std::move(*value);
}

// An answer of the management interface is one text of megabytes. malloc would raise its threshold
// for mappings to that size, and keep so much in the heap of each thread that has made one.
void keep_large_blocks_out_of_heaps() { (void)::mallopt(M_MMAP_THRESHOLD, 128 * 1024); }

config::Config load_config(config::Source& source) {
  keep_large_blocks_out_of_heaps();
  auto config = config::load(source);
  source.config.reset();
  if (!config) throw std::runtime_error(config.error().front().to_string());
  log::start(static_cast<log::Level>(config->log.level),
             static_cast<log::Format>(config->log.format), "control");
  return std::move(*config);
}

std::string machine_id() {
  std::string id;
  std::getline(std::ifstream("/etc/machine-id"), id);
  return id;
}

subscriber::SessionIdSource make_session_ids() {
  return {subscriber::node_number(machine_id()), wall_milliseconds};
}

std::vector<Ipv4Address> addresses_of(const std::vector<contract::Grants::Listener>& listeners) {
  std::vector<Ipv4Address> out;
  for (const auto& listener : listeners) out.push_back(listener.local);
  return out;
}

}  // namespace

// ---- pool figures ---------------------------------------------------------------------------

void ControlProcess::PoolFigures::refresh(const std::vector<pools::PoolStatus>& status) {
  std::vector<metrics::Collector::PoolUse> next;
  next.reserve(status.size());
  for (const auto& pool : status)
    next.push_back({std::string(pool.name), pool.size, pool.in_use, pool.delegated_size,
                    pool.delegated_in_use});
  const std::scoped_lock lock(mutex_);
  figures_ = std::move(next);
}

std::vector<metrics::Collector::PoolUse> ControlProcess::PoolFigures::get() const {
  const std::scoped_lock lock(mutex_);
  return figures_;
}

// ---- start ----------------------------------------------------------------------------------

ControlProcess::ControlProcess(config::Source source, const std::filesystem::path& run_dir,
                               UniqueFd supervisor_socket)
    : source_(std::move(source)),
      config_(load_config(source_)),
      opened_(source_, config_, run_dir),
      confined_(opened_.identity),
      password_changes_(open_password_changes(config_, opened_.password_changes_directory)),
      users_loader_(loop_, config_, std::move(opened_.users_file),
                    [this](UsersLoader::Users users) { on_users(std::move(users)); }),
      grants_(need(contract::receive_grants(supervisor_socket.get(), kGrantTimeoutMs))),
      memory_(need(contract::SessionMemory::attach(grants_.session_memory.get()))),
      pools_(subscriber::make_pools(config_)),
      address_watch_(context_, opened_.host_addresses,
                     [this](const HostAddresses& host) { on_host_addresses(host); }),
      guess_timer_(loop_.timers(), [this] { guess_limiter_.on_deadline(); }),
      guess_limiter_(
          deferred_authenticator_, statistics_, [this] { return loop_.now(); },
          [this](TimePoint at) { guess_timer_.arm(at); }, subscriber::make_guess_limits(config_)),
      realm_authenticator_(guess_limiter_, subscriber::make_realms(config_.aaa)),
      journal_(need(resume::Journal::open(
          privilege::kStoreDirectory, memory_.header().max_sessions, resume::boot_id(),
          [this](resume::Journal::Action action) { loop_.post(std::move(action)); }))),
      connector_(context_, CallPlacer::kMaxAttempts),
      socket_poller_(context_),
      supervisor_(context_, std::move(supervisor_socket), grants_.supervisor_version,
                  {.stop = [this](Milliseconds within) { stop(within); },
                   .leave = [this](Milliseconds) { leave(); },
                   .lost = [this] { context_.stop(); },
                   .not_kept = [this](ConnectionId id) { service_.on_not_kept(id); }}),
      dataplane_(context_, "dataplane.sock",
                 {.attached = [this] { service_.on_dataplane_attached(); },
                  .detached = [this] { service_.on_dataplane_detached(); },
                  .punted = [this](SessionHandle handle,
                                   Bytes frame) { service_.on_punted(handle, frame); },
                  .path_dead = [this](SessionHandle handle,
                                      bool opened) { service_.on_path_dead(handle, opened); }}),
      service_(services(),
               {.make_transport =
                    [this](UniqueFd fd, ConnectionId id, MessageTransport::Owner& owner) {
                      return std::make_shared<ControlSocket>(socket_poller_, std::move(fd), id,
                                                             owner);
                    },
                .opener = connector_,
                .listen = addresses_of(grants_.listeners),
                .machine_id = machine_id()},
               make_session_ids()),
      memory_watch_(context_, std::uint64_t{config_.control.memory_megabytes} << 20,
                    {.measured =
                         [this](std::uint64_t octets) {
                           statistics_.memory_octets.set(static_cast<std::int64_t>(octets));
                         },
                     .changed = [this](bool over) { on_memory(over); }}),
      signals_(context_, SIGTERM, SIGINT),
      leave_timer_(loop_.timers(), [this] { leave_when_flushed(); }),
      second_timer_(loop_.timers(), [this] { every_second(); }),
      frames_lost_(memory_.header().channel_events_dropped.get()) {
  if (opened_.radius)
    radius_.emplace(loop_, socket_poller_, random_, config_.aaa,
                    std::move(*std::exchange(opened_.radius, std::nullopt)));
  start_accounting();
  start_authorization();
  end_phase(StartPhase::kStore);
  on_host_addresses(address_watch_.addresses());
  granted_connections_ = grants_.connections.size();
  service_.take_over(std::move(grants_.connections));
  if (accounting_)
    accounting_->start(memory_.header().process(contract::Process::kControl).serves.load() == 0);
  end_phase(StartPhase::kTakeOver);
  start_management();
  every_second();  // the first scrape finds the pools
  start_metrics();
  make_listeners();
}

ControlProcess::~ControlProcess() = default;

subscriber::Services ControlProcess::services() {
  return {.loop = loop_,
          .config = config_,
          .memory = memory_,
          .statistics = statistics_,
          .keeper = supervisor_,
          .dataplane = dataplane_,
          .authenticator = realm_authenticator_,
          .pools = pools_,
          .journal = *journal_,
          .random = random_};
}

void ControlProcess::start_management() {
  opened_.management->start(context_, make_management_handlers({.service = service_,
                                                                .config = config_,
                                                                .memory = memory_,
                                                                .statistics = statistics_,
                                                                .pools = pools_,
                                                                .supervisor = supervisor_}));
}

void ControlProcess::start_accounting() {
  if (!config_.aaa.accounts()) return;
  const config::RadiusAccounting& config = config_.aaa.radius->accounting;
  accounting_.emplace(
      open_spool(*opened_.spool, config),
      accounting::Service::Parts{.loop = loop_,
                                 .random = random_,
                                 .client = radius_->client(),
                                 .nas = radius_->nas(),
                                 .realms = radius_->realms(),
                                 .on_full = config.on_full,
                                 .on_shortage = [this](bool full) { on_spool(full); }});
  service_.add_listener(accounting_->listener());
  service_.set_counter_interval(config.interim_interval);
}

void ControlProcess::start_authorization() {
  if (!config_.aaa.authorizes_dynamically()) return;
  subscriber::DynamicSessions& sessions = service_.authorize_dynamically();
  authorization_.emplace(AuthorizationSource::Parts{.loop = loop_,
                                                    .poller = socket_poller_,
                                                    .sessions = sessions,
                                                    .changer = sessions,
                                                    .nas = radius_->nas(),
                                                    .meanings = aaa::AttributeMeanings(
                                                        config_.aaa.radius->attributes)},
                         *config_.aaa.radius->dynamic_authorization,
                         std::move(*std::exchange(opened_.authorization, std::nullopt)));
}

void ControlProcess::start_metrics() {
  if (!config_.metrics.listen) return;
  if (const std::string why = metrics_objection(*config_.metrics.listen, std::nullopt);
      !why.empty())
    throw std::runtime_error(why);
  std::vector<std::shared_ptr<prometheus::Collectable>> collectors = {
      std::make_shared<metrics::Collector>(memory_, statistics_,
                                           [this] { return pool_figures_.get(); })};
  if (radius_)
    collectors.push_back(std::make_shared<metrics::RadiusCollector>(
        radius_->client().counts(), radius_->client().server_counts(),
        radius_->attribute_counts()));
  if (authorization_)
    collectors.push_back(std::make_shared<metrics::AuthorizationCollector>(
        authorization_->authorization().counts(), authorization_->authorization().client_counts()));
  if (accounting_)
    collectors.push_back(std::make_shared<metrics::AccountingCollector>(accounting_->counts()));
  metrics_ = std::make_unique<metrics::Endpoint>(
      config_.metrics.listen->address, config_.metrics.listen->port, std::move(collectors));
}

void ControlProcess::make_listeners() {
  for (auto& granted : grants_.listeners) {
    listeners_.push_back(std::make_unique<Listener>(
        context_, std::move(granted.fd),
        [this](UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t port) {
          service_.accept(std::move(fd), local, peer, port);
        },
        [this] {
          statistics_.connections_accepted.add();
          statistics_.connection_ends[static_cast<std::size_t>(EndReason::descriptor_limit)].add();
        }));
    log::info("listening", {{"address", granted.local}, {"port", granted.tcp_port}});
  }
}

void ControlProcess::end_phase(StartPhase phase) {
  statistics_.start_ms[static_cast<std::size_t>(phase)].set(watch_.lap_ms());
}

// ---- while it runs --------------------------------------------------------------------------

void ControlProcess::run() {
  signals_.async_wait([this](const asio::error_code& error, int) {
    if (!error) stop(kSignalStop);
  });
  supervisor_.start();
  dataplane_.start();
  memory_watch_.start();
  address_watch_.start();
  if (radius_) radius_->start();
  if (authorization_) authorization_->start();
  // No caller is refused for being early: the listeners start with the first dataplane.
  service_.when_attached([this] { on_attached(); });
  loop_.run([this](Duration took) {
    statistics_.loop_turns.add(std::chrono::nanoseconds(took).count());
  });
  opened_.management->finish(kFinishTime);
  if (failure_) throw std::runtime_error(*failure_);
  log::info("control stopped");
}

void ControlProcess::on_users(UsersLoader::Users users) {
  if (!users) {
    failure_ = users.error();
    return context_.stop();
  }
  if (password_changes_) password_changes_->apply(*users);
  std::vector<Ipv4Address> fixed;
  std::vector<Ipv6Prefix> fixed_prefixes;
  for (const aaa::LocalUser& user : *users) {
    if (user.address) fixed.push_back(*user.address);
    for (const auto& prefix : {user.ipv6_prefix, user.delegated_prefix})
      if (prefix) fixed_prefixes.push_back(*prefix);
  }
  pools_.set_fixed(fixed, fixed_prefixes);
  local_authenticator_.emplace(std::move(*users), random_);
  if (password_changes_) allow_password_changes(std::move(*password_changes_));
  users_read_ = true;
  statistics_.start_ms[static_cast<std::size_t>(StartPhase::kUsers)].set(watch_.total_ms());
  make_ordered_authenticator();
  deferred_authenticator_.open(*ordered_authenticator_);
  try_ready();
}

// Source 0 is the users file, source 1 RADIUS.
void ControlProcess::make_ordered_authenticator() {
  std::vector<aaa::OrderedAuthenticator::Source> sources = {
      {.authenticator = *local_authenticator_,
       .knows = [this](std::string_view user) { return local_authenticator_->knows(user); }}};
  if (radius_) sources.push_back({.authenticator = radius_->authenticator(), .runs_eap = true});
  const auto places = [](const std::vector<config::AaaSource>& order) {
    aaa::OrderedAuthenticator::Order out;
    for (const config::AaaSource source : order)
      out.push_back(source == config::AaaSource::kRadius ? 1 : 0);
    return out;
  };
  aaa::OrderedAuthenticator::RealmOrders of_realms;
  for (const config::Realm& realm : config_.aaa.realms)
    if (!realm.order.empty()) of_realms.emplace(realm.name, places(realm.order));
  ordered_authenticator_.emplace(std::move(sources), places(config_.aaa.order),
                                 std::move(of_realms));
}

void ControlProcess::on_host_addresses(const HostAddresses& host) {
  auto own = subscriber::own_addresses(config_);
  for (const Ipv4Prefix& address : host.ipv4) subscriber::add_own(own, address);
  for (const Ipv6Prefix& address : host.ipv6) subscriber::add_own(own, address);
  service_.set_own_addresses(own);
}

void ControlProcess::allow_password_changes(aaa::PasswordChanges changes) {
  password_saver_.emplace(std::move(changes), [this](std::move_only_function<void()> work) {
    loop_.post(std::move(work));
  });
  local_authenticator_->allow_password_changes([this](const std::string& name,
                                                      const Secret<16>& nt_hash,
                                                      std::move_only_function<void(bool)> done) {
    password_saver_->save(name, nt_hash, [name, done = std::move(done)](int error) mutable {
      if (error == 0)
        log::info("password changed", {{"user", name}});
      else
        log::error("changed password not saved", {{"user", name}, {"error", std::strerror(error)}});
      done(error == 0);
    });
  });
}

void ControlProcess::on_attached() {
  attached_ = true;
  end_phase(StartPhase::kAttach);
  for (auto& listener : listeners_) listener->start();
  try_ready();
}

void ControlProcess::try_ready() {
  if (!attached_ || !users_read_) return;
  supervisor_.ready();
  const auto took_ms = [&](StartPhase phase) {
    return statistics_.start_ms[static_cast<std::size_t>(phase)].get();
  };
  log::info("control serves", {{"users", local_authenticator_->user_count()},
                               {"listeners", listeners_.size()},
                               {"connections", granted_connections_},
                               {"store_ms", took_ms(StartPhase::kStore)},
                               {"take_over_ms", took_ms(StartPhase::kTakeOver)},
                               {"attach_ms", took_ms(StartPhase::kAttach)},
                               {"users_ms", took_ms(StartPhase::kUsers)},
                               {"took_ms", watch_.total_ms()}});
}

void ControlProcess::on_memory(bool over) {
  memory_is_short_ = over;
  refuse_calls_or_not();
  const auto megabytes = statistics_.memory_octets.get() >> 20;
  if (over)
    log::error("memory limit reached", {{"megabytes", megabytes}});
  else
    log::info("memory limit left", {{"megabytes", megabytes}});
}

void ControlProcess::on_spool(bool full) {
  spool_is_short_ = full;
  refuse_calls_or_not();
}

void ControlProcess::refuse_calls_or_not() {
  service_.set_shortage(memory_is_short_  ? EndReason::memory_limit
                        : spool_is_short_ ? EndReason::accounting_full
                                          : EndReason::kNone);
}

void ControlProcess::every_second() {
  if (accounting_) accounting_->refresh();
  statistics_.store_transactions.set(static_cast<std::int64_t>(journal_->counts().transactions));
  statistics_.store_records.set(static_cast<std::int64_t>(journal_->counts().records));
  pool_figures_.refresh(pools_.status());
  const subscriber::SourceLimits& limits = service_.source_limits();
  statistics_.sources.set(static_cast<std::int64_t>(limits.sources()));
  statistics_.sources_forgotten.set(static_cast<std::int64_t>(limits.forgotten()));
  for (std::size_t i = 0; i < model::kSourceLimits; ++i)
    statistics_.source_limited[i].set(static_cast<std::int64_t>(limits.limited()[i]));
  // Events that the dataplane could not tell because this process did not listen.
  const std::uint64_t lost = memory_.header().channel_events_dropped.get();
  if (lost > frames_lost_) log::warn("control frames lost", {{"frames", lost - frames_lost_}});
  frames_lost_ = lost;
  give_memory_back();
  if (loop_.now() >= turn_window_end_) {
    statistics_.loop_turns.begin_window();
    turn_window_end_ = loop_.now() + kTurnWindow;
  }
  second_timer_.arm(loop_.now() + Seconds(1));
}

// malloc keeps free memory between living objects. After a storm it goes back to the kernel, once.
void ControlProcess::give_memory_back() {
  std::int64_t sessions = 0;
  for (const auto& count : statistics_.sessions_by_kind) sessions += count.get();
  peak_sessions_ = std::max(peak_sessions_, sessions);
  const bool fallen = peak_sessions_ >= kWorthTrimming && sessions <= peak_sessions_ / 2;
  seconds_below_peak_ = fallen ? seconds_below_peak_ + 1 : 0;
  if (seconds_below_peak_ < kTrimAfterSeconds) return;
  (void)::malloc_trim(0);
  peak_sessions_ = sessions;
  seconds_below_peak_ = 0;
}

// ---- the end --------------------------------------------------------------------------------

void ControlProcess::stop(Milliseconds within) {
  for (auto& listener : listeners_) listener->stop();
  service_.shut_down(within, [this] {
    if (!accounting_) return context_.stop();
    accounting_->finish(kLastRecords, [this] { context_.stop(); });
  });
}

// A successor takes over: no message to a peer may be cut in the middle, and no peer is told.
void ControlProcess::leave() {
  log::info("control left to its successor");
  for (auto& listener : listeners_) listener->stop();
  if (radius_) radius_->stop();
  if (authorization_) authorization_->stop();
  service_.stop_reading();
  leave_until_ = loop_.now() + kFlushTime;
  leave_when_flushed();
}

void ControlProcess::leave_when_flushed() {
  if ((service_.is_flushed() && supervisor_.backlog() == 0) || loop_.now() >= leave_until_)
    return context_.stop();
  leave_timer_.arm(loop_.now() + kFlushPoll);
}

}  // namespace pns::control
