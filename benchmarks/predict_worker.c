/* The same as predict_worker.py with the exported C code "model.h"; see predict.py.
 *
 *     program texts.txt
 *     program --answer "a wonderful film"
 */

#define _POSIX_C_SOURCE 200809L

#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_CALLS 100000

static char *texts[100000];
static size_t sizes[100000], count;
static float all_probabilities[sizeof sizes / sizeof sizes[0] * MODEL_CLASSES];
static double seconds[MOST_CALLS];

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float predict(size_t text)
{
    float probabilities[MODEL_CLASSES];

    model_predict(texts[text], sizes[text], probabilities);
    return probabilities[MODEL_CLASSES - 1];
}

static void read_texts(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    if (file == NULL)
        exit(2);
    while ((size = getline(&line, &capacity, file)) > 0) {
        sizes[count] = (size_t)size - 1;
        texts[count++] = line;
        line = NULL;
        capacity = 0;
    }
    fclose(file);
}

/* Print the seconds of each call for about a time. */
static void measure(int many, double limit)
{
    size_t calls = 0, k, next = 0;
    double begin = now();
    volatile float result = predict(0);             /* after the pause */

    while (calls == 0 || (now() - begin < limit && calls < MOST_CALLS)) {
        double started = now();

        if (many)
            model_predict_all((const char *const *)texts, sizes, count, all_probabilities);
        else
            result = predict(next);
        next = (next + 1) % count;
        seconds[calls++] = now() - started;
    }
    (void)result;
    for (k = 0; k < calls; k++)
        printf("%s%.9g", k ? ", " : "[", seconds[k]);
    printf("]\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char what[16];
    double limit;
    size_t k;

    if (argc == 3) {
        texts[0] = argv[2];
        sizes[0] = strlen(argv[2]);
        printf("%.3f\n", predict(0));
        return 0;
    }
    if (argc != 2)
        return 2;
    read_texts(argv[1]);
    for (k = 0; k < count; k++)
        printf("%s%.9g", k ? ", " : "[", predict(k));
    printf("]\n");
    fflush(stdout);
    while (scanf("%15s %lf", what, &limit) == 2)
        measure(strcmp(what, "many") == 0, limit);
    return 0;
}
