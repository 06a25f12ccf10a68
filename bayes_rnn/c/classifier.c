/* -- the words of a text ------------------------------------------------------------------------------------------ */

typedef struct {
    const unsigned char *text;
    size_t size, position;
#if FINAL_SIGMA
    int after_cased;            /* whether the last character that is not case-ignorable is cased */
#endif
} cursor;

#if FINAL_SIGMA
/* Return whether a capital sigma before the position ends a word, as the Unicode Standard defines it (Final_Sigma):
 * without case-ignorable characters, a cased character precedes it, and none follows it. */
static int is_final(const cursor *at)
{
    size_t position = at->position;

    if (!at->after_cased)
        return 0;
    while (position < at->size) {
        uint32_t code = next_character(at->text, at->size, &position);

        if (!contains(case_ignorable, COUNT(case_ignorable), code))
            return !contains(cased, COUNT(cased), code);
    }
    return 1;
}
#endif

/* Define the function index_in_ARRAY, which returns the index of a value in a sorted array, or the length of the array if
 * it does not contain the value. It is a macro because the arrays have elements of different types. */
#define DEFINE_INDEX_IN(array)                                                  \
    static size_t index_in_##array(uint32_t value)                              \
    {                                                                           \
        size_t low = 0, high = COUNT(array);                                    \
                                                                                \
        while (low < high) {                                                    \
            size_t middle = low + (high - low) / 2;                             \
                                                                                \
            if (array[middle] < value)                                          \
                low = middle + 1;                                               \
            else                                                                \
                high = middle;                                                  \
        }                                                                       \
        return low < COUNT(array) && array[low] == value ? low : COUNT(array);  \
    }

#if LOWER_CASE
DEFINE_INDEX_IN(upper_letters)

/* Return a character in lower case. Letters that are in no word of the model, in both cases, need not change. */
static uint32_t lower(uint32_t code)
{
    size_t index = index_in_upper_letters(code);

    return index < COUNT(upper_letters) ? lower_letters[index] : code;
}
#endif

/* Return the next character in lower case if it can be part of a word, else 0. */
static uint32_t next_word_character(cursor *at)
{
    uint32_t code = next_character(at->text, at->size, &at->position);
#if FINAL_SIGMA
    uint32_t original = code;

    if (code == 0x3A3)
        code = is_final(at) ? 0x3C2 : 0x3C3;
    if (!contains(case_ignorable, COUNT(case_ignorable), original))
        at->after_cased = contains(cased, COUNT(cased), original);
#endif
    if (code < 0x80)
        return ascii_word[code];
#if LOWER_CASE
    code = lower(code);
#endif
    return contains(word_characters, COUNT(word_characters), code) ? code : 0;
}

/* Read the next word: the longest sequence of word characters. Return 0 if there is none. */
static int next_word(cursor *at, text_word *word)
{
    clear(word);
    while (at->position < at->size) {
#if LOWER_CASE
        /* U+0130 is the only character with two in lower case: i and U+0307, which ends the word. */
        int ends = at->size - at->position >= 2 && memcmp(at->text + at->position, "\xC4\xB0", 2) == 0;
#else
        const int ends = 0;
#endif
        uint32_t code = next_word_character(at);

        if (code != 0)
            append(word, code);
        if (word->length > 0 && (code == 0 || ends))
            return 1;
    }
    return word->length > 0;
}

#if FINGERPRINTS
DEFINE_INDEX_IN(fingerprints)

/* Return whether a word has the fingerprint of a pruned word. */
static int is_pruned(const text_word *word)
{
    return index_in_fingerprints(word->hash % FINGERPRINT_RANGE) < COUNT(fingerprints);
}
#endif

/* Return the row of a word in the input matrix; ROWS if it is pruned. */
static size_t row_of(const text_word *word)
{
    size_t index = find(word);                      /* of a word with a row, its row */

    if (index != WORDS)
        return index < ROWS ? index : ROWS;
#if FINGERPRINTS
    if (is_pruned(word))
        return ROWS;
#endif
    return OUTSIDE_ROW;
}

/* -- the rows of a text ------------------------------------------------------------------------------------------- */

typedef struct {
    cursor at;
    size_t count;                                   /* of rows that were read */
    int is_complete;
} reading;

static void begin_text(reading *text, const char *bytes, size_t size)
{
    memset(text, 0, sizeof *text);
    text->at.text = (const unsigned char *)bytes;
    text->at.size = size;
}

/* Read the next row: of the start, the words and the end, MODEL_LENGTH at most. Return 0 if there is none. */
static int next_row(reading *text, size_t *row)
{
    text_word word;

    if (text->is_complete || text->count == MODEL_LENGTH)
        return 0;
    if (text->count++ == 0) {
        *row = START_ROW;
    } else if (next_word(&text->at, &word)) {
        *row = row_of(&word);
    } else {
        *row = END_ROW;
        text->is_complete = 1;
    }
    return 1;
}

/* -- the functions of the header ---------------------------------------------------------------------------------- */

/* Write the probabilities of the classes, and return the index of the largest one. */
static int classify(const float *h, float *probabilities)
{
#if OUTPUTS == 1
    float score;

    output_scores(h, &score);
    probabilities[1] = 1.0f / (1.0f + expf(-score));
    probabilities[0] = 1.0f - probabilities[1];
    return probabilities[1] > probabilities[0];
#else
    float largest, sum = 0.0f;
    int k, best = 0;

    output_scores(h, probabilities);
    for (k = 1; k < MODEL_CLASSES; k++)
        if (probabilities[k] > probabilities[best])
            best = k;
    largest = probabilities[best];
    for (k = 0; k < MODEL_CLASSES; k++)
        sum += probabilities[k] = expf(probabilities[k] - largest);
    for (k = 0; k < MODEL_CLASSES; k++)
        probabilities[k] /= sum;
    return best;
#endif
}

int model_predict(const char *text, size_t size, float *probabilities)
{
    reading at;
    float h[UNITS] = {0}, c[UNITS] = {0};
    size_t row;

    begin_text(&at, text, size);
    while (next_row(&at, &row))
        step(h, c, row);
    return classify(h, probabilities);
}

#if LANES > 1
/* Classify the text of a lane. */
static void classify_lane(const lanes_state *state, size_t lane, float *probabilities)
{
    float h[UNITS];
    size_t k;

    for (k = 0; k < UNITS; k++)
        h[k] = state->h[k * LANES + lane];
    classify(h, probabilities);
}

static void clear_lane(lanes_state *state, size_t lane)
{
    size_t k;

    for (k = 0; k < UNITS; k++)
        state->h[k * LANES + lane] = state->c[k * LANES + lane] = 0.0f;
}

/* Predict the classes of many texts, at least LANES. */
static void predict_in_lanes(const char *const *texts, const size_t *sizes, size_t count, float *probabilities)
{
    reading at[LANES];
    lanes_state state;
    size_t text[LANES], rows[LANES], begun, finished = 0, lane;

    start_lanes(&state);
    for (begun = 0; begun < LANES; begun++) {
        text[begun] = begun;
        begin_text(&at[begun], texts[begun], sizes[begun]);
    }
    while (finished < count) {
        /* When the text of a lane ends, the lane continues with the next text, or without one at the end. */
        for (lane = 0; lane < LANES; lane++) {
            rows[lane] = ROWS;
            while (text[lane] < count && !next_row(&at[lane], &rows[lane])) {
                classify_lane(&state, lane, probabilities + text[lane] * MODEL_CLASSES);
                clear_lane(&state, lane);
                finished++;
                text[lane] = begun;
                if (begun < count) {
                    begin_text(&at[lane], texts[begun], sizes[begun]);
                    begun++;
                }
            }
        }
        if (finished < count)
            step_of_lanes(&state, rows);
    }
}
#endif

void model_predict_all(const char *const *texts, const size_t *sizes, size_t count, float *probabilities)
{
    size_t k;

#if LANES > 1
    if (count >= LANES) {
        predict_in_lanes(texts, sizes, count, probabilities);
        return;
    }
#endif
    for (k = 0; k < count; k++)
        model_predict(texts[k], sizes[k], probabilities + k * MODEL_CLASSES);
}

const char *model_class_name(int index)
{
    return index >= 0 && index < MODEL_CLASSES ? class_names[index] : NULL;
}

const char *model_digest(void)
{
    return digest;
}
