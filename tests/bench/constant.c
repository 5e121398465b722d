/* SPDX-License-Identifier: MIT */
/*
 * constant BODY_FILE PROCESSES -- what our reads are measured against: a program
 * of libfcgi alone, in as many processes, that gives every request the same
 * answer, the one in the file, with the headers of the real one.
 */

#include <fcgiapp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BODY_BYTES_MAX 65536

/* The file is there when the first request is. */
static size_t
read_body(const char *path, char *body)
{
	FILE *file = fopen(path, "r");
	size_t n;

	if (file == NULL)
		exit(1);
	n = fread(body, 1, BODY_BYTES_MAX, file);
	(void)fclose(file);
	return n;
}

int
main(int argc, char **argv)
{
	static char body[BODY_BYTES_MAX];
	FCGX_Request request;
	size_t n = 0;

	if (argc != 3)
		return 1;
	for (long i = strtol(argv[2], NULL, 10); i > 1; i--)
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
			break;
		}
	if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0)
		return 1;
	while (FCGX_Accept_r(&request) == 0) {
		char head[128];
		int head_bytes;

		if (n == 0)
			n = read_body(argv[1], body);
		head_bytes = snprintf(head, sizeof(head),
		    "Status: 200\r\n"
		    "Cache-Control: no-store\r\n"
		    "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    n);
		(void)FCGX_PutStr(head, head_bytes, request.out);
		(void)FCGX_PutStr(body, (int)n, request.out);
		FCGX_Finish_r(&request);
	}
	return 1;
}
