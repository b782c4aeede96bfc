/* Dense layers: what becomes of the sums. The units above zero go to a list, for a dense layer that comes next, or all
 * units go to a vector.
 *
 * A mask says which units are live: bit i % 8 of byte i / 8 stands for unit i. No mask: all are. */

/* Lists the live ones of the values [n] that are not zero. */
static void netslicer_list_active(const float *values, size_t n, const uint8_t *mask, size_t row_step,
                                  netslicer_list *list)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (values[i] != 0.0f && (mask == NULL || ((unsigned)mask[i / 8U] >> i % 8U & 1U) != 0U)) {
            list->values[count] = values[i];
            list->rows[count] = (netslicer_row)(i * row_step);
            count++;
        }
    }
    list->count = count;
}

/* Where the next unit of a list goes. */
typedef struct {
    float *value;
    netslicer_row *row;
} netslicer_end;

NETSLICER_PART netslicer_end netslicer_end_of(const netslicer_list *list)
{
    const netslicer_end end = {list->values + list->count, list->rows + list->count};
    return end;
}

NETSLICER_PART void netslicer_close(netslicer_list *list, netslicer_end end)
{
    const ptrdiff_t count = end.value - list->values;
    list->count = (size_t)count;
}

/* Appends a unit if it is above zero and, by the lowest bit of live, live. */
NETSLICER_PART void netslicer_append(netslicer_end *end, float z, unsigned live, size_t row)
{
    if (z > 0.0f && (live & 1U) != 0U) {
        *end->value++ = z;
        *end->row++ = (netslicer_row)row;
    }
}

/* The first value of the next unit's accumulator. */
static float netslicer_start(const netslicer_dense_layer *layer)
{
    return layer->start != NULL ? layer->start[0] : 0.0f;
}

/* Steps over n units. */
NETSLICER_PART void netslicer_skip(netslicer_dense_layer *layer, size_t n)
{
    layer->weights += n;
    layer->bias += n;
    layer->row += n * layer->row_step;
    if (layer->start != NULL) {
        layer->start += n;
    }
}

/* Appends the live ones of the next sixteen units and steps over all; bit i of live stands for unit i. If none is live,
 * nothing is computed. */
NETSLICER_KERNEL void netslicer_append_16(netslicer_dense_layer *layer, unsigned live)
{
    if (live != 0U) {
        float z[16];
        netslicer_sum_16(layer, z);
        netslicer_end end = netslicer_end_of(layer->list);
        const size_t row = layer->row, step = layer->row_step;
        netslicer_append(&end, z[0], live, row);
        netslicer_append(&end, z[1], live >> 1, row + step);
        netslicer_append(&end, z[2], live >> 2, row + 2 * step);
        netslicer_append(&end, z[3], live >> 3, row + 3 * step);
        netslicer_append(&end, z[4], live >> 4, row + 4 * step);
        netslicer_append(&end, z[5], live >> 5, row + 5 * step);
        netslicer_append(&end, z[6], live >> 6, row + 6 * step);
        netslicer_append(&end, z[7], live >> 7, row + 7 * step);
        netslicer_append(&end, z[8], live >> 8, row + 8 * step);
        netslicer_append(&end, z[9], live >> 9, row + 9 * step);
        netslicer_append(&end, z[10], live >> 10, row + 10 * step);
        netslicer_append(&end, z[11], live >> 11, row + 11 * step);
        netslicer_append(&end, z[12], live >> 12, row + 12 * step);
        netslicer_append(&end, z[13], live >> 13, row + 13 * step);
        netslicer_append(&end, z[14], live >> 14, row + 14 * step);
        netslicer_append(&end, z[15], live >> 15, row + 15 * step);
        netslicer_close(layer->list, end);
    }
    netslicer_skip(layer, 16);
}

/* Eight, four and two units. */
NETSLICER_KERNEL void netslicer_append_8(netslicer_dense_layer *layer, unsigned live)
{
    if (live != 0U) {
        float z[8];
        netslicer_sum_8(layer, z);
        netslicer_end end = netslicer_end_of(layer->list);
        const size_t row = layer->row, step = layer->row_step;
        netslicer_append(&end, z[0], live, row);
        netslicer_append(&end, z[1], live >> 1, row + step);
        netslicer_append(&end, z[2], live >> 2, row + 2 * step);
        netslicer_append(&end, z[3], live >> 3, row + 3 * step);
        netslicer_append(&end, z[4], live >> 4, row + 4 * step);
        netslicer_append(&end, z[5], live >> 5, row + 5 * step);
        netslicer_append(&end, z[6], live >> 6, row + 6 * step);
        netslicer_append(&end, z[7], live >> 7, row + 7 * step);
        netslicer_close(layer->list, end);
    }
    netslicer_skip(layer, 8);
}

NETSLICER_KERNEL void netslicer_append_4(netslicer_dense_layer *layer, unsigned live)
{
    if (live != 0U) {
        float z[4];
        netslicer_sum_4(layer, z);
        netslicer_end end = netslicer_end_of(layer->list);
        const size_t row = layer->row, step = layer->row_step;
        netslicer_append(&end, z[0], live, row);
        netslicer_append(&end, z[1], live >> 1, row + step);
        netslicer_append(&end, z[2], live >> 2, row + 2 * step);
        netslicer_append(&end, z[3], live >> 3, row + 3 * step);
        netslicer_close(layer->list, end);
    }
    netslicer_skip(layer, 4);
}

NETSLICER_KERNEL void netslicer_append_2(netslicer_dense_layer *layer, unsigned live)
{
    if (live != 0U) {
        float z[2];
        netslicer_sum_2(layer, z);
        netslicer_end end = netslicer_end_of(layer->list);
        const size_t row = layer->row, step = layer->row_step;
        netslicer_append(&end, z[0], live, row);
        netslicer_append(&end, z[1], live >> 1, row + step);
        netslicer_close(layer->list, end);
    }
    netslicer_skip(layer, 2);
}

/* One unit. */
static void netslicer_append_1(netslicer_dense_layer *layer, unsigned live)
{
    if (live != 0U) {
        netslicer_end end = netslicer_end_of(layer->list);
        netslicer_append(&end, netslicer_sum_1(layer, 0, netslicer_start(layer), 0), live, layer->row);
        netslicer_close(layer->list, end);
    }
    netslicer_skip(layer, 1);
}

/* The mask of the n units from unit i on, a multiple of 8; n is at most 16. */
static unsigned netslicer_mask_bits(const uint8_t *mask, size_t i, size_t n)
{
    unsigned live = 0xFFFFU;
    if (mask != NULL) {
        live = mask[i / 8U];
        if (n > 8U) {
            live |= (unsigned)mask[i / 8U + 1U] << 8;
        }
    }
    return live;
}

/* Appends the live ones of fewer than sixteen units. */
static void netslicer_append_rest(netslicer_dense_layer *layer, size_t n, unsigned live)
{
    if ((n & 8U) != 0U) {
        netslicer_append_8(layer, live & 0xFFU);
        live >>= 8;
    }
    if ((n & 4U) != 0U) {
        netslicer_append_4(layer, live & 0xFU);
        live >>= 4;
    }
    if ((n & 2U) != 0U) {
        netslicer_append_2(layer, live & 3U);
        live >>= 2;
    }
    if ((n & 1U) != 0U) {
        netslicer_append_1(layer, live & 1U);
    }
}

/* Appends the live ones of n units. */
static void netslicer_append_units(netslicer_dense_layer *layer, size_t n, const uint8_t *mask)
{
    size_t i = 0;
    for (; i + 16U <= n; i += 16U) {
        const unsigned live = netslicer_mask_bits(mask, i, 16U);
        if ((live & 0xFFU) != 0U && live >> 8 != 0U) {
            netslicer_append_16(layer, live);
        } else {
            netslicer_append_8(layer, live & 0xFFU);
            netslicer_append_8(layer, live >> 8);
        }
    }
    if (i < n) {
        netslicer_append_rest(layer, n - i, netslicer_mask_bits(mask, i, n - i));
    }
}

/* Writes a unit to the target, or its relu. */
NETSLICER_PART void netslicer_store(netslicer_dense_layer *layer, float z)
{
    *layer->target++ = layer->has_relu != 0 ? netslicer_positive(z) : z;
}

/* Writes the next eight units and steps over them. */
NETSLICER_KERNEL void netslicer_store_8(netslicer_dense_layer *layer)
{
    float z[8];
    netslicer_sum_8(layer, z);
    netslicer_store(layer, z[0]);
    netslicer_store(layer, z[1]);
    netslicer_store(layer, z[2]);
    netslicer_store(layer, z[3]);
    netslicer_store(layer, z[4]);
    netslicer_store(layer, z[5]);
    netslicer_store(layer, z[6]);
    netslicer_store(layer, z[7]);
    netslicer_skip(layer, 8);
}

/* Four units. */
NETSLICER_KERNEL void netslicer_store_4(netslicer_dense_layer *layer)
{
    float z[4];
    netslicer_sum_4(layer, z);
    netslicer_store(layer, z[0]);
    netslicer_store(layer, z[1]);
    netslicer_store(layer, z[2]);
    netslicer_store(layer, z[3]);
    netslicer_skip(layer, 4);
}

/* One unit. */
static void netslicer_store_1(netslicer_dense_layer *layer)
{
    netslicer_store(layer, netslicer_sum_1(layer, 0, netslicer_start(layer), 0));
    netslicer_skip(layer, 1);
}

/* Writes n units. */
static void netslicer_store_units(netslicer_dense_layer *layer, size_t n)
{
    for (; n >= 8U; n -= 8U) {
        netslicer_store_8(layer);
    }
    if (n >= 4U) {
        netslicer_store_4(layer);
        n -= 4U;
    }
    for (; n > 0U; n--) {
        netslicer_store_1(layer);
    }
}
