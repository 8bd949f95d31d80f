// SPDX-License-Identifier: BSD-3-Clause
//
// The settings of a control connection and its calls. Plain values, made once and shared by all
// connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "pns/base/time.hpp"

namespace pns::pptp {

struct ConnectionSettings {
  std::string host_name = "pns";    // at most 64 octets go out
  std::string vendor_name = "pns";  // at most 64 octets go out
  std::uint16_t firmware_revision = 1;
  std::uint16_t maximum_channels = 0;  // as advertised; 0: no claim
  std::uint32_t connect_speed =
      1'000'000'000;                     // OCRP: bits per second, never above the peer's maximum
  std::uint16_t receive_window = 64;     // packets we can take unacknowledged
  Duration echo_interval = Seconds(60);  // longest silence before our Echo-Request
  Duration echo_timeout = Seconds(60);   // silence after it before the connection is closed
  Duration setup_timeout = Seconds(60);  // TCP accepted to Start-Control-Connection-Request
  Duration reply_timeout = Seconds(60);  // our Request, Reply or Clear to what must follow (§3.2.1)
  Duration answer_timeout = Seconds(10);      // OfferCall to our caller's answer
  Duration stop_timeout = Seconds(5);         // our Stop-Request to its reply
  std::size_t maximum_calls = 1024;           // on this connection
  bool accept_incoming_calls = true;          // false: Incoming-Call-Requests get "do not accept"
  bool wan_error_notify = false;              // send WAN-Error-Notify where we are the PAC
  Duration wan_error_interval = Seconds(60);  // between two of one call (§2.14)
  // Token bucket over all messages of the peer: a burst, as a PAC makes that brings all its calls
  // at once and takes them back (three messages each), then this many a second.
  std::uint32_t message_burst = 5000;
  std::uint32_t messages_per_second = 500;  // at least 1
};

// Settings that many connections share: each holds a pointer. Made from a value, it shares a copy
// with nobody else.
class SharedSettings {
 public:
  SharedSettings() : SharedSettings(ConnectionSettings()) {}
  SharedSettings(ConnectionSettings settings)
      : settings_(std::make_shared<const ConnectionSettings>(std::move(settings))) {}
  [[nodiscard]] const ConnectionSettings& operator*() const noexcept { return *settings_; }
  [[nodiscard]] const ConnectionSettings* operator->() const noexcept { return settings_.get(); }

 private:
  std::shared_ptr<const ConnectionSettings> settings_;
};

}  // namespace pns::pptp
