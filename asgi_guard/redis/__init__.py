"""Redis, as far as nobody has to know what for: where it is, scripts, and what is published. It knows no limits."""
