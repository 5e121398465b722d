/* SPDX-License-Identifier: MIT */
/*
 * constant BODY -- what get-user-credits is measured against: a program of
 * libfcgi alone that gives every request the same answer, with the headers of
 * the real one.
 */

#include <fcgiapp.h>

int
main(int argc, char **argv)
{
	FCGX_Request request;

	if (argc != 2 || FCGX_Init() != 0 ||
	    FCGX_InitRequest(&request, 0, 0) != 0)
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
