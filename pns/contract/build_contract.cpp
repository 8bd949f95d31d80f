// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/build_contract.hpp"

#include "pns/contract/channel.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"

namespace pns::contract {

BuildContract build_contract() noexcept {
  return {{{{"session_memory_version", kSessionMemoryVersion},
            {"header_size", sizeof(SessionMemoryHeader)},
            {"worker_counters_size", sizeof(WorkerCounters)},
            {"session_record_size", sizeof(SessionRecord)},
            {"drop_reason_count", kDropReasonCount},
            {"channel_version", kChannelVersion},
            {"supervisor_protocol_version", kSupervisorVersion},
            {"store_version", kStoreVersion},
            {"handover_version", kHandOverVersion}}}};
}

std::string to_json(const BuildContract& contract, std::string_view program) {
  std::string text = R"({"program":")";
  text += program;
  text += R"(","version":")" PNS_VERSION R"(")";
  for (const auto& [name, value] : contract.items) {
    text += ",\"";
    text += name;
    text += "\":" + std::to_string(value);
  }
  return text + '}';
}

}  // namespace pns::contract
