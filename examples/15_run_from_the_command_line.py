"""From the command line: an application behind the guard, without a line of its code changed.

`asgi-guard run shop:app --config guard.toml` checks the file and the application, and becomes the server: uvicorn,
hypercorn, granian, gunicorn or daphne, whichever is installed, or the one that `--server` names. SIGHUP reads the file
again, and keeps connections and counts. To start a server by hand, name the application in the environment:

    ASGI_GUARD_APP=shop:app ASGI_GUARD_CONFIG=guard.toml uvicorn --no-proxy-headers asgi_guard.wrap:app

Run: pip install 'asgi-guard[server,httpx]'; python examples/15_run_from_the_command_line.py

Expect:
    a slip of the pen: rate_limt is not a field. Did you mean 'rate_limit'?
    statuses: 200 200 429
    each answer has an id of its own: True
"""

import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

SHOP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
options = ["--config", "guard.toml", "--server", "uvicorn", "--port", str(port)]
run = [sys.executable, "-m", "asgi_guard", "run", "shop:app", *options, "--server-options=--no-access-log"]

with TemporaryDirectory() as folder:
    Path(folder, "shop.py").write_text(SHOP)

    Path(folder, "guard.toml").write_text('rate_limt = "2/minute"')
    wrong = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
    print("a slip of the pen:", wrong.stderr.partition("AG110 ")[2].strip())

    Path(folder, "guard.toml").write_text('rate_limit = "2/minute"')
    with subprocess.Popen(run, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        while "running on" not in server.stderr.readline():
            assert server.poll() is None
        answers = [httpx.get(f"http://127.0.0.1:{port}/") for _ in range(3)]
        server.terminate()
    print("statuses:", *[answer.status_code for answer in answers])
    print("each answer has an id of its own:", len({answer.headers["X-Request-ID"] for answer in answers}) == 3)
