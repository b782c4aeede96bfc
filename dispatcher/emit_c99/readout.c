/* Readouts: outputs that are an affine function of units of several layers. Their terms are added as soon as the steps have
 * computed a layer, in the declared order: layer by layer, units ascending, the bias last. */

/* Adds a unit's terms to all outputs. */
NETSLICER_PART void netslicer_add_unit(const float *weights, float h, float *out)
{
    for (size_t i = 0; i < NETSLICER_OUTPUTS; i++) {
        out[i] += weights[i] * h;
    }
}

/* Adds the terms of the units of a mask that are in a list; weights are those of the units of the mask. */
static void netslicer_add_masked(const netslicer_reading *reading, const netslicer_list *list, const uint8_t *mask,
                                 const float *weights, float *out)
{
    size_t k = 0;
    for (size_t first = 0; first < reading->units && k < list->count; first += 8U) {
        for (unsigned bits = mask[first / 8U]; bits != 0U; bits &= bits - 1U) {
            const size_t row = (first + netslicer_lowest(bits)) * reading->row_step;
            while (k < list->count && list->rows[k] < row) {
                k++;
            }
            if (k < list->count && list->rows[k] == row) {
                netslicer_add_unit(weights, list->values[k], out);
            }
            weights += NETSLICER_OUTPUTS;
        }
    }
}

/* Adds the terms of the units that are read of a layer. */
static void netslicer_do_stage(const netslicer_stage *stage, netslicer_work *work, float *out)
{
    const netslicer_reading *reading = &netslicer_readings[stage->reading];
    const uint8_t *mask = netslicer_masks + stage->mask;
    const float *weights = netslicer_table(stage->weights);
    const netslicer_list *list = work->source;
    if ((reading->flags & NETSLICER_READS_LIST) == 0) {
        netslicer_list_active(work->values + reading->source, reading->units, mask, reading->row_step, work->target);
        list = work->target;
    }
    if ((reading->flags & NETSLICER_READS_ALL) == 0) {
        netslicer_add_masked(reading, list, mask, weights, out);
    } else {
        for (size_t k = 0; k < list->count; k++) {
            netslicer_add_unit(weights + list->rows[k], list->values[k], out);
        }
    }
}

/* Evaluates a member of the readouts on the input in the work's values. */
static void netslicer_do_readout(netslicer_work *work, float *out)
{
    const netslicer_readout *readout = &netslicer_readouts[work->member];
    size_t done = 0;
    for (size_t i = 0; i < NETSLICER_OUTPUTS; i++) {
        out[i] = 0.0f;
    }
    for (size_t number = 0; number < readout->stages; number++) {
        const netslicer_stage *stage = &netslicer_stages[readout->first_stage + number];
        for (; done < netslicer_readings[stage->reading].steps; done++) {
            netslicer_do_step(&netslicer_steps[done], work);
        }
        netslicer_do_stage(stage, work, out);
    }
    netslicer_add(out, netslicer_table(readout->bias), NETSLICER_OUTPUTS, out);
}
