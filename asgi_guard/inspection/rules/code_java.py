r"""Code injection and deserialization (CWE-94, CWE-502, CWE-917): Java, OGNL, SpEL, and .NET.

Names of classes stand in stack traces and in developers' prose: they count where they are called, or are the value.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Rule

_ALL: Final = (*VALUES, "xml", "user_agent")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-CODE-101",
        attack="code",
        score=5,
        level=1,
        pattern=r"\bjava\.(?:lang\.)?(?:[\w.]{0,20}\.)?(?:runtime|processbuilder|unixprocess|processimpl"
        r"|scriptenginemanager)\b|\bjava\.[a-z]{2,20}\.(?:runtime|processbuilder)\b|\.getruntime\s{0,2}\("
        r"|\bnew\s{1,4}processbuilder\s{0,2}\("
        r"|\bruntime\.getruntime\b|\.forname\s{0,2}\(\s{0,2}['\"]|\.getdeclaredmethods?\s?\("
        r"|\.getclass\(\)\.(?:forname|getmethod|classloader|getclassloader)",
        needs=("java.", "getruntime", "processbuilder", ".forname", ".getdeclaredmethod", ".getclass()."),
        why="The classes by which expressions of Java start a process.",
        positives=("${T(java.lang.Runtime).getRuntime()}", "new ProcessBuilder('id')", "''.class.forName('a')"),
        negatives=("java.lang.NullPointerException", "the runtime of java", "process builder"),
        places=_ALL,
    ),
    Rule(
        id="AG-CODE-102",
        attack="code",
        score=5,
        level=1,
        pattern=r"^(?:\w{1,16}=|\s{0,4})java\.(?:io|nio|lang|util|net|rmi|beans|sql|security"
        r"|awt)\.[\w.$]{3,60}\s{0,4}$",
        needs=("java.",),
        why="The name of a class as the whole value, which a deserializer is to make.",
        positives=("java.io.FileWriter", "java.util.HashMap", "java.lang.reflect.Method"),
        negatives=("java.lang.NullPointerException: null", "at java.util.HashMap", "java.io"),
        places=VALUES,
    ),
    Rule(
        id="AG-CODE-103",
        attack="code",
        score=5,
        level=1,
        pattern=r"\b(?:(?:clone|chained|invoker|instantiate|constant|map)transformer|instantiatefactory"
        r"|prototype(?:clone|serialization)factory|(?:for|while|foreach|chained|transformer)closure"
        r"|transformingcomparator|templatesimpl"
        r"|badattributevalueexpexception|annotationinvocationhandler|jdbcrowsetimpl|jndirefforwardingdatasource"
        r"|methodclosure|convertedclosure)\b|\bcom\.sun\.(?:org\.apache|rowset|jndi)\b|\borg\.(?:apache\.commons"
        r"|omg\.corba)$|\bcom\.opensymphony\.xwork|\borg\.apache\.(?:commons\.(?:collections|beanutils"
        r"|configuration)\d?|xalan|tomcat\.dbcp|bcel)\."
        r"|\bjavax\.(?:script|naming|management)\.\w|\borg\.codehaus\.groovy\.runtime"
        r"|\borg\.springframework\.(?:context\.support|beans\.factory|expression)\.\w{1,40}\b\s{0,2}[\"'({:]"
        r"|\bch\.qos\.logback\.core\.db",
        needs=(
            "transformer",
            "instantiatefactory",
            "prototype",
            "closure",
            "transformingcomparator",
            "templatesimpl",
            "badattribute",
            "annotationinvocation",
            "jdbcrowset",
            "jndiref",
            "com.sun.",
            "org.apache.",
            "org.omg",
            "com.opensymphony",
            "javax.",
            "org.codehaus.groovy",
            "org.springframework.",
            "ch.qos.logback",
        ),
        why="Classes out of which chains are built that run code when an object is read.",
        positives=(
            "functors.InvokerTransformer",
            "com.sun.rowset.JdbcRowSetImpl",
            "org.apache.commons.collections.functors.X",
            "new javax.script.ScriptEngineManager()",
        ),
        negatives=("transformer networks", "org.apache is a foundation", "disclosure", "javax.swing"),
        places=_ALL,
    ),
    Rule(
        id="AG-CODE-104",
        attack="code",
        score=5,
        level=1,
        pattern=r"(?:^|[^a-z0-9+/])ro0ab[a-z0-9][\w+/=-]{0,20}|(?:^|[^a-z0-9])aced0005[0-9a-f]{2}"
        r"|\ufffd\ufffd\x00?\x05[sturw]|(?:^|[^a-z0-9+/])(?:kztaau|cs7qaf)(?:$|[^a-z0-9+/])|(?:^|[^a-z0-9+/])(?:kztaau|cs7qaf|aaeaaad/{4,6}|gasv[\w+/-]{12}"
        r"|h4siaaaaaaaa\w{1,2}/?1vz|yv66vgaa)[\w+/=-]{4}".replace(r"\ufffd", "\ufffd"),
        needs=("ro0ab", "aced0005", "\x05", "kztaau", "cs7qaf", "aaeaaad", "gasv", "h4siaaaaaaaa", "yv66vgaa"),
        why="A serialized object of Java, .NET or Python, in base64, in hexadecimal or as it is.",
        positives=(
            "rO0ABXNyABFqYXZhLnV0aWw=",
            "aced00057372",
            "a=rO0ABQ==",
            "Cs7QAF",
            "AAEAAAD/////AQAAAAAAAAAMAgAA",
            "gASVJAAAAAAAAACMBXBvc2l4",
        ),
        negatives=("zero0about", "faced0005", "gasvogel is a bird"),
        places=_ALL,
    ),
    Rule(
        id="AG-CODE-105",
        attack="code",
        score=5,
        level=1,
        pattern=r"(?:^|[.\[])class(?:\.|\]?\[)(?:module(?:\.|\]?\[))?classloader\b|^class\.(?:module|classloader"
        r"|protectiondomain)\.",
        needs=("class",),
        why="The class loader is reached through the names of parameters (Spring4Shell, CVE-2022-22965).",
        positives=(
            "class.module.classLoader.resources.context.parent",
            "class.classLoader.URLs[0]",
            "a[class][classLoader]",
            "class[classLoader]",
        ),
        negatives=("class.name", "classloader", "first class.module"),
        places=("name", "query", "body"),
    ),
    Rule(
        id="AG-CODE-106",
        attack="code",
        score=5,
        level=1,
        pattern=r"[%$#*]\{\s{0,4}\(?\s{0,4}#[a-z_]|#_memberaccess\b|#(?:context|parameters|application|attr|request"
        r"|session)\s{0,2}\[['\"]|@ognl\.|\bognl\.(?:ognlcontext|memberaccess)|@java\.(?:lang|io"
        r"|util)\.\w{2,20}@|@org\.apache\.\w|[(,;]\s?#\w{1,12}\s{0,2}=\s{0,2}(?:new\s|@|#|')"
        r"|\bdefault_member_access|[$#*%]\{\s{0,4}(?:new\s{1,4}java|t\s{0,2}\(\s{0,2}[a-z]|@java|pagecontext\."
        r"|''\.getclass|\"\"\.getclass|\w{1,20}\.class\b|\w{1,12}\.getclass)|\bt\s?\(\s?java\.|\(new\s{1,4}java\."
        r"|\(#\w{1,20}=",
        needs=("{", "#", "ognl", "@java.", "@org.", "default_member_access", "t(java.", "t (java.", "(new"),
        why="Expressions of Struts and Spring reach any class.",
        positives=(
            "%{(#_='multipart/form-data')}",
            "#_memberAccess['allowStaticMethodAccess']",
            "${T(java.lang.System).getProperty('x')}",
            "@java.lang.Runtime@getRuntime()",
            "%{#a=new java.io.File('x')}",
            "(#a=1)",
        ),
        negatives=("#context of it", "%{name}", "#{id}", "${user.name}", "issue (#12)", "a{#id}", "color=#new"),
        places=(*VALUES, "user_agent"),
    ),
    Rule(
        id="AG-CODE-107",
        attack="code",
        score=5,
        level=1,
        pattern=r"<java\s[^>]{0,60}\bclass\s?=\s?['\"]java\.beans\.xmldecoder|<(?:void"
        r"|object)\s[^>]{0,60}\b(?:method|class)\s?=\s?['\"](?:java|start|exec|new)|<(?:sorted-set|tree-map"
        r"|dynamic-proxy|java\.util\.priorityqueue|jdk\.nashorn)\b|!!(?:javax?\.|com\.|org\.|python/|ruby/)"
        r"|!ruby/(?:object|hash|struct|class)"
        r"|\"?@(?:type|class)\"?\s{0,2}:\s{0,2}\"(?:com|org|java|javax|ch|oracle)\.|\bobjectdataprovider\b"
        r"|\bsystem\.(?:windows\.data\.|diagnostics\.process|configuration\.install)",
        needs=(
            "<java",
            "<void",
            "<object",
            "sorted-set",
            "tree-map",
            "dynamic-proxy",
            "priorityqueue",
            "jdk.nashorn",
            "!!",
            "!ruby/",
            "@type",
            "@class",
            "objectdataprovider",
            "system.",
        ),
        why="A document that tells a deserializer of XML, YAML or JSON which class to make and what to call.",
        positives=(
            '<java version="1.8" class="java.beans.XMLDecoder">',
            "!!javax.script.ScriptEngineManager [a]",
            "--- !ruby/object:Gem::Installer",
            '{"a" "@type":"com.sun.rowset.X"',
            "!!python/object/apply:os.system ['id']",
        ),
        negatives=("java version 8", "great!! python is", "<object data='a'>", "the @type field"),
        places=_ALL,
    ),
)
