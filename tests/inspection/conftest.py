"""The host's compiler, as the tests of the emitted C find it."""

from tests.emit_c99.conftest import compiler

__all__ = ["compiler"]
