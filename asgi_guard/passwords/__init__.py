"""Passwords: which ones are taken, why another one is not, in words for a person; and how strong one is.

    policy = PasswordPolicy(own_words=["Shop"])
    assessment = policy.assess(password, user=[name, email])
    assessment.is_accepted, assessment.problems            # ready for the page: a code and a sentence each
    hash_it(assessment.password)                           # normalised, so that every keyboard types the same

Standard: NIST SP 800-63B-4 section 3.1.1.2: long, none that is common, no classes of characters, any character.
Must never keep, log or show a password, nor take long for one that an attacker sizes.
"""

from __future__ import annotations

from asgi_guard.passwords.meter import Strength, strength
from asgi_guard.passwords.policy import REASONS, Assessment, PasswordPolicy, PasswordProblem, Reason

__all__ = ["REASONS", "Assessment", "PasswordPolicy", "PasswordProblem", "Reason", "Strength", "strength"]
