-- What can be generated and what it costs. All of it is data: a new model or
-- price is a row.

CREATE TABLE models (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  company TEXT NOT NULL,
  endpoint TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  description TEXT,
  thumbnail_url TEXT CHECK (thumbnail_url <> ''),
  state TEXT NOT NULL CHECK (state IN ('available', 'disabled', 'retired')),
  is_active INTEGER NOT NULL DEFAULT 0 CHECK (is_active IN (0, 1)),
  is_featured INTEGER NOT NULL DEFAULT 0 CHECK (is_featured IN (0, 1)),
  requires_image INTEGER NOT NULL DEFAULT 0 CHECK (requires_image IN (0, 1)),
  -- The model to use instead when no picture was given.
  text_sibling_id BLOB REFERENCES models (id) DEFERRABLE INITIALLY DEFERRED,
  -- What the app shows, and the price where model_prices has no row.
  cost_per_generation INTEGER NOT NULL
    CHECK (cost_per_generation BETWEEN 1 AND 10000),
  has_audio INTEGER NOT NULL DEFAULT 0 CHECK (has_audio IN (0, 1)),
  -- How the provider spells things: "%ds", "%d" or "" for a plain number.
  duration_format TEXT NOT NULL DEFAULT '%d'
    CHECK (duration_format IN ('%ds', '%d', '')),
  image_field TEXT NOT NULL DEFAULT 'image_url',
  position INTEGER NOT NULL DEFAULT 0,
  CHECK (is_active = 0 OR state = 'available')
) STRICT;
CREATE UNIQUE INDEX models_one_active ON models (is_active) WHERE is_active = 1;

-- The values a model takes for a setting, in the order they are shown.
CREATE TABLE model_options (
  model_id BLOB NOT NULL REFERENCES models (id),
  setting TEXT NOT NULL
    CHECK (setting IN ('duration', 'resolution', 'aspect_ratio')),
  position INTEGER NOT NULL,
  value TEXT NOT NULL CHECK (value <> ''),
  is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
  PRIMARY KEY (model_id, setting, position),
  UNIQUE (model_id, setting, value)
) STRICT;
CREATE UNIQUE INDEX model_options_one_default ON model_options (model_id, setting)
  WHERE is_default = 1;

-- Thousandths of a credit for one second of video.
CREATE TABLE model_prices (
  model_id BLOB NOT NULL REFERENCES models (id),
  resolution TEXT NOT NULL,
  has_audio INTEGER NOT NULL CHECK (has_audio IN (0, 1)),
  millicredits_per_second INTEGER NOT NULL
    CHECK (millicredits_per_second BETWEEN 1 AND 1000000),
  provider_micro_usd_per_second INTEGER
    CHECK (provider_micro_usd_per_second >= 0),
  PRIMARY KEY (model_id, resolution, has_audio)
) STRICT;

CREATE TABLE themes (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  name TEXT NOT NULL,
  description TEXT,
  thumbnail_url TEXT CHECK (thumbnail_url <> ''),
  prompt TEXT NOT NULL CHECK (prompt <> ''),
  is_featured INTEGER NOT NULL DEFAULT 0 CHECK (is_featured IN (0, 1)),
  is_available INTEGER NOT NULL DEFAULT 1 CHECK (is_available IN (0, 1)),
  default_duration_s INTEGER CHECK (default_duration_s BETWEEN 1 AND 60),
  default_resolution TEXT,
  default_aspect_ratio TEXT,
  created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE products (
  id TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
  credits INTEGER NOT NULL CHECK (credits BETWEEN 1 AND 10000),
  is_available INTEGER NOT NULL DEFAULT 1 CHECK (is_available IN (0, 1))
) STRICT;

CREATE INDEX models_in_order ON models (position);
CREATE INDEX themes_in_order ON themes (is_featured DESC, name);
