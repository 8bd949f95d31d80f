// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/build_contract.hpp"

#include "pns/contract/channel.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"

namespace pns::contract {

BuildContract build_contract() noexcept {
  return {.formats = {{{"session_memory", {kSessionMemoryVersion, kSessionMemoryMinCompatible}},
                       {"channel", {kChannelVersion, kChannelMinCompatible}},
                       {"supervisor_protocol", {kSupervisorVersion, kSupervisorMinCompatible}},
                       {"store", {kStoreVersion, kStoreMinCompatible}},
                       {BuildContract::kHandOver, {kHandOverVersion, kHandOverMinCompatible}}}},
          .sizes = {{{"header_size", sizeof(SessionMemoryHeader)},
                     {"worker_counters_size", sizeof(WorkerCounters)},
                     {"session_record_size", sizeof(SessionRecord)},
                     {"session_extension_size", sizeof(SessionExtension)}}}};
}

BuildContract contract_with(const SessionMemoryHeader& header) noexcept {
  BuildContract contract = build_contract();
  for (auto& [name, version] : contract.formats) {
    if (name == "session_memory") version = together(version, header.format.get());
    if (name == "store") version = together(version, header.store.get());
  }
  return contract;
}

std::string to_json(const BuildContract& contract, std::string_view program) {
  std::string text = R"({"program":")";
  text += program;
  text += R"(","version":")" PNS_VERSION R"(")";
  const auto add = [&text](std::string_view name, std::string_view what, std::uint64_t value) {
    text += ",\"";
    text += name;
    text += what;
    text += "\":" + std::to_string(value);
  };
  for (const auto& [name, version] : contract.formats) {
    add(name, "_version", version.version);
    add(name, "_min_compatible", version.min_compatible);
  }
  for (const auto& [name, value] : contract.sizes) add(name, "", value);
  return text + '}';
}

}  // namespace pns::contract
