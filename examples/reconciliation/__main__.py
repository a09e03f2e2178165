"""One command: `python -m reconciliation`, in the folder `examples`, starts all of it, and Ctrl-C ends it.

    python -m reconciliation                        two users, whose tokens it prints once, and the advisor's stand-in
    python -m reconciliation --port 8000 --workers 2
    python -m reconciliation token ann clerk        a token, and what stands for it in RECONCILIATION_USERS

What the environment says wins. Rule 1: it starts two processes, and leaves none behind.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from reconciliation.settings import PREFIX, Settings
from reconciliation.users import new_user

EXAMPLES = str(Path(__file__).parents[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m reconciliation", description="Serve the reconciliation service.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="the next one is the advisor's (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="how many processes serve (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", metavar="")
    token = commands.add_parser("token", help="make a token for a user")
    token.add_argument("name")
    token.add_argument("role", choices=("clerk", "auditor"))
    options = parser.parse_args(arguments)
    if options.command == "token":
        shown, kept = new_user(options.name, options.role)
        print(f"token: {shown}\n{PREFIX}USERS={kept}")
        return 0
    return serve(options.host, options.port, options.workers)


def serve(host: str, port: int, workers: int) -> int:
    """Start the advisor's stand-in, where there is no other, and the service; wait until that ends."""
    environ = dict(os.environ)
    path = os.pathsep.join(filter(None, [EXAMPLES, environ.get("PYTHONPATH")]))
    environ["PYTHONPATH"] = path
    folder = Settings.from_env(environ).folder
    if not environ.get(f"{PREFIX}USERS"):
        environ[f"{PREFIX}USERS"] = _users_of(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # ends as Ctrl-C does: with the processes
    started: list[subprocess.Popen[bytes]] = []
    try:
        if not environ.get(f"{PREFIX}AI_URL"):
            environ[f"{PREFIX}AI_URL"] = f"http://127.0.0.1:{port + 1}"
            stand_in = ("uvicorn", "reconciliation.ai_stand_in:app", "--port", str(port + 1), "--log-level", "warning")
            started.append(_start(environ, *stand_in))
        where = ("--host", host, "--port", str(port), "--workers", str(workers))
        service = ("asgi_guard", "run", "reconciliation.serve:app", "--app-dir", EXAMPLES, *where)
        started.append(_start(environ, *service))
        return started[-1].wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait()


def _start(environ: dict[str, str], *module: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *module], env=environ)


def _users_of(folder: Path) -> str:
    """Return the users of the last time; the first time, make a clerk and an auditor, and print their tokens."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / "users"
    if kept.exists():
        print(f"the users of {kept}; `token NAME ROLE` makes another one, for {PREFIX}USERS", flush=True)
    else:
        made = {name: new_user(name, role) for name, role in (("ann", "clerk"), ("eve", "auditor"))}
        for name, (token, _) in made.items():
            print(f"the token of {name}, which is not shown again: {token}", flush=True)
        kept.touch(mode=0o600)
        kept.write_text(",".join(line for _, line in made.values()), encoding="utf-8")
    return kept.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    sys.exit(main())
