#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Asks for configuration by DHCPINFORM out of one interface, as Windows does after its VPN is up, and
prints the options of the answer: inform.py INTERFACE ADDRESS [option number ...]"""
import json
import socket
import struct
import sys

COOKIE = 0x63825363


def ask(interface, address, wanted):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        link.bind((address, 68))
        link.settimeout(2)
        hardware = bytes.fromhex("005345000000")
        question = struct.pack(">BBBBIHH4s12x16s192xI", 1, 8, len(hardware), 0, 0x1CE1CE1C, 0, 0,
                               socket.inet_aton(address), hardware, COOKIE)
        question += b"\x35\x01\x08" + b"\x3d\x07\x01" + hardware + b"\x3c\x08MSFT 5.0"
        question += bytes([55, len(wanted), *wanted]) + b"\xff"
        for _ in range(5):
            link.sendto(question, ("255.255.255.255", 67))
            try:
                return link.recvfrom(2048)
            except TimeoutError:
                continue
    raise SystemExit("no answer")


def main():
    interface, address, *wanted = sys.argv[1:]
    answer, (server, port) = ask(interface, address, [int(option) for option in wanted])
    operation, = struct.unpack_from(">B", answer)
    transaction, = struct.unpack_from(">I", answer, 4)
    options, at = {}, 240
    while answer[at] != 255:
        if answer[at] == 0:
            at += 1
            continue
        size = answer[at + 1]
        options[answer[at]] = answer[at + 2:at + 2 + size].hex()
        at += 2 + size
    print(json.dumps({"server": server, "port": port, "operation": operation,
                      "transaction": transaction, "options": options}))


if __name__ == "__main__":
    main()
