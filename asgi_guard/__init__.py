"""Protection for any ASGI application in one line; the public names, loaded when they are used.

Must never import more than this file at import: the names are looked up in their homes when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asgi_guard.audit.log import AuditLog
    from asgi_guard.bans import BanAfter, Bans, ClientBanned
    from asgi_guard.correlation import RequestIDFilter, add_request_id, current_request_id, current_trace_id
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.engine.fuse import Middleware
    from asgi_guard.engine.layer import Layer
    from asgi_guard.engine.replies import Reply
    from asgi_guard.errors.exceptions import (
        ConfigError,
        ErrorCategory,
        ErrorSeverity,
        GuardError,
        MissingExtraError,
        NoResponseError,
        StoreError,
    )
    from asgi_guard.errors.problem import Fault
    from asgi_guard.errors.ready import (
        AuthenticationError,
        AuthorizationError,
        BusinessLogicError,
        CacheError,
        ConfigurationError,
        ConflictError,
        DatabaseError,
        ExternalServiceError,
        NetworkError,
        NotFoundError,
        OperationTimeoutError,
        RateLimitError,
        ValidationError,
    )
    from asgi_guard.events import ErrorAnswered, Event, Listener, RequestAllowed, RequestRefused, RequestWouldBeRefused
    from asgi_guard.guard import Guard
    from asgi_guard.handler import ErrorHandler, error_handler
    from asgi_guard.inspection.events import AttackFound, LimitCrossed
    from asgi_guard.inspection.policy import Exclusion
    from asgi_guard.inspection.rule import Rule
    from asgi_guard.inspection.settings import Validation
    from asgi_guard.layers.audit import Audit, AuditMiddleware
    from asgi_guard.layers.client_address import ClientAddress, ClientAddressMiddleware, ForwardingIgnored
    from asgi_guard.layers.cors import CORS, CORSMiddleware
    from asgi_guard.layers.endpoints import Endpoints, EndpointsMiddleware
    from asgi_guard.layers.error_envelope import ErrorEnvelope, ErrorEnvelopeMiddleware
    from asgi_guard.layers.fetch_metadata import FetchMetadata, FetchMetadataMiddleware
    from asgi_guard.layers.https import HTTPS, HTTPSMiddleware
    from asgi_guard.layers.ip_filter import IPFilter, IPFilterMiddleware
    from asgi_guard.layers.rate_limit import RateLimit, RateLimitMiddleware
    from asgi_guard.layers.request_id import RequestID, RequestIDMiddleware
    from asgi_guard.layers.request_limits import RequestLimits, RequestLimitsMiddleware
    from asgi_guard.layers.security_headers import SecurityHeaders, SecurityHeadersMiddleware, clear_site_data
    from asgi_guard.layers.telemetry import Telemetry, TelemetryMiddleware
    from asgi_guard.layers.trusted_host import TrustedHost, TrustedHostMiddleware
    from asgi_guard.layers.validation import ValidationMiddleware
    from asgi_guard.limiting.events import RateLimitDecided
    from asgi_guard.limiting.keys import by_client, by_header, client_key
    from asgi_guard.limiting.limits_adapter import LimitsStore
    from asgi_guard.limiting.memory import MemoryStore
    from asgi_guard.limiting.rate import parse_rate
    from asgi_guard.limiting.redis import RedisStore
    from asgi_guard.monitor.health import HealthCheck
    from asgi_guard.presets import SecurityMiddleware
    from asgi_guard.resilience.events import CircuitChanged
    from asgi_guard.telemetry.access_log import AccessLog
    from asgi_guard.watch.alert_events import AlertCleared, AlertFired
    from asgi_guard.watch.alert_settings import Alert
    from asgi_guard.watch.otel_alerts import OTelAlerts
    from asgi_guard.watch.performance import PerformanceMonitor, PerformanceTracker, performance_monitor
    from asgi_guard.watch.settings import Monitor
    from asgi_guard.watch.slo import SLO
    from asgi_guard.watch.webhook import Webhook

__version__ = "0.1.0"

_HOME: dict[str, str] = {
    "AccessLog": "asgi_guard.telemetry.access_log",
    "Alert": "asgi_guard.watch.alert_settings",
    "AlertCleared": "asgi_guard.watch.alert_events",
    "AlertFired": "asgi_guard.watch.alert_events",
    "AttackFound": "asgi_guard.inspection.events",
    "AuthenticationError": "asgi_guard.errors.ready",
    "AuthorizationError": "asgi_guard.errors.ready",
    "Audit": "asgi_guard.layers.audit",
    "AuditLog": "asgi_guard.audit.log",
    "AuditMiddleware": "asgi_guard.layers.audit",
    "BanAfter": "asgi_guard.bans",
    "Bans": "asgi_guard.bans",
    "BusinessLogicError": "asgi_guard.errors.ready",
    "CORS": "asgi_guard.layers.cors",
    "CORSMiddleware": "asgi_guard.layers.cors",
    "CacheError": "asgi_guard.errors.ready",
    "CircuitChanged": "asgi_guard.resilience.events",
    "ClientAddress": "asgi_guard.layers.client_address",
    "ClientAddressMiddleware": "asgi_guard.layers.client_address",
    "ClientBanned": "asgi_guard.bans",
    "ConfigError": "asgi_guard.errors.exceptions",
    "ConfigurationError": "asgi_guard.errors.ready",
    "ConflictError": "asgi_guard.errors.ready",
    "DatabaseError": "asgi_guard.errors.ready",
    "Endpoints": "asgi_guard.layers.endpoints",
    "EndpointsMiddleware": "asgi_guard.layers.endpoints",
    "ErrorAnswered": "asgi_guard.events",
    "ErrorCategory": "asgi_guard.errors.exceptions",
    "ErrorEnvelope": "asgi_guard.layers.error_envelope",
    "ErrorEnvelopeMiddleware": "asgi_guard.layers.error_envelope",
    "ErrorHandler": "asgi_guard.handler",
    "ErrorSeverity": "asgi_guard.errors.exceptions",
    "Event": "asgi_guard.events",
    "Exchange": "asgi_guard.engine.exchange",
    "Exclusion": "asgi_guard.inspection.policy",
    "ExternalServiceError": "asgi_guard.errors.ready",
    "Fault": "asgi_guard.errors.problem",
    "FetchMetadata": "asgi_guard.layers.fetch_metadata",
    "FetchMetadataMiddleware": "asgi_guard.layers.fetch_metadata",
    "ForwardingIgnored": "asgi_guard.layers.client_address",
    "Guard": "asgi_guard.guard",
    "GuardError": "asgi_guard.errors.exceptions",
    "HTTPS": "asgi_guard.layers.https",
    "HTTPSMiddleware": "asgi_guard.layers.https",
    "HealthCheck": "asgi_guard.monitor.health",
    "IPFilter": "asgi_guard.layers.ip_filter",
    "IPFilterMiddleware": "asgi_guard.layers.ip_filter",
    "Layer": "asgi_guard.engine.layer",
    "LimitCrossed": "asgi_guard.inspection.events",
    "LimitsStore": "asgi_guard.limiting.limits_adapter",
    "Listener": "asgi_guard.events",
    "MemoryStore": "asgi_guard.limiting.memory",
    "Middleware": "asgi_guard.engine.fuse",
    "MissingExtraError": "asgi_guard.errors.exceptions",
    "Monitor": "asgi_guard.watch.settings",
    "NetworkError": "asgi_guard.errors.ready",
    "NoResponseError": "asgi_guard.errors.exceptions",
    "NotFoundError": "asgi_guard.errors.ready",
    "OTelAlerts": "asgi_guard.watch.otel_alerts",
    "OperationTimeoutError": "asgi_guard.errors.ready",
    "PerformanceMonitor": "asgi_guard.watch.performance",
    "PerformanceTracker": "asgi_guard.watch.performance",
    "RateLimit": "asgi_guard.layers.rate_limit",
    "RateLimitDecided": "asgi_guard.limiting.events",
    "RateLimitError": "asgi_guard.errors.ready",
    "RateLimitMiddleware": "asgi_guard.layers.rate_limit",
    "RedisStore": "asgi_guard.limiting.redis",
    "Reply": "asgi_guard.engine.replies",
    "RequestAllowed": "asgi_guard.events",
    "RequestID": "asgi_guard.layers.request_id",
    "RequestIDFilter": "asgi_guard.correlation",
    "RequestIDMiddleware": "asgi_guard.layers.request_id",
    "RequestLimits": "asgi_guard.layers.request_limits",
    "RequestLimitsMiddleware": "asgi_guard.layers.request_limits",
    "RequestRefused": "asgi_guard.events",
    "RequestWouldBeRefused": "asgi_guard.events",
    "Rule": "asgi_guard.inspection.rule",
    "SLO": "asgi_guard.watch.slo",
    "SecurityHeaders": "asgi_guard.layers.security_headers",
    "SecurityHeadersMiddleware": "asgi_guard.layers.security_headers",
    "SecurityMiddleware": "asgi_guard.presets",
    "StoreError": "asgi_guard.errors.exceptions",
    "Telemetry": "asgi_guard.layers.telemetry",
    "TelemetryMiddleware": "asgi_guard.layers.telemetry",
    "TrustedHost": "asgi_guard.layers.trusted_host",
    "TrustedHostMiddleware": "asgi_guard.layers.trusted_host",
    "Validation": "asgi_guard.inspection.settings",
    "ValidationError": "asgi_guard.errors.ready",
    "ValidationMiddleware": "asgi_guard.layers.validation",
    "Webhook": "asgi_guard.watch.webhook",
    "add_request_id": "asgi_guard.correlation",
    "by_client": "asgi_guard.limiting.keys",
    "by_header": "asgi_guard.limiting.keys",
    "clear_site_data": "asgi_guard.layers.security_headers",
    "client_key": "asgi_guard.limiting.keys",
    "current_request_id": "asgi_guard.correlation",
    "current_trace_id": "asgi_guard.correlation",
    "error_handler": "asgi_guard.handler",
    "parse_rate": "asgi_guard.limiting.rate",
    "performance_monitor": "asgi_guard.watch.performance",
}

__all__ = [
    "CORS",
    "HTTPS",
    "SLO",
    "AccessLog",
    "Alert",
    "AlertCleared",
    "AlertFired",
    "AttackFound",
    "Audit",
    "AuditLog",
    "AuditMiddleware",
    "AuthenticationError",
    "AuthorizationError",
    "BanAfter",
    "Bans",
    "BusinessLogicError",
    "CORSMiddleware",
    "CacheError",
    "CircuitChanged",
    "ClientAddress",
    "ClientAddressMiddleware",
    "ClientBanned",
    "ConfigError",
    "ConfigurationError",
    "ConflictError",
    "DatabaseError",
    "Endpoints",
    "EndpointsMiddleware",
    "ErrorAnswered",
    "ErrorCategory",
    "ErrorEnvelope",
    "ErrorEnvelopeMiddleware",
    "ErrorHandler",
    "ErrorSeverity",
    "Event",
    "Exchange",
    "Exclusion",
    "ExternalServiceError",
    "Fault",
    "FetchMetadata",
    "FetchMetadataMiddleware",
    "ForwardingIgnored",
    "Guard",
    "GuardError",
    "HTTPSMiddleware",
    "HealthCheck",
    "IPFilter",
    "IPFilterMiddleware",
    "Layer",
    "LimitCrossed",
    "LimitsStore",
    "Listener",
    "MemoryStore",
    "Middleware",
    "MissingExtraError",
    "Monitor",
    "NetworkError",
    "NoResponseError",
    "NotFoundError",
    "OTelAlerts",
    "OperationTimeoutError",
    "PerformanceMonitor",
    "PerformanceTracker",
    "RateLimit",
    "RateLimitDecided",
    "RateLimitError",
    "RateLimitMiddleware",
    "RedisStore",
    "Reply",
    "RequestAllowed",
    "RequestID",
    "RequestIDFilter",
    "RequestIDMiddleware",
    "RequestLimits",
    "RequestLimitsMiddleware",
    "RequestRefused",
    "RequestWouldBeRefused",
    "Rule",
    "SecurityHeaders",
    "SecurityHeadersMiddleware",
    "SecurityMiddleware",
    "StoreError",
    "Telemetry",
    "TelemetryMiddleware",
    "TrustedHost",
    "TrustedHostMiddleware",
    "Validation",
    "ValidationError",
    "ValidationMiddleware",
    "Webhook",
    "__version__",
    "add_request_id",
    "by_client",
    "by_header",
    "clear_site_data",
    "client_key",
    "current_request_id",
    "current_trace_id",
    "error_handler",
    "parse_rate",
    "performance_monitor",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
