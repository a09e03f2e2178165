"""Files that an application keeps to itself (CWE-22, CWE-538), for the stricter levels: their names as a whole value.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_HIDDEN: Final = (
    r"\.(?:env(?:\.\w{2,12})?|ht(?:access|passwd|group|digest)|git(?:ignore|config|modules|attributes|-credentials)?|svn|hg|bzr"
    r"|ssh|aws|kube|docker(?:env|ignore|cfg)?|gnupg|vscode|idea|(?:config|cache|local|mozilla|github)/\w[\w.-]{0,24}|mysql_history|psql_history|rediscli_history"
    r"|[a-z]{2,8}_history|(?:ba|z|c|k|tc|fi)sh(?:rc|_profile|_login|_logout|env)?|netrc|npmrc"
    r"|yarnrc|pypirc|pgpass|my\.cnf|vim(?:rc|info)|nanorc|inputrc|screenrc|wgetrc|curlrc|s3cfg|boto|ds_store|travis\.yml"
    r"|gitlab-ci\.yml|drone\.yml|editorconfig|rhosts|shosts|lesshst|xauthority|xinitrc|xsession|bowerrc|eslintrc|babelrc"
    r"|muttrc|fetchmailrc|tmux\.conf|(?:pki|gem|bundle|cargo|m2|gradle|composer|terraform|ansible|circleci)/\w[\w.-]{0,24})"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-TRAVERSAL-028",
        attack="traversal",
        score=5,
        level=2,
        pattern=rf"^(?:~|\./)?/?{_HIDDEN}(?:/[\w./-]{{0,60}})?[~?]?$"
        r"|^/?(?:etc|proc|sys|var|root|usr|boot|dev)/(?:passwd|shadow|group|hosts|issue|sudoers|crontab|fstab|self|cpuinfo|version|net"
        r"|kernel|class|log|spool|run|lib|\.\w{2,16}|local|bin|mem|ssh|apache2|nginx|httpd|mysql)(?:/[\w./-]{0,60})?$"
        r"|^/?(?:windows|winnt)/(?:system32|repair|debug|panther|security|[a-z]{2,8}\.ini)(?:/[\w./-]{0,60})?$|^/?inetpub/(?:logs|wwwroot)\b"
        r"|^/?(?:php[578]?|mysql|apache2?|xampp|wamp|nginx)/(?:conf|logs|bin|data|[a-z]{2,6}\.(?:cnf|ini|conf))(?:/[\w./-]{0,60})?$"
        r"|(?:^|[/\\=])0x(?:2e|2f|5c)[^\s]{0,4}(?:0x(?:2e|2f|5c)|[./])|^(?:[\w./-]{0,40}/)?(?:boot|win|system|php|desktop)\.ini$|^(?:[\w./-]{0,40}/)?(?:config(?:uration)?|settings|database|db"
        r"|local|localsettings|wp-config|conn(?:ect(?:ion)?)?)(?:\.inc|\.local|\.sample)?\.(?:php\d?|inc|ya?ml|xml|bak|old)$",
        needs=(
            *(
                ".env",
                ".ht",
                ".git",
                ".svn",
                ".hg",
                ".bzr",
                ".ssh",
                ".aws",
                ".kube",
                ".docker",
                ".gnupg",
                ".vscode",
                ".idea",
            ),
            *(
                ".config/",
                ".cache/",
                ".local/",
                ".mozilla/",
                "_history",
                ".bash",
                ".zsh",
                ".csh",
                ".ksh",
                ".tcsh",
                ".fish",
            ),
            *(
                ".netrc",
                ".npmrc",
                ".yarnrc",
                ".pypirc",
                ".pgpass",
                ".my.cnf",
                ".vim",
                ".nanorc",
                ".inputrc",
                ".screenrc",
            ),
            *(
                ".wgetrc",
                ".curlrc",
                ".s3cfg",
                ".boto",
                ".ds_store",
                ".travis",
                ".drone",
                ".editorconfig",
                ".rhosts",
                ".shosts",
            ),
            *(
                ".lesshst",
                ".xauth",
                ".xinitrc",
                ".xsession",
                ".bowerrc",
                ".eslintrc",
                ".babelrc",
                ".muttrc",
                ".fetchmailrc",
            ),
            *(
                ".tmux",
                ".pki/",
                ".gem/",
                ".bundle/",
                ".cargo/",
                ".m2/",
                ".gradle/",
                ".composer/",
                ".terraform/",
                ".ansible/",
            ),
            *(".circleci/", "etc/", "proc/", "sys/", "var/", "root/", "usr/", "boot/", "dev/", "0x2e", "0x2f", "0x5c"),
            *(
                "windows/",
                "winnt/",
                "inetpub/",
                "php/",
                "php5/",
                "php7/",
                "php8/",
                "mysql/",
                "apache/",
                "apache2/",
                "xampp/",
            ),
            *("wamp/", "nginx/", ".ini", ".php", ".inc", ".yml", ".yaml", ".xml", ".bak", ".old"),
        ),
        why="A file of settings, of secrets or of the system, by its name alone.",
        positives=(
            ".env",
            ".ssh/id_x",
            "~/.bashrc",
            "etc/shadow",
            "proc/self/x",
            "boot.ini",
            "config.inc.php",
            "database.yml",
        ),
        negatives=(".envelope", "a.env file", "var/x", "photo.ini", "the .gitignore", "shop.php", "v1.config"),
        views=("path",),
        places=("query", "body", "cookie", "header", "referer", "filename"),
    ),
    Rule(
        id="AG-TRAVERSAL-029",
        attack="traversal",
        score=5,
        level=2,
        pattern=r"/(?:composer\.(?:json|lock|phar)|package(?:-lock)?\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|gemfile(?:\.lock)?"
        r"|gruntfile\.js|gulpfile\.js|dockerfile|makefile|rakefile|procfile|vagrantfile|jenkinsfile|pipfile(?:\.lock)?|pyproject\.toml"
        r"|requirements\.txt|setup\.(?:py|cfg)|manage\.py|wsgi\.py|pom\.xml|build\.gradle|cargo\.(?:toml|lock)|go\.(?:mod|sum)"
        r"|phpunit\.xml|phpinfo\.php|adminer\.php|web\.config|server\.key|id_[dr]sa|error_log|access_log|changelog\.txt"
        r"|install\.(?:sql|mysql|pgsql|txt)|config\.(?:ya?ml|inc|ini|toml)|secrets\.(?:ya?ml|json|toml)"
        r"|(?:database|local|secrets|credentials|parameters|settings)\.(?:ya?ml|xml|py|inc))$"
        r"|/[\w.-]{1,60}(?:\.(?:bak|old|orig|save|sav|swp|swo|sql|dump|mdb|sqlite3?|inc|pem|key|pfx|p12|jks|kdbx|ovpn"
        r"|passwd|htpasswd)|~|\.(?:php|aspx?|jsp|inc|conf|xml|yml)\.\w{1,6})$",
        needs=(
            *(
                ".json",
                ".lock",
                ".phar",
                ".yaml",
                "file",
                ".toml",
                ".txt",
                ".py",
                ".cfg",
                ".xml",
                ".gradle",
                ".mod",
                ".sum",
            ),
            *(
                ".php",
                ".key",
                "id_",
                "_log",
                ".sql",
                ".yml",
                ".bak",
                ".old",
                ".orig",
                ".sav",
                ".sw",
                ".dump",
            ),
            *(
                ".mdb",
                ".db",
                ".inc",
                ".dist",
                ".pem",
                ".pfx",
                ".p12",
                ".jks",
                ".kdbx",
                ".ovpn",
                ".log",
                ".ini",
            ),
            *(".conf", ".ht", ".passwd", "~", ".mysql", ".pgsql", ".asp", ".jsp"),
        ),
        why="What developers leave beside an application: copies, dumps, keys, and files of packages.",
        positives=("/composer.lock", "/app/shop.bak", "/dump.sql", "/index.php~", "/x.php.txt", "/config/database.yml"),
        negatives=("/shop.html", "/a.js", "/manifest.json", "/robots.txt", "/files", "/catalog"),
        views=("path",),
        places=("path",),
    ),
)
