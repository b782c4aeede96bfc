/* Layout masked: one program with the parent's dense matrices, and for each member which units of each layer are live.
 *
 * Units that are not live are left out of lists; in vectors they hold any number, and what reads a vector into a list
 * leaves them out. So they never count. */

#include "gather.c"

static const netslicer_program *netslicer_program_of(size_t member)
{
    (void)member;
    return &netslicer_programs[0];
}

/* The set that a member chooses of a slot. */
static size_t netslicer_set(const netslicer_work *work, size_t slot)
{
    return netslicer_choices[work->member * NETSLICER_SLOTS + slot];
}

/* The mask of a slot's set. */
static const uint8_t *netslicer_mask(const netslicer_slot *slot, size_t set)
{
    return netslicer_masks + slot->masks + set * slot->bytes;
}

/* The mask of the units that a dense step reads, or NULL if all are live. */
static const uint8_t *netslicer_source_mask(const netslicer_step *step, const netslicer_work *work)
{
    const size_t slot = netslicer_live_of_step[step - netslicer_steps].source;
    if (slot == NETSLICER_ALL_LIVE) {
        return NULL;
    }
    return netslicer_mask(&netslicer_slots[slot], netslicer_set(work, slot));
}

/* Computes the units of a dense step, of which some may not be live. */
static void netslicer_do_live(const netslicer_step *step, const netslicer_work *work, size_t number,
                              netslicer_dense_layer *layer)
{
    const netslicer_slot *slot = &netslicer_slots[number];
    const size_t set = netslicer_set(work, number);
    const uint8_t *mask = netslicer_mask(slot, set);
    if (set >= slot->plain) {
        const size_t first = netslicer_special_sets[slot->specials + (set - slot->plain)];
        const netslicer_special *special = netslicer_specials + first;
        netslicer_each_unit(layer, step->n_in, step->n_out, netslicer_stride(step), mask, special);
    } else if (layer->list == NULL) {
        netslicer_store_units(layer, step->n_out);
    } else if (set < slot->gathered || NETSLICER_SLOW_FLOATS != 0) {
        netslicer_gather_units(layer, step->n_out, mask);
    } else {
        netslicer_append_units(layer, step->n_out, mask);
    }
}

/* Computes the units of a dense step. */
static void netslicer_do_units(const netslicer_step *step, const netslicer_work *work, netslicer_dense_layer *layer)
{
    const size_t slot = netslicer_live_of_step[step - netslicer_steps].target;
    if (slot != NETSLICER_ALL_LIVE) {
        netslicer_do_live(step, work, slot, layer);
    } else if (layer->list == NULL) {
        netslicer_store_units(layer, step->n_out);
    } else {
        netslicer_append_units(layer, step->n_out, NULL);
    }
}

/* Appends n units by each of the ways that this layout has; returns how many units that makes. */
static size_t netslicer_append_every_way(netslicer_dense_layer *layer, size_t n, const uint8_t *mask)
{
    netslicer_gather_units(layer, n, mask);
    netslicer_append_units(layer, n, mask);
    return 2 * n;
}
