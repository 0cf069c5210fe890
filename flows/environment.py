"""The Prefect of this clone: everything under .prefect, reached as server.yaml says, and nothing phones home."""

import os
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import certifi

from flows.access import Access
from flows.place import home
from flows.server import without_proxy

END_OF_CERTIFICATE = "-----END CERTIFICATE-----\n"


def enter(root: Path, server: str, access: Access) -> None:
    """Make the environment of this process, and of its children, that of the clone at `root`.

    `server` is the address of the server that runs, or will. Call it before Prefect is imported, which reads its
    settings once. What the user has set for a Prefect of their own (a profile, the address of another server) must not
    lead this clone's runs astray, so it is left out.
    """
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    kept = home(root)
    os.environ |= {
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(root),
        **without_proxy(server),
        "PREFECT_HOME": str(kept),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # What is not set here may be set by a file named .env in the clone, which Prefect reads too.
        "PREFECT_API_KEY": "",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{kept}/prefect.db",
        **access.settings(),
        "PREFECT_API_URL": f"{server}/api",
        "PREFECT_SERVER_API_PORT": str(urlsplit(server).port or 443),  # without one it is not for us to start
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": server,  # by default any page may read; flows/serve.py does the rest
        # The browser calls the address from which it has the dashboard: it may be on another machine.
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(kept / "ui"),
        # The pages of the second dashboard load a tracker from elsewhere, whatever is set; those of the first do not.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # Prefect allows no shorter time; flows/automations.py listens
        # Runs go with their logs and artifacts after 90 days; Prefect itself forgets events alone.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    if urlsplit(server).scheme == "http":
        os.environ["PREFECT_API_SSL_CERT_FILE"] = str(_one_authority(kept))


def _one_authority(folder: Path) -> Path:
    """Return a file with the first of the web's certificate authorities alone, for clients that need none.

    Each of Prefect's clients loads all authorities that it is told of into memory of its own, over http too: it takes
    60 ms, and leaves so much behind that the workers grew by 29 % in forty nights.
    """
    file = folder / "authority.pem"
    if not file.exists():
        first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition(END_OF_CERTIFICATE)
        with NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False) as unfinished:
            unfinished.write(first + end)
        Path(unfinished.name).replace(file)  # several may be the first at once
    return file


def path() -> str:
    """Return PATH with this Python before all others: the `cmd` of a stage and the command of a pool say `python`."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
