/* Dense layers with few live units, and units that do not sum all their terms. */

/* The values z[4] of four units, given by their positions. */
NETSLICER_PART void netslicer_sum_at_4(const netslicer_dense_layer *layer, const netslicer_index *units, float *z)
{
    const size_t u0 = units[0], u1 = units[1], u2 = units[2], u3 = units[3];
    const float *weights = layer->weights, *value = layer->source->values;
    const netslicer_row *row = layer->source->rows, *const end = row + layer->source->count;
    float a0 = 0.0f, a1 = 0.0f, a2 = 0.0f, a3 = 0.0f;
    if (layer->source->count != 0U) {
        do {
            const float *w = weights + *row++;
            const float h = *value++;
            a0 += w[u0] * h;
            a1 += w[u1] * h;
            a2 += w[u2] * h;
            a3 += w[u3] * h;
        } while (row != end);
    }
    z[0] = a0 + layer->bias[u0];
    z[1] = a1 + layer->bias[u1];
    z[2] = a2 + layer->bias[u2];
    z[3] = a3 + layer->bias[u3];
}

/* Appends those of four units, given by ascending positions, that are live: bit i of live stands for units[i]. */
NETSLICER_KERNEL void netslicer_gather_4(const netslicer_dense_layer *layer, const netslicer_index *units,
                                         unsigned live)
{
    float z[4];
    netslicer_sum_at_4(layer, units, z);
    netslicer_end end = netslicer_end_of(layer->list);
    const size_t row = layer->row, step = layer->row_step;
    netslicer_append(&end, z[0], live, row + units[0] * step);
    netslicer_append(&end, z[1], live >> 1, row + units[1] * step);
    netslicer_append(&end, z[2], live >> 2, row + units[2] * step);
    netslicer_append(&end, z[3], live >> 3, row + units[3] * step);
    netslicer_close(layer->list, end);
}

/* Appends a unit with a given value. */
static void netslicer_append_value(const netslicer_dense_layer *layer, size_t unit, float z)
{
    netslicer_end end = netslicer_end_of(layer->list);
    netslicer_append(&end, z, 1U, layer->row + unit * layer->row_step);
    netslicer_close(layer->list, end);
}

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

/* Appends the live ones of n units, four at a time; their accumulators start at zero. The last of them are filled up to
 * four, which costs less than single units unless floating-point operations are slow. */
static void netslicer_gather_units(const netslicer_dense_layer *layer, size_t n, const uint8_t *mask)
{
    netslicer_index units[4] = {0, 0, 0, 0};
    unsigned count = 0;
    for (size_t first = 0; first < n; first += 8U) {
        for (unsigned live = *mask; live != 0U; live &= live - 1U) {
            units[count] = (netslicer_index)(first + netslicer_lowest(live));
            count++;
            if (count == 4U) {
                netslicer_gather_4(layer, units, 0xFU);
                count = 0;
            }
        }
        mask++;
    }
    if (count != 0U && NETSLICER_SLOW_FLOATS == 0) {
        netslicer_gather_4(layer, units, 0xFU >> (4U - count));
        count = 0;
    }
    for (unsigned i = 0; i < count; i++) {
        netslicer_append_value(layer, units[i], netslicer_sum_1(layer, units[i], 0.0f, 0));
    }
}

/* The value of a special unit: given, or the sum of the terms from source unit special->first on. */
static float netslicer_special_value(const netslicer_dense_layer *layer, size_t n_in, size_t n_out,
                                     const netslicer_special *special)
{
    const netslicer_list *list = layer->source;
    size_t first = 0;
    if (special->first == n_in) {
        return special->value;
    }
    while (first < list->count && list->rows[first] < special->first * n_out) {
        first++;
    }
    return netslicer_sum_1(layer, special->unit, special->value, first);
}

/* Computes the live ones of n_out units one by one, among them special units in ascending order, after which comes one
 * whose position is n_out. The others are zero. */
static void netslicer_each_unit(netslicer_dense_layer *layer, size_t n_in, size_t n_out, const uint8_t *mask,
                                const netslicer_special *special)
{
    for (size_t unit = 0; unit < n_out; unit++) {
        float z = 0.0f;
        if (((unsigned)mask[unit / 8U] >> unit % 8U & 1U) != 0U) {
            if (special->unit == unit) {
                z = netslicer_special_value(layer, n_in, n_out, special);
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
