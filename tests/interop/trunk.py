#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A switch with one trunk port, for kernels without VLAN devices: frames of the trunk that have the tags of
an interface leave by it without them, and frames that come by the interface get them.
    trunk.py TRUNK TAG[.TAG]=INTERFACE…        prints "ready", and runs until it is ended"""
import selectors
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
VLAN_VALID = 1 << 4  # of tpacket_auxdata.tp_status
ADDRESSES = 12
TPIDS = (0x8100, 0x88a8)


def open_port(name):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    port.bind((name, 0))
    return port


def receive(port):
    """(tags, frame without them). The kernel takes the outermost one off and tells it beside the frame."""
    frame, aux, _, _ = port.recvmsg(65535, 512)
    tags = []
    for level, kind, data in aux:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            if status & VLAN_VALID:
                tags.append(tci & 0xfff)
    while len(frame) >= ADDRESSES + 4 and struct.unpack_from("!H", frame, ADDRESSES)[0] in TPIDS:
        tags.append(struct.unpack_from("!H", frame, ADDRESSES + 2)[0] & 0xfff)
        frame = frame[:ADDRESSES] + frame[ADDRESSES + 4:]
    return tuple(tags), frame


def add_tags(tags, frame):
    types = [TPIDS[1]] * (len(tags) - 1) + [TPIDS[0]]
    own = b"".join(struct.pack("!HH", kind, tag) for kind, tag in zip(types, tags))
    return frame[:ADDRESSES] + own + frame[ADDRESSES:]


def main(trunk_name, *words):
    trunk = open_port(trunk_name)
    ports = {}
    for word in words:
        tags, name = word.split("=")
        ports[tuple(int(tag) for tag in tags.split("."))] = open_port(name)
    waiting = selectors.DefaultSelector()
    waiting.register(trunk, selectors.EVENT_READ, None)
    for tags, port in ports.items():
        waiting.register(port, selectors.EVENT_READ, tags)
    print("ready", flush=True)
    while True:
        for key, _ in waiting.select():
            tags, frame = receive(key.fileobj)
            try:
                if key.data is not None:
                    trunk.send(add_tags(key.data, frame))
                elif tags in ports:
                    ports[tags].send(frame)
            except OSError:
                pass  # the interface is down, or its queue is full: the frame is lost


if __name__ == "__main__":
    main(*sys.argv[1:])
