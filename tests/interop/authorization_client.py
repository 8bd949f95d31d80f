#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A client of dynamic authorization (RFC 5176) that sends octets of its own making, for what radclient
cannot do: the same packet twice, and many requests at a fixed rate.

usage: authorization_client.py twice --server ADDRESS --secret-file FILE --user NAME
       authorization_client.py rate --server ADDRESS --secret-file FILE --kind coa|disconnect --rate N
                               [--count N] < ids of sessions, one a line

twice: the same Disconnect-Request three times, twice from one port and once from another. Prints the codes of
the answers to each port.
rate: requests to one session after the other, --count in all (default: one for each session). Prints counts
of answers by code, and times to the answer. A request is not repeated. Both print JSON.
"""
import argparse
import collections
import hashlib
import hmac
import json
import selectors
import socket
import struct
import sys
import time

PORT = 3799
DISCONNECT, COA = 40, 43
USER_NAME, CLASS, ACCT_SESSION_ID, EVENT_TIMESTAMP, MESSAGE_AUTHENTICATOR = 1, 25, 44, 55, 80
NAMES = {41: "Disconnect-ACK", 42: "Disconnect-NAK", 44: "CoA-ACK", 45: "CoA-NAK"}
PATIENCE = 15  # seconds for the last answers


def attribute(number, value):
    return bytes([number, len(value) + 2]) + value


def request(code, identifier, attributes, secret):
    """A signed packet with a Message-Authenticator and an Event-Timestamp (RFC 5176 §2.3, §3.4)."""
    body = attribute(EVENT_TIMESTAMP, struct.pack("!I", int(time.time()))) + attributes
    head = struct.pack("!BBH", code, identifier, 20 + 18 + len(body))
    unsigned = head + bytes(16) + attribute(MESSAGE_AUTHENTICATOR, bytes(16)) + body
    digest = hmac.new(secret, unsigned, "md5").digest()
    signed = unsigned[:22] + digest + unsigned[38:]
    return head + hashlib.md5(signed + secret).digest() + signed[20:]


def is_answer(packet, asked, secret):
    """Whether its Response Authenticator is right."""
    right = hashlib.md5(packet[:4] + asked[4:20] + packet[20:] + secret).digest()
    return len(packet) >= 20 and packet[1] == asked[1] and packet[4:20] == right


def open_socket(server):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.connect((server, PORT))
    return made


def twice(options, secret):
    packet = request(DISCONNECT, 1, attribute(USER_NAME, options.user.encode()), secret)
    first, second = open_socket(options.server), open_socket(options.server)
    answers = []
    for sender in (first, first, second):
        sender.settimeout(5 if sender is first else 1)
        sender.send(packet)
        try:
            got = sender.recv(4096)
            answers.append(NAMES[got[0]] if is_answer(got, packet, secret) else "forged")
        except TimeoutError:
            answers.append(None)
    return answers


class Rate:
    """Sends at a rate from several ports, each Identifier of a port once."""

    def __init__(self, options, secret, sessions):
        self.options, self.secret, self.sessions = options, secret, sessions
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        for _ in range(options.count // 256 + 1):
            made = open_socket(options.server)
            made.setblocking(False)
            self.selector.register(made, selectors.EVENT_READ)
            self.sockets.append(made)
        self.open = {}  # (socket, Identifier) → packet, when it was sent
        self.codes = collections.Counter()
        self.times = []

    def send(self, number):
        code = COA if self.options.kind == "coa" else DISCONNECT
        attributes = attribute(ACCT_SESSION_ID, self.sessions[number % len(self.sessions)].encode())
        if code == COA:
            attributes += attribute(CLASS, f"round {number // len(self.sessions)}".encode())
        sender, identifier = self.sockets[number // 256], number % 256
        packet = request(code, identifier, attributes, self.secret)
        self.open[sender, identifier] = packet, time.monotonic()
        sender.send(packet)

    def receive(self, timeout):
        for key, _ in self.selector.select(max(0, timeout)):
            try:
                packet = key.fileobj.recv(4096)
            except BlockingIOError:
                continue
            asked, when = self.open.get((key.fileobj, packet[1]), (None, None))
            if asked is None or not is_answer(packet, asked, self.secret):
                self.codes["forged"] += 1
                continue
            del self.open[key.fileobj, packet[1]]
            self.codes[NAMES[packet[0]]] += 1
            self.times.append(time.monotonic() - when)

    def run(self):
        begun = time.monotonic()
        for number in range(self.options.count):
            due = begun + number / self.options.rate
            while (left := due - time.monotonic()) > 0:
                self.receive(left)
            self.send(number)
            self.receive(0)
        took = time.monotonic() - begun
        until = time.monotonic() + PATIENCE
        while self.open and time.monotonic() < until:
            self.receive(0.1)
        self.times.sort()

        def quantile(share):
            return round(1000 * self.times[min(len(self.times) - 1, int(share * len(self.times)))], 2)
        return {"requests": self.options.count, "a_second": round(self.options.count / took),
                "answers": dict(self.codes), "unanswered": len(self.open),
                "ms": {"p50": quantile(0.5), "p99": quantile(0.99), "max": quantile(1)} if self.times else None}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("twice", "rate"))
    parser.add_argument("--server", required=True)
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--kind", choices=("coa", "disconnect"), default="coa")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--count", type=int)
    options = parser.parse_args()
    with open(options.secret_file, "rb") as file:
        secret = file.readline().rstrip(b"\r\n")
    if options.verb == "twice":
        print(json.dumps(twice(options, secret)))
        return
    sessions = sys.stdin.read().split()
    options.count = options.count or len(sessions)
    print(json.dumps(Rate(options, secret, sessions).run()))


if __name__ == "__main__":
    main()
