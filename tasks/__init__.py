"""How a stage is started: its arguments, its parameters, its errors. One module per stage lies beside this file."""

import argparse
import ctypes
import inspect
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from handful import compute, parameters
from handful.errors import HandfulError

PR_SET_PDEATHSIG = 1
# oneDNN would keep what it made for the last 1,024 shapes. Rows differ in length, so that after some hundred steps of
# fine-tuning this is most of a gigabyte, and hardly any of it is asked for again.
SHAPES_KEPT = "128"


def alone() -> AbstractContextManager[bool]:
    """For a stage that leaves all but one device to others."""
    return nullcontext(True)


def start(main: Callable[..., None], company: Callable[[], AbstractContextManager[bool]] = alone) -> None:
    """Run `main(parameters, *folders)` with the command line: the parameter file, then one path per folder.

    Mistakes end the process with status 1 and one paragraph; `--debug` shows the traceback instead. With
    `devices.company` it runs on every device: the process that leads writes the last folder, and speaks for all who
    come to the same end.
    """
    folders = list(inspect.signature(main).parameters)[1:]
    parser = argparse.ArgumentParser(description=inspect.getdoc(inspect.getmodule(main)))
    parser.add_argument("parameters", type=Path, help="the parameter file, params.yaml")
    for folder in folders:
        parser.add_argument(folder, type=Path)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args()
    end_with_parent()
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", SHAPES_KEPT)
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("handful").setLevel(logging.INFO)
    try:
        with company() as leads, tempfile.TemporaryDirectory() as elsewhere:
            if not leads:
                logging.getLogger("handful").setLevel(logging.WARNING)  # the leader says the rest for all
            paths = [getattr(arguments, folder) for folder in folders]
            values = parameters.read(arguments.parameters)
            out = paths[-1] if leads else Path(elsewhere, paths[-1].name)
            with compute.running(values.compute):
                main(values, *paths[:-1], out)
    except Exception as error:
        if arguments.debug:
            raise
        sys.exit(f"{parser.prog}: {_explain(error)}")


def _explain(error: Exception) -> str:
    if isinstance(error, HandfulError):
        return str(error)
    found = f"stopped by an unexpected {type(error).__name__}: {error}."
    return f"{found} Run the command again with --debug to see where it came from."


def end_with_parent() -> None:
    """A stage whose launcher was killed must not go on holding the lock and the GPU."""
    if sys.platform == "linux" and os.getppid() != 1:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
