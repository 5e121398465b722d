-- compatible: 15
-- SPDX-License-Identifier: MIT
-- Errors of ours, by the minute since 1970: are there suddenly many?
CREATE TABLE error_minutes (
  minute INTEGER PRIMARY KEY,
  count INTEGER NOT NULL CHECK (count >= 1)
) STRICT;
