"""Names: what guards, stores and policies count, as one table; HTTP itself is in `asgi_guard.telemetry.semconv`.

Names are modelled on `aspnetcore.*`, which OpenTelemetry declares stable; units are UCUM's.
Must never have an attribute that a client writes, such as an address, a path, a key or a user agent: what names a
policy or a circuit stands in the program, and all other values are words of this package.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.monitor.metric import Kind, Metric

RATE_LIMIT_REQUESTS: Final = Metric(
    "asgi_guard.rate_limit.requests",
    "{request}",
    "Number of requests, and of messages, that a policy of the rate limit has decided.",
    Kind.COUNTER,
    ("asgi_guard.rate_limit.policy", "asgi_guard.rate_limit.result", "asgi_guard.rate_limit.backend"),
)

RATE_LIMIT_CHECK_DURATION: Final = Metric(
    "asgi_guard.rate_limit.check.duration",
    "s",
    "Duration of asking a store that has to be waited for, under all policies of a request together.",
    Kind.HISTOGRAM,
    ("asgi_guard.rate_limit.backend",),
    (0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)

RATE_LIMIT_DEGRADED: Final = Metric(
    "asgi_guard.rate_limit.degraded",
    "{request}",
    "Number of hits that were decided without the store, which was away.",
    Kind.COUNTER,
    ("asgi_guard.rate_limit.on_failure",),
)

VALIDATION_FINDINGS: Final = Metric(
    "asgi_guard.validation.findings",
    "{finding}",
    "Number of values in which the validation has seen an attack, by its gravest class.",
    Kind.COUNTER,
    ("asgi_guard.validation.rule", "asgi_guard.validation.location", "asgi_guard.validation.action"),
)

VALIDATION_LIMITS: Final = Metric(
    "asgi_guard.validation.limits",
    "{request}",
    "Number of requests that go on beyond what the validation looks at.",
    Kind.COUNTER,
    ("asgi_guard.validation.limit", "asgi_guard.validation.action"),
)

IP_FILTER_REQUESTS: Final = Metric(
    "asgi_guard.ip_filter.requests",
    "{request}",
    "Number of requests that the IP filter has judged.",
    Kind.COUNTER,
    ("asgi_guard.ip_filter.result",),
)

BANS: Final = Metric(
    "asgi_guard.ip_filter.bans",
    "{ban}",
    "Number of bans that were imposed.",
    Kind.COUNTER,
)

REQUEST_LIMITS_REJECTIONS: Final = Metric(
    "asgi_guard.request_limits.rejections",
    "{request}",
    "Number of requests that were over a limit.",
    Kind.COUNTER,
    ("asgi_guard.request_limits.limit",),
)

FORWARDING_IGNORED: Final = Metric(
    "asgi_guard.client_address.forwarding_ignored",
    "{request}",
    "Number of requests whose forwarding header came from no trusted proxy.",
    Kind.COUNTER,
    ("asgi_guard.client_address.header",),
)

BREAKER_STATE: Final = Metric(
    "asgi_guard.circuit_breaker.state",
    "{circuit}",
    "Number of circuits that are in a state: 0 or 1 in each process, for those that have been called.",
    Kind.UP_DOWN,
    ("asgi_guard.circuit_breaker.name", "asgi_guard.circuit_breaker.state"),
)

BREAKER_TRANSITIONS: Final = Metric(
    "asgi_guard.circuit_breaker.transitions",
    "{transition}",
    "Number of times that a circuit has changed its state.",
    Kind.COUNTER,
    ("asgi_guard.circuit_breaker.name", "asgi_guard.circuit_breaker.from", "asgi_guard.circuit_breaker.to"),
)

BREAKER_CALLS: Final = Metric(
    "asgi_guard.circuit_breaker.calls",
    "{call}",
    "Number of calls through a circuit.",
    Kind.COUNTER,
    ("asgi_guard.circuit_breaker.name", "asgi_guard.circuit_breaker.result"),
)

RETRY_ATTEMPTS: Final = Metric(
    "asgi_guard.retry.attempts",
    "{attempt}",
    "Number of attempts, each with what came of it.",
    Kind.COUNTER,
    ("asgi_guard.retry.name", "asgi_guard.retry.result"),
)

BULKHEAD_REJECTIONS: Final = Metric(
    "asgi_guard.bulkhead.rejections",
    "{call}",
    "Number of calls that found no place.",
    Kind.COUNTER,
    ("asgi_guard.bulkhead.name",),
)

REDIS_BATCHES: Final = Metric(
    "asgi_guard.redis.batches",
    "{batch}",
    "Number of calls to Redis, each for whatever was asked at that time.",
    Kind.COUNTER,
    ("asgi_guard.redis.result",),
)

REDIS_OPERATIONS: Final = Metric(
    "asgi_guard.redis.operations",
    "{operation}",
    "Number of hits, and of other operations, that Redis was asked for in batches.",
    Kind.COUNTER,
)

REDIS_DENIALS: Final = Metric(
    "asgi_guard.redis.denials",
    "{request}",
    "Number of hits that were refused from memory, since Redis has refused them before.",
    Kind.COUNTER,
)

REDIS_LEASED: Final = Metric(
    "asgi_guard.redis.leased",
    "{hit}",
    "Number of hits that were counted in Redis in advance, and of those that were given back.",
    Kind.COUNTER,
    ("asgi_guard.redis.action",),
)

REDIS_LINKS: Final = Metric(
    "asgi_guard.redis.links",
    "{link}",
    "Number of links to Redis, one for each store and event loop, that are in a state.",
    Kind.UP_DOWN,
    ("asgi_guard.redis.state",),
)

REDIS_TRANSITIONS: Final = Metric(
    "asgi_guard.redis.transitions",
    "{transition}",
    "Number of times that Redis was lost, or was found again, as a link sees it.",
    Kind.COUNTER,
    ("asgi_guard.redis.from", "asgi_guard.redis.to"),
)

AUDIT_ENTRIES: Final = Metric(
    "asgi_guard.audit.entries",
    "{entry}",
    "Number of entries of audit logs: written, dropped since they found no place, or suppressed since there were many.",
    Kind.COUNTER,
    ("asgi_guard.audit.result",),
)
