/* -- the LSTM for many texts --------------------------------------------------------------------------------------- */

/* The state of LANES texts. Element k of an array has LANES values, one for each text, so that compilers can compute them
 * at once. */
typedef struct {
    float h[UNITS * LANES], c[UNITS * LANES];
#if !ALL_GATES
    float gates[(4 * UNITS + 1) * LANES];           /* as in step; those that are constant are set once */
#endif
} lanes_state;

static void start_lanes(lanes_state *state)
{
#if !ALL_GATES
    size_t k, lane;
#endif

    memset(state, 0, sizeof *state);
#if !ALL_GATES
    for (k = 0; k < 4 * UNITS; k++)
        for (lane = 0; lane < LANES; lane++)
            state->gates[k * LANES + lane] = gate_constants[k];
#endif
}

/* Set a to the input of the words of these rows, plus the bias; see add_input. */
static void input_of_lanes(float *restrict a, const size_t *rows)
{
    size_t k, lane;
#if INPUT_LANES
    float x[INPUTS * LANES], of_text[INPUTS];

    for (lane = 0; lane < LANES; lane++) {
        memset(of_text, 0, sizeof of_text);
        if (rows[lane] < ROWS)
            add_embedding_row(of_text, 1.0f, rows[lane]);
        for (k = 0; k < INPUTS; k++)
            x[k * LANES + lane] = of_text[k];
    }
    for (k = 0; k < COLUMNS; k++)
        for (lane = 0; lane < LANES; lane++)
            a[k * LANES + lane] = bias[k];
    add_input_weights_lanes(a, x);
#else
    float of_text[LANES][COLUMNS];

    for (lane = 0; lane < LANES; lane++) {
        memcpy(of_text[lane], bias, sizeof bias);
        add_input(of_text[lane], rows[lane]);
    }
    for (k = 0; k < COLUMNS; k++)
        for (lane = 0; lane < LANES; lane++)
            a[k * LANES + lane] = of_text[lane][k];
#endif
}

/* Compute one time step of LANES texts; see step. */
static void step_of_lanes(lanes_state *restrict state, const size_t *rows)
{
    float a[COLUMNS * LANES], limited_c[UNITS * LANES];
    float *restrict h = state->h, *restrict c = state->c;
#if ALL_GATES
    const float *i = a, *f = i + UNITS * LANES, *o = f + UNITS * LANES, *g = a + SIGMOIDS * LANES;
#else
    float *restrict gates = state->gates;
    const float *i = gates, *f = i + UNITS * LANES, *g = f + UNITS * LANES, *o = g + UNITS * LANES;
#endif
    size_t k;

    input_of_lanes(a, rows);
    add_hidden_weights_lanes(a, h);
    activate(a, LANES);
#if !ALL_GATES
    for (k = 0; k < COLUMNS; k++)
        memcpy(gates + gate_of_column[k] * LANES, a + k * LANES, LANES * sizeof *a);
#endif
    for (k = 0; k < UNITS * LANES; k++) {
        c[k] = f[k] * c[k] + i[k] * g[k];
        limited_c[k] = limited(c[k]);
    }
    for (k = 0; k < UNITS * LANES; k++)
        h[k] = o[k] * tanh_approximation(limited_c[k]);
}
