/* Layout packed: every member has a program and dense matrices of its own. */

static const netslicer_program *netslicer_program_of(size_t member)
{
    return &netslicer_programs[member];
}

/* The mask of the units that a dense step reads: all are live. */
static const uint8_t *netslicer_source_mask(const netslicer_step *step, const netslicer_work *work)
{
    (void)step;
    (void)work;
    return NULL;
}

/* Computes the units of a dense step. */
static void netslicer_do_units(const netslicer_step *step, const netslicer_work *work, netslicer_dense_layer *layer)
{
    (void)work;
    if ((step->flags & NETSLICER_TO_LIST) != 0) {
        netslicer_append_units(layer, step->n_out, NULL);
    } else {
        netslicer_store_units(layer, step->n_out);
    }
}

/* Appends n units by each of the ways that this layout has; returns how many units that makes. */
static size_t netslicer_append_every_way(netslicer_dense_layer *layer, size_t n, const uint8_t *mask)
{
    netslicer_append_units(layer, n, mask);
    return n;
}
