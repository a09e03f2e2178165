"""Serve: the application that servers load; reading the environment is all that importing it does.

asgi-guard run reconciliation.serve:app --app-dir examples --workers 2
"""

from __future__ import annotations

from reconciliation.app import create_app

app = create_app()
