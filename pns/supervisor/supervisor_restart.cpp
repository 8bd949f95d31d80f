// SPDX-License-Identifier: BSD-3-Clause
//
// Planned restarts: control asks, the executables are looked at and the configuration is checked
// while everything goes on, and only then a plane is told to leave. Whatever is wrong refuses the
// restart and leaves the old process as it is.
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>

#include "pns/log/log.hpp"
#include "pns/supervisor/contract_check.hpp"
#include "pns/supervisor/supervisor_parts.hpp"

namespace pns::supervisor {
namespace {

using contract::Process;
using contract::SupervisorMessage;
using contract::SupervisorMessageType;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kContractTime = seconds(5);
constexpr auto kLeaveTime = milliseconds(2000);

// The first of the lines, and how many more there are.
std::string summary_of(const std::string& lines) {
  const auto more = std::ranges::count(lines, '\n') - 1;
  const std::string first = lines.substr(0, lines.find('\n'));
  return more > 0 ? fmt::format("{} (and {} more: pns check)", first, more) : first;
}

std::string program_name(Process what) {
  return what == Process::kSupervisor ? "pns" : fmt::format("pns-{}", name_of(what));
}

}  // namespace

std::filesystem::path Supervisor::program_of(Process what) const {
  return what == Process::kSupervisor ? program_
         : what == Process::kControl  ? control_.program
                                      : dataplane_.program;
}

void Supervisor::on_request_restart(const SupervisorMessage& message) {
  const auto what = static_cast<Process>(message.value);
  if (message.value >= contract::kProcesses)
    return answer(message.request, what, "there is no such process");
  if (const std::string why = busy(what); !why.empty()) return answer(message.request, what, why);
  log::info("restart requested", {{"what", name_of(what)}});
  auto configuration = Snapshot::take(config_.file, what == Process::kControl);
  if (!configuration) return answer(message.request, what, configuration.error().to_string());
  const auto now = Clock::now();
  // A fifth of the asker's time is left for the configuration before, should the new one fail.
  const auto within =
      seconds(std::clamp(message.within_s == 0 ? contract::kRestartSeconds : message.within_s,
                         std::uint32_t{1}, contract::kMaxRestartSeconds));
  restart_.emplace(Restart{
      .what = what,
      .request = message.request,
      .asked = now,
      .by = now + within * 4 / 5,
      .confirm_within = seconds(std::min(message.confirm_within_s, contract::kMaxConfirmSeconds)),
      .configuration = std::move(*configuration)});
  probe({program_of(what).string(), "--contract"}, std::min(restart_->by, now + kContractTime));
}

// Empty: a restart of this process may begin.
std::string Supervisor::busy(Process what) const {
  if (phase_ != Phase::kServing)
    return is_stopping() ? "the server is ending" : "the server is starting";
  if (restart_) return "another restart is under way";
  if (unconfirmed_ && what != Process::kDataplane)
    return "a configuration waits to be confirmed: pns reload --confirm";
  for (const auto& [plane, process] :
       {std::pair{&control_, Process::kControl}, std::pair{&dataplane_, Process::kDataplane}}) {
    const bool trial = plane->candidate != nullptr && plane->runs();
    if (trial || (process == what && plane->state == PlaneState::kStarting))
      return fmt::format("{} is starting", plane->name);
  }
  return {};
}

// SIGHUP: control starts with the files as they are now. A refusal stands in the log.
void Supervisor::reload() {
  SupervisorMessage message;
  message.value = static_cast<std::uint32_t>(Process::kControl);
  on_request_restart(message);
}

void Supervisor::on_confirm(const SupervisorMessage& message) {
  if (!unconfirmed_ || !unconfirmed_->until)
    return answer(message.request, Process::kControl, "no configuration waits to be confirmed");
  unconfirmed_.reset();
  log::info("configuration confirmed");
  answer(message.request, Process::kControl, {});
}

// Nobody has confirmed: control starts with the configuration before, which was checked when it was
// new.
void Supervisor::return_unconfirmed(Clock::time_point now) {
  // Control may have died since, and may never be ready with the new one.
  if (!unconfirmed_ || !unconfirmed_->until || now < *unconfirmed_->until || is_stopping() ||
      restart_ || control_.leaves || control_.candidate)
    return;
  log::warn("configuration not confirmed", {{"within_s", unconfirmed_->within.count()}});
  restart_.emplace(Restart{.what = Process::kControl,
                           .asked = now,
                           .by = now + seconds(contract::kRestartSeconds),
                           .configuration = std::move(unconfirmed_->before),
                           .step = Restart::Step::kLeaving});
  unconfirmed_.reset();
  rejected_ = control_.configuration;
  leave(control_);
}

void Supervisor::probe(std::vector<std::string> words, Clock::time_point by) {
  auto started = Probe::start(std::move(words), by, Probe::Output::kOnly,
                              {.source = &restart_->configuration->source(),
                               .run_dir = run_dir_.path().string(),
                               .process = std::string(name_of(restart_->what))});
  if (!started) return refuse_restart(started.error());
  restart_->probe = std::move(*started);
}

void Supervisor::check_probe(Clock::time_point now) {
  if (!restart_ || !restart_->probe) return;
  Probe& probe = *restart_->probe;
  probe.read();
  if (probe.has_ended()) return on_probe_end();
  if (now >= probe.deadline())
    refuse_restart(fmt::format(
        "{} did not answer in time",
        restart_->step == Restart::Step::kContract ? program_name(restart_->what) : "pns check"));
}

void Supervisor::on_probe_end() {
  const Process what = restart_->what;
  const Probe probe = std::move(*restart_->probe);
  restart_->probe.reset();
  if (restart_->step == Restart::Step::kContract) {
    const std::string objection =
        WIFEXITED(probe.status()) && WEXITSTATUS(probe.status()) == 0
            ? contract_objection(program_name(what), probe.output(),
                                 contract::contract_with(session_memory_.header()),
                                 what == Process::kSupervisor)
            : fmt::format("{} --contract: {}; see docs/upgrade.md", program_name(what),
                          describe_wait_status(probe.status()));
    if (!objection.empty()) return refuse_restart(objection);
    // By the executable that lies there now, which may know keys that this one does not.
    restart_->step = Restart::Step::kConfig;
    if (what == Process::kDataplane)
      if (const std::string refusal = ports_objection(); !refusal.empty())
        return refuse_restart(refusal);
    return this->probe({program_.string(), "check", "--config", config_.file.string()},
                       restart_->by);
  }
  if (!WIFEXITED(probe.status()) || WEXITSTATUS(probe.status()) != 0)
    return refuse_restart(probe.output().empty()
                              ? "pns check: " + describe_wait_status(probe.status())
                              : summary_of(probe.output()));
  restart_->step = Restart::Step::kLeaving;
  if (what == Process::kSupervisor) return refuse_restart(hand_over());
  leave(what == Process::kControl ? control_ : dataplane_);
}

// A dataplane that opened other ports than those that are held for it would serve nobody.
std::string Supervisor::ports_objection() const {
  const auto now = config::load(restart_->configuration->source());
  if (!now) return {};  // only a newer program can read it
  for (const auto& [key, held, wanted] :
       {std::tuple{"ports.access", &config_.ports.access, &now->ports.access},
        std::tuple{"ports.core", &config_.ports.core, &now->ports.core}})
    if (held->device.text != wanted->device.text ||
        held->device.interface != wanted->device.interface || held->twin != wanted->twin)
      return fmt::format("{}: {} cannot become {} while calls live; see docs/upgrade.md", key,
                         held->device.text, wanted->device.text);
  // The supervisor fills the table that it knows, and the dataplane reads the one that it knows.
  for (const auto& [key, held, wanted] :
       {std::tuple{"ports.access.table", &config_.ports.access, &now->ports.access},
        std::tuple{"ports.core.table", &config_.ports.core, &now->ports.core}})
    if (held->has_twin() && held->table != wanted->table)
      return fmt::format("{}: restart the supervisor first, which has table {}", key, held->table);
  return {};
}

void Supervisor::leave(Plane& plane) {
  answer(restart_->request, restart_->what, {});
  if (&plane == &control_ && restart_->confirm_within > seconds(0) && control_.configuration)
    unconfirmed_ = Unconfirmed{control_.configuration, restart_->confirm_within};
  plane.candidate = restart_->configuration;
  plane.ready_by = restart_->by;
  if (!plane.runs()) {  // it waits for its next start: that is now
    restart_.reset();
    plane.restart_at.reset();
    return start(plane);
  }
  SupervisorMessage message;
  message.type = SupervisorMessageType::kLeave;
  message.value = static_cast<std::uint32_t>(kLeaveTime.count());
  send(plane, message);
  plane.leaves = true;
  plane.kill_at = Clock::now() + kLeaveTime;
}

// An empty refusal accepts. To a control process that has started since, the answer means nothing.
void Supervisor::answer(std::uint32_t request, Process what, const std::string& refusal) {
  SupervisorMessage message;
  message.type = refusal.empty() ? SupervisorMessageType::kRestartAccepted
                                 : SupervisorMessageType::kRestartRefused;
  message.request = request;
  message.value = static_cast<std::uint32_t>(what);
  refusal.copy(message.text.data(), message.text.size() - 1);
  if (!refusal.empty())
    log::warn("restart refused",
              {{"what", message.value < contract::kProcesses ? name_of(what) : "none"},
               {"reason", refusal}});
  if (control_.runs()) send(control_, message);
}

void Supervisor::refuse_restart(const std::string& reason) {
  const Restart refused = std::move(*restart_);
  restart_.reset();
  if (refused.step == Restart::Step::kLeaving && refused.what != Process::kSupervisor &&
      (control_.leaves || dataplane_.leaves))
    return;  // it was accepted
  answer(refused.request, refused.what, reason);
}

}  // namespace pns::supervisor
