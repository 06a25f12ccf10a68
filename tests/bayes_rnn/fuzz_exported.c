/* Calls exported models with random bytes and checks the results: fuzz SEED CALLS, or fuzz SEED -SECONDS. */

#include "characters.h"
#include "fingerprints.h"
#include "inputs.h"
#include "many_gates.h"
#include "news.h"
#include "reviews.h"
#include "wide.h"
#include "words.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t random_state;

static unsigned random_below(unsigned limit)        /* xorshift */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % limit;
}

static void check(int is_right, const char *what)
{
    if (!is_right) {
        printf("wrong: %s\n", what);
        exit(1);
    }
}

static size_t add_piece(unsigned char *text)
{
    static const char *const pieces[] = {"good", "bad", "GOOD", " w3 w7 ", "cat", "sat", "<unk>", "a", "b", " ", "\n", "  ", "_",
                                         "\xCE\xA3", "\xCE\xB1", "\xC4\xB0", "\xE2\x84\xAA", "\xC2\x85", ".", "\xEF\xBF\xBD"};
    const char *piece;
    unsigned code;

    switch (random_below(4)) {
    case 0:                                         /* any byte */
        text[0] = (unsigned char)random_below(256);
        return 1;
    case 1:                                         /* any bits in the form of three bytes */
        code = random_below(0x10000);
        text[0] = (unsigned char)(0xE0 | code >> 12);
        text[1] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        text[2] = (unsigned char)(0x80 | (code & 0x3F));
        return 3;
    case 2:                                         /* and of four */
        code = random_below(0x140000);
        text[0] = (unsigned char)(0xF0 | code >> 18);
        text[1] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
        text[2] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        text[3] = (unsigned char)(0x80 | (code & 0x3F));
        return 4;
    default:
        piece = pieces[random_below(sizeof pieces / sizeof pieces[0])];
        memcpy(text, piece, strlen(piece));
        return strlen(piece);
    }
}

static void check_probabilities(const float *probabilities, int count, int best)
{
    double sum = 0.0;
    int k;

    for (k = 0; k < count; k++) {
        check(probabilities[k] >= 0.0f && probabilities[k] <= probabilities[best], "a probability");
        sum += probabilities[k];
    }
    check(fabs(sum - 1.0) < 1e-5, "the sum of the probabilities");
}

#define TEXTS 30

/* Classify parts of a text at once, and compare them with the classes of each part. */
static void check_many(const char *text, size_t size)
{
    const char *texts[TEXTS];
    size_t sizes[TEXTS], k;
    float together[TEXTS * NEWS_CLASSES], alone[NEWS_CLASSES];
    int label;

    for (k = 0; k < TEXTS; k++) {
        size_t begin = random_below((unsigned)size + 1);

        texts[k] = text + begin;
        sizes[k] = random_below((unsigned)(size - begin) + 1);
    }
    news_predict_all(texts, sizes, TEXTS, together);
    for (k = 0; k < TEXTS; k++) {
        news_predict(texts[k], sizes[k], alone);
        for (label = 0; label < NEWS_CLASSES; label++)
            check(fabs(together[k * NEWS_CLASSES + (size_t)label] - alone[label]) < 1e-5, "a probability of many texts");
    }
}

#define CHECK_LANGUAGE_MODEL(name, TOKENS)                                                                            \
    do {                                                                                                              \
        name##_state state;                                                                                           \
        int status, token;                                                                                            \
                                                                                                                      \
        name##_start(&state);                                                                                         \
        status = name##_score(&state, (const char *)text, size, &nats, &count);                                       \
        check(status == 0 || status == 1, "the status");                                                              \
        check(nats >= 0.0 && nats < 1e3 * (double)(count + 1), "the cross-entropy");                                  \
        name##_start(&state);                                                                                         \
        name##_read(&state, (const char *)text, size);                                                                \
        token = name##_sample(&state, random_below(1000) / 1000.0, 0.5 + random_below(3));                            \
        check(token >= 0 && token < TOKENS && name##_token(token) != NULL, "the token");                              \
    } while (0)

int main(int arguments, char **argument)
{
    long calls = arguments > 2 ? atol(argument[2]) : 1000, call;
    time_t begin = time(NULL);

    random_state = (uint64_t)(arguments > 1 ? atol(argument[1]) : 1) * 2654435761u + 1u;
    for (call = 0; calls > 0 ? call < calls : difftime(time(NULL), begin) < (double)-calls; call++) {
        unsigned char buffer[2000], *text;
        float probabilities[REVIEWS_CLASSES + NEWS_CLASSES];
        size_t size = 0, length = random_below(random_below(4) ? 40 : 1900), count;
        double nats;

        while (size < length)
            size += add_piece(buffer + size);
        text = malloc(size ? size : 1);             /* of exactly this size, for the address sanitizer */
        check(text != NULL, "the memory");
        memcpy(text, buffer, size);
        check_probabilities(probabilities, REVIEWS_CLASSES,
                            reviews_predict((const char *)text, size, probabilities));
        check_probabilities(probabilities, NEWS_CLASSES, news_predict((const char *)text, size, probabilities));
        check_probabilities(probabilities, FINGERPRINTS_CLASSES,
                            fingerprints_predict((const char *)text, size, probabilities));
        check_probabilities(probabilities, WIDE_CLASSES, wide_predict((const char *)text, size, probabilities));
        check_probabilities(probabilities, INPUTS_CLASSES, inputs_predict((const char *)text, size, probabilities));
        if (call % 8 == 0)
            check_many((const char *)text, size);
        CHECK_LANGUAGE_MODEL(characters, CHARACTERS_TOKENS);
        CHECK_LANGUAGE_MODEL(words, WORDS_TOKENS);
        CHECK_LANGUAGE_MODEL(many_gates, MANY_GATES_TOKENS);
        free(text);
    }
    printf("%ld calls\n", call);
    return 0;
}
