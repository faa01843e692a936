/*
 * The server process alone on two ports of its own, fed by lines on standard input:
 *
 *     part NUMBER FILE   a part of the pages to come (enum page_part); "-" for FILE:
 * empty page MS            a page, too old to show what was measured after MS
 * milliseconds ping | reload      frames without a page damage             bytes that are
 * no frame count              prints "count NAME=N …": what was refused end closes the
 * pipe
 *
 * Prints "ports PORT PORT pid PID" once the server is up, "done" after each frame that
 * the server took in, and "exit STATUS" when it has ended. Usage: serve_pages
 * MAX_CONNECTIONS REQUEST_MS RESPONSE_MS IDLE_MS TELEMETRY_PATH
 * [WEB_CONFIG_FILE]
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "server/frame.h"
#include "server/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { LINE_BYTES = 4096, PART_MAX_BYTES = 32 << 20 };

/* The sanitizers open files and start programs when they have something to say. */
#ifdef __has_feature
enum {
    WITH_SANDBOX = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
};
#else
enum { WITH_SANDBOX = true };
#endif

struct feeder {
    struct str parts[PART_COUNT];
    struct server_counters *counters;
    int frames;
    int acks;
};

__attribute__((noreturn)) static void fail(const char *what)
{
    perror(what);
    _exit(2);
}

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        fail("listen");
    *port = ntohs(address.sin_port);
    return fd;
}

static bool wait_for_ack(const struct feeder *feeder)
{
    char ack;
    return read(feeder->acks, &ack, 1) == 1 && ack == SERVER_ACK;
}

static void send_frame(const struct feeder *feeder, enum frame_kind kind,
                       const struct page *page)
{
    struct frame_header header;
    frame_header_set(&header, kind, page);
    if (fdio_write_all(feeder->frames,
                       (struct str){(const char *)&header, sizeof header}) != 0 ||
        (page && fdio_write_all(feeder->frames, buf_str(&page->bytes)) != 0) ||
        !wait_for_ack(feeder))
        return;
    (void)printf("done\n");
}

static void send_page(const struct feeder *feeder, uint64_t lifetime_ms)
{
    CLEANUP(page_done) struct page page = PAGE_INIT;
    page.measured_at_ns = clock_monotonic_ns();
    page.expires_at_ns = page.measured_at_ns + lifetime_ms * 1000000;
    for (unsigned i = 0; i < PART_COUNT; i++) {
        buf_append(&page.bytes, feeder->parts[i]);
        page_end_part(&page, (enum page_part)i);
    }
    send_frame(feeder, FRAME_PAGE, &page);
}

static void set_part(struct feeder *feeder, unsigned number, const char *path)
{
    static char *memory[PART_COUNT];
    if (number >= PART_COUNT)
        fail("part");
    free(memory[number]);
    memory[number] = malloc(PART_MAX_BYTES);
    feeder->parts[number] = STR("");
    if (strcmp(path, "-") != 0 &&
        fdio_read_at(AT_FDCWD, path, memory[number], PART_MAX_BYTES,
                     &feeder->parts[number]) != 0)
        fail(path);
}

static void print_counts(const struct feeder *feeder)
{
    (void)printf("count");
    for (int i = 0; i < REFUSED_COUNT; i++)
        (void)printf(" %s=%llu", server_refusal_name((enum server_refusal)i),
                     (unsigned long long)feeder->counters->refused[i]);
    (void)printf("\n");
}

/* Return: false to close the pipe. */
static bool obey(struct feeder *feeder, const char *line)
{
    char path[LINE_BYTES] = "";
    unsigned long long number;
    unsigned part;
    if (sscanf(line, "part %u %4095s", &part, path) == 2)
        set_part(feeder, part, path);
    else if (sscanf(line, "page %llu", &number) == 1)
        send_page(feeder, number);
    else if (strcmp(line, "ping\n") == 0)
        send_frame(feeder, FRAME_PING, NULL);
    else if (strcmp(line, "reload\n") == 0)
        send_frame(feeder, FRAME_RELOAD, NULL);
    else if (strcmp(line, "count\n") == 0)
        print_counts(feeder);
    else if (strcmp(line, "damage\n") == 0)
        (void)fdio_write_all(feeder->frames, (struct str){path, sizeof path});
    else
        return false;
    return true;
}

static uint64_t milliseconds(const char *text)
{
    uint64_t value;
    if (!str_u64(str_from(text), &value))
        fail(text);
    return value * 1000000;
}

static void feed(struct feeder *feeder, pid_t server)
{
    static char line[LINE_BYTES];
    int status;
    while (fgets(line, sizeof line, stdin) && obey(feeder, line))
        (void)fflush(stdout);
    close(feeder->frames);
    if (waitpid(server, &status, 0) == server)
        (void)printf("exit %d\n",
                     WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7)
        return 2;
    (void)signal(SIGPIPE, SIG_IGN);
    uint16_t ports[2];
    int listeners[2] = {listen_somewhere(&ports[0]), listen_somewhere(&ports[1])};
    int frames[2], acks[2];
    if (pipe2(frames, O_CLOEXEC) != 0 || pipe2(acks, O_CLOEXEC) != 0)
        fail("pipe");
    struct feeder feeder = {.frames = frames[1], .acks = acks[0]};
    feeder.counters = mmap(NULL, sizeof *feeder.counters, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t max_connections;
    if (feeder.counters == MAP_FAILED || !str_u64(str_from(argv[1]), &max_connections))
        fail("start");
    const struct server_config config = {
        .listeners = listeners,
        .listener_count = ARRAY_LENGTH(listeners),
        .telemetry_path = argv[5],
        .web_config_file = argv[6],
        .max_connections = max_connections,
        .with_sandbox = WITH_SANDBOX,
        .request_limit_ns = milliseconds(argv[2]),
        .response_limit_ns = milliseconds(argv[3]),
        .idle_limit_ns = milliseconds(argv[4]),
        .log = {.level = LOG_INFO},
        .counters = feeder.counters,
        .parent = getpid(),
    };
    pid_t server = fork();
    if (server == 0)
        _exit(server_run(&config, frames[0], acks[1]));
    close(frames[0]);
    close(acks[1]);
    close(listeners[0]);
    close(listeners[1]);
    if (server < 0 || !wait_for_ack(&feeder))
        fail("server");
    (void)printf("ports %u %u pid %d\n", (unsigned)ports[0], (unsigned)ports[1],
                 (int)server);
    (void)fflush(stdout);
    feed(&feeder, server);
    return 0;
}
