"""Prefect's command line for a server whose SQLite makes nobody ask twice and does not grow with its file.

Prefect begins transactions as DEFERRED. One that reads, and then writes what another has written meanwhile, fails at
once with "database is locked", and who asked for it asks again two seconds later. IMMEDIATE ones wait for each other
instead (https://sqlite.org/lang_transaction.html). And each of its five connections would keep up to 80 MB of pages,
so that the memory follows the file, night after night, and nothing is faster for it. PostgreSQL hears nothing of this.

And whoever may call the server may run code, but a browser lets any page that it shows call this machine. Prefect's
tokens against that do not cover its sockets, and its own automations that pause one another do not have them.
"""

from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Engine, event
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

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


def is_foreign(scope: Scope) -> bool:
    """Tell whether a page from elsewhere wants to change something or a socket; what it may read CORS says.

    Browsers say so in headers that no page can set; whoever is no browser has neither header, or need not.
    """
    if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS")):
        return False
    headers = dict(scope["headers"])
    if site := headers.get(b"sec-fetch-site"):  # newer browsers, over TLS and on the loopback; right behind proxies too
        return site not in (b"same-origin", b"none")
    return b"origin" in headers and headers[b"origin"].partition(b"://")[2] != headers.get(b"host")


def for_own_pages(app: ASGIApp) -> ASGIApp:
    """Let an application answer its own pages, and programs, alone."""
    refused = JSONResponse({"detail": "Pages of other origins than the server's own may not call it."}, 403)
    answers: dict[str, ASGIApp] = {"http": refused, "websocket": WebSocketClose(1008)}

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        await (answers[scope["type"]] if is_foreign(scope) else app)(scope, receive, send)

    return guarded


if __name__ == "__main__":
    import uvicorn
    from prefect.cli import app

    run = uvicorn.run
    vars(uvicorn)["run"] = lambda app, **settings: run(for_own_pages(app), **settings)
    app()
