/* The floor under a RUN step: clone into new namespaces, mount an overlay and what a container has
 * in it, make it the root, exec a program, wait for it. What no builder that keeps to Docker's
 * picture of a container can do without, by the shortest way, and nothing else: no user looked up,
 * no capability dropped, no filter loaded, no output read, no layer kept.
 *
 *   step LOWER WORKSPACE COUNT PROGRAM [ARGUMENT...]
 *
 * runs PROGRAM COUNT times over LOWER and prints the wall time of one run in microseconds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char options[8192], merged[2048], files[2048];
static char **program;
static char stack[1 << 20];

static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
static const char *const links[][2] = {
    {"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
    {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"},         {"/proc/kcore", "dev/core"},
};
static const char *const texts[] = {"hosts", "hostname", "resolv.conf"};
static const char *const hidden[] = {
    "proc/acpi",        "proc/asound",     "proc/interrupts", "proc/kcore",   "proc/keys",
    "proc/latency_stats", "proc/sched_debug", "proc/scsi",    "proc/timer_list", "proc/timer_stats",
    "sys/firmware",     "sys/devices/virtual/powercap",
};
static const char *const fixed[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};

#define EACH(name, list) for (size_t name = 0; name < sizeof list / sizeof *list; name++)
#define TRY(call) do { if (call) die(#call); } while (0)

static int die(const char *what) {
    perror(what);
    _exit(125);
}

static void touch(const char *path) {
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0) die(path);
    close(fd);
}

static int child(void *unused) {
    (void)unused;
    const unsigned long walled = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    char from[4096], to[64];
    TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    TRY(mount("overlay", merged, "overlay", MS_NODEV, options));
    TRY(chdir(merged));
    TRY(mount("proc", "proc", "proc", walled, NULL));
    TRY(mount("sysfs", "sys", "sysfs", walled | MS_RDONLY, NULL));
    TRY(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=0755,size=64m"));
    EACH(i, devices) {
        snprintf(from, sizeof from, "/dev/%s", devices[i]);
        snprintf(to, sizeof to, "dev/%s", devices[i]);
        touch(to);
        TRY(mount(from, to, NULL, MS_BIND, NULL));
    }
    EACH(i, links) TRY(symlink(links[i][0], links[i][1]));
    TRY(mkdir("dev/pts", 0755) || mkdir("dev/shm", 0755) || mkdir("dev/mqueue", 0755));
    TRY(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "ptmxmode=0666,mode=0620,gid=5"));
    TRY(mount("shm", "dev/shm", "tmpfs", walled, "mode=1777,size=64m"));
    TRY(mount("mqueue", "dev/mqueue", "mqueue", walled, NULL));
    EACH(i, texts) {
        snprintf(from, sizeof from, "%s/%s", files, texts[i]);
        snprintf(to, sizeof to, "etc/%s", texts[i]);
        TRY(mount(from, to, NULL, MS_BIND, NULL));
    }
    /* What this kernel lacks needs no hiding. */
    EACH(i, hidden) if (mount("/dev/null", hidden[i], NULL, MS_BIND, NULL))
        mount("tmpfs", hidden[i], "tmpfs", MS_RDONLY, NULL);
    EACH(i, fixed) if (!mount(fixed[i], fixed[i], NULL, MS_BIND, NULL))
        TRY(mount(NULL, fixed[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | walled, NULL));
    TRY(syscall(SYS_pivot_root, ".", "."));
    TRY(umount2(".", MNT_DETACH));
    TRY(chdir("/"));
    execv(program[0], program);
    return die("exec");
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    int count = atoi(argv[3]);
    program = argv + 4;
    snprintf(merged, sizeof merged, "%s/merged", argv[2]);
    snprintf(files, sizeof files, "%s/files", argv[2]);
    mkdir(merged, 0755), mkdir(files, 0755);
    EACH(i, texts) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", files, texts[i]);
        touch(path);
    }
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < count; i++) {
        char upper[2048], work[2048];
        snprintf(upper, sizeof upper, "%s/upper%d", argv[2], i);
        snprintf(work, sizeof work, "%s/work%d", argv[2], i);
        TRY(mkdir(upper, 0755) || mkdir(work, 0755));
        snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s,volatile", argv[1], upper, work);
        int flags = CLONE_VM | CLONE_VFORK | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                    CLONE_NEWNET | CLONE_NEWCGROUP | SIGCHLD;
        pid_t pid = clone(child, stack + sizeof stack, flags, NULL);
        if (pid < 0) die("clone");
        int status;
        waitpid(pid, &status, 0);
        if (status) {
            fprintf(stderr, "step: the program ended with status %d\n", status);
            return 1;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%ld\n", ((end.tv_sec - start.tv_sec) * 1000000000L + end.tv_nsec - start.tv_nsec) / 1000 / count);
    return 0;
}
