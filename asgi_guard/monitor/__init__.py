"""Monitor: what was counted, and what follows from it. Pure code: it knows no HTTP and no framework."""
