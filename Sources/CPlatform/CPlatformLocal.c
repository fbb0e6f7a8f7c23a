// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatformLocal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int address_of(const char *path, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address->sun_path, path);
    return 0;
}

static int close_keeping_errno(int descriptor) {
    int number = errno;
    close(descriptor);
    errno = number;
    return -1;
}

static int limit_waiting(int descriptor, int milliseconds) {
    struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0) return -1;
    return setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int varve_local_listen(const char *path) {
    struct sockaddr_un address;
    if (address_of(path, &address) != 0) return -1;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    if (unlink(path) != 0 && errno != ENOENT) return close_keeping_errno(descriptor);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0) return close_keeping_errno(descriptor);
    if (chmod(path, 0600) != 0) return close_keeping_errno(descriptor);
    if (listen(descriptor, 64) != 0) return close_keeping_errno(descriptor);
    return descriptor;
}

int varve_local_accept(int listener, int milliseconds) {
    int descriptor;
    do {
        descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) return -1;
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return close_keeping_errno(descriptor);
    if (peer.uid != geteuid() && peer.uid != 0) {
        errno = EPERM;
        return close_keeping_errno(descriptor);
    }
    if (limit_waiting(descriptor, milliseconds) != 0) return close_keeping_errno(descriptor);
    return descriptor;
}

int varve_local_connect(const char *path, int milliseconds) {
    struct sockaddr_un address;
    if (address_of(path, &address) != 0) return -1;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    if (limit_waiting(descriptor, milliseconds) != 0) return close_keeping_errno(descriptor);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) return close_keeping_errno(descriptor);
    return descriptor;
}

int varve_local_send(int socket, const void *bytes, int byteCount) {
    int done = 0;
    while (done < byteCount) {
        ssize_t count = send(socket, (const char *)bytes + done, (size_t)(byteCount - done), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return -1;
        done += (int)count;
    }
    return 0;
}

int varve_local_receive(int socket, void *bytes, int byteCount) {
    int done = 0;
    while (done < byteCount) {
        ssize_t count = recv(socket, (char *)bytes + done, (size_t)(byteCount - done), 0);
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) errno = ECONNRESET;
        if (count <= 0) return -1;
        done += (int)count;
    }
    return 0;
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int varve_local_send_file(int socket, uint8_t byte, int descriptor) {
    struct iovec content = {.iov_base = &byte, .iov_len = 1};
    union control control = {0};
    struct msghdr message = {.msg_iov = &content, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof descriptor);
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    ssize_t count;
    do {
        count = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    return count == 1 ? 0 : -1;
}

int varve_local_receive_file(int socket, uint8_t *byte, int *descriptor) {
    struct iovec content = {.iov_base = byte, .iov_len = 1};
    union control control = {0};
    struct msghdr message = {
        .msg_iov = &content, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    ssize_t count;
    do {
        count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count == 0) errno = ECONNRESET;
    if (count != 1) return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof *descriptor)) {
        memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    }
    return 0;
}
