"""What a package holds beside the code that a firmware needs: self-test, test program, build systems, report."""

from __future__ import annotations

from collections.abc import Iterable

from dispatcher.emit_c99 import text
from dispatcher.emit_c99.costs import package_report
from dispatcher.emit_c99.measured import Measured
from dispatcher.emit_c99.provenance import Provenance
from dispatcher.emit_c99.tables import Tables
from dispatcher.emit_c99.templates import rename, template
from dispatcher.emit_c99.vectors import package_vectors
from dispatcher.plan import Family
from dispatcher.promise import same

_PROJECT = (
    "CMakeLists.txt",
    "library.properties",
    "library.json",
    "zephyr/module.yml",
    "zephyr/Kconfig",
    "zephyr/CMakeLists.txt",
)


def companion_files(
    family: Family, tables: Tables, prefix: str, provenance: Provenance, code: Iterable[str], measured: Measured | None
) -> dict[str, str]:
    """The files by their paths in the package; ``code`` names the files that a firmware compiles."""
    vectors = package_vectors(family)
    numbers = text.vector_tables(vectors.inputs, vectors.outputs, vectors.cells)
    head, source = provenance.banner(), provenance.origin()
    files = {
        "netslicer_test_vectors.h": head + template("test_vectors.h").replace("/* @VECTORS@ */", numbers),
        "netslicer_selftest.c": head + template("selftest.c"),
        "test/netslicer_test.c": head + template("host_test.c"),
    }
    compiled = [*(name for name in code if name.endswith(".c")), rename("netslicer_selftest.c", prefix)]
    for name in _PROJECT:
        above = "../" * name.count("/")
        content = template(f"project/{name}").replace("@ORIGIN@", f"From {source}.")
        content = content.replace("@SAME@", same(family))
        files[name] = content.replace("@SOURCES@", "\n".join(f"    {above}{path}" for path in compiled))
    report = package_report(family, tables, vectors, provenance, measured)
    return {rename(name, prefix): rename(content, prefix) for name, content in files.items()} | {"report.json": report}
