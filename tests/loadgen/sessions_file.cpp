// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/sessions_file.hpp"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace pns::loadgen {
namespace {

using Json = nlohmann::ordered_json;

// A value that is not known yet is null.
Json json_of(const Site& site, const Session& session) {
  const bool has_address = session.address() != Ipv4Address();
  return {{"number", session.number()},
          {"source", site.sources[site.histories[session.number()].source].address.to_string()},
          {"state", name_of(session.stage())},
          {"address", has_address ? Json(session.address().to_string()) : Json()},
          {"call_id", session.stage() >= Stage::kCall ? Json(session.call_id()) : Json()},
          {"server_call_id", session.connected() ? Json(session.peer_call_id()) : Json()},
          {"user", session.user()},
          {"connection", session.stage() >= Stage::kStart ? Json(session.local_port()) : Json()}};
}

}  // namespace

void write_sessions_file(const Site& site, const std::string& path) {
  Json all = Json::array();
  for (const auto& session : site.sessions)
    if (session->stage() >= Stage::kConnect && session->stage() <= Stage::kUp)
      all.push_back(json_of(site, *session));
  const std::string fresh = path + ".new";
  std::ofstream out(fresh);
  out << all.dump(1) << std::endl;
  if (!out) throw std::runtime_error("cannot write " + fresh);
  out.close();
  std::filesystem::rename(fresh, path);
}

}  // namespace pns::loadgen
