// SPDX-License-Identifier: BSD-3-Clause
//
// The effective configuration as JSON, under the names of the file's keys.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "pns/config/config.hpp"

namespace pns::config {
namespace {

using Json = nlohmann::ordered_json;

Json text(std::string_view value) { return std::string(value); }

std::string duration_text(Microseconds value) {
  const auto us = value.count();
  if (us % 1'000'000 == 0) return fmt::format("{}s", us / 1'000'000);
  if (us % 1'000 == 0) return fmt::format("{}ms", us / 1'000);
  return fmt::format("{}us", us);
}

std::string range_text(const Ipv4Range& range) {
  if (range.first == range.last) return range.first.to_string();
  return range.first.to_string() + "-" + range.last.to_string();
}

template <class List, class Print>
Json list(const List& values, Print print) {
  Json array = Json::array();
  for (const auto& value : values) array.push_back(print(value));
  return array;
}

// One list of two, as the file has it.
Json joined(Json first, const Json& second) {
  for (const Json& entry : second) first.push_back(entry);
  return first;
}

constexpr auto kPrintSelf = [](const auto& value) { return value.to_string(); };
constexpr auto kPrintWord = [](auto value) { return text(name_of(value)); };

Json rule_json(const FilterRule& rule) {
  const auto ports_text = [](const FilterRule::Ports& ports) {
    return ports.first == ports.last ? fmt::format("{}", ports.first)
                                     : fmt::format("{}-{}", ports.first, ports.last);
  };
  Json json{{"action", rule.permit ? "permit" : "deny"}};
  if (rule.protocol) json["protocol"] = *rule.protocol;
  if (rule.ipv4_source) json["source"] = rule.ipv4_source->to_string();
  if (rule.ipv6_source) json["source"] = rule.ipv6_source->to_string();
  if (rule.source_ports) json["source_ports"] = ports_text(*rule.source_ports);
  if (rule.ipv4_destination) json["destination"] = rule.ipv4_destination->to_string();
  if (rule.ipv6_destination) json["destination"] = rule.ipv6_destination->to_string();
  if (rule.destination_ports) json["destination_ports"] = ports_text(*rule.destination_ports);
  return json;
}

Json direction_json(const Rates::Direction& direction) {
  Json json = {{"mode", direction.mode == RateMode::kShape ? "shape" : "police"},
               {"burst", duration_text(direction.burst_time())}};
  if (direction.mode == RateMode::kShape) json["delay"] = duration_text(direction.delay);
  return json;
}

Json rate_groups_json(const std::map<std::string, RateGroup>& groups) {
  Json json = Json::object();
  for (const auto& [name, group] : groups) {
    json[name] = Json::object();
    if (group.up) json[name]["up"] = fmt::format("{}bit", *group.up);
    if (group.down) json[name]["down"] = fmt::format("{}bit", *group.down);
  }
  return json;
}

Json filters_json(const std::map<std::string, Filter>& filters) {
  Json json = Json::object();
  for (const auto& [name, rules] : filters) json[name] = {{"rules", list(rules, rule_json)}};
  return json;
}

Json port_json(const Port& port) {
  Json json{{"device", port.device.text}};
  if (port.device.kind == DeviceKind::kBond) {
    json["device"] = fmt::format("bond:{}", name_of(port.device.bond_mode));
    json["members"] = port.device.members;
  }
  if (port.table != 0) json["table"] = port.table;
  if (!port.vlan.empty()) json["vlan"] = port.vlan;
  if (port.leads_to_host()) {
    json["addresses"] =
        joined(list(port.addresses, kPrintSelf), list(port.ipv6_addresses, kPrintSelf));
    if (port.mtu != 0) json["mtu"] = port.mtu;
  }
  if (!port.has_twin()) return json;
  json["twin"] = port.twin;
  const auto print_route = [](const auto& route) {
    return Json{{"to", route.to.to_string()}, {"via", route.via.to_string()}};
  };
  json["addresses"] =
      joined(list(port.addresses, kPrintSelf), list(port.ipv6_addresses, kPrintSelf));
  json["routes"] = joined(list(port.routes, print_route), list(port.ipv6_routes, print_route));
  if (port.mtu != 0) json["mtu"] = port.mtu;
  if (port.gateway) json["gateway"] = port.gateway->to_string();
  if (port.ipv6_gateway) json["ipv6_gateway"] = port.ipv6_gateway->to_string();
  return json;
}

Json gre_json(const Gre& gre) {
  return {
      {"reorder", {{"packets", gre.reorder.packets}, {"wait", duration_text(gre.reorder.wait)}}},
      {"send_window", text(name_of(gre.send_window))},
      {"reassembly",
       {{"packets", gre.reassembly.packets}, {"wait", duration_text(gre.reassembly.wait)}}}};
}

Json admission_json(const Admission& admission) {
  return {{"set_ups", admission.set_ups},
          {"per_source_set_ups", admission.per_source_set_ups},
          {"waiting", admission.waiting},
          {"per_source_waiting", admission.per_source_waiting},
          {"wait", duration_text(admission.wait)},
          {"set_up_time", duration_text(admission.set_up_time)}};
}

Json limits_json(const SourceLimits& limits) {
  const auto rate = [](const Rate& value) {
    return Json{{"rate", value.rate}, {"burst", value.burst}};
  };
  return {{"connections", limits.connections},
          {"new_calls", rate(limits.new_calls)},
          {"messages", rate(limits.messages)},
          {"idle_connection_time", duration_text(limits.idle_connection_time)},
          {"set_up_deadline", duration_text(limits.set_up_deadline)},
          {"failed_logins",
           {{"per_account", limits.failed_logins_per_account},
            {"per_source", limits.failed_logins_per_source}}},
          {"allow", list(limits.allow, kPrintSelf)},
          {"deny", list(limits.deny, kPrintSelf)},
          {"exempt", list(limits.exempt, kPrintSelf)}};
}

Json ppp_json(const Ppp& ppp) {
  Json mppe{{"policy", text(name_of(ppp.mppe.policy))}};
  if (ppp.mppe.policy != MppePolicy::kOff) {
    mppe["key_bits"] = ppp.mppe.key_bits;
    mppe["mode"] = text(name_of(ppp.mppe.mode));
  }
  return {
      {"mtu", ppp.mtu},
      {"lcp_echo",
       {{"interval", duration_text(ppp.lcp_echo.interval)}, {"failures", ppp.lcp_echo.failures}}},
      {"auth", list(ppp.auth, kPrintWord)},
      {"eap", list(ppp.eap, kPrintWord)},
      {"auth_retries", ppp.auth_retries},
      {"mppe", mppe},
      {"dns", joined(list(ppp.dns, kPrintSelf), list(ppp.ipv6_dns, kPrintSelf))},
      {"wins", list(ppp.wins, kPrintSelf)},
      {"domain", ppp.domain},
      {"dhcpv6", text(name_of(ppp.dhcpv6))},
      {"broadcast_relay", ppp.broadcast_relay == 0 ? Json("off") : Json(ppp.broadcast_relay)}};
}

Json radius_json(const Radius& radius) {
  const auto print_server = [](const RadiusServer& server) {
    Json json{{"address", to_string(server.address)},
              {"auth_port", server.auth_port},
              {"accounting_port", server.accounting_port},
              {"kind", list(server.kinds, kPrintWord)},
              {"secret_file", server.secret_file.string()},
              {"priority", server.priority},
              {"weight", server.weight},
              {"timeout", duration_text(server.timeout)},
              {"tries", server.tries},
              {"window", server.window},
              {"status_server", server.status_server ? "on" : "off"}};
    if (!server.name.empty()) json["name"] = server.name;
    return json;
  };
  Json json{{"servers", list(radius.servers, print_server)},
            {"nas_identifier", radius.nas_identifier},
            {"message_authenticator", text(name_of(radius.message_authenticator))},
            {"deadline", duration_text(radius.deadline)},
            {"waiting", radius.waiting},
            {"dead",
             {{"after", duration_text(radius.dead.after)},
              {"timeouts", radius.dead.timeouts},
              {"probe_interval", duration_text(radius.dead.probe_interval)}}},
            {"accounting",
             {{"interim_interval", duration_text(radius.accounting.interim_interval)},
              {"spool_directory", radius.accounting.spool_directory.string()},
              {"spool_megabytes", radius.accounting.spool_megabytes},
              {"on_full", text(name_of(radius.accounting.on_full))}}}};
  for (const RadiusAttribute& attribute : radius.attributes) {
    Json entry{{"vendor", attribute.vendor},
               {"type", attribute.type},
               {"means", text(name_of(attribute.means))}};
    if (attribute.unit) entry["unit"] = text(name_of(*attribute.unit));
    if (!attribute.is_name()) entry["format"] = attribute.is_text ? "text" : "binary";
    json["attributes"].push_back(std::move(entry));
  }
  for (const auto& source : {radius.ipv4_source, radius.ipv6_source})
    if (source) json["source_addresses"].push_back(to_string(*source));
  return json;
}

Json authorization_json(const DynamicAuthorization& authorization) {
  const auto print_client = [](const AuthorizationClient& client) {
    return Json{
        {"address", std::visit([](const auto& n) { return n.to_string(); }, client.network)},
        {"secret_file", client.secret_file.string()},
        {"rate", client.rate}};
  };
  const auto print_address = [](const IpAddress& address) { return to_string(address); };
  return {{"listen", list(authorization.listen, print_address)},
          {"port", authorization.port},
          {"clients", list(authorization.clients, print_client)},
          {"message_authenticator", text(name_of(authorization.message_authenticator))},
          {"event_timestamp", text(name_of(authorization.event_timestamp))},
          {"timestamp_window", duration_text(authorization.timestamp_window)}};
}

Json aaa_json(const Aaa& aaa) {
  Json json{{"order", list(aaa.order, kPrintWord)},
            {"sessions_per_user", aaa.sessions_per_user},
            {"on_limit", text(name_of(aaa.on_limit))},
            {"on_conflict", text(name_of(aaa.on_conflict))},
            {"local", {{"users_file", aaa.local.users_file.string()}}}};
  for (const Realm& realm : aaa.realms) {
    Json& entry = json["realms"][realm.name];
    entry = {{"order", list(realm.order.empty() ? aaa.order : realm.order, kPrintWord)},
             {"strip", realm.strip}};
    if (!realm.servers.empty()) entry["servers"] = realm.servers;
  }
  if (!aaa.default_realm.empty()) json["default_realm"] = aaa.default_realm;
  if (!aaa.local.password_changes_file.empty())
    json["local"]["password_changes_file"] = aaa.local.password_changes_file.string();
  if (!aaa.radius) return json;
  Json radius = radius_json(*aaa.radius);
  if (aaa.radius->dynamic_authorization)
    radius["dynamic_authorization"] = authorization_json(*aaa.radius->dynamic_authorization);
  json["radius"] = radius;
  return json;
}

}  // namespace

std::string dump_json(const Config& config) {
  Json json;
  json["file"] = config.file.string();
  json["node"] = {{"name", config.node.name}};
  const Dataplane& dataplane = config.dataplane;
  json["dataplane"] = {
      {"cores", {{"main", dataplane.cores.main}, {"workers", dataplane.cores.workers}}},
      {"memory",
       {{"hugepages", text(name_of(dataplane.memory.hugepages))},
        {"megabytes", dataplane.memory.megabytes}}},
      {"idle",
       {{"mode", text(name_of(dataplane.idle.mode))},
        {"spin_polls", dataplane.idle.spin_polls},
        {"sleep", duration_text(dataplane.idle.sleep)},
        {"wait", duration_text(dataplane.idle.wait)}}},
      {"mppe_variant", text(name_of(dataplane.mppe_variant))},
      {"mppe_rc4", text(name_of(dataplane.mppe_rc4))},
      {"steering", text(name_of(dataplane.steering))},
      {"max_sessions", dataplane.max_sessions}};
  json["ports"] = {{"access", port_json(config.ports.access)},
                   {"core", port_json(config.ports.core)}};
  json["ports"]["access"]["reachable_by_subscribers"] =
      config.ports.access.reachable_by_subscribers;
  const Services& services = config.ports.core.services;
  Json& services_json = json["ports"]["core"]["services"];
  services_json["enabled"] = services.enabled;
  if (services.enabled) {
    services_json["interface"] = services.interface;
    services_json["table"] = services.table;
  }
  json["pptp"] = {{"listen", list(config.pptp.listen, kPrintSelf)},
                  {"echo_interval", duration_text(config.pptp.echo_interval)},
                  {"max_connections", config.pptp.max_connections},
                  {"incoming_calls", config.pptp.incoming_calls ? "accept" : "refuse"},
                  {"wan_error_notify", config.pptp.wan_error_notify ? "on" : "off"},
                  {"admission", admission_json(config.pptp.admission)},
                  {"limits", limits_json(config.pptp.limits)},
                  {"gre", gre_json(config.pptp.gre)}};
  json["ppp"] = ppp_json(config.ppp);
  json["pools"] = Json::object();
  for (const auto& [name, pool] : config.pools) {
    Json& entry = json["pools"][name];
    entry = {{"ranges", list(pool.ranges, range_text)}, {"gateway", pool.gateway.to_string()}};
    if (pool.skip_0_and_255) entry["skip_0_and_255"] = true;
    if (!pool.exclude.empty()) entry["exclude"] = list(pool.exclude, range_text);
    if (!pool.next.empty()) entry["next"] = pool.next;
    if (!pool.groups.empty()) entry["groups"] = pool.groups;
    if (!pool.dialled.empty()) entry["dialled"] = list(pool.dialled, kPrintSelf);
    if (!pool.routes.empty()) entry["routes"] = list(pool.routes, kPrintSelf);
    if (!pool.ipv6_prefixes.empty()) entry["ipv6_prefixes"] = list(pool.ipv6_prefixes, kPrintSelf);
    if (pool.delegated_prefixes.empty()) continue;
    entry["delegated_prefixes"] = list(pool.delegated_prefixes, kPrintSelf);
    entry["delegated_length"] = pool.delegated_length;
  }
  if (!config.filters.empty()) json["filters"] = filters_json(config.filters);
  json["rates"] = {{"up", direction_json(config.rates.up)},
                   {"down", direction_json(config.rates.down)}};
  if (!config.rate_groups.empty()) json["rate_groups"] = rate_groups_json(config.rate_groups);
  json["aaa"] = aaa_json(config.aaa);
  json["metrics"] = {
      {"listen", config.metrics.listen
                     ? fmt::format("{}:{}", config.metrics.listen->address.to_string(),
                                   config.metrics.listen->port)
                     : "off"}};
  json["control"] = {{"memory", {{"megabytes", config.control.memory_megabytes}}}};
  if (!config.management.socket.empty())
    json["management"] = {{"socket", config.management.socket.string()}};
  json["log"] = {{"level", text(name_of(config.log.level))},
                 {"format", text(name_of(config.log.format))}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pns::config
