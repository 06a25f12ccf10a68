/* Add the product of x and matrix to y: a statement for each column, because only a few elements are not zero. */
static void add_matrix_product(float *restrict y, const float *restrict x)
{
STATEMENTS
}
