// SPDX-License-Identifier: BSD-3-Clause
//
// The dataplane's end of the contract, with this test as the control process: what is answered,
// what reaches the session's owner, and what the session table has learnt.
#include "dataplane/control/endpoint.hpp"

#include <rte_mbuf.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <set>

#include "pns/privilege/run_places.hpp"

using namespace pns;
using namespace pns::dataplane;
using contract::MessageType;
using contract::ReplyResult;

namespace {

constexpr std::uint64_t kPrefix = 0x20010db800640001;

rte_mempool* pool() {
  static rte_mempool* made = rte_pktmbuf_pool_create("endpoint-test", 255, 0, kMbufPrivateSize,
                                                     RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  return made;
}

rte_ring* ring() {
  static unsigned number = 0;
  return rte_ring_create(("endpoint-test" + std::to_string(number++)).c_str(), 64, SOCKET_ID_ANY,
                         RING_F_SP_ENQ | RING_F_SC_DEQ);
}

struct World {
  UniqueFd memory_fd = contract::SessionMemory::create(16, false, 1).value();
  contract::SessionMemory memory = contract::SessionMemory::attach(memory_fd.get()).value();
  std::unique_ptr<SessionTable> table = SessionTable::create(memory, 1).value();
  Doorbell doorbell;
  Endpoint::WorkerLine line{ring(), {ring(), ring(), ring()}, &doorbell};
  SystemRandom random;
  std::map<std::string, std::uint32_t> led;  // networks, by the slot that they lead to
  std::vector<std::uint32_t> forgotten;      // slots
  SessionNetworks networks{
      {.added = [this](const Ipv6Prefix& network,
                       SlotId slot) { return led.emplace(network.to_string(), slot.value).second; },
       .removed = [this](const Ipv6Prefix& network) { led.erase(network.to_string()); },
       .forgotten = [this](SlotId slot) { forgotten.push_back(slot.value); }}};
  Endpoint endpoint{*table,
                    networks,
                    {line},
                    pool(),
                    random,
                    [](contract::PortRole, const Ipv6Address&, rte_mbuf* packet) {
        rte_pktmbuf_free(packet); }};
  UniqueFd control;
  contract::Channel channel;
  contract::RingProducer commands;
  contract::RingConsumer events;
  std::uint32_t request = 0;

  World() {
    const std::string path = "/tmp/pns-endpoint-test-" + std::to_string(::getpid());
    const privilege::Identity nobody{.user = "nobody"};
    REQUIRE(endpoint.listen(privilege::bind_socket_for(path, SOCK_SEQPACKET, nobody).value(),
                            ::geteuid()));
    control.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    REQUIRE(::connect(control.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    endpoint.turn(1);
    channel = contract::Channel::receive(control.get(), 1000).value();
    commands = channel.command_producer();
    events = channel.event_consumer();
    ::unlink(path.c_str());
  }
  ~World() {
    void* left = nullptr;
    while (rte_ring_dequeue(line.commands, &left) == 0)
      rte_pktmbuf_free(static_cast<rte_mbuf*>(left));
    rte_ring_free(line.commands);
    for (rte_ring* to_main : line.to_main) rte_ring_free(to_main);
    CHECK(rte_mempool_in_use_count(pool()) == 0);
  }

  // Sends one command and gives its answer.
  template <class Body>
  contract::Reply ask(MessageType type, std::uint32_t slot, std::uint32_t generation,
                      const Body& body, Bytes payload = {}) {
    contract::MessageHeader header;
    header.type = type;
    header.body_size = sizeof(body);
    header.payload_size = static_cast<std::uint32_t>(payload.size());
    header.request = ++request;
    header.slot = SlotId(slot);
    header.generation = generation;
    REQUIRE(commands.push(header, std::as_bytes(std::span(&body, 1)), payload));
    endpoint.turn(1);
    contract::ReceivedMessage message;
    REQUIRE(events.pop(message) == contract::RingConsumer::Outcome::kMessage);
    REQUIRE(message.header.type == MessageType::kReply);
    REQUIRE(message.header.request == request);
    return message.body_as<contract::Reply>().value();
  }
  std::uint32_t install(std::uint32_t slot) {
    contract::InstallSession session;
    session.our_call_id = OurCallId(static_cast<std::uint16_t>(100 + slot));
    session.local = Ipv4Address(0xc6336401);
    session.peer = Ipv4Address(0xcb007105);
    const auto reply = ask(MessageType::kInstallSession, slot, 0, session);
    REQUIRE(reply.result == ReplyResult::kDone);
    return reply.generation;
  }
  // The command that the owner finds next, if any.
  std::optional<WorkerCommand> next() {
    void* packet = nullptr;
    if (rte_ring_dequeue(line.commands, &packet) != 0) return std::nullopt;
    const WorkerCommand command = command_of(static_cast<rte_mbuf*>(packet));
    rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
    return command;
  }
};

}  // namespace

TEST_CASE("endpoint: IPv6 is opened once for each prefix, and closed",
          "[dataplane][endpoint][ipv6]") {
  World world;
  const std::uint32_t first = world.install(1);
  const std::uint32_t second = world.install(2);
  contract::OpenIpv6 open;
  open.prefix = kPrefix;
  open.our_interface_id = 7;
  open.peer_interface_id = 8;
  open.inner_mtu = 1396;
  open.rate_bits_per_second = 9;
  CHECK(world.ask(MessageType::kOpenIpv6, 1, first, open).result == ReplyResult::kDone);
  const auto command = world.next();
  REQUIRE(command);
  CHECK(command->type == WorkerCommandType::kOpenIpv6);
  CHECK(command->slot == SlotId(1));
  CHECK(command->generation == first);
  CHECK(std::memcmp(&command->body.open_ipv6, &open, sizeof(open)) == 0);
  world.memory.sessions()[1].ipv6_prefix = kPrefix;  // as the owner does
  CHECK(world.table->find_by_prefix(kPrefix).slot == SlotId(1));

  // Refused commands do not reach the owner.
  CHECK(world.ask(MessageType::kOpenIpv6, 2, second, open).result == ReplyResult::kAddressInUse);
  open.prefix = 0xfe80'0000'0000'0000;
  CHECK(world.ask(MessageType::kOpenIpv6, 2, second, open).result == ReplyResult::kBadMessage);
  open.prefix = kPrefix + 1;
  CHECK(world.ask(MessageType::kOpenIpv6, 2, second + 1, open).result ==
        ReplyResult::kBadGeneration);
  CHECK(world.ask(MessageType::kOpenIpv6, 99, 1, open).result == ReplyResult::kBadSlot);
  CHECK(world.ask(MessageType::kOpenIpv6, 2, second, contract::OpenIpv4{}).result ==
        ReplyResult::kBadMessage);
  CHECK_FALSE(world.next());

  contract::MessageHeader close;
  close.type = MessageType::kCloseIpv6;
  close.slot = SlotId(1);
  close.generation = first;
  REQUIRE(world.commands.push(close, {}, {}));
  world.endpoint.turn(1);
  const auto closed = world.next();
  REQUIRE(closed);
  CHECK(closed->type == WorkerCommandType::kCloseIpv6);
  CHECK_FALSE(world.table->find_by_prefix(kPrefix));
  open.prefix = kPrefix;
  CHECK(world.ask(MessageType::kOpenIpv6, 2, second, open).result == ReplyResult::kDone);
}

TEST_CASE("endpoint: rates and filters go to the owner, filters that nobody has are refused",
          "[dataplane][endpoint][rates]") {
  World world;
  const std::uint32_t generation = world.install(1);
  contract::SessionService service{
      .rates = {.upstream = {1'000'000, 0}, .downstream = {2'000'000, 9'000}}, .filters = {}};
  CHECK(world.ask(MessageType::kSetService, 1, generation, service).result == ReplyResult::kDone);
  const auto command = world.next();
  REQUIRE(command);
  CHECK(command->type == WorkerCommandType::kSetService);
  CHECK(command->generation == generation);
  CHECK(command->body.set_service == service);

  service.filters.upstream = 2;
  CHECK(world.ask(MessageType::kSetService, 1, generation, service).result ==
        ReplyResult::kBadMessage);
  CHECK_FALSE(world.next());
  world.memory.header().filters[2] = contract::name_mark("web");
  CHECK(world.ask(MessageType::kSetService, 1, generation, service).result == ReplyResult::kDone);
  CHECK(world.next()->body.set_service.filters.upstream == 2);
  service.filters.downstream = 64;  // no such number
  CHECK(world.ask(MessageType::kSetService, 1, generation, service).result ==
        ReplyResult::kBadMessage);
  CHECK(world.ask(MessageType::kSetService, 1, generation, contract::SetNetworks()).result ==
        ReplyResult::kBadMessage);
  CHECK(world.ask(MessageType::kSetService, 1, generation + 1, contract::SessionService()).result ==
        ReplyResult::kBadGeneration);
  CHECK_FALSE(world.next());
}

TEST_CASE("endpoint: outer packets of sessions do not begin with the same identification",
          "[dataplane][endpoint][rfc6864-4]") {
  World world;
  std::set<std::uint16_t> first;
  for (std::uint32_t slot = 0; slot < 16; ++slot) {
    world.install(slot);
    first.insert(world.memory.sessions()[slot].downstream.ip_identification);
  }
  // All 16 the same, or in a row, is as good as impossible.
  CHECK(first.size() > 8);
  CHECK(*first.rbegin() - *first.begin() > 16);
}

TEST_CASE("endpoint: a descriptor that is not readable costs no system call",
          "[dataplane][endpoint]") {
  World world;
  // Commands are taken although poll(2) said nothing of them: the ring is looked at.
  contract::MessageHeader header;
  header.type = MessageType::kPing;
  header.request = 7;
  REQUIRE(world.commands.push(header, {}, {}));
  world.endpoint.turn(1, {false, false, false});
  contract::ReceivedMessage message;
  CHECK(world.events.pop(message) == contract::RingConsumer::Outcome::kMessage);
  // The end of a control process is seen when its socket is readable, and not before.
  world.control.reset();
  world.endpoint.turn(1, {false, false, false});
  CHECK(world.endpoint.control_attached().load());
  std::vector<pollfd> fds;
  world.endpoint.add_poll_fds(fds);
  REQUIRE(::poll(fds.data(), fds.size(), 1'000) > 0);
  const auto readable = Endpoint::readable(fds);
  CHECK_FALSE(readable.listener);
  CHECK(readable.control);
  world.endpoint.turn(1, readable);
  CHECK_FALSE(world.endpoint.control_attached().load());
}

namespace {

contract::SessionNetwork network4(const char* text) {
  const Ipv4Prefix prefix = Ipv4Prefix::parse(text).value();
  return {.address = {0, prefix.address.value}, .family = 4, .length = prefix.length};
}
contract::SessionNetwork network6(const char* text) {
  const Ipv6Prefix prefix = Ipv6Prefix::parse(text).value();
  return {.address = prefix.address, .family = 6, .length = prefix.length};
}

struct Sites : World {
  ReplyResult set(std::uint32_t slot, std::uint32_t generation,
                  const std::vector<contract::SessionNetwork>& list, int missing = 0) {
    contract::SetNetworks body;
    body.count = static_cast<std::uint16_t>(static_cast<int>(list.size()) + missing);
    return ask(MessageType::kSetNetworks, slot, generation, body, std::as_bytes(std::span(list)))
        .result;
  }
};
using Led = std::map<std::string, std::uint32_t>;

}  // namespace

TEST_CASE("endpoint: networks lead to a session, are replaced as a whole, and go with it",
          "[dataplane][endpoint][networks]") {
  Sites world;
  const std::uint32_t generation = world.install(1);
  REQUIRE(world.set(1, generation, {network4("192.168.50.0/24"), network6("2001:db8:50::/48")}) ==
          ReplyResult::kDone);
  CHECK(world.led == Led{{"::ffff:192.168.50.0/120", 1}, {"2001:db8:50::/48", 1}});
  CHECK(world.memory.header().networks.get() == 2);
  const auto told = world.next();
  REQUIRE(told);
  CHECK(told->type == WorkerCommandType::kSetNetworks);
  CHECK(told->body.set_networks.count == 2);
  REQUIRE(world.set(1, generation, {network4("192.168.50.0/24"), network4("10.7.0.0/16")}) ==
          ReplyResult::kDone);
  CHECK(world.led == Led{{"::ffff:192.168.50.0/120", 1}, {"::ffff:10.7.0.0/112", 1}});

  // Another session cannot have one of them, and gets none of its list.
  const std::uint32_t other = world.install(2);
  CHECK(world.set(2, other, {network4("172.16.0.0/12"), network4("10.7.0.0/16")}) ==
        ReplyResult::kAddressInUse);
  CHECK(world.led.size() == 2);
  CHECK(world.set(2, other + 1, {}) == ReplyResult::kBadGeneration);

  CHECK(world.ask(MessageType::kRemoveSession, 1, generation, contract::SetNetworks()).result ==
        ReplyResult::kDone);
  CHECK(world.led.empty());
  CHECK(world.memory.header().networks.get() == 0);
  CHECK(world.forgotten == std::vector<std::uint32_t>{1});
  CHECK(world.set(2, other, {network4("10.7.0.0/16")}) == ReplyResult::kDone);
}

TEST_CASE("endpoint: networks that no subscriber can have are refused and counted",
          "[dataplane][endpoint][networks]") {
  Sites world;
  const std::uint32_t generation = world.install(1);
  auto unknown = network4("192.168.50.0/24");
  unknown.family = 5;
  auto wide = network4("192.168.50.0/24");
  wide.address.high = 1;
  const std::vector<std::vector<contract::SessionNetwork>> bad = {
      {unknown},
      {wide},
      {network4("0.0.0.0/0")},
      {network4("192.168.50.1/24")},
      {network6("::/0")},
      {network6("::ffff:0:0/96")},
      {network6("fe80::/64")},
      std::vector(kMaxSessionNetworks + 1, network4("192.168.50.0/24"))};
  std::uint64_t refused = 0;
  for (const auto& list : bad) {
    CHECK(world.set(1, generation, list) == ReplyResult::kBadMessage);
    CHECK(world.memory.header().channel_commands_invalid.get() == ++refused);
  }
  // A count that is not that of the list.
  CHECK(world.set(1, generation, {network4("192.168.50.0/24")}, 1) == ReplyResult::kBadMessage);
  CHECK(world.set(1, generation, {network4("192.168.50.0/24")}, -1) == ReplyResult::kBadMessage);
  CHECK(world.led.empty());
}
