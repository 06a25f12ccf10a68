/* Add the product of x and matrix to y. Four rows at a time, because y is then read and written less often. Their sum
 * consists of two independent sums, which the processor computes at the same time. */
static void add_matrix_product(float *restrict y, const float *restrict x)
{
    size_t j, k;

    for (j = 0; j + 4 <= MATRIX_ROWS; j += 4)
        for (k = 0; k < MATRIX_COLUMNS; k++)
            y[k] += (x[j] * matrix[j][k] + x[j + 1] * matrix[j + 1][k])
                    + (x[j + 2] * matrix[j + 2][k] + x[j + 3] * matrix[j + 3][k]);
#if MATRIX_ROWS % 4 != 0
    for (; j < MATRIX_ROWS; j++)
        for (k = 0; k < MATRIX_COLUMNS; k++)
            y[k] += x[j] * matrix[j][k];
#endif
}
