// SPDX-License-Identifier: BSD-3-Clause
//
// PacConnection: one control connection of an emulated PAC, with many calls on it. Opened by us it
// announces calls (Incoming-Call-Request, RFC 2637 §3.2.3.1); accepted, it answers the server's
// Outgoing-Call-Requests (§3.2.4.1). The messages are pptp::ControlConnection's, which can play
// every role; what happens behind each call is Session's. One thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "controlplane/pptp/control_connection.hpp"
#include "tests/loadgen/connection.hpp"
#include "tests/loadgen/site.hpp"
#include "tests/loadgen/tcp_link.hpp"

namespace pns::loadgen {

// The answers of all listening PACs of a run.
struct AnswerCounts {
  std::uint64_t asked = 0;      // Outgoing-Call-Requests
  std::uint64_t refused = 0;    // as --answer says
  std::uint64_t withdrawn = 0;  // by the server, before the answer
};

class PacConnection final : public Connection {
 public:
  // Opens TCP from this source, and announces so many calls.
  PacConnection(Site& site, std::size_t source, unsigned calls);
  // Has accepted TCP at this source.
  PacConnection(Site& site, std::size_t source, asio::ip::tcp::socket socket,
                AnswerCounts& answers);
  ~PacConnection() override { link_->close(); }

  void start(TimePoint now) override;
  bool launch(TimePoint now) override;
  void on_tick(TimePoint now) override;
  void hang_up(TimePoint now) override;
  [[nodiscard]] bool over() const override { return closed_; }

 private:
  struct Offer {
    model::OfferCall call;
    TimePoint answer_at;
  };

  void perform(const model::ConnectionActions& actions);
  void perform_one(const model::SendMessage& action);
  void perform_one(const model::OfferCall& action);
  void perform_one(const model::WithdrawOffer& action);
  void perform_one(const model::ConnectCall& action);
  void perform_one(const model::EndCall& action);
  void perform_one(const model::CloseConnection& action);
  template <class Ignored>
  void perform_one(const Ignored&) {}

  Session& begin_call();
  void answer(const Offer& offer, TimePoint now);
  void end_call(std::size_t index, TimePoint now);
  void lose();
  [[nodiscard]] Session* find(OurCallId id) const;

  Site& site_;
  std::size_t source_;
  unsigned calls_left_;              // to be announced
  AnswerCounts* answers_ = nullptr;  // of a PAC that listens
  pptp::ControlConnection machine_;
  std::shared_ptr<TcpLink> link_;
  std::vector<Session*> calls_;
  std::vector<Offer> offers_;  // not answered yet
  bool hanging_up_ = false;
  bool stopped_ = false;
  bool closed_ = false;
};

}  // namespace pns::loadgen
