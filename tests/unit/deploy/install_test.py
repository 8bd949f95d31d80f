#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `cmake --install` puts where, and the packages that cpack makes of it.

usage: install_test.py BUILD_DIRECTORY"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv[1]).resolve()
PROGRAMS = ("pns", "pns-control", "pns-dataplane")


def run(*words, **options):
    return subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=True, timeout=120, **options).stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="pns-install-")
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = pathlib.Path(scratch.name)
        cls.root = cls.scratch / "root"
        for component in ("pns", "tools"):
            run("cmake", "--install", BUILD, "--component", component,
                env=os.environ | {"DESTDIR": str(cls.root)})

    def test_programs_lie_together_and_pns_is_in_the_path(self):
        directory = self.root / "usr/local/lib/pns"
        self.assertEqual({path.name for path in directory.iterdir()},
                         {*PROGRAMS, *(f"pns-xdp-{role}.o" for role in ("access", "core", "kernel", "link"))})
        link = self.root / "usr/local/bin/pns"
        self.assertTrue(link.is_symlink())
        self.assertEqual(link.resolve(), directory / "pns")
        self.assertIn("pns 0.", run(link, "--version"))
        for tool in ("pns-loadgen", "pns-bench"):
            self.assertIn("Usage", run(self.root / "usr/local/bin" / tool, "--help"))

    def test_the_unit_names_the_installed_program(self):
        unit = (self.root / "etc/systemd/system/pns.service").read_text()
        self.assertEqual(set(re.findall(r"^Exec\w+=(\S+) ", unit, re.M)), {"/usr/local/lib/pns/pns"})

    def test_the_configuration_is_whole_and_not_written_over(self):
        file = self.root / "etc/pns/pns.yaml"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual((self.root / "etc/pns/users.yaml").stat().st_mode & 0o777, 0o600)
        self.assertIn("ok", run(self.root / "usr/local/bin/pns", "check", "--no-host", "--config", file))
        file.write_text("mine\n")
        run("cmake", "--install", BUILD, "--component", "pns", env=os.environ | {"DESTDIR": str(self.root)})
        self.assertEqual(file.read_text(), "mine\n")

    def test_the_completion_knows_every_command(self):
        text = (self.root / "usr/local/share/bash-completion/completions/pns").read_text()
        told = set(re.search(r'local commands="([^"]*)"', text)[1].split())
        help_text = run(self.root / "usr/local/bin/pns", "--help").split("Subcommands:\n")[1].split("\n\n")[0]
        self.assertEqual(told, set(re.findall(r"^  ([a-z-]+) ", help_text, re.M)))
        run("bash", "-n", self.root / "usr/local/share/bash-completion/completions/pns")

    def test_every_program_has_a_manual_page(self):
        directory = self.root / "usr/local/share/man"
        self.assertEqual({path.name for path in directory.rglob("*.gz")},
                         {"pns.1.gz", "pns-loadgen.1.gz", "pns-bench.1.gz", "pns.yaml.5.gz", "pns-control.8.gz",
                          "pns-dataplane.8.gz", "pns-prepare-nic.8.gz"})
        for page in (BUILD / "package/man").glob("*.[158]"):
            text = page.read_text()
            self.assertTrue(text.startswith(".TH "), page)
            self.assertIn(".SH DESCRIPTION", text)
        self.assertIn("pns reload", (BUILD / "package/man/pns.1").read_text().replace("\\-", "-"))

    def test_cpack_makes_two_packages(self):
        run("cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B", self.scratch / "deb",
            cwd=self.scratch)
        packages = {path.name.split("_")[0]: path for path in (self.scratch / "deb").glob("*.deb")}
        self.assertEqual(set(packages), {"pns", "pns-tools"})
        control = run("dpkg-deb", "--info", packages["pns"])
        for word in ("librte-net-af-xdp23", "libyaml-cpp", "postinst", "prerm", "postrm", "conffiles"):
            self.assertIn(word, control)
        scripts = self.scratch / "control"
        run("dpkg-deb", "--control", packages["pns"], scripts)
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", scripts / script)
        self.assertEqual((scripts / "conffiles").read_text().split(), ["/etc/pns/pns.yaml", "/etc/pns/users.yaml"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
