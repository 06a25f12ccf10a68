/* -- characters --------------------------------------------------------------------------------------------------- */

/* Return the character at a position of a UTF-8 text, and move the position to the next character.
 *
 * Each incomplete character, as long as possible, and each other byte that cannot begin a character become U+FFFD, as in
 * Python's bytes.decode("utf-8", "replace"). */
static uint32_t next_character(const unsigned char *text, size_t size, size_t *position)
{
    const uint32_t replacement = 0xFFFD;
    uint32_t first = text[(*position)++], code, low = 0x80, high = 0xBF;    /* limits of the next byte */
    int following;

    if (first < 0x80)
        return first;
    if (first < 0xC2 || first > 0xF4)
        return replacement;
    if (first < 0xE0) {
        following = 1;
        code = first & 0x1F;
    } else if (first < 0xF0) {
        following = 2;
        code = first & 0x0F;
        if (first == 0xE0)
            low = 0xA0;
        if (first == 0xED)
            high = 0x9F;
    } else {
        following = 3;
        code = first & 0x07;
        if (first == 0xF0)
            low = 0x90;
        if (first == 0xF4)
            high = 0x8F;
    }
    for (; following > 0; following--) {
        if (*position == size || text[*position] < low || text[*position] > high)
            return replacement;
        code = code << 6 | (text[(*position)++] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    return code;
}

/* Return whether a set contains a character. The set contains all from bounds[0] up to, but not including, bounds[1],
 * all from bounds[2] up to bounds[3], and so on. */
static int contains(const uint32_t *bounds, size_t count, uint32_t code)
{
    size_t low = 0, high = count;                   /* bounds[low - 1] <= code < bounds[high] */

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (bounds[middle] <= code)
            low = middle + 1;
        else
            high = middle;
    }
    return low % 2 == 1;
}
