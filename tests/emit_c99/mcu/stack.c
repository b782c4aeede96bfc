/* Prints how many bytes of stack net_run, net_route and net_selfcheck use at most, over the vectors of vectors.h. */
#include "board.h"
#include "net.h"
#include "vectors.h" /* #define VECTORS n, and: static const float vectors[VECTORS][NET_INPUTS] */

#define WORDS 1024U
#define PAINT 0x5A5AA5A5U

static net_scratch scratch;
static float out[NET_OUTPUTS];

/* Everything happens in main, below whose frame nothing stands until it calls something; interrupts are off. */
#define INLINE static inline __attribute__((always_inline))

INLINE volatile uint32_t *stack_pointer(void)
{
    volatile uint32_t *pointer;
#if defined(__riscv)
    __asm__ volatile("mv %0, sp" : "=r"(pointer));
#else
    __asm__ volatile("mov %0, sp" : "=r"(pointer));
#endif
    return pointer;
}

INLINE void paint(void)
{
    for (volatile uint32_t *word = stack_pointer() - WORDS; word < stack_pointer(); word++) {
        *word = PAINT;
    }
}

INLINE uint32_t painted_over(void)
{
    volatile uint32_t *word = stack_pointer() - WORDS;
    while (word < stack_pointer() && *word == PAINT) {
        word++;
    }
    return (uint32_t)(stack_pointer() - word) * 4U;
}

int main(void)
{
    paint();
    for (int vector = 0; vector < VECTORS; vector++) {
        (void)net_run(vectors[vector], out, &scratch);
    }
    board_print_word(painted_over());
    paint();
    for (int vector = 0; vector < VECTORS; vector++) {
        (void)net_route(vectors[vector]);
    }
    board_print_word(painted_over());
    paint();
    const int code = net_selfcheck();
    board_print_word(painted_over());
    return code == NET_OK ? 0 : 1;
}
