// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/link.hpp"

#include <utility>

#include "controlplane/ppp/link_phases.hpp"

namespace pns::ppp {
namespace {

using model::LinkPhase;
using wire::LcpCode;
using wire::PppProtocol;

// RFC 1661 §6.1: 1,500 octets can always be received, whatever MRU was agreed.
constexpr std::size_t kLongestFrame = 1500 + wire::kPppFrameHeaderLength;
// Nothing that matters here is shorter, however compressed its header is.
constexpr std::size_t kShortestFrame = 4;

}  // namespace

Link::Link(std::shared_ptr<const LinkSettings> settings, Ipv4Address peer, RandomSource& random,
           TimePoint)
    : parts_(std::move(settings), peer, random) {}

Link::Link(std::shared_ptr<const LinkSettings> settings, Ipv4Address peer,
           const LinkSnapshot& snapshot, RandomSource& random, TimePoint now)
    : Link(std::move(settings), peer, random, now) {
  parts_.encryption.restore(snapshot, now);
  if (!snapshot.from_lcp) {
    parts_.phase = LinkPhase::kOpen;
    parts_.lcp.restore(snapshot.lcp, now);
    parts_.mtu_limit = snapshot.network.mtu;
    parts_.authentication.restore(snapshot.user, snapshot.auth);
    parts_.networks.begin(snapshot.network, *parts_.settings);
    parts_.echoes.resume(*parts_.settings, random, now);
  }
  parts_.networks.restore(snapshot, parts_.inner_mtu(), now);
}

Link::~Link() = default;

// ---- Calls from outside

model::LinkActions Link::start(TimePoint now) {
  LinkPhases phases(parts_, now);
  if (parts_.ended || parts_.phase != LinkPhase::kDead) return {};
  phases.establish();
  return phases.finish();
}

model::LinkActions Link::start_over(TimePoint now) {
  LinkPhases phases(parts_, now);
  phases.renegotiate();
  return phases.finish();
}

std::optional<model::LinkActions> Link::log_in_again(TimePoint now) {
  if (parts_.phase != LinkPhase::kOpen || parts_.is_ending() ||
      !parts_.authentication.begin_again(*parts_.settings))
    return std::nullopt;
  LinkPhases phases(parts_, now);
  parts_.authentication.start(phases.context());
  return phases.finish();
}

model::LinkActions Link::on_frame(Bytes ppp_frame, TimePoint now) {
  if (parts_.ended || parts_.phase == LinkPhase::kDead) return {};
  if (ppp_frame.size() < kShortestFrame || ppp_frame.size() > kLongestFrame) return {};
  const auto frame = wire::parse_ppp_frame(ppp_frame);
  if (!frame) return {};

  LinkPhases phases(parts_, now);
  const bool known = wire::is(frame->protocol, PppProtocol::kLcp) ||
                     frame->protocol == parts_.authentication.protocol() ||
                     wire::is(frame->protocol, PppProtocol::kCcp) ||
                     is_network_control(frame->protocol, *parts_.settings);
  NetworkProtocol* const carrier =
      parts_.networks.offered_for_data(frame->protocol, *parts_.settings);
  if (carrier != nullptr && carrier->flows()) {
    carrier->on_data(frame->information, phases.context());
    return phases.finish();
  }
  if (!known) {
    // RFC 1661 §3.4: before the network phase, and in Terminate, the rest is discarded. Network
    // data in the clear is the dataplane's; one that strays here is not answered either.
    const bool data = carrier != nullptr || wire::is(frame->protocol, PppProtocol::kMppe);
    if (parts_.in_network_phase() && !data) send_protocol_reject(*frame, phases.context());
    return phases.finish();
  }

  const auto packet = wire::parse_control_packet(frame->information);
  if (!packet) return {};
  parts_.echoes.on_sign_of_life();
  on_control_frame(*frame, *packet, phases);
  return phases.finish();
}

model::LinkActions Link::on_auth_result(const model::AuthResult& result,
                                        const std::optional<model::NetworkParameters>& network,
                                        TimePoint now) {
  LinkPhases phases(parts_, now);
  if (!take_answer(phases.context())) return phases.finish();
  if (const model::AuthChallenge* const challenge = result.challenge()) {
    if (!parts_.authentication.challenge(*challenge, phases.context()))
      parts_.authentication.deny({.reason = EndReason::auth_unavailable}, phases.context());
  } else if (!result) {
    parts_.authentication.deny(result.error(), phases.context());
  } else if (const EndReason refusal = parts_.authentication.is_again()
                                           ? parts_.encryption.refusal_again(*result)
                                           : parts_.encryption.refusal(*result);
             refusal != EndReason::kNone) {
    phases.terminate(refusal);
  } else if (!network) {
    phases.terminate(EndReason::no_address);
  } else {
    parts_.authentication.grant(*result, *network, phases.context());
  }
  return phases.finish();
}

model::LinkActions Link::on_grant_refused(EndReason reason, TimePoint now) {
  LinkPhases phases(parts_, now);
  if (take_answer(phases.context())) phases.terminate(reason);
  return phases.finish();
}

model::LinkActions Link::probe(TimePoint now) {
  LinkPhases phases(parts_, now);
  if (parts_.lcp.is_open() && !parts_.ended) parts_.echoes.send(parts_.lcp, phases.context());
  return phases.finish();
}

model::LinkActions Link::on_path_dead(bool opened, TimePoint now) {
  LinkPhases phases(parts_, now);
  if (parts_.phase != LinkPhase::kOpen || !parts_.encryption.is_armed()) return {};
  if (!parts_.encryption.renegotiate(opened, phases.context()))
    phases.terminate(EndReason::dead_data_path);
  return phases.finish();
}

model::LinkActions Link::close(EndReason reason, TimePoint now) {
  LinkPhases phases(parts_, now);
  phases.terminate(reason);
  return phases.finish();
}

std::optional<TimePoint> Link::deadline() const {
  if (parts_.ended) return std::nullopt;
  std::optional<TimePoint> earliest;
  for (const std::optional<TimePoint>& at :
       {parts_.lcp.deadline(), parts_.authentication.deadline(), parts_.encryption.deadline(),
        parts_.networks.deadline(), parts_.authentication.answer_by(), parts_.echoes.deadline()})
    if (at && (!earliest || *at < *earliest)) earliest = at;
  return earliest;
}

model::LinkActions Link::on_deadline(TimePoint now) {
  if (parts_.ended) return {};
  LinkPhases phases(parts_, now);
  parts_.lcp.on_timer(phases.context());
  parts_.authentication.on_timer(phases.context());
  parts_.encryption.on_timer(phases.context());
  parts_.networks.on_timer(phases.context());
  parts_.authentication.on_answer_timer(phases.context());
  if (!parts_.echoes.on_timer(*parts_.settings, parts_.lcp, phases.context())) {
    // Said once, in case only the way back is broken; a dead peer is not waited for.
    phases.terminate(EndReason::lcp_echo_timeout);
    phases.end_now(EndReason::lcp_echo_timeout);
  }
  return phases.finish();
}

LinkStatus Link::status() const {
  LinkStatus out;
  out.phase = parts_.phase;
  out.auth = parts_.authentication.method();
  out.user = parts_.authentication.user();
  if (const CompressionAgreement* const agreed = parts_.encryption.in_force())
    out.mppe = agreed->name();
  parts_.networks.describe(out);
  out.peer_mru = parts_.lcp.agreement().peer_mru;
  return out;
}

Link::Resume Link::resume() const noexcept {
  if (!parts_.networks.was_established() || parts_.is_ending()) return Resume::kNot;
  return parts_.network_possible() ? Resume::kAsOpen : Resume::kFromLcp;
}

std::optional<LinkSnapshot> Link::snapshot() const {
  const Resume resume = this->resume();
  if (resume == Resume::kNot) return std::nullopt;
  LinkSnapshot snapshot;
  snapshot.from_lcp = resume == Resume::kFromLcp;
  parts_.encryption.save(snapshot);
  if (snapshot.from_lcp) return snapshot;
  snapshot.lcp = parts_.lcp.agreement();
  snapshot.user = parts_.authentication.user();
  snapshot.auth = parts_.authentication.method();
  parts_.networks.save(snapshot);
  snapshot.network.mtu = parts_.mtu_limit;
  return snapshot;
}

bool Link::take_answer(Context& context) {
  return !parts_.ended && parts_.authentication.take_answer(context) &&
         (parts_.phase == LinkPhase::kAuthenticate || parts_.authentication.is_again());
}

// ---- Frames by protocol

void Link::on_control_frame(const wire::PppFrame& frame, const wire::ControlPacket& packet,
                            LinkPhases& phases) {
  switch (static_cast<PppProtocol>(frame.protocol)) {
    case PppProtocol::kLcp:
      return on_lcp(packet, phases);
    case PppProtocol::kPap:
    case PppProtocol::kChap:
    case PppProtocol::kEap:
      if (parts_.in_network_phase() || parts_.phase == LinkPhase::kAuthenticate)
        parts_.authentication.on_packet(packet, phases.context());
      return;
    case PppProtocol::kCcp:
      if (!parts_.in_network_phase()) return;
      if (!parts_.encryption.speaks_ccp()) return send_protocol_reject(frame, phases.context());
      return parts_.encryption.on_packet(packet, phases.context());
    default:
      if (!parts_.in_network_phase()) return;
      if (NetworkProtocol* const ncp =
              parts_.networks.offered(static_cast<PppProtocol>(frame.protocol)))
        return on_ncp(*ncp, packet, phases);
      return send_protocol_reject(frame, phases.context());
  }
}

void Link::on_lcp(const wire::ControlPacket& packet, LinkPhases& phases) {
  if (packet.code == static_cast<std::uint8_t>(LcpCode::kProtocolReject)) {
    if (parts_.lcp.is_open()) on_protocol_reject(packet.data, phases);  // RFC 1661 §5.7
    return;
  }
  parts_.lcp.on_packet(packet, phases.context());
}

void Link::on_ncp(NetworkProtocol& ncp, const wire::ControlPacket& packet, LinkPhases& phases) {
  if (parts_.encryption.is_settled()) {
    ncp.on_packet(packet, phases.context());
    if (ncp.take_back_reject()) phases.settle_networks();
    return;
  }
  // Held until CCP is settled. The peer's request is kept and answered then, so that it need not
  // wait for its timer; anything else can only belong to an older negotiation.
  if (packet.code == static_cast<std::uint8_t>(LcpCode::kConfigureRequest)) ncp.hold(packet);
}

void Link::on_protocol_reject(Bytes data, LinkPhases& phases) {
  const auto reject = wire::ProtocolReject::parse(data);
  if (!reject) return;
  switch (static_cast<PppProtocol>(reject->rejected_protocol)) {
    case PppProtocol::kLcp:
      return parts_.lcp.on_protocol_rejected(EndReason::code_rejected, phases.context());
    case PppProtocol::kPap:
    case PppProtocol::kChap:
    case PppProtocol::kEap:
      if ((parts_.phase == LinkPhase::kAuthenticate || parts_.authentication.is_again()) &&
          parts_.authentication.speaks(reject->rejected_protocol))
        phases.terminate(EndReason::auth_no_common_method);
      return;
    case PppProtocol::kCcp:
      return parts_.encryption.on_protocol_rejected(phases.context());
    default:
      if (NetworkProtocol* const ncp =
              parts_.networks.offered(static_cast<PppProtocol>(reject->rejected_protocol)))
        ncp->on_rejected(phases.context());
      return;
  }
}

void Link::send_protocol_reject(const wire::PppFrame& frame, Context& context) {
  if (parts_.rejects.allow(context.now))
    parts_.lcp.send_protocol_reject(frame.protocol, frame.information, context);
}

}  // namespace pns::ppp
