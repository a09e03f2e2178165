"""How the doctor's report is written, for a person and for a program.

Must never write what an application has answered so that a terminal takes it for a command.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from asgi_guard.doctor.doctor import Report


def written(name: str, report: Report) -> Iterator[str]:
    """Write it for a person, line by line."""
    for finding in report.findings:
        yield f"{finding.severity} {finding.check}: {finding.title}"
        yield f"  seen: {finding.seen}"
        yield f"  why:  {finding.why}"
        yield f"  fix:  {finding.fix}"
    for skipped in report.skipped:
        yield f"skipped {skipped.check}: {skipped.why}"
    if report.score is not None:
        points, grade = report.score.points, report.score.grade
        lost = [(name, modifier) for name, (_, modifier) in report.score.results.items() if modifier]
        told = ", ".join(f"{name} {modifier:+d}" for name, modifier in lost) or "nothing"
        left = "" if report.score.has_bonuses else " (bonuses count from 90 points on)"
        yield f"score: {points} {grade} by the rules of MDN's HTTP Observatory: {told}{left}"
    count = len(report.findings)
    yield f"{name}, served by {report.server}: {count or 'no'} finding{'' if count == 1 else 's'}"


def as_mapping(name: str, report: Report) -> dict[str, Any]:
    """Write it for a program."""
    score = report.score
    return {
        "app": name,
        "server": report.server,
        "findings": [asdict(finding) for finding in report.findings],
        "skipped": [asdict(skipped) for skipped in report.skipped],
        "score": None
        if score is None
        else {
            "points": score.points,
            "grade": score.grade,
            "results": {
                test: {"result": result, "modifier": modifier} for test, (result, modifier) in score.results.items()
            },
        },
    }
