"""CORS: name the sites whose pages may read your answers; everything else stays as browsers have it.

`cors` takes an origin, a list of them, or a `CORS`. Preflights are answered by the guard. GET, HEAD and POST may always
be sent, whatever `methods` says: that is the protocol, so CORS is no protection from them; `fetch_metadata=True` is.
Settings that a browser would ignore do not start, and those that an attacker would like have a long name.

Run: python examples/10_cors.py

Expect:
    shop may read: https://shop.example
    other may not: None, and the answer is 200 all the same
    preflight of PUT from shop: 204 PUT
    preflight of DELETE from shop: 403 CORS_PREFLIGHT_REFUSED
    a refusal can be read as well: 429 https://shop.example
    POST from other with fetch_metadata: 403 CROSS_SITE_REQUEST
    wrong: AG340 CORS.origins[0] must be an origin, scheme://host or scheme://host:port, not 'shop.example'.
    wrong: AG345 CORS.origins must not be `*` next to credentials, not ['*'].
"""

import asyncio

from asgi_guard import CORS, ConfigError, Guard
from asgi_guard.testing import call

SHOP, OTHER = {"Origin": "https://shop.example"}, {"Origin": "https://other.example"}
ALLOW = "Access-Control-Allow-"


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def main():
    settings = CORS(origins=["https://shop.example"], methods=["PUT"], headers=["X-Token"], credentials=True)
    app = Guard(hello, cors=settings, fetch_metadata=True, rate_limit="3/minute")

    print("shop may read:", (await call(app, headers=SHOP)).headers.get(ALLOW + "Origin"))
    other = await call(app, headers=OTHER)
    print(f"other may not: {other.headers.get(ALLOW + 'Origin')}, and the answer is {other.status} all the same")
    for method in ("PUT", "DELETE"):
        answer = await call(app, "OPTIONS", headers={**SHOP, "Access-Control-Request-Method": method})
        outcome = answer.headers.get(ALLOW + "Methods") or answer.json()["error"]["code"]
        print(f"preflight of {method} from shop: {answer.status} {outcome}")
    await call(app)
    refused = await call(app, headers=SHOP)
    print("a refusal can be read as well:", refused.status, refused.headers.get(ALLOW + "Origin"))
    foreign = await call(app, "POST", headers={**OTHER, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"})
    print("POST from other with fetch_metadata:", foreign.status, foreign.json()["error"]["code"])

    for wrong in ({"origins": ["shop.example"]}, {"origins": ["*"], "credentials": True}):
        try:
            CORS(**wrong)
        except ConfigError as error:
            print("wrong:", str(error.problems[0]).partition(". ")[0] + ".")


asyncio.run(main())
