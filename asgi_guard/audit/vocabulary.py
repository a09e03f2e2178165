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

ACCOUNT: Final = 3001
AUTHENTICATION: Final = 3002
AUTHORIZE: Final = 3003
DETECTION: Final = 2004
_HTTP: Final = 4002
API: Final = 6003
LIFECYCLE: Final = 6002
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
        "authn_login_success": Kind("info", AUTHENTICATION, 1),
        "authn_login_successafterfail": Kind("low", AUTHENTICATION, 1),
        "authn_login_fail": Kind("medium", AUTHENTICATION, 1),
        "authn_login_fail_max": Kind("medium", AUTHENTICATION, 1),
        "authn_login_lock": Kind("medium", ACCOUNT, 9),
        "authn_password_change": Kind("info", ACCOUNT, 3),
        "authn_password_change_fail": Kind("medium", ACCOUNT, 3),
        "authn_impossible_travel": Kind("critical", DETECTION, 1),
        "authn_token_created": Kind("info", AUTHENTICATION, 3),
        "authn_token_revoked": Kind("info", AUTHENTICATION, _OTHER),
        "authn_token_reuse": Kind("critical", DETECTION, 1),
        "authn_token_delete": Kind("medium", AUTHENTICATION, _OTHER),
        "authz_fail": Kind("high", API, _OTHER),
        "authz_change": Kind("medium", AUTHORIZE, 1),
        "authz_admin": Kind("medium", API, _OTHER),
        "crypt_decrypt_fail": Kind("medium", API, _OTHER),
        "crypt_encrypt_fail": Kind("medium", API, _OTHER),
        "excess_rate_limit_exceeded": Kind("medium", _HTTP, _OTHER),
        "upload_complete": Kind("info", API, 1),
        "upload_stored": Kind("info", API, 1),
        "upload_validation": Kind("info", API, _OTHER),
        "upload_delete": Kind("info", API, 4),
        "input_validation_fail": Kind("medium", _HTTP, _OTHER),
        "input_validation_discrete_fail": Kind("high", _HTTP, _OTHER),
        "malicious_excess_404": Kind("medium", DETECTION, 1),
        "malicious_extraneous": Kind("high", DETECTION, 1),
        "malicious_attack_tool": Kind("high", DETECTION, 1),
        "malicious_cors": Kind("high", DETECTION, 1),
        "malicious_direct_reference": Kind("high", DETECTION, 1),
        "privilege_permissions_changed": Kind("medium", AUTHORIZE, 1),
        "sensitive_create": Kind("info", API, 1),
        "sensitive_read": Kind("info", API, 2),
        "sensitive_update": Kind("info", API, 3),
        "sensitive_delete": Kind("info", API, 4),
        "sequence_fail": Kind("medium", API, _OTHER),
        "session_created": Kind("info", AUTHENTICATION, 1),
        "session_renewed": Kind("info", AUTHENTICATION, _OTHER),
        "session_expired": Kind("info", AUTHENTICATION, 2),
        "session_use_after_expire": Kind("medium", AUTHENTICATION, _OTHER),
        "sys_startup": Kind("info", LIFECYCLE, 3),
        "sys_shutdown": Kind("info", LIFECYCLE, 4),
        "sys_restart": Kind("info", LIFECYCLE, 5),
        "sys_crash": Kind("high", LIFECYCLE, _OTHER),
        "sys_monitor_disabled": Kind("medium", LIFECYCLE, 7),
        "sys_monitor_enabled": Kind("info", LIFECYCLE, 6),
        "user_created": Kind("info", ACCOUNT, 1),
        "user_updated": Kind("info", ACCOUNT, _OTHER),
        "user_archived": Kind("info", ACCOUNT, 5),
        "user_deleted": Kind("info", ACCOUNT, 6),
        "guard_refused": Kind("medium", _HTTP, _OTHER),
        "guard_error": Kind("medium", _HTTP, _OTHER),
        "guard_banned": Kind("medium", DETECTION, 1),
        "guard_circuit": Kind("medium", LIFECYCLE, _OTHER),
        "guard_recovery": Kind("low", LIFECYCLE, _OTHER),
        "guard_alert": Kind("medium", DETECTION, 1),
        "guard_settings": Kind("info", LIFECYCLE, _OTHER),
        "audit_start": Kind("info", LIFECYCLE, 3),
        "audit_checkpoint": Kind("info", LIFECYCLE, _OTHER),
        "audit_rotated": Kind("info", LIFECYCLE, _OTHER),
        "audit_torn": Kind("medium", LIFECYCLE, _OTHER),
        "audit_suppressed": Kind("medium", LIFECYCLE, _OTHER),
        "audit_lost": Kind("high", LIFECYCLE, _OTHER),
        "audit_end": Kind("info", LIFECYCLE, 4),
    }
)
"""Each name, and what an entry of it is."""

PREFIXES: Final = tuple(sorted({f"{name.partition('_')[0]}_" for name in VOCABULARY} - {"audit_", "guard_"}))
"""What a name of an application's own may begin with: `sensitive_export`, say, is in the manner of the others."""

OTHER: Final = Kind("info", API, _OTHER)
"""What an entry of such a name is."""
