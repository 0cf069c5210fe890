"""Prefect's command line for a server whose SQLite makes nobody ask twice and does not grow with its file.

Prefect begins transactions as DEFERRED. One that reads, and then writes what another has written meanwhile, fails at
once with "database is locked", and who asked for it asks again two seconds later. IMMEDIATE ones wait for each other
instead (https://sqlite.org/lang_transaction.html). And each of its five connections would keep up to 80 MB of pages,
so that the memory follows the file, night after night, and nothing is faster for it. PostgreSQL hears nothing of this.
"""

from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Engine, event

PAGES = "PRAGMA cache_size = -2000"  # kB, as SQLite has it by default; the system keeps the file in memory anyway


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def lock_at_once(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Let a transaction of SQLite begin with its lock."""
    return "BEGIN IMMEDIATE" if statement == "BEGIN DEFERRED" else statement, parameters


@event.listens_for(Engine, "engine_connect")
def keep_few_pages(connection: Connection) -> None:
    """Tell a connection to SQLite that is used for the first time to keep few pages; Prefect has told it its own."""
    if connection.dialect.name == "sqlite" and PAGES not in connection.info:
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute(PAGES)
        connection.info[PAGES] = True  # it lives as long as the connection to the file


if __name__ == "__main__":
    from prefect.cli import app

    app()
