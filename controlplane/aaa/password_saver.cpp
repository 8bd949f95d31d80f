// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/password_saver.hpp"

#include <cerrno>
#include <utility>
#include <vector>

namespace pns::aaa {

PasswordSaver::PasswordSaver(PasswordChanges changes, Post post)
    : changes_(std::move(changes)),
      post_(std::move(post)),
      thread_(kMaxWaiting, 1, [this](std::vector<Change> one) { write(one.front()); }) {}

void PasswordSaver::save(std::string name, const Secret<16>& nt_hash, Done done) {
  Change change{std::move(name), nt_hash, std::move(done)};
  if (thread_.push(change)) return;
  post_([done = std::move(change.done)]() mutable { done(EAGAIN); });
}

void PasswordSaver::write(Change& change) {
  errno = 0;
  const bool kept = changes_.save(change.name, change.nt_hash);
  const int error = kept ? 0 : errno != 0 ? errno : ENOENT;
  post_([done = std::move(change.done), error]() mutable { done(error); });
}

}  // namespace pns::aaa
