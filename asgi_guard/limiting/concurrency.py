"""`concurrency`: at most N at a time. A hit takes a lease, and refunding it when the work is done releases the lease.

The window of the limit is how long a lease lasts that nobody releases, since a process may die and a server may never
wake an application. Make it longer than the longest work.

Its worst case:

* Never more than N leases of a key are held at any time.
* No lease ends early: until it is released it is held for W at least, and for less than W + W/10.
* A release gives back the slot that its lease was counted in, and no other. It is to come once: a second one for the
  same lease would release another that was taken in the same tenth of a window.
* Retry times say when leases end by themselves. As a rule one is released long before.
"""

from __future__ import annotations

from asgi_guard.limiting.strict import Strict


class Concurrency(Strict):
    """At most N leases at a time: what `strict` counts in a window is what is held.

    A hit that counts for a whole window, and by a slot longer, is a lease that ends by itself; the refund of a hit,
    which is taken from the very slot that the hit fell in, is its release.

    Args:
        limit: the amount is how many leases may be held, the window how long one lasts that is not released.
    """

    __slots__ = ()
