"""Sampling: keep errors and slow requests, whatever share of all requests is sampled.

    TracerProvider(sampler=KeepErrors(ParentBased(TraceIdRatioBased(0.01))))

A sampler decides before a request has begun. So this one is asked a second time, once the request has failed or was
slow: by the telemetry, with an attribute that says so. What the request itself has started meanwhile stays dropped.
Must never be asked for anything by a name that a client can write: attributes of a span's start come from us alone.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from asgi_guard.telemetry.spans import KEPT


class KeepErrors(Sampler):
    """Sample what another sampler samples, and what the telemetry asks to keep.

    Args:
        sampler: the one to ask first.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler: Sampler = sampler

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> SamplingResult:
        """Decide about one span; see `Sampler.should_sample`."""
        attributes = kwargs.get("attributes") or (args[1] if len(args) > 1 else None)
        if attributes and KEPT in attributes:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self.sampler.should_sample(parent_context, trace_id, name, *args, **kwargs)

    def get_description(self) -> str:
        """Describe it, for whoever prints the settings."""
        return f"KeepErrors({self.sampler.get_description()})"
