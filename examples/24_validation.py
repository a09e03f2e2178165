"""Validation: what attacks a request may carry, and how to tell it what your application knows better.

Every value is looked at by itself, decoded as often as an application might: path, query, cookies, headers, forms,
JSON, multipart, XML and texts. Level 1 lets harmless requests pass; 2 is stricter, 3 paranoid. The application still
gets its body byte for byte, and who listens hears where an attack stood, never what it was.

Common mistakes:
    Validation(level=3) everywhere           refuses sentences; raise the level where nobody writes any, by path
    validation=False for the editor of pages Exclusion(paths=["/cms"], names=["html"], rules=["xss"]) keeps the rest
    trusting it with your SQL                it is a second lock: go on with parameters in queries, and escape in pages

Run: python examples/24_validation.py

Expect:
    200 /search?q=select a lamp from the union -- it's 50% off
    found sqli in query q
    400 /search?q=1' union select name, word from users --
    found traversal in query q
    400 /search?q=%2e%2e%2f%2e%2e%2fetc/passwd
    200 POST /cms html=<script>start()</script>
    found xss in body title
    400 POST /cms title=<script>start()</script>
    found business in query id
    400 /orders?id=ORD-000-TEST
    400 VALIDATION_REFUSED The request looks like an attack.
"""

import asyncio
from urllib.parse import quote, urlencode

from asgi_guard import AttackFound, Exclusion, Guard, Rule, Validation
from asgi_guard.testing import call


async def app(scope, receive, send):
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


def tell(event):
    if isinstance(event, AttackFound):
        print(f"found {event.attack} in {event.place} {event.name}")


OWN = Rule(
    id="OWN-ORDERS-001",
    attack="business",
    score=5,
    level=1,
    pattern=r"^ord-[0-9]{3}-test$",
    needs=("-test",),
    why="Orders of the test system are asked for here by scripts only.",
    positives=("ORD-000-TEST",),
    negatives=("ORD-000-TESTS", "ORD-001"),
)

guarded = Guard(
    app,
    validation=Validation(
        exclude=[Exclusion(paths=["/cms"], places=["body"], names=["html"], rules=["xss"])],
        rules=[OWN],
    ),
    listeners=[tell],
)


async def main():
    for value in ("select a lamp from the union -- it's 50% off", "1' union select name, word from users --"):
        answer = await call(guarded, "GET", f"/search?q={quote(value)}")
        print(answer.status, f"/search?q={value}")
    answer = await call(guarded, "GET", "/search?q=%252e%252e%252f%252e%252e%252fetc/passwd")  # encoded twice
    print(answer.status, "/search?q=%2e%2e%2f%2e%2e%2fetc/passwd")

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for name in ("html", "title"):
        body = urlencode({name: "<script>start()</script>"}).encode()
        answer = await call(guarded, "POST", "/cms", headers=form, body=body)
        print(answer.status, f"POST /cms {name}=<script>start()</script>")

    answer = await call(guarded, "GET", "/orders?id=ORD-000-TEST")
    print(answer.status, "/orders?id=ORD-000-TEST")
    error = answer.json()["error"]
    print(answer.status, error["code"], error["message"])


asyncio.run(main())
