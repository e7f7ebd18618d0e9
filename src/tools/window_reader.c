/*
 * Reads windows: see window_reader.h.
 *
 *   open  -> checks of the file -> copy of [0, used) -> walk over the records
 *         -> second look at every gen: what changed meanwhile is left out
 */
#include "window_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_NAME(_name, _text) #_name,
#define WINDOW_TEXT(_name, _text) _text,

static const char *const iface_names[] = {
    EFA_WINDOW_IFACE_COUNTERS(WINDOW_NAME)
};
static const char *const iface_texts[] = {
    EFA_WINDOW_IFACE_COUNTERS(WINDOW_TEXT)
};
static const char *const peer_names[]  = {
    EFA_WINDOW_PEER_COUNTERS(WINDOW_NAME)
};
static const char *const state_names[] = EFA_WINDOW_PEER_STATE_NAMES;

static_assert(sizeof(state_names) / sizeof(state_names[0]) ==
              EFA_WINDOW_PEER_LAST, "a name for each state");

const char *window_iface_counter_name(unsigned index)
{
    return (index < EFA_WINDOW_IFACE_NUM) ? iface_names[index] : NULL;
}

const char *window_iface_counter_text(unsigned index)
{
    return (index < EFA_WINDOW_IFACE_NUM) ? iface_texts[index] : NULL;
}

const char *window_peer_counter_name(unsigned index)
{
    return (index < EFA_WINDOW_PEER_NUM) ? peer_names[index] : NULL;
}

/* ---------------------------------------------------------------- one file */

/* Reads exactly length bytes at offset; false: the file has less, or errno. */
static bool read_all(int fd, void *buffer, size_t length, off_t offset)
{
    char *out = buffer;
    ssize_t got;

    while (length > 0) {
        got = pread(fd, out, length, offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        out    += got;
        offset += got;
        length -= (size_t)got;
    }

    return true;
}

/* Names come from a file that anybody may have made, and go to a terminal */
static void clean_string(char *string, size_t size)
{
    size_t i;

    string[size - 1] = '\0';
    for (i = 0; string[i] != '\0'; ++i) {
        if (string[i] < ' ' || string[i] > '~') {
            string[i] = '?';
        }
    }
}

static const char *check_header(const efa_window_header_t *header,
                                uint64_t file_size)
{
    if (header->magic != EFA_WINDOW_MAGIC) {
        return "not a window (no magic number)";
    }
    if (header->version != EFA_WINDOW_VERSION) {
        return "written by another version of the library";
    }
    if (header->header_len < sizeof(*header) ||
        header->header_len % EFA_WINDOW_ALIGN != 0) {
        return "damaged: bad header length";
    }
    if (header->used < header->header_len || header->used > file_size ||
        header->used % EFA_WINDOW_ALIGN != 0) {
        return "damaged: bad end of records";
    }

    return NULL;
}

/* Every record inside of [header_len, used), in steps that end there. */
static const char *check_records(const window_t *window)
{
    size_t pos = window->header.header_len;
    efa_window_record_t rec;

    while (pos < window->used) {
        memcpy(&rec, window->data + pos, sizeof(rec));
        if (rec.length < EFA_WINDOW_ALIGN ||
            rec.length % EFA_WINDOW_ALIGN != 0 ||
            rec.length > window->used - pos) {
            return "damaged: bad length of a record";
        }
        pos += rec.length;
    }

    return NULL;
}

/* The owner goes on while we copy: hide records that changed their identity. */
static void hide_changed(const window_t *window, int fd)
{
    size_t pos = window->header.header_len;
    efa_window_record_t now, *rec;

    while (pos < window->used) {
        rec = (efa_window_record_t*)(window->data + pos);
        if (!read_all(fd, &now, sizeof(now), (off_t)pos) ||
            now.gen != rec->gen) {
            rec->gen |= 1;
        }
        pos += rec->length;
    }
}

int window_read(const char *path, window_t *window, char *error, size_t max)
{
    const char *reason = NULL;
    struct stat st;
    int fd, err;

    memset(window, 0, sizeof(*window));
    snprintf(window->path, sizeof(window->path), "%s", path);

    /* O_NONBLOCK: a FIFO of that name must not stop us */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        err = errno;
        snprintf(error, max, "%s: %s", path, strerror(err));
        errno = err;
        return -1;
    }

    if (fstat(fd, &st) != 0) {
        reason = strerror(errno);
    } else if (!S_ISREG(st.st_mode)) {
        reason = "not a regular file";
    } else if (st.st_size < (off_t)sizeof(window->header)) {
        reason = "too short for a window";
    } else if (st.st_size > (off_t)EFA_WINDOW_MAX_SIZE) {
        reason = "too large for a window";
    } else if (!read_all(fd, &window->header, sizeof(window->header), 0)) {
        reason = "cannot be read";
    } else {
        reason = check_header(&window->header, (uint64_t)st.st_size);
    }
    if (reason != NULL) {
        goto err;
    }

    window->used = window->header.used;
    window->data = aligned_alloc(EFA_WINDOW_ALIGN, window->used);
    if (window->data == NULL) {
        reason = "no memory to read it";
        goto err;
    }

    if (!read_all(fd, window->data, window->used, 0)) {
        reason = "became shorter while it was read";
        goto err_free;
    }

    reason = check_records(window);
    if (reason != NULL) {
        goto err_free;
    }

    hide_changed(window, fd);
    clean_string(window->header.command, sizeof(window->header.command));
    clean_string(window->header.library, sizeof(window->header.library));

    /* The owner holds the lock; nobody else does for longer than this */
    window->alive = (flock(fd, LOCK_SH | LOCK_NB) != 0) &&
                    (errno == EWOULDBLOCK);
    close(fd);
    return 0;

err_free:
    free(window->data);
    window->data = NULL;
err:
    snprintf(error, max, "%s: %s", path, reason);
    close(fd);
    errno = EINVAL;
    return -1;
}

void window_free(window_t *window)
{
    free(window->data);
    window->data = NULL;
}

/* ----------------------------------------------------------------- records */

/* Copies the words that lie in the record and that we know */
static void get_counters(const uint8_t *record, uint32_t length, uint32_t off,
                         uint32_t num, unsigned known, window_entry_t *entry)
{
    size_t room;

    if (off < sizeof(efa_window_record_t) || off % sizeof(uint64_t) != 0 ||
        off > length) {
        return;
    }

    room = (length - off) / sizeof(uint64_t);
    if (num > room) {
        num = (uint32_t)room;
    }
    entry->num_counters = (num < known) ? num : known;
    memcpy(entry->counters, record + off,
           entry->num_counters * sizeof(entry->counters[0]));
}

static bool get_iface(uint8_t *record, uint32_t length, window_entry_t *entry)
{
    efa_window_iface_t *iface = (efa_window_iface_t*)record;

    if (length < EFA_WINDOW_IFACE_OFF) {
        return false;
    }

    clean_string(iface->name, sizeof(iface->name));
    entry->name  = iface->name;
    entry->gid   = iface->gid;
    entry->qpn   = iface->qpn;
    entry->index = iface->index;
    entry->state = "";
    get_counters(record, length, iface->counters_off, iface->num_counters,
                 EFA_WINDOW_IFACE_NUM, entry);
    return true;
}

static bool get_peer(uint8_t *record, uint32_t length, window_entry_t *entry)
{
    efa_window_peer_t *peer = (efa_window_peer_t*)record;

    if (length < EFA_WINDOW_PEER_OFF) {
        return false;
    }

    entry->name         = "";
    entry->gid          = peer->gid;
    entry->qpn          = peer->qpn;
    entry->index        = peer->iface;
    entry->epoch        = peer->epoch;
    entry->remote_epoch = peer->remote_epoch;
    entry->overflow     = peer->rec.flags & EFA_WINDOW_RECORD_OVERFLOW;
    entry->state        = (peer->state < EFA_WINDOW_PEER_LAST) ?
                                  state_names[peer->state] : "?";
    get_counters(record, length, peer->counters_off, peer->num_counters,
                 EFA_WINDOW_PEER_NUM, entry);
    return true;
}

bool window_next(const window_t *window, efa_window_type_t type, size_t *pos,
                 window_entry_t *entry)
{
    const efa_window_record_t *rec;
    uint8_t *record;
    bool found;

    if (*pos == 0) {
        *pos = window->header.header_len;
    }

    while (*pos < window->used) {
        record = window->data + *pos;
        rec    = (const efa_window_record_t*)record;
        *pos  += rec->length;
        if (rec->type != type || rec->gen % 2 != 0) {
            continue;
        }

        memset(entry, 0, sizeof(*entry));
        found = (type == EFA_WINDOW_IFACE) ?
                        get_iface(record, rec->length, entry) :
                        get_peer(record, rec->length, entry);
        if (found) {
            return true;
        }
    }

    return false;
}

/* --------------------------------------------------------------- all files */

/* "ucx-efa.<pid>.<n>" */
static bool is_window_name(const char *name, uint32_t *pid)
{
    const size_t prefix = strlen(EFA_WINDOW_FILE_PREFIX);
    int length          = 0;
    unsigned number, count;

    if (strncmp(name, EFA_WINDOW_FILE_PREFIX, prefix) != 0 ||
        sscanf(name + prefix, "%u.%u%n", &number, &count, &length) != 2 ||
        name[prefix + (size_t)length] != '\0') {
        return false;
    }

    *pid = number;
    return true;
}

static unsigned find_in(const char *dir_path, uint32_t pid,
                        void (*func)(const char *path, void *arg), void *arg)
{
    unsigned count = 0;
    char path[PATH_MAX];
    struct dirent *entry;
    uint32_t file_pid;
    struct stat st;
    DIR *dir;

    dir = opendir(dir_path);
    if (dir == NULL) {
        return 0;
    }

    while ((entry = readdir(dir)) != NULL) {
        if (!is_window_name(entry->d_name, &file_pid) ||
            (pid != 0 && pid != file_pid) ||
            snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name) >=
                    (int)sizeof(path) ||
            lstat(path, &st) != 0 || st.st_uid != geteuid()) {
            continue;
        }

        func(path, arg);
        ++count;
    }

    closedir(dir);
    return count;
}

unsigned window_find(uint32_t pid, void (*func)(const char *path, void *arg),
                     void *arg)
{
    const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
    unsigned count          = find_in("/dev/shm", pid, func, arg);

    if (runtime_dir != NULL && strcmp(runtime_dir, "/dev/shm") != 0) {
        count += find_in(runtime_dir, pid, func, arg);
    }

    return count;
}
