r"""Files that an application keeps to itself (CWE-22, CWE-98, CWE-538), by their names.

A name is matched with the path that leads to it, and a name that developers write about only where it is the whole
value.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_JUNK: Final = "\ufffd\ue000-\uf8ff"  # what is left of a broken encoding
_FIELDS: Final = ("query", "body", "cookie", "header", "referer", "name", "filename")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-TRAVERSAL-007",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"(?:[/%?JUNK]|\.\.|0x)[^\s\"'<>]{0,8}(?:boot|win|system)\.ini\b".replace("JUNK", _JUNK),
        needs=("boot.ini", "win.ini", "system.ini"),
        why="Files that every Windows has.",
        positives=("q=c:\\boot.ini", "%c0%5eboot.ini", "..2fwin.ini", "c:/windows/system.ini"),
        negatives=("edit boot.ini", "boot.ini and win.ini", "darwin.ini", "the 'win.ini' file"),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-008",
        attack="traversal",
        score=5,
        level=1,
        pattern=(
            r"(?:[/%?\\JUNK]|\.\.|0x)\S{0,8}etc(?:[^a-z\s.,;:()\"'`/\\]\S{0,16}(?:passwd|shadow|issue|hosts)"
            r"|[/\\][^\sa-z]\S{0,5}(?:passwd|shadow))(?:$|[^a-z])"
            r"|(?:[%?\\JUNK]|\.\.|0x)\S{0,8}etc[/\\]\S{0,6}(?:passwd|shadow)(?:$|[^a-z])"
            r"|\detc(?:0x|2f|5c)\w{0,3}(?:passwd|issue|hosts)|[./]{2}etcpasswd\b|2fetc2f[a-z]"
            r"|win(?:dows|nt)[^a-z\s/\\]\S{0,12}system32[^a-z\s]"
        ).replace("JUNK", _JUNK),
        needs=("etc", "system32"),
        why="The usual files, whatever stands between the names on the way to them.",
        positives=(
            "%c0%fe%c0%fe%uF025etc%uF025hosts",
            "..2f..2fetc2fshop",
            "..%c1%zzwindows%c1%zzsystem32%c1%zzdrivers",
            "0x2f0x2fetc0x2fissue",
        ),
        negatives=(
            "bugs, features, etc. / issues",
            "fetch/issue",
            "stretch, passwd",
            "windows and system32",
            "mount /etc/hosts and /etc/issue",
            "C:\\Windows\\System32 is",
        ),
    ),
    Rule(
        id="AG-TRAVERSAL-009",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^[^\s<>\"']{0,40}/etc/(?:group|hosts|hostname|issue|motd|fstab|crontab|inetd|xinetd|resolv"
        r"|redhat-release"
        r"|debian_version|os-release|lsb-release|my\.cnf|mysql|postgresql|php|httpd?|apache\d?|nginx|lighttpd|ssh"
        r"|sshd_config"
        r"|ssl|pam|samba|vsftpd|[a-z]{0,4}ftpd|exports|logrotate|init\.d|cron|profile|bash|sub[ug]id|security"
        r"|netconfig"
        r"|network|ldap|kubernetes|squid|postfix|aliases|services|protocols|login|sysconfig|rc\d?\.|snmp|modules"
        r"|mtab|utmp"
        r"|wtmp|chroot|updatedb|termcap|syslog|rsyslog|shells|securetty|at\.|hosts\.|sysctl|default|pure-ftpd"
        r"|wu-ftpd|ftp"
        r"|tomcat|passwd|printcap|openldap|opt|environment|grub|lilo|timezone|udev|vmware)[^\s<>\"']{0,80}\s{0,2}$",
        needs=("/etc/",),
        why="A file of the system's settings as a whole value.",
        positives=("a=/etc/hosts", "/etc/nginx/sites-enabled/default", "file:///etc/issue", "/etc/hostname.en3"),
        negatives=("edit /etc/hosts and reload", "/etc/designs/site/clientlibs.css", "boats/etc/group of people"),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-010",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^(?:/root|[^\s<>\"']{0,40}(?:/proc/(?:self|thread-self|\d{1,7}|version|cpuinfo|meminfo|mounts|net|cmdline"
        r"|sched_debug|sys"
        r"|modules|devices|stat|swaps|filesystems|partitions|ioports|interrupts|uptime|loadavg)"
        r"|/sys/(?:class|kernel|devices|module|firmware|fs|block|bus)"
        r"|/var/(?:log|run|spool|adm|lib|mail|cache|backups|db|cpanel|saf)|/var/www/(?:logs?|html|[\w.-]{1,30}/logs?)"
        r"|/dev/(?:tcp|udp|mem|kmem|shm|fd|u?random|zero|sd[a-z]|log)|/root/\.\w{2,16}|/home/[\w.~-]{1,32}/\.\w{2,16}))(?:/|\.|$)"
        r"[^\s<>\"']{0,80}\s{0,2}$",
        needs=("/proc/", "/sys/", "/var/", "/dev/", "/root", "/home/"),
        why="What the system shows of itself, its logs and its users, as a whole value.",
        positives=(
            "/proc/self/environ",
            "/var/log/nginx/shop.log",
            "/home/me/.bash_history",
            "x=/proc/1/maps",
            "/root/.ssh/id_rsa",
        ),
        negatives=(
            "/items/root",
            "/tree/root/leaf",
            "/proc/self/maps is read twice",
            "logs go to /var/log/app.log",
            "/home/page",
            "/development/log",
        ),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-011",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^[^\s<>\"']{0,60}/\.(?:(?:git|svn|hg|bzr|cvs|subversion|ssh|aws|azure|kube|docker|gnupg|vscode|idea|circleci"
        r"|github|terraform|anthropic|claude|cursor|bundle|config)(?:/\S{0,60})?|env(?:\.[a-z]{2,12})?|git(?:ignore|config"
        r"|-credentials)|docker(?:ignore|env|cfg)|ht(?:access|passwd|group|digest|user)s?|[a-z]{1,8}_history"
        r"|(?:ba|z|c|k|tc)sh(?:rc|_profile)|profile|npmrc|pypirc|netrc|pgpass|my\.cnf|ds_store|s3cfg|boto|[rs]hosts"
        r"|travis\.yml|gitlab-ci\.yml|user\.ini|passwd|proclog|www_?acl|viminfo|lesshst|forward|(?:fetchmail|mutt|mail)rc"
        r"|login|logout)(?:[?~\x00]|\.(?:bak|old|swp|save|txt|php|dist|orig|\d))?$",
        needs=("/.",),
        why="A hidden file of settings, secrets or a repository, asked for by its path.",
        positives=(
            "/.env",
            "/.git/config",
            "/app/.aws/credentials",
            "/shop/.htpasswd",
            "../.ssh/id_rsa",
            "/.env.production",
        ),
        negatives=("/.well-known/security.txt", "add a .env file", "/.envoy", "put it into /.env first"),
        views=("path",),
        places=("path", "query", "body", "cookie", "header", "referer", "filename"),
    ),
    Rule(
        id="AG-TRAVERSAL-022",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^\.(?:git|svn|hg|bzr|ssh|aws|azure|kube|docker|gnupg)/\w[^\s<>\"']{0,80}$",
        needs=(".git/", ".svn/", ".hg/", ".bzr/", ".ssh/", ".aws/", ".azure/", ".kube/", ".docker/", ".gnupg/"),
        why="A file of a repository or of secrets, asked for by its relative path.",
        positives=(".git/config", ".ssh/id_rsa", ".aws/credentials"),
        negatives=(".github/workflows/ci.yml", "edit .git/config", ".git", ".git/config holds the remotes"),
        views=("path",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-TRAVERSAL-012",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^[^\s<>\"']{0,60}(?:\bwp-config(?:-sample)?\.(?:php|txt|inc|old|bak)|\b(?:web|meta|app"
        r"|boot)-inf/[\w.]|\bid_(?:rsa|dsa|ecdsa|ed25519)"
        r"|\bauthorized_keys|/(?:web|machine|app|applicationhost)\.config|/global\.asax?|\bmetabase\.xml"
        r"|/localsettings\.php"
        r"|\bhttpd\.conf|\bphp[\d.-]{0,8}\.ini|\bmy\.(?:cnf|ini)|\b(?:sftp|ftpquota|sftp-config)\.json"
        r"|/config/database\.yml|/settings\.local\.py"
        r"|\bconfig(?:uration)?(?:\.inc)?\.php[.~](?:bak|old|save|swp|txt|orig)?|/(?:[\w.-]{0,20}[_.-])?(?:access"
        r"|error|acces)[_. -]{1,2}logs?"
        r"|\bproftpd\.conf|\bcatalina\.out|\bnginx\.conf|\blighttpd\.conf|\bpure-?ftpd\.|\bvsftpd\."
        r"|\btomcat-users\.xml|\bunattend(?:ed)?\.(?:xml|txt)|\bsam\.(?:bak|log))"
        r"[^\s<>\"']{0,40}\s{0,2}$",
        needs=(
            "wp-config",
            "-inf/",
            "id_",
            "authorized_keys",
            ".config",
            "global.asa",
            "metabase",
            "localsettings",
            "httpd.conf",
            ".ini",
            "my.cnf",
            ".json",
            "database.yml",
            "settings.local",
            ".php",
            "_log",
            ".log",
            "-log",
            " log",
            "ftpd",
            "catalina",
            "nginx.conf",
            "tomcat-users",
            "unattend",
            "sam.",
        ),
        why="Settings, keys or logs of an application or a server, by their well-known names, as a whole value.",
        places=("query", "body", "path", "cookie", "header", "referer", "filename"),
        positives=(
            "wp-config.php",
            "/WEB-INF/web.xml",
            "keys/id_rsa",
            "d:\\inetpub\\wwwroot\\shop\\global.asa",
            "c:\\php\\php.ini",
        ),
        negatives=("wp-config.php is missing", "id_row", "web-informatics", "an access_log entry", "app.config.js"),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-013",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^[^\s<>\"'a-z]{0,8}(?:file:/{1,3})?[c-h]:/(?:windows|winnt|winnts|inetpub|xampp|wamp\d{0,2}"
        r"|appserv|system32|sysprep|mysql|php\d?"
        r"|apache\d?|nginx|recycler|pagefile\.sys|autoexec|config\.sys|ntldr|program files(?: \(x86\))?/(?:apache"
        r"|mysql|xampp|php|filezilla|microsoft sql))"
        r"(?:$|[/.](?:[\w.-]{1,40} [\w.-]{1,30}/)?[^\s<>|]{0,100}\s{0,2}$)",
        needs=(":/",),
        why="The folders of a Windows, of its servers and their logs.",
        positives=("C:\\xampp\\apache\\conf\\shop.conf", "c:/windows/repair/sam", "file:///c:/winnt/win.ini"),
        negatives=(
            "C:\\fakepath\\photo.jpg",
            "installed in C:\\Windows\\System32",
            "C:\\Windows\\x must be edited",
            "https://windows.example",
        ),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-014",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^[^\s<>\"']{0,40}/(?:usr/(?:local/)?(?:apache\d?|php\d?|etc|httpd|mysql|nginx|zeus|pure-ftpd"
        r"|lib/(?:php|cron|security|systemd)|sbin|share/tomcat\d?)"
        r"|usr/ports|usr/local/(?:cpanel|psa|lsws|squid|www|samba|postgres)|opt/(?:lampp|bitnami|xampp|tomcat|nginx"
        r"|apache\d?|lsws|httpd)|apache\d?/|xampp/|mysql/(?:bin|data)"
        r"|library/webserver|private/(?:etc|var)|volumes/|boot/grub|mnt/(?:windows|c)/|nsswitch|data/data/"
        r"|logs/)[^\s<>\"']{0,80}\s{0,2}$",
        needs=(
            "/usr/",
            "/opt/",
            "/apache",
            "/xampp",
            "/mysql",
            "/library/",
            "/private/",
            "/volumes/",
            "/boot/",
            "/mnt/",
            "/nsswitch",
            "/data/data/",
            "/logs/",
        ),
        why="Where servers keep their settings and logs, as a whole value.",
        positives=("/usr/local/apache2/conf/shop.conf", "/opt/lampp/etc/php.ini", "/private/etc/x"),
        negatives=("/usr/local/apache was moved", "/option/lampp", "/user/local/"),
        views=("path",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-TRAVERSAL-018",
        attack="traversal",
        score=5,
        level=2,
        pattern=r"^file:/{1,3}(?:[^a-z/\s]|[a-z][^:|\s])|^[^\s<>]{0,8}/(?:etc|(?:proc|var|root|sys"
        r"|dev)(?:/[\w.-]{1,40}){0,5})/[\w.-]{1,32}(?:/[\w.-]{1,40})?$|^[c-h]:/[^\s:*?\"<>|]{1,60}\.(?:ini|log"
        r"|conf|cfg|sys|xml|dat|bak)$",
        needs=(":/", "/etc/", "/proc/", "/var/", "/root/", "/sys/", "/dev/"),
        why="An absolute path of the system as a whole value.",
        positives=("file:///srv/app/settings", "/etc/anything.conf", "d:/logs/x.log"),
        negatives=(
            "file:///C:/Users/me/index.html",
            "/etc/designs/site/clientlibs.css",
            "profile:/x",
            "see /etc/anything.conf",
            "C:\\fakepath\\a.jpg",
        ),
        views=("path",),
        places=("query", "body", "cookie", "header", "referer", "filename"),
    ),
    Rule(
        id="AG-TRAVERSAL-021",
        attack="traversal",
        score=5,
        level=2,
        pattern=r"^/\S{0,60}/\.(?:[b-mo-vx-z_]|a[^uc]|w[^e]|n[^e])[\w.-]{1,40}|^/\.(?:[b-mo-vx-z_]|a[^uc]|w[^e]"
        r"|n[^e])[\w.-]{1,40}",
        needs=("/.",),
        why="A hidden file or folder is nothing that a site serves.",
        positives=("/.hidden", "/app/.tool/settings.json"),
        negatives=("/.well-known/security.txt", "/.auth/me", "/.acme", "/a.b"),
        places=("path",),
        views=("path",),
    ),
)
