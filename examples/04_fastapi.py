"""FastAPI: guard an API, and leave to the framework what the framework does.

What a route answers passes as it is, validation errors and `HTTPException` too; `ErrorEnvelope(rewrite="all")` tells
these in the guard's words instead, and without the input that FastAPI repeats. `request.state.request_id` is there for
your own log lines. A guarded API can be used as the API itself: what the guard has not is looked up on the application.
Whether to wrap or to add, and how they differ, is told in `03_starlette.py`; the same holds here.

Run: pip install fastapi; python examples/04_fastapi.py

Expect:
    GET /items/7      200 {"id":7,"asked_by":"req_1"}
    GET /items/0      404 {"detail":"no such item"}
    GET /items/x      422 int_parsing
    each of them with an id and a limit: True
    the third in a second: 429 RATE_LIMIT_EXCEEDED
    rewritten: 422 VALIDATION_ERROR path#/number
"""

import asyncio
from itertools import count

from fastapi import FastAPI, HTTPException, Request

from asgi_guard import ErrorEnvelope, Guard, RequestID
from asgi_guard.testing import call

numbers = count(1)
api = Guard(FastAPI(), request_id=RequestID(factory=lambda: f"req_{next(numbers)}"))


@api.get("/items/{number}")
async def item(number: int, request: Request):
    if not number:
        raise HTTPException(404, "no such item")
    return {"id": number, "asked_by": request.state.request_id}


other = FastAPI()
other.add_middleware(Guard, rate_limit="2/second;100/minute")


@other.get("/")
async def hello():
    return "hello"


async def main():
    found, missing, invalid = [await call(api, "GET", f"/items/{number}") for number in ("7", "0", "x")]
    print(f"GET /items/7      {found.status} {found.body.decode()}")
    print(f"GET /items/0      {missing.status} {missing.body.decode()}")
    print(f"GET /items/x      {invalid.status} {invalid.json()['detail'][0]['type']}")
    marks = [answer.headers.get(name) for answer in (found, missing, invalid) for name in ("X-Request-ID", "RateLimit")]
    print("each of them with an id and a limit:", all(marks))

    *_, third = [await call(other) for _ in range(3)]
    print("the third in a second:", third.status, third.json()["error"]["code"])

    rewriting = Guard(api.app, error_envelope=ErrorEnvelope(rewrite="all"))
    invalid = await call(rewriting, "GET", "/items/x")
    error = invalid.json()["error"]
    print("rewritten:", invalid.status, error["code"], error["details"]["errors"][0]["pointer"])


asyncio.run(main())
