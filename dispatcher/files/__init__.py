"""The family's files: how parent, members and tree are written in a bundle, and read back strictly.

``family/parent.json``, ``family/members/<digest>.json`` and ``family/family.json``, canonical JSON throughout. The
grammar is normative in ``slicer/certificate/CERTIFICATE.md``. Reading validates everything the classes promise, raises
`dispatcher.errors.UnusableBundle` and nothing else, and needs memory in proportion to the bytes read.
"""

from __future__ import annotations

from dispatcher.files.family import FAMILY_FILE, FAMILY_FORMAT, family_files, plan_files, read_family
from dispatcher.files.member import MEMBER_FORMAT, SharedLayers, member_bytes, member_file, read_member
from dispatcher.files.network import MAX_UNITS, MAX_WIDTH, NETWORK_FORMAT, PARENT_FILE, network_bytes, read_network

__all__ = [
    "FAMILY_FILE",
    "FAMILY_FORMAT",
    "MAX_UNITS",
    "MAX_WIDTH",
    "MEMBER_FORMAT",
    "NETWORK_FORMAT",
    "PARENT_FILE",
    "SharedLayers",
    "family_files",
    "member_bytes",
    "member_file",
    "network_bytes",
    "plan_files",
    "read_family",
    "read_member",
    "read_network",
]
