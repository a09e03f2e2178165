"""LDAP injection (CWE-90): filters (RFC 4515) that are ended, and others that are begun.

In an attack the first bracket closes what the query opened; in a sentence and in source code it opens.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-LDAP-001",
        attack="ldap",
        score=5,
        level=1,
        pattern=r"\) ?\( ?[|&!]? ?\(? ?[a-z][\w.;-]{1,32} ?[~<>:]{0,2}=(?:[\w*@\\(), ]|$)",
        needs=(")(", ") ("),
        why="The filter is closed and another one is opened.",
        positives=("*)(uid=*", ")(&(objectClass=user", "x) (!(mail=*"),
        negatives=("f(a)(b)", "(a)(bc=>d)", "(a) (bc==d)"),
    ),
    Rule(
        id="AG-LDAP-002",
        attack="ldap",
        score=5,
        level=1,
        pattern=r"^[^(]{0,64}\){1,4} ?\({1,2} ?(?:[|&!] ?(?:[()]|$|[a-z][\w-]{0,32} ?[~<>]?=)"
        r"|[a-z][\w-]{0,32} ?[~<>]?=)",
        needs=(")(", ") ("),
        why="A bracket is closed that was not opened in the value, and a filter begins.",
        positives=("admin)(&)", "*)(|(a=b", "x)(!(&(1=0", "a*)((|pw=*)", "a)(|"),
        negatives=("a) (b)", "a smile :) (and more)", "1) (first) 2) (second)"),
    ),
    Rule(
        id="AG-LDAP-003",
        attack="ldap",
        score=5,
        level=1,
        pattern=r"\([|&!] ?\(? ?[a-z][\w.-]{1,32} ?[~<>]?= ?[\w*\\]|\(object(?:class|category)=|^[^(]{0,64}\*[("
        r"|)]{2,4}(?:[|&]|\x00|$)",
        needs=("(|", "(&", "(!", "(objectc", "*(", "*|", "*)"),
        why="A filter as a whole, or the wildcard at the end of one.",
        positives=("*(|(room=*))", "(&(cn=a)(sn=b))", "x)(objectClass=*)", "boss*()|&", "admin*))\x00"),
        negatives=("(a|b)", "(|x|)", "2*(3)", "(&nbsp;)"),
    ),
    Rule(
        id="AG-LDAP-004",
        attack="ldap",
        score=5,
        level=2,
        pattern=r"\((?:uid|cn|sn|ou|dc|mail|givenname|samaccountname|userpassword|memberof|member"
        r"|userprincipalname) ?[~<>]?= ?[\w*\\@.-]{0,64}\*?\)",
        needs=("=",),
        why="The attributes that people are found by.",
        positives=("(uid=admin)", "(mail=*)", "(|(userPassword=a*)"),
        negatives=("(uid)", "(a=b)", "cn=me,dc=example"),
    ),
    Rule(
        id="AG-LDAP-005",
        attack="ldap",
        score=5,
        level=1,
        pattern=r"^[^\s()]{0,40}\)[&|]\(\w{1,30}[~<>]?=",
        needs=(")&(", ")|("),
        why="A bracket is closed that was not opened in the value, and a condition is added.",
        positives=("x)&(uid=a", "*)|(mail=b"),
        negatives=("(a)&(b=c)", "(a)|(b)", "f(x)&(y=1)"),
    ),
)
