"""Vocabulary: what an entry of the audit log is called, how grave it is, and what it is in OCSF.

Source: the OWASP Logging Vocabulary Cheat Sheet, whose names stand here as they are there, without what it appends in
brackets; and OCSF 1.3, whose classes and activities are numbers. What OWASP has no name for begins with `guard_` or
`audit_`.
Must never change the meaning of a name: whoever keeps logs for years searches for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

Severity: TypeAlias = Literal["info", "low", "medium", "high", "critical"]

SEVERITIES: Final[Mapping[Severity, int]] = MappingProxyType(
    {"info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
)
"""How grave something is, and the `severity_id` of OCSF."""

_ACCOUNT: Final = 3001
_AUTHENTICATION: Final = 3002
_AUTHORIZE: Final = 3003
_DETECTION: Final = 2004
_HTTP: Final = 4002
_API: Final = 6003
_LIFECYCLE: Final = 6002
_OTHER: Final = 99


class Kind(NamedTuple):
    """What every entry of one name has.

    Attributes:
        severity: how grave it is, where nobody says otherwise.
        class_uid: its class in OCSF.
        activity_id: what was done, among the activities of that class; 99 is another one.
    """

    severity: Severity
    class_uid: int
    activity_id: int


VOCABULARY: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "authn_login_success": Kind("info", _AUTHENTICATION, 1),
        "authn_login_successafterfail": Kind("low", _AUTHENTICATION, 1),
        "authn_login_fail": Kind("medium", _AUTHENTICATION, 1),
        "authn_login_fail_max": Kind("medium", _AUTHENTICATION, 1),
        "authn_login_lock": Kind("medium", _ACCOUNT, 9),
        "authn_password_change": Kind("info", _ACCOUNT, 3),
        "authn_password_change_fail": Kind("medium", _ACCOUNT, 3),
        "authn_impossible_travel": Kind("critical", _DETECTION, 1),
        "authn_token_created": Kind("info", _AUTHENTICATION, 3),
        "authn_token_revoked": Kind("info", _AUTHENTICATION, _OTHER),
        "authn_token_reuse": Kind("critical", _DETECTION, 1),
        "authn_token_delete": Kind("medium", _AUTHENTICATION, _OTHER),
        "authz_fail": Kind("high", _API, _OTHER),
        "authz_change": Kind("medium", _AUTHORIZE, 1),
        "authz_admin": Kind("medium", _API, _OTHER),
        "crypt_decrypt_fail": Kind("medium", _API, _OTHER),
        "crypt_encrypt_fail": Kind("medium", _API, _OTHER),
        "excess_rate_limit_exceeded": Kind("medium", _HTTP, _OTHER),
        "upload_complete": Kind("info", _API, 1),
        "upload_stored": Kind("info", _API, 1),
        "upload_validation": Kind("info", _API, _OTHER),
        "upload_delete": Kind("info", _API, 4),
        "input_validation_fail": Kind("medium", _HTTP, _OTHER),
        "input_validation_discrete_fail": Kind("high", _HTTP, _OTHER),
        "malicious_excess_404": Kind("medium", _DETECTION, 1),
        "malicious_extraneous": Kind("high", _DETECTION, 1),
        "malicious_attack_tool": Kind("high", _DETECTION, 1),
        "malicious_cors": Kind("high", _DETECTION, 1),
        "malicious_direct_reference": Kind("high", _DETECTION, 1),
        "privilege_permissions_changed": Kind("medium", _AUTHORIZE, 1),
        "sensitive_create": Kind("info", _API, 1),
        "sensitive_read": Kind("info", _API, 2),
        "sensitive_update": Kind("info", _API, 3),
        "sensitive_delete": Kind("info", _API, 4),
        "sequence_fail": Kind("medium", _API, _OTHER),
        "session_created": Kind("info", _AUTHENTICATION, 1),
        "session_renewed": Kind("info", _AUTHENTICATION, _OTHER),
        "session_expired": Kind("info", _AUTHENTICATION, 2),
        "session_use_after_expire": Kind("medium", _AUTHENTICATION, _OTHER),
        "sys_startup": Kind("info", _LIFECYCLE, 3),
        "sys_shutdown": Kind("info", _LIFECYCLE, 4),
        "sys_restart": Kind("info", _LIFECYCLE, 5),
        "sys_crash": Kind("high", _LIFECYCLE, _OTHER),
        "sys_monitor_disabled": Kind("medium", _LIFECYCLE, 7),
        "sys_monitor_enabled": Kind("info", _LIFECYCLE, 6),
        "user_created": Kind("info", _ACCOUNT, 1),
        "user_updated": Kind("info", _ACCOUNT, _OTHER),
        "user_archived": Kind("info", _ACCOUNT, 5),
        "user_deleted": Kind("info", _ACCOUNT, 6),
        "guard_refused": Kind("medium", _HTTP, _OTHER),
        "guard_error": Kind("medium", _HTTP, _OTHER),
        "guard_banned": Kind("medium", _DETECTION, 1),
        "guard_circuit": Kind("medium", _LIFECYCLE, _OTHER),
        "guard_recovery": Kind("low", _LIFECYCLE, _OTHER),
        "guard_alert": Kind("medium", _DETECTION, 1),
        "guard_settings": Kind("info", _LIFECYCLE, _OTHER),
        "audit_start": Kind("info", _LIFECYCLE, 3),
        "audit_checkpoint": Kind("info", _LIFECYCLE, _OTHER),
        "audit_lost": Kind("high", _LIFECYCLE, _OTHER),
        "audit_end": Kind("info", _LIFECYCLE, 4),
    }
)
"""Each name, and what an entry of it is."""

PREFIXES: Final = tuple(sorted({f"{name.partition('_')[0]}_" for name in VOCABULARY} - {"audit_", "guard_"}))
"""What a name of an application's own may begin with: `sensitive_export`, say, is in the manner of the others."""

OTHER: Final = Kind("info", _API, _OTHER)
"""What an entry of such a name is."""
