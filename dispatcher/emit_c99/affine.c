/* Affine members: one dense layer each, with numbers of its own. */

/* Evaluates an affine member, counted from the first of them, on the input in the work's values. */
static void netslicer_do_affine(size_t affine, const netslicer_work *work, float *out)
{
    netslicer_dense_layer layer;
    netslicer_list_active(work->values, NETSLICER_INPUTS, NULL, NETSLICER_OUTPUTS, work->source);
    layer.source = work->source;
    layer.bias = netslicer_table(netslicer_affine[affine]);
    layer.start = NULL;
    layer.weights = layer.bias + NETSLICER_OUTPUTS;
    layer.list = NULL;
    layer.row = 0;
    layer.row_step = 0;
    layer.target = out;
    layer.has_relu = 0;
    netslicer_store_units(&layer, NETSLICER_OUTPUTS);
}
