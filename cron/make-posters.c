/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/results.h"
#include "base/clock.h"
#include "base/lockfile.h"
#include "domain/media.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Posters: one frame of a video as its picture, taken by ffmpeg.  A video
 * comes from outside, and so does what a decoder makes of it: ffmpeg runs as a
 * child that may use a little time and memory and write one small file, and
 * what it wrote is looked at like anybody's upload.  When it fails, or is not
 * installed, or its turn does not come, there is no poster, and the video is
 * delivered.
 *
 * Turns are places, which all workers share: on a slow day many of them, each
 * with its successor, finish what they have under way at the same time.
 */

#define PLACES_COUNT 2
#define WAITING_MAX 16

#define WAIT_US (INT64_C(10) * 1000000)
#define LIFE_US (INT64_C(8) * 1000000)
#define CPU_S 6
#define MEMORY_BYTES ((rlim_t)1024 * 1024 * 1024)
#define FILE_BYTES ((rlim_t)2 * 1024 * 1024)

/* Only of what may lie behind these is anything wanted. */
static const char search_path[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static void
limit(int resource, rlim_t most)
{
	const struct rlimit limit = { most, most };

	if (setrlimit((__rlimit_resource_t)resource, &limit) != 0)
		_exit(126);
}

/*
 * In the child, where only the simplest calls are safe.  The video is its
 * standard input, and opened anew by that name so that ffmpeg can seek in it;
 * only one demuxer may look at it, and it may open nothing else.
 */
static void
run(const char *program, int video_fd, int poster_fd)
{
	static char *const environment[] = { (char *)(uintptr_t)search_path,
		NULL };
	static const char size[] = "scale=w='min(640,iw)':h='min(640,ih)':"
				   "force_original_aspect_ratio=decrease";
	const char *const arguments[] = { program, "-nostdin", "-v", "quiet",
		"-threads", "1", "-protocol_whitelist", "file", "-f", "mov",
		"-i", "/proc/self/fd/0", "-map", "0:v:0", "-frames:v", "1",
		"-vf", size, "-threads", "1", "-c:v", "mjpeg", "-q:v", "4",
		"-f", "image2pipe", "pipe:1", NULL };
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpgid(0, 0);
	(void)setpriority(PRIO_PROCESS, 0, 10);
	limit(RLIMIT_CPU, CPU_S);
	limit(RLIMIT_AS, MEMORY_BYTES);
	limit(RLIMIT_FSIZE, FILE_BYTES);
	limit(RLIMIT_CORE, 0);
	if (null < 0 || dup2(video_fd, STDIN_FILENO) < 0 ||
	    dup2(poster_fd, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		_exit(126);
	(void)close_range(3, ~0U, 0);
	(void)execvpe(program, (char *const *)(uintptr_t)arguments,
	    environment);
	_exit(127);
}

bool
poster_begin(struct step *step)
{
	int waiting = 0;

	for (const struct step *s = step->worker->steps; s != NULL; s = s->next)
		waiting += s->poster.state == POSTER_WANTED;
	if (!config_is_set(&step->worker->state.config, CONFIG_FFMPEG) ||
	    waiting >= WAITING_MAX)
		return false;
	step->poster.state = POSTER_WANTED;
	step->poster.until_us = clock_monotonic_us() + WAIT_US;
	return true;
}

/* There is none, and the video is delivered without. */
static void
go_without(struct step *step, const char *why)
{
	if (why != NULL)
		step_log(step, "no_poster", why);
	step->poster.state = POSTER_NONE;
	fetch_done_with_poster(step, NULL);
}

/* It ends with the step. */
static bool
take_turn(struct step *step)
{
	char path[CONFIG_VALUE_BYTES_MAX + 32];

	for (int i = 0; i < PLACES_COUNT; i++) {
		(void)snprintf(path, sizeof(path), "%s/run/poster.%d",
		    config_text(&step->worker->state.config, CONFIG_STATE_DIR),
		    i);
		if (lockfile_take(path, 0, &step->poster.place_fd))
			return true;
	}
	return false;
}

/* In the place that it has. */
static void
start(struct step *step)
{
	const struct config *config = &step->worker->state.config;
	struct poster *p = &step->poster;

	/* Its row comes before its file. */
	if (media_announce_poster(step->worker->state.db, &step->work.id,
		clock_now_ms()) != OK ||
	    results_open_poster(config, &step->work.id, &p->fd) != OK) {
		go_without(step, "no_space");
		return;
	}
	p->pid = fork();
	if (p->pid == 0)
		run(config_text(config, CONFIG_FFMPEG), step->result_fd, p->fd);
	if (p->pid < 0) {
		go_without(step, strerror(errno));
		return;
	}
	p->state = POSTER_RUNNING;
	p->until_us = clock_monotonic_us() + LIFE_US;
}

static void
finish(struct step *step, int status)
{
	struct attempt_file poster;

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		go_without(step,
		    WIFEXITED(status) && WEXITSTATUS(status) == 127 ?
			"not_installed" :
			"ffmpeg_failed");
	else if (results_publish_poster(&step->worker->state.config,
		     &step->work.id, step->poster.fd, &poster.size_bytes,
		     poster.sha256) != OK)
		go_without(step, "no_picture");
	else {
		step->poster.state = POSTER_NONE;
		fetch_done_with_poster(step, &poster);
	}
}

/* Looks after one child. */
static void
watch(struct step *step)
{
	struct poster *p = &step->poster;
	int status = 0;
	pid_t ended;

	if (clock_monotonic_us() > p->until_us)
		(void)kill(p->pid, SIGKILL);
	ended = waitpid(p->pid, &status, WNOHANG);
	if (ended == p->pid)
		finish(step, status);
	else if (ended < 0 && errno != EINTR)
		go_without(step, strerror(errno));
}

void
make_posters(struct worker *worker)
{
	struct step *next;

	for (struct step *s = worker->steps; s != NULL; s = next) {
		next = s->next;
		if (s->poster.state == POSTER_RUNNING)
			watch(s);
	}
	for (struct step *s = worker->steps; s != NULL; s = next) {
		next = s->next;
		if (s->poster.state != POSTER_WANTED)
			continue;
		if (take_turn(s))
			start(s);
		else if (clock_monotonic_us() > s->poster.until_us)
			go_without(s, "busy");
	}
}
