"""`python -m benchmarks.faults`: nights in which a process is killed at a random moment, and what is left of them."""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import toy
from benchmarks.stack import ENDED, SIGNS, Stack, wait_for
from handful import registry

NIGHT = "nightly/nightly"
SECONDS_OF_A_STAGE = 1.0
LONGEST_NIGHT_SECONDS = 1800.0
SECONDS_TO_SETTLE = 20.0


@dataclass
class Outcome:
    """What came of one night: how it ended after the kill, and every promise that was broken."""

    target: str
    second: float
    hit: bool
    ended: str
    seconds: float
    broken: list[str] = field(default_factory=list)


def main() -> None:
    """Run the nights and print the table; any broken promise is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", default=",".join(SIGNS), help="what is killed, separated by commas")
    parser.add_argument("--moments", type=int, default=20, help="nights per target")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = toy.make(Path(__file__).parents[1], Path(folder) / "toy", SECONDS_OF_A_STAGE)
        with Stack(root) as stack:
            outcomes = run(stack, arguments.targets.split(","), arguments.moments, draw)
    say(table(outcomes))
    raise SystemExit(any(outcome.broken for outcome in outcomes))


def run(stack: Stack, targets: list[str], moments: int, draw: random.Random) -> list[Outcome]:
    """One night that makes the champion, one undisturbed with worse rows, and then the same one disturbed."""
    undisturbed(stack)
    toy.write_rows(stack.root, 1, 0.7)
    toy.keep(stack.root)
    seconds = undisturbed(stack)
    expected = toy.student(toy.newest(stack.root))
    outcomes = []
    for _ in range(moments):
        for target in targets:
            toy.reset(stack.root)
            outcomes.append(disturbed(stack, target, draw.uniform(0, seconds), expected, draw))
            say(line(outcomes[-1]))  # the table is hours away
    return outcomes


def undisturbed(stack: Stack) -> float:
    """Run a night, which has to complete, and return its seconds."""
    started = time.monotonic()
    ended = night(stack)
    if ended != "COMPLETED":
        raise RuntimeError(f"The undisturbed night ended as {ended}. Look into {stack.root / '.prefect'}.")
    return time.monotonic() - started


def night(stack: Stack) -> str:
    """Run a night to its end, and return that."""
    run = stack.trigger(NIGHT)
    # One that was marked as crashed because the machine was too busy to hear it lives on, and says so at its end.
    wait_for(lambda: stack.state(run) in ENDED and not stack.processes("flow"), LONGEST_NIGHT_SECONDS)
    return stack.state(run)


def disturbed(stack: Stack, target: str, second: float, expected: str, draw: random.Random) -> Outcome:
    """Start a night, kill the target, restart what is down, start the night again, and look at what is left."""
    started = time.monotonic()
    first = stack.trigger(NIGHT)
    time.sleep(second)
    hit = kill(stack, target, first, draw)
    if target in ("worker", "server"):
        stack.up()
    wait_for(lambda: stack.state(first) in ENDED and not stack.processes("flow"), LONGEST_NIGHT_SECONDS)
    ended = night(stack)
    outcome = Outcome(target, second, hit, ended, time.monotonic() - started)
    outcome.broken = broken_promises(stack, ended, expected)
    return outcome


def kill(stack: Stack, target: str, night: str, draw: random.Random) -> bool:
    """Kill one process of the kind, or the next one that comes; tell whether one came before the night was over."""
    while stack.state(night) not in ENDED:
        if found := stack.processes(target):
            draw.choice(sorted(found, key=lambda process: process.pid)).kill()
            return True
        time.sleep(0.05)
    return False


def broken_promises(stack: Stack, ended: str, expected: str) -> list[str]:
    """Name each promise that does not hold after the night that was started again."""
    at_work = ("stage", "dvc", "flow")
    alone = wait_for(lambda: not any(stack.processes(kind) for kind in at_work), SECONDS_TO_SETTLE)
    newest = toy.newest(stack.root)
    held = {
        f"ended as {ended}": ended == "COMPLETED",
        "another student": toy.student(newest) == expected,
        "a process left": alone,
        "a place in a pool left": wait_for(lambda: stack.slots() == 0, SECONDS_TO_SETTLE),
        "half-written artefacts": not toy.half_written(stack.root, newest),
        "a worse student promoted": not toy.worse_promoted(stack.root),
        "another number of versions": len(registry.read(stack.root).versions) == 2,
    }
    return [promise for promise, holds in held.items() if not holds]


def line(outcome: Outcome) -> str:
    """Return what is said of one night while the others still run."""
    what = "killed" if outcome.hit else "not met"
    return f"{outcome.target} {what} at {outcome.second:.1f} s: {', '.join(outcome.broken) or 'all well'}"


def say(text: str) -> None:
    """Write it at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def table(outcomes: list[Outcome]) -> str:
    """Return the table of all nights, a line for each target."""
    rows = ["| killed | nights | met | all well | longest, seconds | broken |", "|---|---|---|---|---|---|"]
    for target in dict.fromkeys(outcome.target for outcome in outcomes):
        of_target = [outcome for outcome in outcomes if outcome.target == target]
        broken = sorted({promise for outcome in of_target for promise in outcome.broken})
        cells = [
            target,
            len(of_target),
            sum(outcome.hit for outcome in of_target),
            sum(not outcome.broken for outcome in of_target),
            f"{max(outcome.seconds for outcome in of_target):.0f}",
            "; ".join(broken) or "nothing",
        ]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
