/* Throws hostile inputs at the package with prefix `net`: usage: hostile COUNT SEED. Prints how many inputs were evaluated
 * and how many refused; exit code 1 if an answer is inconsistent:
 *
 *   - net_run and net_route refuse the same inputs with the same code, and a refusal leaves the output alone;
 *   - what the scratch and the output held before does not matter;
 *   - NaN is never accepted, and what else is refused is what NET_POLICY says.
 *
 * Every array stands in a heap block of its own, so that a sanitizer sees stray accesses. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_data.h"

static uint32_t state = 1;

/* xorshift; Marsaglia 2003. */
static uint32_t word(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float beside(float value)
{
    switch (word() % 3U) {
    case 0:
        return nextafterf(value, INFINITY);
    case 1:
        return nextafterf(value, -INFINITY);
    default:
        return value;
    }
}

/* A number of the domain, a border or its neighbour, a special value, or any bits at all. The wild ones are rare enough
 * that many inputs are inside the domain. */
static float number(size_t axis)
{
    const float lower = net_lower[axis], upper = net_upper[axis];
    const float share = (float)(word() >> 8) * 0x1p-24f;
    switch (word() % 40U) {
    case 0:
        return from_bits(word());
    case 1:
        return from_bits(0x7F800000U | (word() & 0x807FFFFFU)); /* NaN, seldom infinity */
    case 2:
        return word() % 2U == 0U ? INFINITY : -INFINITY;
    case 3:
        return beside(word() % 2U == 0U ? lower : upper);
    case 4:
    case 5:
    case 6:
    case 7:
        return from_bits(word() & 0x807FFFFFU); /* a subnormal number, or a zero of either sign */
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
        return beside(net_splits[word() % NET_SPLITS].threshold);
    default:
        return fminf(fmaxf(lower + share * (upper - lower), lower), upper);
    }
}

static int must_be_refused(const float *in)
{
    int refused = 0;
    for (size_t i = 0; i < NET_INPUTS; i++) {
        const int outside = !(in[i] >= net_lower[i] && in[i] <= net_upper[i]);
        refused |= isnan(in[i]) || (outside && NET_POLICY == NET_REJECT) || (isinf(in[i]) && NET_POLICY == NET_PARENT);
    }
    return refused;
}

int main(int argc, char **argv)
{
    const size_t bytes = sizeof(float) * NET_OUTPUTS;
    float *in = (float *)malloc(sizeof(float) * NET_INPUTS), *out[2] = {(float *)malloc(bytes), (float *)malloc(bytes)};
    unsigned char *filled = (unsigned char *)malloc(bytes);
    net_scratch *scratch = (net_scratch *)malloc(sizeof *scratch);
    long count = argc == 3 ? atol(argv[1]) : 0, accepted = 0, wrong = 0;
    if (count <= 0 || in == NULL || out[0] == NULL || out[1] == NULL || filled == NULL || scratch == NULL) {
        return 2;
    }
    state = (uint32_t)atol(argv[2]) | 1U;
    for (long i = 0; i < count; i++) {
        int codes[2], route;
        for (size_t axis = 0; axis < NET_INPUTS; axis++) {
            in[axis] = number(axis);
        }
        route = net_route(in);
        for (int time = 0; time < 2; time++) {
            memset(scratch, time == 0 ? 0xFF : 0x7E, sizeof *scratch);
            memset(out[time], 0xFF, bytes);
            codes[time] = net_run(in, out[time], scratch);
        }
        memset(filled, 0xFF, bytes);
        accepted += codes[0] == NET_OK;
        wrong += codes[0] != codes[1] || memcmp(out[0], out[1], bytes) != 0;
        wrong += codes[0] == NET_OK ? route < 0 || route > NET_CELLS : route != codes[0];
        wrong += (codes[0] != NET_OK) != must_be_refused(in);
        wrong += codes[0] != NET_OK && memcmp(out[0], filled, bytes) != 0;
    }
    printf("%ld %ld\n", accepted, count - accepted);
    free(in);
    free(out[0]);
    free(out[1]);
    free(filled);
    free(scratch);
    return wrong == 0 ? 0 : 1;
}
