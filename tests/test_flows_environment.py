"""The environment of a clone: nothing of another Prefect, no proxy, few authorities, and all of it private."""

import os
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from flows import environment
from flows.access import read_access
from flows.server import answers
from flows.worktree import only_one

AUTHORITIES = "PREFECT_API_SSL_CERT_FILE"


class Healthy(BaseHTTPRequestHandler):
    """A server that is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


def enter(root: Path, server: str) -> None:
    environment.enter(root, server, read_access(root))


def test_what_is_set_for_another_prefect_is_left_out(tmp_path: Path) -> None:
    os.environ |= {"PREFECT_PROFILE": "cloud", "PREFECT_API_URL": "http://elsewhere:4200/api", "HOME": "/home/me"}
    enter(tmp_path, "http://127.0.0.1:4242")
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4242/api"
    assert "PREFECT_PROFILE" not in os.environ
    assert os.environ["HOME"] == "/home/me"


def test_a_file_of_settings_for_another_prefect_in_the_clone_is_overruled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import Settings

    lines = ["PREFECT_API_KEY=theirs", "PREFECT_SERVER_DATABASE_CONNECTION_URL=sqlite+aiosqlite:////elsewhere.db"]
    (tmp_path / ".env").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    enter(tmp_path, "http://127.0.0.1:4242")
    found = Settings()
    assert found.api.key.get_secret_value() == ""
    kept = found.server.database.connection_url.get_secret_value()
    assert kept == f"sqlite+aiosqlite:///{tmp_path}/.prefect/prefect.db"


def test_nobody_else_on_the_machine_may_look_into_what_is_kept(tmp_path: Path) -> None:
    for root in (old := tmp_path / "old", tmp_path / "new", tmp_path / "entered"):
        root.mkdir()
    (old / ".prefect").mkdir(mode=0o755)  # as an earlier version made it
    for root in (old, tmp_path / "new"):
        with only_one(root, "night"):
            pass
    enter(tmp_path / "entered", "https://prefect.example")
    assert {folder.stat().st_mode & 0o777 for folder in tmp_path.glob("*/.prefect")} == {0o700}


@pytest.mark.parametrize(
    ("kept", "whole"),
    [
        ({}, "127.0.0.1"),
        ({"no_proxy": "", "NO_PROXY": "corp.example, 10.0.0.1"}, "corp.example,10.0.0.1,127.0.0.1"),
        ({"no_proxy": "127.0.0.1", "NO_PROXY": "corp.example"}, "127.0.0.1,corp.example"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_a_proxy_is_not_asked_for_the_server_and_is_for_whom_it_was(
    tmp_path: Path, kept: dict[str, str], whole: str
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)
    os.environ |= {"http_proxy": "http://127.0.0.1:9", **kept}
    enter(tmp_path, "http://127.0.0.1:4242")
    assert (os.environ["no_proxy"], os.environ["NO_PROXY"]) == (whole, whole)
    assert os.environ["http_proxy"] == "http://127.0.0.1:9"


def test_a_server_is_asked_directly_before_its_environment_is_entered() -> None:
    os.environ |= {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert answers(f"http://127.0.0.1:{server.server_port}")


def test_a_client_over_http_loads_one_authority(tmp_path: Path) -> None:
    enter(tmp_path, "http://127.0.0.1:4242")
    assert len(ssl.create_default_context(cafile=os.environ[AUTHORITIES]).get_ca_certs()) == 1


def test_a_client_over_https_trusts_whom_the_web_trusts(tmp_path: Path) -> None:
    enter(tmp_path, "https://prefect.example")
    assert AUTHORITIES not in os.environ


def test_many_that_enter_at_once_find_it_whole_and_leave_nothing_else(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as several:
        list(several.map(lambda _: enter(tmp_path, "http://127.0.0.1:4242"), range(8)))
    assert [file.name for file in (tmp_path / ".prefect").iterdir()] == ["authority.pem"]
