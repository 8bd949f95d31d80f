// SPDX-License-Identifier: BSD-3-Clause
//
// Accounting: told of each session's start, use and end (RFC 2866). Called on the event loop's
// thread; an implementation queues what it has to send and never blocks.
#pragma once

#include <cstdint>
#include <string>

#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::aaa {

// Who a record is about. The same in every record of a session.
struct AccountingSession {
  std::string session_id;  // unique over restarts (Acct-Session-Id)
  std::string user;        // the account's name
  Ipv4Address peer;        // outer address of the subscriber
  Ipv4Address local;       // outer address it dialled
  Ipv4Address address;     // the lease
  OurCallId our_call_id;
  std::string radius_class;  // opaque octets of the Access-Accept, returned as they came
};

struct AccountingUsage {
  Seconds duration{0};
  std::uint64_t rx_packets = 0;  // from the subscriber
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;  // to the subscriber
  std::uint64_t tx_bytes = 0;
};

class Accounting {
 public:
  Accounting() = default;
  Accounting(const Accounting&) = delete;
  Accounting& operator=(const Accounting&) = delete;
  virtual ~Accounting() = default;

  // Once, when IPCP has opened.
  virtual void start(const AccountingSession& session) = 0;
  // From time to time while the session lives.
  virtual void interim(const AccountingSession& session, const AccountingUsage& usage) = 0;
  // Once for each start.
  virtual void stop(const AccountingSession& session, const AccountingUsage& usage,
                    EndReason reason) = 0;
};

// For servers that keep no accounts.
class NullAccounting final : public Accounting {
 public:
  void start(const AccountingSession&) override {}
  void interim(const AccountingSession&, const AccountingUsage&) override {}
  void stop(const AccountingSession&, const AccountingUsage&, EndReason) override {}
};

}  // namespace pns::aaa
