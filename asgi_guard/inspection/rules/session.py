"""Session fixation (CWE-384): a link of another site that names the session which the victim is to sign in to.

Only the names that frameworks give to their sessions, in whole: payments come back with a `session_id` of their own.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SESSION-001",
        attack="session",
        score=5,
        level=2,
        pattern=r"^(?:php_?sess(?:id|ion)|jsessionid|jservsession(?:_?id)?|asp\.net_sessionid|aspsession(?:id\w{0,16})?"
        r"|cfid|cftoken|cfsid|(?:connect|sails|express|koa|hapi|grails)[.:]s(?:id|ess)(?:\.sig)?|express:sess|(?:laravel"
        r"|ci|play|flask|django|rails|_rails|rack|tornado|webpy|zope|symfony|yii|magento|joomla)[._]?session(?:_?id)?"
        r"|_\w{0,24}session(?:_id)?|cakephp|shiny-token|wordpress_logged_in\w{0,40}"
        r"|(?:__(?:host|secure)-)?(?:next-auth|authjs)\.session-token)=$",
        needs=("sess", "cfid", "cftoken", "cfsid", ".sid", ":sid", "cakephp", "shiny-token", "wordpress_logged_in"),
        why="A page of another site links to a session of its choice.",
        positives=("PHPSESSID=", "jsessionid=", "connect.sid=", "__Host-authjs.session-token=", "_shop_session="),
        negatives=("session_id=", "sid=", "session=", "sessions=", "session_state=", "possession="),
        places=("linked",),
    ),
    Rule(
        id="AG-SESSION-002",
        attack="session",
        score=5,
        level=3,
        pattern=r"^(?:sid|sess(?:ion)?(?:[_-]?(?:id|key|token))?|auth[_-]?token|remember[_-]?token)=$",
        needs=("sid", "sess", "token"),
        why="A page of another site links to what may be a session of its choice.",
        positives=("sid=", "session-id=", "auth_token="),
        negatives=("side=", "session_state=", "token="),
        places=("linked",),
    ),
)
