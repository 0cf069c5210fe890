"""Git where nobody sits before it, with real git, DVC and gto."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_flows_course import night_of
from toy_graph import SHORT, commit, toy_repository

from flows import unattended
from flows.commands import CommandError, dvc, git
from handful import registry


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """Begin without what a night before has told git, and leave this process as it was."""
    before = dict(os.environ)
    for variable in [name for name in os.environ if name.startswith("GIT_CONFIG_")]:
        del os.environ[variable]
    yield
    os.environ.clear()
    os.environ.update(before)


def test_a_night_has_an_author_where_git_knows_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))]:
        monkeypatch.delenv(variable)
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.useConfigOnly", "true")
    with pytest.raises(CommandError, match="tell me who you are"):
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    unattended.introduce(tmp_path)
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    assert git(tmp_path, "log", "--format=%an").strip() == unattended.NIGHT["NAME"]


def test_what_the_environment_tells_git_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COUNT", "1"), ("KEY_0", "handful.own"), ("VALUE_0", "mine")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    git(tmp_path, "init", "--quiet")
    unattended.introduce(tmp_path)
    assert git(tmp_path, "config", "handful.own") == "mine\n"
    assert git(tmp_path, "config", "core.hooksPath") == f"{os.devnull}\n"


def test_git_speaks_english_whatever_a_person_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("LC_MESSAGES", "de_DE.UTF-8")
    assert git(tmp_path, "-c", "alias.language=!echo $LANGUAGE $LC_MESSAGES", "language") == "en C\n"


def test_hooks_and_signatures_of_a_person_do_not_stop_a_night(tmp_path: Path) -> None:
    root = toy_repository(tmp_path / "clone", SHORT)
    commit(root)
    dvc(root, "install")
    for key, value in (("commit.gpgSign", "true"), ("tag.gpgSign", "true"), ("user.signingKey", "ABCDEF")):
        git(root, "config", key, value)
    with pytest.raises(Exception, match="gpg failed"):
        registry.register(root, git(root, "rev-parse", "HEAD").strip())
    unattended.introduce(root)
    assert night_of(root)[0].version.name == "v1.0.0"
