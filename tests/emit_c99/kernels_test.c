/* The kernels alone against plain loops in the declared order: prints what differs, exit code 0 if nothing does.
 * Dense layers of every width up to 40, with and without starts and relu, a third of the source units zero. */
#include <stdio.h>
#include <string.h>

#include <stdint.h>
typedef uint16_t netslicer_index, netslicer_place, netslicer_row;
#define NETSLICER_SLOTS 1
#define NETSLICER_STEPS 1
#define NETSLICER_CHOICES 1
#define NETSLICER_MASK_BYTES 1
#define NETSLICER_SPECIAL_SETS 1
#define NETSLICER_SPECIALS 1

#include "masked.h"

#include "kernels.c"
#include "sums.c"
#include "dense.c"
#include "store.c"
#include "gather.c"

enum { most = 40, row_step = 3 };

static uint32_t state = 1;
static int failures = 0;

/* xorshift; Marsaglia 2003. */
static uint32_t word(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* A number in [-1, 1) with 24 significant bits, every third time a zero of either sign. */
static float number(void)
{
    const uint32_t bits = word();
    const float value = (float)(int32_t)(bits >> 8) * 0x1p-23f - 1.0f;
    return bits % 3U == 0U ? value * 0.0f : value;
}

static void fill(float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        values[i] = number();
    }
}

static void expect(const char *what, const float *got, const float *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(got[i] == expected[i])) {
            printf("%s: unit %u of %u: got %a, expected %a\n", what, (unsigned)i, (unsigned)n, (double)got[i], (double)expected[i]);
            failures++;
        }
    }
}

/* A dense layer with random numbers and its source. */
typedef struct {
    size_t n_in, n_out;
    size_t stride; /* of the weights: n_out, or in whole quads for layers that leave a list */
    float weights[most * most], bias[most], start[most], source[most];
    float values[most], results[most + 1];
    netslicer_row rows[most], result_rows[most + 1];
    netslicer_list list, target;
    uint8_t mask[most / 8];
} problem;

static problem *make(size_t n_in, size_t n_out, int to_list)
{
    static problem p;
    p.n_in = n_in;
    p.n_out = n_out;
    p.stride = to_list != 0 ? (n_out + 3) / 4 * 4 : n_out;
    fill(p.weights, most * most);
    fill(p.bias, most);
    fill(p.start, most);
    for (size_t i = n_out; i < p.stride; i++) { /* zeros fill up */
        p.bias[i] = p.start[i] = 0.0f;
        for (size_t j = 0; j < n_in; j++) {
            p.weights[j * p.stride + i] = 0.0f;
        }
    }
    fill(p.source, most);
    p.list.values = p.values;
    p.list.rows = p.rows;
    p.target.values = p.results;
    p.target.rows = p.result_rows;
    p.target.count = 0;
    p.results[n_out] = 42.0f; /* must not be written, nor its row */
    p.result_rows[n_out] = 42;
    for (size_t i = 0; i < most / 8; i++) {
        const uint32_t kind = word();
        p.mask[i] = kind % 4U == 0U ? 0 : (uint8_t)(kind >> 8);
    }
    if (n_out % 8 != 0) {
        p.mask[n_out / 8] &= (uint8_t)(0xFFU >> (8 - n_out % 8)); /* no bits beyond the last unit, as emitted */
    }
    netslicer_list_active(p.source, n_in, NULL, p.stride, &p.list);
    return &p;
}

static netslicer_dense_layer layer_of(problem *p, int has_start, int to_list)
{
    const float *start = has_start != 0 ? p->start : NULL;
    netslicer_list *list = to_list != 0 ? &p->target : NULL;
    const netslicer_dense_layer layer = {&p->list, p->weights, p->bias, start, list, 7, row_step, p->results, 0};
    return layer;
}

static int is_live(const problem *p, size_t unit)
{
    return (p->mask[unit / 8] >> unit % 8 & 1) != 0;
}

/* A unit's value by the plain loop over source units first, first + 1, ... */
static float unit_value(const problem *p, size_t unit, float acc, size_t first)
{
    for (size_t j = first; j < p->n_in; j++) {
        const float product = p->weights[j * p->stride + unit] * p->source[j];
        acc = acc + product;
    }
    return acc + p->bias[unit];
}

/* Compares the list with the units that belong there: above zero, and live unless all are. */
static void expect_list(const char *what, const problem *p, const float *values, int all)
{
    size_t count = 0;
    for (size_t unit = 0; unit < p->n_out; unit++) {
        if (values[unit] > 0.0f && (all != 0 || is_live(p, unit))) {
            expect(what, &p->results[count], &values[unit], 1);
            if (p->result_rows[count] != 7 + row_step * unit) {
                printf("%s: unit %u of %u has row %u\n", what, (unsigned)unit, (unsigned)p->n_out, p->result_rows[count]);
                failures++;
            }
            count++;
        }
    }
    if (p->target.count != count || p->results[p->n_out] != 42.0f || p->result_rows[p->n_out] != 42) {
        printf("%s: %u units: got %u\n", what, (unsigned)count, (unsigned)p->target.count);
        failures++;
    }
}

static void test_lists(size_t n_in, size_t n_out, int has_start, int has_mask)
{
    problem *p = make(n_in, n_out, 1);
    netslicer_dense_layer layer = layer_of(p, has_start, 1);
    float expected[most];
    for (size_t i = 0; i < n_out; i++) {
        expected[i] = unit_value(p, i, has_start != 0 ? p->start[i] : 0.0f, 0);
    }
    netslicer_append_units(&layer, n_out, has_mask != 0 ? p->mask : NULL);
    expect_list("append", p, expected, has_mask == 0);
}

static void test_gathered(size_t n_in, size_t n_out)
{
    problem *p = make(n_in, n_out, 1);
    const netslicer_dense_layer layer = layer_of(p, 0, 1);
    float expected[most];
    for (size_t i = 0; i < n_out; i++) {
        expected[i] = unit_value(p, i, 0.0f, 0);
    }
    netslicer_gather_units(&layer, n_out, p->mask);
    expect_list("gather units", p, expected, 0);
}

static void test_vectors(size_t n_in, size_t n_out, int has_start, int has_relu)
{
    problem *p = make(n_in, n_out, 0);
    netslicer_dense_layer layer = layer_of(p, has_start, 0);
    float expected[most + 1];
    for (size_t i = 0; i < n_out; i++) {
        const float z = unit_value(p, i, has_start != 0 ? p->start[i] : 0.0f, 0);
        expected[i] = has_relu == 0 || z > 0.0f ? z : 0.0f;
    }
    expected[n_out] = 42.0f;
    layer.has_relu = has_relu;
    netslicer_store_units(&layer, n_out);
    expect("store", p->results, expected, n_out + 1);
}

/* Every third live unit has a prefix, every fifth another one is constant. */
static void test_special_units(size_t n_in, size_t n_out, int to_list, int has_relu)
{
    problem *p = make(n_in, n_out, to_list);
    netslicer_dense_layer layer = layer_of(p, 0, to_list);
    netslicer_special specials[most + 1];
    float expected[most + 1];
    size_t count = 0;
    for (size_t i = 0; i < n_out; i++) {
        const size_t first = i % 5 == 0 ? n_in : 1 + i % n_in;
        expected[i] = is_live(p, i) != 0 ? unit_value(p, i, 0.0f, 0) : 0.0f;
        if (is_live(p, i) != 0 && (i % 3 == 0 || i % 5 == 0)) {
            specials[count].value = number();
            specials[count].unit = (netslicer_index)i;
            specials[count].first = (netslicer_index)first;
            expected[i] = first == n_in ? specials[count].value : unit_value(p, i, specials[count].value, first);
            count++;
        }
        if (has_relu != 0 && !(expected[i] > 0.0f)) {
            expected[i] = 0.0f;
        }
    }
    specials[count].unit = (netslicer_index)n_out;
    layer.has_relu = has_relu;
    netslicer_each_unit(&layer, n_in, n_out, p->stride, p->mask, specials);
    if (to_list != 0) {
        expect_list("each to list", p, expected, 0);
    } else {
        expected[n_out] = 42.0f;
        expect("each", p->results, expected, n_out + 1);
    }
}

static void test_list_of_live_units(size_t n)
{
    problem *p = make(n, n, 0);
    size_t count = 0;
    netslicer_list_active(p->source, n, p->mask, row_step, &p->list);
    for (size_t i = 0; i < n; i++) {
        if (p->source[i] != 0.0f && is_live(p, i) != 0) {
            expect("list", &p->values[count], &p->source[i], 1);
            failures += p->rows[count] != row_step * i;
            count++;
        }
    }
    failures += p->list.count != count;
}

static void test_others(size_t n)
{
    float a[most], b[most], target[most], expected[most];
    netslicer_index indices[most];
    fill(a, most);
    fill(b, most);
    for (size_t i = 0; i < n; i++) {
        indices[i] = (netslicer_index)((7 * i + 3) % n);
        expected[i] = a[indices[i]];
    }
    netslicer_gather(a, indices, n, target);
    expect("gather", target, expected, n);
    for (size_t i = 0; i < n; i++) {
        expected[i] = a[i] > 0.0f ? a[i] : 0.0f;
    }
    netslicer_relu(a, n, target);
    expect("relu", target, expected, n);
    for (size_t i = 0; i < n; i++) {
        expected[i] = a[i] + b[i];
    }
    netslicer_add(a, b, n, target);
    expect("add", target, expected, n);
    for (size_t i = 0; i < n; i++) {
        expected[i] = a[i] * b[i];
    }
    netslicer_multiply(a, b, n, target);
    expect("multiply", target, expected, n);
    for (size_t i = 0; i < n; i++) {
        b[i] = b[i] == 0.0f ? 3.0f : b[i];
        expected[i] = a[i] / b[i];
    }
    netslicer_divide(a, b, n, target);
    expect("divide", target, expected, n);
    netslicer_copy(a, n, target);
    expect("copy", target, a, n);
    netslicer_add(a, b, n, b);
    netslicer_relu(a, n, a);
    expect("copy, then relu in place", a, (netslicer_relu(target, n, target), target), n);
}

static void test_relu_has_no_negative_zero(void)
{
    const float negative_zero = -0.0f, zero = 0.0f;
    float target;
    netslicer_relu(&negative_zero, 1, &target);
    if (memcmp(&target, &zero, sizeof zero) != 0) {
        printf("relu(-0) is not +0\n");
        failures++;
    }
}

int main(void)
{
    for (size_t n_in = 0; n_in <= 12; n_in++) {
        for (size_t n_out = 1; n_out < most; n_out++) {
            for (int flags = 0; flags < 4; flags++) {
                test_lists(n_in, n_out, flags & 1, flags & 2);
                test_vectors(n_in, n_out, flags & 1, flags & 2);
                if (n_in > 0) {
                    test_special_units(n_in, n_out, flags & 1, flags & 2);
                }
            }
            test_gathered(n_in, n_out);
        }
    }
    for (size_t n = 1; n < most; n++) {
        test_list_of_live_units(n);
        test_others(n);
    }
    test_relu_has_no_negative_zero();
    return failures == 0 ? 0 : 1;
}
