/* SPDX-License-Identifier: MIT */
#include "provider/sandbox_video.h"

#include "base/cleanup.h"
#include "provider/sandbox_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* It needs a tenth of a second; a machine on its knees a few. */
#define FFMPEG_SECONDS_MAX 20

/* Around the colour wheel; each goes with the one four steps on. */
static const char *const hues[] = { "0xe5484d", "0xf76808", "0xffb224",
	"0xf5d90a", "0x99d52a", "0x46a758", "0x12a594", "0x05a2c2", "0x0091ff",
	"0x3e63dd", "0x8e4ec6", "0xe93d82" };

#define HUES ((int64_t)(sizeof(hues) / sizeof(hues[0])))

struct sandbox_video
sandbox_video_choose(struct str prompt, struct str aspect_ratio,
    struct str resolution, int64_t duration_s)
{
	/* The first of each is the default. */
	static const struct {
		const char *aspect_ratio;
		int64_t small[2], large[2];
	} shapes[] = {
		{ "16:9", { 480, 270 }, { 640, 360 } },
		{ "9:16", { 270, 480 }, { 360, 640 } },
		{ "1:1", { 270, 270 }, { 360, 360 } },
	};
	const bool is_large = str_equal(resolution, STR("1080p")) ||
	    str_equal(resolution, STR("4k"));
	unsigned char hash[crypto_hash_sha256_BYTES];
	const int64_t *size;
	size_t shape = 0;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (str_equal(aspect_ratio, str_from(shapes[i].aspect_ratio)))
			shape = i;
	size = is_large ? shapes[shape].large : shapes[shape].small;
	if (duration_s < 1)
		duration_s = 1;
	if (duration_s > SANDBOX_VIDEO_SECONDS_MAX)
		duration_s = SANDBOX_VIDEO_SECONDS_MAX;
	(void)crypto_hash_sha256(hash, (const unsigned char *)prompt.ptr,
	    prompt.len);
	return (struct sandbox_video){
		.hue = hash[0] % HUES,
		.seconds = duration_s,
		.width = size[0],
		.height = size[1],
	};
}

void
sandbox_video_name(const struct sandbox_video *video,
    char name[SANDBOX_VIDEO_NAME_BYTES])
{
	(void)snprintf(name, SANDBOX_VIDEO_NAME_BYTES,
	    "%lld-%llds-%lldx%lld.mp4", (long long)video->hue,
	    (long long)video->seconds, (long long)video->width,
	    (long long)video->height);
}

/* In the child: nothing of ours is left open, and it cannot run for ever. */
static _Noreturn void
exec_ffmpeg(const char *source, const char *path)
{
	const char *const argv[] = { "ffmpeg", "-nostdin", "-loglevel", "error",
		"-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset",
		"ultrafast", "-pix_fmt", "yuv420p", "-movflags", "+faststart",
		"-f", "mp4", "-y", path, NULL };
	const struct rlimit cpu = { FFMPEG_SECONDS_MAX, FFMPEG_SECONDS_MAX };
	const int null = open("/dev/null", O_RDWR);
	sigset_t none;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
	    close_range(STDERR_FILENO + 1, ~0U, 0) != 0 ||
	    setrlimit(RLIMIT_CPU, &cpu) != 0)
		_exit(127);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(FFMPEG_SECONDS_MAX);
	/* execvp() promises to change neither the pointers nor the bytes. */
	(void)execvp(argv[0], (char *const *)(const void *)argv);
	_exit(127);
}

static bool
run_ffmpeg(const struct sandbox_video *video, const char *path)
{
	char source[256];
	pid_t child;
	int status;

	assert(video->hue >= 0);
	assert(video->hue < HUES);
	/* A small picture made large costs a tenth of a large one. */
	(void)snprintf(source, sizeof(source),
	    "gradients=size=64x64:rate=12:duration=%lld:nb_colors=2:"
	    "c0=%s:c1=%s:seed=%lld:speed=0.02,scale=%lld:%lld,setsar=1",
	    (long long)video->seconds, hues[video->hue],
	    hues[(video->hue + 4) % HUES], (long long)video->hue + 1,
	    (long long)video->width, (long long)video->height);
	child = fork();
	if (child == 0)
		exec_ffmpeg(source, path);
	if (child < 0)
		return false;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool
sandbox_video_make(const struct config *config,
    const struct sandbox_video *video)
{
	CLEANUP(cleanup_fd) int lock = -1;
	char name[SANDBOX_VIDEO_NAME_BYTES];
	char path[SANDBOX_PATH_BYTES];
	char part[SANDBOX_PATH_BYTES];

	sandbox_video_name(video, name);
	sandbox_path(config, SANDBOX_VIDEO_FOLDER, name, path);
	if (access(path, F_OK) == 0)
		return true;
	if (!sandbox_make_folder(config, SANDBOX_VIDEO_FOLDER))
		return false;
	/* The lock also makes the unfinished file's name ours alone. */
	sandbox_path(config, "", "videos.lock", part);
	lock = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (lock < 0)
		return false;
	while (flock(lock, LOCK_EX) != 0)
		if (errno != EINTR)
			return false;
	if (access(path, F_OK) == 0)
		return true;
	sandbox_path(config, SANDBOX_VIDEO_FOLDER, "unfinished", part);
	if (run_ffmpeg(video, part) && rename(part, path) == 0)
		return true;
	(void)unlink(part);
	return sandbox_file_replace(config, SANDBOX_VIDEO_FOLDER, name,
	    (struct str){ (const char *)sandbox_clip, sandbox_clip_bytes });
}
