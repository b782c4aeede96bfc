/* Exit code 0 if net_selfcheck() is content in the floating-point mode named by the argument, 1 if it is not. */
#include <fenv.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "net.h"

static int set_mode(const char *mode)
{
#if defined(__x86_64__)
    if (strcmp(mode, "flush-to-zero") == 0) {
        _mm_setcsr(_mm_getcsr() | 0x8000U);
        return 0;
    }
    if (strcmp(mode, "denormals-are-zero") == 0) {
        _mm_setcsr(_mm_getcsr() | 0x0040U);
        return 0;
    }
#endif
    if (strcmp(mode, "upward") == 0) {
        return fesetround(FE_UPWARD);
    }
    if (strcmp(mode, "downward") == 0) {
        return fesetround(FE_DOWNWARD);
    }
    return fesetround(strcmp(mode, "towards-zero") == 0 ? FE_TOWARDZERO : FE_TONEAREST);
}

int main(int argc, char **argv)
{
    if (argc != 2 || set_mode(argv[1]) != 0) {
        return 2;
    }
    return net_selfcheck() == NET_OK ? 0 : 1;
}
