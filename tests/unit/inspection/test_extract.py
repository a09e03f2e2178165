"""Extract: one parameter at a time, names and values, as an application would get them."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from asgi_guard.inspection import body as bodies
from asgi_guard.inspection.extract import head
from asgi_guard.inspection.limits import CrossedError, Limits
from asgi_guard.inspection.multipart import MultipartReader

LIMITS = Limits()


def in_head(path: bytes = b"/", query: bytes = b"", **headers: str) -> list[tuple[str, str, str]]:
    """Return the values of a head, but for the path."""
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return [tuple(value) for value in head(path, query, lines, LIMITS)][1:]


def in_body(body: bytes, content_type: bytes, limits: Limits = LIMITS) -> list[tuple[str, str, str]]:
    """Return the values of a body."""
    return [tuple(value) for value in bodies.values(body, bodies.kind_of(content_type), content_type, limits)]


def test_a_query_is_taken_apart() -> None:
    """Names and values are decoded once, duplicates are kept, and what has no name is a value."""
    assert in_head(query=b"a=1&a=%27x+y&b%5B%5D=&%3Cb%3E") == [
        ("name", "a", "a"),
        ("query", "a", "1"),
        ("name", "a", "a"),
        ("query", "a", "'x y"),
        ("name", "b[]", "b[]"),
        ("query", "", "<b>"),
    ]


def test_a_pair_whose_sign_is_encoded_is_taken_apart_as_well() -> None:
    """An application that decodes twice reads a value behind it."""
    assert in_head(query=b"a%3Db+c&d%3D&%3De&f+g%3Dh") == [
        ("query", "", "a=b c"),
        ("query", "a", "b c"),
        ("query", "", "d="),
        ("query", "", "=e"),
        ("query", "", "f g=h"),
    ]


def test_a_content_type_with_another_one_in_it_is_looked_at() -> None:
    """By one a filter reads the body, by the other the application."""
    odd = 'text/plain; boundary="text/html"'
    assert in_head(content_type=odd) == [("header", "content-type", odd)]
    assert in_head(content_type="application/json; charset=utf-8") == []


def test_the_path_is_looked_at_as_it_was_sent() -> None:
    """What a server has decoded no longer shows how it was written."""
    assert next(head(b"/a/..%2f", b"", [], LIMITS)) == ("path", "", "/a/..%2f")


def test_headers_that_applications_take_for_input_are_looked_at() -> None:
    """Cookies and the query of the Referer one by one; those of the standards only where old faults lie."""
    assert in_head(
        cookie="a=1; b=x%20y; flag",
        referer="https://www.example.com/?q=z",
        user_agent="Browser/1",
        x_filename="f.txt",
        accept="text/html",
        sec_ch_ua='"Chromium";v="122"',
        accept_language="${jndi:x}",
    ) == [
        ("name", "a", "a"),
        ("cookie", "a", "1"),
        ("name", "b", "b"),
        ("cookie", "b", "x%20y"),
        ("cookie", "", "flag"),
        ("name", "q", "q"),
        ("referer", "q", "z"),
        ("user_agent", "user-agent", "Browser/1"),
        ("header", "x-filename", "f.txt"),
        ("header", "accept-language", "${jndi:x}"),
    ]


def test_json_gives_its_texts_and_keys() -> None:
    """Whatever is nested, duplicates too; numbers are no texts."""
    found = in_body(b'{"a": {"b": ["x", 1, null, true]}, "a": "y", "n": 1.5}', b"application/problem+json")

    assert sorted(found) == [("body", "a", "y"), ("body", "b", "x")] + [("name", name, name) for name in "abn"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-be"])
def test_json_in_other_encodings_is_read(encoding: str) -> None:
    """Parsers detect them (RFC 4627 section 3), so an attack may be written in one."""
    assert in_body('["<b>"]'.encode(encoding), b"application/json") == [("body", "", "<b>")]


@pytest.mark.parametrize("body", [b'{"a": "<b>",}', b"{'a': '<b>'}", b'"<b>', b"\xff\xfe<"])
def test_what_is_no_json_is_looked_at_as_a_text(body: bytes) -> None:
    """A lenient parser may take it."""
    assert in_body(body, b"application/json")[0][0] == "body"


@pytest.mark.parametrize(
    "body",
    [
        '{"a": "1"}\n{"b": "1 or 2"}\n',
        '{"b": "1 or 2",}',
        "{'b': '1 or 2'}",
        '/* x */ {"b": "1 or 2"}',
        '{"a": "\t", "b": "1 or 2"',
        '{} {"b": "1\\u0020or 2"}',
        '{"b": "1 or 2',
    ],
)
def test_a_string_in_what_is_no_json_is_looked_at_by_itself(body: str) -> None:
    """So that nothing around it hides it: lines of NDJSON, commas, comments and quotes that a parser may let pass."""
    assert ("body", "", "1 or 2") in in_body(body.encode(), b"application/json")


def test_strings_that_end_nowhere_are_read_once() -> None:
    """And no more of them than a document may have."""
    assert len(in_body(b'{"' + b'\\"' * 100_000, b"application/json")) == 2
    with pytest.raises(CrossedError):
        in_body(b'"a",' * 20_000, b"application/json")


def test_what_is_empty_takes_time_as_well() -> None:
    """A list of nothing but empty lists has no text, and no end."""
    assert in_body(b"[" + b"[]," * 9_000 + b"[]]", b"application/json").count(("body", "", "")) == 8
    with pytest.raises(CrossedError):
        in_body(b"[" + b"[]," * 40_000 + b"[]]", b"application/json")


def test_a_huge_number_is_no_reason_to_fail() -> None:
    """Python refuses to read more than 4,300 digits."""
    assert in_body(b'[1%s, "x"]' % (b"0" * 5_000), b"application/json") == [("body", "", "x")]


@pytest.mark.parametrize("content_type", [b"", b"application/octet-stream", b"text/plain", b"image/png"])
def test_json_is_known_by_its_beginning_as_well(content_type: bytes) -> None:
    """Applications read it whatever the client calls it."""
    assert ("body", "a", "x") in in_body(b' \n{"a": "x"}', content_type)


def test_a_form_that_begins_like_json_is_read_as_both() -> None:
    """`curl -d` calls JSON a form, and a brace must not hide a form."""
    assert ("body", "a", "x") in in_body(b'{"a": "x"}', b"application/x-www-form-urlencoded")
    assert ("body", "q", "<b>") in in_body(b"{=1&q=%3Cb%3E", b"application/x-www-form-urlencoded")


def test_xml_gives_its_prolog_its_texts_and_its_attributes() -> None:
    """Nothing is expanded."""
    document = (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a x="1"><b>two</b><![CDATA[<i>]]><c y=\'3\'/>&b;</a>'
    )

    assert in_body(document, b"application/soap+xml") == [
        ("xml", "", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>'),
        ("body", "x", "1"),
        ("body", "b", "two"),
        ("body", "b", "<i>"),
        ("body", "y", "3"),
        ("body", "c", "&b;"),
    ]


MULTIPART = (
    b'--x"\r\nContent-Disposition: form-data; name="q"\r\n\r\nvalue\r\n'
    b'--x"\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nX-Extra: e\r\n\r\n<skipped>\r\n--y\r\n'
    b"--x\"\r\nContent-Disposition: form-data; name='n'\r\n\r\nlast\r\n"
    b'--x"--\r\n'
).replace(b'x"', b"x")
READ = [
    ("name", "q", "q"),
    ("body", "q", "value"),
    ("name", "f", "f"),
    ("filename", "f", "a.txt"),
    ("header", "x-extra", "e"),
    ("name", "'n'", "'n'"),
    ("body", "'n'", "last"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1_000])
def test_multipart_is_read_the_same_however_it_comes(size: int) -> None:
    """Fields, names of files and headers of parts; not what is in the files."""
    reader = MultipartReader(b"multipart/form-data; charset=utf-8; boundary=x", LIMITS)
    found = [value for at in range(0, len(MULTIPART), size) for value in reader.feed(MULTIPART[at : at + size])]

    assert [tuple(value) for value in [*found, *reader.close()]] == READ


def test_multipart_is_read_whose_lines_have_no_carriage_return() -> None:
    """Some parsers take it; but not lines of both kinds, one of which another parser would not take."""
    assert in_body(MULTIPART.replace(b"\r\n", b"\n"), b"multipart/form-data; boundary=x") == READ
    for at in range(MULTIPART.count(b"\r\n--x")):
        pieces = MULTIPART.split(b"\r\n--x")
        mixed = b"\r\n--x".join(pieces[: at + 1]) + b"\n--x" + b"\r\n--x".join(pieces[at + 1 :])
        with pytest.raises(CrossedError):
            in_body(mixed, b"multipart/form-data; boundary=x")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; xboundary=x",
        "multipart/form-data; boundary=y; boundary=x",
        'multipart/form-data; a="boundary=y"; boundary=x; b',
        "multipart/form-data; boundary=y; boundary*=utf-8''x",
        'multipart/form-data; boundary="\\\\x"',
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=x; charset=cp037",
        "multipart/form-data; boundary=x; charset=utf-16",
    ],
)
def test_a_boundary_that_parsers_read_in_different_ways_is_refused(content_type: str) -> None:
    """Or the attack stands where this one sees a file, and that one a field."""
    with pytest.raises(CrossedError) as caught:
        in_body(MULTIPART, content_type.encode())
    assert caught.value.limit in {"boundary", "encoding"}


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="f"; filename=""',
        "form-data; name=\"f\"; filename*=utf-8''a.txt",
        'form-data; name="f"; x="; filename=b"',
        'form-data; name="f"; filename="a"; filename="b"',
        'form-data; name="f"\x0bContent-Disposition: form-data; filename="a"',
        'form-data; name="f"\u2028X: y; filename="a"',
        'form-data; name="f"\r\nContent-Disposition: form-data; name="f"; filename="a"',
    ],
)
def test_what_not_all_parsers_take_for_a_file_is_looked_at(disposition: str) -> None:
    """A file is not: it would be the place to hide."""
    body = f"--x\r\nContent-Disposition: {disposition}\r\n\r\n<b>\r\n--x--\r\n".encode()
    assert "<b>" in [value for _, _, value in in_body(body, b"multipart/form-data; boundary=x")]


@pytest.mark.parametrize(
    "part",
    [
        'Content-Disposition: form-data; name="f"\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+',
        'Content-Disposition: form-data; name="f"\r\nContent-Type: text/plain; charset=cp037\r\n\r\nx',
        'Content-Disposition: form-data; name="f"\r\n\r\nx\r\n--xy\r\nContent-Disposition: form-data\r\n\r\ny',
    ],
    ids=["an encoding", "a charset", "half a boundary"],
)
def test_a_part_that_parsers_read_in_different_ways_is_refused(part: str) -> None:
    """Some decode it, and some do not."""
    with pytest.raises(CrossedError):
        in_body(f"--x\r\n{part}\r\n--x--\r\n".encode(), b"multipart/form-data; boundary=x")


def test_a_part_without_its_end_is_looked_at() -> None:
    """An application may take it for whole."""
    unfinished = MULTIPART.partition(b"value")[0] + b"<b>"

    assert in_body(unfinished, b"multipart/form-data; boundary=x")[-1] == ("body", "q", "<b>")


def test_nothing_of_a_file_is_kept() -> None:
    """However large it is."""
    reader = MultipartReader(b"multipart/form-data; boundary=x", LIMITS)
    assert list(reader.feed(b'--x\r\nContent-Disposition: form-data; filename="f"\r\n\r\n')) == [("filename", "", "f")]

    for _ in range(64):
        assert list(reader.feed(b"-" * 65_536)) == []
    assert len(reader._buffer) < 16


@pytest.mark.parametrize(
    ("body", "content_type", "limits", "crossed"),
    [
        (b"&".join([b"a=1"] * 6), b"application/x-www-form-urlencoded", Limits(fields=5), "fields"),
        (b"[[[[1]]]]", b"application/json", Limits(depth=3), "depth"),
        (b"[" * 100_000, b"application/json", LIMITS, "depth"),
        (json.dumps(["x"] * 6).encode(), b"application/json", Limits(leaves=5), "leaves"),
        (b"<a>" + b"<b>x</b>" * 6, b"text/xml", Limits(leaves=5), "leaves"),
        (b"--x\r\n\r\n\r\n" * 7, b"multipart/mixed; boundary=x", Limits(parts=5), "parts"),
        (b"--x\r\n" + b"h" * 9_000, b"multipart/mixed; boundary=x", LIMITS, "parts"),
        (b"--x\r\n\r\n" + b"h" * 200, b"multipart/mixed; boundary=x", Limits(body_bytes=100), "body_bytes"),
        (b"--x", b"multipart/form-data", LIMITS, "boundary"),
    ],
)
def test_a_crossed_limit_is_said(body: bytes, content_type: bytes, limits: Limits, crossed: str) -> None:
    """And never passed over, or padding would carry an attack past."""
    with pytest.raises(CrossedError) as caught:
        in_body(body, content_type, limits)

    assert caught.value.limit == crossed


@pytest.mark.parametrize(
    ("encode", "encoding"),
    [
        (gzip.compress, b"gzip"),
        (lambda body: gzip.compress(body[:2]) + gzip.compress(body[2:]), b"gzip"),
        (zlib.compress, b"deflate"),
        (lambda body: zlib.compress(body)[2:-4], b"deflate"),
        (lambda body: gzip.compress(zlib.compress(body)), b"deflate, GZIP"),
        (lambda body: body, b"identity"),
        (lambda body: gzip.compress(b"") * 200 + gzip.compress(body) + bytes(9_000), b"x-gzip"),
    ],
)
def test_an_encoded_body_is_inflated_for_the_look(encode, encoding: bytes) -> None:
    """All of it, also behind the end of a first member."""
    assert bodies.inflate(encode(b"<script>"), encoding, LIMITS) == b"<script>"


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(b"x" * 300_000, mtime=0), b"gzip", 413),
        (b"nonsense", b"gzip", 400),
        (b"x", b"br", 415),
        (b"x", b"zstd", 415),
        (b"x", b", ".join([b"gzip"] * 5), 415),
        (gzip.compress(b"", mtime=0) * 300, b"gzip", 400),
    ],
)
def test_what_cannot_be_inflated_is_said(body: bytes, encoding: bytes, status: int) -> None:
    """A bomb, a lie, or what nobody here can undo."""
    with pytest.raises(CrossedError) as caught:
        bodies.inflate(body, encoding, LIMITS)

    assert caught.value.status == status


@pytest.mark.parametrize(
    ("content_type", "name"), [("application/graphql; charset=utf-8", "query"), ("text/css", ""), ("text/plain", "")]
)
def test_a_body_that_is_a_document_of_graphql_goes_by_the_name_of_one(content_type: str, name: str) -> None:
    """So that its aliases are counted, and those of what has as many colons, such as a style sheet, are not."""
    assert in_body(b"{ a { b: c } }", content_type.encode())[0] == ("body", name, "{ a { b: c } }")


@pytest.mark.parametrize(
    ("body", "may_be"),
    [
        (b'{"a": "' + b"b" * 100, True),
        (b'[1, 2, {"a": tru', True),
        (b'\xef\xbb\xbf [1, "\\u00', True),
        (b"[" * 100_000, True),
        (b"<a>" * 100, True),
        ('["größer", '.encode("utf-16"), True),
        (b"[section]\nname=value\n", False),
        (b"{\\rtf1\\ansi Hello " + b"a" * 100, False),
        (b'{"a": 1}\n{"a": 2}\n{"a": 3}\n{"a": 4}\n', False),
        (b"{" + bytes(range(256)), False),
    ],
)
def test_what_begins_like_a_document_is_told_from_what_may_be_one(body: bytes, may_be: bool) -> None:
    """A long file of no known type is no document for its first character."""
    assert bodies.may_be_document(body) is may_be


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-protobuf",
        "application/vnd.google.protobuf",
        "application/x-msgpack",
        "application/vnd.apache.avro",
        "avro/binary",
        "application/vnd.apache.arrow.stream",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/grpc+proto",
        "Image/PNG",
    ],
)
def test_what_programs_write_for_programs_is_a_file(content_type: str) -> None:
    """So that an encoding of it which cannot be undone is no reason to refuse it."""
    assert bodies.is_file(content_type.encode())
    assert not bodies.is_file(b"application/x-unknown")
