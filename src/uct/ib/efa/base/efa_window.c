/*
 * The owner's side of the window: the file, and the blocks in it.
 *
 *   map:   [header][record][record]...[record]|          |          (hole)
 *                                             ^used      ^backed    ^size
 *
 * The whole size is mapped, but pages are asked for from the file system in
 * steps, with posix_fallocate(), before anybody touches them: a full /dev/shm
 * is then an answer, and not a SIGBUS. What does not fit goes to private
 * memory.
 *
 * A record that is given back goes to a list of its type and is used again;
 * the lists are private, the file does not have them. In a file that is kept,
 * closed interfaces stay as they were, for who looks at it afterwards.
 *
 * fork(): the child has the mapping, and its parent's counters. It neither
 * removes the file nor writes to it by get and put; the file belongs to the
 * process that made it.
 */
#include "ucx_compat.h"
#include "efa_window.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef EFA_WINDOW_LIBRARY_VERSION
#  define EFA_WINDOW_LIBRARY_VERSION "0.1"
#endif

/* Room for 20 interfaces and some 21 000 peers; holes cost nothing. */
#define UCT_EFA_WINDOW_SIZE (4u << 20)

/* Pages are asked for in steps of this size */
#define UCT_EFA_WINDOW_STEP (64u << 10)

/* An abandoned file without a header is removed when it is this old: its owner
 * may be just about to write one. */
#define UCT_EFA_WINDOW_UNBORN_SECONDS 60

static_assert(UCT_EFA_WINDOW_SIZE <= EFA_WINDOW_MAX_SIZE, "readers refuse it");
static_assert(UCT_EFA_WINDOW_SIZE % UCT_EFA_WINDOW_STEP == 0, "whole steps");
static_assert(sizeof(efa_window_header_t) <= UCT_EFA_WINDOW_STEP, "one step");

/* An interface always comes with the block for peers that find no room: two
 * records, one behind the other. The second is shown when it is first used. */
typedef struct {
    uct_efa_window_iface_t iface;
    uct_efa_window_peer_t  overflow;
} uct_efa_window_slot_t;

static_assert(sizeof(uct_efa_window_slot_t) ==
              sizeof(uct_efa_window_iface_t) + sizeof(uct_efa_window_peer_t),
              "records lie back to back");

/* A free record, as the owner links them. Lies in the body of the record. */
typedef struct uct_efa_window_free {
    efa_window_record_t        rec;
    struct uct_efa_window_free *next;
} uct_efa_window_free_t;

typedef struct {
    pthread_mutex_t       lock;
    unsigned              refs;
    uct_efa_window_mode_t mode;
    pid_t                 pid;        /* that made the file */
    unsigned              file_count; /* <n> of the next file */
    unsigned              iface_count;
    int                   fd;         /* -1: no file; holds the lock */
    char                  *map;       /* NULL: no file */
    size_t                used;
    size_t                backed;
    char                  path[PATH_MAX];
    uct_efa_window_free_t *free[EFA_WINDOW_PEER + 1];
} uct_efa_window_t;

static uct_efa_window_t uct_efa_window = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .fd   = -1
};

/* Blocks for when even malloc fails: everybody counts here, nobody reads. */
static uct_efa_window_slot_t uct_efa_window_last_slot;
static uct_efa_window_peer_t uct_efa_window_last_peer;

static efa_window_header_t *uct_efa_window_header(void)
{
    return (efa_window_header_t*)uct_efa_window.map;
}

/* The file and its mapping are ours: not a forked child's */
static int uct_efa_window_is_mine(void)
{
    return (uct_efa_window.map != NULL) && (uct_efa_window.pid == getpid());
}

/* ---------------------------------------------------------------- the file */

static const char *uct_efa_window_dir(void)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    struct stat st;

    /* Like everybody who uses that directory: only if it is really ours */
    if ((dir != NULL) && (dir[0] == '/') && (stat(dir, &st) == 0) &&
        S_ISDIR(st.st_mode) && (st.st_uid == geteuid()) &&
        ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0)) {
        return dir;
    }

    return "/dev/shm";
}

/* Does the file belong to a process that is gone? Logs nothing. */
static int uct_efa_window_is_leftover(int dir_fd, const char *name)
{
    efa_window_header_t header;
    int fd, leftover = 0;
    struct stat st;
    ssize_t length;

    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return 0;
    }

    if ((fstat(fd, &st) != 0) || !S_ISREG(st.st_mode) ||
        (st.st_uid != geteuid()) || (flock(fd, LOCK_EX | LOCK_NB) != 0)) {
        goto out;
    }

    length = pread(fd, &header, sizeof(header), 0);
    if ((length == (ssize_t)sizeof(header)) &&
        (header.magic == EFA_WINDOW_MAGIC)) {
        leftover = !(header.flags & EFA_WINDOW_FLAG_KEEP);
    } else {
        leftover = (time(NULL) - st.st_mtime) > UCT_EFA_WINDOW_UNBORN_SECONDS;
    }

out:
    close(fd);
    return leftover;
}

/* "ucx-efa.<pid>.<n>", and nothing that merely begins like that */
static int uct_efa_window_is_name(const char *name)
{
    const size_t prefix = strlen(EFA_WINDOW_FILE_PREFIX);
    int length          = 0;
    unsigned pid, count;

    return (strncmp(name, EFA_WINDOW_FILE_PREFIX, prefix) == 0) &&
           (sscanf(name + prefix, "%u.%u%n", &pid, &count, &length) == 2) &&
           (name[prefix + length] == '\0');
}

static void uct_efa_window_remove_leftovers(const char *dir_path)
{
    struct dirent *entry;
    DIR *dir;

    dir = opendir(dir_path);
    if (dir == NULL) {
        return;
    }

    while ((entry = readdir(dir)) != NULL) {
        if (uct_efa_window_is_name(entry->d_name) &&
            uct_efa_window_is_leftover(dirfd(dir), entry->d_name)) {
            ucs_debug("removing %s/%s of a dead process", dir_path,
                      entry->d_name);
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }

    closedir(dir);
}

static void uct_efa_window_read_proc(const char *path, char *buffer, size_t max)
{
    ssize_t length = 0;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        length = read(fd, buffer, max - 1);
        close(fd);
    }

    buffer[(length > 0) ? length : 0] = '\0';
}

/* Field 22 of /proc/self/stat. The name in field 2 may hold anything, also
 * blanks and parentheses: count from its end. */
static uint64_t uct_efa_window_start_time(void)
{
    unsigned long long start_time = 0;
    char buffer[1024], *field;

    uct_efa_window_read_proc("/proc/self/stat", buffer, sizeof(buffer));
    field = strrchr(buffer, ')');
    if (field != NULL) {
        sscanf(field,
               ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %*s %*s %*s %llu",
               &start_time);
    }

    return start_time;
}

static void uct_efa_window_fill_header(uct_efa_window_mode_t mode)
{
    efa_window_header_t *header = uct_efa_window_header();
    struct timespec now         = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    header->version     = EFA_WINDOW_VERSION;
    header->header_len  = sizeof(*header);
    header->flags       = (mode == UCT_EFA_WINDOW_KEEP) ? EFA_WINDOW_FLAG_KEEP :
                                                          0;
    header->size        = UCT_EFA_WINDOW_SIZE;
    header->used        = uct_efa_window.used;
    header->pid         = getpid();
    header->uid         = geteuid();
    header->start_time  = uct_efa_window_start_time();
    header->create_time = (now.tv_sec * 1000000000ull) + now.tv_nsec;
    header->ucx_version = (UCT_VERNO_MAJOR << 16) | UCT_VERNO_MINOR;

    ucs_strncpy_zero(header->command, program_invocation_short_name,
                     sizeof(header->command));
    ucs_strncpy_zero(header->library, EFA_WINDOW_LIBRARY_VERSION,
                     sizeof(header->library));

    __atomic_store_n(&header->magic, EFA_WINDOW_MAGIC, __ATOMIC_RELEASE);
}

/* Makes the file. On failure there is none, and nobody need know why. */
static void uct_efa_window_file_create(uct_efa_window_mode_t mode)
{
    const char *dir = uct_efa_window_dir();
    struct rlimit limit;
    void *map;
    int ret;

    uct_efa_window_remove_leftovers(dir);

    /* Growing a file beyond this limit is a signal (SIGXFSZ), not an error */
    if ((getrlimit(RLIMIT_FSIZE, &limit) != 0) ||
        (limit.rlim_cur < UCT_EFA_WINDOW_SIZE)) {
        ucs_debug("no window: the limit of file sizes is below %u bytes",
                  UCT_EFA_WINDOW_SIZE);
        goto err;
    }

    do {
        ret = snprintf(uct_efa_window.path, sizeof(uct_efa_window.path),
                       "%s/" EFA_WINDOW_FILE_PREFIX "%d.%u", dir, getpid(),
                       uct_efa_window.file_count++);
        if (ret >= (int)sizeof(uct_efa_window.path)) {
            goto err;
        }

        /* EEXIST: ours kept, or of the same pid in another container */
        uct_efa_window.fd = open(uct_efa_window.path,
                                 O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
                                 O_CLOEXEC, S_IRUSR | S_IWUSR);
    } while ((uct_efa_window.fd < 0) && (errno == EEXIST) &&
             (uct_efa_window.file_count < 1000));

    if (uct_efa_window.fd < 0) {
        ucs_debug("no window: cannot make %s: %m", uct_efa_window.path);
        goto err;
    }

    ret = flock(uct_efa_window.fd, LOCK_EX | LOCK_NB);
    if (ret != 0) {
        ucs_debug("no window: cannot lock %s: %m", uct_efa_window.path);
        goto err_unlink;
    }

    ret = posix_fallocate(uct_efa_window.fd, 0, UCT_EFA_WINDOW_STEP);
    if ((ret == 0) &&
        (ftruncate(uct_efa_window.fd, UCT_EFA_WINDOW_SIZE) != 0)) {
        ret = errno;
    }
    if (ret != 0) {
        ucs_debug("no window: no room for %s: %s", uct_efa_window.path,
                  strerror(ret));
        goto err_unlink;
    }

    map = mmap(NULL, UCT_EFA_WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
               uct_efa_window.fd, 0);
    if (map == MAP_FAILED) {
        ucs_debug("no window: cannot map %s: %m", uct_efa_window.path);
        goto err_unlink;
    }

    uct_efa_window.map    = map;
    uct_efa_window.pid    = getpid();
    uct_efa_window.used   = sizeof(efa_window_header_t);
    uct_efa_window.backed = UCT_EFA_WINDOW_STEP;
    uct_efa_window_fill_header(mode);
    ucs_debug("window %s", uct_efa_window.path);
    return;

err_unlink:
    unlink(uct_efa_window.path);
    close(uct_efa_window.fd);
err:
    uct_efa_window.fd      = -1;
    uct_efa_window.path[0] = '\0';
}

static void uct_efa_window_file_destroy(void)
{
    if (uct_efa_window.map == NULL) {
        return;
    }

    if (uct_efa_window_is_mine() &&
        (uct_efa_window.mode != UCT_EFA_WINDOW_KEEP)) {
        unlink(uct_efa_window.path);
    }

    munmap(uct_efa_window.map, UCT_EFA_WINDOW_SIZE);
    close(uct_efa_window.fd);
    uct_efa_window.map     = NULL;
    uct_efa_window.fd      = -1;
    uct_efa_window.path[0] = '\0';
    memset(uct_efa_window.free, 0, sizeof(uct_efa_window.free));
}

void uct_efa_window_open(uct_efa_window_mode_t mode)
{
    pthread_mutex_lock(&uct_efa_window.lock);
    if (uct_efa_window.refs++ == 0) {
        uct_efa_window.mode = mode;
        if (mode != UCT_EFA_WINDOW_NO) {
            uct_efa_window_file_create(mode);
        }
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}

void uct_efa_window_close(void)
{
    pthread_mutex_lock(&uct_efa_window.lock);
    ucs_assert(uct_efa_window.refs > 0);
    if (--uct_efa_window.refs == 0) {
        uct_efa_window_file_destroy();
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}

const char *uct_efa_window_path(void)
{
    return uct_efa_window.path;
}

/* A program that exits without closing: the name goes, the mapping stays, in
 * case another thread still counts. */
static void __attribute__((destructor)) uct_efa_window_at_exit(void)
{
    if (uct_efa_window_is_mine() &&
        (uct_efa_window.mode != UCT_EFA_WINDOW_KEEP)) {
        unlink(uct_efa_window.path);
    }
}

/* -------------------------------------------------------------- the blocks */

/* Room for `length` bytes at the end; NULL: none. Lock held. */
static void *uct_efa_window_extend(uint32_t length)
{
    size_t end = uct_efa_window.used + length;
    void *block;

    if (end > UCT_EFA_WINDOW_SIZE) {
        return NULL;
    }

    while (end > uct_efa_window.backed) {
        if (posix_fallocate(uct_efa_window.fd, uct_efa_window.backed,
                            UCT_EFA_WINDOW_STEP) != 0) {
            return NULL;
        }
        uct_efa_window.backed += UCT_EFA_WINDOW_STEP;
    }

    block               = uct_efa_window.map + uct_efa_window.used;
    uct_efa_window.used = end;
    return block;
}

/* Readers walk up to here. After the lengths of the new records were set. */
static void uct_efa_window_publish_end(void)
{
    __atomic_store_n(&uct_efa_window_header()->used, uct_efa_window.used,
                     __ATOMIC_RELEASE);
}

/* Makes fresh (zero) memory a hidden record */
static void uct_efa_window_record_init(efa_window_record_t *rec,
                                       uint32_t length)
{
    rec->length = length;
    rec->gen    = 1;
}

/* Empties a record that was given back, all but length and gen */
static void uct_efa_window_record_reset(efa_window_record_t *rec)
{
    rec->type  = EFA_WINDOW_FREE;
    rec->flags = 0;
    memset(rec + 1, 0, rec->length - sizeof(*rec));
}

/* Shows a record to readers, after everything else in it was set. */
static void uct_efa_window_record_show(efa_window_record_t *rec)
{
    __atomic_store_n(&rec->gen, rec->gen + 1, __ATOMIC_RELEASE);
}

static void uct_efa_window_record_hide(efa_window_record_t *rec)
{
    /* An exchange: what is written afterwards stays behind it */
    if ((rec->gen % 2) == 0) {
        __atomic_exchange_n(&rec->gen, rec->gen + 1, __ATOMIC_ACQ_REL);
    }
}

static int uct_efa_window_is_in_file(const void *block)
{
    const char *address = block;

    return (uct_efa_window.map != NULL) && (address >= uct_efa_window.map) &&
           (address < (uct_efa_window.map + UCT_EFA_WINDOW_SIZE));
}

static void *uct_efa_window_private_get(size_t length, void *last_resort)
{
    void *block;

    if (posix_memalign(&block, EFA_WINDOW_ALIGN, length) != 0) {
        return last_resort;
    }

    memset(block, 0, length);
    return block;
}

/* Takes a record of this type off its free list; NULL: none. Lock held. */
static void *uct_efa_window_reuse(efa_window_type_t type)
{
    uct_efa_window_free_t *entry = uct_efa_window.free[type];

    if (entry != NULL) {
        uct_efa_window.free[type] = entry->next;
        uct_efa_window_record_reset(&entry->rec);
    }

    return entry;
}

/* Lock held */
static void uct_efa_window_give_back(void *block, efa_window_type_t type)
{
    uct_efa_window_free_t *entry = block;

    uct_efa_window_record_hide(&entry->rec);
    uct_efa_window_record_reset(&entry->rec);
    entry->next               = uct_efa_window.free[type];
    uct_efa_window.free[type] = entry;
}

/* Fills a hidden record and shows it */
static void uct_efa_window_peer_set(uct_efa_window_peer_t *peer,
                                    const uct_efa_window_iface_t *iface,
                                    const void *gid, uint32_t qpn,
                                    uint16_t flags)
{
    if (gid != NULL) {
        memcpy(peer->gid, gid, sizeof(peer->gid));
    }
    peer->rec.type     = EFA_WINDOW_PEER;
    peer->rec.flags    = flags;
    peer->qpn          = qpn;
    peer->num_counters = EFA_WINDOW_PEER_NUM;
    peer->counters_off = EFA_WINDOW_PEER_OFF;
    peer->iface        = iface->index;
    peer->state        = EFA_WINDOW_PEER_NEW;
    uct_efa_window_record_show(&peer->rec);
}

/* A slot of hidden records in the file; NULL: no file, or no room. */
static uct_efa_window_slot_t *uct_efa_window_slot_get(void)
{
    uct_efa_window_slot_t *slot;

    if (!uct_efa_window_is_mine()) {
        return NULL;
    }

    slot = uct_efa_window_reuse(EFA_WINDOW_IFACE);
    if (slot != NULL) {
        uct_efa_window_record_reset(&slot->overflow.rec);
        return slot;
    }

    slot = uct_efa_window_extend(sizeof(*slot));
    if (slot == NULL) {
        ++uct_efa_window_header()->hidden;
        return NULL;
    }

    uct_efa_window_record_init(&slot->iface.rec, sizeof(slot->iface));
    uct_efa_window_record_init(&slot->overflow.rec, sizeof(slot->overflow));
    uct_efa_window_publish_end();
    return slot;
}

uct_efa_window_iface_t *uct_efa_window_iface_get(const char *name,
                                                 const void *gid, uint32_t qpn)
{
    uct_efa_window_iface_t *iface;
    uct_efa_window_slot_t *slot;

    pthread_mutex_lock(&uct_efa_window.lock);
    slot = uct_efa_window_slot_get();
    if (slot == NULL) {
        slot = uct_efa_window_private_get(sizeof(*slot),
                                          &uct_efa_window_last_slot);
    }

    iface = &slot->iface;
    memcpy(iface->gid, gid, sizeof(iface->gid));
    ucs_strncpy_zero(iface->name, name, sizeof(iface->name));
    iface->rec.type     = EFA_WINDOW_IFACE;
    iface->qpn          = qpn;
    iface->num_counters = EFA_WINDOW_IFACE_NUM;
    iface->counters_off = EFA_WINDOW_IFACE_OFF;
    iface->index        = uct_efa_window.iface_count++;
    uct_efa_window_record_show(&iface->rec);
    pthread_mutex_unlock(&uct_efa_window.lock);
    return iface;
}

void uct_efa_window_iface_put(uct_efa_window_iface_t *iface)
{
    uct_efa_window_slot_t *slot = ucs_container_of(iface, uct_efa_window_slot_t,
                                                   iface);

    pthread_mutex_lock(&uct_efa_window.lock);
    if (!uct_efa_window_is_in_file(slot)) {
        if (slot != &uct_efa_window_last_slot) {
            free(slot);
        }
    } else if (uct_efa_window_is_mine() &&
               (uct_efa_window.mode != UCT_EFA_WINDOW_KEEP)) {
        uct_efa_window_record_hide(&slot->overflow.rec);
        uct_efa_window_give_back(slot, EFA_WINDOW_IFACE);
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}

/* A peer's record in the file, or the shared one of its interface; NULL if
 * there is no file. Lock held. */
static uct_efa_window_peer_t *
uct_efa_window_peer_get_in_file(uct_efa_window_iface_t *iface, const void *gid,
                                uint32_t qpn)
{
    uct_efa_window_slot_t *slot;
    uct_efa_window_peer_t *peer;

    if (!uct_efa_window_is_mine() || !uct_efa_window_is_in_file(iface)) {
        return NULL;
    }

    peer = uct_efa_window_reuse(EFA_WINDOW_PEER);
    if (peer == NULL) {
        peer = uct_efa_window_extend(sizeof(*peer));
        if (peer != NULL) {
            uct_efa_window_record_init(&peer->rec, sizeof(*peer));
            uct_efa_window_publish_end();
        }
    }

    if (peer != NULL) {
        uct_efa_window_peer_set(peer, iface, gid, qpn, 0);
        return peer;
    }

    ++uct_efa_window_header()->hidden;
    slot = ucs_container_of(iface, uct_efa_window_slot_t, iface);
    if (slot->overflow.rec.type != EFA_WINDOW_PEER) {
        uct_efa_window_peer_set(&slot->overflow, iface, NULL, 0,
                                EFA_WINDOW_RECORD_OVERFLOW);
    }

    return &slot->overflow;
}

uct_efa_window_peer_t *uct_efa_window_peer_get(uct_efa_window_iface_t *iface,
                                               const void *gid, uint32_t qpn)
{
    uct_efa_window_peer_t *peer;

    pthread_mutex_lock(&uct_efa_window.lock);
    peer = uct_efa_window_peer_get_in_file(iface, gid, qpn);
    pthread_mutex_unlock(&uct_efa_window.lock);

    return (peer != NULL) ? peer :
                            uct_efa_window_private_get(
                                    sizeof(*peer), &uct_efa_window_last_peer);
}

void uct_efa_window_peer_put(uct_efa_window_iface_t *iface,
                             uct_efa_window_peer_t *peer)
{
    (void)iface;

    pthread_mutex_lock(&uct_efa_window.lock);
    if (!uct_efa_window_is_in_file(peer)) {
        if (peer != &uct_efa_window_last_peer) {
            free(peer);
        }
    } else if (uct_efa_window_is_mine() &&
               !(peer->rec.flags & EFA_WINDOW_RECORD_OVERFLOW)) {
        uct_efa_window_give_back(peer, EFA_WINDOW_PEER);
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}
