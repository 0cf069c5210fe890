"""server.yaml: what it may say, and what it says of its mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import flows

from flows.access import AccessError, read_access

ROOT = Path(__file__).parents[1]
FINE = {"address": "0.0.0.0", "auth": "team:long-enough", "database": "postgresql+asyncpg://u:p@db.example:5432/h"}


def write(folder: Path, **values: str) -> Path:
    lines = [f"{key}: {value}\n" for key, value in (FINE | values).items() if value != "left out"]
    (folder / "server.yaml").write_text("".join(lines), encoding="utf-8")
    return folder


def test_without_a_file_the_example_holds(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text((ROOT / "server.example.yaml").read_text(encoding="utf-8"))
    assert read_access(tmp_path / "elsewhere") == read_access(tmp_path)


def test_git_ignores_the_file_with_the_password() -> None:
    done = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", "server.yaml"], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_the_settings_reach_the_server_and_those_who_call_it(tmp_path: Path) -> None:
    assert read_access(write(tmp_path)).settings() == {
        "PREFECT_SERVER_API_HOST": "0.0.0.0",
        "PREFECT_SERVER_API_AUTH_STRING": FINE["auth"],
        "PREFECT_API_AUTH_STRING": FINE["auth"],
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": FINE["database"],
    }


@pytest.mark.parametrize(("address", "reached_at"), [("0.0.0.0", "127.0.0.1"), ("10.1.2.3", "10.1.2.3")])
def test_this_machine_reaches_its_server_wherever_it_listens(tmp_path: Path, address: str, reached_at: str) -> None:
    assert read_access(write(tmp_path, address=address)).reached_at == reached_at


def test_a_server_for_one_run_stays_on_the_loopback_and_keeps_its_password(tmp_path: Path) -> None:
    alone = read_access(write(tmp_path)).alone()
    assert (str(alone.address), alone.auth) == ("127.0.0.1", FINE["auth"])


@pytest.mark.parametrize("key", FINE)
def test_each_change_is_seen_and_no_secret_is_given_away(tmp_path: Path, key: str) -> None:
    other = {"address": "127.0.0.1", "auth": "team:another-one", "database": "null"}
    before, after = read_access(write(tmp_path)), read_access(write(tmp_path, **{key: other[key]}))
    assert before.fingerprint != after.fingerprint
    assert "long-enough" not in repr(before)
    assert "u:p" not in repr(before)


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.7"])
def test_an_address_off_the_loopback_needs_a_password(tmp_path: Path, address: str) -> None:
    with pytest.raises(AccessError, match=rf"auth: .*other machines can reach {address}.*name:password"):
        read_access(write(tmp_path, address=address, auth="null"))


def test_on_the_loopback_a_password_is_the_users_choice(tmp_path: Path) -> None:
    assert read_access(write(tmp_path, address="127.0.0.1", auth="null")).auth is None


def test_all_mistakes_are_told_at_once_without_the_secrets(tmp_path: Path) -> None:
    write(tmp_path, address="everywhere", auth="team:short", database="mysql://u:secret@db/h", colour="red")
    with pytest.raises(AccessError) as told:
        read_access(tmp_path)
    said = str(told.value)
    assert said.startswith("server.yaml has 4 mistakes:")
    assert all(f"\n  {key}: " in said for key in ("address", "auth", "database", "colour"))
    assert "short" not in said
    assert "secret" not in said


def test_a_key_that_is_left_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="database: Field required"):
        read_access(write(tmp_path, database="left out"))


@pytest.mark.parametrize("text", ["address: [", "", "- 1"])
def test_what_is_no_table_of_keys_is_an_error_of_one_paragraph(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.yaml").write_text(text)
    with pytest.raises(AccessError, match=r"server\.yaml"):
        read_access(tmp_path)


def test_a_file_in_another_encoding_is_an_error_of_one_paragraph(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text("auth: jürgen:long-enough", encoding="latin-1")
    with pytest.raises(AccessError, match=r"server\.yaml is not in UTF-8: .*position 7.*Save it"):
        read_access(tmp_path)


@pytest.mark.parametrize("port", ["70000", "0", "-1", "http"])
def test_a_port_that_is_none_is_named(tmp_path: Path, port: str) -> None:
    done = flows(tmp_path, "up", f"--port={port}", PYTHONPATH=str(ROOT))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"--port: must be a number from 1 to 65535, got {port} instead")


def test_up_shows_the_mistakes_and_starts_nothing(tmp_path: Path) -> None:
    write(tmp_path, auth="null")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows", "up"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("server.yaml has 1 mistake:")
    assert [path.name for path in (tmp_path / ".prefect").iterdir()] == ["stack.lock"]
