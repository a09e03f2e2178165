"""Names of the earlier system: a pasted `SECURITY_CONFIG` works, and each name stands for a field of the guard.

`SecurityMiddleware` is a `Guard` whose settings are one flat list of names; what a guard takes may stand next to them,
and so may be moved to one by one. `from_env` reads the three `ENABLE_` switches. Addresses are addresses: a host name
among them is an error that says so.

Run: python examples/14_names_of_the_earlier_system.py

Expect:
    asked three times 200 200 429
    by a page of the shop 429 https://shop.example
    with a script in it 400
    from a blocked address 403
    switched off: telemetry, monitor, client_address, request_id, error_envelope, endpoints
    wrong: 2 settings are wrong:
      AG110 SecurityMiddleware.rate_limit_request is not a field. Did you mean 'rate_limit_requests'?
      AG302 SecurityMiddleware.allowed_ips[0] must be an address, and a name is never looked up, not 'localhost'. \
Write its addresses.
"""

import asyncio

from asgi_guard import ConfigError, SecurityMiddleware
from asgi_guard.testing import call

SECURITY_CONFIG = {
    "rate_limit_requests": 2,
    "rate_limit_window": 60,
    "blocked_ips": ["203.0.113.66"],
    "cors_origins": ["https://shop.example"],
    "enable_input_validation": True,
}


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def main():
    app = SecurityMiddleware(hello, **SECURITY_CONFIG)  # or: api.add_middleware(SecurityMiddleware, **SECURITY_CONFIG)
    print("asked three times", *[(await call(app)).status for _ in range(3)])
    answer = await call(app, headers={"Origin": "https://shop.example"})
    print("by a page of the shop", answer.status, answer.headers.get("access-control-allow-origin"))
    print(
        "with a script in it", (await call(app, path="/?q=%3Cscript%3Ealert(1)", client=("203.0.113.7", 4711))).status
    )
    print("from a blocked address", (await call(app, client=("203.0.113.66", 4711))).status)

    app = SecurityMiddleware.from_env(hello, {"ENABLE_SECURITY_MIDDLEWARE": "false"})  # by default os.environ
    print("switched off:", ", ".join(layer.name for layer in app.layers))
    try:
        SecurityMiddleware(hello, rate_limit_request=5, allowed_ips=["localhost"])
    except ConfigError as error:
        print("wrong:", error)


asyncio.run(main())
