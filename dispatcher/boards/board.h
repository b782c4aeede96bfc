/* What a test program on an emulated board may use: text output by semihosting and a counter of instructions. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* Writes one word as eight hex digits and a newline. */
void board_print_word(uint32_t word);

/* Instructions since board_start_count() under `qemu -icount shift=0`; on the mps2 boards in steps of 40 (25 MHz SysTick),
 * at most 2^24 ticks. */
void board_start_count(void);
uint32_t board_instructions(void);

/* The test program; its return value is the emulator's exit code. */
int main(void);

#endif
