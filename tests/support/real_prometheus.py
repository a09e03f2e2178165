"""A real Prometheus, in a process of its own, that scrapes a port of this machine."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from served import free_port
from shop_under_run import TOKEN


class Prometheus:
    """A Prometheus that scrapes a port of this machine every second, and shows the token.

    Args:
        folder: where its files go.
        target: the port.
    """

    def __init__(self, folder: Path, target: int) -> None:
        scrape = {
            "job_name": "shop",
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "authorization": {"credentials": TOKEN},
            "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}), encoding="utf-8")
        self._port = free_port()
        options = [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{self._port}"]
        with (folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["prometheus", "--config.file=prometheus.yml", "--enable-feature=exemplar-storage", *options],
                cwd=folder,
                stdout=log,
                stderr=log,
            )

    def query(self, what: str) -> list[float]:
        """Return the value of each series."""
        found = self._get("query", query=what)
        return [float(series["value"][1]) for series in found["result"]] if found else []

    def exemplars(self, what: str) -> list[str]:
        """Return the traces of which a metric has examples."""
        now = time.time()
        found = self._get("query_exemplars", query=what, start=now - 60, end=now + 60) or []
        return [exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]]

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _get(self, kind: str, **parameters: str | float) -> Any:
        path = f"/api/v1/{kind}?{urlencode(parameters)}"
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", self._port, timeout=5)) as asked:
            asked.request("GET", path, headers={"Connection": "close"})
            response = asked.getresponse()
            text = response.read()
            if response.status == 200:
                return json.loads(text)["data"]
        return None


@contextmanager
def scraping(folder: Path, target: int) -> Iterator[Prometheus]:
    """Run a Prometheus for a while."""
    prometheus = Prometheus(folder, target)
    try:
        yield prometheus
    finally:
        prometheus.stop()
