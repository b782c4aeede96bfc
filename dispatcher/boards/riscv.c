/* Reset, text output and instruction counter for QEMU's RISC-V board "virt" (RV32).
 *
 * QEMU, hw/riscv/virt.c: 16550 UART at 0x10000000, SiFive test finisher at 0x100000. The RISC-V Instruction Set Manual,
 * volume II: mstatus.FS, mtvec, minstret. */
#include <stddef.h>

#include "board.h"

#define UART (*(volatile uint8_t *)0x10000000U)
#define FINISHER (*(volatile uint32_t *)0x00100000U)
#define PASSED 0x5555U
#define FAILED 0x3333U
#define FS_INITIAL 0x2000U

void start(void);
void fault(void);

__asm__(".option arch, +zicsr\n"
        ".section .text.reset, \"ax\"\n"
        ".globl reset\n"
        "reset:\n"
        "    la sp, stack_top\n"
        "    j start\n"
        ".text\n");

static uint32_t counted_from;

static uint32_t retired(void)
{
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

static void leave(uint32_t code)
{
    FINISHER = code == 0U ? PASSED : (code & 0xFFFFU) << 16 | FAILED;
    for (;;) {
    }
}

void board_print_word(uint32_t word)
{
    for (int digit = 0; digit < 8; digit++) {
        UART = (uint8_t)"0123456789abcdef"[(word >> (28 - 4 * digit)) & 15U];
    }
    UART = (uint8_t)'\n';
}

void board_start_count(void)
{
    counted_from = retired();
}

uint32_t board_instructions(void)
{
    return retired() - counted_from;
}

__attribute__((aligned(4))) void fault(void)
{
    leave(125);
}

void start(void)
{
    __asm__ volatile("csrw mtvec, %0" : : "r"(fault));
#if defined(__riscv_flen)
    __asm__ volatile("csrs mstatus, %0\n\tcsrw fcsr, zero" : : "r"(FS_INITIAL));
#endif
    leave((uint32_t)main());
}

/* What compilers call for plain loops; there is no C library here. */
#define PLAIN __attribute__((optimize("no-tree-loop-distribute-patterns")))
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);

PLAIN void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
    return to;
}

PLAIN void *memset(void *to, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = (uint8_t)byte;
    }
    return to;
}
