#include "server/journal/schema.h"

#include "absl/strings/str_cat.h"

namespace puma::server {
namespace {

constexpr char kTables[] = R"sql(
  CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE pipeline (name TEXT PRIMARY KEY, uid TEXT NOT NULL, generation INTEGER NOT NULL, spec BLOB NOT NULL,
                         create_unix_ns INTEGER NOT NULL, update_unix_ns INTEGER NOT NULL, deleting INTEGER NOT NULL);
  CREATE TABLE task (uid INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, name TEXT NOT NULL, base TEXT NOT NULL, replica INTEGER NOT NULL,
                     generation INTEGER NOT NULL, desired INTEGER NOT NULL, deleting INTEGER NOT NULL, run INTEGER NOT NULL,
                     life BLOB NOT NULL, last_exit BLOB NOT NULL);
  CREATE TABLE task_group (uid INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, run INTEGER NOT NULL);
  CREATE TABLE publisher (task INTEGER NOT NULL, port TEXT NOT NULL, next_epoch INTEGER NOT NULL, ended INTEGER NOT NULL, error TEXT NOT NULL,
                          PRIMARY KEY (task, port)) WITHOUT ROWID;
  CREATE TABLE request (id TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, response BLOB NOT NULL, expires_unix_ns INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX request_expires ON request (expires_unix_ns);
)sql";
constexpr char kDeadLetterTable[] = R"sql(
  CREATE TABLE dead_letter (id INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, task INTEGER NOT NULL, lane INTEGER NOT NULL,
                            number INTEGER NOT NULL, letter BLOB NOT NULL, UNIQUE (task, lane, number));
)sql";

absl::Status Put(Sqlite& db, const PipelineRow& r) {
  return db.Run("INSERT OR REPLACE INTO pipeline VALUES (?,?,?,?,?,?,?)", r.name, r.uid, r.generation, Blob{r.spec}, r.create_unix_ns,
                r.update_unix_ns, r.deleting);
}

absl::Status Put(Sqlite& db, const TaskRow& r) {
  return db.Run("INSERT OR REPLACE INTO task VALUES (?,?,?,?,?,?,?,?,?,?,?)", r.uid, r.pipeline, r.name, r.base, r.replica, r.generation,
                r.desired, r.deleting, r.run, Blob{r.life}, Blob{r.last_exit});
}

absl::Status Put(Sqlite& db, const GroupRow& r) {
  return db.Run("INSERT OR REPLACE INTO task_group VALUES (?,?,?)", r.uid, r.pipeline, r.run);
}

absl::Status Put(Sqlite& db, const PublisherRow& r) {
  return db.Run("INSERT OR REPLACE INTO publisher VALUES (?,?,?,?,?)", r.task, r.port, r.next_epoch, r.ended, r.error);
}

absl::Status Put(Sqlite& db, const RequestRow& r) {
  return db.Run("INSERT OR REPLACE INTO request VALUES (?,?,?,?)", r.id, Blob{r.fingerprint}, Blob{r.response}, r.expires_unix_ns);
}

absl::Status Put(Sqlite& db, const DeadLetterRow& r) {
  absl::Status status =
      db.Run("INSERT OR IGNORE INTO dead_letter VALUES (?,?,?,?,?,?)", r.id, r.pipeline, r.task, r.lane, r.number, Blob{r.letter});
  status.Update(db.Run("DELETE FROM dead_letter WHERE id <= ?", static_cast<int64_t>(r.id) - static_cast<int64_t>(kDeadLetters)));
  return status;
}

template <class Rows>
absl::Status PutAll(Sqlite& db, const Rows& rows) {
  for (const auto& row : rows) {
    absl::Status status = Put(db, row);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status DeletePipeline(Sqlite& db, const std::string& name) {
  absl::Status status = db.Run("DELETE FROM pipeline WHERE name = ?", name);
  status.Update(db.Run("DELETE FROM dead_letter WHERE pipeline = ?", name));
  return status;
}

absl::Status DeleteTask(Sqlite& db, uint64_t uid) {
  absl::Status status = db.Run("DELETE FROM task WHERE uid = ?", uid);
  status.Update(db.Run("DELETE FROM publisher WHERE task = ?", uid));
  return status;
}

}  // namespace

absl::Status Migrate(Sqlite& db) {
  absl::StatusOr<int64_t> version = db.Number("PRAGMA user_version", 0);
  absl::StatusOr<int64_t> application = db.Number("PRAGMA application_id", 0);
  absl::StatusOr<int64_t> tables = db.Number("SELECT count(*) FROM sqlite_master", 0);
  if (!version.ok()) return version.status();
  if (!application.ok()) return application.status();
  if (!tables.ok()) return tables.status();
  const bool empty = *tables == 0 && *version == 0;
  if (!empty && *application != kApplicationId)
    return absl::FailedPreconditionError("journal: the file belongs to another program; give the host another state directory");
  if (*version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat("journal: made by a newer version of PUMA (schema ", *version,
                                                      ", this version knows ", kSchemaVersion,
                                                      "); start that version, or give this one another state directory"));
  }
  if (!empty && *version == 1) {
    return db.Script(absl::StrCat("BEGIN IMMEDIATE; PRAGMA user_version = ", kSchemaVersion, ";", kDeadLetterTable, "COMMIT;"));
  }
  if (!empty) return absl::OkStatus();
  return db.Script(absl::StrCat("BEGIN IMMEDIATE; PRAGMA application_id = ", kApplicationId, "; PRAGMA user_version = ", kSchemaVersion,
                                ";", kTables, kDeadLetterTable,
                                // Uids begin at random: runs that another journal's host left behind must not be taken for ours.
                                "INSERT INTO meta VALUES ('store_id', randomblob(16)), ('incarnation', 0), ('next_uid', (abs(random()) % "
                                "1000000000) * 1048576 + 1), ('commits', 0); COMMIT;"));
}

absl::Status ApplyChange(Sqlite& db, const JournalChange& change) {
  absl::Status status;
  for (const std::string& name : change.delete_pipelines) status.Update(DeletePipeline(db, name));
  for (uint64_t uid : change.delete_tasks) status.Update(DeleteTask(db, uid));
  for (uint64_t uid : change.delete_groups) status.Update(db.Run("DELETE FROM task_group WHERE uid = ?", uid));
  status.Update(PutAll(db, change.put_pipelines));
  status.Update(PutAll(db, change.put_tasks));
  status.Update(PutAll(db, change.put_groups));
  status.Update(PutAll(db, change.put_publishers));
  status.Update(PutAll(db, change.put_requests));
  status.Update(PutAll(db, change.put_dead_letters));
  if (change.drained) status.Update(db.Run("INSERT OR REPLACE INTO meta VALUES ('drained', ?)", *change.drained));
  return status;
}

absl::StatusOr<JournalSnapshot> LoadSnapshot(Sqlite& db, int64_t now_unix_ns) {
  JournalSnapshot all;
  absl::Status status = db.Query("SELECT * FROM pipeline ORDER BY name", [&](const Row& r) {
    all.pipelines.push_back({r.Bytes(0), r.Bytes(1), r.Int(2), r.Bytes(3), r.Int(4), r.Int(5), r.Int(6) != 0});
  });
  status.Update(db.Query("SELECT * FROM task ORDER BY uid", [&](const Row& r) {
    all.tasks.push_back({r.Unsigned(0), r.Bytes(1), r.Bytes(2), r.Bytes(3), static_cast<int32_t>(r.Int(4)), r.Int(5), r.Int(6) != 0,
                         r.Int(7) != 0, r.Int(8), r.Bytes(9), r.Bytes(10)});
  }));
  status.Update(db.Query("SELECT * FROM task_group ORDER BY uid", [&](const Row& r) {
    all.groups.push_back({r.Unsigned(0), r.Bytes(1), r.Int(2)});
  }));
  status.Update(db.Query("SELECT * FROM publisher ORDER BY task, port", [&](const Row& r) {
    all.publishers.push_back({r.Unsigned(0), r.Bytes(1), static_cast<uint32_t>(r.Int(2)), r.Int(3) != 0, r.Bytes(4)});
  }));
  status.Update(db.Query(
      "SELECT * FROM request WHERE expires_unix_ns > ? ORDER BY id",
      [&](const Row& r) {
        all.requests.push_back({r.Bytes(0), r.Bytes(1), r.Bytes(2), r.Int(3)});
      },
      now_unix_ns));
  status.Update(db.Query("SELECT * FROM dead_letter ORDER BY id", [&](const Row& r) {
    all.dead_letters.push_back({r.Unsigned(0), r.Bytes(1), r.Unsigned(2), r.Unsigned(3), r.Unsigned(4), r.Bytes(5)});
  }));
  status.Update(db.Query("SELECT value FROM meta WHERE key = 'drained'", [&](const Row& r) { all.drained = r.Int(0) != 0; }));
  if (!status.ok()) return status;
  return all;
}

}  // namespace puma::server
