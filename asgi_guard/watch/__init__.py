"""Watch: what looks at all that the monitor has counted: summary, alerts, system metrics and the dashboard."""
