// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/request_judge.hpp"

#include <algorithm>
#include <array>
#include <bitset>

namespace pns::ppp {
namespace {

using wire::LcpCode;

// More than the options of one packet that the peer can send: a Nak is never larger than what it is
// about by more than one option of four octets per known type.
constexpr std::size_t kAnswerCapacity = 2048;

// The judgements of one request, by the answer that they ask for.
class Judgements {
 public:
  // Each option of the request, until one of them is answered alone.
  void judge_named(Bytes request, std::span<ConfigOption* const> options, Bytes own_request,
                   Context& context) {
    wire::OptionReader reader(request);
    while (const auto option = reader.next()) {
      ConfigOption* const known = find_option(options, option->type);
      // RFC 1661 §6: no option twice, unless it says so.
      if (known == nullptr || seen_[option->type]) {
        rejects_.write_bytes(option->whole);
        continue;
      }
      seen_[option->type] = true;
      const std::size_t naks_before = naks_.size();
      Judgement judgement = known->judge(*option, naks_, context);
      // Only what comes back to us as we sent it is answered as a loop; to a peer a Reject goes
      // first.
      if (judgement == Judgement::kNakAlone && !std::ranges::equal(request, own_request))
        judgement = Judgement::kNak;
      switch (judgement) {
        case Judgement::kAck:
          break;
        case Judgement::kNak:
          nakked_.write_bytes(option->whole);
          unresolved_[option->type] = true;
          break;
        case Judgement::kReject:
          rejects_.write_bytes(option->whole);
          break;
        case Judgement::kNakAlone:
          nak_alone_ = naks_.written().subspan(naks_before);
          alone_ = true;
          return;
      }
    }
  }

  // Each option that the request does not name.
  void judge_missing(std::span<ConfigOption* const> options) {
    for (ConfigOption* option : options) {
      if (alone_ || seen_[option->type()]) continue;
      const std::size_t before = naks_.size();
      option->judge_missing(naks_);
      if (naks_.size() != before) unresolved_[option->type()] = true;
    }
  }

  // RFC 1661 §4.6 Max-Failure: Naks become Rejects, and nothing is suggested any more. kNone:
  // negotiation goes on with that.
  [[nodiscard]] EndReason give_up(std::span<ConfigOption* const> options) const {
    for (ConfigOption* option : options) {
      if (!unresolved_[option->type()]) continue;
      const EndReason reason = option->on_unresolved();
      if (reason != EndReason::kNone) return reason;
    }
    return EndReason::kNone;
  }

  [[nodiscard]] bool is_alone() const noexcept { return alone_; }
  [[nodiscard]] Bytes nak_alone() const noexcept { return nak_alone_; }
  [[nodiscard]] Bytes naks() const noexcept { return naks_.written(); }
  [[nodiscard]] Bytes nakked() const noexcept { return nakked_.written(); }
  [[nodiscard]] Bytes rejects() const noexcept { return rejects_.written(); }

 private:
  std::array<std::byte, kAnswerCapacity> nak_buffer_, nakked_buffer_, reject_buffer_;
  Writer naks_{nak_buffer_};       // what we suggest
  Writer nakked_{nakked_buffer_};  // what the peer had asked for in their place
  Writer rejects_{reject_buffer_};
  std::bitset<256> seen_, unresolved_;
  bool alone_ = false;  // one option's Nak is the whole answer
  Bytes nak_alone_;
};

}  // namespace

std::expected<RequestAnswer, EndReason> judge_request(const wire::ControlPacket& request,
                                                      std::span<ConfigOption* const> options,
                                                      Bytes own_request, NakCount& naks,
                                                      Context& context) {
  for (ConfigOption* option : options) option->begin_judging();
  Judgements judgements;
  judgements.judge_named(request.data, options, own_request, context);
  if (const EndReason reason = failure_of(options); reason != EndReason::kNone)
    return std::unexpected(reason);
  judgements.judge_missing(options);

  const auto answer = [&request](LcpCode code, Bytes with) {
    return RequestAnswer{code, request.identifier, {with.begin(), with.end()}};
  };
  if (judgements.is_alone()) return answer(LcpCode::kConfigureNak, judgements.nak_alone());
  if (!judgements.rejects().empty()) return answer(LcpCode::kConfigureReject, judgements.rejects());
  if (judgements.naks().empty()) return answer(LcpCode::kConfigureAck, request.data);
  if (naks.sent < naks.max_failure) {
    ++naks.sent;
    return answer(LcpCode::kConfigureNak, judgements.naks());
  }
  if (const EndReason reason = judgements.give_up(options); reason != EndReason::kNone)
    return std::unexpected(reason);
  if (judgements.nakked().empty()) return answer(LcpCode::kConfigureAck, request.data);
  return answer(LcpCode::kConfigureReject, judgements.nakked());
}

EndReason failure_of(std::span<ConfigOption* const> options) noexcept {
  for (const ConfigOption* option : options)
    if (option->failure() != EndReason::kNone) return option->failure();
  return EndReason::kNone;
}

ConfigOption* find_option(std::span<ConfigOption* const> options, std::uint8_t type) noexcept {
  for (ConfigOption* option : options)
    if (option->type() == type) return option;
  return nullptr;
}

}  // namespace pns::ppp
