/* A disk in trouble, for the write-ahead log of one process.
 *
 * Preloaded into it: while the file $FSYNC_FAULT exists, each fsync or fdatasync of a file whose name ends in "-wal" fails
 * with EIO and leaves a line there; each one takes $FSYNC_MICROSECONDS longer.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_log(int handle)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 4 && strncmp(path + length - 4, "-wal", 4) == 0;
}

static int fails(int handle)
{
    const char *fault = getenv("FSYNC_FAULT");
    int out = fault ? open(fault, O_WRONLY | O_APPEND) : -1;
    if (out < 0)
        return 0;
    dprintf(out, "%d\n", handle);
    close(out);
    errno = EIO;
    return 1;
}

static int pass_on(const char *name, int handle)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (is_log(handle)) {
        const char *longer = getenv("FSYNC_MICROSECONDS");
        if (longer)
            usleep(atoi(longer));
        if (fails(handle))
            return -1;
    }
    return real(handle);
}

int fsync(int handle) { return pass_on("fsync", handle); }

int fdatasync(int handle) { return pass_on("fdatasync", handle); }
