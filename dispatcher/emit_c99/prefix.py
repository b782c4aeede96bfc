"""Which prefixes a package can have: those whose names no C or C++ compiler reads as anything else."""

from __future__ import annotations

import re

from dispatcher.errors import UnusableInput

LONGEST_PREFIX = 40  # C99, 5.2.4.1: 63 significant characters of an internal identifier

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_C_KEYWORDS = re.compile(  # C99, 6.4.1
    "auto|break|case|char|const|continue|default|do|double|else|enum|extern|float|for|goto|if|inline|int|long|register|"
    "restrict|return|short|signed|sizeof|static|struct|switch|typedef|union|unsigned|void|volatile|while"
)
_CPP_KEYWORDS = re.compile(  # ISO C++17, 5.11, those that C does not have
    "alignas|alignof|and|and_eq|asm|bitand|bitor|bool|catch|char16_t|char32_t|class|compl|const_cast|constexpr|decltype|"
    "delete|dynamic_cast|explicit|export|false|friend|mutable|namespace|new|noexcept|not|not_eq|nullptr|operator|or|or_eq|"
    "private|protected|public|reinterpret_cast|static_assert|static_cast|template|this|thread_local|throw|true|try|typeid|"
    "typename|using|virtual|wchar_t|xor|xor_eq"
)


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that could not begin the package's names.

    Raises
    ------
    UnusableInput
        Unless it is a C identifier of at most `LONGEST_PREFIX` characters, no keyword of C or C++, beginning with a
        letter (names that begin with an underscore belong to the implementation).
    """
    keyword = _C_KEYWORDS.fullmatch(prefix) or _CPP_KEYWORDS.fullmatch(prefix)
    if keyword or not _IDENTIFIER.fullmatch(prefix) or len(prefix) > LONGEST_PREFIX:
        raise UnusableInput(
            f"expected a C identifier of at most {LONGEST_PREFIX} characters, no keyword, beginning with a letter, "
            f"got {prefix[:80]!r}",
            where="prefix",
            fix="choose a name like net",
        )
