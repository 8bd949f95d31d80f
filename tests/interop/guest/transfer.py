#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Moves known octets over TCP and checks every one of them. Runs at both ends of a lab.
    transfer.py serve ADDRESS PORT              for ever: answers the two below
    transfer.py upload ADDRESS PORT OCTETS      prints the digest that the other end computed
    transfer.py download ADDRESS PORT OCTETS    prints the digest of what came
    transfer.py digest OCTETS                   what both must be"""
import hashlib
import socket
import sys
import threading

CHUNK = 1 << 16


def octets(count):
    """A sequence that has no short period, so that a lost or moved piece shows."""
    state = hashlib.sha256(b"pns").digest()
    while count > 0:
        state = hashlib.sha256(state).digest()
        piece = (state * (CHUNK // len(state)))[:count]
        count -= len(piece)
        yield piece


def digest(pieces):
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


def received(connection, count):
    while count > 0:
        piece = connection.recv(min(CHUNK, count))
        if not piece:
            raise SystemExit(f"closed {count} octets too early")
        count -= len(piece)
        yield piece


def answer(connection):
    with connection:
        verb, count = connection.makefile("rb").readline().split()
        if verb == b"upload":
            connection.sendall(b"go\n")
            connection.sendall(digest(received(connection, int(count))).encode())
        else:
            for piece in octets(int(count)):
                connection.sendall(piece)


def serve(address, port):
    with socket.create_server((address, port)) as listener:
        print("serving", flush=True)
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def ask(verb, address, port, count):
    with socket.create_connection((address, port), timeout=60) as connection:
        connection.sendall(f"{verb} {count}\n".encode())
        if verb == "download":
            return digest(received(connection, count))
        if connection.recv(3) != b"go\n":
            raise SystemExit("no answer")
        for piece in octets(count):
            connection.sendall(piece)
        return b"".join(received(connection, 64)).decode()


def main(verb, *words):
    if verb == "serve":
        serve(words[0], int(words[1]))
    elif verb == "digest":
        print(digest(octets(int(words[0]))))
    else:
        print(ask(verb, words[0], int(words[1]), int(words[2])))


if __name__ == "__main__":
    main(*sys.argv[1:])
