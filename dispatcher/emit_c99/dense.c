/* Dense layers whose units above zero go to a list, for the dense layer that comes next.
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
NETSLICER_PART void netslicer_append(netslicer_end *end, float z, uint32_t live, size_t row)
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

/* Adds the bias of four units, and appends those that are above zero and, by the lowest bits of live, live. */
NETSLICER_PART void netslicer_append_quad(netslicer_end *end, netslicer_quad *sum, const float *bias, uint32_t live,
                                          size_t row, size_t step)
{
    netslicer_add_bias(sum, bias);
    netslicer_append(end, sum->a, live, row);
    netslicer_append(end, sum->b, live >> 1, row + step);
    netslicer_append(end, sum->c, live >> 2, row + 2 * step);
    netslicer_append(end, sum->d, live >> 3, row + 3 * step);
}

/* Appends the live ones of the next units and steps over all: some quads, whose number is known to the compiler; bit i of
 * live stands for unit i. */
NETSLICER_PART void netslicer_append_quads(netslicer_dense_layer *layer, unsigned quads, uint32_t live)
{
    const float *start = layer->start != NULL ? layer->start : netslicer_zeros;
    netslicer_quad q0, q1, q2, q3, q4, q5, q6;
    netslicer_begin(&q0, start);
    if (quads > 1U) {
        netslicer_begin(&q1, start + 4);
    }
    if (quads > 2U) {
        netslicer_begin(&q2, start + 8);
    }
    if (quads > 3U) {
        netslicer_begin(&q3, start + 12);
    }
    if (quads > 4U) {
        netslicer_begin(&q4, start + 16);
    }
    if (quads > 5U) {
        netslicer_begin(&q5, start + 20);
    }
    if (quads > 6U) {
        netslicer_begin(&q6, start + 24);
    }
    const float *weights = layer->weights, *value = layer->source->values, *bias = layer->bias;
    const netslicer_row *row = layer->source->rows, *const last = row + layer->source->count;
    if (layer->source->count != 0U) {
        do {
            const float *w = weights + *row++;
            const float h = *value++;
            netslicer_add_terms(&q0, w, h);
            if (quads > 1U) {
                netslicer_add_terms(&q1, w + 4, h);
            }
            if (quads > 2U) {
                netslicer_add_terms(&q2, w + 8, h);
            }
            if (quads > 3U) {
                netslicer_add_terms(&q3, w + 12, h);
            }
            if (quads > 4U) {
                netslicer_add_terms(&q4, w + 16, h);
            }
            if (quads > 5U) {
                netslicer_add_terms(&q5, w + 20, h);
            }
            if (quads > 6U) {
                netslicer_add_terms(&q6, w + 24, h);
            }
        } while (row != last);
    }
    netslicer_end end = netslicer_end_of(layer->list);
    const size_t first = layer->row, step = layer->row_step;
    netslicer_append_quad(&end, &q0, bias, live, first, step);
    if (quads > 1U) {
        netslicer_append_quad(&end, &q1, bias + 4, live >> 4, first + 4 * step, step);
    }
    if (quads > 2U) {
        netslicer_append_quad(&end, &q2, bias + 8, live >> 8, first + 8 * step, step);
    }
    if (quads > 3U) {
        netslicer_append_quad(&end, &q3, bias + 12, live >> 12, first + 12 * step, step);
    }
    if (quads > 4U) {
        netslicer_append_quad(&end, &q4, bias + 16, live >> 16, first + 16 * step, step);
    }
    if (quads > 5U) {
        netslicer_append_quad(&end, &q5, bias + 20, live >> 20, first + 20 * step, step);
    }
    if (quads > 6U) {
        netslicer_append_quad(&end, &q6, bias + 24, live >> 24, first + 24 * step, step);
    }
    netslicer_close(layer->list, end);
    netslicer_skip(layer, 4U * quads);
}

NETSLICER_KERNEL void netslicer_append_4(netslicer_dense_layer *layer, uint32_t live)
{
    netslicer_append_quads(layer, 1U, live);
}

NETSLICER_KERNEL void netslicer_append_8(netslicer_dense_layer *layer, uint32_t live)
{
    netslicer_append_quads(layer, 2U, live);
}

NETSLICER_KERNEL void netslicer_append_16(netslicer_dense_layer *layer, uint32_t live)
{
    netslicer_append_quads(layer, 4U, live);
}

/* The mask of at most 28 units from unit `first` on, a multiple of four; no mask: all are live. */
static uint32_t netslicer_mask_bits(const uint8_t *mask, size_t first, size_t n)
{
    uint32_t bits = 0;
    if (mask == NULL) {
        return UINT32_MAX;
    }
    for (unsigned shift = 0; shift < first % 8U + n; shift += 8U) {
        bits |= (uint32_t)mask[(first + shift) / 8U] << shift;
    }
    return bits >> first % 8U;
}

#if NETSLICER_SLOW_FLOATS != 0
/* Appends the live one of one unit. */
static void netslicer_append_1(netslicer_dense_layer *layer, uint32_t live)
{
    netslicer_end end = netslicer_end_of(layer->list);
    netslicer_append(&end, netslicer_sum_1(layer, 0, netslicer_start(layer), 0), live, layer->row);
    netslicer_close(layer->list, end);
    netslicer_skip(layer, 1);
}

/* Appends the live ones of n units; no operation is done for those that fill up the last four. */
static void netslicer_append_units(netslicer_dense_layer *layer, size_t n, const uint8_t *mask)
{
    size_t i = 0;
    for (; i + 16U <= n; i += 16U) {
        netslicer_append_16(layer, netslicer_mask_bits(mask, i, 16U));
    }
    for (; i + 8U <= n; i += 8U) {
        netslicer_append_8(layer, netslicer_mask_bits(mask, i, 8U));
    }
    for (; i + 4U <= n; i += 4U) {
        netslicer_append_4(layer, netslicer_mask_bits(mask, i, 4U));
    }
    for (size_t k = 0; i + k < n; k++) {
        netslicer_append_1(layer, netslicer_mask_bits(mask, i, n - i) >> k);
    }
}
#else
NETSLICER_KERNEL void netslicer_append_12(netslicer_dense_layer *layer, uint32_t live)
{
    netslicer_append_quads(layer, 3U, live);
}

NETSLICER_KERNEL void netslicer_append_20(netslicer_dense_layer *layer, uint32_t live)
{
    netslicer_append_quads(layer, 5U, live);
}

NETSLICER_KERNEL void netslicer_append_24(netslicer_dense_layer *layer, uint32_t live)
{
    netslicer_append_quads(layer, 6U, live);
}

NETSLICER_KERNEL void netslicer_append_28(netslicer_dense_layer *layer, uint32_t live)
{
    netslicer_append_quads(layer, 7U, live);
}

/* Appends the live ones of at most 28 units. */
static void netslicer_append_some(netslicer_dense_layer *layer, size_t quads, uint32_t live)
{
    switch (quads) {
    case 1:
        netslicer_append_4(layer, live);
        break;
    case 2:
        netslicer_append_8(layer, live);
        break;
    case 3:
        netslicer_append_12(layer, live);
        break;
    case 4:
        netslicer_append_16(layer, live);
        break;
    case 5:
        netslicer_append_20(layer, live);
        break;
    case 6:
        netslicer_append_24(layer, live);
        break;
    default:
        netslicer_append_28(layer, live);
        break;
    }
}

/* Appends the live ones of n units, in passes over the source that take as many quads as the registers hold. Quads without
 * live units are left out at the ends of a pass. */
static void netslicer_append_units(netslicer_dense_layer *layer, size_t n, const uint8_t *mask)
{
    const size_t quads = (n + 3U) / 4U;
    size_t first = 0;
    while (first < quads) {
        size_t some = quads - first < NETSLICER_MOST_QUADS ? quads - first : NETSLICER_MOST_QUADS;
        const uint32_t live = netslicer_mask_bits(mask, 4U * first, 4U * some);
        if ((live & 0xFU) == 0U) {
            netslicer_skip(layer, 4);
            first++;
        } else {
            while ((live >> (4U * some - 4U) & 0xFU) == 0U) {
                some--;
            }
            netslicer_append_some(layer, some, live);
            first += some;
        }
    }
}
#endif
