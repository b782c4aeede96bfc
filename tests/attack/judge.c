/* Runs points through the C of a family and of its parent and counts, per kind of point, those at which an output
 * (or in mode decision the place of the largest or smallest output) differs by more than its bound or at which a unit is active that the point's cell claims to be removed.
 *
 * usage: judge KINDS REMOVED BOUNDS < POINTS, compiled with DECIDES 0 (numbers), 1 (argmax) or -1 (argmin)
 *   REMOVED  file of FAMILY_CELLS rows of UNITS bytes: 1 where the unit is removed in the cell
 *   BOUNDS   file of FAMILY_CELLS rows of FAMILY_OUTPUTS float32: by how much an output may differ in the cell; all 0
 *            but in mode epsilon, which is compiled with SHARES 1
 *   POINTS   batches: kind and number of points (two uint32), then FAMILY_INPUTS float32 per point, in this machine's
 *            byte order
 * The parent's outputs are the pre-activations of its UNITS units, then its own.
 * stdout: a line per kind: points; points with an output that differs under ==; points with an active removed unit;
 *         points refused by either; the parent's checksum; processor seconds; the largest value of a removed unit;
 *         FAMILY_INPUTS numbers: the first point with a difference; FAMILY_INPUTS numbers: the point of the largest value
 *         (NaN where there is none). With SHARES, on the same line for each cell: the largest difference of any output as
 *         a share of its bound, infinite if the bound is 0, and FAMILY_INPUTS numbers: the first point that has it
 * The checksum is the sum of (2k + 1)·bits over the parent's outputs k at all points, modulo 2^64; the bits of -0 are 0.
 * Differences are compared with their bounds as real numbers.
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
    double share[FAMILY_CELLS];
    float share_at[FAMILY_CELLS][FAMILY_INPUTS];
} finding;

static float points[CHUNK][FAMILY_INPUTS];
static float expected[PARENT_OUTPUTS];
static float got[FAMILY_OUTPUTS];
static family_scratch family_memory;
static parent_scratch parent_memory;
static unsigned char *removed;
static float bounds[FAMILY_CELLS][FAMILY_OUTPUTS];

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

/* Whether two numbers differ by more than a bound, as real numbers. If their difference was rounded to the bound, its
 * rounding error decides (Knuth's TwoSum). NaN is beyond every bound. */
static int beyond(double a, double b, double bound)
{
    const double difference = a - b;
    const double part = difference - a;
    const double rest = (a - (difference - part)) - (b + part);
    const double more = difference < 0.0 ? -rest : rest;
    return !(a == b || fabs(difference) < bound || (fabs(difference) == bound && more <= 0.0));
}

static int differs(const float *bound)
{
    int count = 0;
    if (DECIDES != 0) {
        return decided(expected + UNITS) != decided(got);
    }
    for (int output = 0; output < FAMILY_OUTPUTS; ++output) {
        count += beyond(got[output], expected[UNITS + output], bound[output]);
    }
    return count > 0;
}

/* The largest difference of an output as a share of its bound. */
static double largest_share(const float *bound)
{
    double largest = 0.0;
    for (int output = 0; output < FAMILY_OUTPUTS; ++output) {
        const double a = got[output], b = expected[UNITS + output];
        const double share = a == b ? 0.0 : fabs(a - b) / (double)bound[output];
        largest = share > largest || share != share ? (share == share ? share : (double)INFINITY) : largest;
    }
    return largest;
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
    if (differs(bounds[cell])) {
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
    if (SHARES) {
        const double share = largest_share(bounds[cell]);
        if (share > found->share[cell]) {
            found->share[cell] = share;
            memcpy(found->share_at[cell], point, sizeof found->share_at[cell]);
        }
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

/* Reads a file that has exactly so many bytes; returns 0 if there is none. */
static int read_whole(const char *path, void *content, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return 0;
    }
    const size_t got_bytes = fread(content, 1, size, file);
    const int more = fgetc(file);
    fclose(file);
    return got_bytes == size && more == EOF;
}

static void clear(finding *found)
{
    found->largest = -INFINITY;
    for (int input = 0; input < FAMILY_INPUTS; ++input) {
        found->witness[input] = found->largest_at[input] = NAN;
        for (int cell = 0; cell < FAMILY_CELLS; ++cell) {
            found->share_at[cell][input] = NAN;
        }
    }
}

static void print_finding(const finding *found)
{
    printf("%lu %lu %lu %lu %llu %.3f %a", found->points, found->different, found->active, found->refused,
           (unsigned long long)found->checksum, found->seconds, (double)found->largest);
    print_point(found->witness);
    print_point(found->largest_at);
    for (int cell = 0; SHARES && cell < FAMILY_CELLS; ++cell) {
        printf(" %a", found->share[cell]);
        print_point(found->share_at[cell]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    const unsigned kinds = argc == 4 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    const size_t size = (size_t)FAMILY_CELLS * UNITS;
    finding *findings = calloc(kinds + 1, sizeof *findings);
    int more = 1;
    removed = malloc(size + 1);
    if (kinds == 0 || findings == NULL || removed == NULL || !read_whole(argv[2], removed, size) ||
        !read_whole(argv[3], bounds, sizeof bounds)) {
        return 2;
    }
    for (unsigned kind = 0; kind < kinds; ++kind) {
        clear(&findings[kind]);
    }
    while (more > 0) {
        more = judge_batch(findings, kinds);
    }
    for (unsigned kind = 0; kind < kinds; ++kind) {
        print_finding(&findings[kind]);
    }
    return more == 0 ? 0 : 2;
}
