#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""deploy/prepare-nic on a made-up /sys and /proc, with a kernel of three threads: a write to `unbind` or
`drivers_probe` is a FIFO's, and changes the links as the kernel would.

usage: prepare_nic_test.py DEPLOY/PREPARE-NIC
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

SCRIPT = sys.argv.pop(1)
NIC, OTHER, MELLANOX, DISK = "0000:3b:00.0", "0000:3b:00.1", "0000:5e:00.0", "0000:00:1f.2"
LO = "lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"


class PrepareNic(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.sys, self.proc, self.state = (self.root / name for name in ("sys", "proc", "state"))
        self.devices = self.sys / "bus/pci/devices"
        self.write("proc/net/route", "Iface\tDestination\tGateway\n" + LO)
        self.write("proc/net/if_inet6", "fe800000000000000000000000000001 02 40 20 80 ens1f0\n")
        self.write("proc/cmdline", "quiet\n")
        for name in ("ixgbe", "vfio-pci", "uio_pci_generic", "mlx5_core", "ahci"):
            (self.sys / "bus/pci/drivers" / name).mkdir(parents=True)
        self.device(NIC, "0x020000", "ixgbe", 17, "ens1f0", node=1)
        self.device(OTHER, "0x020000", "ixgbe", 18, "ens1f1", node=1)
        self.device(MELLANOX, "0x020000", "mlx5_core", 40, "ens2")
        self.device(DISK, "0x010601", "ahci", 3, None)
        self.write("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n")
        for where, pages in (("kernel/mm", 0), ("devices/system/node/node1", 300)):
            self.write(f"sys/{where}/hugepages/hugepages-2048kB/nr_hugepages", f"{pages}\n")
            self.write(f"sys/{where}/hugepages/hugepages-2048kB/free_hugepages", f"{pages}\n")
        self.write("sys/devices/system/cpu/online", "0-7\n")
        self.write("sys/devices/system/cpu/isolated", "\n")
        for core in range(8):
            self.write(f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list", f"{core}\n")
            self.write(f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor", "performance\n")
            (self.sys / f"devices/system/cpu/cpu{core}/node{core // 4}").mkdir()
        for name, act in (("drivers/ixgbe/unbind", self.lose), ("drivers/vfio-pci/unbind", self.lose),
                          ("drivers/uio_pci_generic/unbind", self.lose),
                          ("drivers_probe", self.probe)):
            fifo = self.sys / "bus/pci" / name
            os.mkfifo(fifo)
            threading.Thread(target=self.kernel, args=(fifo, act), daemon=True).start()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name):
        return (self.root / name).read_text().strip()

    def device(self, address, kind, driver, group, interface, node=0):
        at = self.devices / address
        at.mkdir(parents=True)
        (at / "class").write_text(kind + "\n")
        (at / "numa_node").write_text(f"{node}\n")
        (at / "irq").write_text("11\n")
        (at / "driver_override").write_text("(null)\n")
        (at / "driver").symlink_to(f"../../drivers/{driver}")
        if group is not None:
            members = self.sys / f"kernel/iommu_groups/{group}/devices"
            members.mkdir(parents=True, exist_ok=True)
            (members / address).symlink_to(at)
            (at / "iommu_group").symlink_to(members.parent)
        if interface:
            (at / "net" / interface).mkdir(parents=True)
            (self.sys / "class/net" / interface).mkdir(parents=True)

    @staticmethod
    def kernel(fifo, act):
        while True:
            try:
                with open(fifo, encoding="ascii") as file:
                    address = file.read().strip()
            except FileNotFoundError:  # the test is over
                return
            act(address)

    def lose(self, address):
        (self.devices / address / "driver").unlink()

    def probe(self, address):
        override = (self.devices / address / "driver_override").read_text().strip()
        driver = override or {DISK: "ahci"}.get(address, "ixgbe")
        (self.devices / address / "driver").symlink_to(f"../../drivers/{driver}")

    def driver(self, address):
        link = self.devices / address / "driver"
        return os.path.basename(os.readlink(link)) if link.is_symlink() else None

    def run_script(self, *words, path=""):
        """(exit status, stdout, stderr). `path`: a directory before those of $PATH."""
        done = subprocess.run([SCRIPT, *words, "--sysfs", self.sys, "--procfs", self.proc, "--state",
                               self.state], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}" if path else
                                   os.environ["PATH"]})
        return done.returncode, done.stdout, done.stderr

    def ok(self, *words):
        status, out, err = self.run_script(*words)
        self.assertEqual(status, 0, out + err)
        return out

    def refused(self, text, *words):
        status, out, err = self.run_script(*words)
        self.assertEqual(status, 2, out + err)
        self.assertIn(text, err)
        self.assertEqual([self.driver(NIC), self.driver(OTHER)], ["ixgbe", "ixgbe"])

    def route(self, *lines):
        self.write("proc/net/route", "Iface\tDestination\tGateway\n" + LO + "".join(lines))

    def test_bind_and_unbind_give_back_what_was_there(self):
        self.assertIn(f"{NIC}: ixgbe -> vfio-pci", self.ok("bind", "3b:00.0"))
        self.assertEqual((self.driver(NIC), self.driver(OTHER)), ("vfio-pci", "ixgbe"))
        self.assertIn("has vfio-pci already", self.ok("bind", NIC))
        self.assertIn(f"{NIC}: vfio-pci -> ixgbe", self.ok("unbind", NIC))
        self.assertEqual(self.driver(NIC), "ixgbe")
        self.assertEqual(self.read(f"sys/bus/pci/devices/{NIC}/driver_override"), "")
        self.assertEqual(list(self.state.iterdir()), [])

    def test_a_device_without_a_driver_has_none_again(self):
        (self.devices / NIC / "driver").unlink()
        self.ok("bind", NIC)
        self.ok("unbind", NIC)
        self.assertIsNone(self.driver(NIC))

    def test_a_second_try_still_knows_the_driver(self):
        self.state.mkdir()
        (self.state / NIC).write_text("ixgbe\n")  # the first one ended between unbind and probe
        (self.devices / NIC / "driver").unlink()
        self.ok("bind", NIC)
        self.ok("unbind", NIC)
        self.assertEqual(self.driver(NIC), "ixgbe")

    def test_dry_run_changes_nothing(self):
        out = self.ok("bind", NIC, OTHER, "--dry-run")
        self.assertIn(f"would write '{NIC}' to {self.sys}/bus/pci/drivers/ixgbe/unbind", out)
        self.assertIn(f"would write 'vfio-pci' to {self.devices}/{NIC}/driver_override", out)
        self.assertEqual((self.driver(NIC), self.driver(OTHER)), ("ixgbe", "ixgbe"))
        self.assertEqual(self.read(f"sys/bus/pci/devices/{NIC}/driver_override"), "(null)")
        self.assertFalse(self.state.exists())

    def test_an_interface_in_use_is_refused(self):
        default = "ens1f0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        connected = "ens1f0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        self.route(connected, default)
        self.refused("ens1f0 carries the default route", "bind", NIC)
        self.route(connected)
        self.refused("ens1f0 has IPv4 addresses or routes", "bind", NIC)
        self.refused("ens1f0 has IPv4", "bind", OTHER, NIC)  # all or none
        status, _, err = self.run_script("bind", NIC, "--force")
        self.assertEqual((status, self.driver(NIC)), (0, "vfio-pci"))
        self.assertIn("warning", err)

    def test_another_interface_with_a_longer_name_is_not_this_one(self):
        self.route("ens1f0.7\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
                   "ens1f01\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")
        self.ok("bind", NIC)

    def test_ipv6_bonds_and_vlans_are_uses_too(self):
        self.write("proc/net/if_inet6", "20010db8000000000000000000000001 02 40 00 80 ens1f0\n")
        self.refused("ens1f0 has IPv6 addresses", "bind", NIC)
        self.write("proc/net/if_inet6", "")
        link = self.sys / "class/net/ens1f0"
        (link / "upper_ens1f0.7").symlink_to("../ens1f0.7")
        self.refused("ens1f0 is below ens1f0.7", "bind", NIC)
        (link / "master").symlink_to("../bond0")
        self.refused("ens1f0 is part of bond0", "bind", NIC)

    def test_what_is_no_nic_is_refused(self):
        self.refused("is no network device", "bind", DISK)
        self.refused("mlx5_core keeps its kernel driver", "bind", MELLANOX)
        self.refused("there is no PCI device", "bind", "0000:ff:00.0")
        self.refused("is no PCI address", "bind", "ens1f0")
        self.refused("needs an argument", "bind")

    def test_an_iommu_group_goes_as_a_whole(self):
        members = self.sys / "kernel/iommu_groups/17/devices"
        (members / OTHER).symlink_to(self.devices / OTHER)
        self.refused(f"{OTHER} shares the IOMMU group of {NIC}", "bind", NIC)
        self.ok("bind", NIC, OTHER)
        self.assertEqual((self.driver(NIC), self.driver(OTHER)), ("vfio-pci", "vfio-pci"))

    def test_without_an_iommu_only_when_asked_for(self):
        (self.devices / NIC / "iommu_group").unlink()
        self.refused("is in no IOMMU group", "bind", NIC)
        status, _, err = self.run_script("bind", NIC, "--no-iommu")
        self.assertEqual((status, self.driver(NIC)), (0, "vfio-pci"))
        self.assertIn("can read and write all of memory", err)
        self.assertEqual(self.read("sys/module/vfio/parameters/enable_unsafe_noiommu_mode"), "1")

    def test_a_kernel_without_no_iommu_mode_is_told_before_any_warning(self):
        (self.devices / NIC / "iommu_group").unlink()
        (self.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode").unlink()
        for dry in ((), ("--dry-run",)):
            self.refused("this kernel has no no-IOMMU mode", "bind", NIC, "--no-iommu", *dry)
            self.assertNotIn("warning", self.run_script("bind", NIC, "--no-iommu", *dry)[2])
        self.assertFalse(self.state.exists())

    def test_uio_needs_no_mode_of_the_kernel(self):
        self.refused(f"{NIC} is in an IOMMU group", "bind", NIC, "--uio")
        (self.devices / NIC / "iommu_group").unlink()
        (self.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode").unlink()
        (self.devices / NIC / "irq").write_text("0\n")
        self.refused("has no interrupt line", "bind", NIC, "--uio")
        (self.devices / NIC / "irq").write_text("11\n")
        status, out, err = self.run_script("bind", NIC, "--uio")
        self.assertEqual((status, self.driver(NIC)), (0, "uio_pci_generic"), err)
        self.assertIn(f"{NIC}: ixgbe -> uio_pci_generic", out)
        self.assertIn("can read and write all of memory", err)
        self.assertIn("has uio_pci_generic already", self.ok("bind", NIC, "--uio"))
        self.check(f"ok  {NIC}: uio_pci_generic", f"NO  {NIC}: no IOMMU")
        (self.devices / NIC / "uio/uio3").mkdir(parents=True)
        (self.proc / "4711/fd").mkdir(parents=True)
        (self.proc / "4711/fd/9").symlink_to("/dev/uio3")
        status, _, err = self.run_script("unbind", NIC)
        self.assertEqual((status, self.driver(NIC)), (2, "uio_pci_generic"))
        self.assertIn("in use by process 4711", err)
        (self.proc / "4711/fd/9").unlink()
        self.assertIn(f"{NIC}: uio_pci_generic -> ixgbe", self.ok("unbind", NIC))
        self.assertEqual(self.driver(NIC), "ixgbe")

    def test_unbind_runs_no_command_for_each_open_file(self):
        count = self.root / "commands"
        tools = self.root / "tools"
        tools.mkdir()
        for tool in ("readlink", "basename", "find"):
            (tools / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >>{count}\nPATH=${{PATH#*:}} exec {tool} "$@"\n')
            (tools / tool).chmod(0o755)
        commands = []
        for files in (1, 300):
            self.ok("bind", NIC)
            (self.proc / "812/fd").mkdir(parents=True, exist_ok=True)
            for number in range(files):
                (self.proc / f"812/fd/{number}").unlink(missing_ok=True)
                (self.proc / f"812/fd/{number}").symlink_to("/dev/null")
            count.write_text("")
            status, _, err = self.run_script("unbind", NIC, path=tools)
            self.assertEqual(status, 0, err)
            commands.append([line for line in count.read_text().splitlines() if "/812/fd" in line])
        self.assertEqual([len(each) for each in commands], [1, 1], commands)

    def test_unbind_refuses_what_it_does_not_know_and_what_is_in_use(self):
        self.refused("has driver 'ixgbe', not vfio-pci or uio_pci_generic", "unbind", NIC)
        self.ok("bind", NIC)
        (self.proc / "4711/fd").mkdir(parents=True)
        (self.proc / "4711/fd/9").symlink_to("/dev/vfio/17")
        status, _, err = self.run_script("unbind", NIC)
        self.assertEqual((status, self.driver(NIC)), (2, "vfio-pci"))
        self.assertIn("in use by process 4711", err)
        (self.proc / "4711/fd/9").unlink()
        (self.state / NIC).unlink()
        status, _, err = self.run_script("unbind", NIC)
        self.assertEqual(status, 2)
        self.assertIn("was not bound by prepare-nic", err)

    def test_show_lists_nics_alone(self):
        self.route("ens1f0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
        lines = self.ok("show").splitlines()
        self.assertEqual([line.split()[:4] for line in lines[1:]],
                         [[NIC, "ixgbe", "1", "17"], [OTHER, "ixgbe", "1", "18"],
                          [MELLANOX, "mlx5_core", "0", "40"]])
        self.assertTrue(lines[1].endswith("ens1f0: carries the default route"))

    def test_huge_pages_are_added_and_never_taken(self):
        pages = "sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"
        self.ok("hugepages", "600", "--node", "1")
        self.assertEqual(self.read(pages), "300")
        self.ok("hugepages", "1025", "--node", "1", "--dry-run")
        self.assertEqual(self.read(pages), "300")
        self.assertIn("513 reserved", self.ok("hugepages", "1025", "--node", "1"))
        self.assertEqual(self.read(pages), "513")
        self.ok("hugepages", "64")
        self.assertEqual(self.read("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"), "32")
        self.assertEqual(self.run_script("hugepages", "64", "--node", "9")[0], 2)
        self.assertEqual(self.run_script("hugepages", "many")[0], 2)

    def isolate(self):
        self.write("proc/cmdline", "quiet isolcpus=managed_irq,domain,4-5 nohz_full=4-5 rcu_nocbs=4-5 "
                                   "irqaffinity=0,1,2,3,6,7\n")
        self.write("sys/devices/system/cpu/isolated", "4-5\n")

    def test_cores_tells_what_is_missing(self):
        status, out, _ = self.run_script("cores", "4-5")
        self.assertEqual(status, 1)
        self.assertIn("isolcpus=managed_irq,domain,4-5 nohz_full=4-5 rcu_nocbs=4-5 irqaffinity=0,1,2,3,6,7",
                      out)
        for text in ("isolcpus: not on the command line", "core 4 is not isolated"):
            self.assertIn("NO  " + text, out)
        self.isolate()
        self.assertIn("cores 4-5 are free", self.ok("cores", "4-5"))
        self.write("sys/devices/system/cpu/cpu5/topology/thread_siblings_list", "1,5\n")
        status, out, _ = self.run_script("cores", "4-5")
        self.assertEqual(status, 1)
        self.assertIn("core 5 shares its hardware with core 1", out)
        self.assertEqual(self.run_script("cores", "9")[0], 2)
        self.assertEqual(self.run_script("cores", "0-7")[0], 2)

    def test_interrupts_are_moved_when_asked_for(self):
        self.isolate()
        self.write("proc/irq/30/smp_affinity_list", "0-7\n")
        self.write("proc/irq/31/smp_affinity_list", "0-3\n")
        status, out, _ = self.run_script("cores", "4-5")
        self.assertEqual(status, 1)
        self.assertIn("NO  interrupt 30", out)
        self.assertNotIn("interrupt 31", out)
        self.ok("cores", "4-5", "--move-irqs", "--dry-run")
        self.assertEqual(self.read("proc/irq/30/smp_affinity_list"), "0-7")
        self.ok("cores", "4-5", "--move-irqs")
        self.assertEqual(self.read("proc/irq/30/smp_affinity_list"), "0,1,2,3,6,7")

    def check(self, *wanted, status=1, style="flow"):
        cores = "cores: {main: 0, workers: [4, 5]}" if style == "flow" else \
            "cores:\n    main: 0\n    workers:\n      - 4\n      - 5"
        self.write("pns.yaml", f"""dataplane:
  {cores}  # workers: [6]
  memory: {{hugepages: on, megabytes: 512}}
ports:
  access: {{device: "{NIC.upper()}"}}
  core: {{device: "{MELLANOX}"}}
control: {{memory: {{megabytes: 4096}}}}
""")
        got, out, err = self.run_script("check", str(self.root / "pns.yaml"))
        # The file is no whole configuration, and there need be no pns: that line is not judged here.
        lines = [line for line in out.splitlines() if "pns check" not in line]
        for text in wanted:
            self.assertTrue([line for line in lines if text in line], (text, out, err))
        self.assertEqual(any(line.startswith("NO") for line in lines), status == 1, out)
        self.assertIn(got, (status, 1))
        return lines

    def test_check_tells_all_that_is_missing(self):
        self.write("sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "10\n")
        self.check(f"NO  {NIC}: driver ixgbe", f"ok  {MELLANOX}: mlx5_core",
                   "huge pages: 10 free, 264 needed on node 0", f"{MELLANOX} is on NUMA node 0, worker core 4",
                   "NO  worker core 4 is not isolated", "NO  worker core 5 is not isolated")

    def test_check_of_a_host_that_is_ready(self):
        self.isolate()
        (self.devices / MELLANOX / "numa_node").write_text("1\n")
        self.ok("bind", NIC)
        for style in ("flow", "block"):
            self.check(f"ok  {NIC}: vfio-pci", f"ok  {NIC}: IOMMU group 17", "ok  huge pages: 300 free, 264",
                       "ok  worker core 4 is isolated", "ok  worker core 5 is isolated", status=0, style=style)
        self.write("sys/devices/system/cpu/cpu4/cpufreq/scaling_governor", "powersave\n")
        self.check("NO  core 4: governor powersave")
        self.write("sys/devices/system/cpu/cpu4/cpufreq/scaling_governor", "performance\n")
        (self.sys / "kernel/iommu_groups/17/name").write_text("vfio-noiommu\n")
        self.check(f"NO  {NIC}: no IOMMU")
        (self.devices / NIC / "driver_override").write_text("\n")

    def test_unknown_words_are_refused(self):
        self.refused("show, bind, unbind", "explode")
        self.refused("unknown option", "bind", NIC, "--now")


if __name__ == "__main__":
    unittest.main()
