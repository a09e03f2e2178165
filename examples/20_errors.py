"""Errors: raise what you mean, and the client is told what helps, and no more.

There is a ready class for each common kind of failure; a subclass states what differs, a line each. Below 500 the
message is told, above it goes to the log alone. What nobody expects is a 500 that tells nothing. The client chooses the
format with `Accept`. Every log record of a request carries its id, whoever writes it; that of the guard has the code,
the severity and the details of the error as attributes.

Common mistakes:
    raise ValueError("no such order")        a 500: built-in exceptions never choose a status; raise NotFoundError
    DatabaseError(str(error), expose=True)   tells the client what the driver says: leave `expose` out
    logger.addFilter(RequestIDFilter())      misses the records of child loggers: add it to the handler

Run: python examples/20_errors.py

Expect:
    log req_1: /orders/seven is asked for
    404 NOT_FOUND There is no order 'seven'. []
    log req_2: /orders/7 is asked for
    503 ORDER_DATABASE_ERROR The service is not available at the moment. ['Try again in a minute.']
    log req_3: /crash is asked for
    500 INTERNAL_ERROR Something went wrong on the server. ['Tell us the request id.']
    log req_4: /crash is asked for
    {"type":"about:blank","title":"Internal Server Error","status":500}
"""

import asyncio
import json
import logging
import sys
from itertools import count

from asgi_guard import DatabaseError, ErrorEnvelope, Guard, NotFoundError, RequestID, RequestIDFilter
from asgi_guard.testing import call

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())  # its records have the tracebacks
handler = logging.StreamHandler(sys.stdout)
handler.addFilter(RequestIDFilter())
handler.setFormatter(logging.Formatter("log %(request_id)s: %(message)s"))
logger = logging.getLogger("shop")
logger.addHandler(handler)


class OrderDatabaseError(DatabaseError):
    error_code = "ORDER_DATABASE_ERROR"
    max_retries = 5
    suggestions = ("Try again in a minute.",)


async def app(scope, receive, send):
    logger.warning("%s is asked for", scope["path"])
    match scope["path"]:
        case "/orders/7":
            raise OrderDatabaseError("postgres://shop:hunter2@10.0.0.7 does not answer", retry_after=60)
        case "/orders/seven":
            raise NotFoundError("There is no order 'seven'.")
        case _:
            raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")


numbers = count(1)
guarded = Guard(
    app,
    request_id=RequestID(factory=lambda: f"req_{next(numbers)}"),
    error_envelope=ErrorEnvelope(suggestions={"INTERNAL_ERROR": ["Tell us the request id."]}),
)


async def main():
    for path in ("/orders/seven", "/orders/7", "/crash"):
        answer = await call(guarded, "GET", path)
        body = answer.json()
        print(answer.status, body["error"]["code"], body["error"]["message"], body["suggestions"])

    answer = await call(guarded, "GET", "/crash", headers={"Accept": "application/problem+json"})
    problem = {name: answer.json()[name] for name in ("type", "title", "status")}
    print(json.dumps(problem, separators=(",", ":")))


asyncio.run(main())
