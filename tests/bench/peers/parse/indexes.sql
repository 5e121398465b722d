-- SPDX-License-Identifier: MIT
--
-- What Parse Server cannot say itself: the indexes of its reads, and what may
-- be there only once.

CREATE UNIQUE INDEX ON "_Session" ("sessionToken");
CREATE UNIQUE INDEX ON "Job" ("jobId");
CREATE INDEX ON "Job" ("user", "createdAt");
CREATE INDEX ON "Job" ("dueAt") WHERE "dueAt" IS NOT NULL;
CREATE INDEX ON "CreditLot" ("user") WHERE "remaining" > 0;
CREATE UNIQUE INDEX ON "HoldLot" ("jobId", "lot");
CREATE UNIQUE INDEX ON "LedgerEntry" ("user", "number");
CREATE UNIQUE INDEX ON "LedgerEntry" ("jobId", "kind");
CREATE UNIQUE INDEX ON "Attempt" ("jobId", "number");
CREATE UNIQUE INDEX ON "IdempotencyRecord" ("user", "key");
ALTER TABLE "_User" ADD CHECK ("credits" >= 0);
ALTER TABLE "CreditLot" ADD CHECK ("remaining" >= 0);
ANALYZE;
