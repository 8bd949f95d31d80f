// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_allocator.hpp"

#include <utility>

namespace pns::subscriber {

Session& SessionAllocator::add(std::shared_ptr<Session> added) {
  Session& session = sessions_.add(std::move(added));
  context_.call_ids.count(session.worker());
  return session;
}

std::expected<Session*, EndReason> SessionAllocator::make(const Connection& connection,
                                                          Session::Call call,
                                                          Session::State state) {
  const TimePoint now = context_.services.loop.now();
  const auto slot = sessions_.take_free_slot();
  if (!slot) return std::unexpected(EndReason::no_session_slot);
  const auto our_call_id = context_.call_ids.allocate(connection.local(), connection.peer(), now);
  if (!our_call_id) {
    sessions_.add_free(*slot);
    return std::unexpected(EndReason::no_call_id);
  }
  call.id = ids_.next();
  call.slot = *slot;
  call.connection = connection.id();
  call.our_call_id = *our_call_id;
  call.local = connection.local();
  call.peer = connection.peer();
  call.started = now;
  Session& session = add(std::make_shared<Session>(context_, call, state));
  context_.events.created(session);
  return &session;
}

Session* SessionAllocator::adopt(const Session::Call& call, const resume::StoredSession& stored) {
  if (!context_.call_ids.claim(call.local, call.our_call_id)) return nullptr;
  if (!context_.services.pools.restore(stored.lease)) {
    context_.call_ids.release(call.local, call.our_call_id, true, context_.services.loop.now());
    return nullptr;
  }
  ids_.not_below(call.id);
  return &add(std::make_shared<Session>(context_, call, stored));
}

void SessionAllocator::release(Session& session) {
  const auto& call = session.call();
  context_.call_ids.release(call.local, call.our_call_id, session.carried_gre(),
                            context_.services.loop.now());
  if (const auto& lease = session.account().lease()) context_.services.pools.release(*lease);
  context_.call_ids.uncount(session.worker());
  context_.events.released(session);
  sessions_.erase(session);
}

void SessionAllocator::read_steering() {
  CallIds& call_ids = context_.call_ids;
  call_ids.read_steering(context_.services.memory.header(), context_.services.pools);
  sessions_.for_each([&call_ids](Session& session) {
    session.set_worker(call_ids.worker_of(session.call().our_call_id));
    call_ids.count(session.worker());
  });
}

}  // namespace pns::subscriber
