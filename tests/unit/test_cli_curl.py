"""Requests out of curl command lines and files: what curl would send, to the byte, and what is no request."""

from __future__ import annotations

from pathlib import Path

import pytest

from asgi_guard.cli_curl import UnreadableError, read_curl, read_raw, split

URL = "http://www.example.com/a?b=1"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("curl  'a b' c", ["curl", "a b", "c"]),
        (r"""a"b \" \x"'c"' """, ['ab " \\xc"']),
        (r"$'it\'s\n\x41\u0042\101'", ["it's\nABA"]),
        ("a \\\n  b\\ c", ["a", "b c"]),
        ("a '' $b", ["a", "", "$b"]),
    ],
)
def test_a_command_line_is_split_as_a_shell_would(command: str, words: list[str]) -> None:
    """As browsers copy it, which write `$'...'` where a text has quotation marks or line breaks."""
    assert split(command) == words


@pytest.mark.parametrize(
    ("arguments", "method", "target", "headers", "body"),
    [
        ([URL], "GET", b"/a?b=1", {}, b""),
        (["www.example.com"], "GET", b"/", {b"Host": b"www.example.com"}, b""),
        (["-I", URL], "HEAD", b"/a?b=1", {}, b""),
        (["-XPUT", "--url", URL, "-sSL", "-o", "x"], "PUT", b"/a?b=1", {}, b""),
        (["-d", "x=1", "-d", "y=2", URL], "POST", b"/a?b=1", {b"Content-Length": b"7"}, b"x=1&y=2"),
        (["-G", "-d", "x=1", URL], "GET", b"/a?b=1&x=1", {}, b""),
        (["--data-raw", "@x", URL], "POST", b"/a?b=1", {}, b"@x"),
        (["--data-urlencode", "q=a b&", URL], "POST", b"/a?b=1", {}, b"q=a%20b%26"),
        (["--data-urlencode", "a b", URL], "POST", b"/a?b=1", {}, b"a%20b"),
        (["--json", "[", "--json", "]", URL], "POST", b"/a?b=1", {b"Content-Type": b"application/json"}, b"[]"),
        (["-A", "me", "-e", "https://x/", "-b", "a=1", "-b", "b=2", URL], "GET", b"/a?b=1",
         {b"User-Agent": b"me", b"Referer": b"https://x/", b"Cookie": b"a=1; b=2"}, b""),
        (["-u", "a:b", URL], "GET", b"/a?b=1", {b"Authorization": b"Basic YTpi"}, b""),
        (["-H", "Accept: text/html", "-H", "X-A;", "-H", "user-agent:", URL], "GET", b"/a?b=1",
         {b"Accept": b"text/html", b"X-A": b"", b"User-Agent": None}, b""),
    ],
    ids=str,
)  # fmt: skip
def test_what_curl_would_send_is_read(arguments, method: str, target: bytes, headers, body: bytes) -> None:
    """Its own headers among it, where none were given."""
    sent = read_curl(arguments)

    assert (sent.method, sent.target, sent.body) == (method, target, body)
    assert {name: dict(sent.headers).get(name) for name in headers} == headers


def test_files_are_read_where_curl_reads_them(tmp_path: Path) -> None:
    """Without line breaks for `-d`, as a part of its own for `-F`."""
    file = tmp_path / "photo.txt"
    file.write_bytes(b"1\n2")

    assert read_curl(["-d", f"@{file}", URL]).body == b"12"
    assert read_curl(["--data-binary", f"@{file}", URL]).body == b"1\n2"
    assert read_curl(["--data-urlencode", f"q@{file}", URL]).body == b"q=1%0A2"
    form = read_curl(["-F", f"f=@{file};type=text/plain", "-F", f"g=@{file};filename=g", "--form-string", "t=@t", URL])
    assert form.body.count(b"1\n2") == 2
    for part in (b'name="f"; filename="photo.txt"\r\nContent-Type: text/plain', b'filename="g"', b'"t"\r\n\r\n@t\r\n'):
        assert part in form.body


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_request_is_read_as_it_goes_over_the_wire(end: str) -> None:
    """With either end of line, and also as proxies are asked."""
    raw = end.join(["post http://www.example.com/a%2Fb?c HTTP/1.1", "Host: x", "Cookie:  a=b ", "", "body\r\n\r\nmore"])
    sent = read_raw(raw.encode())

    assert (sent.method, sent.target, sent.body) == ("POST", b"/a%2Fb?c", b"body\r\n\r\nmore")
    assert sent.headers == [(b"Host", b"x"), (b"Cookie", b"a=b")]
    assert sent.scope["path"] == "/a/b"
    assert sent.scope["query_string"] == b"c"


def test_a_header_that_goes_on_in_the_next_line_is_one() -> None:
    """As servers read it that take it at all (RFC 9112, section 5.2)."""
    sent = read_raw(b"GET / HTTP/1.1\r\nX-A: a \r\n\t b\r\nX-B: c\r\n  d\n e\r\n\r\n")

    assert sent.headers == [(b"X-A", b"a b"), (b"X-B", b"c d e")]


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b"3\r\nabc\r\n2;a=b\r\n\r\n\r\n0\r\nX: y\r\n\r\n", b"abc\r\n"),
        (b"3\nabc\nA\n0123456789\n0\n\n", b"abc0123456789"),
        (b'{"a": "written down"}', b'{"a": "written down"}'),
        (b"", b""),
    ],
)
def test_a_body_that_comes_in_chunks_is_put_together(body: bytes, whole: bytes) -> None:
    """What is not chunked is taken as it is: a proxy has written it down."""
    assert read_raw(b"POST / HTTP/1.1\r\ntransfer-encoding: gzip,Chunked\r\n\r\n" + body).body == whole


@pytest.mark.parametrize("body", [b"ff\r\nabc", b"3\r\nabcd\r\n0\r\n\r\n", b"3\r\nabc\r\n"])
def test_a_chunk_of_another_length_is_said(body: bytes) -> None:
    """A server would refuse it, and nobody knows what it is."""
    with pytest.raises(UnreadableError, match="of its body is not as long"):
        read_raw(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body)


@pytest.mark.parametrize("arguments", [[], [URL, URL], ["--upload-file", "x", URL], ["-X"]])
def test_what_is_not_read_is_said(arguments: list[str]) -> None:
    """Rather than inspected as something else."""
    with pytest.raises(UnreadableError, match="curl: "):
        read_curl(arguments)
    for raw in (b"", b"hello", b"\n\n"):
        with pytest.raises(UnreadableError, match="method and a path"):
            read_raw(raw)
