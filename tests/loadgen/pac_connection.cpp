// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/pac_connection.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

namespace pns::loadgen {
namespace {

using wire::pptp::OutgoingCallResult;

pptp::ConnectionSettings settings_of(const Options& options) {
  pptp::ConnectionSettings settings;
  settings.host_name = "loadgen";
  settings.vendor_name = "loadgen";
  settings.maximum_calls = 65'535;
  settings.answer_timeout = std::chrono::hours(1);  // --answer none
  settings.message_burst = 1'000'000;               // the server may send as much as it likes
  settings.messages_per_second = 1'000'000;
  settings.setup_timeout = options.time_limit;
  return settings;
}

}  // namespace

PacConnection::PacConnection(Site& site, std::size_t source, unsigned calls)
    : site_(site),
      source_(source),
      calls_left_(calls),
      machine_(pptp::ControlConnection::originate(settings_of(site.options), site.now())),
      link_(std::make_shared<TcpLink>(asio::ip::tcp::socket(site.context))) {}

PacConnection::PacConnection(Site& site, std::size_t source, asio::ip::tcp::socket socket,
                             AnswerCounts& answers)
    : site_(site),
      source_(source),
      calls_left_(0),
      answers_(&answers),
      machine_(settings_of(site.options), site.now()),
      link_(std::make_shared<TcpLink>(std::move(socket))) {}

void PacConnection::start(TimePoint) {
  ++site_.connections;
  link_->handle({.on_connected = [this] { perform(machine_.open(site_.now())); },
                 .on_message =
                     [this](const wire::pptp::Message& message) {
                       perform(machine_.on_message(message, site_.now()));
                     },
                 .on_closed = [this](const std::string&) { lose(); }});
  if (answers_ != nullptr)
    link_->start();
  else
    link_->connect(site_.sources[source_].address, site_.options.server);
}

void PacConnection::lose() {
  closed_ = true;
  perform(machine_.on_tcp_closed(EndReason::peer_closed_tcp, site_.now()));
  // Calls that can no longer be announced have failed, too.
  for (; calls_left_ != 0 && !hanging_up_; --calls_left_)
    site_.new_session(source_).fail("connection closed");
}

Session* PacConnection::find(OurCallId id) const {
  const auto found =
      std::ranges::find_if(calls_, [id](const Session* s) { return s->call_id() == id.value; });
  return found == calls_.end() ? nullptr : *found;
}

Session& PacConnection::begin_call() {
  Session& session = site_.new_session(source_);
  // A Call ID of 0 is a subscriber's mistake; a PAC counts.
  site_.give_call_id(session, source_, ++site_.sources[source_].last_call_id);
  const std::size_t index = calls_.size();
  calls_.push_back(&session);
  session.hook_ppp_over([this, index](TimePoint now) { end_call(index, now); });
  return session;
}

bool PacConnection::launch(TimePoint now) {
  if (calls_left_ == 0 || machine_.state() != pptp::ConnectionState::kEstablished) return false;
  --calls_left_;
  Session& session = begin_call();
  session.set_local_port(link_->local_port());
  session.on_tcp_connected(now);
  session.on_calling(now);
  perform(machine_.announce_call(OurCallId(session.call_id()),
                                 {.dialed_number = "1000",
                                  .dialing_number = std::to_string(session.number()),
                                  .subaddress = ""},
                                 now));
  return true;
}

void PacConnection::perform(const model::ConnectionActions& actions) {
  for (const auto& action : actions)
    std::visit([this](const auto& known) { perform_one(known); }, action);
}

void PacConnection::perform_one(const model::SendMessage& action) {
  wire::pptp::Message message = action.message;
  if (auto* reply = std::get_if<wire::pptp::OutgoingCallReply>(&message);
      reply != nullptr && answers_ != nullptr)
    reply->result_code = static_cast<std::uint8_t>(site_.options.answer.result);
  if (std::holds_alternative<wire::pptp::EchoReply>(message)) ++site_.pptp_echoes;
  if (!link_->send(message)) ++site_.send_errors;
}

// ---- A PAC that listens

void PacConnection::perform_one(const model::OfferCall& action) {
  if (answers_ == nullptr) {
    perform(machine_.our_calls().refuse(action.offer, EndReason::too_many_calls, site_.now()));
    return;
  }
  ++answers_->asked;
  const Answer& wanted = site_.options.answer;
  if (wanted.silent) return;
  const Offer offer{action, site_.now() + wanted.delay};
  if (wanted.delay == Duration{})
    answer(offer, site_.now());
  else
    offers_.push_back(offer);
}

void PacConnection::answer(const Offer& offer, TimePoint now) {
  if (site_.options.answer.result != OutgoingCallResult::kConnected) {
    ++answers_->refused;  // perform_one(SendMessage) puts the result in
    return perform(machine_.our_calls().refuse(offer.call.offer, EndReason::too_many_calls, now));
  }
  Session& session = begin_call();
  session.set_local_port(link_->local_port());
  session.on_tcp_connected(now);
  session.on_calling(now);
  perform(machine_.our_calls().accept(offer.call.offer, OurCallId(session.call_id()), now));
  session.on_call_connected(offer.call.peer_call_id.value, now);
}

void PacConnection::perform_one(const model::WithdrawOffer& action) {
  if (answers_ == nullptr) return;
  ++answers_->withdrawn;
  std::erase_if(offers_, [&](const Offer& o) { return o.call.offer == action.offer; });
}

// ---- Calls

void PacConnection::perform_one(const model::ConnectCall& action) {
  Session* session = find(action.our_call_id);
  if (session == nullptr) return;
  session->on_first_answer(site_.now());
  session->on_call_connected(action.peer_call_id.value, site_.now());
}

void PacConnection::perform_one(const model::EndCall& action) {
  Session* session = find(action.our_call_id);
  if (session == nullptr) return;
  if (action.codes.result != 0)
    return session->on_call_over("refused with result " + std::to_string(action.codes.result) +
                                 " error " + std::to_string(action.codes.error));
  session->on_call_over(std::string(name_of(action.reason)));
}

void PacConnection::perform_one(const model::CloseConnection&) {
  closed_ = true;
  link_->close();
}

void PacConnection::end_call(std::size_t index, TimePoint now) {
  Session& session = *calls_[index];
  perform(
      machine_.our_calls().end(OurCallId(session.call_id()), EndReason::shutting_down, {}, now));
  session.on_call_over("closing");  // if the machine knew nothing of it any more
}

// ---- Time

void PacConnection::hang_up(TimePoint now) {
  if (std::exchange(hanging_up_, true)) return;
  for (std::size_t i = 0; i < calls_.size(); ++i) calls_[i]->hang_up(now);
}

void PacConnection::on_tick(TimePoint now) {
  if (closed_) return;
  while (!offers_.empty() && offers_.front().answer_at <= now) {
    const Offer offer = offers_.front();
    offers_.erase(offers_.begin());
    answer(offer, now);
  }
  if (const auto deadline = machine_.deadline(); deadline && *deadline <= now)
    perform(machine_.on_deadline(now));
  const auto over = [](const Session* session) { return session->over(); };
  if (hanging_up_ && !stopped_ && std::ranges::all_of(calls_, over)) {
    stopped_ = true;
    perform(machine_.stop(EndReason::shutting_down, now));
  }
}

}  // namespace pns::loadgen
