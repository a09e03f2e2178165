"""Webhook: alerts by signed POST requests to one address, tried again where that may help, behind a circuit breaker.

Standard: Standard Webhooks 1.0.0: one id a message, a timestamp and a signature an attempt; the body is a JSON object
of `type`, `timestamp` and `data`.
Rule 1: it never raises: what could not be told is logged and counted. It may wait for minutes, so it belongs in a
thread of its own, which `Sinks` gives it.
Rule 2: an attempt ends in time even if the other side sends a byte a second, and the body of an answer is never read.
Rule 3: no redirect is followed, and no proxy is asked: what is signed goes where the settings say, or nowhere.
Rule 4: neither the secret nor the path is ever shown; for many receivers the path is the secret.

| id    | rule that was broken                                                             |
|-------|----------------------------------------------------------------------------------|
| AG887 | a URL: `https://`, or `http://` to this machine; no user, no fragment            |
| AG889 | headers by name, at most 32, and none of those that the request has by itself    |
"""

from __future__ import annotations

import json
import logging
import ssl
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTP_PORT, HTTPS_PORT, HTTPConnection, HTTPException, HTTPSConnection
from random import random as random_number
from secrets import token_hex
from socket import SHUT_RDWR, create_connection, socket
from threading import Timer
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.errors.exceptions import ErrorCategory, GuardError
from asgi_guard.networks import is_loopback
from asgi_guard.resilience.breaker import CircuitBreaker
from asgi_guard.resilience.retry import Retry
from asgi_guard.settings import Problems
from asgi_guard.watch.alert_events import AlertEvent
from asgi_guard.watch.webhook_signature import ID, SIGNATURE, TIMESTAMP, key_of, signature, verify

__all__ = ["Webhook", "WebhookError", "verify"]

_logger: Final = logging.getLogger("asgi_guard.alerts")

_FIRST_BACKOFF_SECONDS: Final = 1.0
_LONGEST_BACKOFF_SECONDS: Final = 30.0
_MOST_HEADERS: Final = 32
_OWN: Final = frozenset(
    {"connection", "content-length", "content-type", "expect", "host", "transfer-encoding", ID, TIMESTAMP, SIGNATURE}
)
_WORTH_A_RETRY: Final = frozenset({408, 425, 429})
"""Beside those from 500 on: it was not the request that was wrong."""


class WebhookError(GuardError):
    """The other side of a webhook did not take a message."""

    message = "The webhook was not taken."
    error_code = "WEBHOOK_ERROR"
    category = ErrorCategory.EXTERNAL_SERVICE


class Webhook:
    """Tells alerts to one address; a sink.

    Args:
        url: where to; `https://`, or `http://` to this machine.
        secret: what the receiver checks the signature with: `whsec_` and base64, or text or bytes; at least 24 bytes.
        timeout_seconds: for each attempt, 0.1 to 60; and as much again to connect.
        max_attempts: of a message, 1 to 10; between them it waits at random, at most 1 s, 2 s, 4 s and so on, or for as
            long as a `Retry-After` says, up to a minute.
        headers: more headers by name, such as `Authorization`; never shown.
        dangerously_allow_plain_http: let `http://` go to other machines: whoever sits on the way reads every alert.
        clock: tells the time.
        random: returns a number from 0 up to 1.
        sleep: waits for so many seconds.

    Attributes:
        delivered: the messages that were taken.
        failed: the messages that were given up.

    Raises:
        ConfigError: a value is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | bytes,
        timeout_seconds: float = 5,
        max_attempts: int = 4,
        headers: Mapping[str, str] | None = None,
        dangerously_allow_plain_http: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        random: Callable[[], float] = random_number,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        problems = Problems("Webhook", secrets={"url", "secret", "headers"})
        is_plain_allowed = (
            problems.boolean("dangerously_allow_plain_http", dangerously_allow_plain_http)
            and dangerously_allow_plain_http
        )
        parts = _parts(problems, url, is_plain_allowed)
        self._key = key_of(problems, secret)
        problems.number("timeout_seconds", timeout_seconds, minimum=0.1, maximum=60)
        problems.integer("max_attempts", max_attempts, minimum=1, maximum=10)
        _check_headers(problems, headers)
        problems.raise_if_any()
        self.delivered: int = 0
        self.failed: int = 0
        self._host = parts.hostname or ""
        self._is_plain = parts.scheme == "http"
        self._port = parts.port or (HTTP_PORT if self._is_plain else HTTPS_PORT)  # else one is looked for in ::1
        self._target = f"{parts.path or '/'}{parts.query and '?'}{parts.query}"
        self._timeout = timeout_seconds
        self._headers = {
            "user-agent": f"asgi-guard/{sys.modules['asgi_guard'].__version__}",
            **(headers or {}),
            "content-type": "application/json",
        }
        self._clock = clock
        name = f"webhook {self._host}"[:128]
        retry = Retry(
            max_attempts - 1,
            base=_FIRST_BACKOFF_SECONDS,
            cap=_LONGEST_BACKOFF_SECONDS,
            budget=None,  # there are so few messages that each is worth all of its attempts
            name=name,
            clock=clock,
            random=random,
            sleep=sleep,
        )
        self._send = retry.wrapped(CircuitBreaker(name, clock=clock).wrapped(self._attempt))

    def __call__(self, event: AlertEvent) -> None:
        """Tell an alert; return when it was taken or given up."""
        body = json.dumps(_payload(event), separators=(",", ":"), allow_nan=False).encode()
        try:
            self._send(f"msg_{token_hex(16)}", body)
        except Exception as exc:  # noqa: BLE001  see rule 1
            self.failed += 1
            _logger.warning("the webhook at %s was not told of the alert %s: %s", self._host, event.name, exc)
        else:
            self.delivered += 1

    def __repr__(self) -> str:
        return f"Webhook({'http' if self._is_plain else 'https'}://{self._host}/...)"

    def _attempt(self, message_id: str, body: bytes) -> None:
        """Try once.

        Raises:
            WebhookError: it was not taken.
        """
        now = int(self._clock.time())
        signed = {ID: message_id, TIMESTAMP: str(now), SIGNATURE: signature(self._key, message_id, now, body)}
        try:
            status, after = self._post({**self._headers, **signed}, body)
        except (OSError, HTTPException) as exc:
            is_hopeless = isinstance(exc, ssl.SSLCertVerificationError)
            raise WebhookError(f"{type(exc).__name__} on the way", retryable=not is_hopeless) from exc
        if 200 <= status < 300:
            return
        raise WebhookError(
            f"it answered with the status {status}",
            retryable=status >= 500 or status in _WORTH_A_RETRY,
            retry_after=_seconds(after, self._clock.time()),
            status=status if status >= 400 else None,
        )

    def _post(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None]:
        kind = HTTPConnection if self._is_plain else HTTPSConnection
        connection = kind(self._host, self._port, timeout=self._timeout)
        with closing(connection):
            plain = create_connection((self._host, connection.port), self._timeout)
            with _cut_off_after(self._timeout, plain):
                connection.sock = plain if self._is_plain else self._encrypted(plain)
                connection.request("POST", self._target, body, headers)
                response = connection.getresponse()
                return response.status, response.getheader("retry-after")

    def _encrypted(self, plain: socket) -> ssl.SSLSocket:
        context = ssl.create_default_context()  # made anew, so that certificates may change while this lives
        return context.wrap_socket(plain, server_hostname=self._host)


@contextmanager
def _cut_off_after(seconds: float, connected: socket) -> Generator[None]:
    """End a connection in time: its own timeout begins anew with each byte that comes."""
    with connected.dup() as same:  # which TLS does not take over

        def cut_off() -> None:
            with suppress(OSError):  # the other side was faster
                same.shutdown(SHUT_RDWR)

        timer = Timer(seconds, cut_off)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _payload(event: AlertEvent) -> dict[str, Any]:
    happened = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds")
    return {"type": event.kind, "timestamp": happened.replace("+00:00", "Z"), "data": event.facts()}


def _seconds(after: str | None, now: float) -> float | None:
    """Read a `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date."""
    if after is None:
        return None
    if after.isascii() and after.isdigit():
        return float(after[:9])
    try:
        date = parsedate_to_datetime(after)
        return max(date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):  # no date, or one of a year that there is none of
        return None


def _parts(problems: Problems, url: Any, is_plain_allowed: bool) -> SplitResult:
    rule = "must be an https:// URL, or an http:// URL of this machine, without user and fragment"
    remedy = 'Write "https://hooks.example.com/alerts", say; put credentials into headers=.'
    parts = urlsplit("")
    if not problems.text("url", url, max_length=2_048):
        return parts
    host = port = None
    with suppress(ValueError):  # then there is no host
        parts = urlsplit(str(url))
        host, port = parts.hostname, parts.port
    if (
        not host
        or port == 0
        or parts.scheme not in {"http", "https"}
        or "@" in parts.netloc
        or "#" in url
        or " " in url
    ):
        problems.add("AG887", "url", url, rule, remedy)
    elif parts.scheme == "http" and not is_plain_allowed and host != "localhost" and not is_loopback(host):
        remedy = "Use https://: whoever sits on the way reads http://; or set dangerously_allow_plain_http=True."
        problems.add("AG887", "url", url, rule, remedy)
    return parts


def _check_headers(problems: Problems, headers: Mapping[str, str] | None) -> None:
    given: dict[Any, Any] = dict(headers) if isinstance(headers, Mapping) else {}
    if (headers is not None and not isinstance(headers, Mapping)) or len(given) > _MOST_HEADERS:
        remedy = 'Write {"Authorization": "Bearer ..."}, say.'
        problems.add("AG889", "headers", headers, f"must be at most {_MOST_HEADERS} headers by name", remedy)
        return
    for index, (name, value) in enumerate(given.items()):
        field = f"headers[{index}]"
        if problems.header_name(field, name) and name.lower() in _OWN:
            problems.add("AG889", field, name, "must not be a header that the request has by itself", "Leave it out.")
        problems.header_value(field, value)
