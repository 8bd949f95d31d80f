# SPDX-License-Identifier: BSD-3-Clause
"""Peer: a PPTP client that says what it is told to, rules or no rules. Control messages and GRE are
built octet by octet (RFC 2637 §2, §4.1); nothing is shared with the server."""
import contextlib
import ctypes
import os
import re
import select
import socket
import struct
import time

COOKIE = 0x1A2B3C4D
PORT = 1723
LENGTHS = {1: 156, 2: 156, 3: 16, 4: 16, 5: 16, 6: 20, 7: 168, 8: 32, 9: 220, 10: 24, 11: 28, 12: 16,
           13: 148, 14: 40, 15: 24}

LCP, CHAP, IPCP, CCP, PAP, IPV4 = 0xC021, 0xC223, 0x8021, 0x80FD, 0xC023, 0x0021


@contextlib.contextmanager
def inside(namespace):
    """Sockets made meanwhile belong to the namespace (of this thread)."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000
    with open("/proc/self/ns/net", "rb") as home, \
            open(f"/run/netns/{namespace.name}", "rb") as there:
        if libc.setns(there.fileno(), clone_newnet) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            if libc.setns(home.fileno(), clone_newnet) != 0:
                os._exit(3)  # lost in the wrong namespace


def message(kind, body=b"", length=None, cookie=COOKIE, message_type=1, reserved=0):
    """One control message; the body is filled up with zeros to the length of its type."""
    whole = LENGTHS.get(kind, 16)
    head = struct.pack(">HHIHH", whole if length is None else length, message_type, cookie, kind,
                       reserved)
    return (head + body).ljust(whole, b"\0")


def start_request(version=0x0100, host=b"peer", vendor=b"peer", reserved=0):
    return message(1, struct.pack(">HHIIHH", version, reserved, 3, 3, 0, 1) +
                   host.ljust(64, b"\0")[:64] + vendor.ljust(64, b"\0")[:64])


def call_request(call_id, window=64, serial=1):
    return message(7, struct.pack(">HHIIIIHHHH", call_id, serial, 300, 100_000_000, 3, 3, window, 0,
                                  0, 0))


def echo_request(identifier):
    return message(5, struct.pack(">I", identifier))


def gre(call_id, payload=b"", sequence=None, ack=None, flags=0, protocol=0x880B, length=None,
        version=1):
    """A GRE packet of PPTP; `flags` are further bits of the first two octets."""
    first = 0x2000 | version | flags
    if sequence is not None:
        first |= 0x1000
    if ack is not None:
        first |= 0x0080
    packet = struct.pack(">HHHH", first, protocol, len(payload) if length is None else length,
                         call_id)
    for number in (sequence, ack):
        if number is not None:
            packet += struct.pack(">I", number & 0xFFFFFFFF)
    return packet + payload


def ppp(protocol, code, identifier, data=b"", length=None):
    return struct.pack(">BBHBBH", 0xFF, 3, protocol, code, identifier,
                       4 + len(data) if length is None else length) + data


class Peer:
    """One control connection from one source address, and its GRE."""

    def __init__(self, namespace, source, server):
        self.source, self.server = source, server
        with inside(namespace):
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
        self.raw.bind((source, 0))
        self.tcp.bind((source, 0))
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tcp.settimeout(5)
        self.tcp.connect((server, PORT))
        self.buffer = b""
        self.server_call = None
        self.next_sequence = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.tcp.close()
        self.raw.close()

    def reset(self):
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.close()

    def send(self, *messages):
        self.tcp.sendall(b"".join(messages))
        return self

    def receive(self, timeout=2):
        """The next control message as (kind, octets); None when the server closes; TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 12:
                length, _, _, kind = struct.unpack(">HHIH", self.buffer[:10])
                if len(self.buffer) >= length:
                    whole, self.buffer = self.buffer[:length], self.buffer[length:]
                    return kind, whole
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no message within {timeout} s")
            self.tcp.settimeout(left)
            try:
                got = self.tcp.recv(65536)
            except socket.timeout:
                continue
            except ConnectionError:
                return None
            if not got:
                return None
            self.buffer += got

    def closed_within(self, timeout=2):
        """True when the server closes without another message."""
        try:
            return self.receive(timeout) is None
        except TimeoutError:
            return False

    def establish(self):
        self.send(start_request())
        kind, reply = self.receive()
        assert (kind, reply[14]) == (2, 1), (kind, reply)
        return self

    def dial(self, call_id=1):
        """A call; its server's Call ID is in self.server_call."""
        self.establish()
        return self.call(call_id)

    def call(self, call_id=1):
        kind, reply = self.send(call_request(call_id)).receive()
        assert kind == 8 and reply[16] == 1, (kind, reply)
        self.server_call = struct.unpack(">H", reply[12:14])[0]
        return self

    def alive(self):
        """An Echo-Request is answered: the stream is in step."""
        kind, reply = self.send(echo_request(0xABCD)).receive()
        return kind == 6 and reply[12:16] == struct.pack(">I", 0xABCD) and reply[16] == 1

    def send_gre(self, packet):
        self.raw.sendto(packet, (self.server, 0))

    def send_ppp(self, frame):
        self.send_gre(gre(self.server_call, frame, self.next_sequence))
        self.next_sequence += 1

    def receive_ppp(self, timeout=2):
        """(protocol, code, identifier, data) of the next PPP packet with payload; TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.raw], [], [], left)[0]:
                raise TimeoutError(f"no PPP frame within {timeout} s")
            packet = self.raw.recv(4096)
            packet = packet[(packet[0] & 15) * 4:]
            flags, _, length, _ = struct.unpack(">HHHH", packet[:8])
            at = 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x80 else 0)
            frame = packet[at:at + length]
            if not frame:
                continue
            if frame[:2] == b"\xff\x03":
                frame = frame[2:]
            protocol, code, identifier, size = struct.unpack(">HBBH", frame[:6])
            return protocol, code, identifier, frame[6:2 + size]

    def expect_ppp(self, protocol, code, timeout=2):
        """The next packet of this protocol and code; others are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            packet = self.receive_ppp(max(0.01, deadline - time.monotonic()))
            if packet[:2] == (protocol, code):
                return packet

    def open_lcp(self):
        """LCP both ways; afterwards the server's challenge is the next packet: (identifier, value)."""
        _, _, identifier, options = self.expect_ppp(LCP, 1)
        self.send_ppp(ppp(LCP, 2, identifier, options))
        self.send_ppp(ppp(LCP, 1, 7, b"\x05\x06\x12\x34\x56\x78"))
        self.expect_ppp(LCP, 2)
        _, _, identifier, data = self.expect_ppp(CHAP, 1)
        return identifier, data[1:1 + data[0]]


class Counters:
    """Metrics of a server, as numbers that only grow."""

    LINE = re.compile(r'^(\w+)(?:\{([^}]*)\})? (\S+)$', re.MULTILINE)

    def __init__(self, server):
        self.server = server
        self.before = self.read()

    def read(self):
        out = {}
        for name, labels, value in self.LINE.findall(self.server.metrics()):
            pairs = frozenset(re.findall(r'(\w+)="([^"]*)"', labels))
            out[name, pairs] = float(value)
        return out

    def grown(self, name, **labels):
        """By how much all series of this name with these labels have grown since the start."""
        wanted = set(labels.items())

        def total(values):
            return sum(v for (n, pairs), v in values.items() if n == name and wanted <= pairs)
        return total(self.read()) - total(self.before)
