/* What a power cut would leave of one SQLite database: only what was fsynced.
 *
 * Preloaded into a process. Each successful fsync or fdatasync of $POWER_LOSS_FILE or its write-ahead log copies that file
 * to $POWER_LOSS_SHADOW; an fsync of its directory notes which of the two have a lasting name. A copy gets its name when
 * it is whole, so that a kill in the middle leaves the one before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const SUFFIXES[] = {"", "-wal"};

static void fail(const char *what)
{
    perror(what);
    _exit(99);
}

static void copy(const char *from, const char *to)
{
    char part[PATH_MAX];
    char block[1 << 16];
    ssize_t got;
    snprintf(part, sizeof part, "%s.part", to);
    int in = open(from, O_RDONLY), out = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (in < 0 || out < 0)
        fail("power_loss: open");
    while ((got = read(in, block, sizeof block)) > 0)
        if (write(out, block, got) != got)
            fail("power_loss: write");
    close(in);
    close(out);
    if (rename(part, to) != 0)
        fail("power_loss: rename");
}

static void shadow_path(char *path, const char *suffix, const char *kind)
{
    snprintf(path, PATH_MAX, "%s/database%s%s", getenv("POWER_LOSS_SHADOW"), suffix, kind);
}

static void note_names(const char *directory, const char *database)
{
    char expected[PATH_MAX], file[PATH_MAX], note[PATH_MAX];
    snprintf(expected, sizeof expected, "%s", database);
    *strrchr(expected, '/') = 0;
    if (strcmp(directory, expected) != 0)
        return;
    for (int i = 0; i < 2; i++) {
        snprintf(file, sizeof file, "%s%s", database, SUFFIXES[i]);
        shadow_path(note, SUFFIXES[i], ".named");
        if (access(file, F_OK) == 0)
            close(open(note, O_WRONLY | O_CREAT, 0600));
        else
            unlink(note);
    }
}

static void synced(int handle)
{
    char link[64], path[PATH_MAX], name[PATH_MAX], to[PATH_MAX];
    const char *database = getenv("POWER_LOSS_FILE");
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (database == NULL || length < 0)
        return;
    path[length] = 0;
    note_names(path, database);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", database, SUFFIXES[i]);
        if (strcmp(path, name) == 0) {
            shadow_path(to, SUFFIXES[i], "");
            copy(path, to);
        }
    }
}

static int pass_on(const char *name, int handle)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(handle), kept = errno;
    if (result == 0)
        synced(handle);
    errno = kept;
    return result;
}

int fsync(int handle) { return pass_on("fsync", handle); }

int fdatasync(int handle) { return pass_on("fdatasync", handle); }
