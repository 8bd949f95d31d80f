// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/site.hpp"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "pns/base/be.hpp"
#include "pns/wire/gre.hpp"

namespace pns::loadgen {
namespace {

constexpr int kSocketBuffer = 32 << 20;  // octets
constexpr int kPacketsAtOnce = 256;      // of one socket, before others have their turn

sockaddr_in socket_address(Ipv4Address address) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(address.value);
  return out;
}

}  // namespace

Site::Site(const Options& given) : options(given), past(given.profiles.size()) {
  for (unsigned i = 0; i < options.sources; ++i)
    open_source(Ipv4Address(options.first_source.value + i));
}

void Site::open_source(Ipv4Address address) {
  Source source;
  source.address = address;
  source.fd.reset(::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_GRE));
  const sockaddr_in local = socket_address(address);
  if (!source.fd ||
      ::bind(source.fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0)
    throw std::runtime_error("raw GRE socket on " + address.to_string() + ": " +
                             std::strerror(errno));
  for (const int which : {SO_RCVBUFFORCE, SO_SNDBUFFORCE})
    (void)::setsockopt(source.fd.get(), SOL_SOCKET, which, &kSocketBuffer, sizeof(kSocketBuffer));
  source.by_call_id.resize(65536);
  source.descriptor =
      std::make_unique<asio::posix::stream_descriptor>(context, ::dup(source.fd.get()));
  sources.push_back(std::move(source));
  wait_gre(sources.size() - 1);
}

void Site::wait_gre(std::size_t source) {
  sources[source].descriptor->async_wait(asio::posix::stream_descriptor::wait_read,
                                         [this, source](const asio::error_code& error) {
                                           if (error) return;
                                           receive_gre(sources[source]);
                                           wait_gre(source);
                                         });
}

void Site::receive_gre(Source& source) {
  std::array<std::byte, 4096> packet;
  for (int i = 0; i < kPacketsAtOnce; ++i) {
    const auto got = ::recv(source.fd.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (got < 28) return;
    const std::size_t ip = (std::to_integer<std::size_t>(packet[0]) & 0x0f) * 4;
    be32 from;
    std::memcpy(&from, packet.data() + 12, sizeof(from));
    const Bytes gre = Bytes(packet).first(static_cast<std::size_t>(got)).subspan(ip);
    const auto header = wire::parse_gre(gre);
    if (!header || Ipv4Address(from) != options.server) continue;
    if (Session* session = source.by_call_id[header->call_id]; session != nullptr)
      session->on_gre(gre, now());
  }
}

void Site::send_gre(std::size_t source, Bytes packet) {
  const sockaddr_in to = socket_address(options.server);
  if (::sendto(sources[source].fd.get(), packet.data(), packet.size(), MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0)
    ++send_errors;
}

std::unique_ptr<Session> Site::make_session(std::uint32_t number) {
  const std::size_t source = histories[number].source;
  ++in_stage_[static_cast<std::size_t>(Stage::kConnect)];
  return std::make_unique<Session>(
      options, options.profiles[number % options.profiles.size()], number,
      histories[number].sessions++, random, latencies,
      Session::Hooks{
          .send_gre = [this, source](Bytes packet) { send_gre(source, packet); },
          .on_stage = [this, number](Stage from, Stage to) { on_stage(number, from, to); },
          .on_set_up =
              [this, number] {
                ++set_ups;
                histories[number].been_up = true;
                histories[number].up_at = now();
                on_set_up(*sessions[number]->admitted());
              }});
}

void Site::on_stage(std::uint32_t number, Stage from, Stage to) {
  --in_stage_[static_cast<std::size_t>(from)];
  ++in_stage_[static_cast<std::size_t>(to)];
  const Session& session = *sessions[number];
  if (!session.lost()) return;
  ++lost_calls;
  ++lost_for[std::string(name_of(session.failed_stage()))][session.failure()];
  if (lost.size() >= kMaximumLost) return;
  const History& history = histories[number];
  lost.push_back({.at = now(),
                  .up_for = now() - history.up_at,
                  .number = number,
                  .source = sources[history.source].address,
                  .call_id = session.call_id(),
                  .server_call_id = session.peer_call_id(),
                  .address = session.address(),
                  .stage = std::string(name_of(session.failed_stage())),
                  .reason = session.failure()});
}

Session& Site::new_session(std::size_t source) {
  const auto number = static_cast<std::uint32_t>(sessions.size());
  histories.push_back({.source = source});
  sessions.push_back(make_session(number));
  return *sessions.back();
}

std::unique_ptr<Session> Site::renew_session(std::uint32_t number) {
  auto old = std::move(sessions[number]);
  --in_stage_[static_cast<std::size_t>(old->stage())];
  past[number % past.size()].add(*old);
  histories[number].traffic += old->traffic();
  auto& holder = sources[histories[number].source].by_call_id[old->call_id()];
  if (holder == old.get()) holder = nullptr;
  sessions[number] = make_session(number);
  return old;
}

void Site::give_call_id(Session& session, std::size_t source) {
  Source& from = sources[source];
  switch (session.profile().call.id) {
    case CallIdChoice::kZero:
      return give_call_id(session, source, 0);
    case CallIdChoice::kRandom:
      return give_call_id(session, source,
                          static_cast<std::uint16_t>(1 + random.next_u32() % 65534));
    case CallIdChoice::kCounter:
      return give_call_id(session, source, ++from.last_call_id);
  }
}

void Site::give_call_id(Session& session, std::size_t source, std::uint16_t wanted) {
  auto& taken = sources[source].by_call_id;
  while (taken[wanted] != nullptr) ++wanted;
  taken[wanted] = &session;
  session.set_call_id(wanted);
}

std::size_t Site::setting_up() const noexcept {
  const std::span<const std::size_t> before(in_stage_.data(), static_cast<std::size_t>(Stage::kUp));
  return std::accumulate(before.begin(), before.end(), std::size_t{0});
}

std::size_t Site::alive() const noexcept {
  return setting_up() + in(Stage::kUp) + in(Stage::kClosing);
}

TrafficCounts Site::traffic() const {
  TrafficCounts sum;
  for (const History& history : histories) sum += history.traffic;
  for (const auto& session : sessions) sum += session->traffic();
  return sum;
}

std::uint64_t Site::socket_drops() const noexcept {
  std::uint64_t drops = 0;
  for (const Source& source : sources) {
    std::array<std::uint32_t, SK_MEMINFO_VARS> values{};
    socklen_t size = sizeof(values);
    if (::getsockopt(source.fd.get(), SOL_SOCKET, SO_MEMINFO, values.data(), &size) == 0)
      drops += values[SK_MEMINFO_DROPS];
  }
  return drops;
}

}  // namespace pns::loadgen
