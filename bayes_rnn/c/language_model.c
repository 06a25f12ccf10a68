/* -- the tokens of a text ----------------------------------------------------------------------------------------- */

typedef struct {
    const unsigned char *text;
    size_t size, position;
#if CHARACTERS
    size_t end;                 /* end of the line, without white space */
#else
    int in_line;                /* whether the last line has words, but no end yet */
#endif
} cursor;

static int is_space(uint32_t code)
{
    return contains(white_space, COUNT(white_space), code);
}

/* Return the token of a word, or NO_TOKEN. */
static size_t token_of(const text_word *word)
{
    size_t token = find(word);

    return token == WORDS ? UNKNOWN_TOKEN : token;
}

#if CHARACTERS

/* Move to the first character of a line that is not white space, and find the end of the last one. */
static void begin_line(cursor *at)
{
    size_t position = at->position;
    int found = 0;

    while (position < at->size && at->text[position] != '\n') {
        size_t before = position;

        if (is_space(next_character(at->text, at->size, &position)))
            continue;
        if (!found)
            at->position = before;
        at->end = position;
        found = 1;
    }
    if (!found)
        at->position = at->end = position;
}

static void begin_text(cursor *at, const char *text, size_t size)
{
    memset(at, 0, sizeof *at);
    at->text = (const unsigned char *)text;
    at->size = size;
    begin_line(at);
}

/* Read the next character of the lines, each without white space at both ends, with _ for a space. Return 0 if there is
 * none. */
static int next_token(cursor *at, size_t *token)
{
    text_word word;

    clear(&word);
    if (at->position < at->end) {
        uint32_t code = next_character(at->text, at->size, &at->position);

        append(&word, code == ' ' ? '_' : code);
    } else {
        while (at->position < at->size && at->text[at->position] != '\n')
            at->position++;
        if (at->position == at->size)
            return 0;
        at->position++;
        append(&word, '\n');
        begin_line(at);
    }
    *token = token_of(&word);
    return 1;
}

#else

static void begin_text(cursor *at, const char *text, size_t size)
{
    memset(at, 0, sizeof *at);
    at->text = (const unsigned char *)text;
    at->size = size;
}

/* Read the next word, or the end of a line. Return 0 if there is none. Words are separated by white space. The last line
 * has an end even without a line feed, unless it contains no word. */
static int next_token(cursor *at, size_t *token)
{
    text_word word;

    clear(&word);
    while (at->position < at->size) {
        size_t before = at->position;
        uint32_t code = next_character(at->text, at->size, &at->position);

        if (!is_space(code)) {
            append(&word, code);
        } else if (word.length > 0) {
            at->position = before;
            break;
        } else if (code == '\n') {
            at->in_line = 0;
            *token = LINE_END_TOKEN;
            return 1;
        }
    }
    if (word.length > 0) {
        at->in_line = 1;
        *token = token_of(&word);
        return 1;
    }
    if (!at->in_line)
        return 0;
    at->in_line = 0;
    *token = LINE_END_TOKEN;
    return 1;
}

#endif

/* -- the functions of the header ---------------------------------------------------------------------------------- */

void model_start(model_state *state)
{
    memset(state, 0, sizeof *state);
}

void model_advance(model_state *state, int token)
{
    if (token < 0 || token >= MODEL_TOKENS)
        return;
    step(state->h, state->c, row_of_token[token]);
    state->count++;
}

int model_read(model_state *state, const char *text, size_t size)
{
    cursor at;
    size_t token, next = NO_TOKEN;
    int more;

    begin_text(&at, text, size);
    for (more = next_token(&at, &token); more; token = next) {
        if (token == NO_TOKEN)
            return MODEL_UNKNOWN_TOKEN;
        more = next_token(&at, &next);
        if (more || CHARACTERS)                     /* of words, without the end of the last line */
            model_advance(state, (int)token);
    }
    return MODEL_OK;
}

/* Compute the scores, and return the largest one. */
static float largest_score(model_state *state)
{
    float largest;
    size_t k;

    output_scores(state->h, state->scores);
    largest = state->scores[0];
    for (k = 1; k < MODEL_TOKENS; k++)
        largest = state->scores[k] > largest ? state->scores[k] : largest;
    return largest;
}

/* Compute the scores, and return the logarithm of the sum of their exponentials. */
static float log_sum(model_state *state)
{
    float largest = largest_score(state);
    double sum = 0.0;
    size_t k;

    for (k = 0; k < MODEL_TOKENS; k++)
        sum += expf(state->scores[k] - largest);
    return largest + logf((float)sum);
}

int model_score(model_state *state, const char *text, size_t size, double *nats, size_t *predicted)
{
    cursor at;
    size_t token;

    *nats = 0.0;
    *predicted = 0;
    begin_text(&at, text, size);
    while (next_token(&at, &token)) {
        if (token == NO_TOKEN)
            return MODEL_UNKNOWN_TOKEN;
        if (state->count > 0) {
            float total = log_sum(state);

            *nats += total - state->scores[token];
            ++*predicted;
        }
        model_advance(state, (int)token);
    }
    return MODEL_OK;
}

void model_log_probabilities(model_state *state, float *log_probabilities)
{
    float total = log_sum(state);
    size_t k;

    for (k = 0; k < MODEL_TOKENS; k++)
        log_probabilities[k] = state->scores[k] - total;
}

int model_sample(model_state *state, double random, double temperature)
{
    double sum = 0.0, until = 0.0, largest;
    int token;

    if (state->count == 0)
        model_advance(state, FIRST_TOKEN);
    largest = largest_score(state);
    for (token = 0; token < MODEL_TOKENS; token++)
        sum += exp((state->scores[token] - largest) / temperature);
    for (token = 0; token < MODEL_TOKENS - 1; token++) {
        until += exp((state->scores[token] - largest) / temperature);
        if (until >= random * sum)
            break;
    }
    model_advance(state, token);
    return token;
}

const char *model_token(int token)
{
    if (token < 0 || token >= MODEL_TOKENS)
        return NULL;
#if CHARACTERS
    if (words[word_start[token]] == '_' && word_start[token + 1] - word_start[token] == 2)
        return " ";
#else
    if ((size_t)token == LINE_END_TOKEN)
        return "\n";
#endif
    return (const char *)words + word_start[token];
}

const char *model_digest(void)
{
    return digest;
}
