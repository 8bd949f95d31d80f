#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Writes a directory for a private FreeRADIUS 3.2 (Debian packages freeradius, freeradius-config):
#     freeradius.sh DIRECTORY SECRET
#     freeradius -d DIRECTORY -n radiusd -f
# The file syntax wants every brace on a line of its own.
set -eu
D=$(realpath -m "$1"); S=$2
mkdir -p "$D/run"
cat > "$D/radiusd.conf" <<C
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = $D
confdir = $D
logdir = $D
radacctdir = $D
run_dir = $D/run
name = radiusd
pidfile = $D/run/radiusd.pid
max_request_time = 30
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
log {
	destination = files
	file = $D/log
	auth = no
}
security {
	max_attributes = 200
	reject_delay = 0
	status_server = yes
}
proxy_requests = no
thread pool {
	start_servers = 1
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 2
	max_requests_per_server = 0
}
client lab4 {
	ipaddr = 0.0.0.0/0
	secret = $S
	require_message_authenticator = yes
}
client lab6 {
	ipv6addr = ::/0
	secret = $S
	require_message_authenticator = yes
}
modules {
	pap {
	}
	chap {
	}
	mschap {
		use_mppe = yes
		require_encryption = yes
		require_strong = yes
	}
	files {
		filename = $D/users
	}
}
server lab {
	listen {
		type = auth
		ipaddr = *
		port = 1812
	}
	authorize {
		chap
		mschap
		files
		pap
	}
	authenticate {
		Auth-Type PAP {
			pap
		}
		Auth-Type CHAP {
			chap
		}
		Auth-Type MS-CHAP {
			mschap
		}
	}
	post-auth {
		update reply {
			Message-Authenticator := 0x00
		}
		Post-Auth-Type REJECT {
			update reply {
				Message-Authenticator := 0x00
			}
		}
	}
}
C
cat > "$D/users" <<'U'
alice  Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Framed-IP-Address = 10.64.7.7, Class = 0x636c617373a1
DEFAULT User-Name =~ "^u[0-9]+$", Cleartext-Password := "secret1"
U
echo '$INCLUDE /usr/share/freeradius/dictionary' > "$D/dictionary"
