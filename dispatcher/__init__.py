"""Serve a bundle: route every input to its member and return the parent's bits.

``dispatcher.load(path).predict(X)`` is the whole use. This package needs numpy only and imports nothing of `slicer`, so
a deployment host installs no prover.
"""

from __future__ import annotations

from dispatcher.errors import UnusableBundle, UnusableInput
from dispatcher.load import Bundle, load, load_bundle
from dispatcher.runtime import Dispatcher

__all__ = ["Bundle", "Dispatcher", "UnusableBundle", "UnusableInput", "load", "load_bundle"]
