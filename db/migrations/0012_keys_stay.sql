-- SPDX-License-Identifier: MIT
-- An Idempotency-Key is remembered as long as its job: none is purged by age.
DROP INDEX idempotency_records_by_age;
