// SPDX-License-Identifier: BSD-3-Clause
//
// StoreContents: everything that should be in the store, from the tables of this process.
// Event-loop thread only.
#pragma once

#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/connection_table.hpp"
#include "controlplane/subscriber/listeners.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_table.hpp"

namespace pns::subscriber {

class StoreContents {
 public:
  StoreContents(Services& services, SessionTable& sessions, CallIds& call_ids,
                ConnectionTable& connections, StoreListener& listener);

  // Puts every record again and erases all others: some could not be written.
  void rewrite();
  // Erases the records of connections and sessions that this process does not have, and these keys.
  void erase_unknown(const std::vector<resume::Key>& obsolete = {});

 private:
  Services& services_;
  SessionTable& sessions_;
  CallIds& call_ids_;
  ConnectionTable& connections_;
  StoreListener& listener_;
};

}  // namespace pns::subscriber
