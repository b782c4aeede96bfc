/* Evaluates the package with prefix `net` on points from stdin (float32, NET_INPUTS each); writes to stdout, for each
 * point, what net_run and net_route return (int32) and the outputs. Every array stands in a heap block of its own and
 * the scratch holds NaN before each call, so that a sanitizer sees stray accesses and stale values show. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

int main(void)
{
    float *in = (float *)malloc(sizeof(float) * NET_INPUTS);
    float *out = (float *)malloc(sizeof(float) * NET_OUTPUTS);
    net_scratch *scratch = (net_scratch *)malloc(sizeof *scratch);
    if (in == NULL || out == NULL || scratch == NULL) {
        return 2;
    }
    while (fread(in, sizeof(float), NET_INPUTS, stdin) == NET_INPUTS) {
        memset(scratch, 0xFF, sizeof *scratch);
        memset(out, 0xFF, sizeof(float) * NET_OUTPUTS);
        const int32_t codes[2] = {net_run(in, out, scratch), net_route(in)};
        fwrite(codes, sizeof codes, 1, stdout);
        fwrite(out, sizeof(float), NET_OUTPUTS, stdout);
    }
    free(in);
    free(out);
    free(scratch);
    return 0;
}
