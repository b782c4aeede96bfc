/* Test program for the host: exit code 0 if the package answers as it should. Needs the whole package and nothing else.
 *
 * Every vector must pass, also evaluated in place; bad arguments and NaN must be refused, and numbers outside the domain
 * treated as NETSLICER_POLICY says. */
#include "netslicer_test_vectors.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static netslicer_scratch scratch;
static float memory[NETSLICER_INPUTS + NETSLICER_OUTPUTS];
static int failures = 0;

static void expect(const char *what, int number, int code, int expected)
{
    if (code != expected) {
        printf("netslicer: %s %d: got %d, expected %d\n", what, number, code, expected);
        failures++;
    }
}

/* The code for the first vector with one number changed; the output must stay as it is if it is refused. */
static int with_number(size_t axis, float number)
{
    float before[NETSLICER_OUTPUTS], out[NETSLICER_OUTPUTS];
    int code;
    memset(before, 0x55, sizeof before);
    memcpy(out, before, sizeof out);
    memcpy(memory, netslicer_test_inputs[0], sizeof netslicer_test_inputs[0]);
    memory[axis] = number;
    code = netslicer_run(memory, out, &scratch);
    if (code < 0) {
        expect("output written on refusal of input", (int)axis, memcmp(before, out, sizeof out), 0);
    }
    return code;
}

static void test_vectors(void)
{
    expect("self-test, first failing vector", 0, netslicer_selftest(&scratch), NETSLICER_OK);
    for (int vector = 0; vector < NETSLICER_TEST_VECTORS; vector++) {
        memcpy(memory, netslicer_test_inputs[vector], sizeof netslicer_test_inputs[0]);
        expect("in place, vector", vector, netslicer_run(memory, memory, &scratch), NETSLICER_OK);
        for (int i = 0; i < NETSLICER_OUTPUTS; i++) {
            expect("in place, output", i, memory[i] == netslicer_test_outputs[vector][i], 1);
        }
    }
}

static void test_refusals(void)
{
    float out[NETSLICER_OUTPUTS];
    expect("no input", 0, netslicer_run(NULL, out, &scratch), NETSLICER_BAD_ARGUMENT);
    expect("no output", 0, netslicer_run(memory, NULL, &scratch), NETSLICER_BAD_ARGUMENT);
    expect("no scratch", 0, netslicer_run(memory, out, NULL), NETSLICER_BAD_ARGUMENT);
    expect("no input to route", 0, netslicer_route(NULL), NETSLICER_BAD_ARGUMENT);
    for (size_t axis = 0; axis < NETSLICER_INPUTS; axis++) {
        expect("NaN at input", (int)axis, with_number(axis, NAN), NETSLICER_NAN);
        expect("infinity at input", (int)axis, with_number(axis, INFINITY),
               NETSLICER_POLICY == NETSLICER_CLAMP ? NETSLICER_OK : NETSLICER_OUT_OF_DOMAIN);
    }
}

int main(void)
{
    test_vectors();
    test_refusals();
    printf("netslicer: %d vectors, %d failures\n", NETSLICER_TEST_VECTORS, failures);
    return failures == 0 ? 0 : 1;
}
