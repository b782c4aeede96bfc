/* Compares the compiled package with the reference interpreter, input by input. */
#include "netslicer_test_vectors.h"

#include <stddef.h>

/* Nonzero if a vector gets its cell and the bits of its outputs (-0 counts as 0). */
static int netslicer_passes(size_t vector, netslicer_scratch *scratch)
{
    float out[NETSLICER_OUTPUTS];
    const float *in = netslicer_test_inputs[vector];
    int passes = 0;
    if (netslicer_run(in, out, scratch) == NETSLICER_OK) {
        passes = netslicer_route(in) == (int)netslicer_test_cells[vector];
        for (size_t i = 0; i < NETSLICER_OUTPUTS; i++) {
            passes = passes != 0 && out[i] == netslicer_test_outputs[vector][i];
        }
    }
    return passes;
}

int netslicer_selftest(netslicer_scratch *scratch)
{
    int answer = NETSLICER_BAD_ARGUMENT;
    if (scratch != NULL) {
        answer = netslicer_selfcheck();
    }
    for (int number = 1; answer == NETSLICER_OK && number <= NETSLICER_TEST_VECTORS; number++) {
        if (netslicer_passes((size_t)number - 1U, scratch) == 0) {
            answer = number;
        }
    }
    return answer;
}
