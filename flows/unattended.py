"""Git as it has to be where nobody sits before it: no hooks, no signatures, no questions, an author, plain names."""

import os
import subprocess
from pathlib import Path

NIGHT = {"NAME": "Handful's night", "EMAIL": "night@localhost"}
# The hooks of `dvc install` would check out and push data by themselves, and a key may ask for its password.
# And names of files are read here: git would write those outside ASCII as numbers in quotes.
SETTINGS = {
    "core.hooksPath": os.devnull,
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "core.quotePath": "false",
}
ENGLISH = {"LANGUAGE": "en", "LC_MESSAGES": "C"}  # git's words are read here too; how it reads names stays as it is


def introduce(folder: Path) -> None:
    """Let the commits and tags of this process be like those of its commands, with an author where git knows none."""
    os.environ |= unattended()
    known = subprocess.run(["git", "var", "GIT_COMMITTER_IDENT"], cwd=folder, capture_output=True, check=False)
    if known.returncode != 0:
        os.environ |= {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in NIGHT.items()}


def unattended() -> dict[str, str]:
    """Return the variables of the environment that say so to git, after those that are there."""
    first = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    found = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": str(first + len(SETTINGS))} | ENGLISH
    for number, (key, value) in enumerate(SETTINGS.items(), start=first):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found
