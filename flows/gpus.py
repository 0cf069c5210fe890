"""The GPUs of this host, as the driver names them, shared out among its workers."""

import os
import shutil
import subprocess

VARIABLE = "CUDA_VISIBLE_DEVICES"  # of the driver: what a process and its children see
NONE = "-1"


def visible_gpus() -> list[str]:
    """List the GPUs that this process sees: those that the driver's variable names, or else all of the machine."""
    if VARIABLE in os.environ:
        named = [name.strip() for name in os.environ[VARIABLE].split(",")]
        return [name for name in named if name and name != NONE]
    asked = shutil.which("nvidia-smi")
    if asked is None:
        return []
    command = [asked, "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return done.stdout.split() if done.returncode == 0 else []  # installed where there is no GPU, it fails


def shares(pool: str) -> list[dict[str, str]]:
    """Return the environment of each worker that this host has for a pool: one for each GPU if the pool is for GPUs.

    A pool is for GPUs if a part of its name is `gpu`, such as `gpu` or `large-gpu`. Workers of other pools see none.
    """
    gpus = visible_gpus()
    if not gpus:
        return [{}]
    return [{VARIABLE: gpu} for gpu in gpus] if _is_for_gpus(pool) else [{VARIABLE: NONE}]


def what_they_see(pool: str) -> str:
    """Say which GPUs the workers of `shares` have, and why none if they have none."""
    if not visible_gpus():
        return "without a GPU, for this host has none"
    return (
        "each with a GPU" if _is_for_gpus(pool) else "without a GPU: a part of the name must be `gpu`, such as a100-gpu"
    )


def _is_for_gpus(pool: str) -> bool:
    return "gpu" in pool.split("-")
