"""Brute force: what matching has to come to, by the definition alone, and slowly. For tests; nothing else uses it."""

from __future__ import annotations

from collections import Counter

from reconciliation.transactions import Transaction


def by_brute_force(  # noqa: C901, PLR0912  one definition, in one piece, to be read beside the rules
    left: list[Transaction], right: list[Transaction], window: int
) -> Counter[str]:
    """Count the outcomes by their definition alone: pair by pair, and by trying for the most pairs by augmenting."""
    counts: Counter[str] = Counter()
    ours, theirs = [*left], [*right]
    shared = {a.reference for a in left for b in right if a.reference == b.reference != ""}

    def same(a: Transaction, b: Transaction) -> bool:
        return (a.reference, a.currency, a.amount) == (b.reference, b.currency, b.amount)

    for a in [*ours]:
        for b in theirs:
            if a.reference and same(a, b):
                counts["exact"] += 1
                ours.remove(a)
                theirs.remove(b)
                break
    for mine, other in ((ours, right), (theirs, left)):
        for a in [*mine]:
            if a.reference and any(same(a, b) for b in other):
                counts["duplicate"] += 1
                mine.remove(a)
    for reference in shared:
        for currency in ("EUR", "USD"):
            a = [each for each in ours if (each.reference, each.currency) == (reference, currency)]
            b = [each for each in theirs if (each.reference, each.currency) == (reference, currency)]
            if a and b and sum(each.amount for each in a) == sum(each.amount for each in b):
                counts["split"] += 1
                ours = [each for each in ours if each not in a]
                theirs = [each for each in theirs if each not in b]

    taken: dict[str, Transaction] = {}

    def augment(a: Transaction, tried: set[str]) -> bool:
        for b in theirs:
            is_near = abs((a.on - b.on).days) <= window and (a.amount, a.currency) == (b.amount, b.currency)
            if is_near and not shared & {a.reference, b.reference} and b.id not in tried:
                tried.add(b.id)
                if b.id not in taken or augment(taken[b.id], tried):
                    taken[b.id] = a
                    return True
        return False

    counts["dated"] = sum(augment(a, set()) for a in ours)
    ours = [each for each in ours if each.id not in {a.id for a in taken.values()}]
    theirs = [each for each in theirs if each.id not in taken]
    for reference in shared:
        for currency in ("EUR", "USD"):
            a = [each for each in ours if (each.reference, each.currency) == (reference, currency)]
            b = [each for each in theirs if (each.reference, each.currency) == (reference, currency)]
            if a and b:
                counts["amount_differs"] += 1
                ours = [each for each in ours if each not in a]
                theirs = [each for each in theirs if each not in b]
        a = [each for each in ours if each.reference == reference]
        b = [each for each in theirs if each.reference == reference]
        if a and b:
            counts["currency_differs"] += 1
            ours = [each for each in ours if each not in a]
            theirs = [each for each in theirs if each not in b]
    counts["missing_right"], counts["missing_left"] = len(ours), len(theirs)
    return +counts
