#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A service of the server's host, and its client.

    service.py serve [PORT …]                  on every address, these ports of UDP and TCP; default 5353
    service.py udp|tcp ADDRESS OCTETS [--source ADDRESS] [--port PORT]
                                               prints the client's address as the service saw it

The service answers a datagram with as many octets from the address that it was sent to, and a stream
likewise. The client prints `refused`, `unreachable` or `timeout` when nothing comes."""
import argparse
import errno
import socket
import struct
import sys
import threading

PORT = 5353
IP_PKTINFO = 8  # linux/in.h; Python has no name for it before 3.13
WAIT = 3


def padded(text, size):
    return text.encode().ljust(max(size, 64), b".")


def plain(address):
    return address.removeprefix("::ffff:")


def serve_datagrams(sock, level, option):
    """Answers from the address that was asked: a reply from another one is none to a firewall."""
    while True:
        data, extra, _, peer = sock.recvmsg(65535, 256)
        info = [(level, option, value) for lev, opt, value in extra if (lev, opt) == (level, option)]
        if level == socket.IPPROTO_IP and info:
            index, local, _ = struct.unpack("=I4s4s", info[0][2])
            info = [(level, option, struct.pack("=I4s4s", 0 * index, local, b"\0" * 4))]
        sock.sendmsg([padded(plain(peer[0]), len(data))], info, 0, peer)


def serve_stream(connection, peer):
    with connection:
        wanted = struct.unpack(">I", read(connection, 4))[0]
        read(connection, wanted)
        connection.sendall(padded(plain(peer[0]), wanted))


def read(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data


def serve(ports):
    for port in ports:
        open_port(port)
    print("serving", flush=True)
    threading.Event().wait()


def open_port(port):
    for family, level, option, switch in (
            (socket.AF_INET, socket.IPPROTO_IP, IP_PKTINFO, IP_PKTINFO),
            (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, socket.IPV6_RECVPKTINFO)):
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        datagrams.setsockopt(level, switch, 1)
        streams = socket.socket(family, socket.SOCK_STREAM)
        streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for sock in (datagrams, streams):
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("", port))
        streams.listen(16)
        threading.Thread(target=serve_datagrams, args=(datagrams, level, option), daemon=True).start()
        threading.Thread(target=accept, args=(streams,), daemon=True).start()


def accept(streams):
    while True:
        connection, peer = streams.accept()
        threading.Thread(target=serve_stream, args=(connection, peer), daemon=True).start()


def ask(kind, address, octets, source, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as sock:
        sock.settimeout(WAIT)
        if source:
            sock.bind((source, 0))
        try:
            sock.connect((address, port))
            if kind == "tcp":
                sock.sendall(struct.pack(">I", octets) + b"?" * octets)
                return read(sock, max(octets, 64)).rstrip(b".").decode()
            sock.send(b"?" * octets)
            answer = sock.recv(65535)
            if len(answer) != max(octets, 64):
                return f"short: {len(answer)}"
            return answer.rstrip(b".").decode()
        except TimeoutError:
            return "timeout"
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                return "refused"
            if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES):
                return "unreachable"
            raise


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve([int(port) for port in sys.argv[2:]] or [PORT])
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("udp", "tcp"))
    parser.add_argument("address")
    parser.add_argument("octets", type=int)
    parser.add_argument("--source")
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args()
    print(ask(options.kind, options.address, options.octets, options.source, options.port))
