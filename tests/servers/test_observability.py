"""What is ready to use with others is true: rules, dashboard and files, asked of the real ones where they are here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from real_prometheus import scraping
from shop_under_run import shop, until

pytestmark = pytest.mark.timeout(180)

FOLDER = Path(__file__).parents[2] / "examples" / "observability"
NOT_HERE = re.compile(r"asgi_guard_(circuit_breaker|retry|redis|validation|ip_filter|request_limits|websocket)")
"""What the shop of this test has none of; such a query has to be understood, and may find nothing."""

SETTINGS = """
rate_limit = "20/minute"
[monitor]
period_seconds = 1
"""


def queries() -> Iterator[str]:
    """Give out each query of the dashboard, its variables filled in."""
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            filled = target["expr"].replace("$__rate_interval", "30s")
            yield re.sub(r"\$(job|instance|route)\b", ".*", filled)


def loaded(name: str) -> Any:
    """Read one of the YAML files."""
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.long
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "what", [["check", "rules", "prometheus-rules.yml"], ["test", "rules", "prometheus-rules.test.yml"]]
)
def test_the_rules_fire_when_they_should_and_not_else(what: list[str]) -> None:
    """Prometheus itself says so."""
    run = subprocess.run(["promtool", *what], cwd=FOLDER, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_is_tested_and_says_what_it_means() -> None:
    """With how bad it is."""
    alerts = [rule for group in loaded("prometheus-rules.yml")["groups"] for rule in group["rules"] if "alert" in rule]
    tested = {
        one["alertname"] for test in loaded("prometheus-rules.test.yml")["tests"] for one in test["alert_rule_test"]
    }

    assert {alert["alert"] for alert in alerts} == tested
    for alert in alerts:
        assert alert["labels"]["severity"] in {"low", "medium", "high", "critical"}
        assert alert["annotations"].keys() == {"summary", "description"}


@pytest.mark.long
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")
def test_every_query_of_the_dashboard_finds_what_it_is_about(tmp_path: Path) -> None:
    """Under traffic, with refusals, over two workers."""
    with shop(tmp_path, workers=2, settings=SETTINGS) as served, scraping(tmp_path, served.port) as prometheus:

        def finds(query: str) -> bool:
            for path in ("/items/1", "/items/broken"):
                served.get(path)
            return bool(prometheus.query(query))

        asked = list(queries())
        for query in asked:
            if not NOT_HERE.search(query):
                until(lambda query=query: finds(query))
            assert prometheus._get("query", query=query) is not None, query

    assert len(asked) > 24


def test_each_part_of_the_collector_is_there() -> None:
    """A pipeline that names what nobody has set up does not start."""
    collector = loaded("otel-collector.yml")

    for pipeline in collector["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(collector[kind])


def test_the_compose_file_names_what_is_there() -> None:
    """Files that are mounted, secrets that are declared, and ports for this machine alone."""
    compose = loaded("docker-compose.yml")

    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            assert (FOLDER / volume.partition(":")[0]).is_file()
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    targets = loaded("prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert {target.partition(":")[0] for target in targets} <= set(compose["services"])


def test_its_page_names_every_file() -> None:
    """But for those that only others look at."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")

    for path in FOLDER.iterdir():
        assert path.is_dir() or path.name in {"README.md", "app.py"} or f"`{path.name}`" in page
