"""Scanners, by their user agent.

A tool that says its name; who hides it is found by what he sends. Libraries of HTTP, monitors and search engines are
none.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_TOOLS: Final = (
    "sqlmap", "nikto", "nuclei", "wpscan", "buster", "dirsearch", "wfuzz", "ffuf", "faster", "masscan", "zgrab",
    "acunetix", "nessus", "openvas", "netsparker", "invicti", "appscan", "w3af", "arachni", "skipfish", "havij",
    "wapiti", "scripting", "zaproxy", "owasp", "burp", "xsser", "commix", "joomscan", "whatweb", "webinspect",
    "tplmap", "dalfox", "jorgee", "zmeu", "morfeus", "paros/", "sqlninja", "bsqlbf", "pangolin", "n-stealth",
    "webshag", "uniscan", "dotdotpwn", "golismero", "l9explore", "l9tcpid", "w00tw00t", "interactsh", "websecurify",
    "droopescan",
)  # fmt: skip
_PROGRAMS: Final = (
    "curl", "wget", "python-", "go-http", "libwww", "java", "okhttp", "scrapy", "httpx", "aiohttp", "php", "ruby",
    "axios", "node-fetch", "winhttp", "censys", "shodan", "measurement", "headless",
)  # fmt: skip

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SCANNER-001",
        attack="scanner",
        score=5,
        level=1,
        pattern=r"\b(?:sqlmap|nikto|nuclei|wpscan|dirbuster|gobuster|feroxbuster|dirsearch|wfuzz|ffuf|fuzz faster|"
        r"masscan|zgrab|acunetix|nessus|openvas|netsparker|invicti|appscan|w3af|arachni|skipfish|havij|wapiti|"
        r"nmap scripting|zaproxy|owasp zap|burp ?(?:suite|collaborator)|xsser|commix|joomscan|whatweb|webinspect|"
        r"tplmap|dalfox|jorgee|zmeu|morfeus|paros/|sqlninja|bsqlbf|pangolin|n-stealth|webshag|uniscan|dotdotpwn|"
        r"golismero|l9explore|l9tcpid|w00tw00t|interactsh|websecurify|droopescan)",
        needs=_TOOLS,
        why="A tool whose only purpose is to look for holes.",
        positives=(
            "sqlmap/1.8#stable (https://sqlmap.org)",
            "Mozilla/5.0 (compatible; Nikto/2.5)",
            "Fuzz Faster U Fool v2",
        ),
        negatives=(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
            "python-requests/2.32.3",
            "curl/8.9.1",
            "Mozilla/5.0 (compatible; Googlebot/2.1)",
        ),
        places=("user_agent",),
    ),
    Rule(
        id="AG-SCANNER-002",
        attack="scanner",
        score=5,
        level=3,
        pattern=r"^(?:curl|wget|python-requests|python-urllib|go-http-client|libwww-perl|java|okhttp|scrapy|httpx|aiohttp|"
        r"php|ruby|axios|node-fetch|winhttp)[/ -]|\bcensys(?:inspect)?\b|\bshodan\b|\binternet-?measurement\b|"
        r"\bheadlesschrome\b",
        needs=_PROGRAMS,
        why="A program, where only people are expected.",
        positives=("curl/8.9.1", "python-requests/2.32.3", "Mozilla/5.0 (compatible; CensysInspect/1.1)"),
        negatives=("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "Mozilla/5.0 (curly)"),
        places=("user_agent",),
    ),
)
