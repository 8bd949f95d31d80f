// SPDX-License-Identifier: BSD-3-Clause
//
// PppClient: a subscriber that answers every packet at once, as a fast client does; and LinkPair,
// which joins it to a ppp::Link with local users behind it, and lets frames run to and fro without
// any time passing. The client's packets are written down by hand here, not taken from our own
// machines.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/ppp/link.hpp"
#include "pns/crypto/hash.hpp"
#include "pns/crypto/mschap.hpp"
#include "pns/wire/ppp_auth.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/link_actions.hpp"

namespace pns::test {

inline constexpr std::array<std::byte, 16> kPeerChallenge = [] {
  std::array<std::byte, 16> out{};
  out.fill(std::byte{0x77});
  return out;
}();

class PppClient {
 public:
  std::string user = "User";
  std::string password = "clientPass";
  std::vector<std::string> retry_passwords;  // typed when a Failure permits it; none: hangs up
  std::string new_password;                  // for a password that has expired
  std::string wants_auth;  // hex of the only Authentication-Protocol it takes, "c023"; empty: any
  std::string eap_types = "\x1a\x04";  // methods it takes, for its Nak too
  std::string lcp_options = "01040578 0506aabbccdd 0702 0802";
  std::string ccp_options = "120601000040";  // empty text: CCP is answered but never asked for
  std::string ipcp_options = "030600000000 810600000000 830600000000";
  std::string ipv6cp_options;     // empty text, as of IPCP: it is answered with Protocol-Reject
  bool ncps_upon_success = true;  // CCP and IPCP go out together, right after CHAP Success

  // The results.
  bool authenticated = false;  // Success came, and its S= (if the method has one) was right
  std::string failure;         // the text of the last Failure or Nak
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
      case kPap:
        return on_pap(*packet);
      case kChap:
        return on_chap(*packet);
      case kEap:
        return on_eap(*packet);
      case kCcp:
        return on_ncp(*packet, ccp_, ccp_options, ccp_open);
      case kIpcp:
        if (!ipcp_options.empty()) return on_ncp(*packet, ipcp_, ipcp_options, ipcp_open);
        return {frame(kLcp, kProtRej, 0x78,
                      concat({octets("8021"), to_octets(whole_frame.subspan(4))}))};
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
        auth_option_ = option(p.data, 3).value_or(Octets{});
        eap_type_ = 0;
        lcp_acked_ = wants_auth.empty() || auth_option_ == octets(wants_auth);
        if (lcp_acked_) {
          out.push_back(frame(kLcp, kConfAck, p.identifier, p.data));
        } else {
          const Octets wanted = octets(wants_auth);
          Octets suggestion{std::byte{3}, static_cast<std::byte>(2 + wanted.size())};
          suggestion.insert(suggestion.end(), wanted.begin(), wanted.end());
          out.push_back(frame(kLcp, kConfNak, p.identifier, suggestion));
        }
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
    if (lcp_open_ && lcp_acked_) {
      lcp_acked_ = false;
      for (Octets& first : start_auth()) out.push_back(std::move(first));
    }
    return out;
  }

  // Once LCP is open on both sides: with PAP the client speaks first.
  std::vector<Octets> start_auth() {
    if (auth_option_ != octets("c023")) return {};
    return {pap_request()};
  }

  std::vector<Octets> on_pap(const Packet& p) {
    if (p.code == kAuthNak) failure = text_of(p.data);
    authenticated = p.code == kAuthAck;
    return authenticated && ncps_upon_success ? start_ncps() : std::vector<Octets>{};
  }

  std::vector<Octets> on_chap(const Packet& p) {
    if (p.code == kChallenge) {
      challenge_.assign(p.data.begin() + 1,
                        p.data.begin() + 1 + std::to_integer<int>(p.data.at(0)));
      return {frame(kChap, kResponse, p.identifier, response_body(p.identifier))};
    }
    if (p.code == kFailure) {
      failure = text_of(p.data);
      return after_failure(static_cast<std::uint8_t>(p.identifier + 1));
    }
    if (p.code != kSuccess) return {};
    authenticated = auth_option_ != octets("c22381") || proof_is_right(p.data);
    return authenticated && ncps_upon_success ? start_ncps() : std::vector<Octets>{};
  }

  // MS-CHAP says what may be done next; whoever has nothing more to try hangs up.
  std::vector<Octets> after_failure(std::uint8_t next_identifier) {
    if (!take_challenge_of_failure()) return {};
    if (failure.find("E=648") == 0 && challenge_.size() == 16 && !new_password.empty())
      return {frame(kChap, kChangePassword, next_identifier, change_body())};
    if (failure.find(" R=1 ") == std::string::npos) return {};
    if (retry_passwords.empty()) return {frame(kLcp, kTermReq, 0x30)};
    password = retry_passwords.front();
    retry_passwords.erase(retry_passwords.begin());
    return {frame(kChap, kResponse, next_identifier, response_body(next_identifier))};
  }

  bool take_challenge_of_failure() {
    const auto at = failure.find(" C=");
    if (at == std::string::npos) return false;
    challenge_ = octets(failure.substr(at + 3, failure.find(' ', at + 3) - at - 3));
    return true;
  }

  // Value-Size, Value, Name.
  Octets response_body(std::uint8_t identifier) {
    const auto hash = crypto::nt_password_hash(password).value();
    if (challenge_.size() == 8) {
      const auto nt =
          crypto::challenge_response(std::span<const std::byte, 8>(challenge_.data(), 8), hash);
      return concat({octets("31"), Octets(24), to_octets(nt), octets("01"), as_octets(user)});
    }
    if (auth_option_ == octets("c22305") || eap_type_ == 4) {
      const std::byte id{identifier};
      const auto digest = crypto::md5({Bytes(&id, 1), as_octets(password), challenge_});
      return concat({octets("10"), to_octets(digest), as_octets(user)});
    }
    response_ = crypto::generate_nt_response(authenticator_challenge(), kPeerChallenge,
                                             crypto::user_without_domain(user), hash);
    return concat({octets("31"), to_octets(kPeerChallenge), Octets(8), to_octets(response_),
                   octets("00"), as_octets(user)});
  }

  Octets change_body() {
    const auto old_hash = crypto::nt_password_hash(password).value();
    password = new_password;
    const auto new_hash = crypto::nt_password_hash(password).value();
    response_ = crypto::generate_nt_response(authenticator_challenge(), kPeerChallenge,
                                             crypto::user_without_domain(user), new_hash);
    crypto::EncryptedPassword padding;
    padding.fill(std::byte{0x5a});
    return concat({to_octets(*crypto::encrypt_new_password(password, old_hash, padding)),
                   to_octets(crypto::old_hash_encrypted_with_new(old_hash, new_hash)),
                   to_octets(kPeerChallenge), Octets(8), to_octets(response_), octets("0000")});
  }

  bool proof_is_right(Bytes message) {
    return crypto::check_authenticator_response(
        crypto::nt_password_hash(password).value(), response_, kPeerChallenge,
        authenticator_challenge(), crypto::user_without_domain(user), text_of(message));
  }

  std::vector<Octets> on_eap(const Packet& p) {
    if (p.code == kEapSuccess) {
      authenticated = true;
      return ncps_upon_success ? start_ncps() : std::vector<Octets>{};
    }
    if (p.code == kEapFailure && failure.empty()) failure = "EAP-Failure";
    if (p.code != kEapRequest) return {};
    const auto type = std::to_integer<std::uint8_t>(p.data.at(0));
    const Bytes data = Bytes(p.data).subspan(1);
    const auto answer = [&p](const Octets& body) {
      return std::vector<Octets>{frame(kEap, kEapResponse, p.identifier, body)};
    };
    if (type == 1) return answer(concat({octets("01"), as_octets(user)}));
    if (eap_types.find(static_cast<char>(type)) == std::string::npos)
      return answer(concat({octets("03"), as_octets(eap_types)}));
    eap_type_ = type;
    if (type == 4) {
      challenge_ = to_octets(data.subspan(1, 16));
      return answer(concat({octets("04"), response_body(p.identifier)}));
    }
    const auto code = std::to_integer<std::uint8_t>(data[0]);
    const auto ms_id = std::to_integer<std::uint8_t>(data[1]);
    const Bytes body = data.subspan(4);
    const auto ms_chap = [&](std::uint8_t op, std::uint8_t id, const Octets& ms_body) {
      Octets header(5);
      Writer writer(header);
      writer.write_u8(26);
      writer.write_u8(op);
      writer.write_u8(id);
      writer.write_u16(static_cast<std::uint16_t>(4 + ms_body.size()));
      return answer(concat({header, ms_body}));
    };
    if (code == kChallenge) {
      challenge_ = to_octets(body.subspan(1, 16));
      return ms_chap(kResponse, ms_id, response_body(ms_id));
    }
    if (code == kSuccess)
      return proof_is_right(body) ? answer(octets("1a03")) : answer(octets("1a04"));
    failure = text_of(body);
    const auto next = static_cast<std::uint8_t>(ms_id + 1);
    if (take_challenge_of_failure() && failure.find("E=648") == 0 && !new_password.empty())
      return ms_chap(kChangePassword, next, change_body());
    if (failure.find(" R=1 ") == std::string::npos || retry_passwords.empty())
      return answer(octets("1a04"));
    password = retry_passwords.front();
    retry_passwords.erase(retry_passwords.begin());
    return ms_chap(kResponse, next, response_body(next));
  }

  static std::string text_of(Bytes data) {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
  }
  [[nodiscard]] std::span<const std::byte, 16> authenticator_challenge() const {
    if (challenge_.size() != 16) throw std::runtime_error("no challenge of 16 octets");
    return std::span<const std::byte, 16>(challenge_.data(), 16);
  }

 public:
  [[nodiscard]] Octets pap_request() const {
    Octets body(2 + user.size() + password.size());
    Writer writer(body);
    wire::PapRequest{as_octets(user), as_octets(password)}.write(writer);
    body.resize(writer.size());
    return frame(kPap, kAuthReq, 0x60, body);
  }

  // The packets of its restart timers: requests that came to nothing (RFC 1661 §4.1, TO+).
  std::vector<Octets> ask_again() {
    if (lcp_asked_) return {frame(kLcp, kConfReq, 0x10, lcp_options)};
    std::vector<Octets> out;
    const auto again = [&out](std::uint16_t protocol, Side& side) {
      if (!side.asked || (side.they_acked && side.we_acked)) return;
      side.they_acked = false;
      out.push_back(frame(protocol, kConfReq, side.identifier, side.options));
    };
    again(kCcp, ccp_);
    again(kIpcp, ipcp_);
    again(kIpv6cp, ipv6cp_);
    return out;
  }

  // A new Configure-Request on an open link.
  std::vector<Octets> renegotiate(std::uint16_t protocol) {
    if (protocol == kLcp) {
      lcp_asked_ = true;
      lcp_open_ = authenticated = false;
      ccp_ = ipcp_ = ipv6cp_ = Side{};
      ccp_open = ipcp_open = ipv6cp_open = false;
      return ask_again();
    }
    Side& side = protocol == kCcp ? ccp_ : protocol == kIpcp ? ipcp_ : ipv6cp_;
    side.they_acked = side.we_acked = false;
    (protocol == kCcp ? ccp_open : protocol == kIpcp ? ipcp_open : ipv6cp_open) = false;
    return {frame(protocol, kConfReq, ++side.identifier, side.options)};
  }

  std::vector<Octets> start_ncps() {
    std::vector<Octets> out;
    if (!ccp_options.empty()) out.push_back(ask(kCcp, ccp_, ccp_options));
    if (!ipcp_options.empty()) out.push_back(ask(kIpcp, ipcp_, ipcp_options));
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
  bool lcp_acked_ = false;
  Octets auth_option_;         // what the server asks for
  std::uint8_t eap_type_ = 0;  // the method in use
  Octets challenge_;
  crypto::NtResponse response_{};
  Side ccp_;
  Side ipcp_;
  Side ipv6cp_;
};

// A Link and a client back to back.
class LinkPair {
 public:
  static constexpr Ipv4Address kPeer{0xc6336401};  // the subscriber's outer address

  explicit LinkPair(const ppp::LinkSettings& settings = {})
      : link(std::make_shared<const ppp::LinkSettings>(settings), kPeer, random, clock.now()),
        users(std::in_place, make_users(), random) {}

  // A link that was taken over after a restart.
  LinkPair(const ppp::LinkSettings& settings, const ppp::LinkSnapshot& snapshot)
      : link(std::make_shared<const ppp::LinkSettings>(settings), kPeer, snapshot, random,
             clock.now()),
        users(std::in_place, make_users(), random) {}

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

  // Frames of the client that it sends of its own accord, and all that follows.
  void run_frames(const std::vector<Octets>& frames) {
    for (const Octets& one : frames) run(link.on_frame(one, clock.now()));
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
  std::optional<aaa::LocalAuthenticator> users;       // User, whose password is clientPass
  std::function<bool(const Octets&)> drop_to_client;  // true: the frame is lost
  std::function<bool(const Octets&)> drop_from_client;

  // The only account from now on.
  void set_account(aaa::LocalUser account) {
    users.emplace(std::vector<aaa::LocalUser>{std::move(account)}, random);
  }

  static std::vector<aaa::LocalUser> make_users() {
    aaa::LocalUser user;
    user.name = "User";
    user.nt_hash = crypto::nt_password_hash("clientPass").value();
    user.password = SecretText("clientPass");
    user.lm_hash = crypto::lm_password_hash("clientPass");
    return {user};
  }

 private:
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
        const auto result = users->decide(*question);
        take(link.on_auth_result(result, result ? std::optional(network) : std::nullopt,
                                 clock.now()),
             to_link);
      }
    }
  }
};

}  // namespace pns::test
