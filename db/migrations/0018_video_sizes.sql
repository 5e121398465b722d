-- SPDX-License-Identifier: MIT
-- How long a video's file must be, by its provider's word; 0 = not told.
ALTER TABLE attempts ADD COLUMN video_bytes INTEGER NOT NULL DEFAULT 0
  CHECK (video_bytes >= 0);
ALTER TABLE provider_reports ADD COLUMN video_bytes INTEGER NOT NULL DEFAULT 0
  CHECK (video_bytes >= 0);
