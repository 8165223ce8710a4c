/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What getaddrinfo() of the C library that this is built with says of a name: its addresses, in
 * its order. The test of contrib/recipes/libc builds it with each.
 */

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

static const char *print_error(int error)
{
	switch (error) {
	case EAI_NONAME:
		return "EAI_NONAME";
	case EAI_AGAIN:
		return "EAI_AGAIN";
	case EAI_FAIL:
		return "EAI_FAIL";
	default:
		return gai_strerror(error);
	}
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *item;
	char text[64];
	int error;

	if (argc != 2)
		return 2;
	error = getaddrinfo(argv[1], NULL, &hints, &list);
	if (error) {
		puts(print_error(error));
		return 1;
	}
	for (item = list; item; item = item->ai_next) {
		if (!getnameinfo(item->ai_addr, item->ai_addrlen, text, sizeof(text), NULL, 0,
				 NI_NUMERICHOST))
			puts(text);
	}
	freeaddrinfo(list);
	return 0;
}
