/* Prints the size of the scratch memory of the package with prefix `net`. */
#include <stdio.h>

#include "net.h"

int main(void)
{
    printf("%u\n", (unsigned)sizeof(net_scratch));
    return sizeof(net_scratch) == NET_SCRATCH_BYTES ? 0 : 1;
}
