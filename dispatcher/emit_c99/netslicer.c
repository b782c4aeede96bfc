/* Routing, and the interpreter of the members' programs. Declared evaluation order, contraction off. */
#include "netslicer_data.h"

#include <limits.h>

#include "kernels.c"

#if NETSLICER_CELLS > INT_MAX
#error "the index of a cell must fit an int"
#endif

/* Refuses to compile if NETSLICER_SCRATCH_BYTES is not the size of the scratch on this target. */
typedef char netslicer_scratch_has_its_size[sizeof(netslicer_scratch) == NETSLICER_SCRATCH_BYTES ? 1 : -1];

/* NETSLICER_OK if every input is within the domain. */
static int netslicer_check_domain(const float *in)
{
    for (size_t i = 0; i < NETSLICER_INPUTS; i++) {
        if (!(in[i] >= netslicer_lower[i] && in[i] <= netslicer_upper[i])) {
            return in[i] != in[i] ? NETSLICER_NAN : NETSLICER_OUT_OF_DOMAIN;
        }
    }
    return NETSLICER_OK;
}

/* The cell of an input of the domain. A subtree of n cells holds n - 1 splits in preorder: the low child's begin at the
 * next split, the high child's as many splits further on as there are cells below the low child. */
static size_t netslicer_find_cell(const float *in)
{
    const netslicer_split *split = netslicer_splits;
    size_t cell = 0, cells = NETSLICER_CELLS;
    while (cells > 1) {
        const size_t low = split->low;
        if (in[split->axis] <= split->threshold) {
            split += 1;
            cells = low;
        } else {
            split += low;
            cell += low;
            cells -= low;
        }
    }
    return cell;
}

/* The numbers at a place; a step's numbers never cross the border of a chunk. */
static const float *netslicer_table(uint32_t place)
{
    const uint32_t mask = ((uint32_t)1 << NETSLICER_CHUNK_BITS) - 1;
    return netslicer_floats[place >> NETSLICER_CHUNK_BITS] + (place & mask);
}

static void netslicer_do_dense(const netslicer_step *step, netslicer_scratch *scratch)
{
    const float *source = scratch->values + step->source;
    float *target = scratch->values + step->target;
    netslicer_dense_layer layer;
    layer.n_out = step->n_out;
    layer.n_active = netslicer_list_active(source, step->n_in, scratch->active);
    layer.active = scratch->active;
    layer.bias = netslicer_table(step->table);
    layer.weights = layer.bias + layer.n_out;
    layer.start = NULL;
    if ((step->flags & NETSLICER_HAS_START) != 0) {
        layer.start = layer.weights;
        layer.weights += layer.n_out;
    }
    layer.source = source;
    layer.target = target;
    layer.has_relu = (step->flags & NETSLICER_HAS_RELU) != 0;
    netslicer_dense(&layer);
}

static void netslicer_do_step(const netslicer_step *step, netslicer_scratch *scratch)
{
    const float *source = scratch->values + step->source;
    float *target = scratch->values + step->target;
    const size_t n = step->n_out;
    switch (step->kind) {
    case NETSLICER_DENSE:
        netslicer_do_dense(step, scratch);
        break;
    case NETSLICER_RELU:
        netslicer_relu(source, n, target);
        break;
    case NETSLICER_ADD:
        netslicer_add(source, scratch->values + step->second, n, target);
        break;
    case NETSLICER_PLUS:
        netslicer_add(source, netslicer_table(step->table), n, target);
        break;
    case NETSLICER_TIMES:
        netslicer_multiply(source, netslicer_table(step->table), n, target);
        break;
    case NETSLICER_DIVIDED:
        netslicer_divide(source, netslicer_table(step->table), n, target);
        break;
    case NETSLICER_GATHER:
        netslicer_gather(source, netslicer_indices + step->table, n, target);
        break;
    default: /* NETSLICER_COPY */
        netslicer_copy(source, n, target);
        break;
    }
}

int netslicer_route(const float *in)
{
    int code = NETSLICER_BAD_ARGUMENT;
    if (in != NULL) {
        code = netslicer_check_domain(in);
    }
    if (code != NETSLICER_OK) {
        return code;
    }
    return (int)netslicer_find_cell(in);
}

int netslicer_run(const float *in, float *out, netslicer_scratch *scratch)
{
    int cell = NETSLICER_BAD_ARGUMENT;
    if (out != NULL && scratch != NULL) {
        cell = netslicer_route(in);
    }
    if (cell < 0) {
        return cell;
    }
    const netslicer_member *member = &netslicer_members[netslicer_cells[cell]];
    netslicer_copy(in, NETSLICER_INPUTS, scratch->values + member->input);
    const netslicer_step *step = netslicer_steps + member->first_step;
    for (size_t count = member->steps; count > 0; count--) {
        netslicer_do_step(step, scratch);
        step++;
    }
    netslicer_copy(scratch->values + member->output, NETSLICER_OUTPUTS, out);
    return NETSLICER_OK;
}

/* Factors and values of the terms that netslicer_selfcheck() sums. They are volatile so that no compiler computes the sum. */
#define NETSLICER_CHECK_TERMS 5
#define NETSLICER_CHECK_UNITS 13
static const volatile float netslicer_check_factors[NETSLICER_CHECK_TERMS] = {
    -1.0f, 0x1.001p+0f, -1.0f, 0x1.0014p+0f, 0x1p-1f,
};
static const volatile float netslicer_check_values[NETSLICER_CHECK_TERMS] = {
    0x1.002p+0f, 0x1.001p+0f, 0x1.002802p+0f, 0x1.0014p+0f, 0x1p-126f,
};
static const float netslicer_check_bias[NETSLICER_CHECK_UNITS] = {0.0f};

/* Computes thirteen equal dense units, so that every kernel for eight, four and one of them runs:
 *
 *     -A + fl(a * a) - B + fl(b * b) + 2^-127, where fl(a * a) = A is rounded down and fl(b * b) = B is rounded up.
 *
 * In the declared order, rounding to nearest, the sum is 2^-127. A fused multiply-add leaves the rounding error of a
 * product, another rounding mode an ulp of one; another order loses 2^-127, and so does flushing subnormal numbers. */
int netslicer_selfcheck(void)
{
    float weights[NETSLICER_CHECK_TERMS * NETSLICER_CHECK_UNITS];
    float source[NETSLICER_CHECK_TERMS];
    float target[NETSLICER_CHECK_UNITS];
    netslicer_index active[NETSLICER_CHECK_TERMS];
    netslicer_dense_layer layer;
    for (size_t j = 0; j < NETSLICER_CHECK_TERMS; j++) {
        source[j] = netslicer_check_values[j];
        for (size_t i = 0; i < NETSLICER_CHECK_UNITS; i++) {
            weights[j * NETSLICER_CHECK_UNITS + i] = netslicer_check_factors[j];
        }
    }
    layer.weights = weights;
    layer.bias = netslicer_check_bias;
    layer.start = NULL;
    layer.source = source;
    layer.active = active;
    layer.target = target;
    layer.n_active = netslicer_list_active(source, NETSLICER_CHECK_TERMS, active);
    layer.n_out = NETSLICER_CHECK_UNITS;
    layer.has_relu = 0;
    netslicer_dense(&layer);
    for (size_t i = 0; i < NETSLICER_CHECK_UNITS; i++) {
        if (target[i] * 0x1p+127f != 1.0f) {
            return NETSLICER_WRONG_ARITHMETIC;
        }
    }
    return NETSLICER_OK;
}
