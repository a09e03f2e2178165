r"""Code injection (CWE-94, CWE-502): Python, JavaScript, Ruby, Perl and ASP.

Developers write about calls: behind a blank they are prose; at the beginning of a value, or behind a bracket, not.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-CODE-201",
        attack="code",
        score=5,
        level=1,
        pattern=r"\b__import__\s{0,2}\(\s{0,2}['\"](?:os|subprocess|sys|socket|pty|commands|importlib|builtins"
        r"|base64|platform)\b|\b__subclasses__\s{0,2}\(|\b__(?:globals|builtins)__\s{0,2}(?:\[|\.\s?\w)"
        r"|\b__mro__\s{0,2}[\[(]|\b__class__\s{0,2}(?:\.\s{0,2}__(?:mro|base|bases|subclasses)__|\[)"
        r"|\[\s?['\"]__(?:class|mro|base|bases|subclasses|globals|builtins|init|import|getattribute)__['\"]\s?\]"
        r"|\battr\s{0,2}\(\s{0,2}['\"](?:__|\\x5f)|getattr\s?\([^)\n]{1,40}['\"]__",
        needs=("__", "\\x5f"),
        why="From any object of Python to the modules that run commands.",
        positives=(
            "__import__('os').popen('id')",
            "''.__class__.__mro__[1]",
            "x.__init__.__globals__['os']",
            "()|attr('__class__')",
            "a['__class__']",
        ),
        negatives=("self.__class__.__name__", "the __globals__ dict", "__import__ is a builtin", "__init__.py"),
    ),
    Rule(
        id="AG-CODE-202",
        attack="code",
        score=5,
        level=1,
        pattern=r"^\s{0,2}(?:os\.\w{2,12}|subprocess\.\w{2,16})\s{0,2}[(\[][^)\n]{0,80}[)\]]{1,3}(?:\.\w{1,12}\(\d{0,6}\)){0,2}\W{0,4}$"
        r"|[;(,=\[{'\"+\n]\s{0,2}(?:os\.(?:system|popen|exec[lv]p?e?|spawn\w{1,4}|environ|getcwd"
        r"|listdir)\b\s{0,2}[(\[.]|subprocess\.(?:popen|call|run|check_output|getoutput|check_call)\s{0,2}\("
        r"|pty\.spawn\s?\(|commands\.getoutput\s?\(|platform\.popen\()"
        r"|\bimport\s{1,4}(?:os|subprocess|socket|pty|sys|commands|urllib\d?)\s{0,2}(?:;|,\s?\w{2,12}\s?;)"
        r"|\bexec\s{0,2}\(\s{0,2}(?:compile|base64|__import__|\"import|'import|chr\(|bytes)"
        r"|\beval\s{0,2}\(\s{0,2}(?:compile|__import__)|\bc(?:os|posix|nt|subprocess|__builtin__"
        r"|builtins)\n(?:system|popen|eval|exec|getattr|check_output)\n"
        r"|\bbuiltins\.(?:exec|eval|__import__)|\bopen\s{0,2}\(\s{0,2}['\"](?:/"
        r"|[a-z]:)[^'\"\n]{1,60}['\"][^)\n]{0,10}\)\s{0,2}\.\s{0,2}(?:read|write)",
        needs=(
            "os.",
            "subprocess.",
            "pty.",
            "commands.",
            "platform.",
            "import",
            "exec",
            "eval",
            "\n",
            "builtins.",
            "open",
        ),
        why="Python runs a command, or reads an object that does (pickle).",
        positives=(
            "os.system('id')",
            "import os;os.popen('id')",
            "exec(__import__('os'))",
            "cos\nsystem\n(S'id'\ntR.",
            "open('/srv/a').read()",
        ),
        negatives=(
            "we import os, then sys",
            "use os.system('x') no more",
            "import socket\nimport os",
            "subprocess.run hangs",
            "replace subprocess.call() with run()",
        ),
    ),
    Rule(
        id="AG-CODE-203",
        attack="code",
        score=5,
        level=1,
        pattern=r"\brequire\s{0,2}\(\s{0,2}['\"`](?:node:)?child_process['\"`]\s{0,2}\)\s{0,2}[.\[]|(?:^"
        r"|[;(,=\[{!+}]\s{0,2})require\s{0,2}\(\s{0,2}['\"`](?:node:)?(?:fs|vm|os|net|http|https|module|repl"
        r"|dns|cluster|worker_threads)['\"`]\s{0,2}\)\s{0,2}[.\[]"
        r"|\bprocess\.(?:mainmodule|binding\s?\(|dlopen|kill\()|\bprocess\s{0,2}\[\s{0,2}(?:['\"`](?:env|mainmodule"
        r"|binding|exit)|req\.)|\brequire\[|\brequire\.main\.(?:require|constructor)|\bmodule\.constructor\._load"
        r"|\b_\$\$nd_func\$\$_|\bimport\s{0,2}\(\s{0,2}['\"`](?:node:)?(?:child_process|fs|vm)"
        r"|\bglobal(?:this)?\.process\b|child_process['\"]?\s{0,2}\)?\s{0,2}\.\s{0,2}(?:exec|spawn"
        r"|fork)\w{0,8}\s?\(|\bchild_process\)\.|^_{2}js_function|\bspawnsync\s?\(\s?['\"]|\bexecsync\s?\(\s?['\"`]",
        needs=("require", "process", "module.", "_$$nd_func", "import", "__js_function", "sync"),
        why="Node runs a command, or loads a module that does.",
        positives=(
            "require('child_process').exec('id')",
            "process.mainModule.require('fs')",
            "_$$ND_FUNC$$_function(){}()",
            "global.process.exit()",
            "require('fs').readFileSync('a')",
            'process["env"]["SHOP"]',
        ),
        negatives=(
            "const cp = require('child_process')",
            "the process.env variable",
            "we require [a]",
            "require('fs') first",
            "child_process.exec hangs",
        ),
    ),
    Rule(
        id="AG-CODE-204",
        attack="code",
        score=5,
        level=1,
        pattern=r"\bconstructor\s{0,2}(?:\.\s{0,2}constructor|\[\s?['\"]constructor['\"]\s?\])\s{0,2}\("
        r"|\[\s?['\"]constructor['\"]\s?\]\s{0,2}[(\[]|\bthis\.constructor\.constructor\b"
        r"|^\W{0,6}(?:new\s{1,4})?function\s{0,4}\(\s{0,4}(?:['\"]|$)"
        r"|^\W{0,6}function\s{0,4}\(\s{0,4}\)\s{0,4}\{\s{0,4}(?:$|return process|require)"
        r"|^\W{0,4}while\s{0,2}\(\s{0,2}[(!+-]{0,4}\s?(?:true|false|1|0|\[\]|''|\"\"|``|string|new date"
        r"|this)\s?\){1,3}\s{0,2}(?:$|;|\{\s{0,2}(?:$|\}))|\bconsole\.\w{2,8}\.(?:call|apply|bind)\s?\("
        r"|\.constructor\s{0,2}\(\s{0,2}['\"`](?:return|alert|throw|eval)",
        needs=("constructor", "function", "while", "console."),
        why="JavaScript makes a function out of a text, or never ends.",
        positives=(
            "a.constructor.constructor('return 1')()",
            "[]['constructor']['constructor']('x')",
            "while(true){}",
            "new Function('a')",
            "function () { require",
        ),
        negatives=(
            "the constructor (a)",
            "while true",
            "while (true) { x() }",
            "functions (many)",
            "while (a) of it",
            "constructor.name",
        ),
    ),
    Rule(
        id="AG-CODE-205",
        attack="code",
        score=5,
        level=1,
        pattern=r"@\{\s{0,4}\[[^\n]{1,60}\]\s{0,4}\}|(?:^|[;(=\[{|&]\s{0,2})(?:kernel\.(?:exec|system|open|spawn"
        r"|fork)|io\.popen|open3?\.(?:capture|popen)\w{0,3})[\s(]|(?:^|[=(,{\s])%x[(\[{|]\s{0,2}[a-z/]"
        r"|\bopen\s{0,2}\(\s{0,2}['\"]\|\s{0,2}\w|\.instance_eval\b\s{0,2}[({]"
        r"|\.(?:public_)?send\s{0,2}\(\s{0,2}[:'\"](?:eval|system|exec|instance_eval|`)|(?:^"
        r"|[;=({])\s{0,2}qx[{/(|]\s{0,2}[a-z/]"
        r"|\berb\.new\s{0,2}\(|\bmarshal\.load\b|\beval\s{0,2}\(\s{0,2}params\b",
        needs=("@{", "kernel.", "open", "%x", "send", "qx", "erb.new", "marshal.load", "eval"),
        why="Ruby and Perl run a command.",
        positives=(
            "@{[system 'uptime']}",
            "Kernel.exec('id')",
            "=%x(id)",
            "open('|id')",
            "a.send(:eval, 'x')",
            "IO.popen('id')",
            ";qx{id}",
        ),
        negatives=("the Kernel.exec method", "@{a}", "%x is hex", "send(:mail)"),
    ),
    Rule(
        id="AG-CODE-206",
        attack="code",
        score=5,
        level=1,
        pattern=r"<%\s{0,4}@?=?\s{0,4}(?:eval|execute|executeglobal|response\.write|server\.\w{4,12}|runtime\."
        r"|new java|system|request|`|page import|import)\b|\beval\s{0,2}\(\s{0,2}request\b"
        r"|\b(?:server\.)?createobject\s{0,2}\(\s{0,2}['\"](?:wscript|shell|adodb|scripting|msxml|winhttp)"
        r"|\bexecute\s{0,2}\(\s{0,2}request\b|<%\s?=?\s{0,2}system\b|\bgetobject\s{0,2}\(\s?['\"]script:",
        needs=("<%", "eval", "createobject", "execute", "getobject"),
        why="ASP and JSP run what the request says.",
        positives=(
            "<% eval request('a') %>",
            "CreateObject('WScript.Shell')",
            "<%@page import='java.io.*'%>",
            "eval(Request.Item['a'])",
        ),
        negatives=("evaluate the request", "<% if a %>", "create object (shell)"),
    ),
)
