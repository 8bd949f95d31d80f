// SPDX-License-Identifier: BSD-3-Clause
//
// The decoders of PPP control packets: frame, header, the option walker and every option of LCP,
// IPCP, IPV6CP and CCP, and the bodies of Protocol-Reject, Echo and CHAP. All that is read must lie
// within the packet, what is written again must be what was read, and walks end.
#include <algorithm>
#include <vector>

#include "pns/wire/ppp_control.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;

bool within(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

bool equal(Bytes a, Bytes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

template <class Body>
void same_when_written(const Body& body, Bytes octets) {
  std::vector<std::byte> out(octets.size());
  Writer writer(out);
  body.write(writer);
  PNS_CLAIM(writer.ok() && equal(writer.written(), octets));
}

// Options are their whole data, to the octet.
template <class Body>
void option_as(const wire::Option& option) {
  if (const auto body = Body::parse(option.data)) {
    std::vector<std::byte> whole(option.whole.begin(), option.whole.end());
    whole[0] = static_cast<std::byte>(Body::kType);
    same_when_written(*body, whole);
  }
}

void one_option(const wire::Option& option, Bytes options) {
  PNS_CLAIM(within(option.whole, options) && within(option.data, option.whole));
  PNS_CLAIM(option.whole.size() >= 2 && option.data.size() == option.whole.size() - 2);
  PNS_CLAIM(std::to_integer<std::uint8_t>(option.whole[0]) == option.type);
  PNS_CLAIM(std::to_integer<std::size_t>(option.whole[1]) == option.whole.size());
  // By every decoder, whatever its number: a Nak may hold any of them.
  option_as<wire::MaximumReceiveUnit>(option);
  option_as<wire::AsyncControlCharacterMap>(option);
  option_as<wire::MagicNumber>(option);
  option_as<wire::ProtocolFieldCompression>(option);
  option_as<wire::AddressAndControlFieldCompression>(option);
  option_as<wire::InterfaceIdentifier>(option);
  option_as<wire::MppeSupportedBits>(option);
  if (const auto address = wire::AddressOption::parse(option))
    same_when_written(*address, option.whole);
  // Data of other protocols than CHAP is not kept.
  if (const auto auth = wire::AuthenticationProtocol::parse(option.data)) {
    std::vector<std::byte> out(5);
    Writer writer(out);
    auth->write(writer);
    PNS_CLAIM(writer.ok() && writer.size() <= option.whole.size());
    PNS_CLAIM(wire::AuthenticationProtocol::parse(writer.written().subspan(2)) == auth);
  }
}

void options(Bytes octets) {
  wire::OptionReader reader(octets);
  std::size_t walked = 0;
  while (const auto option = reader.next()) {
    one_option(*option, octets);
    walked += option->whole.size();
    PNS_CLAIM(walked <= octets.size());
  }
  PNS_CLAIM(reader.ok() == (walked == octets.size()));
  PNS_CLAIM(reader.ok() == wire::options_well_formed(octets));
  PNS_CLAIM(!reader.next());
}

void bodies(Bytes data) {
  if (const auto reject = wire::ProtocolReject::parse(data))
    PNS_CLAIM(reject->rejected_information.size() + 2 == data.size() &&
              within(reject->rejected_information, data));
  if (const auto echo = wire::EchoBody::parse(data))
    PNS_CLAIM(echo->data.size() + 4 == data.size() && within(echo->data, data));
  if (const auto chap = wire::ChapValue::parse(data)) {
    PNS_CLAIM(within(chap->value, data) && within(chap->name, data));
    same_when_written(*chap, data);
  }
  if (const auto response = wire::MsChapV2Response::parse(data)) {
    std::vector<std::byte> out(wire::MsChapV2Response::kLength);
    Writer writer(out);
    response->write(writer);
    PNS_CLAIM(writer.ok() && wire::MsChapV2Response::parse(out) == response);
  }
}

void packet(Bytes information) {
  const auto read = wire::parse_control_packet(information);
  if (!read) return;
  PNS_CLAIM(within(read->whole, information) && within(read->data, read->whole));
  PNS_CLAIM(read->whole.size() == read->data.size() + wire::kControlHeaderLength);
  std::vector<std::byte> out(read->whole.size());
  PNS_CLAIM(wire::write_control_packet(out, read->code, read->identifier, read->data) ==
            out.size());
  PNS_CLAIM(equal(out, read->whole));
  options(read->data);
  bodies(read->data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = std::as_bytes(std::span(data, std::min<std::size_t>(size, 1600)));
  if (const auto frame = wire::parse_ppp_frame(input)) {
    PNS_CLAIM(within(frame->information, input) && (frame->protocol & 1) == 1);
    packet(frame->information);
  }
  packet(input);
  options(input);
  bodies(input);
  return 0;
}
