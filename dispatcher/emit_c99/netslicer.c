/* Routing, and the interpreter of the members' programs. Declared evaluation order, contraction off. */
#include "netslicer_data.h"

#include <limits.h>

#include "kernels.c"
#include "sums.c"
#include "dense.c"
#include "store.c"

#if NETSLICER_CELLS >= INT_MAX
#error "the index of a cell must fit an int"
#endif

/* Refuses to compile if NETSLICER_SCRATCH_BYTES is not the size of the scratch on this target. */
typedef char netslicer_scratch_has_its_size[sizeof(netslicer_scratch) == NETSLICER_SCRATCH_BYTES ? 1 : -1];

#include "domain.c"

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

/* What a call works with: the values of layers, the member's number, and two lists that dense steps hand on. */
typedef struct {
    float *values;
    size_t member;
    netslicer_list *source; /* read by the dense step */
    netslicer_list *target; /* written by it, if another reads it next */
} netslicer_work;

/* Numbers from one source unit's weights to the next's: those of a step that leaves a list are filled up to whole quads. */
NETSLICER_PART size_t netslicer_stride(const netslicer_step *step)
{
    return (step->flags & NETSLICER_TO_LIST) != 0 ? (step->n_out + (size_t)3) / 4U * 4U : step->n_out;
}

#include "packed.c"

static void netslicer_do_dense(const netslicer_step *step, netslicer_work *work)
{
    const int has_start = (step->flags & NETSLICER_HAS_START) != 0, to_list = (step->flags & NETSLICER_TO_LIST) != 0;
    const size_t stride = netslicer_stride(step);
    netslicer_dense_layer layer;
    if ((step->flags & NETSLICER_FROM_LIST) == 0) {
        const uint8_t *mask = netslicer_source_mask(step, work);
        netslicer_list_active(work->values + step->source, step->n_in, mask, stride, work->source);
    }
    layer.source = work->source;
    layer.bias = netslicer_table(step->table);
    layer.start = has_start != 0 ? layer.bias + stride : NULL;
    layer.weights = layer.bias + (has_start != 0 ? 2U : 1U) * stride;
    layer.list = to_list != 0 ? work->target : NULL;
    layer.row = 0;
    layer.row_step = to_list != 0 ? netslicer_stride(step + 1) : 0U;
    layer.target = work->values + step->target;
    layer.has_relu = (step->flags & NETSLICER_HAS_RELU) != 0;
    work->target->count = 0;
    netslicer_do_units(step, work, &layer);
    if (to_list != 0) {
        netslicer_list *const written = work->target;
        work->target = work->source;
        work->source = written;
    }
}

static void netslicer_do_step(const netslicer_step *step, netslicer_work *work)
{
    const float *source = work->values + step->source;
    float *target = work->values + step->target;
    const size_t n = step->n_out;
    switch (step->kind) {
    case NETSLICER_DENSE:
        netslicer_do_dense(step, work);
        break;
    case NETSLICER_RELU:
        netslicer_relu(source, n, target);
        break;
    case NETSLICER_ADD:
        netslicer_add(source, work->values + step->second, n, target);
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

/* @READOUT */
#include "readout.c"

/* READOUT@ */
/* @AFFINE */
#include "affine.c"

/* AFFINE@ */
int netslicer_route(const float *in)
{
    int answer = NETSLICER_BAD_ARGUMENT;
    if (in != NULL) {
        answer = netslicer_check_domain(in);
    }
    if (answer == NETSLICER_FOR_PARENT) {
        return NETSLICER_CELLS;
    }
    return answer == NETSLICER_OK ? (int)netslicer_find_cell(in) : answer;
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
    netslicer_list lists[2] = {{scratch->list_values[0], scratch->list_rows[0], 0},
                               {scratch->list_values[1], scratch->list_rows[1], 0}};
    netslicer_work work = {scratch->values, netslicer_member_of((size_t)cell), &lists[0], &lists[1]};
/* @READOUT */
    if (work.member < NETSLICER_READOUTS) {
        netslicer_load(in, work.values + netslicer_programs[0].input);
        netslicer_do_readout(&work, out);
        return NETSLICER_OK;
    }
/* READOUT@ */
/* @AFFINE */
    if (work.member >= NETSLICER_FIRST_AFFINE) {
        netslicer_load(in, work.values);
        netslicer_do_affine(work.member - NETSLICER_FIRST_AFFINE, &work, out);
        return NETSLICER_OK;
    }
/* AFFINE@ */
    const netslicer_program *program = netslicer_program_of(work.member);
    const netslicer_step *step = netslicer_steps + program->first_step;
    netslicer_load(in, work.values + program->input);
    for (size_t count = program->steps; count > 0; count--) {
        netslicer_do_step(step, &work);
        step++;
    }
    netslicer_copy(work.values + program->output, NETSLICER_OUTPUTS, out);
    return NETSLICER_OK;
}

#include "selfcheck.c"
