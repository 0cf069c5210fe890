"""The Prefect of this clone: everything under .prefect, on the loopback alone, and nothing phones home."""

import os
from pathlib import Path

ADDRESS = "127.0.0.1"


def enter(root: Path, **settings: object) -> None:
    """Make the environment of this process, and of its children, that of the clone at `root`.

    Call it before Prefect is imported, which reads its settings once. What the user has set for a Prefect of their own
    (a profile, the address of a server) must not lead the clone's runs astray, so it is left out.
    """
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ |= {
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(root),
        "PREFECT_HOME": str(root / ".prefect"),
        "PREFECT_PROFILES_PATH": str(root / ".prefect" / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_API_HOST": ADDRESS,
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(root / ".prefect" / "ui"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    os.environ |= {f"PREFECT_{name.upper()}": str(value) for name, value in settings.items()}
