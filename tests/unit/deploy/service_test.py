#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""deploy/pns.service as systemd-analyze sees it, without a running systemd.

usage: service_test.py SOURCE-DIRECTORY
Exit status: 0 passed, 1 failed, 77 there is no systemd-analyze that can look at a file (Debian package systemd).
"""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))
UNIT = SOURCE / "deploy" / "pns.service"
MOST_EXPOSED = 3.0


def analyze(*words):
    return subprocess.run(["systemd-analyze", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60, check=False)


def members(group):
    """The system calls of one of systemd's groups, with those of the groups in it."""
    found = set()
    for line in analyze("syscall-filter", "--no-pager", group).stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= members(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def settings(name):
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def permitted_calls():
    """What SystemCallFilter= lets through; systemd always adds @default."""
    calls = members("@default")
    for line in settings("SystemCallFilter"):
        takes_away = line.startswith("~")
        for word in line.removeprefix("~").split():
            named = members(word) if word.startswith("@") else {word}
            calls = calls - named if takes_away else calls | named
    return calls


class Service(unittest.TestCase):
    def test_the_exposure_is_low(self):
        done = analyze("security", "--offline=yes", "--no-pager", str(UNIT))
        match = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
        self.assertIsNotNone(match, done.stdout)
        print(match[0], flush=True)
        self.assertLessEqual(float(match[1]), MOST_EXPOSED, done.stdout)

    def test_the_unit_lets_through_what_the_planes_may_call(self):
        lists = [*SOURCE.glob("*plane/*/*_syscalls.cpp"), SOURCE / "pns/privilege/syscall_filter.cpp"]
        self.assertEqual(len(lists), 3)
        wanted = {name for path in lists for name in re.findall(r"__NR_(\w+)", path.read_text())}
        self.assertGreater(len(wanted), 80)
        # A start also drops the privileges and executes the planes.
        wanted |= {"seccomp", "bpf", "setresuid", "setresgid", "setgroups", "capset", "fchown", "lchown",
                   "chdir", "execve", "wait4", "sched_setaffinity", "mlock", "setns"}
        self.assertEqual(wanted - permitted_calls(), set())

    def test_the_unit_lets_through_nothing_that_takes_a_host_over(self):
        allowed = permitted_calls()
        for call in ("mount", "init_module", "finit_module", "ptrace", "process_vm_writev", "reboot", "swapon",
                     "iopl", "kexec_load", "keyctl", "userfaultfd", "settimeofday", "open_by_handle_at", "pivot_root"):
            self.assertNotIn(call, allowed)

    def test_a_call_that_eal_tries_fails_and_does_not_kill(self):
        self.assertNotIn("iopl", permitted_calls())
        self.assertEqual(settings("SystemCallErrorNumber"), ["EPERM"])

    def test_a_reload_leaves_the_run_directory_to_the_planes(self):
        # systemd sets owner, group and mode again whenever it runs a command of the unit.
        supervisor = (SOURCE / "pns/privilege/run_places.cpp").read_text()
        self.assertIn(f"::fchmod(directory.get(), {settings('RuntimeDirectoryMode')[0]})", supervisor)
        self.assertIn("::fchown(directory.get(), 0, control.gid)", supervisor)
        self.assertEqual((settings("User"), settings("Group")), ([], ["pns"]))
        self.assertRegex((SOURCE / "deploy/pns.sysusers.conf").read_text(), r"(?m)^u pns ")

    def test_every_file_that_it_writes_to_can_be_written(self):
        self.assertEqual(" ".join(settings("ReadWritePaths")).split(),
                         ["-/var/lib/pns", "-/proc/sys/net/ipv6", "-/proc/sys/net/ipv4/conf"])
        for name in ("CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE", "CAP_SYS_MODULE"):
            self.assertNotIn(name, settings("CapabilityBoundingSet")[0])


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None or \
            "--offline" not in analyze("--help").stdout:
        print("skipped: no systemd-analyze with --offline (Debian package systemd)", file=sys.stderr)
        sys.exit(77)
    unittest.main()
