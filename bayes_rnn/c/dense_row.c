/* Add scale times one row of matrix to y. */
static void add_matrix_row(float *y, float scale, size_t row)
{
    size_t k;

    for (k = 0; k < MATRIX_COLUMNS; k++)
        y[k] += scale * matrix[row][k];
}
