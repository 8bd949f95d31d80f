// SPDX-License-Identifier: BSD-3-Clause
//
// Installer: asks the dataplane to install and to remove sessions, within shares of the command
// credits, so that an area that hangs up at once leaves credits for calls that are up. Removals
// wait for their turn, and for the dataplane when there is none. It also removes the orphans: slots
// that an earlier process left and nobody knows.
//
// Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/ids.hpp"

namespace pns::subscriber {

class Installer {
 public:
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    // The dataplane has answered an installation. The session may be withdrawn by now.
    virtual void on_install_answered(Session& session,
                                     const control::DataplaneCommands::Reply& reply) = 0;
    // No worker sees the session any more: everything that it had is free.
    virtual void on_removed(Session& session) = 0;
    // There is room for another installation.
    virtual void on_room() = 0;
  };

  Installer(Services& services, SessionTable& sessions, Owner& owner);

  // Whether an installation can be sent now: the dataplane is attached, all orphans are gone (their
  // addresses are in use until then), and a credit is free.
  [[nodiscard]] bool can_install() const;
  // False: the command could not be sent.
  [[nodiscard]] bool install(Session& session, std::uint16_t peer_window);
  // Asks the dataplane to let go of a session whose removal has begun.
  void remove(Session& session);
  // Slots that an earlier process left and that no session was taken over for.
  void set_orphans(std::vector<SlotId> orphans);
  // The dataplane has attached: sends what waits.
  void on_attached() { send_removals(); }

  // Orphans that are not removed yet, those on their way included.
  [[nodiscard]] std::size_t orphans_left() const noexcept { return orphans_left_; }

 private:
  void send_removals();
  [[nodiscard]] bool send_removal(SessionId id);
  [[nodiscard]] bool send_orphan_removal(SlotId slot);
  void retry_later();

  Services& services_;
  SessionTable& sessions_;
  Owner& owner_;
  control::Timer retry_;
  std::deque<SessionId> removals_;  // wait to be sent
  std::vector<SlotId> orphans_;     // wait to be sent
  std::size_t orphans_left_ = 0;
  std::size_t installs_in_flight_ = 0;
  std::size_t removals_in_flight_ = 0;
};

}  // namespace pns::subscriber
