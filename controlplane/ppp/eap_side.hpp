// SPDX-License-Identifier: BSD-3-Clause
//
// EapSide: the exchange of EAP that every authenticator has, whoever judges the methods (RFC 3748
// §4). One Request is outstanding at a time. It is repeated with its Identifier until the Response
// to it comes; a Response to an earlier one is discarded. The last Response, repeated, is told the
// verdict again. Sans-I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/ppp/auth.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_auth.hpp"

namespace pns::ppp {

class EapSide : public AuthenticatorSide {
 public:
  [[nodiscard]] wire::PppProtocol protocol() const noexcept final {
    return wire::PppProtocol::kEap;
  }
  [[nodiscard]] model::AuthMethod method() const noexcept final { return model::AuthMethod::kEap; }
  [[nodiscard]] std::optional<SettledVerdict> settled() const final;
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept final { return timer_; }

 protected:
  explicit EapSide(const LinkSettings& settings) : settings_(settings) {}

  [[nodiscard]] const LinkSettings& settings() const noexcept { return settings_; }
  // That of the outstanding Request, then that of the last Response.
  [[nodiscard]] std::uint8_t identifier() const noexcept { return identifier_; }

  // Asks for the identity.
  void request_identity(Context& context);
  // A new Request. Without a Response it is due for repetition after `repeat_after`, and then after
  // that or the restart timer, whichever is longer.
  void send_request(std::uint8_t identifier, Bytes data, Duration repeat_after, Context& context);
  // Repeats the Request. False: it was sent as often as Configure-Requests are.
  [[nodiscard]] bool repeat_request(Context& context);
  // Whether the time for the Response is over. Then no time runs any more.
  [[nodiscard]] bool is_overdue(const Context& context) noexcept;
  void stop_timer() noexcept { timer_.reset(); }

  // A Response to the outstanding Request. Empty: something else, which is dealt with.
  [[nodiscard]] std::optional<wire::EapData> read_response(const wire::ControlPacket& packet,
                                                           Context& context) const;

  // EAP-Success or EAP-Failure, and the observer hears of it.
  void accept(Context& context);
  void refuse(EndReason reason, Context& context);

 private:
  void send(Context& context);
  void send_verdict(Context& context) const;

  const LinkSettings& settings_;  // of the Link that owns this
  std::uint8_t identifier_ = 0;
  std::vector<std::byte> request_;  // data of the outstanding Request
  unsigned requests_sent_ = 0;
  Duration repeat_after_{};
  std::optional<TimePoint> timer_;
  std::optional<wire::EapCode> verdict_;  // Success or Failure, once it was sent
};

}  // namespace pns::ppp
