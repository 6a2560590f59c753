#include "server/telemetry/log_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/journal/temporary_directory.h"

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::shared_ptr<const v1::LogSource> Source(const std::string& task, const std::string& pipeline = "p") {
  auto source = std::make_shared<v1::LogSource>();
  source->set_pipeline(pipeline);
  source->set_task(task);
  return source;
}

LogLine Line(uint64_t sequence, const std::string& message, std::shared_ptr<const v1::LogSource> source = Source("a"), uint64_t worker = 1,
             uint64_t run = 1) {
  LogLine line{.source = std::move(source), .worker_key = worker, .worker_run = run, .record = {}};
  line.record.set_message(message);
  line.record.set_sequence(sequence);
  line.record.set_severity(9);
  line.record.set_time_unix_nanos(static_cast<int64_t>(sequence) * 1'000'000'000);
  return line;
}

class LogStoreTest : public ::testing::Test {
 protected:
  void Open() {
    store_.reset();
    options_.file = directory_.File("log.jsonl");
    absl::StatusOr<std::unique_ptr<LogStore>> store = LogStore::Open(options_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  std::vector<std::string> Tail(const v1::TailLogsRequest& request) {
    LogStore::Position position = store_->Begin(request);
    return Rest(request, position);
  }
  std::vector<std::string> Rest(const v1::TailLogsRequest& request, LogStore::Position& position) {
    std::vector<std::string> messages;
    v1::TailLogsResponse batch;
    while (store_->Take(request, position, batch)) {
      if (batch.has_gap()) messages.push_back("gap " + std::to_string(batch.gap().count()));
      for (const v1::LogRecord& record : batch.records()) messages.push_back(record.message());
    }
    return messages;
  }
  static v1::TailLogsRequest History(int count = -1, const std::string& parent = "") {
    v1::TailLogsRequest request;
    request.set_history(count);
    request.set_parent(parent);
    return request;
  }
  std::vector<std::string> FileLines() const {
    std::ifstream file(directory_.File("log.jsonl"));
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  TemporaryDirectory directory_;
  LogStore::Options options_;
  std::unique_ptr<LogStore> store_;
};

TEST_F(LogStoreTest, HasWhatItWasGivenInTheFileAndForTheViewers) {
  Open();
  store_->Append({Line(1, "one"), Line(2, "two")});
  ASSERT_TRUE(store_->Flush().ok());
  EXPECT_THAT(FileLines(), ElementsAre(HasSubstr("\"one\""), HasSubstr("\"two\"")));
  EXPECT_THAT(Tail(History()), ElementsAre("one", "two"));
}

TEST_F(LogStoreTest, SkipsRecordsThatItHasAlready) {
  Open();
  store_->Append({Line(1, "one"), Line(2, "two")});
  store_->Append({Line(2, "two"), Line(3, "three"), Line(1, "other worker", Source("b"), 2), Line(1, "next run", Source("a"), 1, 2)});
  EXPECT_THAT(Tail(History()), ElementsAre("one", "two", "three", "other worker", "next run"));
}

TEST_F(LogStoreTest, KnowsItsRecordsAfterAnotherHostHasOpenedTheFile) {
  Open();
  store_->Append({Line(1, "one"), Line(2, "two")});
  Open();
  EXPECT_THAT(Tail(History()), ElementsAre("one", "two"));
  store_->Append({Line(1, "one"), Line(2, "two"), Line(3, "three")});
  EXPECT_THAT(Tail(History()), ElementsAre("one", "two", "three"));
  EXPECT_THAT(FileLines(), SizeIs(3));
}

TEST_F(LogStoreTest, ToleratesATornLastLineAndGoesOnInANewOne) {
  Open();
  store_->Append({Line(1, "one"), Line(2, "two")});
  store_.reset();
  std::filesystem::resize_file(options_.file, std::filesystem::file_size(options_.file) - 30);
  Open();
  store_->Append({Line(2, "two"), Line(3, "three")});
  EXPECT_THAT(Tail(History()), ElementsAre("one", "two", "three"));
  EXPECT_THAT(FileLines(), SizeIs(4));
  Open();
  EXPECT_THAT(Tail(History()), ElementsAre("one", "two", "three"));
}

TEST_F(LogStoreTest, RotatesAndReadsThePreviousFileBackToo) {
  options_.file_bytes = 2000;
  options_.file_count = 3;
  Open();
  for (uint64_t i = 1; i <= 60; ++i) store_->Append({Line(i, "record " + std::to_string(i))});
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(options_.file).parent_path()))
    ++files;
  EXPECT_EQ(files, 3);
  const size_t in_this_file = FileLines().size();
  Open();
  const std::vector<std::string> history = Tail(History());
  EXPECT_GT(history.size(), in_this_file);
  EXPECT_EQ(history.back(), "record 60");
  store_->Append({Line(60, "again")});
  EXPECT_EQ(Tail(History()).back(), "record 60");
}

TEST_F(LogStoreTest, GivesTheWantedHistoryAndThenWhatIsNew) {
  Open();
  for (uint64_t i = 1; i <= 10; ++i) store_->Append({Line(i, std::to_string(i))});
  const v1::TailLogsRequest request = History(3);
  LogStore::Position position = store_->Begin(request);
  EXPECT_THAT(Rest(request, position), ElementsAre("8", "9", "10"));
  store_->Append({Line(11, "11")});
  EXPECT_THAT(Rest(request, position), ElementsAre("11"));
  EXPECT_THAT(Tail(History(0)), IsEmpty());
  EXPECT_THAT(Tail(History(1000)), SizeIs(11));
}

TEST_F(LogStoreTest, FiltersByParentLevelTextAndTime) {
  Open();
  LogLine bad = Line(4, "bad disk", Source("detector.1"), 4);
  bad.record.set_severity(17);
  store_->Append({Line(1, "a", Source("loader"), 1), Line(2, "b", Source("detector.0"), 2), Line(3, "c", Source("loader", "q"), 3), bad});
  EXPECT_THAT(Tail(History(-1, "pipelines/p")), ElementsAre("a", "b", "bad disk"));
  EXPECT_THAT(Tail(History(-1, "pipelines/p/tasks/loader")), ElementsAre("a"));
  EXPECT_THAT(Tail(History(-1, "pipelines/p/tasks/detector")), ElementsAre("b", "bad disk")) << "a task stands for its replicas";
  EXPECT_THAT(Tail(History(-1, "pipelines/p/tasks/detector.0")), ElementsAre("b"));
  EXPECT_THAT(Tail(History(-1, "nonsense")), IsEmpty());
  v1::TailLogsRequest request = History();
  request.set_min_level(v1::LOG_LEVEL_WARN);
  EXPECT_THAT(Tail(request), ElementsAre("bad disk"));
  request = History();
  request.set_contains("disk");
  EXPECT_THAT(Tail(request), ElementsAre("bad disk"));
  request = History();
  request.mutable_since()->set_seconds(3);
  EXPECT_THAT(Tail(request), ElementsAre("c", "bad disk"));
  EXPECT_THAT(Tail(History(1, "pipelines/p/tasks/loader")), ElementsAre("a")) << "history counts matching records";
}

TEST_F(LogStoreTest, RefersToSourcesByIndexAndKeepsBatchesSmall) {
  Open();
  const auto a = Source("a"), b = Source("b");
  std::vector<LogLine> lines;
  for (uint64_t i = 1; i <= 1000; ++i) lines.push_back(Line(i, std::string(500, 'x'), i % 2 ? a : b));
  store_->Append(std::move(lines));
  const v1::TailLogsRequest request = History();
  LogStore::Position position = store_->Begin(request);
  v1::TailLogsResponse batch;
  int records = 0;
  while (store_->Take(request, position, batch)) {
    EXPECT_LT(batch.ByteSizeLong(), 80u << 10);
    ASSERT_EQ(batch.sources_size(), 2);
    for (const v1::LogRecord& record : batch.records()) {
      ++records;
      EXPECT_EQ(batch.sources(static_cast<int>(record.source())).task(), record.sequence() % 2 ? "a" : "b");
    }
  }
  EXPECT_EQ(records, 1000);
}

TEST_F(LogStoreTest, TellsAnOvertakenViewerHowManyItMissed) {
  options_.memory_bytes = 64 << 10;
  Open();
  const v1::TailLogsRequest request = History(0);
  LogStore::Position position = store_->Begin(request);
  for (uint64_t i = 1; i <= 2000; ++i) store_->Append({Line(i, std::string(100, 'x'))});
  v1::TailLogsResponse batch;
  uint64_t records = 0, missed = 0;
  while (store_->Take(request, position, batch)) {
    if (batch.has_gap()) {
      EXPECT_EQ(records, 0u) << "it comes before the records";
      missed += batch.gap().count();
    }
    records += static_cast<uint64_t>(batch.records_size());
  }
  EXPECT_GT(missed, 0u);
  EXPECT_EQ(records + missed, 2000u);
}

TEST_F(LogStoreTest, KeepsControlCharactersAndReplacesWhatIsNotUtf8) {
  Open();
  store_->Append({Line(1, "\x1b[31m\x07\xff")});
  EXPECT_THAT(Tail(History()), ElementsAre("\x1b[31m\x07\uFFFD"));
  EXPECT_THAT(FileLines(), ElementsAre(HasSubstr(R"(\u001b[31m\u0007)")));
}

TEST_F(LogStoreTest, WritesItsOwnRecordsWithTheirPlace) {
  Open();
  store_->Own(3, "disk is slow");
  EXPECT_THAT(FileLines(), ElementsAre(AllOf(HasSubstr("disk is slow"), HasSubstr("\"WARN\""), HasSubstr("log_store_test.cc"),
                                             HasSubstr("\"pipeline\":\"\""))));
  store_->Own(3, "disk is slow");
  EXPECT_THAT(Tail(History()), SizeIs(2));
}

TEST_F(LogStoreTest, AFullDiskIsReportedAndNotFatalAndPassesAway) {
  Open();
  store_->Append({Line(1, "before")});
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = std::filesystem::file_size(options_.file) + 50;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  store_->Append({Line(2, "during")});
  const absl::Status status = store_->Flush();
  store_->Append({Line(3, "still")});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(status.ok());
  store_->Append({Line(4, "after")});
  EXPECT_TRUE(store_->Flush().ok());
  EXPECT_THAT(Tail(History()),
              ElementsAre("before", "during", HasSubstr("kept in memory only"), "still", "after", HasSubstr("records are missing")));
  Open();
  EXPECT_THAT(Tail(History()), ElementsAre("before", "after", HasSubstr("records are missing")));
}

TEST_F(LogStoreTest, SaysWhichFileItCantOpen) {
  options_.file = directory_.File("log.jsonl");
  std::filesystem::create_directory(options_.file);
  absl::StatusOr<std::unique_ptr<LogStore>> store = LogStore::Open(options_);
  EXPECT_FALSE(store.ok());
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(options_.file));
}

TEST_F(LogStoreTest, EveryViewerSeesEveryRecordInOrderOrAGap) {
  options_.memory_bytes = 256 << 10;
  Open();
  constexpr uint64_t kRecords = 20000;
  std::atomic<int> rung = 0;
  auto handle = store_->Subscribe([&] { ++rung; });
  std::vector<std::thread> viewers;
  for (int v = 0; v < 2; ++v) {
    viewers.emplace_back([&] {
      const v1::TailLogsRequest request = History(-1);
      LogStore::Position position;
      v1::TailLogsResponse batch;
      uint64_t seen = 0;
      while (seen < kRecords) {
        if (!store_->Take(request, position, batch)) continue;
        if (batch.has_gap()) seen += batch.gap().count();
        for (const v1::LogRecord& record : batch.records()) ASSERT_EQ(record.sequence(), ++seen);
      }
    });
  }
  for (uint64_t i = 1; i <= kRecords; i += 10) {
    std::vector<LogLine> lines;
    for (uint64_t j = i; j < i + 10; ++j) lines.push_back(Line(j, "text"));
    store_->Append(std::move(lines));
  }
  for (std::thread& viewer : viewers) viewer.join();
  EXPECT_EQ(rung, static_cast<int>(kRecords / 10));
}

TEST_F(LogStoreTest, PagesOfAQueryHaveEachMatchingRecordOnceAndItsSource) {
  Open();
  for (uint64_t i = 1; i <= 7; ++i) store_->Append({Line(2 * i, "a" + std::to_string(i)), Line(2 * i + 1, "b", Source("b"), 2)});
  v1::QueryLogsRequest request;
  request.set_parent("pipelines/p/tasks/a");
  request.mutable_since()->set_seconds(4);
  request.mutable_until()->set_seconds(14);  // not a7
  std::vector<std::string> messages;
  do {
    const absl::StatusOr<v1::QueryLogsResponse> page = store_->Query(request, 2);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->records_size(), 2);
    for (const v1::LogRecord& record : page->records()) {
      messages.push_back(record.message());
      EXPECT_EQ(page->sources(static_cast<int>(record.source())).task(), "a");
    }
    request.set_page_token(page->next_page_token());
    store_->Append({Line(100 + messages.size(), "later")});
  } while (!request.page_token().empty());
  EXPECT_THAT(messages, ElementsAre("a2", "a3", "a4", "a5", "a6"));
  request.set_page_token("2");
  EXPECT_EQ(store_->Query(request, 2).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LogStoreTest, APageWhoseRestIsForgottenSaysSo) {
  options_.memory_bytes = 1 << 10;
  Open();
  store_->Append({Line(1, "one"), Line(2, "two")});
  const absl::StatusOr<v1::QueryLogsResponse> page = store_->Query({}, 1);
  ASSERT_TRUE(page.ok());
  v1::QueryLogsRequest next;
  next.set_page_token(page->next_page_token());
  for (uint64_t i = 3; i < 100; ++i) store_->Append({Line(i, std::string(100, 'x'))});
  EXPECT_EQ(store_->Query(next, 1).status().code(), absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace puma::server
