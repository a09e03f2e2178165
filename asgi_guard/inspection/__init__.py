"""Inspection: whether a value is an attack. Pure code: it knows no HTTP, no clock and no randomness."""
