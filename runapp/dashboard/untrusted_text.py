"""Text that strangers wrote, made fit to be looked at. Django's templates escape what is markup in it."""

import re
import unicodedata

from runapp.contract import PRINTED_WORDS

#: Colours and movements of a terminal.
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
#: Categories of characters that are not seen, or that move others: controls, formats, surrogates.
_UNSEEN = frozenset(("Cc", "Cf", "Cs"))
_KEPT = frozenset("\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
_CONTROL_PICTURES = 0x2400
_FIRST_PRINTABLE = 0x20


def harmless(text: str) -> str:
    """``text`` without colours of a terminal, and with the characters seen that control or reorder others."""
    plain = _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    if plain.isascii() and plain.replace("\n", "").replace("\t", "").isprintable():
        return plain
    return "".join(_shown(character) for character in plain)


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _UNSEEN:
        return character
    code = ord(character)
    return chr(_CONTROL_PICTURES + code) if code < _FIRST_PRINTABLE else f"<U+{code:04X}>"


def reason(log: str) -> str:
    """The line of a failed fold's log that says most: the last before what the fold printed."""
    said = log.partition(PRINTED_WORDS)[0].strip() or log.strip()
    return said.splitlines()[-1].strip() if said else ""
