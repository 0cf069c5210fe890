"""`python -m benchmarks.nights`: many nights in a row on small data, and what grows meanwhile."""

import argparse
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from benchmarks import toy
from benchmarks.faults import night, say
from benchmarks.stack import Stack

SECONDS_OF_A_STAGE = 0.0
EVERY = 10  # nights get a line of the table; the first and the last one too
MOST_GROWTH = 0.2  # of memory, from the first night to the last


@dataclass
class Measured:
    """The state after one night; memory and sizes in MB."""

    night: int
    seconds: float
    server_memory: float
    workers_memory: float
    status_seconds: float
    git: float
    cache: float
    database: float


def main() -> None:
    """Run the nights, each with rows of its own, and print a table; too much growth of memory is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=200)
    arguments = parser.parse_args()
    titles = "night | seconds | server, MB | workers, MB | dvc status, seconds | .git, MB | cache, MB | database, MB"
    say(f"| {titles} |\n|{'---|' * 8}")
    with tempfile.TemporaryDirectory() as folder:
        root = toy.make(Path(__file__).parents[1], Path(folder) / "toy", SECONDS_OF_A_STAGE)
        with Stack(root) as stack:
            first = last = one_night(stack, 1)
            say(line(first))
            for number in range(2, arguments.nights + 1):
                last = one_night(stack, number)
                if number % EVERY == 0 or number == arguments.nights:
                    say(line(last))
    growth = {"server": last.server_memory / first.server_memory, "workers": last.workers_memory / first.workers_memory}
    say(f"Memory grew by {', '.join(f'{factor - 1:.0%} ({name})' for name, factor in growth.items())}.")
    raise SystemExit(max(growth.values()) > 1 + MOST_GROWTH)


def line(measured: Measured) -> str:
    """Return a line of the table."""
    return f"| {' | '.join(f'{value:,.6g}' for value in astuple(measured))} |"


def one_night(stack: Stack, number: int) -> Measured:
    """Let new rows arrive, run the night, and measure.

    Raises:
        RuntimeError: the night did not end well.
    """
    toy.write_rows(stack.root, number, 0.8 + number * 37 % 100 / 1000)  # some better than the champion, some worse
    started = time.monotonic()
    ended = night(stack)
    seconds = time.monotonic() - started
    if ended != "COMPLETED":
        raise RuntimeError(f"Night {number} ended as {ended}.")
    newest = toy.newest(stack.root)
    started = time.monotonic()
    toy.dvc(newest, "status", "--json")
    return Measured(
        night=number,
        seconds=round(seconds, 1),
        server_memory=memory(stack, "server"),
        workers_memory=memory(stack, "worker"),
        status_seconds=round(time.monotonic() - started, 2),
        git=size(stack.root / ".git"),
        cache=size(stack.root / ".dvc" / "cache"),
        database=sum(size(path) for path in (stack.root / ".prefect").glob("prefect.db*")),
    )


def memory(stack: Stack, kind: str) -> float:
    """Return the resident memory of all processes of a kind, in MB."""
    found = [int(process.memory_info().rss) for process in stack.processes(kind)]
    return round(sum(found) / 1e6, 1)


def size(path: Path) -> float:
    """Return the size of a file, or of all files below a folder, in MB."""
    files = [path] if path.is_file() else [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    total = 0
    for file in files:
        with suppress(FileNotFoundError):  # git clears up meanwhile
            total += file.stat().st_size
    return round(total / 1e6, 3)


if __name__ == "__main__":
    main()
