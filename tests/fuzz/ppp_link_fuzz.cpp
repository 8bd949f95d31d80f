// SPDX-License-Identifier: BSD-3-Clause
//
// A conversation with a ppp::Link. First octet: its settings. Then steps: an octet that says what
// happens and what goes with it; a first step of the form xF chooses the authentication method
// (MS-CHAPv2 without it). Some steps answer as a good peer would, so that a fuzzer gets past
// LCP and authentication; the others are anything. A server may challenge the peer before it
// decides, as with EAP that is relayed, and may ask it to log in again.
#include <optional>
#include <utility>
#include <vector>

#include "controlplane/ppp/link.hpp"
#include "pns/wire/ppp_auth.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/fake_random.hpp"

namespace {

using namespace pns;
using namespace pns::ppp;

constexpr std::uint16_t kLcp = 0xc021, kPap = 0xc023, kChap = 0xc223, kEap = 0xc227, kCcp = 0x80fd,
                        kIpcp = 0x8021;

void choose_method(LinkSettings& settings, unsigned choice) {
  using model::AuthMethod;
  settings.eap = {EapMethod::kMsChapV2, EapMethod::kMd5};
  switch (choice) {
    case 1:
      settings.auth = {AuthMethod::kPap};
      break;
    case 2:
      settings.auth = {AuthMethod::kChapMd5};
      break;
    case 3:
      settings.auth = {AuthMethod::kMsChap};
      break;
    case 4:
      settings.auth = {AuthMethod::kEap};
      break;
    case 5:
      settings.auth = {AuthMethod::kEap};
      settings.eap = {EapMethod::kMd5, EapMethod::kMsChapV2};
      break;
    case 6:
      settings.auth = {AuthMethod::kMsChapV2, AuthMethod::kEap, AuthMethod::kMsChap,
                       AuthMethod::kChapMd5, AuthMethod::kPap};
      break;
    case 7:
      settings.auth = {AuthMethod::kEap};
      settings.eap_relay = true;
      break;
    default:
      break;
  }
}

std::vector<std::byte> make_frame(std::uint16_t protocol, std::uint8_t code,
                                  std::uint8_t identifier, Bytes data) {
  std::vector<std::byte> out(8 + data.size());
  Writer writer(out);
  writer.write_u16(0xff03);
  writer.write_u16(protocol);
  writer.write_u8(code);
  writer.write_u8(identifier);
  writer.write_u16(static_cast<std::uint16_t>(4 + data.size()));
  writer.write_bytes(data);
  return out;
}

struct LastRequest {
  std::uint8_t identifier = 0;
  std::vector<std::byte> options;
};

class Driver {
 public:
  explicit Driver(const LinkSettings& settings)
      : settings_(settings), link_(std::in_place, shared(), Ipv4Address(), random_, now_) {}

  Link& link() { return *link_; }
  [[nodiscard]] bool ended() const { return ended_; }

  void perform(const model::LinkActions& actions) {
    for (const auto& action : actions) {
      PNS_CLAIM(!ended_);
      std::visit([this](const auto& a) { on(a); }, action);
    }
    PNS_CLAIM(actions.size() <= 40);
    if (ended_) PNS_CLAIM(!link_->deadline() && link_->phase() == model::LinkPhase::kDead);
    // Whatever is not open or over has a timer that will end it.
    if (!ended_ && started && link_->phase() != model::LinkPhase::kOpen)
      PNS_CLAIM(link_->deadline().has_value());
    // Data may flow from our IPCP Ack on, and does while the link is open.
    const auto phase = link_->phase();
    if (phase == model::LinkPhase::kOpen) PNS_CLAIM(ipv4_open_);
    if (ipv4_open_)
      PNS_CLAIM(phase == model::LinkPhase::kOpen || phase == model::LinkPhase::kNetwork);
    if (ipv4_open_ && settings_.mppe == MppePolicy::kRequire) PNS_CLAIM(armed_);
  }

  void frame(Bytes octets) { perform(link_->on_frame(octets, now_)); }

  void acknowledge(std::uint16_t protocol) {
    const LastRequest& last = protocol == kLcp ? lcp_ : protocol == kCcp ? ccp_ : ipcp_;
    frame(make_frame(protocol, 2, last.identifier, last.options));
  }

  // As a good peer would answer what was asked last, by whatever method. `change`: with a
  // Change-Password packet where MS-CHAPv2 has one.
  void respond(bool change) {
    std::vector<std::byte> body;
    const auto add = [&body](std::initializer_list<unsigned> octets, std::size_t filling) {
      for (const unsigned octet : octets) body.push_back(static_cast<std::byte>(octet));
      body.insert(body.end(), filling, std::byte{0});
    };
    if (asked_by_ == kPap) {
      add({2, 'u', 's', 2, 'p', 'w'}, 0);
      return frame(make_frame(kPap, 1, 7, body));
    }
    if (asked_by_ == kChap) {
      const bool md5 = settings_.auth.front() == model::AuthMethod::kChapMd5;
      if (change)
        add({}, 582);
      else
        add({md5 ? 16u : 49u}, (md5 ? 16 : 49) + 4);
      return frame(make_frame(kChap, change ? 7 : 2, auth_identifier_, body));
    }
    if (eap_request_.empty()) return;
    const auto type = std::to_integer<unsigned>(eap_request_[0]);
    const auto code = eap_request_.size() > 2 ? std::to_integer<unsigned>(eap_request_[1]) : 0;
    const auto ms_id = eap_request_.size() > 2 ? std::to_integer<unsigned>(eap_request_[2]) : 0;
    if (type == 1)
      add({1, 'u', 's'}, 0);
    else if (type == 4)
      add({4, 16}, 16 + 4);
    else if (code == 3)
      add({26, 3}, 0);
    else if (code == 4 && change)
      add({26, 7, ms_id + 1, 2, 0x4a}, 582);
    else
      add({26, 2, code == 4 ? ms_id + 1 : ms_id, 0, 58, 49}, 49 + 4);
    frame(make_frame(kEap, 2, auth_identifier_, body));
  }

  void answer(bool grant, bool keys, bool address, bool retry = false, bool change = false) {
    model::AuthResult result =
        std::unexpected(model::AuthDenial{.may_retry = retry, .may_change_password = change});
    if (grant) {
      model::AuthGrant granted;
      granted.user = "user";
      if (keys) granted.mppe.emplace();
      result = std::move(granted);
      if (questions_ > 0) granted_ = true;
    }
    if (questions_ > 0) --questions_;
    perform(link_->on_auth_result(
        result,
        address ? std::optional(model::NetworkParameters{.our_address = Ipv4Address(0x0a000001),
                                                         .subscriber_address = kLease,
                                                         .dns = {Ipv4Address(0x0a000002)},
                                                         .wins = {}})
                : std::nullopt,
        now_));
  }

  // The server asks for another message.
  void challenge(Bytes message, std::uint8_t repeat_after) {
    model::AuthChallenge asked{.message = {message.begin(), message.end()},
                               .state = {std::byte{1}, static_cast<std::byte>(++challenges_)}};
    if (repeat_after != 0) asked.repeat_after = Seconds(repeat_after);
    if (questions_ > 0) {
      --questions_;
      state_ = asked.state;
    }
    perform(link_->on_auth_result(asked, std::nullopt, now_));
  }

  // An EAP-Request whose header is right.
  void challenge_by_request(std::uint8_t identifier, Bytes data, std::uint8_t repeat_after) {
    std::vector<std::byte> message(4 + data.size());
    Writer writer(message);
    writer.write_u8(1);
    writer.write_u8(identifier);
    writer.write_u16(static_cast<std::uint16_t>(message.size()));
    writer.write_bytes(data);
    challenge(message, repeat_after);
  }

  // Nothing but the question goes out: data flows on.
  void log_in_again() {
    const bool flowed = ipv4_open_;
    const auto asked = link_->log_in_again(now_);
    if (!asked) return;
    PNS_CLAIM(link_->phase() == model::LinkPhase::kOpen && link_->logs_in_again());
    perform(*asked);
    PNS_CLAIM(ipv4_open_ == flowed);
  }

  void no_address() {
    if (questions_ > 0) --questions_;
    perform(link_->on_grant_refused(EndReason::no_address, now_));
  }

  void advance(Duration by) {
    now_ += by;
    for (int i = 0; link_->deadline() && *link_->deadline() <= now_; ++i) {
      PNS_CLAIM(i < 2);  // one call serves everything that is due
      perform(link_->on_deadline(now_));
    }
  }

  void restart() {
    const auto snapshot = link_->snapshot();
    PNS_CLAIM(snapshot.has_value() == (link_->resume() != Link::Resume::kNot));
    if (link_->ipv4_flows()) PNS_CLAIM(link_->resume() == Link::Resume::kAsOpen);
    if (!snapshot) return;
    const auto before = link_->status();
    const bool flowed = ipv4_open_;
    link_.emplace(shared(), Ipv4Address(), *snapshot, random_, now_);
    PNS_CLAIM(link_->snapshot()->from_lcp == snapshot->from_lcp);
    questions_ = 0;
    if (snapshot->from_lcp) {
      // The session does this before start().
      granted_ = lcp_open_ = armed_ = ipv4_open_ = ipv6_open_ = false;
      return perform(link_->start(now_));
    }
    const auto after = link_->status();
    PNS_CLAIM(before.mppe == after.mppe && before.peer_mru == after.peer_mru);
    PNS_CLAIM(!flowed || before.address == after.address);
    ipv4_open_ = true;
  }

  bool started = false;
  [[nodiscard]] TimePoint now() const { return now_; }

 private:
  static constexpr Ipv4Address kLease{0x0a000005};

  void on(const model::SendFrame& send) {
    PNS_CLAIM(send.frame.size() >= 8 && send.frame.size() <= 1504);
    const auto frame = wire::parse_ppp_frame(send.frame);
    PNS_CLAIM(frame.has_value());
    const auto packet = wire::parse_control_packet(frame->information);
    PNS_CLAIM(packet.has_value() && packet->whole.size() == frame->information.size());
    const bool is_auth =
        frame->protocol == kPap || frame->protocol == kChap || frame->protocol == kEap;
    if (packet->code == 1 && !is_auth) {
      PNS_CLAIM(wire::options_well_formed(packet->data));
      LastRequest& last = frame->protocol == kLcp ? lcp_ : frame->protocol == kCcp ? ccp_ : ipcp_;
      last.identifier = packet->identifier;
      last.options.assign(packet->data.begin(), packet->data.end());
    }
    if (is_auth) {
      asked_by_ = frame->protocol;
      auth_identifier_ = packet->identifier;
      // A Failure may be an offer: then the answer to it has the next Identifier.
      if (frame->protocol == kChap && packet->code == 4) ++auth_identifier_;
      if (frame->protocol == kEap && packet->code == 1)
        eap_request_.assign(packet->data.begin(), packet->data.end());
    }
    if (frame->protocol == kLcp && packet->code == 1) {
      wire::OptionReader options(packet->data);
      while (const auto option = options.next())
        if (option->type == 3) asked_by_ = Reader(option->data).read_u16();
    }
    // Nobody is told Success without a grant, nor reaches the NCPs.
    const std::uint8_t success = frame->protocol == kPap ? 2 : 3;
    if (is_auth && packet->code == success) PNS_CLAIM(granted_);
    if (frame->protocol == kCcp || frame->protocol == kIpcp) PNS_CLAIM(granted_);
    // No Ack to the peer's CCP request before both directions are armed.
    if (frame->protocol == kCcp && packet->code == 2 && !packet->data.empty()) PNS_CLAIM(armed_);
    // No address but the lease is ever acknowledged.
    if (frame->protocol == kIpcp && packet->code == 2) {
      wire::OptionReader options(packet->data);
      while (const auto option = options.next())
        if (option->type == 3) PNS_CLAIM(wire::AddressOption::parse(*option)->address == kLease);
    }
  }
  void on(const model::ConfigureLink& configure) {
    PNS_CLAIM(configure.open != lcp_open_);
    lcp_open_ = configure.open;
    PNS_CLAIM(configure.peer_mru >= 128);
    granted_ = false;
  }
  void on(const model::ArmMppe& arm) {
    PNS_CLAIM(granted_);
    PNS_CLAIM(!ipv4_open_);
    PNS_CLAIM(arm.key_bits == 40 || arm.key_bits == 56 || arm.key_bits == 128);
    armed_ = true;
  }
  void on(const model::DisarmMppe&) {
    PNS_CLAIM(armed_ && !ipv4_open_);
    armed_ = false;
  }
  void on(const model::OpenIpv4& open) {
    PNS_CLAIM(!ipv4_open_ && granted_ && lcp_open_ && open.subscriber == kLease);
    ipv4_open_ = true;
  }
  void on(const model::CloseIpv4&) {
    PNS_CLAIM(ipv4_open_);
    ipv4_open_ = false;
  }
  void on(const model::OpenIpv6&) {
    PNS_CLAIM(!ipv6_open_ && granted_ && lcp_open_);
    ipv6_open_ = true;
  }
  void on(const model::CloseIpv6&) {
    PNS_CLAIM(ipv6_open_);
    ipv6_open_ = false;
  }
  void on(const model::Authenticate& ask) {
    PNS_CLAIM(lcp_open_ && ask.request.user.size() <= 256);
    PNS_CLAIM(++questions_ == 1);
    const auto* const relayed = std::get_if<model::RelayedCredentials>(&ask.request.credentials);
    PNS_CLAIM((relayed != nullptr) == settings_.eap_relay);
    if (relayed == nullptr) return;
    PNS_CLAIM(relayed->message.size() >= 4 && relayed->message.size() <= 1500);
    PNS_CLAIM(relayed->state.empty() || relayed->state == state_);
  }
  void on(const model::Ipv6BindingsChanged&) {}
  void on(const model::Dhcpv6Handled&) {}
  void on(const model::PhaseChanged&) {}
  void on(const model::LinkEnded& end) {
    PNS_CLAIM(end.reason != EndReason::kNone);
    PNS_CLAIM(!ipv4_open_ && !armed_ && !lcp_open_);
    ended_ = true;
  }

  [[nodiscard]] std::shared_ptr<const LinkSettings> shared() const {
    return std::make_shared<const LinkSettings>(settings_);
  }

  LinkSettings settings_;
  test::FakeRandom random_;
  TimePoint now_{Seconds(1000)};
  std::optional<Link> link_;
  LastRequest lcp_, ccp_, ipcp_;
  std::uint16_t asked_by_ = kChap;    // protocol of the latest authentication packet
  std::uint8_t auth_identifier_ = 0;  // that an answer to it has
  std::vector<std::byte> eap_request_;
  std::vector<std::byte> state_;  // of the last challenge that somebody waited for
  std::uint8_t challenges_ = 0;
  int questions_ = 0;
  bool granted_ = false;
  bool lcp_open_ = false;
  bool armed_ = false;
  bool ipv4_open_ = false;
  bool ipv6_open_ = false;
  bool ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t configuration = input.octet();
  LinkSettings settings;
  settings.mppe = static_cast<MppePolicy>(configuration % 3);
  settings.mppe_mode = static_cast<MppeMode>(configuration / 4 % 3);
  settings.mppe_strengths = {.bits40 = (configuration & 0x20) != 0,
                             .bits56 = (configuration & 0x40) != 0,
                             .bits128 = (configuration & 0x80) == 0};
  if ((configuration & 0xe0) == 0x80) settings.mppe_strengths.bits128 = true;
  bool has_first = !input.empty();
  const std::uint8_t first = has_first ? input.octet() : std::uint8_t{0};
  if (has_first && (first & 15) == 15) {
    choose_method(settings, first >> 4);
    has_first = false;
  }
  Driver driver(settings);
  driver.started = true;
  driver.perform(driver.link().start(driver.now()));

  while (has_first || !input.empty()) {
    const std::uint8_t step = std::exchange(has_first, false) ? first : input.octet();
    switch (step & 15) {
      case 0:  // any frame
        driver.frame(input.octets(input.octet()));
        break;
      case 1:
      case 2:
      case 3:
      case 4: {  // a packet with a good header
        constexpr std::uint16_t kProtocols[] = {kLcp, kChap, kCcp, kIpcp};
        const std::uint8_t code = input.octet();
        const std::uint8_t identifier = input.octet();
        std::uint16_t protocol = kProtocols[(step & 15) - 1];
        if (protocol == kChap && (step & 0xc0) != 0) protocol = (step & 0x40) != 0 ? kEap : kPap;
        driver.frame(make_frame(protocol, code, identifier, input.octets(input.octet())));
        break;
      }
      case 5:
        driver.acknowledge(kLcp);
        break;
      case 6:
        driver.acknowledge(kCcp);
        break;
      case 7:
        driver.acknowledge(kIpcp);
        break;
      case 8:
        driver.respond((step & 0x10) != 0);
        break;
      case 9:
        driver.answer(true, true, true);
        break;
      case 10:
        if ((step & 0x10) != 0)
          driver.answer(true, (step & 0x20) != 0, (step & 0x40) != 0);
        else
          driver.answer(false, false, false, (step & 0x20) != 0, (step & 0x40) != 0);
        break;
      case 11:
        driver.advance(Milliseconds(100) * input.octet());
        break;
      case 12:
        if ((step & 0xf0) == 0)
          driver.perform(driver.link().close(EndReason::idle_timeout, driver.now()));
        if ((step & 0xf0) == 0x10) driver.no_address();
        if ((step & 0xf0) == 0x20) {
          const std::uint8_t repeat_after = input.octet();
          driver.challenge(input.octets(input.octet()), repeat_after);
        }
        if ((step & 0xf0) == 0x30) {
          const std::uint8_t identifier = input.octet();
          const std::uint8_t repeat_after = input.octet();
          driver.challenge_by_request(identifier, input.octets(input.octet()), repeat_after);
        }
        if ((step & 0xf0) == 0x40) driver.log_in_again();
        break;
      case 13:
        driver.restart();
        break;
      case 14: {  // the usual requests of a good peer
        constexpr std::uint8_t kLcpOptions[] = {1, 4, 5, 0x78, 5, 6, 1, 2, 3, 4, 7, 2, 8, 2};
        constexpr std::uint8_t kCcpOptions[] = {18, 6, 1, 0, 0, 0x40};
        constexpr std::uint8_t kIpcpOptions[] = {3, 6, 10, 0, 0, 5};
        if ((step & 0x30) == 0)
          driver.frame(make_frame(kLcp, 1, step, std::as_bytes(std::span(kLcpOptions))));
        else if ((step & 0x30) == 0x10)
          driver.frame(make_frame(kCcp, 1, step, std::as_bytes(std::span(kCcpOptions))));
        else
          driver.frame(make_frame(kIpcp, 1, step, std::as_bytes(std::span(kIpcpOptions))));
        break;
      }
      default:
        break;
    }
  }
  // Left alone, everything comes to an end, but for an open link whose peer has rejected our
  // echoes.
  for (int i = 0; i < 2000 && driver.link().deadline(); ++i) driver.advance(Seconds(1));
  PNS_CLAIM(driver.ended() ||
            (driver.link().phase() == model::LinkPhase::kOpen && !driver.link().deadline()));
  return 0;
}
