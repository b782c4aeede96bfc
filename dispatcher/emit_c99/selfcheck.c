/* The arithmetic that the compiler's options and the floating-point unit's modes leave us with. */

#define NETSLICER_CHECK_TERMS 5
#define NETSLICER_CHECK_UNITS 28

/* Factors and values of the terms. */
static const float netslicer_check_factors[NETSLICER_CHECK_TERMS] = {
    -1.0f, 0x1.001p+0f, -1.0f, 0x1.0014p+0f, 0x1p-1f,
};
static const float netslicer_check_values[NETSLICER_CHECK_TERMS] = {
    0x1.002p+0f, 0x1.001p+0f, 0x1.002802p+0f, 0x1.0014p+0f, 0x1p-126f,
};

/* A number that no compiler knows, so that none computes the sum. */
static float netslicer_read(const volatile float *number)
{
    return *number;
}

/* NETSLICER_OK if n numbers are 2^-127. */
static int netslicer_check_sums(const float *sums, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (sums[i] * 0x1p+127f != 1.0f) {
            return NETSLICER_WRONG_ARITHMETIC;
        }
    }
    return NETSLICER_OK;
}

/* Computes n equal units, a multiple of four up to NETSLICER_CHECK_UNITS, by every kernel for so many; and n - 1 without a
 * list, one by one those that make no four. */
static int netslicer_check_units(const netslicer_list *source, const float *weights, size_t n)
{
    float sums[2 * NETSLICER_CHECK_UNITS];
    netslicer_row rows[2 * NETSLICER_CHECK_UNITS];
    netslicer_list list = {sums, rows, 0};
    const uint32_t units = ((uint32_t)1 << n) - 1U;
    const uint8_t mask[4] = {(uint8_t)(units & 0xFFU), (uint8_t)(units >> 8 & 0xFFU), (uint8_t)(units >> 16 & 0xFFU),
                             (uint8_t)(units >> 24)};
    netslicer_dense_layer layer = {source, weights, netslicer_zeros, NULL, &list, 0, 1, NULL, 0};
    const size_t count = netslicer_append_every_way(&layer, n, mask);
    if (list.count != count || netslicer_check_sums(sums, count) != NETSLICER_OK) {
        return NETSLICER_WRONG_ARITHMETIC;
    }
    layer.weights = weights;
    layer.bias = netslicer_zeros;
    layer.target = sums;
    netslicer_store_units(&layer, n - 1U);
    return netslicer_check_sums(sums, n - 1U);
}

/* Computes 28 equal units, then 24, and so on, so that all kernels run:
 *
 *     -A + fl(a * a) - B + fl(b * b) + 2^-127, where fl(a * a) = A is rounded down and fl(b * b) = B is rounded up.
 *
 * In the declared order, rounding to nearest, the sum is 2^-127. A fused multiply-add leaves the rounding error of a
 * product, another rounding mode an ulp of one; another order loses 2^-127, and so does flushing subnormal numbers. */
int netslicer_selfcheck(void)
{
    float weights[NETSLICER_CHECK_TERMS * NETSLICER_CHECK_UNITS];
    float values[NETSLICER_CHECK_TERMS];
    netslicer_row rows[NETSLICER_CHECK_TERMS];
    const netslicer_list source = {values, rows, NETSLICER_CHECK_TERMS};
    for (size_t j = 0; j < NETSLICER_CHECK_TERMS; j++) {
        values[j] = netslicer_read(&netslicer_check_values[j]);
        rows[j] = (netslicer_row)(j * NETSLICER_CHECK_UNITS);
        for (size_t i = 0; i < NETSLICER_CHECK_UNITS; i++) {
            weights[j * NETSLICER_CHECK_UNITS + i] = netslicer_read(&netslicer_check_factors[j]);
        }
    }
    for (size_t n = NETSLICER_CHECK_UNITS; n > 0; n -= 4U) {
        if (netslicer_check_units(&source, weights, n) != NETSLICER_OK) {
            return NETSLICER_WRONG_ARITHMETIC;
        }
    }
    return NETSLICER_OK;
}
