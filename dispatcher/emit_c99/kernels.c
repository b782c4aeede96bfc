/* Layer kernels in float32: one rounding per operation, in the declared order. Sizes in brackets count elements.
 *
 * Needs the types netslicer_index and netslicer_row (uint16_t or uint32_t). */
#include <float.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "float operations must keep the declared order: compile without -ffast-math and its parts"
#endif
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ != 0
#error "NaN inputs must be told apart: compile without -ffinite-math-only"
#endif
#if FLT_RADIX != 2 || FLT_MANT_DIG != 24 || FLT_MAX_EXP != 128 || FLT_MIN_EXP != -125
#error "float must be IEEE-754 binary32"
#endif
#if !defined(FLT_EVAL_METHOD) || FLT_EVAL_METHOD != 0
#error "float operations must not be evaluated in a wider type: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif
#if defined(__clang__) || !defined(__GNUC__)
#pragma STDC FP_CONTRACT OFF
#elif !defined(NETSLICER_NO_PRAGMA) /* GCC does not know the pragma of C99 */
#pragma GCC optimize("fp-contract=off")
#pragma GCC optimize("no-schedule-insns") /* or loads of weights push sums out of the registers */
#endif

/* Dense kernels keep their sums in registers if their parts are compiled in the one place and they themselves are not
 * mixed with their surroundings, whatever the optimisation. */
#if defined(__GNUC__)
#define NETSLICER_PART static inline __attribute__((always_inline))
#define NETSLICER_KERNEL static __attribute__((noinline))
#else
#define NETSLICER_PART static inline
#define NETSLICER_KERNEL static
#endif

/* Without a floating-point unit, operations cost so much that none is done without need. */
#if defined(__SOFTFP__) || defined(__riscv_float_abi_soft)
#define NETSLICER_SLOW_FLOATS 1
#else
#define NETSLICER_SLOW_FLOATS 0
#endif

/* max(z, 0), and +0 for -0. */
NETSLICER_PART float netslicer_positive(float z)
{
    return z > 0.0f ? z : 0.0f;
}

/* target[i] = max(source[i], 0), and +0 for -0; source and target may be the same. */
static void netslicer_relu(const float *source, size_t n, float *target)
{
    for (size_t i = 0; i < n; i++) {
        target[i] = netslicer_positive(source[i]);
    }
}

/* target[i] = a[i] + b[i]; a or b and target may be the same. */
static void netslicer_add(const float *a, const float *b, size_t n, float *target)
{
    for (size_t i = 0; i < n; i++) {
        target[i] = a[i] + b[i];
    }
}

/* target[i] = a[i] * b[i]; a and target may be the same. */
static void netslicer_multiply(const float *a, const float *b, size_t n, float *target)
{
    for (size_t i = 0; i < n; i++) {
        target[i] = a[i] * b[i];
    }
}

/* target[i] = a[i] / b[i]; a and target may be the same. */
static void netslicer_divide(const float *a, const float *b, size_t n, float *target)
{
    for (size_t i = 0; i < n; i++) {
        target[i] = a[i] / b[i];
    }
}

/* target[i] = source[indices[i]]; source apart from target. */
static void netslicer_gather(const float *source, const netslicer_index *indices, size_t n, float *target)
{
    for (size_t i = 0; i < n; i++) {
        target[i] = source[indices[i]];
    }
}

/* target[i] = source[i]; source apart from target. */
static void netslicer_copy(const float *source, size_t n, float *target)
{
    for (size_t i = 0; i < n; i++) {
        target[i] = source[i];
    }
}
