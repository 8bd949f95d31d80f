// SPDX-License-Identifier: BSD-3-Clause
//
// ControlProtocol: what LCP, CCP and IPCP have in common (RFC 1661 §4, §5): it runs the automaton,
// and gives each packet its event. RestartTimer has the timer and its counter, OwnRequest our
// Configure-Request, judge_request() the answer to the peer's. Derived classes bring their options
// and what is special to them. Sans-I/O, one thread; memory is fixed apart from the last request,
// which is as long as its options. rest() gives back what only a negotiation needs.
//
// Beyond the RFC, and all of it bounded:
//  - an answer counts once: a second Ack, Nak or Reject of one request is discarded;
//  - a peer that shows it was not ready for our request (Terminate-Ack, or a first request of
//    its own well after ours) gets ours again at once instead of at the next timeout;
//  - a negotiation of more than kMaximumRounds rounds ends.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "controlplane/ppp/automaton.hpp"
#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/option.hpp"
#include "controlplane/ppp/own_request.hpp"
#include "controlplane/ppp/request_judge.hpp"
#include "controlplane/ppp/restart_timer.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

// Timers and counters of RFC 1661 §4.6. `settings` must outlive the machine.
struct RestartSettings {
  const LinkSettings* settings;
  unsigned max_configure;  // this protocol's own

  explicit RestartSettings(const LinkSettings& of)
      : settings(&of), max_configure(of.max_configure) {}
};

// The EndReasons of one protocol.
struct ProtocolReasons {
  EndReason timeout;
  EndReason no_convergence;
};

class ControlProtocol {
 public:
  // Requests we send because of the peer's packets (not of a timeout), and bad requests of the
  // peer, each since the protocol was last open for kStableAfter.
  static constexpr unsigned kMaximumRounds = 30;
  static constexpr Duration kStableAfter = Seconds(10);
  // A peer's first request this long after ours: it may not have been ready for ours.
  static constexpr Duration kLateRequest = Milliseconds(100);
  static constexpr unsigned kEarlyResends = 3;

  ControlProtocol(wire::PppProtocol protocol, const RestartSettings& restart,
                  ProtocolReasons reasons) noexcept;
  ControlProtocol(const ControlProtocol&) = delete;
  ControlProtocol& operator=(const ControlProtocol&) = delete;

  [[nodiscard]] wire::PppProtocol protocol() const noexcept { return protocol_; }
  [[nodiscard]] const LinkSettings& settings() const noexcept { return *restart_.settings; }
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] bool is_open() const noexcept { return state_ == State::kOpened; }

  // The administrative and lower-layer events of RFC 1661 §4.3.
  void up(Context& context) { run(Event::kUp, context); }
  void down(Context& context) { run(Event::kDown, context); }
  void open(Context& context) { run(Event::kOpen, context); }
  void close(Context& context) { run(Event::kClose, context); }
  // Back to Initial without a word to peer or observer.
  void reset() noexcept;
  // In layer_down(), for an observer that resets this protocol over a Terminate-Request: the Ack
  // that would then not leave (RFC 1661 §5.5).
  void acknowledge_terminate(Context& context) { perform(Action::kSta, Event::kRtr, context); }
  // A protocol taken over after a restart: Opened, nothing outstanding.
  void restore_opened(TimePoint now) noexcept;
  // The same for one that says nothing of its own accord, and answers.
  void restore_stopped() noexcept;
  // The link is open: frees the memory of the negotiation. The next negotiation makes it again and
  // starts from scratch, as every negotiation of an open protocol does. Nothing unless Opened. Not
  // to be called while an event is handled.
  void rest() noexcept;

  void on_packet(const wire::ControlPacket& packet, Context& context);
  // The peer rejected the whole protocol: RXJ-.
  void on_protocol_rejected(EndReason reason, Context& context);

  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept {
    return negotiation_ ? negotiation_->timer.deadline() : std::nullopt;
  }
  void on_timer(Context& context);

 protected:
  ~ControlProtocol() = default;

  // Makes them where forget_options() has freed them.
  [[nodiscard]] virtual std::span<ConfigOption* const> options() = 0;
  // Opened, and at rest: what was agreed is all that is needed of the options.
  virtual void forget_options() noexcept {}
  // A code from 8 on. False: unknown.
  [[nodiscard]] virtual bool on_other_code(const wire::ControlPacket&, Context&) { return false; }
  // A Configure-Ack is about to leave; every option was committed.
  virtual void before_ack(Context&) {}
  // The peer does not know a code that we can do without.
  virtual void on_code_rejected(std::uint8_t) {}
  // Our request no longer says what was agreed: it is sent anew.
  [[nodiscard]] virtual bool request_is_stale() const { return false; }

  void send(wire::LcpCode code, std::uint8_t identifier, Bytes data, Context& context) const;
  void fail(EndReason reason, Context& context);
  // From now on our request is repeated so often.
  void set_tries(unsigned tries) noexcept {
    if (negotiation_) negotiation_->timer.change_tries(restart_.max_configure, tries);
    restart_.max_configure = tries;
  }

 private:
  // Timers, counters and packets of a negotiation.
  struct Negotiation {
    explicit Negotiation(const RestartSettings& restart) noexcept
        : timer(restart.max_configure), naks{.max_failure = restart.settings->max_failure} {}
    RestartTimer timer;
    OwnRequest request;                     // its options until open
    const RequestAnswer* answer = nullptr;  // to the Configure-Request that is being handled
    NakCount naks;
    bool peer_requested = false;     // since irc
    std::uint8_t early_resends = 0;  // since irc
  };

  [[nodiscard]] Negotiation& negotiation();
  void run(Event event, Context& context);
  void perform(Action action, Event cause, Context& context);
  void begin_negotiation(Context& context);
  void on_configure_request(const wire::ControlPacket& packet, Context& context);
  void on_configure_ack(const wire::ControlPacket& packet, Context& context);
  void on_configure_nak(const wire::ControlPacket& packet, Context& context);
  void on_configure_reject(const wire::ControlPacket& packet, Context& context);
  void on_terminate_ack(const wire::ControlPacket& packet, Context& context);
  void on_code_reject(const wire::ControlPacket& packet, Context& context);
  [[nodiscard]] bool answers_our_request(const wire::ControlPacket& packet) const noexcept;
  // Empty: negotiation cannot go on; the observer was told.
  [[nodiscard]] std::optional<RequestAnswer> judge(const wire::ControlPacket& packet,
                                                   Context& context);
  // False when an option has failed; the observer was told.
  [[nodiscard]] bool check_options(Context& context);
  [[nodiscard]] bool count_round(std::uint8_t& rounds, Context& context);
  void send_request(Context& context);
  void resend_request(Context& context);
  void arm_timer(Context& context);

  RestartSettings restart_;
  std::unique_ptr<Negotiation> negotiation_;     // null: none since the protocol is at rest
  const wire::ControlPacket* packet_ = nullptr;  // the one being handled
  std::optional<TimePoint> opened_at_;
  unsigned generation_ = 0;  // transitions so far: shows that an observer re-entered
  wire::PppProtocol protocol_;
  ProtocolReasons reasons_;
  State state_ = State::kInitial;
  EndReason finish_reason_ = EndReason::kNone;
  std::uint8_t request_identifier_ = 0;
  std::uint8_t our_rounds_ = 0;  // at most kMaximumRounds
  std::uint8_t peer_rounds_ = 0;
  std::uint8_t next_identifier_ = 0;
};

}  // namespace pns::ppp
