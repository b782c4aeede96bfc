/* The tables behind netslicer.h: a routing tree, and short programs of layer steps. Not for users. */
#ifndef NETSLICER_DATA_H
#define NETSLICER_DATA_H

#include "netslicer.h"

/* @TYPES@ */

/* Where the tables go, after every declarator: -D'NETSLICER_SECTION=__attribute__((section(".tables")))' for instance. They
 * are read as ordinary memory. */
#ifndef NETSLICER_SECTION
#define NETSLICER_SECTION
#endif

/* Routing test: in[axis] <= threshold goes low. Splits stand in preorder. */
typedef struct {
    float threshold;
    netslicer_index axis;
    netslicer_index low; /* number of cells below the low child */
} netslicer_split;

/* A program: its steps, and where in the scratch its input and output stand. */
typedef struct {
    netslicer_place first_step;
    netslicer_index steps;
    netslicer_index input;
    netslicer_index output;
} netslicer_program;

/* Kinds of steps; in brackets the numbers at the step's place `table`. */
#define NETSLICER_DENSE 0   /* target = weights * source + bias [bias: n_out][start: n_out, if flagged][weights: n_in * n_out];
                             if it leaves a list, n_out here is the next multiple of four, and zeros fill up */
#define NETSLICER_RELU 1    /* target = max(source, 0) */
#define NETSLICER_ADD 2     /* target = source + second */
#define NETSLICER_PLUS 3    /* target = source + constants [n_out] */
#define NETSLICER_TIMES 4   /* target = source * constants [n_out] */
#define NETSLICER_DIVIDED 5 /* target = source / constants [n_out] */
#define NETSLICER_GATHER 6  /* target = source at indices [n_out, in netslicer_indices] */
#define NETSLICER_COPY 7    /* target = source */

/* Flags of a dense step. */
#define NETSLICER_HAS_START 1 /* accumulators start at the sum of a constant prefix instead of zero */
#define NETSLICER_HAS_RELU 2  /* followed by a relu in place */
#define NETSLICER_FROM_LIST 4 /* the step before left its units in a list */
#define NETSLICER_TO_LIST 8   /* leaves its units in a list for the next step, and nothing in its target */

/* One step of a program. Source, second and target are offsets into the scratch's values. */
typedef struct {
    netslicer_place table;
    netslicer_index source;
    netslicer_index second;
    netslicer_index target;
    netslicer_index n_in;
    netslicer_index n_out;
    uint8_t kind;
    uint8_t flags;
} netslicer_step;

#ifdef __cplusplus
extern "C" {
#endif

extern const float netslicer_lower[NETSLICER_INPUTS];
extern const float netslicer_upper[NETSLICER_INPUTS];
extern const netslicer_split netslicer_splits[NETSLICER_SPLITS];
extern const netslicer_index netslicer_cells[NETSLICER_CELLS]; /* each cell's member */
extern const netslicer_program netslicer_programs[NETSLICER_PROGRAMS];
extern const netslicer_step netslicer_steps[NETSLICER_STEPS];
extern const netslicer_index netslicer_indices[NETSLICER_INDICES];
extern const float *const netslicer_floats[NETSLICER_CHUNKS]; /* see netslicer_table() */
/* @CHUNKS@ */
/* @LAYOUT@ */
#ifdef __cplusplus
}
#endif

#endif
