// SPDX-License-Identifier: BSD-3-Clause
//
// Records of the resume store. First octet: of which kind. A record that is read must be written
// again as what it was, and what is made from it, a connection or an open link, must come to an end
// by the same rules as any other. Calls come as many records, each behind one octet that is its
// length.
#include <algorithm>
#include <vector>

#include "controlplane/resume/records.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/fake_random.hpp"

namespace {

using namespace pns;
using namespace pns::resume;

const TimePoint kNow{Seconds(1000)};

void connection(Bytes record) {
  const auto stored = decode_connection(record);
  if (!stored) return;
  const auto again = decode_connection(encode(*stored));
  PNS_CLAIM(again && again->machine == stored->machine && again->id == stored->id &&
            again->local == stored->local && again->peer == stored->peer &&
            again->peer_port == stored->peer_port && again->opened_ns == stored->opened_ns);
  pptp::ControlConnection machine(pptp::ConnectionSettings{}, stored->machine, kNow);
  PNS_CLAIM(machine.deadline().has_value());
}

void calls(fuzz::Input input) {
  pptp::ConnectionSnapshot snapshot;
  while (!input.empty()) {
    const auto call = decode_call(input.octets(input.octet()));
    if (!call) continue;
    PNS_CLAIM(decode_call(encode(*call)) == call);
    snapshot.calls.push_back(*call);
  }
  pptp::ControlConnection machine(pptp::ConnectionSettings{}, snapshot, kNow);
  PNS_CLAIM(machine.calls().size() == snapshot.calls.size());
  PNS_CLAIM(machine.take_changes().empty());
  const auto known = machine.snapshot();
  PNS_CLAIM(known && known->calls.size() == snapshot.calls.size());
  // No number stands for two calls, whatever was read.
  PNS_CLAIM(std::ranges::adjacent_find(known->calls, {}, &pptp::KnownCall::number) ==
            known->calls.end());
  PNS_CLAIM(machine.deadline().has_value());
  std::size_t ends = 0;
  for (const auto& action : machine.on_tcp_closed(EndReason::peer_closed_tcp, kNow))
    ends += std::holds_alternative<model::EndCall>(action) ? 1 : 0;
  PNS_CLAIM(ends <= snapshot.calls.size());
  PNS_CLAIM(machine.state() == pptp::ControlConnection::State::kClosed && !machine.deadline());
  PNS_CLAIM(machine.calls().empty());
}

void link(Bytes record) {
  const auto stored = decode_session(record);
  if (!stored) return;
  const auto octets = encode(*stored);
  const auto again = decode_session(octets);
  PNS_CLAIM(again && encode(*again) == octets && !again->link.keys);
  test::FakeRandom random;
  ppp::Link machine(std::make_shared<const ppp::LinkSettings>(), Ipv4Address(), stored->link,
                    random, kNow);
  PNS_CLAIM(machine.snapshot().has_value() &&
            machine.snapshot()->from_lcp == stored->link.from_lcp);
  if (stored->link.from_lcp) (void)machine.start(kNow);
  PNS_CLAIM(machine.deadline().has_value());
  PNS_CLAIM(stored->link.from_lcp || (machine.phase() == model::LinkPhase::kOpen &&
                                      machine.status().user == stored->link.user));
  TimePoint now = kNow;
  (void)machine.close(EndReason::shutting_down, now);
  for (int step = 0; machine.deadline(); ++step) {
    PNS_CLAIM(step < 10);
    now = std::max(now, *machine.deadline());
    (void)machine.on_deadline(now);
  }
  PNS_CLAIM(machine.phase() == model::LinkPhase::kDead);
}

void drain(Bytes record) {
  const auto stored = decode_drain(record);
  if (!stored) return;
  PNS_CLAIM(decode_drain(encode(*stored)) == stored);
}

void number(Bytes record) {
  const auto stored = decode_number(record);
  if (!stored) return;
  PNS_CLAIM(decode_number(encode_number(*stored)) == stored);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 8192) return 0;
  const Bytes record(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  switch (data[0]) {
    case 0:
      connection(record);
      break;
    case 1:
      link(record);
      break;
    case 2:
      calls(fuzz::Input(data + 1, size - 1));
      break;
    case 3:
      drain(record);
      break;
    default:
      number(record);
  }
  return 0;
}
