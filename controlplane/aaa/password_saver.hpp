// SPDX-License-Identifier: BSD-3-Clause
//
// PasswordSaver: writes changed passwords on a thread of its own. A write waits for the disk twice
// (PasswordChanges), and the event loop serves every call meanwhile.
#pragma once

#include <functional>
#include <string>

#include "controlplane/aaa/password_changes.hpp"
#include "pns/base/batch_thread.hpp"
#include "pns/base/secret.hpp"

namespace pns::aaa {

class PasswordSaver {
 public:
  static constexpr std::size_t kMaxWaiting = 64;  // changes; further ones fail at once

  // errno of a change that was not written; 0: it was.
  using Done = std::move_only_function<void(int error)>;
  // Runs work on the event loop, later. Any thread.
  using Post = std::function<void(std::move_only_function<void()> work)>;

  // `changes`: after its apply(); from now on only the thread uses it.
  PasswordSaver(PasswordChanges changes, Post post);
  PasswordSaver(const PasswordSaver&) = delete;
  PasswordSaver& operator=(const PasswordSaver&) = delete;

  // Event loop. `done` is posted once the change is on disk or has failed. EAGAIN: too many wait.
  void save(std::string name, const Secret<16>& nt_hash, Done done);

 private:
  struct Change {
    std::string name;
    Secret<16> nt_hash;
    Done done;
  };
  void write(Change& change);

  PasswordChanges changes_;
  Post post_;
  BatchThread<Change> thread_;  // last: it writes what waits before the rest goes
};

}  // namespace pns::aaa
