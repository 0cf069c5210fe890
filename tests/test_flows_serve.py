"""What flows/serve.py changes in Prefect's server: two transactions that read and then write wait for each other."""

import asyncio
from pathlib import Path

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
