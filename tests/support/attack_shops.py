"""Two shops of FastAPI's: one with every hole that is looked for, and one without any, which looks much the same."""

# ruff: noqa: ASYNC210, ASYNC221, C901, FAST002  holes on purpose, and as many as there are classes

from __future__ import annotations

import html
import sqlite3
import subprocess
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Header
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import BaseModel


class Login(BaseModel):
    """What somebody signs in with."""

    user: str
    password: str


def database() -> sqlite3.Connection:
    """Make one with three items."""
    made = sqlite3.connect(":memory:", check_same_thread=False)
    made.executescript(
        "create table items(id integer, name text); insert into items values (1, 'chair'), (2, 'table'), (3, 'lamp');"
    )
    return made


HOLES = {
    ("GET /items", "name", "sqli"),
    ("GET /numbers", "id", "sqli"),
    ("GET /hello", "name", "xss"),
    ("GET /field", "q", "xss"),
    ("GET /file", "path", "traversal"),
    ("GET /go", "next", "redirect"),
    ("GET /sum", "x", "code"),
    ("GET /ping", "host", "command"),
    ("GET /fetch", "url", "ssrf"),
    ("GET /language", "lang", "header"),
    ("GET /trace", "q", "leak"),
    ("POST /login", "user", "sqli"),
}
"""Where the holes are: the route, the parameter and the class."""


def with_holes() -> FastAPI:
    """Make the shop that has them."""
    api, rows = FastAPI(), database()

    @api.get("/items")
    async def items(name: str = "chair") -> Any:
        return rows.execute(f"select * from items where name = '{name}'").fetchall()

    @api.get("/numbers")
    async def numbers(id: str = "1") -> Any:  # noqa: A002
        with suppress(sqlite3.Error):
            return rows.execute(f"select * from items where id = {id}").fetchall()

    @api.get("/hello")
    async def hello(name: str = "you") -> Any:
        return HTMLResponse(f"<html><body><h1>Hello {name}</h1></body></html>")

    @api.get("/field")
    async def field(q: str = "x") -> Any:
        return HTMLResponse(f'<input value="{html.escape(q, quote=False)}">')

    @api.get("/file")
    async def file(path: str = "a") -> Any:
        try:
            return PlainTextResponse((Path("/srv/shop") / path).read_text()[:2_000])
        except (OSError, ValueError):
            return JSONResponse({}, 404)

    @api.get("/go")
    async def go(next: str = "/") -> Any:  # noqa: A002
        return RedirectResponse(next)

    @api.get("/sum")
    async def total(x: str = "1") -> Any:
        with suppress(Exception):
            return str(eval(x, {"__builtins__": {"str": str}}))

    @api.get("/ping")
    async def ping(host: str = "x") -> Any:
        if "\0" in host:
            return ""
        done = subprocess.run(f"echo {host}", shell=True, capture_output=True, text=True, timeout=3, check=False)
        return done.stdout

    @api.get("/fetch")
    async def fetch(url: str = "") -> Any:
        with suppress(Exception):
            return urllib.request.urlopen(url, timeout=1).status if url.startswith("http://127.0.0.1") else 0

    @api.get("/language")
    async def language(lang: str = "en") -> Any:
        with suppress(UnicodeError):
            return Response("ok", headers={"x-lang": lang})

    @api.get("/trace")
    async def trace(q: str = "x") -> Any:
        return PlainTextResponse("fine" if q.isalnum() else "Traceback (most recent call last):\n", 200)

    @api.post("/login")
    async def login(body: Login) -> Any:
        asked = f"select 1 from items where name = '{body.user}' and ? = 'lamp'"
        return JSONResponse({}, 200 if rows.execute(asked, (body.password,)).fetchone() else 401)

    return api


def without_holes() -> FastAPI:
    """Make the shop that has none."""
    api, rows = FastAPI(), database()

    @api.get("/items")
    async def items(name: str = "chair", limit: int = 10) -> Any:
        found = rows.execute("select * from items where name = ? limit ?", (name, min(limit, 100))).fetchall()
        return {"items": found, "asked": name}

    @api.get("/items/{number}")
    async def item(number: int) -> Any:
        found = rows.execute("select * from items where id = ?", (number % 1_000,)).fetchall()
        return found or JSONResponse({"number": number}, 404)

    @api.get("/search")
    async def search(q: str = "x") -> Any:
        return rows.execute("select * from items where name like ?", (f"%{q}%",)).fetchall()

    @api.get("/hello")
    async def hello(name: str = "you") -> Any:
        shown = html.escape(name)
        return HTMLResponse(f'<html><body><h1 title="{shown}">Hello {shown}</h1></body></html>')

    @api.get("/go")
    async def go(next: str = "/") -> Any:  # noqa: A002
        return RedirectResponse("/home" if next not in {"/", "/cart"} else next)

    @api.get("/header")
    async def header(x_name: str = Header("a")) -> Any:
        return {"name": x_name}

    @api.post("/login")
    async def login(body: Login) -> Any:
        found = rows.execute("select 1 from items where name = ? and ? = 'lamp'", (body.user, body.password)).fetchone()
        return JSONResponse({}, 200 if found else 401)

    return api
