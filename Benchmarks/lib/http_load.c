// SPDX-License-Identifier: Apache-2.0
// Asks a web server for the same jobs again and again, the same way whoever it is: CONNECTIONS threads with one kept-alive
// connection each, one request after another, for SECONDS; a job under way at the end is finished and counted. What comes is
// counted and thrown away. A job is one request or several (the files of a study), which count when all are answered.
// Prints jobs, jobs a second (the sum of the connections' own rates, so that nobody is charged for waiting for the slowest
// one's last job), bytes of content, wall seconds, this process' CPU seconds, and the median and 95th percentile of a job in
// milliseconds.
// usage: http_load HOST PORT CONNECTIONS SECONDS LIST    LIST: a request a line, path, space, Accept; an empty line ends a job
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 18, MOST_TIMES = 1 << 20 };

struct job {
    int first, count;
};

static struct sockaddr_in address;
static char **requests;
static struct job *jobs;
static int job_count, connections;
static double deadline, rate;
static double *times;
static long long done, total;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what, const char *detail) {
    fprintf(stderr, "http_load: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

// What was received and not yet looked at is buffer[start ..< end].
struct stream {
    int socket;
    size_t start, end;
    char buffer[BUFFER + 1];
};

// False at the end of what the server sends.
static int receive_some(struct stream *stream) {
    if (stream->start == stream->end) stream->start = stream->end = 0;
    if (stream->end == BUFFER) {
        if (stream->start == 0) fail("a header beyond the buffer", NULL);
        memmove(stream->buffer, stream->buffer + stream->start, stream->end - stream->start);
        stream->end -= stream->start, stream->start = 0;
    }
    ssize_t got = recv(stream->socket, stream->buffer + stream->end, BUFFER - stream->end, 0);
    if (got < 0) fail("cannot receive", NULL);
    stream->end += got;
    return got > 0;
}

static void receive(struct stream *stream) {
    if (!receive_some(stream)) fail("the server closed the connection", NULL);
}

static void skip(struct stream *stream, long long count) {
    while (count > 0) {
        if (stream->start == stream->end) receive(stream);
        long long there = stream->end - stream->start, part = there < count ? there : count;
        stream->start += part, count -= part;
    }
}

// The text up to and with `end`, terminated in place; valid until the next call.
static char *upto(struct stream *stream, const char *end) {
    size_t length = strlen(end);
    for (;;) {
        char *at = stream->buffer + stream->start;
        char *found = memmem(at, stream->end - stream->start, end, length);
        if (found) {
            stream->start = found + length - stream->buffer;
            *found = 0;
            return at;
        }
        receive(stream);
    }
}

static int connected(void) {
    int handle = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (connect(handle, (struct sockaddr *)&address, sizeof address)) fail("cannot connect", NULL);
    setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return handle;
}

static long long until_closed(struct stream *stream) {
    long long sum = 0;
    do {
        sum += stream->end - stream->start;
        stream->start = stream->end;
    } while (receive_some(stream));
    return sum;
}

static long long chunks(struct stream *stream) {
    long long sum = 0;
    for (;;) {
        long long count = strtoll(upto(stream, "\r\n"), NULL, 16);
        if (count == 0) break;
        skip(stream, count + 2);
        sum += count;
    }
    upto(stream, "\r\n");
    return sum;
}

static long long answer(struct stream *stream, const char *request) {
    char *head = upto(stream, "\r\n\r\n");
    if (strncmp(head, "HTTP/1.1 200", 12)) {
        char text[400];
        snprintf(text, sizeof text, "%.60s for %.300s", head, request);
        fail("not a 200", text);
    }
    char *length = strcasestr(head, "\r\ncontent-length:");
    int is_last = strcasestr(head, "\r\nconnection: close") != NULL;
    long long count = 0;
    if (length) skip(stream, count = atoll(length + 17));
    else if (strcasestr(head, "\r\ntransfer-encoding: chunked")) count = chunks(stream);
    else if (is_last) count = until_closed(stream);
    else fail("an answer without a length", head);
    if (is_last) {  // Orthanc does this with multipart answers
        close(stream->socket);
        stream->socket = connected(), stream->start = stream->end = 0;
    }
    return count;
}

static void *run(void *argument) {
    int me = (int)(intptr_t)argument;
    struct stream *stream = malloc(sizeof *stream);
    stream->socket = connected(), stream->start = stream->end = 0;
    long long bytes = 0, count = 0;
    // Connections begin apart from each other, so that they do not all ask for the same.
    int index = (int)((long long)me * job_count / connections);
    double begin = now(), start, end;
    do {
        struct job job = jobs[index % job_count];
        start = now();
        for (int part = 0; part < job.count; part++) {
            const char *request = requests[job.first + part];
            size_t length = strlen(request);
            for (size_t sent = 0; sent < length;) {
                ssize_t got = send(stream->socket, request + sent, length - sent, 0);
                if (got <= 0) fail("cannot send", NULL);
                sent += got;
            }
            bytes += answer(stream, request);
        }
        end = now();
        pthread_mutex_lock(&mutex);
        if (done < MOST_TIMES) times[done] = end - start;
        done += 1;
        pthread_mutex_unlock(&mutex);
        index += 1, count += 1;
    } while (end < deadline);
    close(stream->socket);
    free(stream);
    pthread_mutex_lock(&mutex);
    total += bytes;
    rate += count / (end - begin);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void read_list(const char *path) {
    FILE *list = fopen(path, "r");
    if (!list) fail("cannot read", path);
    char *line = NULL;
    size_t room = 0;
    int count = 0, is_open = 0;
    for (ssize_t length; (length = getline(&line, &room, list)) > 0;) {
        if (line[length - 1] == '\n') line[--length] = 0;
        if (length == 0) {
            is_open = 0;
            continue;
        }
        char *accept = strchr(line, ' ');
        if (!accept) fail("a line without Accept", line);
        *accept++ = 0;
        requests = realloc(requests, (count + 1) * sizeof *requests);
        if (asprintf(&requests[count], "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: %s\r\n\r\n", line, accept) < 0)
            fail("no memory", NULL);
        if (!is_open) {
            jobs = realloc(jobs, (job_count + 1) * sizeof *jobs);
            jobs[job_count++] = (struct job){count, 0};
            is_open = 1;
        }
        jobs[job_count - 1].count += 1;
        count += 1;
    }
    if (!job_count) fail("an empty list", path);
    free(line);
    fclose(list);
}

static int ascending(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **arguments) {
    if (count != 6) fail("usage: http_load HOST PORT CONNECTIONS SECONDS LIST", NULL);
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(arguments[2]));
    inet_pton(AF_INET, arguments[1], &address.sin_addr);
    connections = atoi(arguments[3]);
    if (connections < 1 || connections > 256) fail("CONNECTIONS is from 1 to 256", NULL);
    read_list(arguments[5]);
    times = malloc(MOST_TIMES * sizeof *times);
    double start = now();
    deadline = start + atof(arguments[4]);
    pthread_t threads[256];
    for (int me = 0; me < connections; me++) pthread_create(&threads[me], NULL, run, (void *)(intptr_t)me);
    for (int me = 0; me < connections; me++) pthread_join(threads[me], NULL);
    double seconds = now() - start;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    long long measured = done < MOST_TIMES ? done : MOST_TIMES;
    qsort(times, measured, sizeof *times, ascending);
    printf("%lld %.4f %lld %.4f %.4f %.3f %.3f\n", done, rate, total, seconds, cpu, times[measured / 2] * 1e3,
           times[measured * 95 / 100] * 1e3);
    return 0;
}
