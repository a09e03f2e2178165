"""Checks of who gets in: other sites, other hosts, strangers who write forwarding headers or look behind the doors.

Must never ask with a method that changes anything: GET, OPTIONS, and a GET that claims to be a preflight.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any, Final

from asgi_guard.doctor.ask import Answer
from asgi_guard.doctor.examination import Examination, Said
from asgi_guard.doctor.finding import Finding, Severity, Skipped, shown

_EVIL_HOST: Final = "evil.example"
_STRANGER: Final = "198.51.100.77"
_DOCUMENTATION: Final = ("/docs", "/redoc", "/openapi.json", "/schema", "/schema/openapi.json", "/swagger")
_DOCUMENTS: Final = ('"openapi"', "openapi:", "swagger-ui", "redoc", "@scalar")
_PRIVATE: Final = ("/metrics", "/performance/summary", "/performance")


async def check_cors(x: Examination) -> Said:
    """Ask as pages of other sites would."""
    host = x.asker.name
    origins = {
        "https://evil.example": "any site",
        "null": "any page in a sandboxed frame (Origin: null)",
        f"https://{host}.evil.example": "a host that begins with the own name",
        f"https://evil-{host}": "a host that ends in the own name",
        f"http://{host}.evil.example": "a host in the clear that begins with the own name",
    }
    said: Said = []
    for origin, who in origins.items():
        for preflight in (False, True):
            answer = await _from_site(x, origin, preflight=preflight)
            if answer.is_limited:
                return [Skipped("DR103", f"a request with Origin: {origin} was answered with {answer.status}")]
            finding = _judged(answer, origin, who)
            if finding is not None:
                return [finding]
    return said


async def _from_site(x: Examination, origin: str, *, preflight: bool) -> Answer:
    if not preflight:
        return await x.asker.ask(x.options.path, headers=[("origin", origin)])
    asked = [("origin", origin), ("access-control-request-method", "POST")]
    return await x.asker.ask(x.options.path, method="OPTIONS", headers=asked)


def _judged(answer: Answer, origin: str, who: str) -> Finding | None:
    allowed = answer.header("access-control-allow-origin").strip()
    credentials = answer.header("access-control-allow-credentials").strip().lower() == "true"
    if allowed not in {origin, "*"}:
        return None
    severity: Severity = "error" if credentials else "note" if allowed == "*" else "warning"
    more = " in the name of whoever visits it" if credentials else ""
    return Finding(
        "DR103",
        severity,
        f"{who} may read the answers{more}",
        f"Origin: {origin} was answered with Access-Control-Allow-Origin: {allowed}"
        + (" and Access-Control-Allow-Credentials: true" if credentials else ""),
        "What the answers tell is open to the scripts of every page that a user opens."
        if not more
        else "A page of an attacker reads what the user alone may see, and acts with the user's cookies.",
        'Name the origins that need it, as in Guard(app, cors=["https://app.example.com"]) instead of this',
    )


async def check_host(x: Examination) -> Said:
    """Ask for another host."""
    if not x.home.status or x.home.is_limited:
        return [Skipped("DR110", f"GET {x.options.path} was answered with {x.home.status}")]
    answer = await x.asker.ask(x.options.path, host=_EVIL_HOST)
    if answer.status != x.home.status:
        return []
    if answer.status in {400, 403, 404, 421}:
        return [Skipped("DR110", f"{x.asker.host} is refused as well ({answer.status}); name the host with --host")]
    return [
        Finding(
            "DR110",
            "warning",
            "any host is answered for",
            f"GET {x.options.path} with Host: {_EVIL_HOST} was answered with {answer.status}",
            "Links in e-mails and redirections are made from it: a password reset then leads to the attacker.",
            f'Guard(app, trusted_host="{x.asker.host}")'
            if x.options.host
            else "Guard(app, trusted_host=[...]) with the hosts that it answers for",
        )
    ]


async def check_documentation(x: Examination) -> Said:
    """Look for documentation that everybody may read."""
    open_paths: list[str] = []
    for path in _DOCUMENTATION:
        answer = await x.asker.ask(path)
        if answer.succeeded and any(mark in answer.text[:200_000].lower() for mark in _DOCUMENTS):
            open_paths.append(path)
    if not open_paths:
        return []
    return [
        Finding(
            "DR111",
            "note",
            "everybody may read the documentation of the interface",
            ", ".join(open_paths),
            "It names every route and parameter, those for administrators too. Where that is meant, leave it.",
            "Switch it off, as by FastAPI(docs_url=None, redoc_url=None, openapi_url=None), or let only yours in",
        )
    ]


async def check_endpoints_open(x: Examination) -> Said:
    """Ask for metrics and dashboards as a stranger."""
    paths, guards = set(_PRIVATE), set[str]()
    for settings in x.chain.settings("endpoints"):
        own = {
            f"{settings.prefix}{path}"
            for path in (settings.metrics, settings.summary, settings.dashboard)
            if path is not None
        }
        paths |= own
        guards |= own if _lets_in(settings, _STRANGER) else set()  # whom it does not let in, the application answers
    seen: dict[bool, list[str]] = {True: [], False: []}
    for path in sorted(paths):
        answer = await x.asker.ask(path, client=None, peer=_STRANGER)
        if answer.succeeded and _is_private(answer):
            seen[path in guards].append(path)
    return [_open(is_guards, found) for is_guards, found in seen.items() if found]


def _lets_in(settings: Any, address: str) -> bool:
    networks = [ip_network(str(one), strict=False) for one in settings.allowed if one != "unix:"]
    return any(ip_address(address) in network for network in networks)


def _open(is_guards: bool, paths: list[str]) -> Finding:
    return Finding(
        "DR112",
        "error",
        f"everybody may see {'what the guard counts' if is_guards else 'metrics or a dashboard of the application'}",
        f"{', '.join(paths)}, answered by the {'guard' if is_guards else 'application'} to a stranger",
        "They tell routes, traffic and failures, and the addresses of clients.",
        "Endpoints(allowed=[...]) with the networks of those who look and no others, or Endpoints(token=...)"
        if is_guards
        else "Let it ask for a login, or take it out of the application: a token of the guard's Endpoints is for the "
        "guard's own",
    )


def _is_private(answer: Answer) -> bool:
    start = answer.text[:20_000]
    return "# TYPE " in start or "# HELP " in start or ("asgi_guard" in start) or '"requests"' in start


async def check_forwarded(x: Examination) -> Said:
    """Write forwarding headers as somebody who is no proxy."""
    said: Said = []
    plain = await x.asker.ask(x.options.path, scheme="http", peer=_STRANGER)
    for answer in (plain, x.home):
        if answer.is_limited:
            return [Skipped("DR115", f"GET {x.options.path} was answered with {answer.status}")]
    forged = await x.asker.ask(x.options.path, scheme="http", peer=_STRANGER, headers=[("x-forwarded-proto", "https")])
    is_led = 300 <= plain.status < 400 and plain.header("location").startswith("https:")
    if is_led and forged.succeeded:  # a guard refuses it, and does not believe it
        said.append(_forged("the scheme", "X-Forwarded-Proto: https", f"{forged.status} instead of {plain.status}"))
    named = await x.asker.ask(x.options.path, scheme="http", peer=_STRANGER, headers=[("x-forwarded-host", _EVIL_HOST)])
    if _EVIL_HOST in named.header("location") or _EVIL_HOST in named.text:
        said.append(_forged("the host", f"X-Forwarded-Host: {_EVIL_HOST}", f"the answer names {_EVIL_HOST}"))
    return said


def _forged(what: str, header: str, seen: str) -> Finding:
    return Finding(
        "DR115",
        "error",
        f"strangers say themselves what {what} is",
        f"{header} from a stranger: {shown(seen)}",
        "What the proxy is to say, anybody says: redirections and links lead where an attacker wants.",
        "client_address=[...] with the addresses of the proxies, and no other code that reads these headers",
    )
