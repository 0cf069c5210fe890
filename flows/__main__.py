"""The commands behind the Makefile: retrain, up, down."""

import argparse
import sys
from pathlib import Path

from flows import environment


def main() -> None:
    """Run one command on the clone in the working folder."""
    parser = argparse.ArgumentParser(prog="python -m flows", description=__doc__)
    parser.add_argument("command", choices=["retrain", "up", "down"])
    parser.add_argument("--port", type=int, help="where `up` puts the server and the dashboard")
    arguments = parser.parse_args()
    environment.enter(Path.cwd())
    from flows import retrain

    retrain.retrain(Path.cwd())
    print(retrain.announce(retrain.read_stages(Path.cwd()), Path.cwd()))


if __name__ == "__main__":
    sys.exit(main())
