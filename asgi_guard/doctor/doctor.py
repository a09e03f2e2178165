"""The doctor: every check of one application, in process and with its lifespan on.

Must never leave the application running, and must never end without a report because one check could not be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from asgi_guard.doctor import (
    checks_access,
    checks_limits,
    checks_page,
    checks_server,
    checks_settings,
    checks_stores,
)
from asgi_guard.doctor.ask import Asker, Clients, StartupError, alive
from asgi_guard.doctor.chain import chain_of
from asgi_guard.doctor.examination import (
    Check,
    Examination,
    Options,
    Said,
    made,
    usual_client,
    usual_host,
    usual_peer,
)
from asgi_guard.doctor.finding import Finding, Skipped, split
from asgi_guard.doctor.observatory import Score
from asgi_guard.doctor.quiet import quiet
from asgi_guard.engine.types import ASGIApp

_CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("DR001", checks_settings.check_guard),
    ("DR003", checks_settings.check_dangers),
    ("DR004", checks_settings.check_validation),
    ("DR005", checks_settings.check_audit),
    ("DR006", checks_settings.check_debug),
    ("DR007", checks_settings.check_workers),
    ("DR009", checks_settings.check_trust),
    ("DR011", checks_stores.check_away),
    ("DR015", checks_stores.check_stores),
    ("DR012", checks_settings.check_file),
    ("DR013", checks_settings.check_endpoints),
    ("DR101", checks_page.check_way),
    ("DR103", checks_access.check_cors),
    ("DR105", checks_limits.check_body),
    ("DR106", checks_limits.check_head),
    ("DR108", checks_limits.check_errors),
    ("DR109", checks_page.check_telling),
    ("DR110", checks_access.check_host),
    ("DR111", checks_access.check_documentation),
    ("DR112", checks_access.check_endpoints_open),
    ("DR113", checks_page.check_cookies),
    ("DR114", checks_page.check_score),
    ("DR115", checks_access.check_forwarded),
    ("DR201", checks_server.check_server),
    ("DR104", checks_limits.check_rate),
    ("DR014", checks_settings.check_limits),  # after those that tell what is not limited
)


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor has to say.

    Attributes:
        findings: the gravest first.
        skipped: the checks that could not be made.
        score: of the page; None where there was none to score.
        server: the name of the server that serves.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    score: Score | None
    server: str


async def examine(app: ASGIApp, options: Options) -> Report:
    """Examine an application.

    Args:
        app: the application, as a server would get it.
        options: what is known of where it is served.

    Raises:
        StartupError: it cannot start, or does not answer.
    """
    async with alive(app) as state:
        chain = chain_of(app)
        peer = usual_peer(chain) if options.behind_proxy else None
        host = options.host or usual_host(chain)
        asker = Asker(app, host, Clients(usual_client(chain)), peer=peer, state=state)
        home = await asker.ask(options.path)
        if not home.status:
            raise StartupError(f"GET {options.path} was not answered: {home.raised}; name another page with --path")
        x = Examination(options=options, chain=chain_of(app), asker=asker, home=home)  # some build theirs when asked
        said: Said = []
        with quiet():
            for check, run in _CHECKS:
                told = await made(check, run, x)
                x.found |= {one.check for one in told if isinstance(one, Finding)}
                said += told
    findings, skipped = split(said)
    return Report(tuple(findings), tuple(skipped), x.score, options.server.name)
