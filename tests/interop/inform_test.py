#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A client asks by DHCPINFORM inside its tunnel, as Windows does, and routes only what it is told to:
split tunnelling."""
import ipaddress
import json
import pathlib
import shutil

import theme
from theme import HOST

INFORM = pathlib.Path(__file__).resolve().parent / "guest" / "inform.py"
WINDOWS = (1, 15, 3, 6, 44, 46, 47, 31, 33, 121, 249, 252, 43)  # its parameter list


def routes_of(octets):
    """(network, next hop) of each route of option 121."""
    found, at = [], 0
    while at < len(octets):
        length = octets[at]
        size = (length + 7) // 8
        network = octets[at + 1:at + 1 + size].ljust(4, b"\0")
        found.append((str(ipaddress.ip_network((network, length))),
                      str(ipaddress.ip_address(octets[at + 1 + size:at + 5 + size]))))
        at += 5 + size
    return found


class Inform(theme.Theme):
    users = {"alice": "wonderland", "carol": "{password: chess, address: 10.77.0.7}",
             "dave": "{password: rook, pool: staff}"}
    changes = {
        "ppp": "ppp:\n  dns: [10.0.0.53, 10.0.0.54]\n  wins: [10.0.0.55]\n  domain: lab.example\n",
        "pools": "pools:\n"
                 "  default: {ranges: [10.64.0.2-10.64.3.254], gateway: 10.64.0.1,"
                 " routes: [10.0.0.0/24, 172.16.0.0/12]}\n"
                 "  staff: {ranges: [10.65.0.2-10.65.0.9], gateway: 10.64.0.1}\n",
    }

    def inform(self, session, *wanted):
        shutil.copy(INFORM, self.guest.directory)
        output = self.guest.run(f"python3 -B /run/lab/{INFORM.name} {session.interface} {session.address} "
                                + " ".join(map(str, wanted)), timeout=20)
        return json.loads(output)

    def test_the_answer_has_routes_domain_and_name_servers(self):
        session = self.connect()
        answer = self.inform(session, *WINDOWS)
        self.assertEqual((answer["server"], answer["port"]), ("10.64.0.1", 67))
        self.assertEqual((answer["operation"], answer["transaction"]), (2, 0x1CE1CE1C))
        options = {int(code): bytes.fromhex(value) for code, value in answer["options"].items()}
        self.assertEqual(options[53], b"\x05")
        self.assertEqual(options[15], b"lab.example")
        self.assertEqual(options[6], bytes([10, 0, 0, 53, 10, 0, 0, 54]))
        self.assertEqual(options[44], bytes([10, 0, 0, 55]))
        expected = [("10.0.0.0/24", "10.64.0.1"), ("172.16.0.0/12", "10.64.0.1")]
        self.assertEqual(routes_of(options[121]), expected)
        self.assertEqual(options[249], options[121])
        # The routes lead somewhere.
        self.guest.run("ip route del 10.0.0.0/24")  # of ip-up
        for network, gateway in routes_of(options[121]):
            self.guest.run(f"ip route replace {network} via {gateway} dev {session.interface}")
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        session.hang_up()

    def test_a_client_gets_what_it_asks_for_and_the_routes_of_its_pool(self):
        session = self.connect()
        self.assertEqual(set(self.inform(session, 6)["options"]), {"53", "54", "6", "61"})
        session.hang_up()
        for user, password, has_routes in (("carol", "chess", True), ("dave", "rook", False)):
            session = self.guest.dial(user, password).wait_up()
            self.assertEqual("121" in self.inform(session, 121, 6)["options"], has_routes, user)
            session.hang_up()

    def test_the_answer_comes_after_a_restart_of_control(self):
        session = self.connect()
        self.server.restart("control")
        self.assertIn("121", self.inform(session, 121)["options"])
        session.hang_up()


if __name__ == "__main__":
    theme.main(Inform)
