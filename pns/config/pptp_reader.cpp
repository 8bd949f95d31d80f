// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/pptp_reader.hpp"

#include <algorithm>

#include "pns/config/source_limits_reader.hpp"
#include "pns/config/words.hpp"

namespace pns::config {
namespace {

void read_admission(const Section& section, Document& document, Admission& out) {
  section.read("set_ups", out.set_ups, integer(1, 65'536));
  out.per_source_set_ups = std::max<std::uint32_t>(1, out.set_ups / 4);
  section.read("per_source_set_ups", out.per_source_set_ups, integer(1, 65'536));
  if (out.per_source_set_ups > out.set_ups)
    document.error_at(section.path("per_source_set_ups"), "above pptp.admission.set_ups");
  section.read("waiting", out.waiting, integer(1, 1'000'000));
  out.per_source_waiting = std::min(out.per_source_waiting, out.waiting);
  section.read("per_source_waiting", out.per_source_waiting, integer(1, 1'000'000));
  if (out.per_source_waiting > out.waiting)
    document.error_at(section.path("per_source_waiting"), "above pptp.admission.waiting");
  section.read("wait", out.wait, duration(Milliseconds(100), Milliseconds(300'000)));
  section.read("set_up_time", out.set_up_time,
               duration(Milliseconds(1'000), Milliseconds(3'600'000)));
}

}  // namespace

void read_pptp(const Section& section, Document& document, Pptp& out) {
  section.read_list("listen", out.listen, [](auto text) { return parse_host_address(text, true); });
  section.read("echo_interval", out.echo_interval,
               duration(Milliseconds(1'000), Milliseconds(3'600'000)));
  section.read("max_connections", out.max_connections, integer(1, 1'000'000));
  read_admission(section.section("admission"), document, out.admission);
  read_source_limits(section.section("limits"), out.max_connections, document, out.limits);
  const Section gre = section.section("gre");
  const Section reorder = gre.section("reorder");
  reorder.read("packets", out.gre.reorder.packets, integer(0, 64));
  reorder.read("wait", out.gre.reorder.wait, duration(Milliseconds(1), Milliseconds(1'000)));
  gre.read("send_window", out.gre.send_window, one_of(kSendWindows));
  const Section reassembly = gre.section("reassembly");
  reassembly.read("packets", out.gre.reassembly.packets, integer(0, 65'536));
  reassembly.read("wait", out.gre.reassembly.wait,
                  duration(Milliseconds(10), Milliseconds(30'000)));
  section.read("incoming_calls", out.incoming_calls, one_of(kAcceptOrRefuse));
  section.read("wan_error_notify", out.wan_error_notify, one_of(kOnOrOff));
}

}  // namespace pns::config
