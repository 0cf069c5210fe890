"""Where a process works: which clone on which host, told from every other."""

import hashlib
import socket
from contextlib import suppress
from pathlib import Path

CLONE = Path(__file__).parents[1]
HOME = Path(".prefect")  # all that is kept of runs and nights
MACHINE = Path("/etc/machine-id")  # tells hosts apart that have one name, such as copies of a virtual machine


def place(root: Path) -> str:
    """Name the clone at `root` on this host."""
    machine = MACHINE.read_bytes().strip() if MACHINE.exists() else b""
    told = f" on machine {hashlib.sha256(machine).hexdigest()[:8]}" if machine else ""  # the id itself is confidential
    return f"{socket.gethostname()}:{root}{told}"


def home(root: Path) -> Path:
    """Return the folder for all that is kept of runs and nights in the clone at `root`, passwords included.

    Nobody else on this machine may look into it; where it is another user's, it is for them to say.
    """
    folder = root / HOME
    folder.mkdir(mode=0o700, exist_ok=True)
    with suppress(PermissionError):
        folder.chmod(0o700)  # an earlier version of this file made it
    return folder


def short(place: str) -> str:
    """Shorten the name of a place, for where slashes and colons are not allowed."""
    return f"{place.split(':')[0]}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
