"""The one place where a number becomes text, and where that text becomes the number again.

Four spellings, all exact:

* *bits*: float32 arrays as eight lower-case hex digits per value, the IEEE-754 bits in big-endian order, without
  separators ("3f800000" is 1.0). One spelling per float, so equal arrays give equal files.
* *hex float*: a single float as ``float.hex`` writes it ("0x1.8000000000000p-1"), for thresholds and box corners.
* *C99*: a float32 as a C hexadecimal floating constant with suffix ("0x1.8p-1f").
* *decimal*: a float32 for people and CSV files, the shortest decimal that reads back as the same number ("0.1").
"""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEX = re.compile(r"[0-9a-f]*")


def bits_text(values: NDArray[np.float32]) -> str:
    """Float32 vector ``[n]`` as ``8·n`` hex digits (IEEE-754 bits, big-endian)."""
    return np.ascontiguousarray(values, dtype=">f4").tobytes().hex()


def bits_value(text: str) -> NDArray[np.float32]:
    """Inverse of `bits_text`; a ValueError unless the text is its canonical spelling."""
    if len(text) % 8 or not _HEX.fullmatch(text):
        raise ValueError(f"expected 8 lower-case hex digits per float32, got {text[:24]!r}")
    return np.frombuffer(bytes.fromhex(text), dtype=">f4").astype(np.float32)


def hex_text(value: float) -> str:
    """A finite float as ``float.hex`` writes it."""
    return float(value).hex()


def hex_value(text: str) -> float:
    """Inverse of `hex_text`; a ValueError unless the text is the canonical spelling of a finite float32 value."""
    try:
        value = float.fromhex(text)
        narrow = struct.unpack("<f", struct.pack("<f", value))[0]
    except (ValueError, OverflowError) as error:
        raise ValueError(f"expected a hex float, got {text[:40]!r}") from error
    if value.hex() != text or narrow != value or not math.isfinite(value):
        raise ValueError(f"expected the canonical hex float of a finite float32, got {text[:40]!r}")
    return value


def c99_text(value: float) -> str:
    """A finite float32 as a C99 constant of type float, shortest hexadecimal form ("0x1.8p-1f", "-0x0p+0f")."""
    sign, digits, exponent = _parts(float(np.float32(value)).hex())
    digits = digits.rstrip("0").rstrip(".")
    return f"{sign}0x{digits}p{exponent}f"


def _parts(text: str) -> tuple[str, str, str]:
    """Sign, digits and exponent of a ``float.hex`` text."""
    match = re.fullmatch(r"(-?)0x([01]\.[0-9a-f]+)p([+-][0-9]+)", text)
    if match is None:
        raise ValueError(f"expected a finite float, got {text}")
    return match.group(1), match.group(2), match.group(3)


def short_text(value: np.float32) -> str:
    """The shortest decimal that reads back as the same float32 ("0.1", "1e-45", "-0.0", "inf", "nan")."""
    return str(np.float32(value))
