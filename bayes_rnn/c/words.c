/* -- words -------------------------------------------------------------------------------------------------------- */

/* A word of a text, in UTF-8. Of a longer word than all that the model knows, only the first bytes are stored. */
typedef struct {
    unsigned char bytes[LONGEST_WORD];
    size_t length;                                  /* at most LONGEST_WORD + 1 */
    uint32_t hash;                                  /* FNV-1a */
} text_word;

static void clear(text_word *word)
{
    word->length = 0;
    word->hash = 2166136261u;
}

static void append_byte(text_word *word, uint32_t byte)
{
    if (word->length < LONGEST_WORD)
        word->bytes[word->length] = (unsigned char)byte;
    if (word->length <= LONGEST_WORD)
        word->length++;
    word->hash = (word->hash ^ byte) * 16777619u;
}

static void append(text_word *word, uint32_t code)
{
    if (code < 0x80) {
        append_byte(word, code);
        return;
    }
    if (code < 0x800) {
        append_byte(word, 0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            append_byte(word, 0xE0 | code >> 12);
        } else {
            append_byte(word, 0xF0 | code >> 18);
            append_byte(word, 0x80 | (code >> 12 & 0x3F));
        }
        append_byte(word, 0x80 | (code >> 6 & 0x3F));
    }
    append_byte(word, 0x80 | (code & 0x3F));
}

/* Return the index of a word, or WORDS if the model does not know it. Search the hash table slots, which contains
 * index + 1, or 0 in empty slots. At least half of the slots are empty. */
static size_t find(const text_word *word)
{
    size_t slot = word->hash % SLOTS;

    while (slots[slot] != 0) {
        size_t index = slots[slot] - 1u, start = word_start[index];

        /* In words, a zero follows each word. */
        if (word_start[index + 1] - start - 1 == word->length && memcmp(words + start, word->bytes, word->length) == 0)
            return index;
        slot = (slot + 1) % SLOTS;
    }
    return WORDS;
}
