"""Serving without touching the code: what stands behind `asgi-guard run` and `asgi_guard.wrap:app`.

| file             | what it does                                                                        |
|------------------|-------------------------------------------------------------------------------------|
| `command.py`     | `asgi-guard run`: checks everything that can be checked, then becomes the server    |
| `servers.py`     | the servers: how each one is started, and what it cannot do                         |
| `application.py` | finds the application by its name                                                   |
| `guarded.py`     | builds the guard that the environment describes                                     |
| `reload.py`      | SIGHUP in a process that serves: the guard is reconfigured                          |
| `master.py`      | SIGHUP in a process whose workers serve: they are replaced, if the file is right    |

Must never import a server: a server is started as its own command is, by `python -m`.
"""

from __future__ import annotations
