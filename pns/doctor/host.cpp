// SPDX-License-Identifier: BSD-3-Clause
#include "pns/doctor/host.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>

namespace pns::doctor {

const Link* Network::find(std::string_view interface) const noexcept {
  const auto found = std::ranges::find(links, interface, &Link::name);
  return found == links.end() ? nullptr : &*found;
}

std::vector<Ipv4Prefix> Network::addresses_of(std::string_view interface) const {
  std::vector<Ipv4Prefix> own;
  for (const InterfaceAddress& address : addresses)
    if (address.interface == interface) own.push_back(address.own);
  return own;
}

std::optional<std::string> Host::read(const std::filesystem::path& file) const {
  std::ifstream in(root / file, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text((std::istreambuf_iterator<char>(in)), {});
  if (in.bad()) return std::nullopt;
  text.erase(text.find_last_not_of(" \t\n") + 1);
  return text;
}

std::optional<std::uint64_t> Host::read_number(const std::filesystem::path& file) const {
  const auto text = read(file);
  if (!text) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return value;
}

bool Host::exists(const std::filesystem::path& file) const {
  std::error_code error;
  return std::filesystem::exists(root / file, error);
}

const std::string& interface_of(const config::Port& port) noexcept {
  return port.kernel_interface();
}

}  // namespace pns::doctor
