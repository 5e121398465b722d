/* SPDX-License-Identifier: MIT */
#ifndef FAULTS_CALLS_H
#define FAULTS_CALLS_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * System calls that go wrong on demand; for tests only, never shipped.
 *
 * calls.c takes the place of the C library's functions that change what is on
 * the disk or leave the process, for our code and SQLite alike: linked into a
 * test program, or preloaded into the real ones.  The calls that a fault can
 * hit are numbered from 1 while a plan is armed, over all processes that share
 * it, so that n = 1, 2, 3 ... reaches each of them and a run without a hit is
 * the end.
 */

enum fault {
	FAULT_NONE,
	FAULT_IO, /* the n-th call on a file fails: EIO */
	FAULT_FULL, /* the n-th that wants space finds none: ENOSPC */
	FAULT_SHORT, /* the n-th write leaves a half, and finds no space */
	FAULT_DEAD, /* the n-th call on a file and all after it fail: EIO */
	FAULT_KILL, /* the process is killed before the n-th call */
	FAULT_TORN, /* killed when half of the n-th write is done */
	/*
	 * The power fails before the n-th call: of what was written and not
	 * forced to the disk, by chance, some is there, some torn, some not.
	 */
	FAULT_POWER,
	/* From the n-th call on nothing can be changed on the disk: EROFS. */
	FAULT_READONLY,
	/*
	 * There is no memory for the n-th piece that is asked for.  Only
	 * preloaded: a program that calls.c is linked into has its own malloc.
	 */
	FAULT_MEMORY,
	FAULT_MAX,
};

/* In shared memory; tests in JavaScript write the same bytes. */
struct fault_plan {
	char program[32]; /* the name of the programs it is for; "" = all */
	int64_t fault;
	int64_t at;
	_Atomic int64_t calls;
	_Atomic int64_t hits;
	int64_t seed;
	int64_t clock_ms; /* what the clock of all programs is ahead */
	/* 1: only calls that a checkpoint makes and no commit, and the next */
	int64_t of_checkpoints;
};

/*
 * The plan in force; NULL = none.  A preloaded copy takes the file that
 * FAULT_PLAN names.
 */
extern struct fault_plan *fault_plan;

#endif
