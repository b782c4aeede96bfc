/* Dense layers with few live units, and units that do not sum all their terms. */

/* sum + w * h for four units, given by their positions. */
NETSLICER_PART void netslicer_add_terms_at(netslicer_quad *sum, const float *w, const netslicer_index *units, float h)
{
    sum->a += w[units[0]] * h;
    sum->b += w[units[1]] * h;
    sum->c += w[units[2]] * h;
    sum->d += w[units[3]] * h;
}

/* Adds the bias of four units, given by ascending positions, and appends those that are above zero and live: bit i of live
 * stands for units[i]. */
NETSLICER_PART void netslicer_append_at(netslicer_end *end, const netslicer_dense_layer *layer, const netslicer_quad *sum,
                                        const netslicer_index *units, uint32_t live)
{
    const float *bias = layer->bias;
    const size_t row = layer->row, step = layer->row_step;
    netslicer_append(end, sum->a + bias[units[0]], live, row + units[0] * step);
    netslicer_append(end, sum->b + bias[units[1]], live >> 1, row + units[1] * step);
    netslicer_append(end, sum->c + bias[units[2]], live >> 2, row + units[2] * step);
    netslicer_append(end, sum->d + bias[units[3]], live >> 3, row + units[3] * step);
}

/* Appends the live ones of one or two quads of units, whose number is known to the compiler. */
NETSLICER_PART void netslicer_gather_quads(const netslicer_dense_layer *layer, const netslicer_index *units, uint32_t live,
                                           unsigned quads)
{
    netslicer_quad q0, q1;
    const float *weights = layer->weights, *value = layer->source->values;
    const netslicer_row *row = layer->source->rows, *const last = row + layer->source->count;
    netslicer_begin(&q0, netslicer_zeros);
    netslicer_begin(&q1, netslicer_zeros);
    if (layer->source->count != 0U) {
        do {
            const float *w = weights + *row++;
            const float h = *value++;
            netslicer_add_terms_at(&q0, w, units, h);
            if (quads > 1U) {
                netslicer_add_terms_at(&q1, w, units + 4, h);
            }
        } while (row != last);
    }
    netslicer_end end = netslicer_end_of(layer->list);
    netslicer_append_at(&end, layer, &q0, units, live);
    if (quads > 1U) {
        netslicer_append_at(&end, layer, &q1, units + 4, live >> 4);
    }
    netslicer_close(layer->list, end);
}

/* Appends a unit with a given value. */
static void netslicer_append_value(const netslicer_dense_layer *layer, size_t unit, float z)
{
    netslicer_end end = netslicer_end_of(layer->list);
    netslicer_append(&end, z, 1U, layer->row + unit * layer->row_step);
    netslicer_close(layer->list, end);
}

NETSLICER_KERNEL void netslicer_gather_4(const netslicer_dense_layer *layer, const netslicer_index *units, uint32_t live)
{
    netslicer_gather_quads(layer, units, live, 1U);
}

#if NETSLICER_SLOW_FLOATS != 0
#define NETSLICER_GATHERED 4U

static void netslicer_gather_most(const netslicer_dense_layer *layer, const netslicer_index *units)
{
    netslicer_gather_4(layer, units, 0xFU);
}

/* Appends one to three units, given by ascending positions. */
static void netslicer_gather_rest(const netslicer_dense_layer *layer, netslicer_index *units, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        netslicer_append_value(layer, units[i], netslicer_sum_1(layer, units[i], 0.0f, 0));
    }
}
#else
#define NETSLICER_GATHERED 8U

NETSLICER_KERNEL void netslicer_gather_8(const netslicer_dense_layer *layer, const netslicer_index *units, uint32_t live)
{
    netslicer_gather_quads(layer, units, live, 2U);
}

static void netslicer_gather_most(const netslicer_dense_layer *layer, const netslicer_index *units)
{
    netslicer_gather_8(layer, units, 0xFFU);
}

/* Appends one to seven units, given by ascending positions. */
static void netslicer_gather_rest(const netslicer_dense_layer *layer, netslicer_index *units, unsigned count)
{
    const uint32_t live = ((uint32_t)1 << count) - 1U;
    for (; count % 4U != 0U; count++) {
        units[count] = units[0]; /* any unit fills up */
    }
    if (count == 8U) {
        netslicer_gather_8(layer, units, live);
    } else {
        netslicer_gather_4(layer, units, live);
    }
}
#endif

/* Position of the lowest bit that is set; there is one. */
NETSLICER_PART unsigned netslicer_lowest(unsigned bits)
{
#if defined(__GNUC__)
    return (unsigned)__builtin_ctz(bits);
#else
    unsigned position = 0;
    for (; (bits & 1U) == 0U; bits >>= 1) {
        position++;
    }
    return position;
#endif
}

/* Appends the live ones of n units, eight at a time; their accumulators start at zero. The last of them are filled up to
 * four or eight, which costs less than single units. Where floating-point operations are slow, they come four at a time,
 * and then one by one. */
static void netslicer_gather_units(const netslicer_dense_layer *layer, size_t n, const uint8_t *mask)
{
    netslicer_index units[8];
    unsigned count = 0;
    for (size_t first = 0; first < n; first += 8U) {
        for (unsigned live = *mask; live != 0U; live &= live - 1U) {
            units[count] = (netslicer_index)(first + netslicer_lowest(live));
            count++;
            if (count == NETSLICER_GATHERED) {
                netslicer_gather_most(layer, units);
                count = 0;
            }
        }
        mask++;
    }
    if (count != 0U) {
        netslicer_gather_rest(layer, units, count);
    }
}

/* The value of a special unit: given, or the sum of the terms from source unit special->first on. */
static float netslicer_special_value(const netslicer_dense_layer *layer, size_t n_in, size_t stride,
                                     const netslicer_special *special)
{
    const netslicer_list *list = layer->source;
    size_t first = 0;
    if (special->first == n_in) {
        return special->value;
    }
    while (first < list->count && list->rows[first] < special->first * stride) {
        first++;
    }
    return netslicer_sum_1(layer, special->unit, special->value, first);
}

/* Computes the live ones of n_out units one by one, among them special units in ascending order, after which comes one
 * whose position is n_out. The others are zero. */
static void netslicer_each_unit(netslicer_dense_layer *layer, size_t n_in, size_t n_out, size_t stride, const uint8_t *mask,
                                const netslicer_special *special)
{
    for (size_t unit = 0; unit < n_out; unit++) {
        float z = 0.0f;
        if (((unsigned)mask[unit / 8U] >> unit % 8U & 1U) != 0U) {
            if (special->unit == unit) {
                z = netslicer_special_value(layer, n_in, stride, special);
                special++;
            } else {
                z = netslicer_sum_1(layer, unit, 0.0f, 0);
            }
        }
        if (layer->list != NULL) {
            netslicer_append_value(layer, unit, z);
        } else {
            netslicer_store(layer, z);
        }
    }
}
