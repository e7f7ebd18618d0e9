/*
 * Without libFuzzer: runs the inputs it is given, files or directories of them.
 *
 *   fuzz_replay [--mutate SECONDS] PATH...
 *
 * --mutate: and then changed ones, blindly, with a fixed seed; the one that fails
 * is left in fuzz-found. Prints "ok corpus", "ok mutate".
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_INPUTS 4096
#define MAX_LENGTH 4096

typedef struct {
    uint8_t data[MAX_LENGTH];
    size_t  length;
} input_t;

static input_t *inputs[MAX_INPUTS];
static unsigned num_inputs;

static int read_file(const char *path)
{
    input_t *input;
    FILE *file;

    if (num_inputs == MAX_INPUTS) {
        return 0;
    }

    file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    input         = malloc(sizeof(*input));
    input->length = fread(input->data, 1, sizeof(input->data), file);
    fclose(file);
    inputs[num_inputs++] = input;
    return 0;
}

static int read_path(const char *path)
{
    struct dirent **entries;
    char name[4096];
    struct stat st;
    int i, count, ret = 0;

    if ((stat(path, &st) == 0) && S_ISDIR(st.st_mode)) {
        count = scandir(path, &entries, NULL, alphasort);
        for (i = 0; i < count; ++i) {
            if (entries[i]->d_name[0] != '.') {
                snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
                ret |= read_file(name);
            }
            free(entries[i]);
        }
        free(entries);
        return (count < 0) ? -1 : ret;
    }
    return read_file(path);
}

static uint32_t random_next(void)
{
    static uint64_t state = 20261121;

    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return state >> 33;
}

/* Two inputs spliced, then some bytes changed, left out, repeated */
static void mutate(input_t *out)
{
    const input_t *a = inputs[random_next() % num_inputs];
    const input_t *b = inputs[random_next() % num_inputs];
    size_t cut       = random_next() % (a->length + 1);
    size_t from      = random_next() % (b->length + 1);
    unsigned changes = random_next() % 8;
    size_t length, at;

    memcpy(out->data, a->data, cut);
    length = ucs_min(b->length - from, sizeof(out->data) - cut);
    memcpy(out->data + cut, b->data + from, length);
    out->length = cut + length;
    while ((changes-- > 0) && (out->length > 0)) {
        at = random_next() % out->length;
        switch (random_next() % 3) {
        case 0:
            out->data[at] = random_next();
            break;
        case 1:
            out->data[at] ^= 1u << (random_next() % 8);
            break;
        default:
            memmove(out->data + at, out->data + at + 1, out->length - at - 1);
            --out->length;
            break;
        }
    }
}

static void save(const input_t *input)
{
    FILE *file = fopen("fuzz-found", "wb");

    if (file != NULL) {
        fwrite(input->data, 1, input->length, file);
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    unsigned seconds = 0;
    unsigned i, count;
    input_t *input;
    time_t end;
    int arg;

    for (arg = 1; arg < argc; ++arg) {
        if ((strcmp(argv[arg], "--mutate") == 0) && (arg + 1 < argc)) {
            seconds = atoi(argv[++arg]);
        } else if (read_path(argv[arg]) != 0) {
            return 2;
        }
    }

    LLVMFuzzerInitialize(&argc, &argv);
    for (i = 0; i < num_inputs; ++i) {
        LLVMFuzzerTestOneInput(inputs[i]->data, inputs[i]->length);
    }
    printf("ok corpus: %u inputs\n", num_inputs);
    fflush(stdout);

    if ((seconds > 0) && (num_inputs > 0)) {
        input = malloc(sizeof(*input));
        end   = time(NULL) + seconds;
        for (count = 0; time(NULL) < end; ++count) {
            mutate(input);
            save(input);
            LLVMFuzzerTestOneInput(input->data, input->length);
        }
        unlink("fuzz-found");
        printf("ok mutate: %u inputs\n", count);
        free(input);
    }

    for (i = 0; i < num_inputs; ++i) {
        free(inputs[i]);
    }
    return 0;
}
