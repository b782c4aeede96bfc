"""The rigorous checker: float64 with every rounding error counted. Shares no code with the search, nor with any reader.

Written from CERTIFICATE.md alone. `form` and `parent` read, `member` rebuilds members, `proof` walks certificates,
`bounds` and `closings` verify what they assert, `checker` gives the verdict on a cell, `bundle` on a whole bundle.

Why the bounds are bounds
-------------------------
Let ε = 2^−53, W the width of the widest layer, L the number of layers, M the sum over all gather, concat, add and
element-wise layers of the most terms of the layer that read one and the same unit, m = W + M + 5L + 16 and
g = mε/(1 − mε). A sum of products in which no term meets more than m roundings is computed with an error of at most g
times the sum of the terms' magnitudes, in any order and with or without FMA, as conventional matrix products are (not
Strassen's). **κ = 8mε** is more than 7g. Weights, biases, constants and boxes are float32 numbers, so they are exact in
float64.

1. *Noise.* CERTIFICATE.md §4 asks for r = ρS + τ with S = abs(b) + Σ abs(w)·H. The code uses
   r′ = (1+κ)((ρ+κ)S + τ), all terms positive, so that in spite of rounding r′ ≥ (1+4g)(r + 7gS).
   τ takes the dense row of the table for all kinds, and (with γ_{n+1} < 1/8 growing the flushed terms) 3 instead of 2.
2. *Interval rule.* With mid and rad computed, abs(x − mid) ≤ rad + 2εH. Centre and radius of a dense layer come out
   within 3gS of the exact ones, the two outward steps round by gS + 2εr′ at most; r′ holds all this besides r. The sums
   of element-wise and add layers need less (a division is a product with the rounded reciprocal). Input, gather, concat
   and relu are exact: one unit times 1 plus 0. They are charged κS only where 4. says so.
3. *Relu lines.* For l < 0 < u and A > 0, A·relu(z) ≤ A′·(z − l) holds for every A′ ≥ A·u/(u − l), by convexity.
   The chord is taken (1 + 32ε) too steep, more than the roundings of the chord (3ε) and of A′ = A·mean + abs(A)·half
   (9ε) can take away, and o/2 = ``lift`` is (1 + 64ε) too large, so A·o ≥ A′·(−l). For A < 0, A′ is A·α
   up to 9ε·abs(A), where α lies between 2^−40 and 1 − 32ε, or is exactly 0: in [0, 1] either way, and where α > 0 the
   chord is at least ½, so that 32ε of it exceed 9ε. A·lift + abs(A)·lift·(1 + κ) is at least A·o for
   A > 0 and at least 0 for A < 0, rounding included, as κ > 7g. Coefficients of units that are active
   on all boxes are left as they are; on one box of several that is A·1 + abs(A)·0, as exact; an inactive one's are 0.
4. *Elimination.* Read computed coefficients as exact numbers; errors of the step that computed them are charged to the
   readers' r′: a coefficient of source unit j is off by g·Σ abs(A_i·w_ij) at most (product, and sum over readers),
   which moves the bound by that times H_j, in total g·Σ_i abs(A_i)·S_i. The rounding of A·b is at most g·abs(A)·S,
   that of abs(A)·r′ at most g·abs(A)·r′. By 1., (1 − g)·r′ ≥ r + 2gS. Gather, concat and a relu whose source has
   other readers have no r, so κS is charged in its place. At the input, the box's radius is enlarged by κH.
5. *Underflow* adds at most 2^−1021 to any product or sum (flushing to zero included). Bounds are refused unless all
   intervals lie within 2^127 (margins and errors within 2^129), and no network has 2^48 weights: 2^−800 covers it. No
   float64 sum of nonnegative terms above underflows, as τ > 2^−126.
6. *NaN and infinity* fail every comparison: a node is sound only if all its intervals are ordered and in this range.
"""

from slicer.certificate.rigorous.bundle import Directory, audit_bundle, audit_directory
from slicer.certificate.rigorous.checker import PRODUCER_MARGIN, Checker
from slicer.certificate.rigorous.form import Refusal

__all__ = ["PRODUCER_MARGIN", "Checker", "Directory", "Refusal", "audit_bundle", "audit_directory"]
