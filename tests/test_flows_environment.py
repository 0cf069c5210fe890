"""The environment of a clone: nothing of another Prefect in it, and no more authorities than its clients need."""

import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows import environment
from flows.access import read_access

AUTHORITIES = "PREFECT_API_SSL_CERT_FILE"


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
