// SPDX-License-Identifier: BSD-3-Clause
//
// PppClient: a subscriber that answers every packet at once, as a fast client does; and LinkPair,
// which joins it to a ppp::Link with local users behind it, and lets frames run to and fro without
// any time passing. What the client sends is written down by hand here, not taken from our own
// machines.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/ppp/link.hpp"
#include "pns/crypto/mschap.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/link_actions.hpp"

namespace pns::test {

class PppClient {
 public:
  std::string user = "User";
  std::string password = "clientPass";
  std::string lcp_options = "01040578 0506aabbccdd 0702 0802";
  std::string ccp_options = "120601000040";  // empty text: CCP is answered but never asked for
  std::string ipcp_options = "030600000000 810600000000 830600000000";
  std::string ipv6cp_options;     // empty text: it is answered with Protocol-Reject
  bool ncps_upon_success = true;  // CCP and IPCP go out together, right after CHAP Success

  // What came of it.
  bool authenticated = false;  // Success came, and its S= was right
  std::string failure;         // the text of Failure
  bool ccp_open = false;
  bool ipcp_open = false;
  bool ipv6cp_open = false;
  Octets interface_id;
  std::vector<Octets> advertisements;  // Router Advertisements, from the IPv6 header on
  Octets address;
  std::vector<Packet> received;

  // Answers to one frame of the server.
  std::vector<Octets> on_frame(Bytes whole_frame) {
    if (is_ipv6(whole_frame)) {
      advertisements.push_back(to_octets(whole_frame.subspan(4)));
      return {};
    }
    const auto packet = parse(whole_frame);
    if (!packet) return {};
    received.push_back(*packet);
    switch (packet->protocol) {
      case kLcp:
        return on_lcp(*packet);
      case kChap:
        return on_chap(*packet);
      case kCcp:
        return on_ncp(*packet, ccp_, ccp_options, ccp_open);
      case kIpcp:
        return on_ncp(*packet, ipcp_, ipcp_options, ipcp_open);
      case kIpv6cp:
        if (!ipv6cp_options.empty()) return on_ncp(*packet, ipv6cp_, ipv6cp_options, ipv6cp_open);
        return {frame(kLcp, kProtRej, 0x77,
                      concat({octets("8057"), to_octets(whole_frame.subspan(4))}))};
      default:
        return {};
    }
  }

 private:
  struct Side {
    bool asked = false;
    bool they_acked = false;
    bool we_acked = false;
    std::uint8_t identifier = 0x40;
    Octets options;
  };

  std::vector<Octets> on_lcp(const Packet& p) {
    std::vector<Octets> out;
    switch (p.code) {
      case kConfReq:
        lcp_open_ = authenticated = false;
        ccp_ = ipcp_ = ipv6cp_ = Side{};
        ccp_open = ipcp_open = ipv6cp_open = false;
        if (!lcp_asked_) {
          lcp_asked_ = true;
          out.push_back(frame(kLcp, kConfReq, 0x10, lcp_options));
        }
        out.push_back(frame(kLcp, kConfAck, p.identifier, p.data));
        break;
      case kConfAck:
        lcp_open_ = true;
        lcp_asked_ = false;
        break;
      case kTermReq:
        out.push_back(frame(kLcp, kTermAck, p.identifier));
        break;
      case kEchoReq: {
        Octets body = p.data;
        const Octets magic = octets("aabbccdd");
        std::copy(magic.begin(), magic.end(), body.begin());
        out.push_back(frame(kLcp, kEchoRep, p.identifier, body));
        break;
      }
      default:
        break;
    }
    return out;
  }

  std::vector<Octets> on_chap(const Packet& p) {
    const auto hash = crypto::nt_password_hash(password).value();
    std::array<std::byte, 16> peer_challenge;
    peer_challenge.fill(std::byte{0x77});
    const std::string_view bare = crypto::user_without_domain(user);
    if (p.code == kChallenge) {
      std::copy_n(p.data.begin() + 1, 16, challenge_.begin());
      response_ = crypto::generate_nt_response(challenge_, peer_challenge, bare, hash);
      Octets value(49);
      std::copy(peer_challenge.begin(), peer_challenge.end(), value.begin());
      std::copy(response_.begin(), response_.end(), value.begin() + 24);
      return {
          frame(kChap, kResponse, p.identifier, concat({octets("31"), value, as_octets(user)}))};
    }
    const std::string text(reinterpret_cast<const char*>(p.data.data()), p.data.size());
    if (p.code == kFailure) failure = text;
    if (p.code != kSuccess) return {};
    authenticated = crypto::check_authenticator_response(hash, response_, peer_challenge,
                                                         challenge_, bare, text);
    if (!authenticated || !ncps_upon_success) return {};
    return start_ncps();
  }

 public:
  std::vector<Octets> start_ncps() {
    std::vector<Octets> out;
    if (!ccp_options.empty()) out.push_back(ask(kCcp, ccp_, ccp_options));
    out.push_back(ask(kIpcp, ipcp_, ipcp_options));
    if (!ipv6cp_options.empty()) out.push_back(ask(kIpv6cp, ipv6cp_, ipv6cp_options));
    return out;
  }

 private:
  Octets ask(std::uint16_t protocol, Side& side, const std::string& options) {
    if (!side.asked) side.options = octets(options);
    side.asked = true;
    return frame(protocol, kConfReq, ++side.identifier, side.options);
  }

  std::vector<Octets> on_ncp(const Packet& p, Side& side, const std::string& options, bool& open) {
    const std::uint16_t protocol = p.protocol;
    std::vector<Octets> out;
    switch (p.code) {
      case kConfReq:
        if (side.we_acked && side.they_acked)
          side.they_acked = side.asked = false;  // renegotiation
        if (!side.asked && !options.empty()) out.push_back(ask(protocol, side, options));
        out.push_back(frame(protocol, kConfAck, p.identifier, p.data));
        side.we_acked = true;
        break;
      case kConfAck:
        side.they_acked = true;
        if (protocol == kIpcp) address = option(p.data, 3).value_or(Octets{});
        if (protocol == kIpv6cp) interface_id = option(p.data, 1).value_or(Octets{});
        break;
      case kConfNak:
        side.options = merge(side.options, p.data);
        out.push_back(ask(protocol, side, options));
        break;
      case kConfRej:
        side.options = without(side.options, p.data);
        out.push_back(ask(protocol, side, options));
        break;
      default:
        break;
    }
    open = side.they_acked && side.we_acked;
    return out;
  }

  // Our options with the values that a Nak suggests; one we had not named is added.
  static Octets merge(const Octets& ours, const Octets& suggested) {
    Octets out;
    wire::OptionReader reader(ours);
    while (const auto own = reader.next()) {
      const auto better = option(suggested, own->type);
      out.push_back(static_cast<std::byte>(own->type));
      const Octets data = better ? *better : to_octets(own->data);
      out.push_back(static_cast<std::byte>(data.size() + 2));
      out.insert(out.end(), data.begin(), data.end());
    }
    wire::OptionReader added(suggested);
    while (const auto their = added.next())
      if (!option(ours, their->type))
        out.insert(out.end(), their->whole.begin(), their->whole.end());
    return out;
  }

  static Octets without(const Octets& ours, const Octets& rejected) {
    Octets out;
    wire::OptionReader reader(ours);
    while (const auto own = reader.next())
      if (!option(rejected, own->type)) out.insert(out.end(), own->whole.begin(), own->whole.end());
    return out;
  }

  bool lcp_asked_ = false;
  bool lcp_open_ = false;
  std::array<std::byte, 16> challenge_{};
  crypto::NtResponse response_{};
  Side ccp_;
  Side ipcp_;
  Side ipv6cp_;
};

// A Link and a client back to back.
class LinkPair {
 public:
  explicit LinkPair(const ppp::LinkSettings& settings = {})
      : link(settings, random, clock.now()), users_(make_users(), random) {}

  // Starts the link and lets everything happen that happens at once.
  void start() { run(link.start(clock.now())); }

  // Hands actions to the client and to AAA, their answers to the link, until all is quiet. Every
  // action ends up in `actions`.
  void run(model::LinkActions first) {
    std::deque<Octets> to_link;
    take(std::move(first), to_link);
    for (int steps = 0; !to_link.empty(); ++steps) {
      if (steps > 1000) throw std::runtime_error("the two never come to rest");
      const Octets frame = std::move(to_link.front());
      to_link.pop_front();
      if (drop_from_client && drop_from_client(frame)) continue;
      take(link.on_frame(frame, clock.now()), to_link);
    }
  }

  // Time passes, with the link's timers served on the way.
  void advance(Duration by) {
    const TimePoint until = clock.now() + by;
    while (const auto deadline = link.deadline()) {
      if (*deadline > until) break;
      clock.advance_to(*deadline);
      run(link.on_deadline(clock.now()));
    }
    clock.advance_to(until);
  }

  FakeClock clock;
  FakeRandom random;
  PppClient client;
  ppp::Link link;
  model::LinkActions actions;
  bool answer_auth = true;  // false: the question is kept in `asked`
  std::optional<model::AuthRequest> asked;
  model::NetworkParameters network{.our_address = Ipv4Address(0x0a400001),
                                   .subscriber_address = Ipv4Address(0x0a400005),
                                   .dns = {Ipv4Address(0x0a000035), Ipv4Address()},
                                   .wins = {}};
  std::function<bool(const Octets&)> drop_to_client;  // true: the frame is lost
  std::function<bool(const Octets&)> drop_from_client;

 private:
  static std::vector<aaa::LocalUser> make_users() {
    aaa::LocalUser user;
    user.name = "User";
    user.nt_hash = crypto::nt_password_hash("clientPass").value();
    return {user};
  }

  void take(model::LinkActions made, std::deque<Octets>& to_link) {
    for (auto& action : made) {
      std::optional<model::AuthRequest> question;
      if (const auto* send = std::get_if<model::SendFrame>(&action)) {
        if (!drop_to_client || !drop_to_client(send->frame))
          for (Octets& answer : client.on_frame(send->frame)) to_link.push_back(std::move(answer));
      } else if (const auto* ask = std::get_if<model::Authenticate>(&action)) {
        asked = ask->request;
        if (answer_auth) question = ask->request;
      }
      actions.push_back(std::move(action));
      if (question) {
        const auto result = users_.decide(*question);
        take(link.on_auth_result(result, result ? std::optional(network) : std::nullopt,
                                 clock.now()),
             to_link);
      }
    }
  }

  aaa::LocalAuthenticator users_;
};

}  // namespace pns::test
