"""Configuration: the same names in code, in a TOML file and in the environment.

A part is a keyword of `Guard`, and its fields are those of its settings: a key or a table in the file, and with
`ASGI_GUARD_` before it a variable, `__` before a field. Code wins over the environment, which wins over the file. Every
problem is told at once, by the name that it has there; `asgi-guard check --config guard.toml` does so before a start.

Run: python examples/13_configuration.py

Expect:
    the file       5/second, 413 for a body of more than 1,000,000 bytes, declared or streamed
    a mapping      5/second, 413 for a body of more than 1,000,000 bytes, declared or streamed
    variables      5/second, 413 for a body of more than 1,000,000 bytes, declared or streamed
    over the file  9/minute, 413 for a body of more than 2,000 bytes, declared or streamed
    wrong: 4 settings are wrong:
      AG110 rate_limt is not a field. Did you mean 'rate_limit'?
      AG105 https must be one of 'redirect', 'require', not 'requird'. Did you mean 'require'?
      AG110 request_limits.max_url is not a field. Did you mean 'max_url_bytes'?
      AG101 request_limits.max_body_bytes must be an integer of at least 1, not '10MB'. Write it without quotes.
    wrong: 1 setting is wrong:
      AG101 ASGI_GUARD_REQUEST_LIMITS__MAX_BODY_BYTES must be an integer of at least 1, not '1MB'. \
Write a whole number like 1000 or none.
"""

from pathlib import Path

from asgi_guard import ConfigError, Guard


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


file = Path("guard.toml")
file.write_text('rate_limit = "5/second"\n[request_limits]\nmax_body_bytes = 1_000_000\n', encoding="utf-8")
mapping = {"rate_limit": "5/second", "request_limits": {"max_body_bytes": 1_000_000}}
variables = {"ASGI_GUARD_RATE_LIMIT": "5/second", "ASGI_GUARD_REQUEST_LIMITS__MAX_BODY_BYTES": "1000000"}
smaller = {"ASGI_GUARD_REQUEST_LIMITS__MAX_BODY_BYTES": "2000"}
guards = {
    "the file      ": Guard.from_toml(hello, file),
    "a mapping     ": Guard.from_mapping(hello, mapping),
    "variables     ": Guard.from_env(hello, variables),  # os.environ, if it is told no other
    "over the file ": Guard.from_toml(hello, file, smaller, rate_limit="9/minute"),
}
for name, guard in guards.items():
    refusals = {line[2:5]: line.strip() for line in reversed(guard.explain().splitlines())}
    print(name, f"{refusals['429'].split()[4]}, {refusals['413']}")

file.write_text('rate_limt = "5/second"\nhttps = "requird"\nrequest_limits = {max_body_bytes = "10MB", max_url = 9}\n')
for configure in [Guard.from_toml, Guard.from_env]:
    try:
        configure(hello, file if configure == Guard.from_toml else {**smaller, **dict.fromkeys(smaller, "1MB")})
    except ConfigError as error:
        print("wrong:", error)
