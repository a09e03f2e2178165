"""Letters: how likely one follows another in words, so that a word is not taken for letters that somebody has drawn.

Ten letters that were drawn are hard to guess; `elephants` has nine, and is in every dictionary. The table has, for each
letter, the others as they follow it in English words and names of people, the most frequent first; what it costs to
guess the first, the second and so on is nearly the same for all of them.
Must never be taken for a dictionary: it tells what looks like a word, in English best, and in no other script at all.
"""

from __future__ import annotations

from typing import Final

_FOLLOWING: Final = """
scpmabdrthelfgiwnokvujyqzx nrtlscmdibpguyvkhwfezaxjoq ealoriusbyhtdjcmnwpgvfkzqx ohaektirulcysqzgnmdbpfvwjx
eiaorsuldygwmhnvbtfjpckzqx rsndltacmepyvigxfobwuhkzqj ieoafrlutysmnhbdjpcgkvwxzq earihoulsngytmdwbfckzpxvjq
aeioutyrlhmnswbdfpckgvjqxz nscotealdrmgvpfzbkuxqjhyiw aeouipkhrcsyjmlnvwbdfgqtxz eiasolhyurnwmbktfpdvcgjqxz
eialoyusdtmvbkfcpghnwrzjqx aeiopbmuscynlfrhwtdkvgzjqx gteadisconkufyvhblzjrmwpqx nrlumsotpcwdvgbaikfyehxzjq
earoilhputsymbfnwkcdgjqvzx uaibeflmnowcdghjkpqrstvxyz eaiostdruynmgclkbpvfhwzqjx teihsaoucpmlkywnbqfrdvgzjx
ieaorhstuylcwzmfnbpgkvdjqx rnsltmecaipbdgfkovzxyhjuwq eiaoyruslvngkmtdpbcfhjqwxz aeiohnsrlydbwkumtfcpgqvzjx
iptecaohuylxbsfmvqnwjdgkrz asnelmoicprtdbugwzhfkyvjxq eaiozuyhlnbmcwkprvgstdqfjx
"""

_COSTS: Final = (
    2.4,
    2.8,
    3.1,
    3.4,
    3.8,
    4.0,
    4.2,
    4.5,
    4.8,
    5.0,
    5.4,
    5.6,
    5.7,
    6.0,
    6.2,
    6.4,
    6.7,
    6.9,
    7.1,
    7.4,
    7.5,
    7.8,
    8.7,
    9.0,
    9.4,
    10.6,
)
"""The bits of the most frequent letter, the next one, and so on."""

_MOST: Final = 5.5  # of which letters that were drawn have no more, or they would seem harder than they are
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz"

_BITS: Final = {
    before + letter: min(cost, _MOST)
    for before, letters in zip("^" + _ALPHABET, _FOLLOWING.split(), strict=True)
    for letter, cost in zip(letters, _COSTS, strict=True)
}


def letter_bits(before: str, letter: str) -> float:
    """Return how hard it is to guess a letter, as a power of two.

    Args:
        before: the character before it; empty where there is none.
        letter: of a to z.
    """
    found = _BITS.get(before + letter)
    return _BITS["^" + letter] if found is None else found
