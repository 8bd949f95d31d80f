# SPDX-License-Identifier: BSD-3-Clause
"""The cases of tests/vm/run, carried out in the order written on each NIC model. They judge words and loss, never
times: an emulator has no speed worth a number."""
import json
import re
import socket

import pnslab
import theme
from pnslab import lab as labs

from . import machine as machines
from .lab import TAPS, VmLab, uio_drop_in

PATIENCE = 120  # seconds; the machine is emulated, and shares its cores
WATCHDOG_PATIENCE = 600
LATE = 15  # seconds
TRANSFER = 1 << 20  # octets each way
MPPE_MTU = 1396
OSPF = 89  # protocol number
# One datagram each to the OSPF groups of both families: `sh` has no raw sockets.
SEND_OSPF = """
import socket, sys
index = socket.if_nametoindex(sys.argv[1])
four = socket.socket(socket.AF_INET, socket.SOCK_RAW, 89)
four.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[2]))
four.sendto(b"\\x02\\x01" + bytes(42), ("224.0.0.5", 0))
six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 89)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
six.sendto(b"\\x03\\x01" + bytes(34), ("ff02::5", 0, 0, index))
"""


def link_local_of(mac):
    """RFC 4291 appendix A."""
    octets = [int(part, 16) for part in mac.split(":")]
    words = [octets[0] ^ 2, *octets[1:3], 0xff, 0xfe, *octets[3:]]
    return socket.inet_ntop(socket.AF_INET6, bytes([0xfe, 0x80, *bytes(6), *words]))


class Installed(theme.Theme):
    """A machine with two NICs of one model, and the product installed in it."""

    name = None  # for --model and the record
    model = None  # QEMU's words
    is_first = True  # of this run
    kernel_driver = None
    options = None  # of tests/vm/run
    image = None
    ipv6 = True
    iommu = True
    user_driver = "vfio-pci"
    changes = None
    drop_in_text = None

    @classmethod
    def setUpClass(cls):
        keep = cls.options.keep / cls.__name__ if cls.options.keep else None
        cls.lab = VmLab(cls.image, cls.model, cls.options, keep, cls.iommu)
        try:
            guest = cls.lab.start_guest()
            cls.machine = cls.lab.machine.wait_boot()
            cls.server = cls.lab.install(cls.users, cls.changes, cls.drop_in_text)
            cls.server.wait_ready()
            guest.wait_boot()
        except BaseException as error:
            if isinstance(error, Exception):
                cls.print_journal()
            cls.lab.close()
            raise

    @classmethod
    def print_journal(cls):
        try:
            print(cls.lab.machine.run("journalctl -q -b -u pns -o cat --no-pager | tail -30; dmesg | tail -5"))
        except (pnslab.LabError, OSError) as error:
            print(f"no journal: {error}")

    def wait(self, condition, what, patience=PATIENCE):
        return pnslab.wait_until(condition, patience, what)

    def connect(self, user="alice", guest=None, **options):
        session = (guest or self.guest).dial(user, self.users[user], **options).wait_up(PATIENCE)
        self.wait(lambda: self.find(session), f"the server shows {session.address}")
        return session

    def carrier(self, port):
        return self.machine.run(f"cat /sys/class/net/pns-{port}/carrier").strip() == "1"

    def driver(self, address):
        return self.machine.run(f"basename $(readlink /sys/bus/pci/devices/{address}/driver)").strip()

    def ping(self, guest, target, *options, count=3):
        """An answer may be late: ping by itself waits for two round trips after the last one."""
        return super().ping(guest, target, f"-W {LATE}", *options, count=count)

    def assert_passes(self, target=labs.HOST, count=10):
        """Every ping arrives, after the first one that does."""
        self.wait(lambda: self.ping(self.guest, target, count=1) == (1, 1), f"a ping to {target} passes")
        self.assertEqual(self.ping(self.guest, target, "-i 0.2", count=count), (count, count))

    def lives(self, session):
        """pppd has not ended, and the server knows the call."""
        self.assertIsNone(session.job.done(), session.log())
        return self.ask(lambda: self.find(session), PATIENCE)


class Driver(Installed):
    def test_the_unit_is_active_and_the_drivers_are_bound(self):
        self.assertEqual(self.server.property("ActiveState"), "active")
        for address in (machines.ACCESS_PCI, machines.CORE_PCI):
            self.assertEqual(self.driver(address), "vfio-pci")
        journal = self.server.journal()
        for name, address in (("access", machines.ACCESS_PCI), ("core", machines.CORE_PCI)):
            self.assertRegex(journal, rf"port open.*{name}.*{address}")
        # Nothing can be waited on: neither the log nor the workers call it waiting.
        self.assertRegex(journal, r"dataplane serves.* idle=sleep ")
        self.machine.run("pns check --config /etc/pns/pns.yaml")
        _, output = self.machine.try_run("/usr/local/lib/pns/prepare-nic check /etc/pns/pns.yaml")
        for address in (machines.ACCESS_PCI, machines.CORE_PCI):
            self.assertIn(f"ok  {address}: vfio-pci", output)
            self.assertRegex(output, rf"ok  {address}: IOMMU group \d+")

    def test_the_twins_answer_ipv4_and_ipv6_from_outside(self):
        self.assertEqual(self.ping(self.guest, labs.ACCESS), (3, 3))
        for target, version in ((labs.CORE, "-4"), (labs.CORE6, "-6")):
            self.lab.intranet.ip(version, "neigh", "flush", "dev", TAPS[1])
            output = self.lab.intranet.run("ping", version, "-W", str(LATE), "-c", "3", target, check=False).stdout
            self.assertEqual(theme.ping_counts(output), (3, 3), output)
            known = self.lab.intranet.ip(version, "neigh", "show", target, "dev", TAPS[1])
            self.assertIn(machines.CORE_MAC, known)

    def test_a_twin_has_the_link_local_address_of_its_mac_alone(self):
        for port, mac in (("access", machines.ACCESS_MAC), ("core", machines.CORE_MAC)):
            shown = json.loads(self.machine.run(f"ip -6 -json address show dev pns-{port} scope link"))
            addresses = [info["local"] for link in shown for info in link.get("addr_info", ()) if "local" in info]
            self.assertIn(addresses, ([], [link_local_of(mac)]), port)
            if port == "core":
                self.assertEqual(len(addresses), 1)

    def test_multicast_of_routing_protocols_reaches_the_twin(self):
        self.machine.run("tcpdump -lnvi pns-core 'ip proto 89 or ip6 proto 89' >/share/ospf.out 2>&1 & "
                         "echo $! >/run/tcpdump.pid")
        self.wait(lambda: "listening on" in self.machine.run("cat /share/ospf.out"), "tcpdump listens")

        def arrived():
            self.lab.intranet.run("python3", "-c", SEND_OSPF, TAPS[1], labs.HOST)
            seen = self.machine.run("cat /share/ospf.out")
            return "224.0.0.5" in seen and "ff02::5" in seen
        self.wait(arrived, "OSPF Hellos of both families on pns-core")
        self.machine.run("kill $(cat /run/tcpdump.pid)")

    def test_a_client_with_mppe_128(self):
        session = self.connect()
        self.assertIn("128", str(self.find(session)["mppe"]))
        self.assertIn("MPPE 128-bit stateless compression enabled", session.log())
        self.assert_passes(session.gateway, 3)
        self.assert_passes()
        self.assertEqual(self.ping(self.guest, labs.HOST, "-M do", f"-s {MPPE_MTU - 28}"), (3, 3))
        self.assert_tcp(TRANSFER, timeout=240)
        self.assertEqual(session.hang_up(), 5)

    def test_a_pulled_link_is_told_and_comes_back(self):
        session = self.connect()
        self.assert_passes(count=3)
        self.assertTrue(self.carrier("core"))
        self.machine.set_link("core", False)
        self.wait(lambda: not self.carrier("core"), "pns-core lost its carrier")
        self.assertTrue(self.carrier("access"))
        self.assertRegex(self.server.journal(), r"port link.*core.*down")
        self.assertRegex(self.server.metrics(), r'pns_port_link_up\{port="core"\} 0')
        self.machine.set_link("core", True)
        self.wait(lambda: self.carrier("core"), "pns-core has its carrier again")
        self.assertRegex(self.server.metrics(), r'pns_port_link_up\{port="core"\} 1')
        self.assert_passes()
        self.assertTrue(self.lives(session))

    def test_the_call_lives_when_a_plane_is_killed(self):
        session = self.connect()
        before = self.find(session)
        self.assert_passes(count=3)
        for plane in ("dataplane", "control"):
            pid = self.server.kill(plane)
            self.wait(lambda: self.server.pid_of(plane) not in (None, pid), f"{plane} is restarted")
            self.assert_passes()
            after = self.lives(session)
            for key in ("address", "user", "our_call_id", "peer_call_id"):
                self.assertEqual(after.get(key), before.get(key), (plane, key))
        self.assertEqual(self.server.property("NRestarts"), "0")
        self.assertEqual(session.hang_up(), 5)

    def test_a_reload_takes_a_good_file_and_refuses_a_wrong_one(self):
        session = self.connect()
        self.machine.run("echo \"bob: {password: 'builder'}\" >>/etc/pns/users.yaml")
        self.users = {**self.users, "bob": "builder"}
        pid = self.server.pid_of("control")
        owners = "stat -c '%n %U:%G %a' /run/pns /run/pns/*"
        before = self.machine.run(owners)
        status, output = self.machine.try_run("systemctl reload pns")
        # systemd may not take from control what the supervisor has given it.
        self.assertEqual(self.machine.run(owners), before)
        self.assertEqual(status, 0, output)
        self.assertNotEqual(self.server.pid_of("control"), pid)
        self.assertTrue(self.lives(session))
        bob = self.connect("bob")
        self.assertEqual(bob.hang_up(), 5)
        self.guest.run(f"ip route replace 10.0.0.0/24 dev {session.interface}")  # it went with bob's interface
        self.machine.run("cp /etc/pns/pns.yaml /run/good.yaml && echo 'pptp: {listenn: []}' >>/etc/pns/pns.yaml")
        try:
            pid = self.server.pid_of("control")
            status, _ = self.machine.try_run("systemctl reload pns")
            self.assertNotEqual(status, 0)
            line = int(self.machine.run("wc -l </etc/pns/pns.yaml"))
            self.assertRegex(self.server.journal(), rf"pns\.yaml:{line}.*listenn")
        finally:
            self.machine.run("cp /run/good.yaml /etc/pns/pns.yaml")
        self.assertEqual(self.server.property("ActiveState"), "active")
        self.assertEqual(self.server.pid_of("control"), pid)
        self.assert_passes(count=3)
        self.assertTrue(self.lives(session))
        self.assertEqual(session.hang_up(), 5)

    def test_the_watchdog_starts_a_frozen_supervisor_anew(self):
        if not self.is_first:
            self.skipTest("once a run, on the first model")
        pid = self.server.property("MainPID")
        self.machine.run(f"kill -STOP {pid}")
        self.wait(lambda: "Watchdog timeout" in self.server.journal(), "systemd's watchdog", WATCHDOG_PATIENCE)

        def serves():
            state, now = (self.server.property(name) for name in ("ActiveState", "MainPID"))
            return state == "active" and now not in ("0", pid)
        self.wait(serves, "the unit is active again", WATCHDOG_PATIENCE)
        self.connect()
        self.assert_passes(count=3)

    def test_stop_is_clean(self):
        self.machine.run("systemctl stop pns")
        self.assertEqual(self.server.property("Result"), "success")
        self.assertEqual(self.machine.run("pgrep -l pns || true"), "")
        self.assertEqual(self.machine.run("ls /sys/class/net | grep pns- || true"), "")
        self.machine.run(f"/usr/local/lib/pns/prepare-nic unbind {machines.ACCESS_PCI} {machines.CORE_PCI}")
        for address in (machines.ACCESS_PCI, machines.CORE_PCI):
            self.assertEqual(self.driver(address), self.kernel_driver)


def cases_of(theme_class):
    """In the order written, those of the base first."""
    written = (name for each in reversed(theme_class.__mro__) for name in vars(each) if name.startswith("test_"))
    return list(dict.fromkeys(written))


class WithoutIommu(Installed):
    """uio_pci_generic, which is all that Debian's kernels have where there is no IOMMU."""

    name = "e1000e-uio"
    model = kernel_driver = "e1000e"
    iommu = False
    drop_in_text = uio_drop_in()

    def test_the_unit_is_active_and_the_drivers_are_bound(self):
        self.assertEqual(self.server.property("ActiveState"), "active")
        for address in (machines.ACCESS_PCI, machines.CORE_PCI):
            self.assertEqual(self.driver(address), "uio_pci_generic")
        status, output = self.machine.try_run("/usr/local/lib/pns/prepare-nic check /etc/pns/pns.yaml")
        self.assertEqual(status, 1)
        self.assertIn(f"NO  {machines.ACCESS_PCI}: no IOMMU", output)

    test_a_client_with_mppe_128 = Driver.test_a_client_with_mppe_128
    test_the_call_lives_when_a_plane_is_killed = Driver.test_the_call_lives_when_a_plane_is_killed
    test_stop_is_clean = Driver.test_stop_is_clean

    def test_the_kernel_has_no_vfio_without_an_iommu(self):
        status, output = self.machine.try_run(
            f"/usr/local/lib/pns/prepare-nic bind --no-iommu {machines.ACCESS_PCI}")
        self.assertEqual(status, 2, output)
        self.assertIn("this kernel has no no-IOMMU mode", output)
        self.assertNotIn("warning", output)
        self.assertEqual(self.driver(machines.ACCESS_PCI), "e1000e")


class E1000e(Driver):
    name = model = kernel_driver = "e1000e"


class E1000(Driver):
    name = model = kernel_driver = "e1000"


class Vmxnet3(Driver):
    name = model = kernel_driver = "vmxnet3"


class VirtioNet(Driver):
    name = "virtio-net"
    model = "virtio-net-pci,disable-legacy=on,iommu_platform=on"
    kernel_driver = "virtio-pci"


MODELS = (E1000e, E1000, Vmxnet3, VirtioNet, WithoutIommu)
