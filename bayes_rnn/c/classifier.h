/* Number of classes, and the number of words of a text that the model reads, with its start and end. */
#define MODEL_CLASSES @CLASSES@
#define MODEL_LENGTH @LENGTH@

/* Classify a text: write the probabilities of the MODEL_CLASSES classes, and return the index of the largest one.
 *
 * text: UTF-8, size bytes; no zero byte is needed at the end, and zero bytes are allowed. Invalid UTF-8 counts as
 * U+FFFD, which separates words. */
int model_predict(const char *text, size_t size, float *probabilities);

/* Classify count texts, 24 at a time: this is faster, and needs 24 times as much stack memory. The probabilities of
 * text k are probabilities[k * MODEL_CLASSES] and the following. */
void model_predict_all(const char *const *texts, const size_t *sizes, size_t count, float *probabilities);

/* Return the name of a class in UTF-8, or NULL if there is no class with this index. */
const char *model_class_name(int index);
