#include "server/journal/journal.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/journal/schema.h"
#include "server/journal/sqlite.h"
#include "worker/platform/mutex.h"

namespace puma::server {
namespace {

constexpr uint64_t kUidBlock = 1024;
constexpr size_t kGroupLimit = 512;  // changes in one transaction

int64_t UnixNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

absl::Status Errno(const std::string& what, const std::string& path) {
  const int error = errno;
  const std::string text = absl::StrCat("journal: ", what, " ", path, ": ", std::strerror(error));
  return error == EACCES || error == EPERM ? absl::PermissionDeniedError(text) : absl::UnavailableError(text);
}

// SQLite gives its side files the mode of the main file.
absl::Status MakePrivateFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Errno("open", path);
  const bool ok = fchmod(fd, 0600) == 0;
  absl::Status status = ok ? absl::OkStatus() : Errno("chmod 600", path);
  close(fd);
  return status;
}

absl::StatusOr<std::unique_ptr<Sqlite>> OpenChecked(const std::string& path) {
  if (absl::Status status = MakePrivateFile(path); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Sqlite>> db = Sqlite::Open(path);
  if (!db.ok()) return db;
  // Exclusive: a second host on this file gets SQLITE_BUSY, and no shared-memory file is needed.
  absl::Status status =
      (*db)->Script("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;");
  if (absl::IsFailedPrecondition(status))
    return absl::FailedPreconditionError(absl::StrCat(status.message(), "; another host uses this journal"));
  if (!status.ok()) return status;
  bool sound = false;
  status = (*db)->Query("PRAGMA quick_check(1)", [&](const Row& row) { sound = row.Bytes(0) == "ok"; });
  if (!status.ok()) return status;
  if (!sound) return absl::DataLossError(absl::StrCat("journal ", path, ": its pages contradict each other"));
  if (status = Migrate(**db); !status.ok()) return status;
  return db;
}

absl::StatusOr<std::string> MoveAside(const std::string& path) {
  const std::string aside = absl::StrCat(path, ".damaged-", UnixNanos());
  if (rename(path.c_str(), aside.c_str()) != 0) return Errno("rename", path);
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    const std::string side = path + suffix;
    if (rename(side.c_str(), (aside + suffix).c_str()) != 0 && errno != ENOENT) return Errno("rename", side);
  }
  return aside;
}

class SqliteJournal final : public Journal {
 public:
  SqliteJournal(std::string path, std::unique_ptr<Sqlite> db, std::string store_id, int64_t commits)
      : path_(std::move(path)), store_id_(std::move(store_id)), db_(std::move(db)), commits_(commits), writer_([this] { Write(); }) {}

  ~SqliteJournal() override {
    {
      MutexLock lock(queue_mutex_);
      closing_ = true;
    }
    wake_.NotifyAll();
    writer_.join();
  }

  absl::StatusOr<int64_t> NextIncarnation() override {
    MutexLock lock(db_mutex_);
    if (absl::Status status = Usable(); !status.ok()) return status;
    // One statement is one durable transaction.
    absl::Status status = db_->Run("UPDATE meta SET value = value + 1 WHERE key = 'incarnation'");
    if (!status.ok()) return status;
    return db_->Number("SELECT value FROM meta WHERE key = 'incarnation'", 0);
  }

  std::string store_id() const override { return store_id_; }

  absl::StatusOr<JournalSnapshot> Load() override {
    MutexLock lock(db_mutex_);
    if (absl::Status status = Usable(); !status.ok()) return status;
    return LoadSnapshot(*db_, UnixNanos());
  }

  void Commit(JournalChange change, std::function<void(absl::Status)> done) override {
    {
      MutexLock lock(queue_mutex_);
      queue_.push_back({std::move(change), std::move(done), {}});
    }
    wake_.NotifyOne();
  }

  absl::StatusOr<uint64_t> NewUid() override {
    MutexLock lock(db_mutex_);
    if (next_uid_ == uid_limit_) {
      if (absl::Status status = Usable(); !status.ok()) return status;
      absl::StatusOr<int64_t> first = db_->Number("SELECT value FROM meta WHERE key = 'next_uid'", 0);
      if (!first.ok()) return first.status();
      absl::Status status = db_->Run("UPDATE meta SET value = value + ? WHERE key = 'next_uid'", kUidBlock);
      if (!status.ok()) return status;
      next_uid_ = static_cast<uint64_t>(*first);
      uid_limit_ = next_uid_ + kUidBlock;
    }
    return next_uid_++;
  }

 private:
  struct Entry {
    JournalChange change;
    std::function<void(absl::Status)> done;
    absl::Status result;
  };

  void Write() {
    pthread_setname_np(pthread_self(), "journal");
    std::deque<Entry> group;
    while (NextGroup(group)) {
      CommitGroup(group);
      for (Entry& entry : group) {
        if (entry.done) entry.done(entry.result);
      }
    }
  }

  // Waits for work. False: closing, and all is written.
  bool NextGroup(std::deque<Entry>& group) {
    group.clear();
    MutexLock lock(queue_mutex_);
    while (queue_.empty() && !closing_) wake_.WaitFor(queue_mutex_, absl::Seconds(1));
    while (!queue_.empty() && group.size() < kGroupLimit) {
      group.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    return !group.empty();
  }

  void CommitGroup(std::deque<Entry>& group) PUMA_EXCLUDES(db_mutex_) {
    MutexLock lock(db_mutex_);
    absl::Status status = Usable();
    if (status.ok()) status = db_->Run("BEGIN IMMEDIATE");
    if (status.ok()) {
      for (Entry& entry : group) entry.result = ApplyOne(entry.change);
      status = Seal();
      if (!status.ok()) status = Recover(std::move(status));
    }
    if (status.ok()) return;
    for (Entry& entry : group) entry.result = status;
  }

  // A change that can't be applied takes nothing of the group with it.
  absl::Status ApplyOne(const JournalChange& change) PUMA_REQUIRES(db_mutex_) {
    absl::Status status = db_->Run("SAVEPOINT one");
    if (!status.ok()) return status;
    status = ApplyChange(*db_, change);
    if (!status.ok()) status.Update(db_->Run("ROLLBACK TO one"));
    status.Update(db_->Run("RELEASE one"));
    return status;
  }

  absl::Status Seal() PUMA_REQUIRES(db_mutex_) {
    absl::Status status = db_->Run("DELETE FROM request WHERE expires_unix_ns <= ?", UnixNanos());
    status.Update(db_->Run("UPDATE meta SET value = ? WHERE key = 'commits'", commits_ + 1));
    if (status.ok()) status = db_->Run("COMMIT");
    if (status.ok()) ++commits_;
    return status;
  }

  // A failed COMMIT (an fsync error, a full disk) may or may not have left its pages in the write-ahead log. Opens the file anew and
  // looks: the answer is then what the next host would find too.
  absl::Status Recover(absl::Status failure) PUMA_REQUIRES(db_mutex_) {
    db_.reset();
    absl::StatusOr<std::unique_ptr<Sqlite>> db = OpenChecked(path_);
    if (!db.ok()) return failure;  // the next commit tries again to open it
    absl::StatusOr<int64_t> commits = (*db)->Number("SELECT value FROM meta WHERE key = 'commits'", -1);
    if (!commits.ok()) return failure;
    db_ = std::move(*db);
    if (*commits != commits_ + 1) {
      commits_ = *commits;
      return failure;
    }
    commits_ = *commits;
    return db_->Run("PRAGMA wal_checkpoint(TRUNCATE)");  // into the main file, and synced there
  }

  absl::Status Usable() PUMA_REQUIRES(db_mutex_) {
    if (db_ != nullptr) return absl::OkStatus();
    absl::StatusOr<std::unique_ptr<Sqlite>> db = OpenChecked(path_);
    if (!db.ok()) return db.status();
    absl::StatusOr<int64_t> commits = (*db)->Number("SELECT value FROM meta WHERE key = 'commits'", 0);
    if (!commits.ok()) return commits.status();
    commits_ = *commits;
    db_ = std::move(*db);
    return absl::OkStatus();
  }

  const std::string path_;
  const std::string store_id_;
  Mutex db_mutex_;                                         // never taken together with queue_mutex_
  std::unique_ptr<Sqlite> db_ PUMA_GUARDED_BY(db_mutex_);  // null after an error that reopening did not cure
  int64_t commits_ PUMA_GUARDED_BY(db_mutex_);             // groups ever committed to this file
  uint64_t next_uid_ PUMA_GUARDED_BY(db_mutex_) = 0, uid_limit_ PUMA_GUARDED_BY(db_mutex_) = 0;
  Mutex queue_mutex_;
  CondVar wake_;
  std::deque<Entry> queue_ PUMA_GUARDED_BY(queue_mutex_);
  bool closing_ PUMA_GUARDED_BY(queue_mutex_) = false;
  std::thread writer_;  // last: it uses all of the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& path, std::function<void(const std::string&)> warn) {
  absl::StatusOr<std::unique_ptr<Sqlite>> db = OpenChecked(path);
  if (absl::IsDataLoss(db.status())) {
    absl::StatusOr<std::string> aside = MoveAside(path);
    if (!aside.ok()) return aside.status();
    if (warn) warn(absl::StrCat(db.status().message(), "; moved aside to ", *aside, ", a new journal was made"));
    db = OpenChecked(path);
  }
  if (!db.ok()) return db.status();
  std::string store_id;
  absl::Status status = (*db)->Query("SELECT value FROM meta WHERE key = 'store_id'", [&](const Row& row) { store_id = row.Bytes(0); });
  if (!status.ok()) return status;
  if (store_id.size() != 16) return absl::DataLossError(absl::StrCat("journal ", path, ": has no store id"));
  absl::StatusOr<int64_t> commits = (*db)->Number("SELECT value FROM meta WHERE key = 'commits'", 0);
  if (!commits.ok()) return commits.status();
  return std::make_unique<SqliteJournal>(path, *std::move(db), std::move(store_id), *commits);
}

}  // namespace puma::server
