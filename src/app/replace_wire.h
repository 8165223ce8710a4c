/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replace_wire: what a server and the one that replaces it say to each other, over a Unix socket
 * that keeps messages whole (SOCK_SEQPACKET): a word, then what belongs to it, and descriptors. A
 * part of replace.
 *
 *     new                               old
 *     replace PROTOCOL VERSION     ->
 *                                  <-   refused REASON, and the end
 *                                  <-   sockets + descriptors, as often as it takes
 *                                  <-   state COOKIE-SECRET + the directory's lock, this socket
 *     yield                        ->   (settles: nothing is in flight, all is on disk)
 *                                  <-   yours REVISION
 *     (reads the store, serves DNS)
 *     ready                        ->   (reads no more queries)
 *                                  <-   done
 *     (takes HTTP requests)             (exits)
 *
 * "failed REASON" may come in place of what the new one has to say.
 */
#ifndef ROSTERD_APP_REPLACE_WIRE_H
#define ROSTERD_APP_REPLACE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

enum {
	REPLACE_PROTOCOL = 1,
	REPLACE_FDS = 250, /* in a message; the kernel takes 253 */
	REPLACE_TEXT = 512,
};

struct replace_message {
	char text[REPLACE_TEXT];
	int fds[REPLACE_FDS]; /* the receiver's */
	size_t n_fds;
};

/* The socket in a data directory. false: the path is too long for one. */
bool replace_wire_address(const char *directory, struct sockaddr_un *address);

/* Sends `word rest`; never waits. -1 with errno. */
int replace_wire_send(int fd, const char *word, const char *rest, const int *fds, size_t n_fds);

/* 1: a message; 0: the peer has closed; -1 with errno, EAGAIN: none is there. Never waits. */
int replace_wire_receive(int fd, struct replace_message *message);

/* What follows the word; NULL: the message begins with another one. */
const char *replace_wire_rest(const struct replace_message *message, const char *word);

void replace_wire_close_fds(struct replace_message *message);

#endif
