// SPDX-License-Identifier: BSD-3-Clause
//
// ConfigOption: one configuration option of LCP, CCP or IPCP as a small object. ControlProtocol
// walks the packets and calls the verbs; an option knows its own value and nothing of packets,
// timers or states. The wish of the peer takes effect only at commit(), when our Configure-Ack
// leaves.
#pragma once

#include <cstdint>

#include "controlplane/ppp/context.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

enum class Judgement : std::uint8_t {
  kAck,
  kNak,
  kReject,
  kNakAlone,  // Nak'ed, and if the request is ours come back, nothing else in it is answered
};

class ConfigOption {
 public:
  explicit ConfigOption(std::uint8_t type) noexcept : type_(type) {}
  ConfigOption(const ConfigOption&) = delete;
  ConfigOption& operator=(const ConfigOption&) = delete;

  [[nodiscard]] std::uint8_t type() const noexcept { return type_; }

  // ---- Our Configure-Request.
  // A negotiation begins from scratch.
  virtual void restart(Context&) {}
  // Writes this option, or nothing when it is not asked for.
  virtual void request(Writer&) {}
  // The peer acknowledged what request() wrote.
  virtual void on_ack() {}
  // The peer suggests `option` instead.
  virtual void on_nak(const wire::Option& option, Context&);
  // The peer does not take this option.
  virtual void on_reject(Context&) {}

  // ---- The peer's Configure-Request. For each: begin_judging, judge or judge_missing, and commit
  // if the whole request was good.
  virtual void begin_judging() {}
  // Writes a better option of this type when it answers kNak or kNakAlone.
  [[nodiscard]] virtual Judgement judge(const wire::Option& option, Writer& nak,
                                        Context& context) = 0;
  // The peer did not name this option: may write one that it should ask for.
  virtual void judge_missing(Writer&) {}
  virtual void commit() {}
  // Max-Failure Naks of this option did not help. A reason ends the negotiation; kNone lets it go
  // on with this option rejected (or left out).
  [[nodiscard]] virtual EndReason on_unresolved() { return EndReason::kNone; }

  // Set by any verb when negotiation cannot succeed any more.
  [[nodiscard]] EndReason failure() const noexcept { return failure_; }
  void clear_failure() noexcept { failure_ = EndReason::kNone; }

 protected:
  ~ConfigOption() = default;
  void fail(EndReason reason) noexcept { failure_ = reason; }

 private:
  std::uint8_t type_;
  EndReason failure_ = EndReason::kNone;
};

inline void ConfigOption::on_nak(const wire::Option&, Context&) {}

}  // namespace pns::ppp
