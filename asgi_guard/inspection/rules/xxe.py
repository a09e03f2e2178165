"""XML external entities (CWE-611), entities that multiply (CWE-776), XInclude and style sheets that read (CWE-91).

A DOCTYPE is harmless, and so is one that names its public definition; one that names a file, a server or another
entity is what an attack is made of. Must never hold a row of somebody else's collection; every example was written for
its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Place, Rule

_PLACES: Final[tuple[Place, ...]] = ("xml", *VALUES)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-XXE-001",
        attack="xxe",
        score=5,
        level=1,
        pattern=r"<!entity\s{1,20}(?:%\s{0,20})?[^\s>\"']{1,64}\s{1,20}(?:system|public)[\s\"']",
        needs=("<!entity",),
        why="An entity whose text is read from a file or a server.",
        positives=(
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
            '<!ENTITY % c PUBLIC "x" "http://x.example/y.dtd">',
        ),
        negatives=('<!ENTITY nbsp "&#160;">', "an <!ENTITY> of the system"),
        places=_PLACES,
    ),
    Rule(
        id="AG-XXE-002",
        attack="xxe",
        score=5,
        level=1,
        pattern=r"<!doctype\s{1,20}[^\s>\[]{1,64}\s{1,20}(?:system\s{0,20}[\"'](?:[a-z][a-z0-9+.-]{1,20}:/|\\\\|//|/|php:|data:|"
        r"jar:|netdoc:)|public\s{0,20}[\"'][^\"'>]{0,100}[\"']\s{0,20}[\"'](?:file|ftp|gopher|php|expect|data|jar|netdoc|"
        r"dict|ldap|phar|zip)[:/])",
        needs=("<!doctype",),
        why="A document type that is read from a file or a server.",
        positives=(
            '<!DOCTYPE a SYSTEM "http://x.example/y.dtd">',
            "<!DOCTYPE a SYSTEM 'file:///etc/hosts'>",
            '<!doctype a PUBLIC "-//x" "jar:http://x.example!/y">',
        ),
        negatives=(
            "<!DOCTYPE html>",
            '<!DOCTYPE html SYSTEM "about:legacy-compat">',
            '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">',
            '<!DOCTYPE article SYSTEM "article.dtd">',
        ),
        places=_PLACES,
    ),
    Rule(
        id="AG-XXE-003",
        attack="xxe",
        score=5,
        level=1,
        pattern=r"<!entity\s{1,20}(?:%\s{0,20})?[^\s>\"']{1,64}\s{1,20}(?:\"[^\">]{0,100}[&%][a-z_][\w.-]{0,40};|"
        r"'[^'>]{0,100}[&%][a-z_][\w.-]{0,40};|[\"']\s{0,10}<!(?:entity|element|attlist)|[\"']<!\[cdata\[|"
        r"[\"'](?:&#x?[0-9a-f]{1,6};){4}|[\"'](?:%[0-9a-f]{2}){4})|"
        r"<!entity\s{1,20}%\s{1,20}[\w.:-]{1,64}|<!doctype[^\[>]{0,100}\[\s{0,20}(?:<!element[^>]{0,60}>\s{0,20})?%[a-z_][\w.-]{0,40};|"
        r"(?:&[a-z_][\w.-]{0,40};){10}",
        needs=("<!entity", "<!doctype", ";&"),
        why="An entity is made of others: it multiplies, or it carries a file away.",
        positives=(
            '<!DOCTYPE z [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]>',
            "<!ENTITY % f \"<!ENTITY g SYSTEM 'x'>\">",
            "<!DOCTYPE a [ %remote; ]>",
            "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;",
        ),
        negatives=('<!ENTITY company "Example &#38; Sons">', "100 %; done", "&lt;&gt;"),
        places=_PLACES,
    ),
    Rule(
        id="AG-XXE-004",
        attack="xxe",
        score=5,
        level=1,
        pattern=r"<[\w:-]{0,20}include[\s/][^>]{0,100}(?:parse\s{0,4}=\s{0,4}[\"']text|href\s{0,4}=\s{0,4}[\"'](?:file|https?|"
        r"ftp|php|expect|gopher|data|jar|netdoc|/|\.\.?[/\\]|[a-z]:\\))|(?:^|[\"'])http://www\.w3\.org/200[13]/xinclude(?:[\"']|$)|"
        r"<[\w:-]{0,20}fallback\s{0,4}/?>\s{0,4}</[\w:-]{0,20}include",
        needs=("include",),
        why="XInclude puts a file where its element stands.",
        positives=(
            '<xi:include parse="text" href="x"/>',
            '<a xmlns:xi="http://www.w3.org/2001/XInclude">',
            "<include href='file:///etc/hosts'/>",
        ),
        negatives=("<include>x</include>", '<include href="part.xml"/>', "to include files"),
        places=_PLACES,
    ),
    Rule(
        id="AG-XXE-005",
        attack="xxe",
        score=5,
        level=1,
        pattern=r"<\?xml[^>]{0,80}encoding\s{0,4}=\s{0,4}[\"']?(?:(?:unicode-1-1-)?utf-?7|utf-?32|ibm-?\d{3}|hz"
        r"|cp-?(?:037|500|1026|1140)|ebcdic|iso-?2022)|"
        r"\+adwaiq-|<!doctype[^>]{0,100}\[[^\]]{0,100}<!attlist[^>]{0,80}(?:entity|onload)",
        needs=("encoding", "+adwaiq-", "<!doctype"),
        why="A character set in which no filter reads the DOCTYPE.",
        positives=(
            "<?xml version='1.0' encoding='utf-7'?>+ADw-x",
            '<?xml version="1.0" encoding="IBM037"?>',
            '<?xml version="1.0" encoding="ISO-2022-KR"?>',
            "+ADwAIQ-DOCTYPE",
        ),
        negatives=('<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0" encoding="utf-16"?>'),
        places=_PLACES,
    ),
    Rule(
        id="AG-XXE-006",
        attack="xxe",
        score=5,
        level=1,
        pattern=r"<xsl:(?:include|import|copy-of|value-of|variable|param|for-each)[\s/][^>]{0,60}=\s{0,4}[\"'][^>]{0,60}"
        r"(?:document\s?\(|unparsed-text\s?\(|system-property\s?\(|(?:https?|file|ftp|php):|php:function|"
        r"[a-z]{1,12}:(?:exec|getruntime|eval|evaluate|new)\s?\()|php:function(?:string)?\s?\(|<msxsl:script|"
        r"(?:^|[\"'])(?:http://php\.net/xsl|http://xml\.apache\.org/xalan/java|urn:schemas-microsoft-com:xslt|"
        r"https?://saxon\.sf\.net/java-type)|\b(?:document|unparsed-text)\s?\(\s?[\"'](?:/|\.\.|[a-z]{2,8}:/)|<xsl:(?:result-document|evaluate)\b|[a-z]:write\s[^>]{0,40}[\"']\.\.?/",
        needs=("xsl", "php:function", "xalan", "saxon", "write", "document", "unparsed-text"),
        why="A style sheet that reads a file, writes one, or calls a function of the server.",
        positives=(
            "<xsl:copy-of select=\"document('/etc/passwd')\"/>",
            "<xsl:value-of select=\"system-property('xsl:vendor')\"/>",
            'xmlns:php="http://php.net/xsl"',
            "<msxsl:script language='C#'>",
        ),
        negatives=('<xsl:value-of select="title"/>', '<xsl:template match="shop/item">', "the document() function"),
        places=_PLACES,
    ),
    Rule(
        id="AG-XXE-007",
        attack="xxe",
        score=5,
        level=2,
        pattern=r"<!(?:entity|element|attlist|notation)[\s%]|<!doctype[^>\[]{0,100}(?:\[|system\s{1,8}[\"'](?:[^a]|a[^b]))|"
        r"<xsl:(?:stylesheet|template|value-of|copy-of)|[<:]xi:|[\"']http://www\.w3\.org/1999/xsl",
        needs=("<!", "xsl", "xi:"),
        why="Declarations of XML in a value that is no document, or in one that needs none.",
        positives=('<!ENTITY a "b">', "<!DOCTYPE a [", "<!DOCTYPE a SYSTEM 'b.dtd'>", "<xsl:template match='/'>"),
        negatives=("<!DOCTYPE html>", "<![CDATA[x]]>", "<xml>"),
    ),
    Rule(
        id="AG-XXE-008",
        attack="xxe",
        score=5,
        level=2,
        pattern=r"<!(?:entity|attlist|notation)[\s%]|<!doctype[^>\[]{0,100}\[",
        needs=("<!entity", "<!attlist", "<!notation", "<!doctype"),
        why="A document with definitions of its own, which an application's documents seldom have.",
        positives=('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>', "<!DOCTYPE a [ ]>"),
        negatives=('<?xml version="1.0"?>', "<!DOCTYPE html>"),
        places=("xml",),
    ),
)
