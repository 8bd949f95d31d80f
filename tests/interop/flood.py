#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Frames that no client sends, at a steady rate: flood.py INTERFACE MAC KIND SECONDS RATE SEED.
KIND: gre (Call IDs that no call has), junk (datagrams to closed ports, cut and broken packets), syn
(connections from addresses of no host), arp. Prints how many frames were sent."""
import os
import random
import socket
import struct
import sys
import time

SERVER = bytes([198, 51, 100, 1])
STRANGER = bytes([198, 51, 100, 245])
GROUP = 20  # frames sent at once
DIFFERENT = 16384  # frames, which repeat; more SYNs than the kernel keeps half open (somaxconn)


def checksum(octets):
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ipv4(protocol, payload, source=STRANGER):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, source, SERVER)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def gre(chance):
    payload = chance.randbytes(chance.randrange(0, 64))
    return 0x0800, ipv4(47, struct.pack(">HHHHI", 0x3001, 0x880B, len(payload), chance.randrange(65536),
                                        chance.randrange(1 << 32)) + payload)


def syn(chance):
    source = bytes([198, 51, 100, chance.randrange(128, 192)])
    head = struct.pack(">HHIIBBHHH", chance.randrange(1024, 65536), 1723, chance.randrange(1 << 32), 0,
                       0x50, 2, 64000, 0, 0)
    total = checksum(source + SERVER + struct.pack(">HH", 6, len(head)) + head)
    return 0x0800, ipv4(6, head[:16] + struct.pack(">H", total) + head[18:], source)


def arp(chance):
    sender = bytes([198, 51, 100, chance.randrange(128, 192)])
    target = SERVER if chance.random() < 0.5 else bytes([198, 51, 100, chance.randrange(256)])
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, chance.choice((1, 2))) + b"\x02" + chance.randbytes(5) + \
        sender + bytes(6) + target
    return 0x0806, body if chance.random() < 0.8 else body[:chance.randrange(len(body))]


def junk(chance):
    packet = ipv4(17, struct.pack(">HHHH", 9, chance.randrange(65536), 28, 0) + chance.randbytes(20))
    which = chance.randrange(5)
    if which == 0:
        packet = packet[:chance.randrange(1, len(packet))]
    elif which == 1:
        packet = bytes([chance.randrange(256)]) + packet[1:]
    elif which == 2:
        return chance.choice((0x86DD, 0x8100, 0x88CC, 0x1234)), chance.randbytes(46)
    elif which == 3:
        packet = chance.randbytes(len(packet))
    return 0x0800, packet


def main():
    interface, mac, kind, seconds, rate, seed = sys.argv[1:]
    os.nice(5)  # a flood comes from other machines: it must not take the server's CPUs
    make = {"gre": gre, "syn": syn, "arp": arp, "junk": junk}[kind]
    chance = random.Random(int(seed))
    head = bytes.fromhex(mac.replace(":", "")) + b"\x02\x00\x00\x00\x00\x45"
    frames = []
    for _ in range(DIFFERENT):
        ether_type, body = make(chance)
        frames.append((head + struct.pack(">H", ether_type) + body).ljust(60, b"\0"))
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    out.setblocking(False)
    begun = time.monotonic()
    sent = number = 0
    while (left := begun + float(seconds) - time.monotonic()) > 0:
        due = begun + number / float(rate)
        if (wait := due - time.monotonic()) > 0:
            time.sleep(min(wait, left))
        for _ in range(GROUP):
            try:
                out.send(frames[number % DIFFERENT])
                sent += 1
            except OSError:  # the queue of the line is full, or the link is down
                pass
            number += 1
    print(sent)


if __name__ == "__main__":
    main()
