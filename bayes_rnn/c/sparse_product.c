/* Add the product of x and matrix to y. Only the elements that are not zero are stored. */
static void add_matrix_product(float *restrict y, const float *restrict x)
{
    size_t j, k;

    for (j = 0; j < MATRIX_ROWS; j++)
        for (k = matrix_start[j]; k < matrix_start[j + 1]; k++)
            y[matrix_column[k]] += x[j] * matrix_value[k];
}
