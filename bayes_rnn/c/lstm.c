/* -- the LSTM ----------------------------------------------------------------------------------------------------- */

/* Return the number in [-8, 8] that is nearest to x. Larger numbers have the same tanh in float. Call this function in a
 * loop of its own: in one loop with tanh_approximation, compilers create branches and do not vectorise the loop. */
static float limited(float x)
{
    x = x < 8.0f ? x : 8.0f;
    return x > -8.0f ? x : -8.0f;
}

/* tanh of a number in [-8, 8], with an error below 4e-7: a rational function that was fitted to tanh. */
static float tanh_approximation(float x)
{
    float square = x * x, numerator, denominator;

    numerator = 1.50618445e-8f;
    numerator = numerator * square + 2.17732690e-5f;
    numerator = numerator * square + 3.56415752e-3f;
    numerator = numerator * square + 1.34381920e-1f;
    numerator = numerator * square + 9.99999940e-1f;
    denominator = 8.45367538e-7f;
    denominator = denominator * square + 3.39918158e-4f;
    denominator = denominator * square + 2.61360202e-2f;
    denominator = denominator * square + 4.67715144e-1f;
    denominator = denominator * square + 1.0f;
    return x * numerator / denominator;
}

/* Nonlinearity of the input, forget and output gates. Its scale is multiplied into the weights; see SIGMOIDS. */
static float gate_nonlinearity(float x)
{
#if HARD_SIGMOID
    x = x < 1.0f ? x : 1.0f;                        /* of 0.2 x + 0.5 */
    return x > 0.0f ? x : 0.0f;
#else
    return 0.5f * tanh_approximation(x) + 0.5f;     /* of x / 2, in [-8, 8] */
#endif
}

/* Replace the columns a by the values of their gates, for a number of texts. */
static void activate(float *a, size_t texts)
{
    size_t k;

#if HARD_SIGMOID
    for (k = 0; k < SIGMOIDS * texts; k++)
        a[k] = gate_nonlinearity(a[k]);
    for (k = SIGMOIDS * texts; k < COLUMNS * texts; k++)
        a[k] = limited(a[k]);
#else
    for (k = 0; k < COLUMNS * texts; k++)
        a[k] = limited(a[k]);
    for (k = 0; k < SIGMOIDS * texts; k++)
        a[k] = gate_nonlinearity(a[k]);
#endif
    for (k = SIGMOIDS * texts; k < COLUMNS * texts; k++)
        a[k] = tanh_approximation(a[k]);
}

/* Add the input of a word to a: its row of the input matrix. ROWS stands for a word without a row, which pruning removed;
 * its input is 0. */
static void add_input(float *restrict a, size_t row)
{
#if SPARSE_EMBEDDING
    size_t k;

    if (row >= ROWS)
        return;
    for (k = embedding_start[row]; k < embedding_start[row + 1]; k++)
        add_input_weights_row(a, embedding_value[k], embedding_column[k]);
#elif EMBEDDING
    size_t k;

    if (row >= ROWS)
        return;
    for (k = 0; k < INPUTS; k++)
        if (embedding[row][k] != 0.0f)
            add_input_weights_row(a, embedding[row][k], k);
#else
    if (row < ROWS)
        add_input_weights_row(a, 1.0f, row);
#endif
}

/* Compute one time step for the word of a row: replace h and c by their next values; see add_input.
 *
 *     i, f, o = sigmoid(x W + h U + b),  g = tanh(x W + h U + b),  c = f c + i g,  h = o tanh(c)
 *
 * A pruned gate has a constant value, which depends neither on x nor on h. If few gates are pruned, there is a column for
 * each gate, otherwise only for those that are not pruned. */
static void step(float *restrict h, float *restrict c, size_t row)
{
    float a[COLUMNS], limited_c[UNITS];
#if ALL_GATES
    const float *i = a, *f = a + UNITS, *o = a + 2 * UNITS, *g = a + SIGMOIDS;
#else
    float gates[4 * UNITS + 1];                     /* input, forget, cell, output; the last one is not used */
    const float *i = gates, *f = gates + UNITS, *g = gates + 2 * UNITS, *o = gates + 3 * UNITS;
#endif
    size_t k;

    memcpy(a, bias, sizeof bias);
    add_input(a, row);
    add_hidden_weights_product(a, h);
    activate(a, 1);
#if !ALL_GATES
    memcpy(gates, gate_constants, sizeof gate_constants);
    for (k = 0; k < COLUMNS; k++)
        gates[gate_of_column[k]] = a[k];
#endif
    for (k = 0; k < UNITS; k++) {
        c[k] = f[k] * c[k] + i[k] * g[k];
        limited_c[k] = limited(c[k]);
    }
    for (k = 0; k < UNITS; k++)
        h[k] = o[k] * tanh_approximation(limited_c[k]);
}

/* Compute the scores of all outputs: h W + b. */
static void output_scores(const float *h, float *scores)
{
    memcpy(scores, output_bias, sizeof output_bias);
    add_output_weights_product(scores, h);
}
