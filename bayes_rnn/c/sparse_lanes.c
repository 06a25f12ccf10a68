/* Add the product of x and matrix to y, for LANES texts at once. Only the elements that are not zero are stored. */
static void add_matrix_lanes(float *restrict y, const float *restrict x)
{
    size_t j, k, lane;

    for (j = 0; j < MATRIX_ROWS; j++)
        for (k = matrix_start[j]; k < matrix_start[j + 1]; k++)
            for (lane = 0; lane < LANES; lane++)
                y[matrix_column[k] * LANES + lane] += x[j * LANES + lane] * matrix_value[k];
}
