r"""Path traversal (CWE-22): names of uploads with a path, filters of PHP, and what scanners try after the usual ways.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-TRAVERSAL-024",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"(?:^|[/\\])\.\.[/\\]",
        needs=("../", "..\\"),
        why="No browser sends the name of a file with a step out of its folder.",
        positives=("../x.zip", "..\\x.zip", "a/../b"),
        negatives=("a...b.txt", "x..", "2024../"),
        places=("filename",),
    ),
    Rule(
        id="AG-TRAVERSAL-025",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"\bconvert\.(?:iconv\.[\w-]{1,24}[./|]|base64-(?:en|de)code|quoted-printable-)|%%[2-7][0-9a-f]%%[2-7][0-9a-f]|%\.%\.%?[/\\]"
        r"|^.{0,3}[/\\:]program files(?: \(x86\))?[/\\][\w .-]{1,40}[/\\][^\n<>|]{0,80}"
        r"\.(?:conf|cfg|config|ini|log|xml|mdb|dat)(?:\x00|$)"
        r"|^\\{1,2}(?:windows|winnt|inetpub|xampp)\\",
        needs=("convert.", "%%", "%.%.", "program files", "\\windows\\", "\\winnt\\", "\\inetpub\\", "\\xampp\\"),
        why="A chain of filters of PHP, percent signs for a hasty decoder, settings of a server of Windows.",
        positives=(
            "convert.iconv.latin1.utf7",
            "convert.base64-encode",
            "%%2e%%2e",
            "c:\\program files\\shop server\\conf\\shop.conf",
            "\\winnt\\repair\\sam",
        ),
        negatives=("convert.iconv", "100%%20", "C:\\Program Files\\Shop\\shop.exe", "a\\windows\\b", "xconvert.base64"),
    ),
    Rule(
        id="AG-TRAVERSAL-026",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"/\.(?:(?:junie|zed|windsurf|roo|rovodev|kiro|aider|continue|codeium|copilot|gemini|codex|qodo|fleet"
        r"|fabric|gitlab"
        r"|devcontainer|husky|venv|tox|serverless|vercel|netlify|cache|ansible|chef|puppet|pulumi|next|nuxt|local)"
        r"(?:/\S{0,80})?|[a-z]{1,16}ignore|[a-z]{1,16}rc(?:\.\w{2,4})?|editorconfig|history|dockerenv|python-version)$"
        r"|/(?:[\w-]{1,20}[._-])?(?:errors?|access|debug|exception|trace|audit|mysql|slow|cron|mail)(?:[._-][\w-]{1,20})?"
        r"\.log(?:\.\d{1,2}|\.gz|\.old)?$"
        r"|/(?:docker-compose|compose)(?:\.\w{1,16})?\.ya?ml$|/(?:terraform\.tfstate|\w{0,20}\.tfvars)$",
        needs=("/.", ".log", ".yml", ".yaml", ".tf"),
        why="What tools of developers leave behind, and logs, asked for as pages.",
        positives=(
            "/.junie/x.md",
            "/.npmignore",
            "/.babelrc",
            "/blog/errors.log",
            "/app/php_errors.log.1",
            "/docker-compose.yml",
            "/terraform.tfstate",
        ),
        negatives=("/.well-known/security.txt", "/catalog", "/blog/errors.login", "/a.local/x", "/logs"),
        places=("path",),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-027",
        attack="traversal",
        score=5,
        level=2,
        pattern=r"^\S{0,6}(?:\.\.[^\s./\\]{1,3}){3}|^\.\.[\\/]\.?[a-z][\w.-]{0,40}$|^(?:etc|2e2e|2f)"
        "[\ufffd\ue000-\uf8ff2f%]{1,4}(?:passwd|shadow|hosts|issue)",
        needs=("..", "passwd", "shadow", "hosts", "issue"),
        why="Steps with something for a slash, whatever a server may take for one.",
        positives=("..o..o..ox", "..\\x", "../.x", "etc%2fpasswd"),
        negatives=("wait.. what.. why", "a...b", "...", "etc. passwd"),
        places=("query", "body", "cookie", "header", "path"),
    ),
)
