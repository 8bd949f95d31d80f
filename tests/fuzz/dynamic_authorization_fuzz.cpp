// SPDX-License-Identifier: BSD-3-Clause
//
// The server of RFC 5176. An input is a series of datagrams, each with octets that choose its
// source, the time that passes, and whether its authenticator is made right. Each datagram is
// answered once at most, by a packet that its sender can verify, and never by one that is longer
// than allowed. The counters agree with the answers.
#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "controlplane/aaa/dynamic_authorization.hpp"
#include "pns/radius/authenticators.hpp"
#include "pns/radius/values.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;
using Octets = std::vector<std::byte>;

constexpr std::string_view kSecret = "xyzzy5461";
constexpr std::uint64_t kNoon = 1'796'000'000;

// Four sessions. A change of the last one fails; what is asked of the second one waits.
class Sessions final : public aaa::AuthorizedSessions, public aaa::ServiceChanger {
 public:
  using Done = aaa::AuthorizedSessions::Done;
  std::optional<std::vector<SessionId>> find(const model::SessionIdentification& wanted,
                                             std::size_t most) const override {
    PNS_CLAIM(wanted.selects());
    std::vector<SessionId> found;
    for (std::uint64_t id = 1; id <= 4; ++id)
      if (!wanted.names_none && (!wanted.session || wanted.session->value == id) &&
          (!wanted.slot || wanted.slot->value == id))
        found.emplace_back(id);
    PNS_CLAIM(found.size() <= most);
    return found;
  }
  void disconnect(SessionId session, const Classes&, Done done) override {
    take(session, std::move(done));
  }
  std::optional<model::AuthorizationRefusal> objection(
      SessionId session, const model::ServiceChange& change) const override {
    PNS_CLAIM(change.classes);
    return session.value == 3 ? std::optional(model::AuthorizationRefusal::invalid_value)
                              : std::nullopt;
  }
  void apply(SessionId session, const model::ServiceChange&, Done done) override {
    take(session, std::move(done));
  }
  void settle() {
    for (Done& done : std::exchange(waiting_, {})) done(true);
  }

 private:
  void take(SessionId session, Done done) {
    if (session.value == 2) return waiting_.push_back(std::move(done));
    done(session.value != 4);
  }
  std::vector<Done> waiting_;
};

// The attributes of the fuzzer in a packet whose Length and authenticator are right.
Octets made_right(Bytes attributes, radius::Code code, std::uint8_t identifier) {
  Octets out(radius::kHeaderSize);
  out[0] = static_cast<std::byte>(code);
  out[1] = static_cast<std::byte>(identifier);
  out.insert(out.end(), attributes.begin(), attributes.end());
  store_be(&out[2], static_cast<std::uint16_t>(out.size()));
  if (radius::PacketView::parse(out)) radius::sign_request(out, as_octets(kSecret));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Sessions sessions;
  TimePoint now{Seconds(1000)};
  std::uint64_t wall = kNoon;
  Octets request;
  std::map<radius::Authenticator, std::pair<radius::Code, int>> open;  // requests without an answer
  std::size_t answers = 0;
  std::size_t refused = 0;

  aaa::AuthorizationSettings settings;
  settings.clients.push_back({.network = Ipv4Prefix{Ipv4Address(0xc0000200), 24},
                              .secret = SecretText(kSecret),
                              .rate = {.rate = 1000, .burst = 50}});
  settings.nas = {.identifier = "lns", .addresses = {Ipv4Address(0xc6336401)}};
  const std::uint8_t choices = input.octet();
  settings.requires_timestamp = (choices & 1) != 0;
  if ((choices & 2) != 0) settings.policy = radius::MessageAuthenticatorPolicy::kRequire;
  settings.in_flight = 3;
  settings.remembered = 20;

  const auto on_answer = [&](const IpEndpoint&, std::uint16_t, Bytes packet) {
    ++answers;
    const auto answer = radius::PacketView::parse(packet);
    PNS_CLAIM(answer && answer->whole().size() == packet.size());
    PNS_CLAIM(answer->begin()->id == radius::attribute::kMessageAuthenticator);
    // It answers one of the requests so far.
    bool verified = false;
    for (const auto& [authenticator, asked] : open)
      verified |= radius::verify_response(*answer, {asked.first, authenticator}, as_octets(kSecret),
                                          radius::MessageAuthenticatorPolicy::kRequire)
                      .has_value();
    PNS_CLAIM(verified);
    const bool is_nak =
        answer->code() == radius::Code::kCoaNak || answer->code() == radius::Code::kDisconnectNak;
    PNS_CLAIM(is_nak == answer->has(radius::attribute::kErrorCause));
    return true;
  };
  aaa::DynamicAuthorization server(
      std::move(settings), sessions, sessions,
      {.send = on_answer,
       .now = [&] { return now; },
       .wall = [&] { return wall; },
       .refused = [&](const IpEndpoint&, const aaa::RequestRefusal&) { ++refused; }});

  while (!input.empty()) {
    const std::uint8_t kind = input.octet();
    const Seconds passed(input.octet());
    now += passed;
    wall += static_cast<std::uint64_t>(passed.count());
    if ((kind & 1) != 0) sessions.settle();
    const IpEndpoint source{Ipv4Address(0xc0000200U + (kind >> 1 & 3) * 0x100U),
                            static_cast<std::uint16_t>(1000 + (kind >> 3 & 1))};
    if ((kind & 0x10) == 0) {  // else the one before comes again
      const std::uint8_t identifier = input.octet();
      const std::size_t length = input.octet() * 2U;
      const Bytes octets = input.octets(length);
      request = (kind & 0x20) != 0
                    ? Octets(octets.begin(), octets.end())
                    : made_right(octets,
                                 (kind & 0x40) != 0 ? radius::Code::kCoaRequest
                                                    : radius::Code::kDisconnectRequest,
                                 identifier);
    }
    if (const auto packet = radius::PacketView::parse(request))
      open.try_emplace(packet->authenticator(), packet->code(), 0);
    const std::size_t answers_before = answers;
    const std::size_t refused_before = refused;
    server.on_datagram(source, 0, request);
    PNS_CLAIM(answers - answers_before <= 1 && refused - refused_before <= 1);
  }
  sessions.settle();
  const auto& counts = server.client_counts()[0];
  PNS_CLAIM(counts.in_flight.get() == 0);
  PNS_CLAIM(counts.remembered.get() <= 20);
  std::int64_t naks = 0;
  for (std::size_t i = 0; i < model::kAuthorizationRefusals; ++i)
    if (model::kAuthorizationRefusalInfos[i].cause != 0) naks += counts.refusals[i].get();
  PNS_CLAIM(static_cast<std::int64_t>(answers) ==
            counts.disconnects.get() + counts.changes.get() + counts.repeated.get() + naks);
  return 0;
}
