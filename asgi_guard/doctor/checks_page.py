"""Checks of the page: the way to HTTPS, the security headers, cookies, and what answers tell of what made them.

Must never follow a redirection to another host: nothing is asked but the application.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urljoin, urlsplit

from asgi_guard.doctor.cures import cure
from asgi_guard.doctor.examination import Examination, Said
from asgi_guard.doctor.finding import Finding, Skipped, shown
from asgi_guard.doctor.observatory import ENOUGH_FOR_BONUSES, Page, score

EVIL: Final = "https://evil.example"
_HOPS: Final = 5
_LEAST_HSTS_SECONDS: Final = 15_552_000
_TELLING: Final = ("x-powered-by", "x-aspnet-version", "x-generator", "x-runtime")


async def check_way(x: Examination) -> Said:
    """Ask over HTTP, and look whether browsers are told to stay with HTTPS."""
    said: Said = []
    if x.options.behind_proxy:
        said.append(Skipped("DR101", "the proxy speaks with the clients; let it redirect"))
    else:
        plain = await x.asker.ask(x.options.path, scheme="http")
        if plain.is_limited or not plain.status:
            said.append(Skipped("DR101", f"GET {x.options.path} over HTTP was answered with {plain.status}"))
        elif plain.succeeded or (300 <= plain.status < 400 and not plain.header("location").startswith("https:")):
            said.append(
                Finding(
                    "DR101",
                    "warning",
                    "the application is served over HTTP",
                    f"GET http://{x.asker.host}{x.options.path} was answered with {plain.status}",
                    "Whoever sits on the way reads and changes everything, cookies included.",
                    'Guard(app, https="redirect"), or say --behind-proxy where a proxy does it',
                )
            )
    if not x.home.status:
        return [*said, Skipped("DR102", f"GET {x.options.path} was not answered: {shown(x.home.raised)}")]
    value = x.home.header("strict-transport-security")
    age = re.search(r"max-age=\"?(\d{1,12})", value.lower())
    if age is None or int(age[1]) < _LEAST_HSTS_SECONDS:
        said.append(
            Finding(
                "DR102",
                "warning",
                "browsers are not told to stay with HTTPS",
                f"Strict-Transport-Security: {shown(value)}" if value else "no Strict-Transport-Security over HTTPS",
                "The first request of each visit can be caught before it is redirected.",
                'SecurityHeaders(policy={"Strict-Transport-Security": "override"}), or no such header of your own'
                if value
                else "Guard(app, security_headers=True), which sends max-age=31536000 over TLS",
            )
        )
    return said


async def check_score(x: Examination) -> Said:
    """Score the page; anything but an answer of 200 to 299 is not scored, as there."""
    if not x.home.succeeded:
        remedy = "" if x.home.is_limited else "; name a page with --path"
        return [Skipped("DR114", f"GET {x.options.path} was answered with {x.home.status}{remedy}")]
    foreign = await x.asker.ask(x.options.path, headers=[("origin", EVIL)])
    route = None if x.options.behind_proxy else await _route(x)
    x.score = score(
        Page(
            host=x.asker.name,
            headers=x.home.headers,
            body=x.home.text,
            cors_origin=EVIL,
            cors_headers=foreign.headers,
            route=route,
        )
    )
    if x.score.points >= ENOUGH_FOR_BONUSES:
        return []
    lost = [f"{result} {modifier}" for result, modifier in x.score.results.values() if modifier < 0]
    return [
        Finding(
            "DR114",
            "warning",
            f"the page scores {x.score.points} of 100 by the Observatory's rules: {x.score.grade}",
            ", ".join(lost),
            "Each of these takes a protection away that browsers have.",
            cure(x, x.score.results),
        )
    ]


async def _route(x: Examination) -> list[str]:
    address = f"http://{x.asker.host}{x.options.path}"
    route = [address]
    for _ in range(_HOPS):
        parts = urlsplit(address)
        if parts.hostname != x.asker.name.lower() or parts.scheme not in {"http", "https"}:
            break
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        answer = await x.asker.ask(target, scheme=parts.scheme)
        location = answer.header("location")
        if not (300 <= answer.status < 400 and location):
            break
        address = urljoin(address, location)
        if address in route:
            break
        route.append(address)
    return route


async def check_cookies(x: Examination) -> Said:
    """Look at the cookies that the page sets."""
    lacking: list[str] = []
    for line in x.home.all("set-cookie")[:20]:
        pair, *attributes = line.split(";")
        name = pair.partition("=")[0].strip()
        given = {attribute.partition("=")[0].strip().lower() for attribute in attributes}
        missing = [word for word in ("Secure", "HttpOnly", "SameSite") if word.lower() not in given]
        if "csrf" in name.lower() or "xsrf" in name.lower():  # a script has to read it, and send it back
            missing = [word for word in missing if word != "HttpOnly"]
        if missing:
            lacking.append(f"{shown(name)} has no {', no '.join(missing)}")
    if not lacking:
        return []
    return [
        Finding(
            "DR113",
            "warning",
            "cookies lack flags" if len(lacking) > 1 else "a cookie lacks flags",
            "; ".join(lacking),
            "Without Secure it is sent in the clear, without HttpOnly scripts read it, without SameSite other sites "
            "have it sent along.",
            'Guard(app, security_headers=SecurityHeaders(cookies="fix")), or set them where it is made',
        )
    ]


async def check_telling(x: Examination) -> Said:
    """Look what the application says of itself."""
    told = [(name, value) for name, value in x.home.headers if name in _TELLING or (name == "server" and value)]
    if not told:
        return []
    names = ", ".join(f'"{name}"' for name in dict.fromkeys(name for name, _ in told))
    return [
        Finding(
            "DR109",
            "note",
            "answers say what they are made with",
            shown("; ".join(f"{name}: {value}" for name, value in told)),
            "Whoever looks for a version with a known hole finds this one.",
            f"Guard(app, security_headers=SecurityHeaders(remove=[{names}]))",
        )
    ]
