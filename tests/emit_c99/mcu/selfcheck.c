/* Exit code 0 if net_selfcheck() is content, 1 if it is not. */
#include "board.h"
#include "net.h"

int main(void)
{
    return net_selfcheck() == NET_OK ? 0 : 1;
}
