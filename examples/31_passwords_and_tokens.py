"""Passwords and tokens: which passwords are taken, and why; tokens that nobody guesses, and what to keep of them.

Common mistakes:
    digits and signs required          people write Password1!, which is tried first; ask for length instead
    the token itself in the database   whoever reads it has all of them; keep what `hash_token` returns
    `check_jwt_format` for a lock      anybody writes a token of the right format: verify it, say with PyJWT
    SHA-256 for a password             it is too fast for that: hash passwords with argon2

Run: python examples/31_passwords_and_tokens.py

Expect:
    Lovelace2024!! too_easy: The password is too easy to guess: make it longer.
    Lovelace2024!! user_data: It has your name, your address or the name of this site in it.
    lemon gravel otter 7 is taken
    shop_ and 49 characters, checksum True
    64 digits to keep, verified True
    RS256 k1
    A token must name the algorithm of its signature, which `none` is not
"""

from base64 import urlsafe_b64encode

from asgi_guard.passwords import PasswordPolicy
from asgi_guard.tokens import TokenError, check_jwt_format, has_checksum, hash_token, new_token, verify_token

policy = PasswordPolicy(min_length=8, own_words=["Shop"])
for password in ("Lovelace2024!!", "lemon gravel otter 7"):
    assessment = policy.assess(password, user=["Ada Lovelace"])
    for problem in assessment.problems:
        if problem.reason in {"too_easy", "user_data"}:
            print(f"{password} {problem.reason}: {problem.message}")
    if assessment.is_accepted:
        print(f"{assessment.password} is taken")

token = new_token(prefix="shop")
print(f"{token[:5]} and {len(token) - 5} characters, checksum {has_checksum(token)}")
stored = hash_token(token, key="a secret that is not in the database")
print(f"{len(stored)} digits to keep, verified {verify_token(token, stored, 'a secret that is not in the database')}")


def jwt(header):
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in (header, b'{"sub": "7"}', b"signature"))


header = check_jwt_format(jwt(b'{"alg": "RS256", "kid": "k1"}'), algorithms=["RS256"])
print(header.algorithm, header.key_id)
try:
    check_jwt_format(jwt(b'{"alg": "none"}'))
except TokenError as error:
    print(error)
