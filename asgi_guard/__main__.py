"""`python -m asgi_guard` is the command `asgi-guard`. Must never do anything else."""

from __future__ import annotations

import sys

from asgi_guard.cli import main

sys.exit(main())
