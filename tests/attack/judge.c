/* Runs points through the C of a family and of its parent and counts, per kind of point, those at which an output
 * (or in mode decision the place of the largest or smallest output) differs or at which a unit is active that the point's cell claims to be removed.
 *
 * usage: judge KINDS REMOVED < POINTS, compiled with DECIDES 0 (bits), 1 (argmax) or -1 (argmin)
 *   REMOVED  file of FAMILY_CELLS rows of UNITS bytes: 1 where the unit is removed in the cell
 *   POINTS   batches: kind and number of points (two uint32), then FAMILY_INPUTS float32 per point, in this machine's
 *            byte order
 * The parent's outputs are the pre-activations of its UNITS units, then its own.
 * stdout: a line per kind: points; points with an output that differs under ==; points with an active removed unit;
 *         points refused by either; the parent's checksum; processor seconds; the largest value of a removed unit;
 *         FAMILY_INPUTS numbers: the first point with a difference; FAMILY_INPUTS numbers: the point of the largest value
 *         (NaN where there is none)
 * The checksum is the sum of (2k + 1)·bits over the parent's outputs k at all points, modulo 2^64; the bits of -0 are 0.
 * exit status: 0, or 2 if something cannot be read */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "family.h"
#include "parent.h"

#define UNITS (PARENT_OUTPUTS - FAMILY_OUTPUTS)
#define CHUNK 1024

typedef struct {
    unsigned long points, different, active, refused;
    uint64_t checksum;
    double seconds;
    float largest;
    float witness[FAMILY_INPUTS];
    float largest_at[FAMILY_INPUTS];
} finding;

static float points[CHUNK][FAMILY_INPUTS];
static float expected[PARENT_OUTPUTS];
static float got[FAMILY_OUTPUTS];
static family_scratch family_memory;
static parent_scratch parent_memory;
static unsigned char *removed;

static uint64_t checksum(void)
{
    uint64_t sum = 0;
    for (int output = 0; output < PARENT_OUTPUTS; ++output) {
        uint32_t bits = 0;
        if (expected[output] != 0.0f) {
            memcpy(&bits, &expected[output], sizeof bits);
        }
        sum += (2 * (uint64_t)output + 1) * bits;
    }
    return sum;
}

/* Where the largest or smallest output stands, of equal ones the first. */
static int decided(const float *outputs)
{
    int best = 0;
    for (int output = 1; output < FAMILY_OUTPUTS; ++output) {
        best = (float)DECIDES * outputs[output] > (float)DECIDES * outputs[best] ? output : best;
    }
    return best;
}

static int differs(void)
{
    int count = 0;
    if (DECIDES != 0) {
        return decided(expected + UNITS) != decided(got);
    }
    for (int output = 0; output < FAMILY_OUTPUTS; ++output) {
        count += !(expected[UNITS + output] == got[output]);
    }
    return count > 0;
}

/* The larger of two numbers; a NaN is larger than any. */
static float larger(float a, float b)
{
    return a != a || a >= b ? a : b;
}

/* The largest pre-activation of the cell's removed units: minus infinity if there is none. */
static float largest_removed(const unsigned char *row)
{
    float largest = -INFINITY;
    for (int unit = 0; unit < UNITS; ++unit) {
        if (row[unit]) {
            largest = larger(largest, expected[unit]);
        }
    }
    return largest;
}

static void judge(const float *point, finding *found)
{
    const int cell = family_route(point);
    found->points += 1;
    if (cell < 0 || parent_run(point, expected, &parent_memory) != PARENT_OK ||
        family_run(point, got, &family_memory) != FAMILY_OK) {
        found->refused += 1;
        return;
    }
    found->checksum += checksum();
    if (differs()) {
        if (found->different == 0) {
            memcpy(found->witness, point, sizeof found->witness);
        }
        found->different += 1;
    }
    const float largest = largest_removed(removed + (size_t)cell * UNITS);
    found->active += !(largest <= 0.0f);
    if (larger(found->largest, largest) != found->largest) {
        found->largest = largest;
        memcpy(found->largest_at, point, sizeof found->largest_at);
    }
}

/* One batch from standard input; returns 1, 0 at the end, or -1 if it is cut short. */
static int judge_batch(finding *findings, unsigned kinds)
{
    uint32_t header[2];
    const size_t words = fread(header, sizeof header[0], 2, stdin);
    if (words != 2) {
        return words == 0 ? 0 : -1;
    }
    if (header[0] >= kinds) {
        return -1;
    }
    while (header[1] > 0) {
        const uint32_t want = header[1] < CHUNK ? header[1] : CHUNK;
        if (fread(points, sizeof points[0], want, stdin) != want) {
            return -1;
        }
        const clock_t start = clock();
        for (uint32_t point = 0; point < want; ++point) {
            judge(points[point], &findings[header[0]]);
        }
        findings[header[0]].seconds += (double)(clock() - start) / CLOCKS_PER_SEC;
        header[1] -= want;
    }
    return 1;
}

static void print_point(const float *point)
{
    for (int input = 0; input < FAMILY_INPUTS; ++input) {
        printf(" %a", (double)point[input]);
    }
}

static int read_removed(const char *path)
{
    const size_t size = (size_t)FAMILY_CELLS * UNITS;
    FILE *file = fopen(path, "rb");
    removed = malloc(size + 1);
    if (file == NULL || removed == NULL) {
        return 0;
    }
    const size_t got_bytes = fread(removed, 1, size + 1, file);
    fclose(file);
    return got_bytes == size;
}

int main(int argc, char **argv)
{
    const unsigned kinds = argc == 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    finding *findings = calloc(kinds + 1, sizeof *findings);
    int more = 1;
    if (kinds == 0 || findings == NULL || !read_removed(argv[2])) {
        return 2;
    }
    for (unsigned kind = 0; kind < kinds; ++kind) {
        findings[kind].largest = -INFINITY;
        for (int input = 0; input < FAMILY_INPUTS; ++input) {
            findings[kind].witness[input] = findings[kind].largest_at[input] = NAN;
        }
    }
    while (more > 0) {
        more = judge_batch(findings, kinds);
    }
    for (unsigned kind = 0; kind < kinds; ++kind) {
        const finding *found = &findings[kind];
        printf("%lu %lu %lu %lu %llu %.3f %a", found->points, found->different, found->active, found->refused,
               (unsigned long long)found->checksum, found->seconds, (double)found->largest);
        print_point(found->witness);
        print_point(found->largest_at);
        printf("\n");
    }
    return more == 0 ? 0 : 2;
}
