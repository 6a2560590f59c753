// How broken streams go on, without any connection.
#include "client/lib/resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace puma::client {
namespace {

v1::WatchTasksResponse Batch(std::initializer_list<const char*> tasks, bool complete, const std::string& revision) {
  v1::WatchTasksResponse batch;
  for (const char* name : tasks) batch.add_events()->mutable_task()->set_name(name);
  if (complete) batch.add_events()->set_snapshot_complete(true);
  batch.set_revision(revision);
  return batch;
}

TEST(TaskResumeTest, GoesOnAfterTheLastRevision) {
  TaskResume resume(v1::WatchTasksRequest{});
  EXPECT_EQ(resume.Request().revision(), "");
  auto batch = Batch({"a"}, false, "r1");
  resume.Observe(batch);
  EXPECT_EQ(resume.Request().revision(), "") << "the snapshot was not whole";
  batch = Batch({"a", "b"}, true, "r2");
  resume.Observe(batch);
  EXPECT_EQ(batch.events_size(), 3);
  EXPECT_TRUE(resume.GoOnAfter(absl::UnavailableError("gone")));
  EXPECT_EQ(resume.Request().revision(), "r2");
}

TEST(TaskResumeTest, ATooOldRevisionIsReplacedByASnapshotThatTellsWhatIsGone) {
  TaskResume resume(v1::WatchTasksRequest{});
  resume.Request();
  auto batch = Batch({"a", "b"}, true, "r1");
  resume.Observe(batch);
  resume.Request();
  EXPECT_TRUE(resume.GoOnAfter(absl::OutOfRangeError("old")));
  EXPECT_EQ(resume.Request().revision(), "");
  batch = Batch({"b"}, true, "s1");
  resume.Observe(batch);
  ASSERT_EQ(batch.events_size(), 3);
  EXPECT_EQ(batch.events(1).deleted(), "a") << "before the snapshot is whole";
  EXPECT_TRUE(batch.events(2).snapshot_complete());
}

TEST(TaskResumeTest, OtherErrorsEndTheWatch) {
  TaskResume resume(v1::WatchTasksRequest{});
  resume.Request();
  EXPECT_FALSE(resume.GoOnAfter(absl::OutOfRangeError("without a revision")));
  EXPECT_FALSE(resume.GoOnAfter(absl::InvalidArgumentError("wrong")));
}

v1::TailLogsResponse Records(std::initializer_list<uint64_t> sequences) {
  v1::TailLogsResponse batch;
  batch.add_sources()->set_pipeline("p");
  batch.mutable_sources(0)->set_pid(1);
  for (const uint64_t sequence : sequences) {
    batch.add_records()->set_sequence(sequence);
    batch.mutable_records()->rbegin()->set_time_unix_nanos(static_cast<int64_t>(1'000'000'000'000 + sequence));
  }
  return batch;
}

TEST(LogResumeTest, LooksBackAndLeavesOutWhatIsKnown) {
  v1::TailLogsRequest request;
  request.set_follow(true);
  LogResume resume(request);
  EXPECT_EQ(resume.Request().history(), 0);
  auto batch = Records({1, 2, 3});
  resume.Observe(batch);
  EXPECT_EQ(batch.records_size(), 3);
  EXPECT_TRUE(resume.GoOnAfter(absl::UnavailableError("gone")));
  EXPECT_EQ(resume.Request().history(), -1);
  EXPECT_LT(resume.Request().since().seconds(), 1000);
  batch = Records({1, 2, 3, 4, 5});
  resume.Observe(batch);
  ASSERT_EQ(batch.records_size(), 2);
  EXPECT_EQ(batch.records(0).sequence(), 4u);
}

TEST(LogResumeTest, AProcessIdThatIsUsedAgainBeginsAnew) {
  v1::TailLogsRequest request;
  request.set_follow(true);
  LogResume resume(request);
  resume.Request();
  auto batch = Records({100});
  resume.Observe(batch);
  resume.Request();
  batch = Records({1});
  batch.mutable_records(0)->set_time_unix_nanos(2'000'000'000'000);
  resume.Observe(batch);
  EXPECT_EQ(batch.records_size(), 1);
}

TEST(LogResumeTest, HistoryAloneIsNotResumed) {
  LogResume resume(v1::TailLogsRequest{});
  resume.Request();
  EXPECT_FALSE(resume.GoOnAfter(absl::UnavailableError("gone")));
}

}  // namespace
}  // namespace puma::client
