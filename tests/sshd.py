"""A real sshd of our own on the loopback, as the host of a DVC remote."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import free_port

CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


@contextmanager
def sshd(folder: Path) -> Iterator[tuple[int, Path]]:
    """Start it with keys of its own; give its port and the key that it knows."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        pytest.skip("no sshd here (Debian: apt-get install openssh-server)")
    folder.mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    port = free_port()
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    process = subprocess.Popen([program, "-D", "-E", str(folder / "log"), "-f", str(folder / "config")])
    try:
        time.sleep(1.0)
        assert process.poll() is None, (folder / "log").read_text()
        yield port, folder / "user_key"
    finally:
        process.terminate()
        process.wait()
