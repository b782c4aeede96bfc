/* Dense units: the sums of their terms. A list of the source units that are not zero comes in.
 *
 * The declared order of a unit is acc = start; acc = acc + w[j] * h[j] for j ascending; z = acc + bias. A term with
 * h[j] == 0 is left out: it is +0 or -0, and the accumulator, which is never -0, stays what it is. Several units are
 * computed at a time, each in an accumulator of its own; the order within a unit stays the declared one. */

/* Units that are not zero, in ascending order. */
typedef struct {
    float *values;       /* [count] */
    netslicer_row *rows; /* [count]: where the weights of each begin in the layer that reads the list */
    size_t count;
} netslicer_list;

/* A dense layer, from its next unit on: the kernels compute some units and step over them. */
typedef struct {
    const netslicer_list *source;
    const float *weights; /* those of source unit 0 for all units of the layer, then those of source unit 1, ... */
    const float *bias;
    const float *start;   /* first values of the accumulators, or NULL: zeros */
    netslicer_list *list; /* either: receives the units that are above zero ... */
    size_t row;           /* ... and for each its row: the next unit's is row, those of the following are ... */
    size_t row_step;      /* ... row + row_step, row + 2 * row_step and so on */
    float *target;        /* or: receives every unit ... */
    int has_relu;         /* ... nonzero: or zero instead, if it is not above zero */
} netslicer_dense_layer;

/* Sums of four units that stand side by side. */
typedef struct {
    float a, b, c, d;
} netslicer_quad;

NETSLICER_PART void netslicer_begin(netslicer_quad *sum, const float *numbers)
{
    sum->a = numbers[0];
    sum->b = numbers[1];
    sum->c = numbers[2];
    sum->d = numbers[3];
}

/* sum + w * h, each unit for itself. */
NETSLICER_PART void netslicer_add_terms(netslicer_quad *sum, const float *w, float h)
{
    sum->a += w[0] * h;
    sum->b += w[1] * h;
    sum->c += w[2] * h;
    sum->d += w[3] * h;
}

NETSLICER_PART void netslicer_add_bias(netslicer_quad *sum, const float *bias)
{
    sum->a += bias[0];
    sum->b += bias[1];
    sum->c += bias[2];
    sum->d += bias[3];
}

/* Most quads whose sums are kept in registers at a time. */
#define NETSLICER_MOST_QUADS 7U
static const float netslicer_zeros[4U * NETSLICER_MOST_QUADS] = {0};

/* The value of one unit, `unit` places after the next one: its accumulator starts at `start` and takes the terms of the
 * list from position `first` on. */
static float netslicer_sum_1(const netslicer_dense_layer *layer, size_t unit, float start, size_t first)
{
    const netslicer_list *list = layer->source;
    const float *weights = layer->weights + unit;
    float a0 = start;
    for (size_t k = first; k < list->count; k++) {
        a0 += weights[list->rows[k]] * list->values[k];
    }
    return a0 + layer->bias[unit];
}
