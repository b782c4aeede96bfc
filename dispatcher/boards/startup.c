/* Reset handler, semihosting and instruction counter for emulated Cortex-M boards (QEMU: mps2-an386, mps2-an385, microbit).
 *
 * ARM, "Semihosting for AArch32 and AArch64", operations SYS_WRITE0 and SYS_EXIT_EXTENDED; ARMv7-M Architecture
 * Reference Manual, B3.2.20 (CPACR) and B3.3 (SysTick). */
#include "board.h"

#define SYS_WRITE0 0x04U
#define SYS_EXIT_EXTENDED 0x20U
#define STOPPED_BY_APPLICATION 0x20026U

#define CPACR (*(volatile uint32_t *)0xE000ED88U)
#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010U)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014U)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018U)
#define TICKS 0x00FFFFFFU
#define INSTRUCTIONS_PER_TICK 40U

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
void reset(void);
void fault(void);

struct vector_table {
    const uint32_t *stack;
    void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) static const struct vector_table vectors = {
    &stack_top, {reset, fault, fault, fault, fault, fault, fault},
};

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void leave(uint32_t code)
{
    const uint32_t block[2] = {STOPPED_BY_APPLICATION, code};
    for (;;) {
        semihost(SYS_EXIT_EXTENDED, block);
    }
}

void board_print_word(uint32_t word)
{
    char text[10];
    for (int digit = 0; digit < 8; digit++) {
        text[digit] = "0123456789abcdef"[(word >> (28 - 4 * digit)) & 15U];
    }
    text[8] = '\n';
    text[9] = '\0';
    semihost(SYS_WRITE0, text);
}

void board_start_count(void)
{
    SYSTICK_RELOAD = TICKS;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* processor clock, no interrupt, enabled */
}

uint32_t board_instructions(void)
{
    return (TICKS - SYSTICK_VALUE) * INSTRUCTIONS_PER_TICK;
}

void fault(void)
{
    leave(125);
}

__attribute__((noreturn)) void reset(void)
{
#if defined(__ARM_FP)
    CPACR |= 0xFU << 20; /* full access to the floating-point unit */
    __asm__ volatile("dsb\n\tisb");
#endif
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; to++) {
        *to = 0;
    }
    leave((uint32_t)main());
    for (;;) {
    }
}
