/* Prints, for each of the vectors of vectors.h, the instructions of one call of net_run, in steps of 40. */
#include "board.h"
#include "net.h"
#include "vectors.h" /* #define VECTORS n, and: static const float vectors[VECTORS][NET_INPUTS] */

int main(void)
{
    static net_scratch scratch;
    static float out[NET_OUTPUTS];
    for (int vector = 0; vector < VECTORS; vector++) {
        board_start_count();
        if (net_run(vectors[vector], out, &scratch) != NET_OK) {
            return 1;
        }
        board_print_word(board_instructions());
    }
    return 0;
}
