// SPDX-License-Identifier: BSD-3-Clause
//
// Planned restarts: control asks, the executables are looked at and the configuration is checked
// while everything goes on, and only then a plane is told to leave. Whatever is wrong refuses the
// restart and leaves the old process as it is.
#include <fmt/format.h>
#include <sys/wait.h>

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
constexpr auto kConfigTime = seconds(15);  // the users file may be large
constexpr auto kLeaveTime = milliseconds(2000);

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

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
  if (phase_ != Phase::kServing)
    return answer(message.request, what,
                  is_stopping() ? "the server is ending" : "the server is starting");
  if (restart_) return answer(message.request, what, "another restart is under way");
  const Plane& plane = what == Process::kControl ? control_ : dataplane_;
  if (what != Process::kSupervisor && plane.state == PlaneState::kStarting)
    return answer(message.request, what, fmt::format("{} is starting", plane.name));
  log::info("restart requested", {{"what", name_of(what)}});
  restart_.emplace(Restart{.what = what, .request = message.request, .asked = Clock::now()});
  probe({program_of(what).string(), "--contract"}, kContractTime);
}

void Supervisor::probe(std::vector<std::string> words, Clock::duration within) {
  auto started = Probe::start(std::move(words), Clock::now() + within);
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
    return this->probe({program_.string(), "check", "--config", config_.file.string()},
                       kConfigTime);
  }
  if (!WIFEXITED(probe.status()) || WEXITSTATUS(probe.status()) != 0)
    return refuse_restart(probe.output().empty()
                              ? "pns check: " + describe_wait_status(probe.status())
                              : first_line(probe.output()));
  restart_->step = Restart::Step::kLeaving;
  if (what == Process::kSupervisor) return refuse_restart(hand_over());
  if (what == Process::kDataplane)
    if (const std::string objection = ports_objection(); !objection.empty())
      return refuse_restart(objection);
  leave(what == Process::kControl ? control_ : dataplane_);
}

// A dataplane that opened other ports than those that are held for it would serve nobody.
std::string Supervisor::ports_objection() const {
  const auto now = config::load(config_.file);
  if (!now) return {};  // only a newer program can read it
  for (const auto& [key, held, wanted] :
       {std::tuple{"ports.access", &config_.ports.access, &now->ports.access},
        std::tuple{"ports.core", &config_.ports.core, &now->ports.core}})
    if (held->device.text != wanted->device.text || held->twin != wanted->twin)
      return fmt::format("{}: {} cannot become {} while calls live; see docs/upgrade.md", key,
                         held->device.text, wanted->device.text);
  return {};
}

void Supervisor::leave(Plane& plane) {
  answer(restart_->request, restart_->what, {});
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
