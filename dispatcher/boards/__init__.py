"""Emulated microcontrollers: building programs for them, running them in QEMU, counting instructions."""

from dispatcher.boards.board import BOARDS, COUNTING, Board
from dispatcher.boards.instructions import count_instructions, points_header

__all__ = ["BOARDS", "COUNTING", "Board", "count_instructions", "points_header"]
