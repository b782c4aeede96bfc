/* Layer kernels in float32: one rounding per operation, in the declared order.
 *
 * The declared order of a dense unit is acc = start; acc = acc + w[j] * h[j] for j ascending; z = acc + bias. A term
 * with h[j] == 0 is left out: it is +0 or -0, and the accumulator, which is never -0, stays what it is. Several units
 * are computed at a time, each in an accumulator of its own; the order within a unit stays the declared one.
 *
 * Needs the type netslicer_index (uint16_t or uint32_t). Sizes in brackets count elements. */
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
#if defined(__clang__) || !defined(__GNUC__) /* GCC knows only the flag -ffp-contract=off */
#pragma STDC FP_CONTRACT OFF
#endif

/* A dense layer and where it works. */
typedef struct {
    const float *weights;          /* [n_in][n_out]: the weights of source unit 0, then those of source unit 1, ... */
    const float *bias;             /* [n_out] */
    const float *start;            /* [n_out] first values of the accumulators, or NULL: zeros */
    const float *source;           /* [n_in] */
    const netslicer_index *active; /* [n_active] ascending positions of the source units that are not zero */
    float *target;                 /* [n_out], apart from source */
    size_t n_active;
    size_t n_out;
    int has_relu;                  /* nonzero: results below zero become zero */
} netslicer_dense_layer;

static const float netslicer_zeros[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};

/* Lists the positions of the values that are not zero; returns how many they are. */
static size_t netslicer_list_active(const float *values, size_t n, netslicer_index *active)
{
    size_t count = 0;
    for (size_t j = 0; j < n; j++) {
        if (values[j] != 0.0f) {
            active[count] = (netslicer_index)j;
            count++;
        }
    }
    return count;
}

/* A dense unit's value from its sum. */
static float netslicer_finish(float z, int relu)
{
    return z > 0.0f || relu == 0 ? z : 0.0f;
}

/* Units i .. i+7. */
static void netslicer_eight_units(const netslicer_dense_layer *layer, size_t i)
{
    const float *start = layer->start != NULL ? layer->start + i : netslicer_zeros;
    const float *columns = layer->weights + i;
    const float *source = layer->source;
    const netslicer_index *active = layer->active;
    const size_t n_active = layer->n_active, n_out = layer->n_out;
    const float *bias = layer->bias + i;
    const int relu = layer->has_relu;
    float *target = layer->target + i;
    float a0 = start[0], a1 = start[1], a2 = start[2], a3 = start[3];
    float a4 = start[4], a5 = start[5], a6 = start[6], a7 = start[7];
    for (size_t k = 0; k < n_active; k++) {
        const size_t j = active[k];
        const float h = source[j];
        const float *w = columns + j * n_out;
        a0 += w[0] * h;
        a1 += w[1] * h;
        a2 += w[2] * h;
        a3 += w[3] * h;
        a4 += w[4] * h;
        a5 += w[5] * h;
        a6 += w[6] * h;
        a7 += w[7] * h;
    }
    target[0] = netslicer_finish(a0 + bias[0], relu);
    target[1] = netslicer_finish(a1 + bias[1], relu);
    target[2] = netslicer_finish(a2 + bias[2], relu);
    target[3] = netslicer_finish(a3 + bias[3], relu);
    target[4] = netslicer_finish(a4 + bias[4], relu);
    target[5] = netslicer_finish(a5 + bias[5], relu);
    target[6] = netslicer_finish(a6 + bias[6], relu);
    target[7] = netslicer_finish(a7 + bias[7], relu);
}

/* Units i .. i+3. */
static void netslicer_four_units(const netslicer_dense_layer *layer, size_t i)
{
    const float *start = layer->start != NULL ? layer->start + i : netslicer_zeros;
    const float *columns = layer->weights + i;
    const float *source = layer->source;
    const netslicer_index *active = layer->active;
    const size_t n_active = layer->n_active, n_out = layer->n_out;
    const float *bias = layer->bias + i;
    const int relu = layer->has_relu;
    float *target = layer->target + i;
    float a0 = start[0], a1 = start[1], a2 = start[2], a3 = start[3];
    for (size_t k = 0; k < n_active; k++) {
        const size_t j = active[k];
        const float h = source[j];
        const float *w = columns + j * n_out;
        a0 += w[0] * h;
        a1 += w[1] * h;
        a2 += w[2] * h;
        a3 += w[3] * h;
    }
    target[0] = netslicer_finish(a0 + bias[0], relu);
    target[1] = netslicer_finish(a1 + bias[1], relu);
    target[2] = netslicer_finish(a2 + bias[2], relu);
    target[3] = netslicer_finish(a3 + bias[3], relu);
}

/* Unit i. */
static void netslicer_one_unit(const netslicer_dense_layer *layer, size_t i)
{
    const float *column = layer->weights + i;
    const float *source = layer->source;
    const netslicer_index *active = layer->active;
    const size_t n_active = layer->n_active, n_out = layer->n_out;
    float a0 = layer->start != NULL ? layer->start[i] : 0.0f;
    for (size_t k = 0; k < n_active; k++) {
        const size_t j = active[k];
        a0 += column[j * n_out] * source[j];
    }
    layer->target[i] = netslicer_finish(a0 + layer->bias[i], layer->has_relu);
}

/* target = weights * source + bias, or its relu. */
static void netslicer_dense(const netslicer_dense_layer *layer)
{
    size_t i = 0;
    for (; i + 8 <= layer->n_out; i += 8) {
        netslicer_eight_units(layer, i);
    }
    for (; i + 4 <= layer->n_out; i += 4) {
        netslicer_four_units(layer, i);
    }
    for (; i < layer->n_out; i++) {
        netslicer_one_unit(layer, i);
    }
}

/* target[i] = max(source[i], 0), and +0 for -0; source and target may be the same. */
static void netslicer_relu(const float *source, size_t n, float *target)
{
    for (size_t i = 0; i < n; i++) {
        target[i] = source[i] > 0.0f ? source[i] : 0.0f;
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
