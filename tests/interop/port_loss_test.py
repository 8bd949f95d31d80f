#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packets lost before a worker: a stopped dataplane, a flood of known size, and the number that the
kernel says it lost is the number that the server shows. The rest of the flood reached a worker."""
import contextlib
import ctypes
import functools
import os
import signal
import socket
import struct
import sys
import unittest

import peer
import pnslab
import theme
from theme import HOST, SERVER

CORE = "10.0.0.1"
SOURCE = "198.51.100.200"
NOBODY = "10.64.0.200"  # an address of the pool that no session has
AF_XDP, SOL_XDP, XDP_STATISTICS = 44, 283, 7
TAP_QUEUE = 500  # frames; the lab's own queue is too long to be overrun


def flood_access(count):
    """GRE of a call that does not exist, from a host on the Internet."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 47) as raw:
        raw.bind((SOURCE, 0))
        for number in range(count):
            raw.sendto(peer.gre(1, b"\xff\x03\x00\x21" + bytes(60), sequence=number), (SERVER, 0))


def flood_core(interface, mac, count):
    """IPv4 packets to a subscriber's address with a wrong header checksum, from the intranet: nothing
    else makes the server count that reason."""
    packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 80, 0, 0, 64, 17, 0xBAD0,
                         socket.inet_aton(HOST), socket.inet_aton(NOBODY)) + bytes(60)
    frame = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000001") + b"\x08\x00" + packet
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        for _ in range(count):
            raw.send(frame)


class Loss(theme.Theme):
    guests = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.inet.ip("address", "add", f"{SOURCE}/24", "dev", "br0")
        cls.xdp = cls.lab.ports == "xdp"
        ours, far = ("core0", "core1") if cls.xdp else ("pns-core", "wire1")
        mac = cls.lab.pns.run("cat", f"/sys/class/net/{ours}/address").stdout.strip()
        # Port → where the flood comes from, the flood, what the worker counts its packets as, and the
        # TAP that the kernel counts on.
        cls.ports = {"access": (cls.lab.inet, flood_access, "gre_unknown_call", "wire0"),
                     "core": (cls.lab.intranet, functools.partial(flood_core, far, mac), "ip_checksum",
                              "wire1")}
        if cls.xdp:
            cls.veth_at_start = {port: cls.not_redirected(port) for port in cls.ports}
        else:
            for namespace, _, _, wire in cls.ports.values():
                namespace.ip("link", "set", wire, "txqueuelen", str(TAP_QUEUE))

    # The kernel's numbers.

    def of_sockets(self):
        """XDP_STATISTICS of every AF_XDP socket of the dataplane, added up: asked on the dataplane's
        own descriptors, without the dataplane."""
        libc = ctypes.CDLL(None, use_errno=True)
        pid = self.server.pid_of("dataplane")
        process = os.pidfd_open(pid)
        total = [0] * 6
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                        continue
                    fd = libc.syscall(438, process, int(name), 0)  # pidfd_getfd
                    if fd < 0:
                        continue
                    with socket.socket(AF_XDP, socket.SOCK_RAW, 0, fileno=fd) as one:
                        if one.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) != AF_XDP:
                            continue
                        octets = one.getsockopt(SOL_XDP, XDP_STATISTICS, 48)
                        total = [a + int.from_bytes(octets[i * 8:i * 8 + 8], "little")
                                 for i, a in enumerate(total)]
        finally:
            os.close(process)
        dropped, _, _, full = total[:4]
        return {"socket_dropped": dropped, "socket_full": full}

    def kernel(self, port):
        """Reason → packets that the kernel has lost before the port's worker."""
        if self.xdp:
            return self.of_sockets()
        namespace, _, _, wire = self.ports[port]
        text = namespace.run("cat", f"/sys/class/net/{wire}/statistics/tx_dropped").stdout
        return {"tap_full": int(text)}

    @classmethod
    def not_redirected(cls, port):
        path = f"/sys/class/net/{port}0/statistics/rx_dropped"
        return int(cls.lab.pns.run("cat", path).stdout)

    # The server's numbers.

    def lost(self, port):
        reasons = ("socket_dropped", "socket_full") if self.xdp else ("tap_full",)
        found = {reason: self.ask(lambda r=reason: self.metric("pns_port_receive_lost_packets_total",
                                                               port=port, reason=r))
                 for reason in reasons}
        self.assertNotIn(None, found.values(), found)
        return found

    def reached(self, reason):
        return self.ask(lambda: self.metric("pns_dataplane_drops_total", reason=reason))

    def overrun(self, port, count):
        """Stops the dataplane, floods the port, lets it go on. Checks that every packet is either
        counted by a worker or, by the kernel and by the server alike, as lost. Returns the loss."""
        namespace, flood, reason, _ = self.ports[port]
        with peer.inside(namespace):
            before = self.reached(reason)
            flood(1)  # and by that the kernel knows the way
        pnslab.wait_until(lambda: self.reached(reason) > before, 10, "the way is known")
        kernel, shown, arrived = self.kernel(port), self.lost(port), self.reached(reason)
        veth = self.not_redirected(port) if self.xdp else 0
        pid = self.server.pid_of("dataplane")
        os.kill(pid, signal.SIGSTOP)
        try:
            with peer.inside(namespace):
                flood(count)
        finally:
            os.kill(pid, signal.SIGCONT)

        def settled():
            now = self.kernel(port)
            lost = {name: now[name] - kernel[name] for name in now}
            if sum(lost.values()) + self.reached(reason) - arrived != count:
                return None
            return lost if {n: v - shown[n] for n, v in self.lost(port).items()} == lost else None
        try:
            lost = pnslab.wait_until(settled, 15, "the sums agree")
        except pnslab.LabError as error:
            raise pnslab.LabError(
                f"{error}: sent {count}, worker {self.reached(reason) - arrived}, kernel {kernel} → "
                f"{self.kernel(port)}, shown {shown} → {self.lost(port)}") from None
        self.assertGreater(sum(lost.values()), count // 10, lost)
        if self.xdp:  # veth counts what it could not redirect, and the server shows that too
            self.assertEqual(self.not_redirected(port) - veth, sum(lost.values()))
            shown = self.metric("pns_port_device_counter_total", port=port, counter="rx_dropped")
            self.assertEqual(shown, self.not_redirected(port) - self.veth_at_start[port])
        print(f"{port}: sent {count}, lost {lost}, reached a worker "
              f"{self.reached(reason) - arrived}", file=sys.stderr)
        return sum(lost.values())

    def sums(self, port):
        return next(row for row in self.server.show("stats")["ports"] if row["port"] == port)

    def test_routes_are_counted_from_the_start(self):
        """With --ports xdp, nothing that the kernel tells has changed since."""
        self.assertGreater(self.metric("pns_routes"), 0)

    def test_nothing_is_lost_while_the_workers_keep_up(self):
        for port, (namespace, flood, reason, _) in self.ports.items():
            lost, before = self.lost(port), self.reached(reason)
            with peer.inside(namespace):
                flood(100)
            pnslab.wait_until(lambda r=reason, b=before: self.reached(r) == b + 100, 10,
                              f"{port}: 100 packets reached a worker")
            self.assertEqual(self.lost(port), lost)

    def test_what_the_kernel_lost_before_the_access_worker_is_shown(self):
        before, other = self.sums("access")["receive_lost"], self.lost("core")
        lost = self.overrun("access", 5000)
        self.assertEqual(self.sums("access")["receive_lost"], before + lost)
        self.assertEqual(self.lost("core"), other)

    def test_what_the_kernel_lost_before_the_core_worker_is_shown(self):
        before = self.sums("core")["receive_lost"]
        self.assertEqual(self.overrun("core", 5000), self.sums("core")["receive_lost"] - before)

    def test_the_totals_go_on_over_a_planned_restart_and_a_kill(self):
        for end in (lambda: self.server.restart("dataplane"), lambda: self.server.kill("dataplane")):
            before = self.sums("access")["receive_lost"]
            self.assertGreater(before, 0)
            pid = self.server.pid_of("dataplane")
            end()
            pnslab.wait_until(lambda p=pid: self.server.pid_of("dataplane") not in (None, p), 20,
                              "another dataplane")
            pnslab.wait_until(lambda: self.server.show("stats")["dataplane_ready"], 20, "it is ready")
            self.assertEqual(self.sums("access")["receive_lost"], before)
            lost = self.overrun("access", 4000)
            self.assertEqual(self.sums("access")["receive_lost"], before + lost)

    def test_the_operator_sees_port_queue_and_reason(self):
        rows = [row for row in self.server.show("ports")
                if row["kind"] == "receive" and row["port"] == "access"]
        wanted = {("socket_full", 0), ("socket_dropped", 0), ("missed", None), ("damaged", None)} \
            if self.xdp else {("tap_full", None)}
        self.assertEqual({(row["counter"], row["queue"]) for row in rows}, wanted)
        self.assertEqual(sum(row["count"] for row in rows), self.sums("access")["receive_lost"])
        text = self.server.show_text("ports")
        self.assertRegex(text, r"access\s+[0-9-]+\s+receive\s+(socket|tap)_full\s+[1-9]")
        self.assertRegex(self.server.show_text("stats"), r"\nports:\nPORT +RX PACKETS +RECEIVING WORKERS +RECEIVE LOST")

    def test_every_metric_of_the_alert_rules_is_there(self):
        names = theme.alert_metrics()
        self.assertIn("pns_port_receive_lost_packets_total", names)
        if self.lab.ports == "tap":
            names.discard("pns_port_link_up")  # a TAP has no device, and no link
        # Those of RADIUS: accounting_test.
        names = {name for name in names if not name.startswith(("pns_radius_", "pns_accounting_", "pns_authorization_"))}
        self.assertEqual(self.missing_metrics(names), [])


class PacketSocket(theme.Theme):
    """net_af_packet ports. The kernel forgets what it has told of such a socket, so nobody but the
    server can ask: the sum alone is checked."""
    guests = 0
    changes = {"ports": f"""ports:
  access: {{device: "net_af_packet0,iface=access0", addresses: [{SERVER}/24]}}
  core: {{device: "net_af_packet1,iface=core0", addresses: [{CORE}/24]}}
"""}
    # The kernel must not answer on the interfaces for the twins' addresses.
    silence = """table netdev silence {
  chain access { type filter hook ingress device access0 priority 0; policy drop; }
  chain core { type filter hook ingress device core0 priority 0; policy drop; }
}
"""

    @classmethod
    def setUpClass(cls):
        if theme.OPTIONS.ports == "tap":
            raise unittest.SkipTest("needs the veth pairs of --ports xdp")
        super().setUpClass()
        cls.lab.inet.ip("address", "add", f"{SOURCE}/24", "dev", "br0")

    @classmethod
    def before_start(cls):
        for interface, address in (("access0", SERVER), ("core0", CORE)):
            cls.lab.pns.ip("address", "del", f"{address}/24", "dev", interface)
        (cls.lab.directory / "silence.nft").write_text(cls.silence)
        cls.lab.pns.run("nft", "-f", str(cls.lab.directory / "silence.nft"))

    def test_what_the_socket_lost_and_what_reached_the_worker_is_the_flood(self):
        counters = peer.Counters(self.server)
        arrived = lambda: counters.grown("pns_dataplane_drops_total", reason="gre_unknown_call")
        lost = lambda: counters.grown("pns_port_receive_lost_packets_total", port="access",
                                      reason="socket_full")
        with peer.inside(self.lab.inet):
            flood_access(1)
        pnslab.wait_until(lambda: arrived() == 1, 10, "the way is known")
        pid = self.server.pid_of("dataplane")
        os.kill(pid, signal.SIGSTOP)
        try:
            with peer.inside(self.lab.inet):
                flood_access(5000)
        finally:
            os.kill(pid, signal.SIGCONT)
        pnslab.wait_until(lambda: arrived() + lost() == 5001, 15, "the sums agree")
        self.assertGreater(lost(), 500)
        print(f"af_packet: sent 5001, lost {lost()}, reached a worker {arrived()}", file=sys.stderr)


if __name__ == "__main__":
    theme.main(Loss, PacketSocket)
