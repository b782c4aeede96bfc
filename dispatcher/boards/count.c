/* Prints, for each of the vectors of vectors.h, the instructions of one call of netslicer_run, in steps of 40. */
#include "board.h"
#include "netslicer.h"
#include "vectors.h" /* #define VECTORS n, and: static const float vectors[VECTORS][NETSLICER_INPUTS] */

int main(void)
{
    static netslicer_scratch scratch;
    static float out[NETSLICER_OUTPUTS];
    for (int vector = 0; vector < VECTORS; vector++) {
        board_start_count();
        if (netslicer_run(vectors[vector], out, &scratch) != NETSLICER_OK) {
            return 1;
        }
        board_print_word(board_instructions());
    }
    return 0;
}
