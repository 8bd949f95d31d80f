# SPDX-License-Identifier: BSD-3-Clause
"""The disk of the virtual machine, made once for each list of packages (tests/vm/build_image)."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from pnslab import host

from . import SOURCE

HERE = SOURCE / "tests" / "vm"
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs",
         "busybox": "busybox-static", "dpkg-deb": "dpkg"}
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
BUILD_SECONDS = 900


def require():
    """Raises Missing with what neither an image nor a machine can do without."""
    host.require()
    for tool, package in TOOLS.items():
        if shutil.which(tool, path=PATH) is None:
            raise host.Missing(f"no {tool} (Debian package {package})")


def fingerprint():
    """Of everything that an image is made from."""
    names = [SOURCE / "deploy" / "packages-runtime", HERE / "packages", HERE / "build_image",
             *sorted((HERE / "inside").iterdir())]
    total = hashlib.sha256()
    for name in names:
        total.update(name.name.encode() + b"\0" + name.read_bytes())
    return total.hexdigest()[:16]


def get(cache):
    """The directory with vmlinuz, initrd and root.img; makes it where it is not there yet."""
    cache = pathlib.Path(cache).resolve()
    wanted = cache / f"image-{fingerprint()}"
    if wanted.is_dir():
        return wanted
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob("image-*"):
        shutil.rmtree(old)
    made = pathlib.Path(tempfile.mkdtemp(prefix="making-", dir=cache))
    log = cache / "image.log"
    try:
        with open(log, "wb") as output:
            process = host.start(["nice", "-n", "19", str(HERE / "build_image"), str(made)],
                                 stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 env={**os.environ, "PATH": PATH, "LC_ALL": "C"})
            try:
                status = process.wait(BUILD_SECONDS)
            finally:
                host.end(process)
        if status != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise host.LabError(f"tests/vm/build_image ended with {status}:\n{tail}")
        made.rename(wanted)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return wanted
