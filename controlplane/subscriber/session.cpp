// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session.hpp"

#include <utility>

namespace pns::subscriber {

using Kind = SessionChange::Kind;

Session::Session(const SessionContext& context, const Call& call, State state)
    : context_(context),
      call_(call),
      state_(state),
      worker_(context.call_ids.worker_of(call.our_call_id)),
      dataplane_(context.services, *this),
      link_(context, *this) {}

Session::Session(const SessionContext& context, const Call& call,
                 const resume::StoredSession& stored)
    : Session(context, call, State::kUp) {
  dataplane_.set_generation(stored.generation);
  if (stored.conditions != model::SessionConditions()) rare().conditions = stored.conditions;
  dataplane_.resume(stored.link);
  link_.restore(stored);
}

Session::~Session() = default;

void Session::begin_install() {
  state_ = State::kInstalling;
  context_.events.changed(*this, {.kind = Kind::kStage, .stage = model::SetupStage::kOffered});
  context_.events.changed(*this, {.kind = Kind::kDestination});
}

void Session::on_installed(std::uint32_t generation) {
  dataplane_.set_generation(generation);
  state_ = State::kUp;
  link_.install();
}

void Session::begin_removal(std::optional<std::uint32_t> generation) {
  carried_gre_ = carried_gre();
  if (generation) dataplane_.set_generation(*generation);
  state_ = State::kRemoving;
  link_.stop();
}

Session::Rare& Session::rare() {
  if (!rare_) rare_ = std::make_unique<Rare>();
  return *rare_;
}

void Session::set_conditions(const model::SessionConditions& conditions) {
  const model::SessionConditions none;
  if (conditions == (this->conditions() != nullptr ? *this->conditions() : none)) return;
  if (conditions == none)
    rare().conditions.reset();
  else
    rare().conditions = conditions;
  context_.events.changed(*this, {.kind = Kind::kConditions});
}

model::WanErrors Session::set_wan_errors(const model::WanErrors& totals) {
  return std::exchange(rare().wan_errors, totals);
}

}  // namespace pns::subscriber
