"""Read a request from where people have it: a curl command line, or the request itself in a file.

Browsers copy their requests as curl commands, and bug reports hold one or the other. What curl would send is made of
it, with the headers that curl adds; what concerns the connection or the output alone is read past.
Must never send anything.
"""

from __future__ import annotations

import argparse
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import Final, NoReturn
from urllib.parse import quote, urlsplit

from asgi_guard.engine.types import Scope

_FORM: Final = "application/x-www-form-urlencoded"
_BOUNDARY: Final = "------------------------asgi-guard"
_WORD: Final = re.compile(
    r"""\$'((?:\\.|[^'\\])*)'  |  '([^']*)'  |  "((?:\\.|[^"\\])*)"  |  \\(.)  |  ([^\s'"\\$]+|\$)  |  (\s+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|[uU]([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}
_FOLD: Final = re.compile(rb"[ \t]*\r?\n[ \t]+")
_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r?\n")
_LINE_END: Final = re.compile(rb"(?:\r?\n)?")
_DATA: Final = ("-d --data --data-ascii", "--data-raw", "--data-binary", "--data-urlencode", "--json")
_FORMS: Final = ("-F --form", "--form-string")
_IGNORED: Final = "-s -S -k -L -v -i -f -g -N --silent --show-error --insecure --location --verbose --include --fail"
_IGNORED_LONG: Final = "--globoff --compressed --http1.0 --http1.1 --http2 --path-as-is --no-buffer --no-progress-meter"
_IGNORED_VALUES: Final = (
    "-o -m -x --output --max-time --connect-timeout --proxy --resolve --cacert --cert --key --retry"
)


class UnreadableError(Exception):
    """What was given is no request."""


@dataclass(slots=True)
class Sent:
    """One request as a client sends it.

    Attributes:
        method: in capitals.
        target: path and query, still encoded.
        headers: names and values, in order.
        body: all of it.
    """

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""

    def header(self, name: bytes) -> bytes:
        """Return the first value of a header (lower-case name); empty where there is none."""
        return next(iter(self.lines(name)), b"")

    def lines(self, name: bytes) -> list[bytes]:
        """Return all values of a header (lower-case name)."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def scope(self) -> Scope:
        """The ASGI scope that a server would make of it."""
        path, _, query = self.target.partition(b"?")
        return {
            "type": "http",
            "method": self.method,
            "path": re.sub(rb"%([0-9a-fA-F]{2})", lambda match: bytes.fromhex(match[1].decode()), path).decode(
                errors="replace"
            ),
            "raw_path": path,
            "query_string": query,
            "headers": [(name.lower(), value) for name, value in self.headers],
        }


def read_raw(octets: bytes) -> Sent:
    """Read a request as it goes over the wire (RFC 9112); lines may end with a line feed alone.

    A header that goes on in the next line is one, and a body that comes in chunks is put together; who has written it
    down may have done so already.

    Raises:
        UnreadableError: it does not begin like one, or its chunks are not what they say.
    """
    head, *bodies = re.split(rb"\r?\n\r?\n", octets.lstrip(b"\r\n"), maxsplit=1)
    first, *lines = _FOLD.sub(b" ", head).splitlines() or [b""]
    match = re.fullmatch(rb"([A-Za-z]{1,32}) (\S+)(?: HTTP/[0-9.]+)?", first.strip())
    if match is None:
        raise UnreadableError("it does not begin with a method and a path, such as GET /search?q=1 HTTP/1.1")
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(b":") for line in lines if line)]
    target = re.sub(rb"\Ahttps?://[^/?]*", b"", match[2]) or b"/"
    sent = Sent(match[1].decode().upper(), target, headers, b"".join(bodies))
    if b", ".join(sent.lines(b"transfer-encoding")).lower().endswith(b"chunked"):
        sent.body = _joined(sent.body)
    return sent


def _joined(chunked: bytes) -> bytes:
    """Put chunks together (RFC 9112, section 7.1); what does not begin like one is left as it is."""
    chunks: list[bytes] = []
    at = 0
    while (size := _SIZE.match(chunked, at)) is not None:
        at = size.end() + int(size[1], 16)
        chunks.append(chunked[size.end() : at])
        if not chunks[-1]:
            return b"".join(chunks)
        at += len(_LINE_END.match(chunked, at)[0])  # type: ignore[index]
    if chunks:
        raise UnreadableError(f"chunk {len(chunks)} of its body is not as long as it says, or the last one is missing")
    return chunked


def split(command: str) -> list[str]:
    """Split a command line as a POSIX shell would, `$'...'` as well.

    Raises:
        UnreadableError: a quotation mark has no other one.
    """
    words: list[str] = []
    word: list[str] | None = None
    at = 0
    while at < len(command):
        match = _WORD.match(command, at)
        if match is None:
            raise UnreadableError(f"the quotation mark at character {at} has no other one")
        at = match.end()
        ansi, single, double, escaped, plain, blank = match.groups()
        if blank is not None:
            words += ["".join(word)] if word is not None else []
            word = None
        elif escaped != "\n":  # else the line goes on
            word = word or []
            word.append(_text(ansi, single, double, escaped, plain))
    return [*words, "".join(word)] if word is not None else words


def _text(ansi: str | None, single: str | None, double: str | None, escaped: str | None, plain: str | None) -> str:
    if ansi is not None:
        return _ESCAPE.sub(_unescape, ansi)
    if double is not None:
        return re.sub(r'\\([\\"$`]|\n)', lambda match: match[1].strip("\n"), double)
    return next(part for part in (single, escaped, plain) if part is not None)


def _unescape(match: re.Match[str]) -> str:
    hexadecimal, code, octal, other = match.groups()
    if other is not None:
        return _ESCAPED.get(other, other)
    return chr(int(octal, 8) & 0xFF if octal else int(hexadecimal or code, 16) % 0x110000)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UnreadableError(f"curl: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("urls", nargs="*")
    add("--url", action="append", dest="urls_given", default=[])
    add("-X", "--request", dest="method")
    add("-H", "--header", action="append", default=[])
    add("-A", "--user-agent")
    add("-e", "--referer")
    add("-b", "--cookie", action="append", default=[])
    add("-u", "--user")
    add("-G", "--get", action="store_true")
    add("-I", "--head", action="store_true")
    for dest, kinds in (("data", _DATA), ("form", _FORMS)):
        for names in kinds:
            options = names.split()
            add(*options, action="append", dest=dest, type=partial(_as, options[-1]), default=[])
    for name in f"{_IGNORED} {_IGNORED_LONG}".split():
        add(name, action="store_true", dest="ignored")
    for name in _IGNORED_VALUES.split():
        add(name, dest="ignored")
    return parser


def _as(option: str, text: str) -> tuple[str, str]:
    return option, text


def read_curl(arguments: Sequence[str]) -> Sent:
    """Read what curl would send.

    Args:
        arguments: those of curl, without its name.

    Raises:
        UnreadableError: curl would not take them, or they are of a kind that is not read here.
        OSError: a file that they name cannot be read.
    """
    options = _parser().parse_args([*arguments])
    urls = [*options.urls_given, *options.urls]
    if len(urls) != 1:
        raise UnreadableError(f"curl: one URL is wanted, and there are {len(urls)}")
    try:
        url = urlsplit(urls[0] if "://" in urls[0] else f"http://{urls[0]}")
    except ValueError as error:
        raise UnreadableError(f"curl: {urls[0][:80]!a} is no URL: {error}") from None
    query, body, kind = url.query, b"", ""
    if options.form:
        body, kind = _multipart(options.form), f"multipart/form-data; boundary={_BOUNDARY}"
    elif options.data:
        data = _data(options.data)
        if options.get:
            query = "&".join(filter(None, (query, data.decode("utf-8", "surrogateescape"))))
        else:
            body, kind = data, "application/json" if options.data[0][0] == "--json" else _FORM
    standard = {
        "Host": url.netloc.rpartition("@")[2],
        "User-Agent": options.user_agent or "curl/8.5.0",
        "Accept": "application/json" if kind == "application/json" else "*/*",
        "Referer": options.referer,
        "Cookie": "; ".join(options.cookie),
        "Authorization": options.user and f"Basic {b64encode(options.user.encode()).decode()}",
        "Content-Type": kind,
        "Content-Length": f"{len(body)}" if kind else "",
    }
    target = (url.path or "/") + (f"?{query}" if query else "")
    method = options.method or ("HEAD" if options.head else "POST" if kind else "GET")
    return Sent(method.upper(), _octets(target), _headers(standard, options.header), body)


def _headers(standard: dict[str, str | None], given: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """Put the given headers in place of those of curl; `Name:` takes one away, and `Name;` is an empty one."""
    headers: list[tuple[str, str]] = []
    for line in given:
        name, colon, value = line.partition(":")
        if not colon:
            name, colon, value = line.partition(";")
        if colon == ";" or value.strip():
            headers.append((name.strip(), value.strip()))
        standard = {key: text for key, text in standard.items() if key.lower() != name.strip().lower()}
    headers[:0] = [(name, value) for name, value in standard.items() if value]
    return [(_octets(name), _octets(value)) for name, value in headers]


def _data(given: Iterable[tuple[str, str]]) -> bytes:
    pieces: list[bytes] = []
    for option, text in given:
        if option == "--data-urlencode":
            pieces.append(_urlencoded(text))
        elif text.startswith("@") and option != "--data-raw":
            octets = Path(text[1:]).read_bytes()
            pieces.append(octets.translate(None, b"\r\n") if option == "--data-ascii" else octets)
        else:
            pieces.append(_octets(text))
        if option != "--json":
            pieces.append(b"&")
    return b"".join(pieces[:-1] if pieces[-1] == b"&" else pieces)


def _urlencoded(text: str) -> bytes:
    name, mark, content = re.fullmatch(r"(?s)([^=@]*)([=@]?)(.*)", text).groups()  # type: ignore[union-attr]
    if not mark:
        name, content = "", name
    octets = Path(content).read_bytes() if mark == "@" else _octets(content)
    return _octets(f"{name}=" if name else "") + quote(octets, safe="").encode()


def _multipart(fields: Iterable[tuple[str, str]]) -> bytes:
    parts: list[bytes] = []
    for option, text in fields:
        name, _, content = text.partition("=")
        content, *attributes = [content] if option == "--form-string" else content.split(";")
        head = f'Content-Disposition: form-data; name="{name}"'
        octets = _octets(content)
        if content[:1] in {"@", "<"} and option != "--form-string":
            octets = Path(content[1:]).read_bytes()
        if content[:1] == "@":
            given = next((one[9:].strip('"') for one in attributes if one.startswith("filename=")), None)
            head += f'; filename="{given or PurePath(content[1:]).name}"'
        kind = next((f"\r\nContent-Type: {one[5:]}" for one in attributes if one.startswith("type=")), "")
        parts.append(_octets(f"--{_BOUNDARY}\r\n{head}{kind}\r\n\r\n") + octets + b"\r\n")
    return b"".join([*parts, _octets(f"--{_BOUNDARY}--\r\n")])


def _octets(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UnreadableError(f"curl: {text[:80]!a} has half a character in it, which no terminal can send") from None
