"""A server from outside: addresses that are none, and somebody else who listens where it should be."""

import socket
import threading

import pytest

from flows.server import UpError, answers, require_address


def test_who_speaks_of_something_else_is_no_server() -> None:
    def greet(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(b"220 mail.example ESMTP\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = threading.Thread(target=greet, args=(listener,))
        other.start()
        assert not answers(f"http://127.0.0.1:{listener.getsockname()[1]}")
        other.join()


@pytest.mark.parametrize("url", ["http://10.0.0.5:4200", "https://prefect.example", "http://[::1]:4200"])
def test_a_server_may_be_at_an_address(url: str) -> None:
    require_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.5:99999",
        "http://10.0.0.5:0",
        "http://10.0.0.5:port",
        "http://[::1",
        "10.0.0.5:4200",
        "ftp://me",
        "",
    ],
)
def test_what_is_no_address_of_a_server_is_named_with_an_example(url: str) -> None:
    with pytest.raises(UpError, match=r"is no address of a server\. One is http://"):
        require_address(url)
