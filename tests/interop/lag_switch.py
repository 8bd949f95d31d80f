#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A switch in user space for lag_test.py: one uplink, and member links that are interfaces of this namespace.

usage: lag_switch.py [--lacp] --carrying FILE UPLINK MEMBER...

Without --lacp it learns where a MAC address is, and forgets what it knows of a link that goes down, as any switch
does. With --lacp the members are one aggregate (IEEE 802.1AX): the switch is the partner of their LACP, and carries
data over a member only while both sides are in sync.
FILE holds the names of the members that carry data in both directions, one a line.
"""
import argparse
import os
import select
import socket
import struct
import time

ETH_P_ALL, SLOW_PROTOCOLS, PACKET_OUTGOING = 3, 0x8809, 4
LACP_GROUP = bytes.fromhex("0180c2000002")
ACTIVITY, SHORT_TIMEOUT, AGGREGATION, SYNC, COLLECTING, DISTRIBUTING, DEFAULTED = 1, 2, 4, 8, 16, 32, 64
OUR_SYSTEM = bytes.fromhex("02aaaaaaaa00")
SEND_EVERY, FORGET_AFTER = 1.0, 3.0  # seconds; the short timeout
ACTOR = struct.Struct(">H6sHHHB3x")


class Link:
    def __init__(self, name, number):
        self.name = name
        self.number = number
        self.socket = None
        self.partner = None  # the other side as its last LACPDU told
        self.heard = 0.0
        self.open()

    def open(self):
        """Whether the interface is up and there."""
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind((self.name, 0))
            self.socket.setblocking(False)
        except OSError:
            self.socket = None
        return self.socket is not None

    def read(self):
        """A frame that came in; None: no more. OSError: the link went down."""
        try:
            frame, address = self.socket.recvfrom(65536)
        except BlockingIOError:
            return None
        return b"" if address[2] == PACKET_OUTGOING else frame

    def write(self, frame):
        try:
            self.socket.send(frame)
        except OSError:
            return False
        return True

    # --- LACP ---

    def state(self):
        state = ACTIVITY | SHORT_TIMEOUT | AGGREGATION
        if self.partner is None:
            return state | DEFAULTED
        if self.partner[5] & SYNC:
            return state | SYNC | COLLECTING | DISTRIBUTING
        return state | SYNC

    def carries(self):
        return bool(self.state() & DISTRIBUTING) and bool(self.partner[5] & COLLECTING)

    def carries_both_ways(self):
        return self.carries() and bool(self.partner[5] & DISTRIBUTING)

    def hear(self, pdu):
        self.partner = ACTOR.unpack_from(pdu, 4)
        self.heard = time.monotonic()

    def speak(self):
        ours = ACTOR.pack(0x8000, OUR_SYSTEM, 1, 0x8000, self.number, self.state())
        theirs = ACTOR.pack(*self.partner) if self.partner else bytes(ACTOR.size)
        body = b"\1\1" + b"\1\x14" + ours + b"\2\x14" + theirs + b"\3\x10" + bytes(14) + bytes(52)
        self.write(LACP_GROUP + OUR_SYSTEM[:5] + bytes([self.number]) + struct.pack(">H", SLOW_PROTOCOLS) + body)


class Switch:
    def __init__(self, uplink, members, lacp, carrying):
        self.uplink = Link(uplink, 0)
        self.members = [Link(name, number) for number, name in enumerate(members, 1)]
        self.lacp = lacp
        self.known = {}  # MAC address → member
        self.carrying = carrying
        self.told = None

    def up(self, frame, member):
        if self.lacp and frame[12:14] == struct.pack(">H", SLOW_PROTOCOLS):
            before = member.state()
            member.hear(frame[14:])
            if member.state() != before:
                member.speak()
            return
        self.known[frame[6:12]] = member
        self.uplink.write(frame)

    def down(self, frame):
        there = [member for member in self.members if member.socket is not None]
        if self.lacp:
            there = [member for member in there if member.carries()]
            there = there and [there[sum(frame[26:34]) % len(there)]]
        elif self.known.get(frame[:6]) in there:
            there = [self.known[frame[:6]]]
        for member in there:
            if not member.write(frame):
                self.drop(member)

    def drop(self, member):
        member.socket.close()
        member.socket = member.partner = None
        self.known = {mac: at for mac, at in self.known.items() if at is not member}

    def turn(self):
        links = [link for link in (self.uplink, *self.members) if link.socket is not None]
        for link in links:
            try:
                while link.socket is not None and (frame := link.read()) is not None:
                    if frame and link is self.uplink:
                        self.down(frame)
                    elif frame:
                        self.up(frame, link)
            except OSError:
                self.drop(link)
        select.select([link.socket for link in links if link.socket is not None], [], [], 0.1)

    def tell(self):
        """Writes the file anew when a member begins or ends to carry."""
        there = [member for member in self.members if member.socket is not None]
        names = "".join(f"{member.name}\n" for member in there if not self.lacp or member.carries_both_ways())
        if names == self.told:
            return
        self.told = names
        with open(self.carrying + ".new", "w", encoding="ascii") as file:
            file.write(names)
        os.replace(self.carrying + ".new", self.carrying)

    def tick(self):
        now = time.monotonic()
        for member in self.members:
            if member.socket is None and not member.open():
                continue
            if member.partner and now - member.heard > FORGET_AFTER:
                member.partner = None
            if self.lacp:
                member.speak()

    def run(self):
        self.tell()
        print("ready", flush=True)
        due = 0.0
        while True:
            self.turn()
            self.tell()
            if time.monotonic() >= due:
                self.tick()
                due = time.monotonic() + SEND_EVERY


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lacp", action="store_true")
    parser.add_argument("--carrying", required=True)
    parser.add_argument("uplink")
    parser.add_argument("members", nargs="+")
    options = parser.parse_args()
    Switch(options.uplink, options.members, options.lacp, options.carrying).run()


if __name__ == "__main__":
    main()
