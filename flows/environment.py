"""The Prefect of this clone: everything under .prefect, on the loopback alone, and nothing phones home."""

import os
from pathlib import Path
from urllib.parse import urlsplit

ADDRESS = "127.0.0.1"


def enter(root: Path, server: str) -> None:
    """Make the environment of this process, and of its children, that of the clone at `root`.

    `server` is the address of the server that runs, or will. Call it before Prefect is imported, which reads its
    settings once. What the user has set for a Prefect of their own (a profile, the address of another server) must not
    lead this clone's runs astray, so it is left out.
    """
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    home = root / ".prefect"
    os.environ |= {
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(root),
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_API_HOST": ADDRESS,
        # Without the port of its own, the dashboard would call 4200 wherever the server listens.
        "PREFECT_API_URL": f"{server}/api",
        "PREFECT_SERVER_API_PORT": str(urlsplit(server).port),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "ui"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
