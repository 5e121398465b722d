-- Which programs may work with this schema beside those that made it.
--
-- A migration that programs of an older schema can live with says so in its
-- first line, "-- compatible: N": N is the oldest schema whose programs go on.
-- Without it they must have ended before it runs.
CREATE TABLE schema_state (
	id INTEGER PRIMARY KEY CHECK (id = 1), -- one row
	compatible_from INTEGER NOT NULL CHECK (compatible_from >= 1)
) STRICT;

INSERT INTO schema_state (id, compatible_from) VALUES (1, 15);
