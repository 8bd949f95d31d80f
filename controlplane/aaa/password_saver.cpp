// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/password_saver.hpp"

#include <cerrno>
#include <utility>

namespace pns::aaa {

PasswordSaver::PasswordSaver(PasswordChanges changes, Post post)
    : changes_(std::move(changes)), post_(std::move(post)), thread_([this] { run(); }) {}

PasswordSaver::~PasswordSaver() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void PasswordSaver::save(std::string name, const Secret<16>& nt_hash, Done done) {
  {
    const std::scoped_lock lock(mutex_);
    if (waiting_.size() < kMaxWaiting) {
      waiting_.push_back({std::move(name), nt_hash, std::move(done)});
      done = nullptr;
    }
  }
  if (done) return post_([done = std::move(done)]() mutable { done(EAGAIN); });
  work_.notify_one();
}

void PasswordSaver::run() {
  for (;;) {
    std::unique_lock lock(mutex_);
    work_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    Change change = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    errno = 0;
    const bool kept = changes_.save(change.name, change.nt_hash);
    const int error = kept ? 0 : errno != 0 ? errno : ENOENT;
    post_([done = std::move(change.done), error]() mutable { done(error); });
  }
}

}  // namespace pns::aaa
