/* Evaluates the package with prefix `net` on the vectors of vectors.h and prints, for each, what net_run and net_route
 * return, and the bits of the outputs. */
#include "board.h"
#include "net.h"
#include "vectors.h" /* #define VECTORS n, and: static const float vectors[VECTORS][NET_INPUTS] */

int main(void)
{
    static net_scratch scratch;
    union {
        float value;
        uint32_t bits;
    } out[NET_OUTPUTS];
    for (int vector = 0; vector < VECTORS; vector++) {
        board_print_word((uint32_t)net_run(vectors[vector], &out[0].value, &scratch));
        board_print_word((uint32_t)net_route(vectors[vector]));
        for (int output = 0; output < NET_OUTPUTS; output++) {
            board_print_word(out[output].bits);
        }
    }
    return net_selfcheck() == NET_OK ? 0 : 1;
}
