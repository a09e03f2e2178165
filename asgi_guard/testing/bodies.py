"""Bodies: what a client of tests sends, written as browsers write it: JSON, forms and uploads.

Standard: RFC 7578 for uploads. Must never send something else than it was given: a name that would break out of its
quotes is escaped as the HTML standard says.
"""

from __future__ import annotations

import hashlib
import json as json_module
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast
from urllib.parse import urlencode

Upload: TypeAlias = bytes | str | tuple[str, bytes | str] | tuple[str, bytes | str, str]
"""The content, or the file's name and its content, or these and the content type."""

Content: TypeAlias = bytes | str | Iterable[bytes] | AsyncIterable[bytes]

_ESCAPES: Final = str.maketrans({"\r": "%0D", "\n": "%0A", '"': "%22"})
_TYPE: Final = "application/octet-stream"


def content_of(
    json: Any, data: Mapping[str, Any] | None, files: Mapping[str, Upload] | None, body: Content
) -> tuple[bytes | Iterable[bytes] | AsyncIterable[bytes], str]:
    """Return the body, and its content type, or nothing where that is not known.

    Args:
        json: what is sent as JSON.
        data: the fields of a form; a list is a field several times.
        files: uploads by the name of their field; `data` are the other fields of the same form then.
        body: the body itself.

    Raises:
        ValueError: more than one of `json`, a form and `body` is given.
        TypeError: an upload is none.
    """
    if (json is not None) + (data is not None or files is not None) + (body != b"") > 1:
        raise ValueError("give one of json, data (with or without files) and body")
    if json is not None:
        return json_module.dumps(json).encode(), "application/json"
    if files is not None:
        return _multipart([*_fields(data or {})], files)
    if data is not None:
        return urlencode(data, doseq=True).encode(), "application/x-www-form-urlencoded"
    return body.encode() if isinstance(body, str) else body, ""


def _fields(data: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name, value in data.items():
        every: Iterable[Any] = cast("Iterable[Any]", value) if isinstance(value, list | tuple) else [value]
        for one in every:
            yield name, one if isinstance(one, bytes) else str(one).encode()


def _multipart(fields: list[tuple[str, bytes]], files: Mapping[str, Upload]) -> tuple[bytes, str]:
    parts = [(f'form-data; name="{_quoted(name)}"', "", content) for name, content in fields]
    for field, upload in files.items():
        name, content, kind = _upload(field, upload)
        parts.append((f'form-data; name="{_quoted(field)}"; filename="{_quoted(name)}"', kind, content))
    boundary = hashlib.sha256(b"".join(content for *_, content in parts)).hexdigest()  # no content has its own digest
    lines: list[bytes] = []
    for disposition, kind, content in parts:
        lines += [f"--{boundary}".encode(), f"Content-Disposition: {disposition}".encode()]
        lines += [f"Content-Type: {kind}".encode()] if kind else []
        lines += [b"", content]
    return b"\r\n".join([*lines, f"--{boundary}--".encode(), b""]), f"multipart/form-data; boundary={boundary}"


def _upload(field: str, upload: Any) -> tuple[str, bytes, str]:
    told = [*cast("Iterable[Any]", upload), _TYPE] if isinstance(upload, tuple) else [field, upload, _TYPE]
    if len(told) < 3:
        told = [field, None, _TYPE]
    name, content, kind = told[:3]
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes) or not isinstance(name, str):
        raise TypeError(f"files[{field!r}] must be bytes, (name, bytes) or (name, bytes, type), and is {upload!r:.80}")
    return name, content, str(kind).translate(_ESCAPES)


def _quoted(name: str) -> str:
    return name.translate(_ESCAPES)
