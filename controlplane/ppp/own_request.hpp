// SPDX-License-Identifier: BSD-3-Clause
//
// OwnRequest: the Configure-Request that we have sent in one negotiation, and whether an answer of
// the peer is an answer to it (RFC 1661 §5.1 to §5.4). One answer counts: after it the request is
// no longer outstanding. A part of ControlProtocol, which sends it. A value; its memory is as long
// as the options.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "controlplane/ppp/option.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

class OwnRequest {
 public:
  // The next transmission must be written anew, under another Identifier. A repeated request keeps
  // its Identifier, so that an answer to either copy counts. A changed one, or one after an answer,
  // takes a new one (§5.1).
  [[nodiscard]] bool must_be_written() const noexcept { return changed_ || !outstanding_; }
  void write(std::span<ConfigOption* const> options);
  void on_sent(TimePoint now) noexcept {
    outstanding_ = true;
    sent_at_ = now;
  }
  // An option has changed.
  void set_changed() noexcept { changed_ = true; }
  // An answer has come.
  void on_acknowledged() noexcept { outstanding_ = false; }
  void on_refused() noexcept {
    outstanding_ = false;
    changed_ = true;
  }
  // Whatever answer comes, it does not count.
  void forget() noexcept { outstanding_ = false; }
  // The protocol is open: the options are not needed any more.
  void free_options() noexcept { options_ = {}; }

  [[nodiscard]] bool is_outstanding() const noexcept { return outstanding_; }
  [[nodiscard]] Bytes options() const noexcept { return options_; }
  [[nodiscard]] Duration age(TimePoint now) const noexcept { return now - sent_at_; }
  // The same options in the same order, as a Configure-Ack must have them (§5.2).
  [[nodiscard]] bool equals(Bytes options) const noexcept;
  // Some of our options, unchanged and in their order, as a Configure-Reject must have them (§5.4).
  [[nodiscard]] bool contains(Bytes options) const noexcept;

 private:
  TimePoint sent_at_{};
  std::vector<std::byte> options_;
  bool outstanding_ = false;
  bool changed_ = true;
};

}  // namespace pns::ppp
