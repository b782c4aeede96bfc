/* Dense units: the sums of their terms. A list of the source units that are not zero comes in.
 *
 * The declared order of a unit is acc = start; acc = acc + w[j] * h[j] for j ascending; z = acc + bias. A term with
 * h[j] == 0 is left out: it is +0 or -0, and the accumulator, which is never -0, stays what it is. Several units are
 * computed at a time, each in an accumulator of its own; the order within a unit stays the declared one.
 *
 * The loops are left before their first round if the list is empty, and tested once a round otherwise. */

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

static const float netslicer_zeros[16] = {0};

/* The values z[16] of the next sixteen units. */
NETSLICER_PART void netslicer_sum_16(const netslicer_dense_layer *layer, float *z)
{
    const float *a = layer->start != NULL ? layer->start : netslicer_zeros;
    float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7];
    float a8 = a[8], a9 = a[9], a10 = a[10], a11 = a[11], a12 = a[12], a13 = a[13], a14 = a[14], a15 = a[15];
    const float *bias = layer->bias, *weights = layer->weights, *value = layer->source->values;
    const netslicer_row *row = layer->source->rows, *const end = row + layer->source->count;
    if (layer->source->count != 0U) {
        do {
            const float *w = weights + *row++;
            const float h = *value++;
            a0 += w[0] * h;
            a1 += w[1] * h;
            a2 += w[2] * h;
            a3 += w[3] * h;
            a4 += w[4] * h;
            a5 += w[5] * h;
            a6 += w[6] * h;
            a7 += w[7] * h;
            a8 += w[8] * h;
            a9 += w[9] * h;
            a10 += w[10] * h;
            a11 += w[11] * h;
            a12 += w[12] * h;
            a13 += w[13] * h;
            a14 += w[14] * h;
            a15 += w[15] * h;
        } while (row != end);
    }
    z[0] = a0 + bias[0];
    z[1] = a1 + bias[1];
    z[2] = a2 + bias[2];
    z[3] = a3 + bias[3];
    z[4] = a4 + bias[4];
    z[5] = a5 + bias[5];
    z[6] = a6 + bias[6];
    z[7] = a7 + bias[7];
    z[8] = a8 + bias[8];
    z[9] = a9 + bias[9];
    z[10] = a10 + bias[10];
    z[11] = a11 + bias[11];
    z[12] = a12 + bias[12];
    z[13] = a13 + bias[13];
    z[14] = a14 + bias[14];
    z[15] = a15 + bias[15];
}

/* The values z[8] of the next eight units. */
NETSLICER_PART void netslicer_sum_8(const netslicer_dense_layer *layer, float *z)
{
    const float *a = layer->start != NULL ? layer->start : netslicer_zeros;
    float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7];
    const float *bias = layer->bias, *weights = layer->weights, *value = layer->source->values;
    const netslicer_row *row = layer->source->rows, *const end = row + layer->source->count;
    if (layer->source->count != 0U) {
        do {
            const float *w = weights + *row++;
            const float h = *value++;
            a0 += w[0] * h;
            a1 += w[1] * h;
            a2 += w[2] * h;
            a3 += w[3] * h;
            a4 += w[4] * h;
            a5 += w[5] * h;
            a6 += w[6] * h;
            a7 += w[7] * h;
        } while (row != end);
    }
    z[0] = a0 + bias[0];
    z[1] = a1 + bias[1];
    z[2] = a2 + bias[2];
    z[3] = a3 + bias[3];
    z[4] = a4 + bias[4];
    z[5] = a5 + bias[5];
    z[6] = a6 + bias[6];
    z[7] = a7 + bias[7];
}

/* The values z[4] of the next four units. */
NETSLICER_PART void netslicer_sum_4(const netslicer_dense_layer *layer, float *z)
{
    const float *a = layer->start != NULL ? layer->start : netslicer_zeros;
    float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    const float *bias = layer->bias, *weights = layer->weights, *value = layer->source->values;
    const netslicer_row *row = layer->source->rows, *const end = row + layer->source->count;
    if (layer->source->count != 0U) {
        do {
            const float *w = weights + *row++;
            const float h = *value++;
            a0 += w[0] * h;
            a1 += w[1] * h;
            a2 += w[2] * h;
            a3 += w[3] * h;
        } while (row != end);
    }
    z[0] = a0 + bias[0];
    z[1] = a1 + bias[1];
    z[2] = a2 + bias[2];
    z[3] = a3 + bias[3];
}

/* The values z[2] of the next two units. */
NETSLICER_PART void netslicer_sum_2(const netslicer_dense_layer *layer, float *z)
{
    const float *a = layer->start != NULL ? layer->start : netslicer_zeros;
    float a0 = a[0], a1 = a[1];
    const float *bias = layer->bias, *weights = layer->weights, *value = layer->source->values;
    const netslicer_row *row = layer->source->rows, *const end = row + layer->source->count;
    if (layer->source->count != 0U) {
        do {
            const float *w = weights + *row++;
            const float h = *value++;
            a0 += w[0] * h;
            a1 += w[1] * h;
        } while (row != end);
    }
    z[0] = a0 + bias[0];
    z[1] = a1 + bias[1];
}

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
