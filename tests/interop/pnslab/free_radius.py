# SPDX-License-Identifier: BSD-3-Clause
"""FreeRadius: a FreeRADIUS of Debian in a namespace of the lab, out of a directory of its own. It needs
nothing of /etc/freeradius. Its detail file tells what accounting has arrived."""
import contextlib
import os
import re
import shutil
import signal
import subprocess

from . import host

PROGRAM = "/usr/sbin/freeradius"
SECRET = "lab-secret-0123456789"  # of every client
AUTH_PORT = 1812
ACCOUNTING_PORT = 1813

CONFIGURATION = """prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = {directory}
confdir = {directory}
logdir = {directory}
radacctdir = {directory}
run_dir = {directory}
name = radiusd
pidfile = {directory}/radiusd.pid
max_request_time = 30
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
log {{
	destination = files
	file = {directory}/log
	auth = no
}}
security {{
	max_attributes = 200
	reject_delay = 0
	status_server = yes
}}
proxy_requests = no
thread pool {{
	start_servers = 2
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 2
	max_requests_per_server = 0
}}
client lab {{
	ipaddr = 0.0.0.0/0
	secret = {secret}
}}
modules {{
	pap {{
	}}
	chap {{
	}}
	mschap {{
		use_mppe = yes
		require_encryption = yes
		require_strong = yes
	}}
	eap {{
		default_eap_type = md5
		timer_expire = 60
		max_sessions = 65536
		md5 {{
		}}
		mschapv2 {{
		}}
{tls}	}}
	files {{
		filename = {directory}/users
		acctusersfile = {directory}/acct_users
	}}
	detail {{
		filename = {directory}/detail
		permissions = 0600
		header = "%t"
	}}
	expiration {{
	}}
	expr {{
	}}
	always ok {{
		rcode = ok
	}}
}}
server lab {{
	listen {{
		type = auth
		ipaddr = *
		port = {auth_port}
	}}
	listen {{
		type = acct
		ipaddr = *
		port = {accounting_port}
	}}
	authorize {{
		chap
		mschap
		files
		eap {{
			ok = return
		}}
		expiration
		pap
	}}
	authenticate {{
		Auth-Type PAP {{
			pap
		}}
		Auth-Type CHAP {{
			chap
		}}
		Auth-Type MS-CHAP {{
			mschap
		}}
		eap
	}}
	preacct {{
	}}
	accounting {{
		detail
	}}
	session {{
	}}
	post-auth {{
		update reply {{
			Message-Authenticator := 0x00
		}}
		Post-Auth-Type REJECT {{
			update reply {{
				Message-Authenticator := 0x00
			}}
		}}
		Post-Auth-Type Challenge {{
			update reply {{
				Message-Authenticator := 0x00
			}}
		}}
	}}
}}
"""

TLS = """		tls-config lab {{
			private_key_file = {directory}/server.key
			certificate_file = {directory}/server.pem
			ca_file = {directory}/ca.pem
			cipher_list = "DEFAULT"
			tls_min_version = "1.2"
			tls_max_version = "1.2"
			ecdh_curve = ""
			fragment_size = 1024
			include_length = yes
		}}
		tls {{
			tls = lab
		}}
"""


def make_certificates(directory):
    """ca.pem, and NAME.pem with NAME.key for a server and a client of EAP-TLS."""
    def openssl(*words):
        subprocess.run(("openssl", *words), cwd=directory, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10", "-subj", "/CN=lab-ca",
            "-keyout", "ca.key", "-out", "ca.pem")
    for name, usage in (("server", "serverAuth"), ("client", "clientAuth")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                "-out", f"{name}.csr")
        (directory / f"{name}.ext").write_text(f"extendedKeyUsage={usage}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "10", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


class FreeRadius:
    def __init__(self, lab, namespace, users, name="radius", auth_port=AUTH_PORT,
                 accounting_port=ACCOUNTING_PORT, tls=False):
        """`users`: text of its users file. `tls`: with EAP-TLS and certificates. Not started yet."""
        if not os.path.exists(PROGRAM):
            raise host.Missing("no FreeRADIUS (Debian package freeradius)")
        self.lab = lab
        self.namespace = namespace
        self.directory = lab.directory / name
        self.directory.mkdir()
        self.process = None
        self.auth_port = auth_port
        self.accounting_port = accounting_port
        (self.directory / "radiusd.conf").write_text(CONFIGURATION.format(
            directory=self.directory, secret=SECRET, auth_port=auth_port, accounting_port=accounting_port,
            tls=TLS.format(directory=self.directory) if tls else ""))
        if tls:
            make_certificates(self.directory)
        (self.directory / "users").write_text(users)
        (self.directory / "acct_users").touch()
        (self.directory / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
        self.secret_file = self.directory / "secret"
        self.secret_file.touch(mode=0o600)
        self.secret_file.write_text(SECRET + "\n")

    def start(self):
        output = open(self.directory / "output", "ab")  # noqa: SIM115 (the process has it)
        self.process = self.lab.start_in(self.namespace, PROGRAM, "-d", str(self.directory), "-n", "radiusd",
                                         "-f", stdout=output, stderr=output)
        host.wait_until(self._serves, 20, "FreeRADIUS serves")
        return self

    def _serves(self):
        if self.process.poll() is not None:
            raise host.LabError(f"FreeRADIUS ended:\n{(self.directory / 'log').read_text()[-2000:]}")
        sockets = self.namespace.run("ss", "-Hlun", f"( sport = {self.auth_port} or sport = "
                                     f"{self.accounting_port} )").stdout
        return len(sockets.splitlines()) >= 2

    def kill(self):
        """SIGKILL: requests get no answer from now on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop_answering(self):
        """SIGSTOP: packets go into its sockets' buffers. resume() goes on."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def records(self):
        """Accounting records in the order of their arrival: attribute → value, or list of values."""
        all_records = []
        with contextlib.suppress(FileNotFoundError):
            for block in (self.directory / "detail").read_text().split("\n\n"):
                record = {}
                for name, value in re.findall(r"^\t(\S+) = (.*)$", block, re.MULTILINE):
                    record.setdefault(name, value.strip('"'))
                if record:
                    all_records.append(record)
        return all_records
