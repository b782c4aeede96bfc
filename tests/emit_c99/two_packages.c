/* Evaluates the packages `net` and `other`, both with two inputs and one output, on points from stdin. */
#include <stdio.h>

#include "net.h"
#include "other.h"

int main(void)
{
    static net_scratch net_memory;
    static other_scratch other_memory;
    float in[NET_INPUTS], out[2];
    while (fread(in, sizeof in, 1, stdin) == 1) {
        if (net_run(in, &out[0], &net_memory) != NET_OK || other_run(in, &out[1], &other_memory) != OTHER_OK) {
            return 1;
        }
        fwrite(out, sizeof out, 1, stdout);
    }
    return 0;
}
