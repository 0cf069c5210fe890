"""What flows/serve.py changes in Prefect's server: transactions that wait for each other, and pages from elsewhere."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from flows import serve


async def add_twice(database: Path) -> int:
    """Let two transactions begin as Prefect's do, each read a number and write one more; return what stands there."""
    from prefect.server.database.configurations import AioSqliteConfiguration

    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{database}")
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE counted (number INTEGER)"))
        await connection.execute(text("INSERT INTO counted VALUES (0)"))

    async def add() -> None:
        async with await configuration.session(engine) as session, configuration.begin_transaction(session):
            number = (await session.execute(text("SELECT number FROM counted"))).scalar_one()
            await asyncio.sleep(0.2)
            await session.execute(text("UPDATE counted SET number = :number"), {"number": number + 1})

    try:
        await asyncio.gather(add(), add())
        async with await configuration.session(engine) as session:
            return int((await session.execute(text("SELECT number FROM counted"))).scalar_one())
    finally:
        await engine.dispose()


def test_two_that_read_and_then_write_wait_for_each_other(tmp_path: Path) -> None:
    assert asyncio.run(add_twice(tmp_path / "prefect.db")) == 2


def test_all_else_is_said_as_it_was() -> None:
    for statement in ("BEGIN", "SELECT 1", "UPDATE flow_run SET name = 'BEGIN DEFERRED'"):
        assert serve.lock_at_once(None, None, statement, {"a": 1}, None, False) == (statement, {"a": 1})


async def pages(database: Path) -> list[int]:
    """Ask two connections that are open at once, and one that is used again, how much they keep of a file."""
    from prefect.server.database.configurations import AioSqliteConfiguration

    engine = await AioSqliteConfiguration(f"sqlite+aiosqlite:///{database}").engine()
    asked = text("PRAGMA cache_size")
    try:
        async with engine.connect() as one, engine.connect() as other:
            found = [(await connection.execute(asked)).scalar_one() for connection in (one, other)]
        async with engine.connect() as again:
            return [*found, (await again.execute(asked)).scalar_one()]
    finally:
        await engine.dispose()


def test_no_connection_keeps_more_pages_than_sqlite_would(tmp_path: Path) -> None:
    assert asyncio.run(pages(tmp_path / "prefect.db")) == [-2000, -2000, -2000]


def scope(kind: str = "http", method: str = "POST", **headers: str) -> dict[str, Any]:
    """What a request to http://10.0.0.5:4200 is to the server."""
    told = {"host": "10.0.0.5:4200", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    return {"type": kind, "method": method, "headers": raw}


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://10.0.0.5:8000"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "origin": "http://10.0.0.5:4200"},
    ],
)
def test_pages_from_elsewhere_can_neither_change_anything_nor_listen(kind: str, headers: dict[str, str]) -> None:
    said = list[dict[str, Any]]()

    async def app(*_: Any) -> None:
        raise AssertionError("it was asked")

    async def say(message: Any) -> None:
        said.append(message)

    asyncio.run(serve.for_own_pages(app, by_name=True)(scope(kind, **headers), None, say))
    assert said[0].get("status", said[0].get("code")) in (403, 1008)


@pytest.mark.parametrize(
    "asked",
    [
        scope(),  # a worker, or curl
        scope(origin="http://10.0.0.5:4200"),
        scope("websocket", origin="http://10.0.0.5:4200"),
        scope(origin="https://prefect.example", sec_fetch_site="same-origin"),  # a proxy with TLS in front
        scope(method="GET", sec_fetch_site="cross-site"),  # a link
        scope(method="OPTIONS", origin="http://evil.example"),  # CORS answers it
        {"type": "lifespan"},
    ],
)
def test_the_dashboard_wherever_it_was_opened_and_programs_are_answered(asked: dict[str, Any]) -> None:
    assert not serve.is_foreign(asked, by_name=True)
    assert not serve.is_foreign(asked, by_name=False)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("host", "foreign"),
    [
        ("evil.example:4200", True),
        ("[bad", True),
        ("localhost:4300", False),
        ("127.0.0.1:4200", False),
        ("[::1]", False),
    ],
)
def test_a_server_without_a_password_is_not_called_by_a_name_that_may_lead_anywhere(
    method: str, host: str, foreign: bool
) -> None:
    asked = scope(method=method, host=host, sec_fetch_site="same-origin")
    assert serve.is_foreign(asked, by_name=False) == foreign
    assert not serve.is_foreign(asked, by_name=True)
