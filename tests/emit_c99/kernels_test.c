/* The kernels alone against plain loops in the declared order: prints what differs, exit code 0 if nothing does.
 * Dense layers of every shape up to 20 x 20, with and without starts and relu, a third of the source units zero. */
#include <stdio.h>
#include <string.h>

#include <stdint.h>
typedef uint16_t netslicer_index;

#include "kernels.c"

enum { most = 20 };

static uint32_t state = 1;
static int failures = 0;

/* A number in [-1, 1) with 24 significant bits, every third time a zero of either sign (xorshift; Marsaglia 2003). */
static float number(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    const float value = (float)(int32_t)(state >> 8) * 0x1p-23f - 1.0f;
    return state % 3U == 0U ? value * 0.0f : value;
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

static void test_dense(size_t n_in, size_t n_out, int has_start, int has_relu)
{
    float weights[most * most], bias[most], start[most], source[most], target[most + 1], expected[most + 1];
    netslicer_index active[most];
    netslicer_dense_layer layer;
    fill(weights, most * most);
    fill(bias, most);
    fill(start, most);
    fill(source, most);
    for (size_t i = 0; i < n_out; i++) {
        float acc = has_start != 0 ? start[i] : 0.0f;
        for (size_t j = 0; j < n_in; j++) {
            const float product = weights[j * n_out + i] * source[j];
            acc = acc + product;
        }
        const float z = acc + bias[i];
        expected[i] = has_relu == 0 || z > 0.0f ? z : 0.0f;
    }
    target[n_out] = expected[n_out] = 42.0f; /* must not be written */
    layer.weights = weights;
    layer.bias = bias;
    layer.start = has_start != 0 ? start : NULL;
    layer.source = source;
    layer.active = active;
    layer.target = target;
    layer.n_active = netslicer_list_active(source, n_in, active);
    layer.n_out = n_out;
    layer.has_relu = has_relu;
    netslicer_dense(&layer);
    expect("dense", target, expected, n_out + 1);
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
    const float negative_zero = -0.0f;
    const float zero = 0.0f;
    float target;
    netslicer_relu(&negative_zero, 1, &target);
    if (memcmp(&target, &zero, sizeof zero) != 0) {
        printf("relu(-0) is not +0\n");
        failures++;
    }
}

int main(void)
{
    for (size_t n_in = 0; n_in <= most; n_in++) {
        for (size_t n_out = 1; n_out < most; n_out++) {
            for (int flags = 0; flags < 4; flags++) {
                test_dense(n_in, n_out, flags & 1, flags & 2);
            }
        }
    }
    for (size_t n = 1; n <= most; n++) {
        test_others(n);
    }
    test_relu_has_no_negative_zero();
    return failures == 0 ? 0 : 1;
}
