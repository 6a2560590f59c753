#include "server/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tests/journal/temporary_directory.h"

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int64_t kFarFuture = INT64_MAX;

class JournalTest : public ::testing::Test {
 protected:
  void Open() {
    journal_.reset();
    absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(path_, [this](const std::string& text) { warnings_.push_back(text); });
    ASSERT_TRUE(journal.ok()) << journal.status();
    journal_ = *std::move(journal);
  }
  absl::Status Commit(JournalChange change) {
    std::promise<absl::Status> answer;
    journal_->Commit(std::move(change), [&](absl::Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  JournalSnapshot Load() {
    absl::StatusOr<JournalSnapshot> all = journal_->Load();
    EXPECT_TRUE(all.ok()) << all.status();
    return all.ok() ? *std::move(all) : JournalSnapshot();
  }
  void Sql(const std::string& text) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  static PipelineRow Pipeline(const std::string& name, int64_t generation = 1) {
    return {.name = name, .uid = "u-" + name, .generation = generation, .spec = "spec"};
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("journal.db");
  std::vector<std::string> warnings_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, GivesBackEveryFieldAfterReopening) {
  Open();
  const std::string binary("\0\xff'; DROP TABLE task; --", 24);
  JournalChange change;
  change.put_pipelines = {{"edges", "uid-1", 7, binary, 11, 12, true}};
  change.put_tasks = {{UINT64_MAX, "edges", "detector.1", "detector", 1, 5, false, true, 42, R"({"x":1})", binary}};
  change.put_groups = {{9, "edges", 3}};
  change.put_publishers = {{UINT64_MAX, "frames", 4, true, "no disk"}};
  change.put_requests = {{"apply/1", binary, "answer", kFarFuture}};
  change.put_dead_letters = {{3, "edges", UINT64_MAX, 7, UINT64_MAX - 1, binary}};
  change.drained = true;
  EXPECT_FALSE(Load().drained);
  ASSERT_TRUE(Commit(change).ok());
  Open();
  const JournalSnapshot all = Load();
  EXPECT_TRUE(all.drained);
  ASSERT_THAT(all.pipelines, SizeIs(1));
  EXPECT_EQ(all.pipelines[0].spec, binary);
  EXPECT_EQ(all.pipelines[0].uid, "uid-1");
  EXPECT_EQ(all.pipelines[0].generation, 7);
  EXPECT_EQ(all.pipelines[0].create_unix_ns, 11);
  EXPECT_EQ(all.pipelines[0].update_unix_ns, 12);
  EXPECT_TRUE(all.pipelines[0].deleting);
  ASSERT_THAT(all.tasks, SizeIs(1));
  const TaskRow& task = all.tasks[0];
  EXPECT_EQ(task.uid, UINT64_MAX);
  EXPECT_EQ(task.name, "detector.1");
  EXPECT_EQ(task.base, "detector");
  EXPECT_EQ(task.replica, 1);
  EXPECT_EQ(task.generation, 5);
  EXPECT_FALSE(task.desired);
  EXPECT_TRUE(task.deleting);
  EXPECT_EQ(task.run, 42);
  EXPECT_EQ(task.life, R"({"x":1})");
  EXPECT_EQ(task.last_exit, binary);
  ASSERT_THAT(all.groups, SizeIs(1));
  EXPECT_EQ(all.groups[0].run, 3);
  ASSERT_THAT(all.publishers, SizeIs(1));
  EXPECT_EQ(all.publishers[0].next_epoch, 4u);
  EXPECT_TRUE(all.publishers[0].ended);
  EXPECT_EQ(all.publishers[0].error, "no disk");
  ASSERT_THAT(all.requests, SizeIs(1));
  EXPECT_EQ(all.requests[0].fingerprint, binary);
  ASSERT_THAT(all.dead_letters, SizeIs(1));
  EXPECT_EQ(all.dead_letters[0].id, 3u);
  EXPECT_EQ(all.dead_letters[0].pipeline, "edges");
  EXPECT_EQ(all.dead_letters[0].task, UINT64_MAX);
  EXPECT_EQ(all.dead_letters[0].lane, 7u);
  EXPECT_EQ(all.dead_letters[0].number, UINT64_MAX - 1);
  EXPECT_EQ(all.dead_letters[0].letter, binary);
}

TEST_F(JournalTest, KeepsTheNewestDeadLettersEachOnceAndForgetsThemWithTheirPipeline) {
  Open();
  JournalChange change;
  for (uint64_t id = 1; id <= kDeadLetters + 10; ++id) change.put_dead_letters.push_back({id, "p", 1, 2, id, "letter"});
  change.put_dead_letters.push_back({kDeadLetters + 11, "p", 1, 2, kDeadLetters + 10, "the same message"});
  change.put_dead_letters.push_back({kDeadLetters + 12, "q", 1, 3, 0, "of another"});
  ASSERT_TRUE(Commit(change).ok());
  const std::vector<DeadLetterRow> letters = Load().dead_letters;
  ASSERT_THAT(letters, Not(IsEmpty()));
  EXPECT_LE(letters.size(), kDeadLetters);
  EXPECT_EQ(letters[letters.size() - 2].letter, "letter");
  EXPECT_EQ(letters.back().pipeline, "q");
  ASSERT_TRUE(Commit({.delete_pipelines = {"p"}}).ok());
  EXPECT_THAT(Load().dead_letters, SizeIs(1));
}

TEST_F(JournalTest, AFileOfTheFirstSchemaIsBroughtAlong) {
  Open();
  ASSERT_TRUE(Commit({.put_pipelines = {Pipeline("a")}}).ok());
  journal_.reset();
  Sql("DROP TABLE dead_letter; PRAGMA user_version = 1;");
  Open();
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_THAT(Load().pipelines, SizeIs(1));
  ASSERT_TRUE(Commit({.put_dead_letters = {{1, "a", 1, 2, 3, "letter"}}}).ok());
  EXPECT_THAT(Load().dead_letters, SizeIs(1));
}

TEST_F(JournalTest, APutReplacesAndADeleteForgets) {
  Open();
  ASSERT_TRUE(Commit({.put_pipelines = {Pipeline("a"), Pipeline("b"), Pipeline("a", 2)}}).ok());
  ASSERT_TRUE(Commit({.delete_pipelines = {"b"}}).ok());
  const JournalSnapshot all = Load();
  ASSERT_THAT(all.pipelines, SizeIs(1));
  EXPECT_EQ(all.pipelines[0].generation, 2);
}

TEST_F(JournalTest, ATaskTakesItsPublishersAlong) {
  Open();
  ASSERT_TRUE(Commit({.put_tasks = {{.uid = 1}, {.uid = 2}}, .put_publishers = {{1, "out", 2}, {2, "out", 3}}}).ok());
  ASSERT_TRUE(Commit({.delete_tasks = {1}}).ok());
  const JournalSnapshot all = Load();
  ASSERT_THAT(all.publishers, SizeIs(1));
  EXPECT_EQ(all.publishers[0].task, 2u);
}

TEST_F(JournalTest, ForgetsExpiredRequestsInTheSameTransactionAsAnEffect) {
  Open();
  ASSERT_TRUE(Commit({.put_requests = {{"old", "", "", 1}, {"new", "", "", kFarFuture}}}).ok());
  ASSERT_TRUE(Commit({}).ok());
  const JournalSnapshot all = Load();
  ASSERT_THAT(all.requests, SizeIs(1));
  EXPECT_EQ(all.requests[0].id, "new");
}

TEST_F(JournalTest, CommitsInTheOrderOfTheCalls) {
  Open();
  constexpr int kThreads = 4, kChanges = 300;
  std::mutex mutex;
  std::map<int, std::vector<int>> seen;
  std::atomic<int> answers = 0;
  std::promise<void> all;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= kChanges; ++i) {
        journal_->Commit({.put_pipelines = {Pipeline("p" + std::to_string(t), i)}}, [&, t, i](absl::Status status) {
          EXPECT_TRUE(status.ok()) << status;
          {
            std::lock_guard lock(mutex);
            seen[t].push_back(i);
          }
          if (++answers == kThreads * kChanges) all.set_value();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  all.get_future().get();
  for (auto& [t, order] : seen) {
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    EXPECT_THAT(order, SizeIs(kChanges));
  }
  for (const PipelineRow& row : Load().pipelines) EXPECT_EQ(row.generation, kChanges);
}

TEST_F(JournalTest, WritesWhatIsQueuedBeforeItCloses) {
  Open();
  for (int i = 1; i <= 1000; ++i) journal_->Commit({.put_pipelines = {Pipeline("p", i)}}, nullptr);
  Open();
  ASSERT_THAT(Load().pipelines, SizeIs(1));
  EXPECT_EQ(Load().pipelines[0].generation, 1000);
}

TEST_F(JournalTest, CountsIncarnationsAndKeepsItsStoreId) {
  Open();
  const std::string id = journal_->store_id();
  EXPECT_THAT(id, SizeIs(16));
  EXPECT_EQ(*journal_->NextIncarnation(), 1);
  EXPECT_EQ(*journal_->NextIncarnation(), 2);
  Open();
  EXPECT_EQ(*journal_->NextIncarnation(), 3);
  EXPECT_EQ(journal_->store_id(), id);
}

TEST_F(JournalTest, NeverGivesAUidTwiceAlsoNotAfterReopening) {
  std::set<uint64_t> seen;
  for (int host = 0; host < 5; ++host) {
    Open();
    for (int i = 0; i < 1500; ++i) EXPECT_TRUE(seen.insert(*journal_->NewUid()).second);
  }
  EXPECT_FALSE(seen.contains(0));
}

TEST_F(JournalTest, MovesADamagedFileAsideAndSaysWhere) {
  std::ofstream(path_) << std::string(8192, 'x');
  Open();
  ASSERT_THAT(warnings_, SizeIs(1));
  EXPECT_THAT(warnings_[0], HasSubstr(path_ + ".damaged-"));
  EXPECT_THAT(Load().pipelines, IsEmpty());
  ASSERT_TRUE(Commit({.put_pipelines = {Pipeline("a")}}).ok());
  int aside = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(path_).parent_path())) {
    aside += entry.path().string().find(".damaged-") != std::string::npos;
  }
  EXPECT_EQ(aside, 1);
}

TEST_F(JournalTest, MovesAFileWithATornPageAside) {
  Open();
  JournalChange change;
  for (int i = 0; i < 500; ++i) change.put_pipelines.push_back(Pipeline("pipeline-" + std::to_string(i)));
  ASSERT_TRUE(Commit(change).ok());
  journal_.reset();
  Sql("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;");
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    for (int page = 1; page < 8; ++page) {
      file.seekp(4096 * page);
      file << std::string(2048, '\xa5');
    }
  }
  Open();
  EXPECT_THAT(warnings_, SizeIs(1));
  EXPECT_THAT(Load().pipelines, IsEmpty());
}

TEST_F(JournalTest, SurvivesATornEndOfItsWriteAheadLog) {
  Open();
  ASSERT_TRUE(Commit({.put_pipelines = {Pipeline("a")}}).ok());
  journal_.reset();
  std::ofstream(path_ + "-wal", std::ios::app | std::ios::binary) << std::string(1000, '\x7f');
  Open();
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_THAT(Load().pipelines, SizeIs(1));
}

TEST_F(JournalTest, RefusesAFileOfANewerVersionAndLeavesItAlone) {
  Open();
  journal_.reset();
  Sql("PRAGMA user_version = 99");
  absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(path_, nullptr);
  EXPECT_TRUE(absl::IsFailedPrecondition(journal.status())) << journal.status();
  EXPECT_THAT(std::string(journal.status().message()), HasSubstr("newer version"));
  Sql("PRAGMA user_version = 2");
  Open();
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(JournalTest, RefusesAnotherProgramsFile) {
  Sql("CREATE TABLE theirs (x)");
  EXPECT_TRUE(absl::IsFailedPrecondition(Journal::Open(path_, nullptr).status()));
}

TEST_F(JournalTest, RefusesASecondHost) {
  Open();
  absl::StatusOr<std::unique_ptr<Journal>> second = Journal::Open(path_, nullptr);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_TRUE(Commit({.put_pipelines = {Pipeline("a")}}).ok()) << "the first one goes on";
}

TEST_F(JournalTest, IsReadableByItsOwnerOnly) {
  std::ofstream(path_).close();
  std::filesystem::permissions(path_, std::filesystem::perms(0666));
  Open();
  ASSERT_TRUE(Commit({.put_pipelines = {Pipeline("a")}}).ok());
  for (const std::string& file : {path_, path_ + "-wal"}) {
    struct stat info;
    ASSERT_EQ(stat(file.c_str(), &info), 0) << file;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << file;
  }
}

TEST_F(JournalTest, AFullDiskIsSaidAndLeavesNothingBehindAndPassesAway) {
  Open();
  ASSERT_TRUE(Commit({.put_pipelines = {Pipeline("before")}}).ok());
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = std::filesystem::file_size(path_ + "-wal") + 100;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  PipelineRow big = Pipeline("during");
  big.spec = std::string(100'000, 's');
  const absl::Status during = Commit({.put_pipelines = {big}});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(during.ok());
  EXPECT_TRUE(Commit({.put_pipelines = {Pipeline("later")}}).ok());
  Open();
  std::vector<std::string> names;
  for (const PipelineRow& row : Load().pipelines) names.push_back(row.name);
  EXPECT_THAT(names, ElementsAre("before", "later"));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(JournalTest, SaysWhichFileItCantOpen) {
  absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(directory_.File("no/such/journal.db"), nullptr);
  EXPECT_FALSE(journal.ok());
  EXPECT_THAT(std::string(journal.status().message()), HasSubstr("no/such/journal.db"));
}

}  // namespace
}  // namespace puma::server
