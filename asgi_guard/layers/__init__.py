"""Protections, one file each: its settings, its layer, its middleware. None imports another."""
