/* Add the product of x and matrix to y, for LANES texts at once. Two independent sums are added at the end: the processor
 * starts an addition before the previous one has ended only if it does not need its result. */
static void add_matrix_lanes(float *restrict y, const float *restrict x)
{
    size_t j, k, lane;

    for (k = 0; k < MATRIX_COLUMNS; k++) {
        float even[LANES], odd[LANES] = {0};

        memcpy(even, y + k * LANES, sizeof even);
        for (j = 0; j + 2 <= MATRIX_ROWS; j += 2)
            for (lane = 0; lane < LANES; lane++) {
                even[lane] += x[j * LANES + lane] * matrix[j][k];
                odd[lane] += x[(j + 1) * LANES + lane] * matrix[j + 1][k];
            }
#if MATRIX_ROWS % 2 != 0
        for (lane = 0; lane < LANES; lane++)
            even[lane] += x[j * LANES + lane] * matrix[j][k];
#endif
        for (lane = 0; lane < LANES; lane++)
            y[k * LANES + lane] = even[lane] + odd[lane];
    }
}
