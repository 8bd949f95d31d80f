#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A service of the server's host, and its client.

    service.py serve [PORT …]                  on every address, these ports of UDP and TCP; default 5353
    service.py udp|tcp ADDRESS OCTETS [--source ADDRESS] [--port PORT]
                                               prints the client's address as the service saw it
    service.py broadcast ADDRESS COUNT --interface NAME --source ADDRESS [--port PORT]
                                               prints who answers a broadcast, but for the source, at most COUNT

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


def call(address, count, interface, source, port):
    """Those who answer a broadcast, as soon as they are `count`, or after a time without an answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.bind((source, 0))
        sock.sendto(b"?" * 64, (address, port))
        answered = set()
        try:
            while len(answered) < count:
                peer = sock.recvfrom(65535)[1][0]
                answered |= {peer} - {source}
        except TimeoutError:
            pass
        return " ".join(sorted(answered))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve([int(port) for port in sys.argv[2:]] or [PORT])
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("udp", "tcp", "broadcast"))
    parser.add_argument("address")
    parser.add_argument("octets", type=int)
    parser.add_argument("--source")
    parser.add_argument("--interface")
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args()
    if options.kind == "broadcast":
        print(call(options.address, options.octets, options.interface, options.source, options.port))
        sys.exit()
    print(ask(options.kind, options.address, options.octets, options.source, options.port))
