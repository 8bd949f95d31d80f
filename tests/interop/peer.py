# SPDX-License-Identifier: BSD-3-Clause
"""Peer: a PPTP client that says what it is told to, rules or no rules. Control messages and GRE are
built octet by octet (RFC 2637 §2, §4.1); nothing is shared with the server."""
import contextlib
import ctypes
import hashlib
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


def start_reply(result=1):
    return message(2, struct.pack(">HBBIIHH", 0x0100, result, 0, 3, 3, 0, 1) +
                   b"a pac".ljust(64, b"\0") + b"peer".ljust(64, b"\0"))


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


class MsChapV2:
    """The client's half of RFC 2759 §8, over nettle."""

    def __init__(self, user, password):
        self.user, self.password = user.encode(), password
        self.nettle = ctypes.CDLL("libnettle.so.8")

    def md4(self, data):
        context, out = ctypes.create_string_buffer(256), ctypes.create_string_buffer(16)
        self.nettle.nettle_md4_init(context)
        self.nettle.nettle_md4_update(context, ctypes.c_size_t(len(data)), data)
        self.nettle.nettle_md4_digest(context, ctypes.c_size_t(16), out)
        return out.raw

    def des(self, key, block):
        """One block under 56 bits of key."""
        bits = int.from_bytes(key, "big")
        octets = bytes(((bits >> (49 - 7 * i)) & 0x7F) << 1 for i in range(8))
        context, out = ctypes.create_string_buffer(1024), ctypes.create_string_buffer(8)
        self.nettle.nettle_des_set_key(context, bytes(self.odd(octet) for octet in octets))
        self.nettle.nettle_des_encrypt(context, ctypes.c_size_t(8), out, block)
        return out.raw

    @staticmethod
    def odd(octet):
        return octet | (bin(octet).count("1") + 1) % 2

    def response(self, challenge):
        """The 49 octets of a Response value."""
        own = os.urandom(16)
        digest = hashlib.sha1(own + challenge + self.user).digest()[:8]
        key = self.md4(self.password.encode("utf-16-le")).ljust(21, b"\0")
        answer = b"".join(self.des(key[i:i + 7], digest) for i in (0, 7, 14))
        return own + bytes(8) + answer + b"\0"


class PppClient:
    """A subscriber's PPP up to an open link: LCP, MS-CHAPv2, CCP (MPPE 128 stateless), IPCP. Control
    frames only; its caller moves them."""

    MPPE = b"\x12\x06\x01\x00\x00\x40"
    MAGIC = b"\x12\x34\x56\x78"

    def __init__(self, user, password):
        self.auth = MsChapV2(user, password)
        self.address = None  # once IPCP is open
        self.terminated = False
        self.failure = None
        self.own = {}      # protocol → options of our Configure-Request that is not acknowledged yet
        self.agreed = set()  # (protocol, "us" | "them")
        self.identifier = 0x20

    @property
    def open(self):
        return {(p, side) for p in (LCP, CCP, IPCP) for side in ("us", "them")} <= self.agreed

    def again(self):
        """What to send (again) after a silence."""
        return [ppp(protocol, 1, self.identifier, options) for protocol, options in self.own.items()]

    def ask(self, protocol, options):
        self.identifier += 1
        self.own[protocol] = options
        return ppp(protocol, 1, self.identifier, options)

    def on_frame(self, protocol, code, identifier, data):
        """One frame of the server; returns those to send."""
        out = []
        if protocol == CHAP:
            if code == 1:
                value = self.auth.response(data[1:1 + data[0]])
                out.append(ppp(CHAP, 2, identifier, bytes([len(value)]) + value + self.auth.user))
            elif code == 3 and (CCP, "us") not in self.agreed and CCP not in self.own:
                out += [self.ask(CCP, self.MPPE), self.ask(IPCP, b"\x03\x06\0\0\0\0")]
            elif code == 4:
                self.failure = data
        elif code == 1:
            out.append(ppp(protocol, 2, identifier, data))
            self.agreed.add((protocol, "them"))
            if protocol == LCP and (LCP, "us") not in self.agreed and LCP not in self.own:
                out.append(self.ask(LCP, b"\x05\x06" + self.MAGIC))
        elif code == 2 and protocol in self.own:
            options = self.own.pop(protocol)
            self.agreed.add((protocol, "us"))
            if protocol == IPCP:
                self.address = socket.inet_ntoa(options[2:6])
        elif code == 3 and protocol in self.own:
            out.append(self.ask(protocol, data))
        elif code == 5:
            out.append(ppp(protocol, 6, identifier))
            self.terminated = self.terminated or protocol == LCP
        elif protocol == LCP and code == 9:
            out.append(ppp(LCP, 10, identifier, self.MAGIC + data[4:]))
        return out


class PacCall:
    """One call of a Pac, with a subscriber behind it."""

    def __init__(self, call_id, server_call_id, client):
        self.call_id, self.server_call_id, self.client = call_id, server_call_id, client
        self.cleared = False  # the server sent Call-Clear-Request
        self.next_sequence = 0
        self.sent_at = time.monotonic()


def listen(namespace, source):
    """A PAC's TCP 1723."""
    with inside(namespace):
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((source, PORT))
    tcp.listen(8)
    tcp.settimeout(10)
    return tcp


class Pac(Peer):
    """A PPTP access concentrator: control connection and calls of it, with subscribers behind them.
    `tcp`: a connection that the server opened; without one it opens its own."""

    def __init__(self, namespace, source, server, tcp=None):
        if tcp is None:
            super().__init__(namespace, source, server)
        else:
            self.source, self.server, self.tcp, self.buffer = source, server, tcp, b""
            with inside(namespace):
                self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
            self.raw.bind((source, 0))
        self.calls = {}     # by our Call ID
        self.messages = []  # (kind, octets) that nobody has taken
        self.closed = False

    def send_frames(self, call, frames):
        for frame in frames:
            self.send_gre(gre(call.server_call_id, frame, call.next_sequence))
            call.next_sequence += 1
        if frames:
            call.sent_at = time.monotonic()

    def on_gre(self, packet):
        packet = packet[(packet[0] & 15) * 4:]
        flags, _, length, call_id = struct.unpack(">HHHH", packet[:8])
        at = 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x80 else 0)
        frame = packet[at:at + length]
        call = self.calls.get(call_id)
        if call is None or len(frame) < 8:
            return
        if frame[:2] == b"\xff\x03":
            frame = frame[2:]
        protocol, code, identifier, size = struct.unpack(">HBBH", frame[:6])
        if protocol in (LCP, CHAP, IPCP, CCP):
            self.send_frames(call, call.client.on_frame(protocol, code, identifier, frame[6:2 + size]))

    def on_octets(self, octets):
        self.buffer += octets
        while len(self.buffer) >= 12:
            length, _, _, kind = struct.unpack(">HHIH", self.buffer[:10])
            if len(self.buffer) < length:
                return
            whole, self.buffer = self.buffer[:length], self.buffer[length:]
            if kind == 5:
                self.send(message(6, whole[12:16] + b"\x01"))
            elif kind == 12:  # the id that the server, a PNS, assigned
                server_call_id = struct.unpack(">H", whole[12:14])[0]
                for call in [c for c in self.calls.values() if c.server_call_id == server_call_id]:
                    call.cleared = True
                    self.disconnect(call, result=4)
            self.messages.append((kind, whole))

    def pump(self, until, timeout=10, what="the PAC waits for it"):
        """Lives until something is so. TimeoutError."""
        deadline = time.monotonic() + timeout
        while not until():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{what}: not within {timeout} s; messages: "
                                   f"{[kind for kind, _ in self.messages]}")
            sockets = [self.raw] if self.closed else [self.raw, self.tcp]
            ready = select.select(sockets, [], [], min(left, 0.1))[0]
            if self.raw in ready:
                self.on_gre(self.raw.recv(4096))
            if self.tcp in ready:
                try:
                    octets = self.tcp.recv(65536)
                except ConnectionError:
                    octets = b""
                self.closed = not octets
                self.on_octets(octets)
            for call in self.calls.values():
                if time.monotonic() - call.sent_at > 1:
                    self.send_frames(call, call.client.again())

    def take(self, kind, timeout=10):
        """The oldest message of this kind that nobody has taken."""
        def found():
            return any(k == kind for k, _ in self.messages)
        self.pump(found, timeout, f"message {kind}")
        at = next(i for i, (k, _) in enumerate(self.messages) if k == kind)
        return self.messages.pop(at)[1]

    def answer_start(self, result=1):
        """The server's Start-Control-Connection-Request, answered."""
        request = self.take(1)
        self.send(start_reply(result))
        return request

    def announce(self, call_id, user, password, connect=True):
        """An incoming call: Request, the server's Reply, Connected."""
        self.send(message(9, struct.pack(">HHIIHH", call_id, call_id, 2, 0, 3, 3) +
                          b"100".ljust(64, b"\0") + b"200".ljust(64, b"\0")))
        reply = self.take(10)
        server_call_id, peers, result = struct.unpack(">HHB", reply[12:17])
        assert (peers, result) == (call_id, 1), reply
        call = self.calls[call_id] = PacCall(call_id, server_call_id, PppClient(user, password))
        if connect:
            self.connect(call)
        return call

    def connect(self, call):
        """Incoming-Call-Connected: PPP may start."""
        self.send(message(11, struct.pack(">HHIHHI", call.server_call_id, 0, 64000, 64, 0, 1)))

    def answer_call(self, call_id, user, password):
        """The server's Outgoing-Call-Request, answered: (the call, the number dialled)."""
        request = self.take(7)
        server_call_id = struct.unpack(">H", request[12:14])[0]
        length = struct.unpack(">H", request[36:38])[0]
        call = self.calls[call_id] = PacCall(call_id, server_call_id, PppClient(user, password))
        self.send(message(8, struct.pack(">HHBBHIHHI", call_id, server_call_id, 1, 0, 0, 64000, 64,
                                         0, 0)))
        return call, request[40:40 + length].decode()

    def disconnect(self, call, result=1):
        self.send(message(13, struct.pack(">HBBHH", call.call_id, result, 0, 0, 0)))
        self.calls.pop(call.call_id, None)

    def wait_open(self, *calls, timeout=10):
        self.pump(lambda: all(call.client.open for call in calls), timeout, "PPP opens")


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
