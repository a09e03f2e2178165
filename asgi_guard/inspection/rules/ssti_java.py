"""Template injection (CWE-1336): the engines and the expression languages of Java.

Freemarker, Velocity, Thymeleaf, SpEL, JSP's EL, Groovy, Pebble and Jinjava evaluate what stands in `${...}`, `#{...}`,
`*{...}` or behind `#set`; an attack reaches for a class there. Where a process is started without a template is `code`.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Rule
from asgi_guard.inspection.rules.ssti import INSIDE

_OPEN: Final = r"(?:[$#*@~%]\{|\{\{|<%)"
_EVERYWHERE: Final = (*VALUES, "user_agent")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SSTI-030",
        attack="ssti",
        score=5,
        level=1,
        pattern=rf"(?:{_OPEN}{INSIDE}|\[=[^\[{{}}]{{0,60}})(?:\bt\s?\(\s?(?:java|org|com|javax|sun|scala)\.|\.\s?getclass\s?\(|\.class\.|"
        r"\.forname\s?\(|\bgetruntime\b|\bnewinstance\s?\(|\bclassloader\b|\bclass\.(?:inspect|classloader|protection)|"
        r"\bscriptengine|\bnew\s{1,3}(?:java|org|groovy|javax|com|file\b|processbuilder|freemarker|runtime|string)"
        r"|\"\s?\.\s?execute\s?\(|'\s?\.\s?execute\s?\(|@asttest|\.getmethod|\.invoke\s?\(|"
        r"\b(?:pagecontext|applicationscope|sessionscope|requestscope|servletcontext|facescontext|externalcontext)\b|"
        r"#(?:context|this|root|vars|request|session|servletcontext|_memberaccess|attr|parameters|application)\b|"
        r"@[a-z]{1,40}\.[a-z]{1,40}\(|\bbeans?\[|\bsystem\.(?:getenv|getproperty|exit)|\benvironment\.get)",
        needs=("${", "#{", "*{", "@{", "~{", "%{", "{{", "<%", "[="),
        why="An expression of Java reaches for a class, or for what the server holds.",
        positives=(
            "${T(java.lang.Runtime).getRuntime()}",
            "#{''.getClass().forName('x')}",
            "*{new java.util.Scanner(x)}",
            '${"id".execute()}',
            "${pageContext.request}",
            "{{ ''.class.forName('x') }}",
            "[[${#context}]]",
        ),
        negatives=("${class}", "#{beans}", "<p class='x'>${name}</p>", "{{ item.className }}"),
        places=_EVERYWHERE,
    ),
    Rule(
        id="AG-SSTI-031",
        attack="ssti",
        score=5,
        level=1,
        pattern=r"freemarker\.template|\?new\s?\(\s?\)|<#(?:assign|list|include|import|function|macro)\b|"
        r"\[#(?:assign|list|include|import|function|macro)\b|"
        r"[$#\[][{=][^}]{0,100}\?(?:api|eval|interpret|lower_abc|upper_abc|new|absolute_template_name)\b|\.data_model\b[.\[}?]",
        needs=(
            "freemarker.template",
            "?new",
            "?api",
            "?eval",
            "?interpret",
            "?lower_abc",
            "?upper_abc",
            "?absolute_template_name",
            "<#",
            "[#",
            ".data_model",
        ),
        why="Freemarker makes an object of a class that is named, or evaluates a text.",
        positives=(
            '<#assign x="freemarker.template.utility.Execute"?new()>',
            "${'x'?eval}",
            "${x?api.class}",
            "[#assign a = 1]",
        ),
        negatives=("<# comment", "is it new?", "[#12] fixed", "what? eval it"),
    ),
    Rule(
        id="AG-SSTI-032",
        attack="ssti",
        score=5,
        level=1,
        pattern=r"#set\s?\(\s?\$\{?[a-z]|#(?:evaluate|parse|include|foreach)\s?\(\s?[\"'$][^)]{1,60}\)|#define\s?\(\s?\$|"
        r"\$!?\{?[a-z]\w{0,20}\}?\.(?:class\.(?:forname|inspect|classloader|getname|protectiondomain|resource|module)|"
        r"getclass\s?\(|inspect\s?\()|\$class\.inspect|__\$\{|\}__::|"
        r"~\{[^}]{0,60}::|\[\[\$\{|\[\(\$\{",
        needs=(
            "#set",
            "#evaluate",
            "#parse",
            "#include",
            "#foreach",
            "#define",
            ".class.",
            ".getclass",
            ".inspect",
            "__${",
            "}__::",
            "~{",
            "[[$",
            "[($",
        ),
        why="Velocity sets, evaluates or inspects; Thymeleaf evaluates what it has evaluated already.",
        positives=(
            "#set($x=$class.inspect('java.lang.Runtime'))",
            "#evaluate($x)",
            "$e.getClass().forName('x')",
            "__${new java.util.Date()}__::.x",
        ),
        negatives=("#settings", "#include <stdio.h>", "$x.classes", "#parse the text (again)"),
    ),
)
