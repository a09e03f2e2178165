"""The scripts here import each other by name, by their folder: `python -m benchmarks.NAME` finds them here as well."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
