"""Our workers and the caller's own: joblib keeps one executor per process, which both can use."""

from __future__ import annotations

from joblib import Parallel, delayed

from slicer.family.pipeline import spread


def test_a_callers_parallel_works_before_and_after_ours():
    for _ in range(2):
        assert Parallel(n_jobs=2)(delayed(abs)(x) for x in (-1, -2, -3)) == [1, 2, 3]
        assert sorted(spread(abs, [(-4,), (-5,), (-6,)], 2)) == [4, 5, 6]
