"""Files that are no bundle, or no longer the bundle that the manifest describes: reasons, never crashes."""

from __future__ import annotations

import os
import shutil

import pytest

from slicer.certificate import check
from tests.exact.drafts import canonical, finding, manifest, sha256, write

PARENT, CERTIFICATE = "family/parent.json", "certificates/000000.json"


@pytest.fixture
def files(draft):
    return draft.sealed()


@pytest.fixture
def bundle(honest, tmp_path):
    """A copy of the honest bundle, to be changed."""
    return shutil.copytree(honest, tmp_path / "bundle")


JSON = {
    "nothing": (b"", "expected ASCII JSON"),
    "half a file": (b'{"box":', "expected ASCII JSON"),
    "no final newline": (b"{}", "expected canonical JSON"),
    "two final newlines": (b"{}\n\n", "expected canonical JSON"),
    "white space": (b'{"a": 1}\n', "expected canonical JSON"),
    "keys not sorted": (b'{"b":1,"a":1}\n', "expected canonical JSON"),
    "a key twice": (b'{"a":1,"a":1}\n', "expected canonical JSON"),
    "an escape where none is needed": (b'{"\\u0061":1}\n', "expected canonical JSON"),
    "a byte order mark": (b"\xef\xbb\xbf{}\n", "expected ASCII JSON"),
    "letters beyond ASCII": ('{"a":"é"}\n'.encode(), "expected ASCII JSON"),
    "two values": (b"{}{}\n", "expected ASCII JSON"),
    "a floating-point literal": (b'{"a":1.0}\n', "unexpected number 1.0"),
    "an exponent": (b'{"a":1e999}\n', "unexpected number 1e999"),
    "NaN": (b'{"a":NaN}\n', "unexpected number NaN"),
    "-Infinity": (b'{"a":-Infinity}\n', "unexpected number -Infinity"),
    "minus zero": (b'{"a":-0}\n', "expected canonical JSON"),
    "a huge integer": (b'{"a":' + b"9" * 100000 + b"}\n", "unexpected number 9999"),
    "deep lists": (b"[" * 33 + b"]" * 33 + b"\n", "expected at most 32 levels"),
    "deep objects": (b'{"a":' * 33 + b"1" + b"}" * 33 + b"\n", "expected at most 32 levels"),
    "very deep lists": (b"[" * 10**6 + b"]" * 10**6 + b"\n", "expected ASCII JSON"),
    "very deep, never closed": (b'[{"a":' * 10**6, "expected ASCII JSON"),
    "a text never closed": (b'"' + b'\\"' * 10**6, "expected ASCII JSON"),
    "bytes of no meaning": (bytes(range(256)), "expected ASCII JSON"),
    "a list": (b"[]\n", "expected an object"),
    "a number": (b"1\n", "expected an object"),
    "null": (b"null\n", "expected an object"),
    "brackets in a text": (canonical({"a": "[" * 100}), "expected the keys"),
}


@pytest.mark.parametrize(("content", "reason"), JSON.values(), ids=JSON.keys())
@pytest.mark.parametrize("path", [PARENT, CERTIFICATE])
def test_malformed_json_is_rejected(files, tmp_path, path, content, reason):
    assert reason in finding(write(files | {path: content}, tmp_path / "bundle"))


@pytest.mark.parametrize(("content", "reason"), JSON.values(), ids=JSON.keys())
def test_a_malformed_manifest_is_unusable(files, tmp_path, content, reason):
    with pytest.raises(check.UnusableError, match=r"manifest\.json"):
        check.check_bundle(str(write(files | {"manifest.json": content}, tmp_path / "bundle")), None, 0, 1)


def listed(files, k: int = 0, **fields):
    """The files with one changed entry in the manifest."""
    entries = [{"path": path, "sha256": sha256(files[path]), "size": len(files[path])} for path in sorted(files)]
    entries[k] |= fields
    return files | {"manifest.json": manifest(files, files=entries)}


def without(files, path):
    return {name: content for name, content in files.items() if name != path}


MANIFESTS = {
    "a wrong digest": (lambda f: listed(f, sha256="0" * 64), "expected sha256 and size as in the manifest"),
    "a wrong size": (lambda f: listed(f, size=1), "expected sha256 and size as in the manifest"),
    "a size that is true": (lambda f: listed(f, size=True), "expected an integer from 0"),
    "a size below 0": (lambda f: listed(f, size=-1), "expected an integer from 0"),
    "a digest in capitals": (lambda f: listed(f, sha256="A" * 64), "expected a text like [0-9a-f]{64}"),
    "a digest that is a number": (lambda f: listed(f, sha256=0), "expected a text like"),
    "an unknown key": (lambda f: listed(f, note=""), "expected the keys"),
    "a path that leaves": (lambda f: listed(f, path="../x"), "expected increasing plain relative paths"),
    "a path with dots inside": (lambda f: listed(f, path="a/../x"), "expected increasing plain relative paths"),
    "an absolute path": (lambda f: listed(f, path="/etc/passwd"), "expected increasing plain relative paths"),
    "a path with two slashes": (lambda f: listed(f, path="a//x"), "expected increasing plain relative paths"),
    "a path with a backslash": (lambda f: listed(f, path="a\\x"), "expected increasing plain relative paths"),
    "a path with a zero byte": (lambda f: listed(f, path="a\0x"), "expected increasing plain relative paths"),
    "an empty path": (lambda f: listed(f, path=""), "expected increasing plain relative paths"),
    "a path that is a number": (lambda f: listed(f, path=3), "expected a text"),
    "half a surrogate": (lambda f: listed(f, path="\ud800"), "expected increasing plain relative paths"),
    "the manifest itself": (lambda f: listed(f, -1, path="manifest.json"), "not the manifest"),
    "a path twice": (lambda f: listed(f, 1, path="certificates/000000.json"), "expected increasing plain"),
    "an absent file": (lambda f: listed(f, -1, path="zebra"), "a file that the manifest does not list"),
    "a file too many": (lambda f: f | {"manifest.json": manifest(f), "x": b""}, "manifest does not list"),
    "a file of the manifest missing": (lambda f: without(f, "search.json") | {"manifest.json": manifest(f)}, "absent"),
    "no parent": (lambda f: without(f, PARENT), "family/parent.json"),
    "no family": (lambda f: without(f, "family/family.json"), "family/family.json"),
    "no source model": (lambda f: without(f, "parent.onnx"), "expected a listed file"),
    "another source": (lambda f: f | {"manifest.json": manifest(f, source="search.json")}, "expected a text like"),
    "another mode": (lambda f: f | {"manifest.json": manifest(f, mode="top-1")}, "like bitwise|decision|epsilon"),
    "options that are a list": (lambda f: f | {"manifest.json": manifest(f, options=[])}, "of type dict"),
    "truncated is a number": (lambda f: f | {"manifest.json": manifest(f, truncated=1)}, "of type bool"),
    "files that are an object": (lambda f: f | {"manifest.json": manifest(f, files={})}, "expected a list"),
    "a certificate of another name": (lambda f: f | {"certificates/extra.json": b"{}\n"}, "expected a certificate for"),
    "a member of another name": (lambda f: f | {"family/members/x.json": b"{}\n"}, "expected a certificate for"),
}


@pytest.mark.parametrize(("change", "reason"), MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_manifest_that_lies_is_rejected(files, tmp_path, change, reason):
    assert reason in finding(write(change(files), tmp_path / "bundle"))


def test_a_member_that_is_not_what_its_name_says_is_rejected(files, tmp_path):
    path = next(path for path in files if path.startswith("family/members/"))
    content = files[path].replace(b'"units":[0,1]', b'"units":[0]', 1)
    assert content != files[path]
    assert "expected the member that the removals" in finding(write(files | {path: content}, tmp_path / "bundle"))


def test_further_listed_files_only_need_their_digest(files, tmp_path):
    path = write(files | {"report.html": b"\xff", "extra/check.py": b""}, tmp_path / "bundle")
    assert check.check_bundle(str(path), None, 0, 1)["outcome"] == "accepted"


@pytest.mark.parametrize("path", [PARENT, CERTIFICATE, "parent.onnx", "search.json"])
def test_a_flipped_bit_is_rejected_in_any_file(bundle, path):
    data = bytearray((bundle / path).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / path).write_bytes(data)
    assert "expected sha256 and size as in the manifest" in finding(bundle)


def test_links_and_devices_are_rejected(bundle):
    target = bundle / PARENT
    target.rename(bundle.parent / "elsewhere.json")
    target.symlink_to(bundle.parent / "elsewhere.json")
    assert "a link or a device" in finding(bundle)
    target.unlink()
    os.mkfifo(target)
    assert "a link or a device" in finding(bundle)
    target.unlink()
    target.mkdir()
    assert "a directory without listed files" in finding(bundle)
    target.rmdir()
    assert "listed in the manifest, but absent" in finding(bundle)


def test_linked_and_empty_directories_are_rejected(bundle):
    (bundle / "empty").mkdir()
    assert "a directory without listed files" in finding(bundle)
    (bundle / "empty").rmdir()
    (bundle / "family").rename(bundle.parent / "family")
    (bundle / "family").symlink_to(bundle.parent / "family")
    assert "'family': a file that the manifest does not list" in finding(bundle)


def test_odd_names_are_reported_in_ascii(bundle):
    os.close(os.open(os.fsencode(bundle) + b"/\xff\n\x1b", os.O_CREAT))
    found = check.check_bundle(str(bundle), None, 0, 1)
    assert check.report_text(found).isascii()
    assert check.canonical(found).isascii()
    assert "a file that the manifest does not list" in finding(bundle)


def test_no_bundle_at_all_is_unusable(bundle, tmp_path):
    for path in (tmp_path / "absent", bundle / "manifest.json", bundle / "family"):
        with pytest.raises(check.UnusableError):
            check.check_bundle(str(path), None, 0, 1)
    (bundle / "manifest.json").unlink()
    os.mkfifo(bundle / "manifest.json")
    with pytest.raises(check.UnusableError, match="expected a file of at most"):
        check.check_bundle(str(bundle), None, 0, 1)


def test_another_format_is_unusable(files, tmp_path):
    with pytest.raises(check.UnusableError, match="netslicer-bundle/1"):
        other = files | {"manifest.json": manifest(files, format="netslicer-bundle/2")}
        check.check_bundle(str(write(other, tmp_path / "bundle")), None, 0, 1)


def test_a_file_that_is_too_large_is_rejected(bundle, monkeypatch):
    monkeypatch.setattr(check, "MAX_JSON", (bundle / "manifest.json").stat().st_size)
    with (bundle / PARENT).open("ab") as file:
        file.truncate(10**6)
    assert "expected sha256 and size" in finding(bundle)
    monkeypatch.setattr(check, "MAX_FILE", 10**5)
    assert "expected a file of at most 100000 bytes" in finding(bundle)


def test_a_deep_tree_is_walked_without_recursion(draft, tmp_path):
    """A comb of 20,000 splits at the lower end of the box: accepted, as its leaves close what is removed."""
    certificate = draft.certificates[1]
    closed = certificate["tree"][0]
    comb = {"axis": 1, "threshold": certificate["box"]["lower"][1]}
    assert set(closed) == {"inactive"}
    certificate["tree"] = [closed | comb, *([comb] * 19_999), *([{}] * 20_001)]
    path = write(draft.sealed(), tmp_path / "bundle")
    assert check.check_bundle(str(path), "1", 0, 1)["outcome"] == "no objection"


def test_a_tree_that_holds_too_much_is_rejected(draft, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "MAX_WAITING", 1000)
    certificate = draft.certificates[1]
    certificate["tree"] = [{"axis": 1, "threshold": certificate["box"]["lower"][1]}] * 1000
    assert "expected a tree less deep" in finding(write(draft.sealed(), tmp_path / "bundle"))
