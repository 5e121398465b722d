/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_SANDBOX_VIDEO_H
#define PROVIDER_SANDBOX_VIDEO_H

#include "base/config.h"

/*
 * The videos of the sandbox: two colours that flow into each other, H.264 in
 * MP4.  They are made by ffmpeg at the first demand and kept; without ffmpeg
 * a bundled clip stands in.
 */

/* All that tells one video from another, so that there are few of them. */
struct sandbox_video {
	int64_t hue;
	int64_t seconds;
	int64_t width;
	int64_t height;
};

/* The folder below STATE_DIR/sandbox. */
#define SANDBOX_VIDEO_FOLDER "files"

#define SANDBOX_VIDEO_SECONDS_MAX 20

/* The video for a job.  Empty or unknown words and lengths have a default. */
struct sandbox_video sandbox_video_choose(struct str prompt,
    struct str aspect_ratio, struct str resolution, int64_t duration_s);

/* The file's name, for example "7-8s-480x270.mp4". */
#define SANDBOX_VIDEO_NAME_BYTES 96
void sandbox_video_name(const struct sandbox_video *video,
    char name[SANDBOX_VIDEO_NAME_BYTES]);

/*
 * Sees to it that the file is there, and waits for it.  However many ask at
 * once, it is made once.  False when it cannot be written.
 */
bool sandbox_video_make(const struct config *config,
    const struct sandbox_video *video);

/* The bundled clip: two seconds, a valid MP4. */
extern const unsigned char sandbox_clip[];
extern const size_t sandbox_clip_bytes;

#endif
