"""Telemetry: what was counted, told outside: routes, names, text and OpenTelemetry."""
