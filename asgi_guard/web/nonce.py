"""Nonce: what lets one inline script of one response run (CSP Level 3 section 7.1).

It is made when it is first read, so that a response without inline scripts, such as JSON, costs nothing and says
nothing of it. In a template it is `{{ request.state.csp_nonce }}`: whatever turns it into text reads it.
Must never be told twice: who knows the nonce of a response may run scripts in it.
"""

from __future__ import annotations

import logging
import os
from typing import ClassVar

logger: logging.Logger = logging.getLogger("asgi_guard")

TOO_LATE = (
    "A CSP nonce was read after the response had started: its policy is out without it, and the browser will not run "
    "the script. Read it before the first byte is sent, such as str(request.state.csp_nonce). This is said once."
)


class Nonce:
    """The nonce of one response: 128 random bits in hexadecimal, as text, in HTML, or by a call.

    Attributes:
        text: None while nobody has read it.
        is_told: whether the policy has left.
    """

    __slots__ = ("is_told", "text")

    _has_complained: ClassVar[bool] = False

    def __init__(self) -> None:
        self.text: str | None = None
        self.is_told: bool = False

    def __str__(self) -> str:
        if self.text is None:
            self.text = os.urandom(16).hex()
            if self.is_told and not Nonce._has_complained:
                Nonce._has_complained = True
                logger.error(TOO_LATE)
        return self.text

    def __html__(self) -> str:
        return str(self)

    def __call__(self) -> str:
        """Return the text, where a template or a helper wants a function."""
        return str(self)
