// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/echoes.hpp"

#include <limits>

namespace pns::ppp {

void Echoes::start(const LinkSettings& settings, TimePoint now) {
  start_at(settings, now + settings.lcp_echo_interval);
}

void Echoes::resume(const LinkSettings& settings, RandomSource& random, TimePoint now) {
  const double share = random.next_u32() / double{std::numeric_limits<std::uint32_t>::max()};
  const Duration half = settings.lcp_echo_interval / 2;
  start_at(settings,
           now + (settings.lcp_echo_interval - half +
                  Duration(static_cast<Duration::rep>(share * static_cast<double>(half.count())))));
}

void Echoes::start_at(const LinkSettings& settings, TimePoint first) {
  unanswered_ = 0;
  due_.reset();
  if (settings.lcp_echo_interval > Duration::zero()) due_ = first;
}

void Echoes::send(const Lcp& lcp, Context& context) {
  lcp.send_echo_request(++identifier_, context);
}

bool Echoes::on_timer(const LinkSettings& settings, const Lcp& lcp, Context& context) {
  if (!due_ || context.now < *due_) return true;
  const TimePoint due = *due_;
  due_.reset();
  if (!lcp.is_open() || !lcp.echo_works()) return true;
  if (unanswered_ >= settings.lcp_echo_failures) return false;
  send(lcp, context);
  ++unanswered_;
  // A process that stood still does not draw its links' echoes together.
  const auto missed = (context.now - due) / settings.lcp_echo_interval;
  due_ = due + (missed + 1) * settings.lcp_echo_interval;
  return true;
}

}  // namespace pns::ppp
