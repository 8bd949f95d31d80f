// SPDX-License-Identifier: BSD-3-Clause
//
// `pns`: the operator's command. Reads the command line and hands over to one of the commands.
#include <CLI/CLI.hpp>
#include <string>

#include "pns/cli/check.hpp"
#include "pns/cli/client.hpp"
#include "pns/cli/doctor.hpp"
#include "pns/cli/drain.hpp"
#include "pns/cli/hash_password.hpp"
#include "pns/cli/import.hpp"
#include "pns/cli/reload.hpp"
#include "pns/cli/restart.hpp"
#include "pns/contract/build_contract.hpp"
#include "pns/privilege/confinement.hpp"
#include "pns/supervisor/supervisor.hpp"

namespace {

constexpr const char* kRunDir = "/run/pns";

std::string contract_of(const char* program) {
  return pns::contract::to_json(pns::contract::build_contract(), program);
}

void add_client_options(CLI::App& command, pns::cli::ClientOptions& options) {
  command.add_option("--run-dir", options.run_dir, "run directory of the server")
      ->default_val(kRunDir)
      ->type_name("DIR");
  command.add_option("--socket", options.socket, "management socket, instead of DIR/control.sock")
      ->type_name("PATH");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"PPTP network server.\nPPTP's cryptography is broken: use it only where you must."};
  app.name("pns");
  app.set_version_flag("--version", "pns " PNS_VERSION);
  app.add_flag_callback(
      "--contract",
      [] {
        if (const std::string objection = pns::privilege::drop_objection(); !objection.empty())
          throw CLI::CallForVersion(objection, 1);
        throw CLI::CallForVersion(contract_of("pns"), 0);
      },
      "print what this program was built to share with the others");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  pns check --config /etc/pns/pns.yaml\n"
      "  pns doctor --config /etc/pns/pns.yaml\n"
      "  pns run --config /etc/pns/pns.yaml\n"
      "  pns show sessions\n"
      "  pns show session alice --json\n"
      "  pns call clear alice\n"
      "  pns reload --dry-run\n"
      "  pns reload --confirm-within 2m\n"
      "  pns restart control\n"
      "  pns drain --deadline 30m\n"
      "Exit status: 0 done, 1 refused or failed, 2 the server is not running.");
  int status = 0;

  // The options of what starts a server. Result: --run-dir.
  const auto add_places = [](CLI::App* command, auto& places) {
    command->add_option("--config", places.config_file, "configuration file")
        ->required()
        ->type_name("FILE");
    return command->add_option("--run-dir", places.run_dir, "directory of sockets and pid files")
        ->default_val(kRunDir)
        ->type_name("DIR");
  };

  pns::supervisor::PreflightOptions checking;
  bool files_alone = false;
  auto* check = app.add_subcommand(
      "check", "Check whether the server can start with a configuration; prints every error");
  add_places(check, checking)->envname(pns::supervisor::kCheckRunDirVariable);
  check->add_flag("--no-host", files_alone,
                  "check the files alone: the server is to run on another host");
  check->add_option("--process", checking.process, "check what one process needs, not all three")
      ->envname(pns::supervisor::kCheckProcessVariable)
      ->check(CLI::IsMember({"control", "dataplane", "supervisor"}));
  check->callback([&] {
    checking.host = !files_alone;
    status = pns::cli::run_check(checking);
  });

  pns::cli::DoctorOptions examining;
  pns::cli::ClientOptions examined;
  auto* doctor = app.add_subcommand(
      "doctor", "Check what stands between this host and working calls, and print the remedies");
  doctor->add_option("--config", examining.config_file, "configuration file")
      ->required()
      ->type_name("FILE");
  add_client_options(*doctor, examined);
  doctor->add_flag("--json", examined.json, "print JSON");
  doctor->footer(
      "Run it as root, in the network namespace of the server. It changes nothing.\n"
      "The server need not run. The check `server` asks one that runs; `listener` and `limits` "
      "look "
      "at its processes.\n"
      "Exit status: 0 no error, 1 errors, 2 the configuration or the command line is wrong.");
  doctor->callback([&] { status = pns::cli::run_doctor(examined, examining); });

  pns::supervisor::SupervisorOptions supervisor;
  auto* run = app.add_subcommand(
      "run", "Run the server in the foreground; prints `ready` when it serves, SIGTERM ends it");
  add_places(run, supervisor);
  run->add_option("--resume-fd", supervisor.resume_fd)->group("");  // of pns restart supervisor
  run->callback([&] { status = pns::supervisor::run_supervisor(supervisor); });

  constexpr const char* kSelectorHelp =
      "id=ID, user=NAME, address=INNER-IPV4, peer=OUTER-IPV4, or a user's name";
  pns::cli::ClientOptions client;
  std::string name;
  auto* show = app.add_subcommand("show", "Show the state of a running server");
  show->require_subcommand(1);
  for (const auto& [what, help] : {std::pair{"sessions", "every session, one line each"},
                                   std::pair{"session", "everything about one session"},
                                   std::pair{"stats", "counters of the whole server"},
                                   std::pair{"connections", "control connections"},
                                   std::pair{"sources", "source addresses, the most limited first"},
                                   std::pair{"pools", "address pools and what is leased"},
                                   std::pair{"ports", "what devices and sockets of the ports lost"},
                                   std::pair{"workers", "dataplane workers"},
                                   std::pair{"config", "the configuration in effect"}}) {
    auto* item = show->add_subcommand(what, help);
    add_client_options(*item, client);
    item->add_flag("--json", client.json, "print JSON");
    if (std::string(what) == "session")
      item->add_option("SESSION", name, kSelectorHelp)->required();
    item->callback(
        [&, what = std::string(what)] { status = pns::cli::run_show(client, what, name); });
  }

  auto* audit = app.add_subcommand(
      "audit", "Compare session memory, the store, leases and connections; exit 1 if they differ");
  add_client_options(*audit, client);
  audit->add_flag("--json", client.json, "print JSON");
  audit->callback([&] { status = pns::cli::run_audit(client); });

  auto* call = app.add_subcommand("call", "Act on a call");
  call->require_subcommand(1);
  auto* clear = call->add_subcommand("clear", "End a call, telling the peer");
  add_client_options(*clear, client);
  clear->add_option("SESSION", name, kSelectorHelp)->required();
  clear->callback([&] { status = pns::cli::run_call_clear(client, name); });

  pns::cli::PlaceOptions placing;
  auto* place = call->add_subcommand("place", "Place a call by a PAC and wait until it is up");
  add_client_options(*place, client);
  place->add_option("--pac", placing.pac, "IPv4 address of the PAC")->required();
  place->add_option("--number", placing.number, "phone number for the PAC, at most 64 octets")
      ->required();
  place->add_option("--subaddress", placing.subaddress, "at most 64 octets");
  place->add_option("--timeout", placing.timeout_s, "seconds until the PPP link must be open")
      ->capture_default_str()
      ->check(CLI::Range(1, 600));
  place->add_flag("--json", client.json, "print JSON");
  place->callback([&] { status = pns::cli::run_call_place(client, placing); });

  pns::cli::RestartOptions restarting;
  auto* restart = app.add_subcommand(
      "restart", "Restart one process of the server, as it lies on disk now; calls live on");
  restart->add_option("WHAT", restarting.what, "control, dataplane or supervisor")
      ->required()
      ->check(CLI::IsMember({"control", "dataplane", "supervisor"}));
  add_client_options(*restart, client);
  restart->add_option("--timeout", restarting.timeout_s, "seconds until it must serve again")
      ->capture_default_str()
      ->check(CLI::Range(1, 600));
  restart->callback([&] { status = pns::cli::run_restart(client, restarting); });

  pns::cli::ReloadOptions reloading;
  auto* reload =
      app.add_subcommand("reload", "Put a changed configuration file into force; calls live on");
  add_client_options(*reload, client);
  auto* dry_run = reload->add_flag("--dry-run", reloading.dry_run,
                                   "show what would change and when, and change nothing");
  auto* within = reload
                     ->add_option("--confirm-within", reloading.confirm_within,
                                  "the configuration before returns after this time, unless "
                                  "`pns reload --confirm` comes: 2m")
                     ->type_name("DURATION");
  auto* confirm =
      reload->add_flag("--confirm", reloading.confirm, "keep what the last reload changed");
  dry_run->excludes(within)->excludes(confirm);
  confirm->excludes(within);
  reload->add_option("--timeout", reloading.timeout_s, "seconds until control must serve again")
      ->capture_default_str()
      ->check(CLI::Range(1, 600));
  reload->add_flag("--json", client.json, "print JSON");
  reload->footer(
      "Reads the file that the server was started with, and the users and secrets that it names.\n"
      "A wrong file changes nothing. No key ends a call: the output says when each takes effect.");
  reload->callback([&] { status = pns::cli::run_reload(client, reloading); });

  pns::cli::DrainOptions draining;
  auto* drain = app.add_subcommand(
      "drain", "Take no new calls, and wait until those that there are have ended");
  add_client_options(*drain, client);
  auto* deadline = drain
                       ->add_option("--deadline", draining.deadline,
                                    "time after which the calls that are left are ended: 30m")
                       ->type_name("DURATION");
  auto* cancel = drain->add_flag("--cancel", draining.cancel, "take calls again");
  auto* drain_status =
      drain->add_flag("--status", draining.status, "print how far it is, and change nothing");
  cancel->excludes(deadline)->excludes(drain_status);
  drain_status->excludes(deadline);
  drain->add_flag("!--no-wait", draining.wait, "return at once");
  drain->add_flag("--json", client.json, "print JSON, at the end");
  drain->callback([&] { status = pns::cli::run_drain(client, draining); });

  pns::cli::ImportOptions importing;
  auto* import = app.add_subcommand(
      "import", "Make a configuration of ours out of another server's; starts nothing");
  import->require_subcommand(1);
  for (const auto& [from, file] :
       {std::pair{"accel-ppp", "accel-ppp.conf"}, std::pair{"poptop", "pptpd.conf"}}) {
    const bool is_poptop = std::string(from) == "poptop";
    auto* item = import->add_subcommand(from, std::string("of ") + from);
    item->add_option("FILE", importing.file, file)->required()->type_name("FILE");
    item->add_option("--output", importing.output, "directory of the new files")
        ->required()
        ->type_name("DIR");
    if (is_poptop)
      item->add_option("--secrets", importing.secrets, "users and passwords of pppd")
          ->capture_default_str()
          ->type_name("FILE");
    item->add_flag("--force", importing.force, "write over files that are there");
    item->callback([&status, &importing, is_poptop] {
      status = is_poptop ? pns::cli::run_import_poptop(importing)
                         : pns::cli::run_import_accel_ppp(importing);
    });
  }

  app.add_subcommand("hash-password",
                     "Read a password from stdin and print what `nt_hash` of a user takes")
      ->callback([&] { status = pns::cli::run_hash_password(); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (app.exit(e) == 0) return 0;  // help and version are no errors
    return doctor->parsed() ? pns::cli::kUsageError : 1;
  }
  return status;
}
