/* Dense layers that leave all units in a vector. */

/* Writes a unit to the target, or its relu. */
NETSLICER_PART void netslicer_store(netslicer_dense_layer *layer, float z)
{
    *layer->target++ = layer->has_relu != 0 ? netslicer_positive(z) : z;
}

/* Writes the next four units and steps over them. */
NETSLICER_KERNEL void netslicer_store_4(netslicer_dense_layer *layer)
{
    const netslicer_list *list = layer->source;
    netslicer_quad sum;
    netslicer_begin(&sum, layer->start != NULL ? layer->start : netslicer_zeros);
    for (size_t k = 0; k < list->count; k++) {
        netslicer_add_terms(&sum, layer->weights + list->rows[k], list->values[k]);
    }
    netslicer_add_bias(&sum, layer->bias);
    netslicer_store(layer, sum.a);
    netslicer_store(layer, sum.b);
    netslicer_store(layer, sum.c);
    netslicer_store(layer, sum.d);
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
    for (; n >= 4U; n -= 4U) {
        netslicer_store_4(layer);
    }
    for (; n > 0U; n--) {
        netslicer_store_1(layer);
    }
}
