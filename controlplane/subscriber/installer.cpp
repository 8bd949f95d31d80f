// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/installer.hpp"

#include <utility>

namespace pns::subscriber {

using Reply = control::DataplaneCommands::Reply;

namespace {

// Shares of contract::kCommandCredits; the rest is for commands of calls that are up.
constexpr std::size_t kMaxInstallsInFlight = contract::kCommandCredits / 4;
constexpr std::size_t kMaxRemovalsInFlight = contract::kCommandCredits / 4;
constexpr auto kRemovalRetry = Milliseconds(50);

}  // namespace

Installer::Installer(Services& services, SessionTable& sessions, Owner& owner)
    : services_(services),
      sessions_(sessions),
      owner_(owner),
      retry_(services.loop.timers(), [this] { send_removals(); }) {}

bool Installer::can_install() const {
  return services_.dataplane.attached() && orphans_left_ == 0 &&
         installs_in_flight_ < kMaxInstallsInFlight;
}

bool Installer::install(Session& session, std::uint16_t peer_window) {
  const auto& call = session.call();
  contract::InstallSession spec;
  spec.our_call_id = call.our_call_id;
  spec.peer_call_id = call.peer_call_id;
  spec.local = call.local;
  spec.peer = call.peer;
  spec.peer_window = peer_window;
  spec.mppe_required = services_.config.ppp.mppe.policy == config::MppePolicy::kRequire;
  const auto sent =
      services_.dataplane.install(call.slot, spec, [this, id = call.id](const Reply& reply) {
        --installs_in_flight_;
        if (Session* alive = sessions_.find(id)) owner_.on_install_answered(*alive, reply);
        owner_.on_room();
        send_removals();
      });
  if (!sent) return false;
  ++installs_in_flight_;
  return true;
}

void Installer::remove(Session& session) {
  // After the last frames of the session and the end of its record, which may wait for the store.
  services_.journal.when_stored([this, id = session.id()] {
    removals_.push_back(id);
    send_removals();
  });
}

void Installer::set_orphans(std::vector<SlotId> orphans) {
  orphans_ = std::move(orphans);
  orphans_left_ = orphans_.size();
}

void Installer::send_removals() {
  while (!removals_.empty() && removals_in_flight_ < kMaxRemovalsInFlight) {
    if (!send_removal(removals_.front())) return retry_later();
    removals_.pop_front();
  }
  // Orphans come after the sessions of this process.
  while (!orphans_.empty() && removals_in_flight_ < kMaxRemovalsInFlight) {
    if (!send_orphan_removal(orphans_.back())) return retry_later();
    orphans_.pop_back();
  }
}

bool Installer::send_removal(SessionId id) {
  const Session* session = sessions_.find(id);
  if (session == nullptr) return true;
  const auto sent =
      services_.dataplane.remove(session->dataplane().handle(), [this, id](const Reply& reply) {
        --removals_in_flight_;
        Session* alive = sessions_.find(id);
        if (alive != nullptr && reply) owner_.on_removed(*alive);
        // Without an answer the dataplane was lost: it is asked again when it is back.
        if (alive != nullptr && !reply) removals_.push_back(id);
        send_removals();
      });
  if (sent) ++removals_in_flight_;
  return sent.has_value();
}

bool Installer::send_orphan_removal(SlotId slot) {
  const auto& record = services_.memory.sessions()[slot.value];
  const control::SessionHandle handle{slot, record.generation.load(std::memory_order_acquire)};
  const auto sent = services_.dataplane.remove(handle, [this, slot](const Reply& reply) {
    --removals_in_flight_;
    if (reply)
      sessions_.add_free(slot);
    else
      orphans_.push_back(slot);
    if (reply && --orphans_left_ == 0) owner_.on_room();
    send_removals();
  });
  if (sent) ++removals_in_flight_;
  return sent.has_value();
}

// The command ring has no room, so it is tried again soon. Without a dataplane, on_attached()
// tries.
void Installer::retry_later() {
  if (services_.dataplane.attached()) retry_.arm(services_.loop.now() + kRemovalRetry);
}

}  // namespace pns::subscriber
