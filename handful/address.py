"""The address of a Ray cluster: whether anybody answers there."""

import os
import socket

from handful.errors import ComputeError

SECONDS_TO_CONNECT = 5


def require_answer(address: str, key: str, instead: str) -> None:
    """Try an address before Ray, which would go on trying for long; to be called before ray is imported.

    Raises:
        ComputeError: nobody listens at the address, which stands under `key`; what can be done `instead` is said too.
    """
    os.environ["RAY_NUM_REDIS_GET_RETRIES"] = "1"  # else it asks for a quarter of an hour
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    option = "ray-client-server-port" if address.startswith("ray://") else "port"
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise ComputeError(
            f"Nothing answers at {address}, the address of Ray under {key} ({error}). Start a cluster there "
            f"(ray start --head --{option} {port}), name another address, or {instead}."
        ) from None
