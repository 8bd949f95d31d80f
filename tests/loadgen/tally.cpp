// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/tally.hpp"

#include <algorithm>

namespace pns::loadgen {

Times& Times::operator+=(const Times& other) {
  values_.insert(values_.end(), other.values_.begin(), other.values_.end());
  return *this;
}

Duration Times::percentile(double p) const {
  if (values_.empty()) return {};
  std::ranges::sort(values_);
  const auto index = static_cast<std::size_t>(p * static_cast<double>(values_.size()));
  return values_[std::min(values_.size() - 1, index)];
}

void Tally::add(const Session& session) {
  retransmissions += session.retransmissions();
  with_retransmissions += session.retransmissions() != 0 ? 1 : 0;
  undecryptable += session.undecryptable();
  lcp_echoes += session.lcp_echoes();
  probes += session.probes();
  traffic += session.traffic();
  gre += session.gre();
  upstream += session.upstream();
  downstream += session.downstream();
  set_up.add(session.set_up());
  first_answer.add(session.first_answer());
  call_wait.add(session.call_wait());
  admitted.add(session.admitted());
  until_up.add(session.until_up());
}

Tally& Tally::operator+=(const Tally& other) {
  retransmissions += other.retransmissions;
  with_retransmissions += other.with_retransmissions;
  undecryptable += other.undecryptable;
  lcp_echoes += other.lcp_echoes;
  probes += other.probes;
  traffic += other.traffic;
  gre += other.gre;
  upstream += other.upstream;
  downstream += other.downstream;
  set_up += other.set_up;
  first_answer += other.first_answer;
  call_wait += other.call_wait;
  admitted += other.admitted;
  until_up += other.until_up;
  return *this;
}

}  // namespace pns::loadgen
