/* Exit code 0 if NULL arguments are refused, and if evaluating in place gives what evaluating apart gives. */
#include <stddef.h>
#include <string.h>

#include "net.h"

int main(void)
{
    float in[NET_INPUTS + NET_OUTPUTS] = {0.25f};
    float out[NET_OUTPUTS];
    net_scratch scratch;
    if (net_run(NULL, out, &scratch) != NET_BAD_ARGUMENT || net_run(in, NULL, &scratch) != NET_BAD_ARGUMENT) {
        return 1;
    }
    if (net_run(in, out, NULL) != NET_BAD_ARGUMENT || net_route(NULL) != NET_BAD_ARGUMENT) {
        return 2;
    }
    if (net_run(in, out, &scratch) != NET_OK || net_run(in, in, &scratch) != NET_OK) {
        return 3;
    }
    return memcmp(in, out, sizeof out) == 0 ? 0 : 4;
}
