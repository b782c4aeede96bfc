/* Use: declare one netslicer_scratch per thread of control (static, on the stack, anywhere), call netslicer_selfcheck()
 * once at start-up and netslicer_run() per input. Nothing else is written: no globals, no heap, no recursion.
 *
 * Compile every file of the package with -ffp-contract=off (a fused multiply-add rounds once where the declared order
 * rounds twice) and without -ffast-math. Pragmas switch contraction off too, where build systems give no way to set
 * flags; -DNETSLICER_NO_PRAGMA takes away those for GCC, whose manual calls them a means of debugging.
 * Files: netslicer.c (code), netslicer_data*.c (tables), netslicer_selftest.c (vectors; optional). */
#ifndef NETSLICER_H
#define NETSLICER_H

#include <stdint.h>

/* @SIZES@ */

/* Return codes; see each function. */
#define NETSLICER_OK 0
#define NETSLICER_BAD_ARGUMENT (-1)     /* a pointer is NULL */
#define NETSLICER_NAN (-2)              /* an input is NaN */
#define NETSLICER_OUT_OF_DOMAIN (-3)    /* an input is outside the domain, where nothing was proved */
#define NETSLICER_WRONG_ARITHMETIC (-4) /* the compiled code does not compute in the declared order and precision */

/* What becomes of inputs outside the domain; compile every file with -DNETSLICER_POLICY=... to choose. Infinite numbers
 * are clamped like others, but never given to the parent. NaN is always refused. */
#define NETSLICER_REJECT 0 /* they are refused: NETSLICER_OUT_OF_DOMAIN */
#define NETSLICER_CLAMP 1  /* their numbers are moved to the nearest ones of the domain */
#define NETSLICER_PARENT 2 /* the parent evaluates them; the package must have been emitted with it */
#ifndef NETSLICER_POLICY
#define NETSLICER_POLICY NETSLICER_REJECT
#endif

/* Working memory of one call. Needs no initialisation; nothing in it survives or matters between calls. */
typedef struct {
    /* layer values, sharing memory where their lives do not overlap */
    float values[NETSLICER_SCRATCH_FLOATS];
    /* two lists of the units of a layer that are not zero: their values, and where their weights begin */
    float list_values[2][NETSLICER_LIST_UNITS];
    netslicer_row list_rows[2][NETSLICER_LIST_UNITS];
} netslicer_scratch;

#ifdef __cplusplus
extern "C" {
#endif

/* Evaluates the network: in[NETSLICER_INPUTS] to out[NETSLICER_OUTPUTS]; in and out may overlap.
 * Returns NETSLICER_OK, or, leaving out as it is, NETSLICER_BAD_ARGUMENT, or NETSLICER_NAN or NETSLICER_OUT_OF_DOMAIN for
 * the first number that is refused. */
int netslicer_run(const float *in, float *out, netslicer_scratch *scratch);

/* The cell that serves an input, 0 .. NETSLICER_CELLS - 1, or NETSLICER_CELLS if the parent does, or a negative code as
 * for netslicer_run. */
int netslicer_route(const float *in);

/* Checks at run time what the compiler's options and the floating-point unit's modes do to the kernels: fused
 * multiply-add, reordered sums, excess precision, other rounding modes, subnormal numbers flushed to zero.
 * Returns NETSLICER_OK or NETSLICER_WRONG_ARITHMETIC. */
int netslicer_selfcheck(void);

/* In netslicer_selftest.c, for start-up or production tests: netslicer_selfcheck(), then every vector of
 * netslicer_test_vectors.h. Returns NETSLICER_OK, a negative code, or the number of the first vector, counted from 1, for
 * which cell or outputs are not those of the reference interpreter. */
int netslicer_selftest(netslicer_scratch *scratch);

#ifdef __cplusplus
}
#endif

#endif
