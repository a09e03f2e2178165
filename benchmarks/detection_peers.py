"""Peers: other detectors as ASGI middlewares, each set up as its documentation shows, with all else of it switched off.

Rule 1: whoever brings a middleware of its own is measured in it. A library has the request parsed by
`detection_values.py`, in the time that is measured, as a project that used it would have to.
Rule 2: what refuses for other reasons (rates, bans, protocol rules) is off: the comparison may only err in the peers'
favour.
Rule 3: a peer is imported when it is built; what is not installed is named, and not measured.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Any

import detection_values

App = Callable[..., Awaitable[None]]

REFUSED = (
    {"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]},
    {"type": "http.response.body", "body": b""},
)

NAIVE = re.compile(
    r"\b(?:select|insert|update|delete|drop|union|alter|create|truncate|exec)\b"
    r"|\bor\b\s+\d+\s*=\s*\d+|--|/\*|<\s*script|javascript:|\bon\w+\s*=|<\s*iframe|\.\./|\.\.\\|etc/passwd"
    r"|[;|&`]\s*(?:cat|ls|rm|wget|curl|nc|bash|sh|id|whoami)\b|\$\(",
    re.IGNORECASE,
)
"""What many a project writes: the words of attacks."""

CRS = Path("/usr/share/modsecurity-crs/rules")
CRS_SETUP = Path("/etc/modsecurity/crs/crs-setup.conf")
CRS_FAMILIES = ("913", "921", "930", "931", "932", "933", "934", "941", "942", "943", "944")
"""The rules about attacks; those about the protocol refuse for other reasons, benign requests above all."""

MODSECURITY = r"""
SecRuleEngine On
SecRequestBodyAccess On
SecAuditEngine Off
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application(?:/soap\+|/)|text/)xml" \
    "id:1,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/(?:[a-z0-9.-]+\+)?json" \
    "id:2,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecAction "id:3,phase:1,pass,nolog,t:none,setvar:tx.paranoia_level={level}"
"""


def reading(finds: Callable[[dict[str, Any], bytes], bool]) -> Callable[[App], App]:
    """Make a middleware of a function of the scope and the whole body that tells whether it finds an attack."""

    def wrap(app: App) -> App:
        async def guarded(scope, receive, send):
            messages = [await receive()]
            while messages[-1].get("more_body"):
                messages.append(await receive())
            if finds(scope, b"".join(message.get("body", b"") for message in messages)):
                for message in REFUSED:
                    await send(message)
                return
            waiting = iter(messages)

            async def replayed():
                return next(waiting, None) or await receive()

            await app(scope, replayed, send)

        return guarded

    return wrap


def naive(app: App) -> App:
    """Look for keywords in the target and the body, as most projects do."""

    def finds(scope: dict[str, Any], body: bytes) -> bool:
        target = f"{scope['path']}?{detection_values.unquote_plus(scope['query_string'].decode('latin-1'))}"
        text = detection_values.unquote_plus(body.decode("utf-8", "replace"))
        return NAIVE.search(target) is not None or NAIVE.search(text) is not None

    return reading(finds)(app)


def libinjection(app: App) -> App:
    """Ask libinjection about each value."""
    from libinjection import is_sql_injection, is_xss

    def is_attack(value: str) -> bool:
        text = value.encode("utf-8", "replace").decode()
        return is_sql_injection(text)["is_sqli"] or is_xss(text)["is_xss"]

    return reading(lambda scope, body: any(map(is_attack, detection_values.values(scope, body))))(app)


def gatekeeper(app: App) -> App:
    """Wrap in gatekeeper-asgi, without its rate limit."""
    from gatekeeper import Config, GatekeeperMiddleware

    return GatekeeperMiddleware(app, Config(rate_limit=0))


def fastapi_guard(app: App) -> App:
    """Wrap in fastapi-guard, with nothing but its detection."""
    from guard import PureASGISecurityMiddleware, SecurityConfig

    config = SecurityConfig(enable_redis=False, enable_ip_banning=False, enable_rate_limiting=False)
    return PureASGISecurityMiddleware(app, config=config)


def libddwaf(app: App) -> App:
    """Ask libddwaf inside ddtrace, with the rules that come with it and as much time as it wants."""
    from ddtrace.appsec._ddwaf import DDWaf

    waf = DDWaf((resources.files("ddtrace.appsec") / "rules.json").read_bytes(), b"", b"")

    def finds(scope: dict[str, Any], body: bytes) -> bool:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers.pop("cookie", None)
        data = {
            "server.request.method": scope["method"],
            "server.request.uri.raw": target.decode("latin-1"),
            "server.request.query": detection_values.query(scope),
            "server.request.headers.no_cookies": headers,
            "server.request.cookies": detection_values.cookies(scope),
        }
        if body:
            data["server.request.body"] = detection_values.parsed(scope, body)
        return bool(waf.run(waf._at_request_start(), data, timeout_ms=10_000).data)  # noqa: SLF001  its only door

    return reading(finds)(app)


def modsecurity(app: App, level: int) -> App:
    """Wrap in libmodsecurity's middleware, with the attack families of Debian's Core Rule Set at a paranoia level."""
    from libmodsecurity import ModSecurity, RulesSet
    from libmodsecurity.asgi import ModSecMiddleware

    files = (CRS_SETUP, *_core_rules(CRS_FAMILIES))
    rules = RulesSet()
    if rules.load("".join((MODSECURITY.replace("{level}", str(level)), *(f"Include {file}\n" for file in files)))) < 0:
        raise ImportError(rules.get_parser_error())
    return ModSecMiddleware(app, ModSecurity(), rules)


def lewaf(app: App) -> App:
    """Wrap in lewaf, with the same rules at paranoia level 1, but for those about scanners, which it cannot read."""
    from lewaf.integration import WAF
    from lewaf.integrations.starlette import LeWAFMiddleware

    files = (CRS_SETUP, *_core_rules(CRS_FAMILIES[1:]))
    return LeWAFMiddleware(app, waf=WAF({"rule_files": [*map(str, files)]}))


def _core_rules(families: tuple[str, ...]) -> list[Path]:
    files = [file for family in ("901", *families, "949") for file in CRS.glob(f"REQUEST-{family}-*.conf")]
    if not files or not CRS_SETUP.exists():
        raise ImportError("the Core Rule Set of Debian's package modsecurity-crs is not there")
    return files
