# SPDX-License-Identifier: BSD-3-Clause
"""Prefixes in the XDP program of a dataplane: the keys of its longest-prefix maps, read by bpf(2)."""
import contextlib
import ctypes
import ipaddress
import os
import pathlib
import re

SYS_BPF = 321  # x86-64
MAP_GET_NEXT_KEY = 4
MAP_GET_FD_BY_ID = 14
LPM_TRIE = 11

_libc = ctypes.CDLL(None, use_errno=True)


class _Key(ctypes.Structure):  # of union bpf_attr, for MAP_GET_NEXT_KEY
    _fields_ = [("map", ctypes.c_uint32), ("key", ctypes.c_uint64), ("next", ctypes.c_uint64)]


def _bpf(command, attribute):
    result = _libc.syscall(SYS_BPF, command, ctypes.byref(attribute), ctypes.sizeof(attribute))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _keys(identifier, size):
    fd = _bpf(MAP_GET_FD_BY_ID, (ctypes.c_uint32 * 3)(identifier, 0, 0))
    try:
        key, following = None, ctypes.create_string_buffer(size)
        with contextlib.suppress(FileNotFoundError):  # after the last one
            while True:
                _bpf(MAP_GET_NEXT_KEY, _Key(fd, ctypes.addressof(key) if key else 0,
                                            ctypes.addressof(following)))
                yield following.raw
                key = ctypes.create_string_buffer(following.raw, size)
    finally:
        os.close(fd)


def subscriber_prefixes(pid):
    """As texts, of both families; empty for a dataplane without an xdp: port."""
    found = set()
    seen = set()
    for fd in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        facts = dict(re.findall(r"^(\w+):\s*(\w+)$", fd.read_text(), re.MULTILINE))
        identifier = int(facts.get("map_id", 0))
        if int(facts.get("map_type", 0)) != LPM_TRIE or identifier in seen:
            continue
        seen.add(identifier)
        for key in _keys(identifier, int(facts["key_size"])):
            bits = int.from_bytes(key[:4], "little")
            found.add(str(ipaddress.ip_network((key[4:], bits))))
    return found
