"""Every attempt of a repository's Python processes to reach something that is not on this machine."""

import os
from pathlib import Path

# Python imports this by itself, in each process that has the repository on its path: all that the project starts.
WATCH = '''"""Write down whom this process and its like try to reach."""

import ipaddress
import sys

LOG = {log!r}


def local(host):
    if host in (None, "", "localhost", b"localhost"):
        return True
    host = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a Unix socket is a path
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    with open(LOG, "a") as log:
        log.write(f"{{'near' if local(host) else 'far'}} {{event}} {{host}} {{sys.argv}}\\n")


sys.addaudithook(watch)
'''


def watch(root: Path) -> dict[str, str]:
    """Watch the Python processes of a repository from now on; return what the first of them must have set."""
    (root / "sitecustomize.py").write_text(WATCH.format(log=str(root / "connections.log")))
    (root / "connections.log").touch()
    return {"PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def attempts(root: Path, where: str) -> list[str]:
    """The attempts so far, to reach somebody `near` (on this machine) or `far`."""
    return [line for line in (root / "connections.log").read_text().splitlines() if line.startswith(where)]
