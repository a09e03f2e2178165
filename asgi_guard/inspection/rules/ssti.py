"""Template injection (CWE-1336): what is common to template engines, and those of Python, PHP, Ruby and JavaScript.

Brackets in pairs are how every product writes a placeholder, `{{ name }}`: an attack calculates in them, reaches for
what a template does not need, or calls. The engines of Java stand in `ssti_java`.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Rule

OPEN: Final = r"(?:\{\{|\{%|[$#*@~]\{|<%|\{=|@\()"
"""What opens an expression in one template engine or another."""

INSIDE: Final = r"[^{}<@]{0,60}(?:[{<@][^{}<@]{0,60})?"
"""What stands before the sign; it has one more bracket at most, so that a row of them is not tried from each one."""

OPENERS: Final = ("{{", "{%", "${", "#{", "*{", "@{", "~{", "<%", "{=", "@(")

_COMMANDS: Final = (
    "(?:system|passthru|s?hell_exec|exec|popen|proc_open|pcntl_exec|assert|eval|call_user_func(?:_array)?|phpinfo|"
    "file_get_contents|file_put_contents|readfile|show_source|highlight_file|ini_set|error_reporting|create_function|"
    "array_map|unserialize|print_r|var_dump|implode)"
)
_EVERYWHERE: Final = (*VALUES, "user_agent")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SSTI-001",
        attack="ssti",
        score=5,
        level=1,
        pattern=r"(?:^|[^`])(?:\{[{=]|[$#*@~]\{|<%|@\()[\s=({-]{0,6}[\"']?\d{1,12}[\"']?\s{0,3}[*+/|~]{1,2}\s{0,3}"
        r"(?:\d{1,12}|[\"']\w{1,12}[\"']?)(?:\s{0,3}[-*+/%|~]{1,2}\s{0,3}\d{1,12}){0,4}[\s)]{0,4}[})%|?]|"
        r"^\{\d{1,9}\s?[*+]\s?[\"']?\d{1,9}[\"']?\}$",
        needs=("{{", "${", "#{", "*{", "@{", "~{", "<%", "{=", "@(", *(f"{{{digit}" for digit in range(10))),
        why="A sum that shows whether templates are evaluated.",
        positives=(
            "{{6*90}}x",
            "x{{ 6*'z' }}",
            "x${6*9}",
            "x#{6*9}",
            "x<%= 6 * 9 %>",
            "*{9+9}",
            "x${{6*9}}",
            "@(6*9+1)",
            "{7*7}",
        ),
        negatives=("{{ name }}", "{{ 7 }} items", "${shop}", "<% a %>", "{1, 2}", "${2024-01}", "[[2024-01]]"),
        places=_EVERYWHERE,
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-SSTI-002",
        attack="ssti",
        score=5,
        level=1,
        pattern=rf"{OPEN}{INSIDE}(?:__(?:class|mro|bases?|subclasses|globals|builtins|import|init|dict|getitem|"
        r"getattribute|self|code|reduce)__|\.mro\(|\.subclasses\(|\|\s?attr\s?\(|_templatereference|"
        r"\\x5f|\bpopen\s?\(|\bos\.(?:system|environ|popen|read)|\bsubprocess\b|get_flashed_messages|lipsum\b|"
        r"\b(?:cycler|joiner|namespace)\.|\burl_for\.|\bconfig\s?(?:\.\s?(?:items|from_|__|keys|values|update|get)|\[)|"
        r"\bself\.(?:_|template|module|attr|context|environment)|\brequest\.(?:application|environ|args\b|cookies\[|values|"
        r"headers\[))",
        needs=OPENERS,
        why="From an object of the template to everything that Python has loaded.",
        positives=(
            "{{ ''.__class__.__mro__[1] }}",
            "{{ config.values() }}",
            "{{ request|attr('x') }}",
            "{% if cycler.__init__.__globals__.os %}",
            "${self.module.cache.util.os.system('id')}",
            "{{ lipsum['x'] }}",
        ),
        negatives=("{{ request.user }}", "the __class__ of self", "{{ config }}", "{{ post.attr }}"),
        places=_EVERYWHERE,
    ),
    Rule(
        id="AG-SSTI-003",
        attack="ssti",
        score=5,
        level=1,
        pattern=rf"\{{[{{%]{INSIDE}(?:\|\s?(?:filter|map|sort|reduce|find)\s?\(\s?[\"']{_COMMANDS}|"
        rf"_self\.(?:env|template|display|_)|\bregisterundefined(?:filter|function)callback|getfilter\s?\(|"
        rf"\b(?:include|source|file_excerpt|dump)\s?\(\s?(?:[\"'][^\"']{{0,60}}[./]|app\b|_context)|"
        r"_charset\s?\||_context\s?\||~\s?_context|\b(?:app|_self)\.request\.(?:query|server|files)|"
        rf"[\s(:,\"'~]{_COMMANDS}\s?[(\"'~|])|\{{\{{{_COMMANDS}\s?[(~|]",
        needs=("{{", "{%"),
        why="A filter or a function of the template calls one of PHP.",
        positives=(
            "{{['who am i']|filter('passthru')}}",
            "{{_self.env.getFilter('id')}}",
            "{{ {'pwd':'passthru'}|map('call_user_func')|last }}",
            "{{source('/etc/hosts')}}",
            "{{passthru(x)}}",
        ),
        negatives=("{{ items|sort('name') }}", "{{ system }}", "{% include 'header.html' %}", "{{ a|map(attribute) }}"),
    ),
    Rule(
        id="AG-SSTI-004",
        attack="ssti",
        score=5,
        level=1,
        pattern=rf"\{{\$smarty[.\[]|\{{/?php\}}|\{{if\s{{1,3}}\(?{_COMMANDS}\s?\(|\{{math\s[^}}]{{0,40}}equation=|"
        r"\{(?:eval\svar|fetch\sfile|include_php\sfile)=|\{include\sfile=[\"']?(?:/|\.\./|[a-z]{2,8}:)|\{self::|"
        r"\{(?:system|passthru|shell_exec|popen|phpinfo|file_get_contents|file_put_contents|readfile|call_user_func)\s?\(|"
        r"smarty_internal_|\bself::(?:getstreamvariable|clearconfig)",
        needs=(
            "{$smarty",
            "php}",
            "{if",
            "{math",
            "{eval",
            "{fetch",
            "{include",
            "self::",
            "smarty_internal_",
            "{system",
            "{passthru",
            "{shell_exec",
            "{popen",
            "{phpinfo",
            "{file_",
            "{readfile",
            "{call_user_func",
        ),
        why="A template of Smarty runs PHP.",
        positives=("{$smarty.template}", "{php}echo 1;{/php}", "{system('id')}", "{if phpinfo()}{/if}"),
        negatives=("{if(a){return b(c)}}", "{include a note}", "{self}", "{system}"),
    ),
    Rule(
        id="AG-SSTI-005",
        attack="ssti",
        score=5,
        level=1,
        pattern=r"(?:<%=?|#\{|\$\{|\{\{)[^{}%]{0,40}(?:\{[^{}%]{0,20})?"
        r"(?:`[^`]{1,60}`|%x[({\[]|\b(?:system|exec|spawn|eval|require|import|popen|"
        r"instance_eval)[\s(]{1,3}[\"'%(]|\bsystem\.(?:shell|cmd)|\b(?:file|dir|io|kernel|env|erb|open3|tempfile|"
        r"process|object|marshal)\s?[.!\[]{1,2}\s?(?:open|read|entries|glob|popen|system|exec|mainmodule|binding|env|"
        r"const_get|load|new|write|foreach|children|each|\"|'|mainmodule)|\bself\.(?:instance|class|method|send)|"
        r"\bglobal\.process|\broot\.process|child_process|\bthis\.constructor|\._load\()|#\{\s?function\s?\(",
        needs=("<%", "#{", "${", "{{"),
        why="Embedded code of Ruby, Elixir or JavaScript starts a command or reads a file.",
        positives=(
            "<%= system('id') %>",
            "<%= `id` %>",
            '<%= File.open("/etc/hosts").read %>',
            "#{root.process.mainModule}",
            "#{function(){x}()}",
            "<%= Dir.entries('/') %>",
        ),
        negatives=("<%= name %>", "#{file}", "${system}", "#{item.open}", "{{ file.name }}"),
    ),
    Rule(
        id="AG-SSTI-006",
        attack="ssti",
        score=5,
        level=1,
        pattern=r"<%[\s=]{0,4}(?:import\s{1,3}(?:os|sys|subprocess)|from\s{1,3}(?:os|sys)\b|x\s?=\s?os\.)|"
        r"\{\{\s?#with[\s(]{1,3}(?:[\"']|string|split|\w{0,20}\.?sub\b|lookup|conslist|codelist)[^}]{0,60}|"
        r"\{\{\s?(?:this|lookup|x|w|a)?\.?(?:push|pop)\s?[(\"]|\blookup\s{1,3}\(?[\w.]{1,24}\s{1,3}[\"']constructor|"
        r"\.constructor\s?\([\"'`]|\{\{[^}]{0,60}\.(?:constructor|__proto__)\b|"
        r"@(?:\{\s?|\(\s?)?(?:system\.(?:io|diagnostics|reflection|environment)|(?:new )?process\.start|html\.raw)|"
        r"@\{\s?\[|@using\s{1,3}system|@functions\s?\{|"
        r"\{%\s?(?:debug|get_admin_log)\b|\{%\s?load\s{1,3}(?:log|debug)|messages\.storages\.",
        needs=(
            "<%",
            "{{",
            "{%",
            "constructor",
            "@{",
            "@using",
            "@functions",
            "@system",
            "@html",
            "@process",
            "@new",
            "@(",
            "messages.storages",
        ),
        why="Ways out of Mako, Handlebars, Razor, Django and of strings of Perl.",
        positives=(
            "<% import os %>",
            '{{#with "shop" as |word|}}',
            '{{this.push "return x"}}',
            "@System.Diagnostics.Process.Start",
            "@{[ system 'uptime' ]}",
            "{% debug %}",
            "{{range.constructor('return x')()}}",
        ),
        negatives=("{{#with author}}", "@{name}", "{% load static %}", "mail me @system"),
    ),
    Rule(
        id="AG-SSTI-007",
        attack="ssti",
        score=5,
        level=2,
        pattern=r"^\W{0,3}(?:\{\{[^{}]{0,100}\}\}|[$#*@~]\{[^{}]{1,100}\}|<%=?[^%]{1,100}%>|\{%[^%]{1,100}%\})\W{0,3}$|"
        r"^\W{0,3}(?:\{%-?\s?(?:if|for|set|block|macro|with|filter|raw)\b[^%]{1,100}%\}[^{]{0,60}\{%|<%[^%]{1,100}%>[^<]{0,60}<%)|"
        r"\{\{\s?[#/=.!&>^]|\{\{[^{}]{0,60}[(*\[|][^{}]{0,60}\}\}|\{\{\s?(?:config|self|request|settings|app|g|this|_self|"
        r"_context|session|loop|range|dump|\$\w{0,20}|\.)\s?\}\}",
        needs=("{{", "{%", "<%", "${", "#{", "*{", "@{", "~{"),
        why="A value that is nothing but a template's expression, or one that calls.",
        positives=("{{config}}", "${x}", "<%= y %>", "{{#each a}}", "see {{ f(x) }}"),
        negatives=("dear {{ name }}, welcome", "a ${variable} in a sentence", "{name}"),
    ),
)
