# SPDX-License-Identifier: BSD-3-Clause
"""Lab: three namespaces around one server.

    guests ── bridge ── access port │ server │ core port ── intranet host
    [inet: 198.51.100.0/24]         [pns]                    [intranet: 10.0.0.0/24]

ports="xdp": veth pairs; the server's ends are ordinary interfaces of namespace pns.
ports="tap": the server's wires are TAPs that move into inet and intranet once it is ready.
ports="packet": veth pairs by DPDK's net_af_packet; the addresses are on the twins.
"""
import ipaddress
import json
import os
import pathlib
import re
import secrets
import shutil

from . import guest as guests
from . import host
from . import server as servers

SOURCE = pathlib.Path(__file__).resolve().parents[3]
STATE = pathlib.Path("/run/pns-lab")

ACCESS = "198.51.100.1"
FIRST_GUEST = ipaddress.IPv4Address("198.51.100.11")
HOME_ROUTER = "192.168.7.1"  # see build_home()
HOME_WAN = "198.51.100.200"
FIRST_AT_HOME = ipaddress.IPv4Address("192.168.7.11")
CORE = "10.0.0.1"
HOST = "10.0.0.53"  # the intranet's host
POOL = "10.64.0.0/16"
CORE6 = "2001:db8::1"
HOST6 = "2001:db8::53"
SUBSCRIBERS6 = ("2001:db8:100::/48", "2001:db8:200::/48")  # routed to the server
WIRE_QUEUE = 20000  # frames: a crowd that dials at once is to meet the server's limits, not the wire's
HUGE_PAGES_NEEDED = 320  # the server's 512 MiB of packet memory, its sessions, and room

TAP_PORTS = f"""ports:
  access: {{device: "tap:wire0", addresses: [{ACCESS}/24]}}
  core: {{device: "tap:wire1", addresses: [{CORE}/24]}}
"""

PACKET_PORTS = f"""ports:
  access: {{device: "net_af_packet0,iface=access0", addresses: [{ACCESS}/24]}}
  core: {{device: "net_af_packet1,iface=core0", addresses: [{CORE}/24]}}
"""


def _namespace_names(lab_id):
    return {role: f"pns-{lab_id}-{role}" for role in ("inet", "pns", "intranet", "home")}


def _remove_namespaces(lab_id):
    existing = {line.split()[0] for line in host.run(["ip", "netns", "list"]).stdout.splitlines()
                if line.split()}
    for name in _namespace_names(lab_id).values():
        if name in existing:
            host.run(["ip", "netns", "delete", name], check=False)


def _forget(state):
    """Removes what a lab left on the machine, from its state directory alone."""
    _remove_namespaces(state.name)
    try:
        host.change_huge_pages(-int((state / "huge-pages").read_text()))
    except (OSError, ValueError):
        pass
    shutil.rmtree(f"/run/pns-lab-uml-{state.name}", ignore_errors=True)
    shutil.rmtree(state, ignore_errors=True)
    try:
        STATE.rmdir()  # the last one out
    except OSError:
        pass


def clean_dead_labs():
    """Removes labs whose owner is gone (killed, out of power). Returns their ids."""
    removed = []
    for state in sorted(STATE.glob("*")) if STATE.is_dir() else []:
        try:
            pid, started = (int(word) for word in (state / "owner").read_text().split())
        except (OSError, ValueError):
            pid, started = 0, 0
        if pid and host.start_time(pid) == started:
            continue
        _forget(state)
        removed.append(state.name)
    return removed


class Lab:
    def __init__(self, ports="auto", binaries=None, keep=None, ipv6=False):
        """`ports`: xdp, tap, packet, or auto (xdp where huge pages are to be had). `binaries`: directory of
        pns and its planes. `keep`: where logs are copied at the end. `ipv6`: in the intranet too."""
        host.require()
        clean_dead_labs()
        self.id = secrets.token_hex(3)
        self.directory = STATE / self.id
        self.binaries = pathlib.Path(binaries or SOURCE / "build" / "bin")
        self.keep = keep
        self.ipv6 = ipv6
        self.guests = []
        self.load = host.Load()
        self.servers = []
        self.processes = []  # others, started with start_in
        self.home = None
        self.next_address = FIRST_GUEST
        STATE.mkdir(mode=0o700, exist_ok=True)
        self.directory.mkdir(mode=0o700)
        (self.directory / "owner").write_text(f"{os.getpid()} {host.start_time(os.getpid())}")
        try:
            self.ports = self._choose_ports(ports)
            names = _namespace_names(self.id)
            self.inet = host.Namespace(names["inet"])
            self.pns = host.Namespace(names["pns"])
            self.intranet = host.Namespace(names["intranet"])
            self._lay_cables()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _choose_ports(self, wanted):
        # Each lab brings its own huge pages, whatever is free: the free ones may be what another lab is about to
        # take. A server on TAPs takes huge pages too when there are enough.
        added = host.change_huge_pages(HUGE_PAGES_NEEDED)
        (self.directory / "huge-pages").write_text(str(added))
        if wanted in ("tap", "packet"):
            return wanted
        if host.free_huge_pages() >= HUGE_PAGES_NEEDED:
            return "xdp"
        if wanted == "xdp":
            raise host.Missing(f"no {HUGE_PAGES_NEEDED} huge pages for --ports xdp")
        return "tap"

    def _lay_cables(self):
        self.inet.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.inet.ip("link", "set", "br0", "up")
        if self.ports == "tap":
            return
        for near, far, namespace in (("access0", "access1", self.inet),
                                     ("core0", "core1", self.intranet)):
            self.pns.ip("link", "add", near, "type", "veth", "peer", "name", far, "netns",
                        namespace.name)
            namespace.offloads_off(far)
        if self.ports == "xdp":
            self.pns.ip("address", "add", f"{ACCESS}/24", "dev", "access0")
            self.pns.ip("address", "add", f"{CORE}/24", "dev", "core0")
        self.pns.ip("link", "set", "access0", "up")
        self.pns.ip("link", "set", "core0", "up")
        if self.ports == "packet":
            # The kernel sees these frames too. It must not answer ARP for the twins' addresses with the MAC
            # address of this interface: the dataplane drops what is sent to it.
            for name in ("access0", "core0"):
                self.pns.sysctl(f"net/ipv4/conf/{name}/arp_ignore", "8")
        if self.ipv6:
            self.pns.sysctl("net/ipv6/conf/core0/disable_ipv6", "0")
            self.pns.sysctl("net/ipv6/conf/core0/forwarding", "1")
            self.pns.ip("address", "add", f"{CORE6}/64", "dev", "core0", "nodad")
        self._plug("access1", "core1")

    def _plug(self, access, core):
        """The far ends: into the bridge, and into the intranet's host."""
        self.inet.ip("link", "set", access, "master", "br0", "up")
        self.intranet.ip("address", "add", f"{HOST}/24", "dev", core)
        self.intranet.ip("link", "set", core, "up")
        self.intranet.ip("route", "add", POOL, "via", CORE)
        if not self.ipv6:
            return
        self.intranet.sysctl(f"net/ipv6/conf/{core}/disable_ipv6", "0")
        self.intranet.ip("address", "add", f"{HOST6}/64", "dev", core, "nodad")
        for network in SUBSCRIBERS6:
            self.intranet.ip("route", "add", network, "via", CORE6, "dev", core)

    def config(self, changes=None):
        """deploy/quickstart.yaml with this lab's ports. `changes`: top-level key → its YAML block."""
        text = (SOURCE / "deploy" / "quickstart.yaml").read_text()
        changes = dict(changes or {})
        if self.ports != "xdp":
            core6 = f', "{CORE6}/64"' if self.ipv6 else ""
            template = TAP_PORTS if self.ports == "tap" else PACKET_PORTS
            changes.setdefault("ports", template.replace(f"{CORE}/24", f"{CORE}/24{core6}"))
        for key, block in changes.items():
            # a top-level key and everything below it that is indented, empty or a comment
            text, count = re.subn(rf"^{key}:.*\n(?:[ \t#].*\n|\n)*", "", text, flags=re.MULTILINE)
            text += ("" if text.endswith("\n") else "\n") + block
            if count > 1:
                raise host.LabError(f"quickstart.yaml has {key} more than once")
        return text

    def start_server(self, users=None, changes=None, name="server"):
        """`users`: name → password, or name → the mapping of one user as YAML flow text."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        users = users or {"alice": "wonderland"}
        lines = [f"{user}: {value}" if value.startswith("{") else f"{user}: {{password: '{value}'}}"
                 for user, value in users.items()]
        users_file = directory / "users.yaml"
        users_file.touch(mode=0o600)
        users_file.write_text("\n".join(lines) + "\n")
        config_file = directory / "pns.yaml"
        config_file.write_text(self.config(changes))
        server = servers.Server(self.pns, self.binaries, config_file, directory)
        self.servers.append(server)
        server.wait_ready()
        if self.ports == "tap":
            self.pns.ip("link", "set", "wire0", "netns", self.inet.name)
            self.inet.ip("link", "set", "wire0", "txqueuelen", str(WIRE_QUEUE))
            if "tap:wire1" not in config_file.read_text():  # one device: the test plugs it in
                return server
            self.pns.ip("link", "set", "wire1", "netns", self.intranet.name)
            self.intranet.ip("link", "set", "wire1", "txqueuelen", str(WIRE_QUEUE))
            self._plug("wire0", "wire1")
        return server

    def start_guest(self, addresses=1, home=False):
        """A guest with so many addresses. It boots meanwhile: wait_boot() before use. `home`: behind
        the router of build_home()."""
        number = len(self.guests) + 1
        tap = f"guest{number}"
        namespace = self.home if home else self.inet
        namespace.ip("tuntap", "add", "dev", tap, "mode", "tap")
        namespace.ip("link", "set", tap, "master", "br0", "up")
        first = FIRST_AT_HOME + len(self.guests) if home else self.next_address
        own = [str(first + i) for i in range(addresses)]
        if not home:
            self.next_address += addresses
        guest = guests.Guest(self, f"guest{number}", namespace, tap, own, ACCESS)
        self.guests.append(guest)
        return guest

    def build_home(self, helper=True):
        """A home router: namespace with a bridge for guests, and masquerade towards inet with the
        kernel's PPTP helper (or without it)."""
        self.home = host.Namespace(_namespace_names(self.id)["home"])
        self.home.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.home.ip("address", "add", f"{HOME_ROUTER}/24", "dev", "br0")
        self.home.ip("link", "set", "br0", "up")
        self.home.ip("link", "add", "wan", "type", "veth", "peer", "name", "home", "netns",
                     self.inet.name)
        self.home.offloads_off("wan")
        self.home.ip("address", "add", f"{HOME_WAN}/24", "dev", "wan")
        self.home.ip("link", "set", "wan", "up")
        self.inet.offloads_off("home")
        self.inet.ip("link", "set", "home", "master", "br0", "up")
        self.home.sysctl("net/ipv4/ip_forward", "1")
        rules = """table ip nat {
  ct helper pptp { type "pptp" protocol tcp; }
  chain out { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
%s}""" % ("""  chain helpers { type filter hook prerouting priority 0; tcp dport 1723 ct helper set "pptp"; }
""" if helper else "")
        (self.directory / "home.nft").write_text(rules)
        self.home.run("nft", "-f", str(self.directory / "home.nft"))

    def lose_gre(self, one_in):
        """From now on one GRE packet in so many is lost in the bridge, either way; 0: none."""
        self.inet.run("nft", "delete", "table", "bridge", "loss", check=False)
        if one_in == 0:
            return
        (self.directory / "loss.nft").write_text("""table bridge loss {
  chain forward {
    type filter hook forward priority 0
    ip protocol gre numgen random mod %d 0 drop
  }
}""" % one_in)
        self.inet.run("nft", "-f", str(self.directory / "loss.nft"))

    def kernel_losses(self):
        """One line for each interface, in every namespace, on which the kernel lost something. Tells a
        loss of the lab from one of the server when a test has failed."""
        lines = []
        for namespace in filter(None, (self.inet, self.pns, self.intranet, self.home)):
            text = namespace.run("ip", "-json", "-statistics", "link", check=False).stdout
            try:
                interfaces = json.loads(text)
            except ValueError:
                continue
            for interface in interfaces:
                lost = {f"{way} {name}": count for way in ("rx", "tx")
                        for name, count in interface.get("stats64", {}).get(way, {}).items()
                        if count and name not in ("bytes", "packets", "multicast")}
                if lost:
                    lines.append(f"{namespace.name} {interface['ifname']}: {lost}")
        return "\n".join(lines) or "none"

    def cut_line(self, guest):
        """From now on every frame of this guest is lost in the bridge, either way. Its link stays up."""
        (self.directory / "cut.nft").write_text("""table bridge cut_%s {
  chain forward {
    type filter hook forward priority 0
    iifname "%s" drop
    oifname "%s" drop
  }
}""" % (guest.name, guest.tap, guest.tap))
        self.inet.run("nft", "-f", str(self.directory / "cut.nft"))

    def mend_line(self, guest):
        self.inet.run("nft", "delete", "table", "bridge", f"cut_{guest.name}")

    def kernel_plugin(self):
        """The plugin with which a guest's pppd gives its call to the kernel."""
        return self.guest_library("kernel_pptp")

    def guest_library(self, target):
        """A library of guest/, which the build has made. A theme may have copied the programs elsewhere."""
        places = [build / "tests" / f"{target}.so" for build in (self.binaries.resolve().parent, SOURCE / "build")]
        for library in places:
            if library.exists():
                return library
        raise host.LabError(f"no {places[0]}: build the target {target}")

    def tracer(self, *command):
        """A command that traces processes. A register state as long as with AMX is more than Debian's
        user-mode-linux and gdb know (guest/wide_xstate.c)."""
        if "amx_tile" not in host.cpu_flags():
            return command
        return ("env", f"LD_PRELOAD={self.guest_library('wide_xstate')}", *command)

    def start_in(self, namespace, *words, **options):
        """A process that ends with the lab."""
        process = namespace.start(*words, **options)
        self.processes.append(process)
        return process

    def close(self):
        for guest in self.guests:
            guest.power_off()
        for process in self.processes:
            host.end(process)
        for server in self.servers:
            server.end()
        if self.keep:
            self.copy_logs(self.keep)
        _forget(self.directory)

    def copy_logs(self, where):
        """A copy of all files of this lab so far, in place of what lies there. Returns `where`."""
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(self.directory, where, ignore=_is_no_log, dirs_exist_ok=True)
        return where


def _is_no_log(directory, names):
    """Sockets and the like are not copied."""
    return [name for name in names
            if not (pathlib.Path(directory, name).is_dir() or pathlib.Path(directory, name).is_file())]
