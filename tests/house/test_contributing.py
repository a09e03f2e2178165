"""The picture of the house that contributors see is the one that import-linter checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_session_is_told_of() -> None:
    """Whoever looks for a check finds it in the table, and what the table names is there."""
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    table = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8").partition("| session | checks |")[2]
    cells = [line.split("|")[1] for line in table.partition("\n\n")[0].splitlines()[2:]]

    assert set(re.findall(r"`(\w+)`", "".join(cells))) == set(re.findall(r"@nox\.session.*\ndef (\w+)", noxfile))


def test_the_picture_of_the_layers_is_the_contract() -> None:
    """Who moves a wall in one of the two moves it in both; a module still to be built is in parentheses only there."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = (contract for contract in settings["contracts"] if contract["type"] == "layers")
    _, *layers = (layer.replace("(", "").replace(")", "") for layer in contract["layers"])

    assert "\n".join(["```", *layers, "```"]) in (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
