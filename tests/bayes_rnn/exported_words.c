/* Makes the tokenizer of an exported classifier visible to tests: EXPORTED is its source file. */

#include EXPORTED

/* Write the index of each word of a text, -1 for an unknown one. Return the number of words. */
size_t words_of_text(const char *text, size_t size, int32_t *indices, size_t room)
{
    cursor at = {0};
    text_word word;
    size_t count = 0;

    at.text = (const unsigned char *)text;
    at.size = size;
    while (next_word(&at, &word)) {
        size_t index = find(&word);

        if (count < room)
            indices[count] = index == WORDS ? -1 : (int32_t)index;
        count++;
    }
    return count;
}
