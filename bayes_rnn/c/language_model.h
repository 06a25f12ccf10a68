/* Number of tokens (@KIND@) and of hidden units. */
#define MODEL_TOKENS @TOKENS@
#define MODEL_UNITS @UNITS@

/* Results of model_read and model_score. */
#define MODEL_OK 0
#define MODEL_UNKNOWN_TOKEN 1   /* the text contains a token that is not in the vocabulary; the rest was not read */

/* State of the model after the text that it has read. The caller owns it; model_start initialises it. */
typedef struct {
    float h[MODEL_UNITS], c[MODEL_UNITS];
    float scores[MODEL_TOKENS];                     /* working memory */
    size_t count;                                   /* number of tokens that were read */
} model_state;

/* Initialise the state: no text has been read. */
void model_start(model_state *state);

/* Read one token. token: in [0, MODEL_TOKENS); other values are ignored. */
void model_advance(model_state *state, int token);

/* Read a text, for model_sample to continue it. size: number of bytes. Invalid UTF-8 counts as U+FFFD.@OPEN_LINE@ */
int model_read(model_state *state, const char *text, size_t size);

/* Read a text, and measure how well the model predicts its tokens.
 *
 * nats: receives the sum of -log(probability) of the predicted tokens. predicted: receives their number. After
 * model_start, the first token is not predicted; later calls continue the text. */
int model_score(model_state *state, const char *text, size_t size, double *nats, size_t *predicted);

/* Write the logarithms of the probabilities that each of the MODEL_TOKENS tokens is the next one. */
void model_log_probabilities(model_state *state, float *log_probabilities);

/* Draw the next token, read it, and return it.
 *
 * random: uniform in [0, 1). temperature: divisor of the scores, positive; 1 draws from the distribution of the model.
 * If the model has not read anything, it begins after the end of a line. */
int model_sample(model_state *state, double random, double temperature);

/* Return the text of a token, as UTF-8 that ends with a zero byte, or NULL if there is none with this index.@TEXT@ */
const char *model_token(int token);
