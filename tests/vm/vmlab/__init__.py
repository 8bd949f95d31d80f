# SPDX-License-Identifier: BSD-3-Clause
"""The virtual machine of tests/vm: QEMU in pure emulation between the namespaces of the interop lab."""
import pathlib
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(SOURCE / "tests" / "interop"))
