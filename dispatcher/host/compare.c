/* Runs the C of a family and of its parent over points from a file and counts outputs that differ.
 *
 * usage: compare POINTS    POINTS: float32 inputs, FAMILY_INPUTS per point, in this machine's byte order
 * stdout: points, outputs that differ under ==, return codes other than OK, index of the first bad point (-1: none),
 *         nanoseconds in the parent, nanoseconds in the family
 */
#include <stdio.h>
#include <time.h>

#include "family.h"
#include "parent.h"

#define CHUNK 4096

static float points[CHUNK][FAMILY_INPUTS];
static float expected[CHUNK][PARENT_OUTPUTS];
static float got[CHUNK][FAMILY_OUTPUTS];
static family_scratch family_memory;
static parent_scratch parent_memory;

static double now(void)
{
    return (double)clock() * (1e9 / CLOCKS_PER_SEC);
}

static long differing(size_t point)
{
    long count = 0;
    for (int output = 0; output < FAMILY_OUTPUTS; ++output) {
        count += !(expected[point][output] == got[point][output]);
    }
    return count;
}

int main(int argc, char **argv)
{
    long total = 0, different = 0, failed = 0, first = -1;
    double parent_time = 0.0, family_time = 0.0;
    size_t count;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        return 2;
    }
    while ((count = fread(points, sizeof points[0], CHUNK, file)) > 0) {
        double start = now(), middle;
        for (size_t point = 0; point < count; ++point) {
            failed += parent_run(points[point], expected[point], &parent_memory) != PARENT_OK;
        }
        middle = now();
        for (size_t point = 0; point < count; ++point) {
            failed += family_run(points[point], got[point], &family_memory) != FAMILY_OK;
        }
        parent_time += middle - start;
        family_time += now() - middle;
        for (size_t point = 0; point < count; ++point) {
            long bad = differing(point);
            if (bad != 0 && first < 0) {
                first = total + (long)point;
            }
            different += bad;
        }
        total += (long)count;
    }
    fclose(file);
    printf("%ld %ld %ld %ld %.0f %.0f\n", total, different, failed, first, parent_time, family_time);
    return 0;
}
