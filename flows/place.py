"""Where a process works: which clone on which host, told from every other."""

import hashlib
import socket
from pathlib import Path

CLONE = Path(__file__).parents[1]


def place(root: Path) -> str:
    """Name the clone at `root` on this host."""
    return f"{socket.gethostname()}:{root}"


def short(place: str) -> str:
    """Shorten the name of a place, for where slashes and colons are not allowed."""
    return f"{place.split(':')[0]}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
