"""The commands behind the Makefile: retrain, up, down, worker."""

import argparse
import sys
from pathlib import Path

from flows.access import AccessError
from flows.commands import CommandError
from flows.graph import GraphError, read_stages
from flows.host import work
from flows.server import UpError
from flows.stack import Stack
from flows.temporary import enter_prefect
from flows.up import up
from flows.worktree import only_one


def main() -> None:
    """Run one command on the clone in the working folder."""
    parser = argparse.ArgumentParser(prog="python -m flows", description=__doc__)
    parser.add_argument("command", choices=["retrain", "up", "down", "worker"])
    parser.add_argument(
        "--elsewhere", default="", help="work pools for which `up` starts no workers, with commas between"
    )
    parser.add_argument("--pool", default="gpu", help="the work pool that `worker` serves")
    parser.add_argument(
        "--port", type=_port, help="where `up` puts the server and the dashboard: else where they were, or 4200"
    )
    arguments = parser.parse_args()
    root = Path.cwd()
    if arguments.command == "retrain":
        _retrain(root)
    elif arguments.command == "down":
        _say("Down." if Stack(root).stop() else "Nothing was up.")
    elif arguments.command == "worker":
        work(root, arguments.pool, _say)
    else:
        with only_one(root, "stack") as ours:
            if not ours:
                raise UpError("Another make up is at work in this clone. Wait for its end.")
            stack = Stack(root)  # as it is now that nobody else changes it
            was_up = up(stack, root, arguments.port, set(arguments.elsewhere.split(",")))
        _say(f"{'Already up' if was_up else 'Up'}: {stack.url}")


def _retrain(root: Path) -> None:
    wait = enter_prefect(root)
    from flows.retrain import retrain  # Prefect reads its settings when it is imported
    from flows.summary import summary

    wait()
    state = retrain(return_state=True)
    if not state.is_completed():
        sys.exit(state.message)
    _say(summary(read_stages(root), root))


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 65535, got {text} instead")
    return int(text)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except (AccessError, CommandError, GraphError, UpError) as error:
        sys.exit(str(error))
