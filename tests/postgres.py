"""A PostgreSQL of the tests' own, on a free port of the loopback and in a folder that goes with it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import free_port

USER = "nobody"  # PostgreSQL refuses to be started by root


def find_programs() -> Path:
    """The folder of PostgreSQL's programs; Debian keeps them off the path."""
    on_path = shutil.which("pg_ctl")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    found = [Path(on_path)] if on_path else debian
    if not found:
        reason = "no pg_ctl and initdb here (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found[-1].resolve().parent


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server; give the address of an empty database."""
    programs, port = find_programs(), free_port()
    account = {"user": USER} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as name:
        if account:
            shutil.chown(name, USER)
        data = f"{name}/data"

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), *arguments]
            subprocess.run(command, cwd=name, check=True, stdout=subprocess.DEVNULL, **account)

        run("initdb", "--pgdata", data, "--username", "handful", "--auth", "trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run("pg_ctl", "start", "--pgdata", data, "--wait", "--log", f"{name}/log", "--options", options)
        try:
            yield f"postgresql+asyncpg://handful@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--pgdata", data, "--mode", "immediate")
