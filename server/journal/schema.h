#ifndef PUMA_SERVER_JOURNAL_SCHEMA_H_
#define PUMA_SERVER_JOURNAL_SCHEMA_H_
// The tables, and how rows go in and out of them. A change of the tables counts kSchemaVersion up and brings older files along in Migrate.
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/journal/journal.h"
#include "server/journal/sqlite.h"

namespace puma::server {

inline constexpr int64_t kSchemaVersion = 2;
inline constexpr int64_t kApplicationId = 0x50754d41;  // "PuMA": what file(1) and we know it by

// Makes the tables in an empty file. FAILED_PRECONDITION: a newer version, or another program's file.
absl::Status Migrate(Sqlite& db);

absl::Status ApplyChange(Sqlite& db, const JournalChange& change);
absl::StatusOr<JournalSnapshot> LoadSnapshot(Sqlite& db, int64_t now_unix_ns);

}  // namespace puma::server
#endif  // PUMA_SERVER_JOURNAL_SCHEMA_H_
