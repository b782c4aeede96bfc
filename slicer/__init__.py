"""Prove units of a ReLU network redundant cell by cell, and write the bundle that a dispatcher serves.

import slicer

bundle = slicer.compress("model.onnx", "-1:1", "bundle", slicer.Options(cells=32))
assert slicer.audit(bundle.path).accepted
"""

from slicer.auditor import Audit, audit
from slicer.box import Box
from slicer.certificate.verdict import Accepted, AuditResult, Rejected, UnusableBundleFile
from slicer.family.assemble import Bundle
from slicer.family.compress import compress
from slicer.family.options import Options
from slicer.network import Network
from slicer.readers import read_domain, read_network

__all__ = [
    "Accepted",
    "Audit",
    "AuditResult",
    "Box",
    "Bundle",
    "Network",
    "Options",
    "Rejected",
    "UnusableBundleFile",
    "audit",
    "compress",
    "read_domain",
    "read_network",
]
