/* Add scale times one row of matrix to y. Only the elements that are not zero are stored. */
static void add_matrix_row(float *y, float scale, size_t row)
{
    size_t k, end = matrix_start[row + 1];

    for (k = matrix_start[row]; k < end; k++)
        y[matrix_column[k]] += scale * matrix_value[k];
}
