"""What developers write about their work passes: it has every word and every sign that attacks have."""

from __future__ import annotations

import pytest

from tests.support.textbook import KINDS, blocks, table

PROSE = {
    "shell": {
        "an instruction": "Run `pip install -e .[dev] && pytest -q` before you push.",
        "two targets": "Build it with `make clean; make all` and copy the result to /usr/local/bin.",
        "a block of code": "```bash\n$ curl -sSL https://install.example.com/get.sh | sh\n$ ls -la ~/.config\n```",
        "a container": '$ docker run --rm -it -v $(pwd):/app python:3.12 bash -c "pytest -q"',
        "two commands": "git log --oneline | head -n 5; git status",
        "a port": "To find the port in use: netstat -an | grep 8080, then kill -9 the process.",
        "a complaint": "The script does `rm -rf build/ && mkdir build` each time, which is slow.",
        "a log": "cat /var/log/syslog shows nothing; see ticket 4",
        "a recipe": "ssh to the box and run sudo systemctl restart nginx; then tail -f /var/log/nginx/error.log",
        "a setting": 'export PATH="$HOME/.local/bin:$PATH"',
        "a search": "find . -name '*.pyc' -delete",
        "a listing": "ls -la",
        "a script of one line": 'python -c "print(1)"',
        "an open port": "nc -zv host.example 443",
        "a result": "ping -c 3 example.com works, curl https://example.com/ times out",
        "two columns": "name;id",
        "Windows": "C:\\Users\\me\\AppData\\Local\\Temp is full; del C:\\Temp\\*.tmp helps",
    },
    "sql": {
        "a lock": "fix: SELECT ... FOR UPDATE deadlocks when two workers claim the same job",
        "a statement": "Replace `SELECT * FROM users WHERE id = 1` by a prepared statement",
        "advice": "Use UNION ALL instead of UNION if duplicates don't matter; ORDER BY 1 sorts by the first column.",
        "a migration": "DROP TABLE IF EXISTS is needed in the migration, otherwise CREATE TABLE fails",
        "a job": "We had `DELETE FROM sessions WHERE expires < now()` in cron; it locks the table",
        "quotes": "Fix quoting: O'Reilly's name broke the INSERT INTO authors (name) VALUES ('...') statement",
        "a question": "What's the difference between `WHERE a = 'x' AND b = 'y'` and a join?",
        "comments": "-- comments and # comments both work in MySQL; /* these */ too",
        "a calculation": "between 5 and 6 = 1 hour",
    },
    "pages": {
        "tags": "The `<script>` tag must come before `</body>`, see index.html",
        "attributes": 'Use `<img src="x.png" alt="">` and not `<div style="...">` for icons',
        "entities": "Escape `<` and `>` as `&lt;` and `&gt;` in titles",
        "a handler": 'The `onclick="save()"` handler is not called in Safari',
        "a link": 'render `<a href="javascript:void(0)">` as a button',
        "an object": "document.cookie is empty in incognito mode; window.location works",
        "a call": 'I get "TypeError: alert(...) is not a function" when I call alert(1) in the console',
        "a selector": '//*[@id="main"]/div[2]/a',
        "templates": "`{{ user.name }}`, `{% for item in items %}` and `{# comments #}` are supported",
        "a sum in a template": "`{{ 6 * 9 }}` shows 54 if templates are evaluated, so please escape it",
        "variables": "Use `${variable}` in strings and `$(command)` in the shell; `$(pwd)` is the directory",
    },
    "code": {
        "Python": "os.system('ls') is deprecated, use subprocess.run(['ls'])",
        "PHP": "read `$_GET['page']` and the $_POST['name'] variable before the template",
        "a traceback": 'Traceback (most recent call last): File "/app/main.py", line 3, in <module> import os',
        "opinions": 'eval() is evil; exec() as well. Don\'t use system("pause") either.',
        "a word explained": "eval (short for evaluation) 2024",
        "a function": "function(){return this}",
        "a dependency": "Bump lodash to 4.17.21 (prototype pollution via __proto__)",
    },
    "files": {
        "a link": "See [the guide](../docs/guide.md) and ![logo](../../assets/logo.png).",
        "a picture": "the image ../a.png is missing",
        "configuration": "/etc/hosts needs an entry for db.local, and /etc/nginx/nginx.conf a server block",
        "the environment": "Set `DATABASE_URL=postgres://user:pass@localhost:5432/app` in `.env` and restart",
        "an address": "It calls http://localhost:8000/api/v1/items?limit=10 twice; expected once",
    },
    "shops": {
        "inches": '12" or 14" vinyl',
        "a size": 'men\'s "size 10" or 11',
        "a brand": 'select comfort 12" mattress',
        "years": "'90s or '80s",
        "frames": '5" x 7" or 8" x 10" frame',
        "persons": "1 or 2 person tent",
    },
}

COMMANDS = {
    "shell": {
        "a listing": "ls -la",
        "two columns": "name;id",
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(PROSE))
def test_what_developers_and_buyers_write_passes_at_level_1(text: str, kind: str) -> None:
    """A word of a language is no attack where nothing would run it."""
    assert not blocks(text, kind, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(COMMANDS))
def test_a_command_alone_is_refused_at_level_2(text: str, kind: str) -> None:
    """Who asks for strictness has no field for commands."""
    assert blocks(text, kind, 2)
