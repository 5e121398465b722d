/* SPDX-License-Identifier: MIT */
/*
 * constant BODY PROCESSES -- what get-user-credits is measured against: a
 * program of libfcgi alone, in as many processes, that gives every request the
 * same answer, with the headers of the real one.
 */

#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	FCGX_Request request;

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
		const int n = snprintf(head, sizeof(head),
		    "Status: 200\r\n"
		    "Cache-Control: no-store\r\n"
		    "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    strlen(argv[1]));

		(void)FCGX_PutStr(head, n, request.out);
		(void)FCGX_PutS(argv[1], request.out);
		FCGX_Finish_r(&request);
	}
	return 1;
}
