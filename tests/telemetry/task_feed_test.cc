#include "server/telemetry/task_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::Task Task(const std::string& name, int64_t run = 0) {
  v1::Task task;
  task.set_name(name);
  task.mutable_status()->set_run(run);
  return task;
}

// One word per event: "pipelines/p/tasks/a:1", "-name", "|" for the bookmark, "gap 3".
std::string Word(const v1::TaskEvent& event) {
  switch (event.event_case()) {
    case v1::TaskEvent::kTask:
      return event.task().name() + ":" + std::to_string(event.task().status().run());
    case v1::TaskEvent::kDeleted:
      return "-" + event.deleted();
    case v1::TaskEvent::kSnapshotComplete:
      return "|";
    case v1::TaskEvent::kGap:
      return "gap " + std::to_string(event.gap().count());
    default:
      return "?";
  }
}

class Viewer {
 public:
  Viewer(const TaskFeed& feed, std::string parent, const std::string& revision = "") : feed_(feed), parent_(std::move(parent)) {
    absl::StatusOr<TaskFeed::Position> position = feed.Begin(revision);
    EXPECT_TRUE(position.ok()) << position.status();
    if (position.ok()) position_ = *position;
  }
  std::vector<std::string> All() {
    std::vector<std::string> words;
    v1::WatchTasksResponse batch;
    while (feed_.Take(parent_, position_, batch)) {
      ++batches;
      for (const v1::TaskEvent& event : batch.events()) words.push_back(Word(event));
      if (!batch.revision().empty()) revision = batch.revision();
    }
    return words;
  }
  std::string revision;
  int batches = 0;

 private:
  const TaskFeed& feed_;
  const std::string parent_;
  TaskFeed::Position position_;
};

TEST(TaskFeed, BeginsWithASnapshotThenABookmarkThenChanges) {
  TaskFeed feed;
  feed.Put(Task("pipelines/p/tasks/a", 1));
  feed.Put(Task("pipelines/p/tasks/b", 1));
  Viewer viewer(feed, "");
  EXPECT_THAT(viewer.All(), ElementsAre("pipelines/p/tasks/a:1", "pipelines/p/tasks/b:1", "|"));
  EXPECT_THAT(viewer.All(), IsEmpty());
  feed.Put(Task("pipelines/p/tasks/a", 2));
  feed.Remove("pipelines/p/tasks/b");
  EXPECT_THAT(viewer.All(), ElementsAre("pipelines/p/tasks/a:2", "-pipelines/p/tasks/b"));
}

TEST(TaskFeed, ShowsAParentOnlyItsOwnTasks) {
  TaskFeed feed;
  for (const char* name : {"pipelines/p/tasks/a", "pipelines/p-2/tasks/a", "pipelines/q/tasks/a"}) feed.Put(Task(name));
  Viewer viewer(feed, "pipelines/p");
  EXPECT_THAT(viewer.All(), ElementsAre("pipelines/p/tasks/a:0", "|"));
  feed.Put(Task("pipelines/q/tasks/a", 5));
  EXPECT_THAT(viewer.All(), IsEmpty());
  feed.Put(Task("pipelines/p/tasks/a", 6));
  EXPECT_THAT(viewer.All(), ElementsAre("pipelines/p/tasks/a:6"));
}

TEST(TaskFeed, ResumesAfterARevisionWithoutASnapshot) {
  TaskFeed feed;
  feed.Put(Task("pipelines/p/tasks/a", 1));
  Viewer before(feed, "");
  before.All();
  feed.Put(Task("pipelines/p/tasks/a", 2));
  feed.Put(Task("pipelines/p/tasks/a", 3));
  EXPECT_THAT(Viewer(feed, "", before.revision).All(), ElementsAre("pipelines/p/tasks/a:2", "pipelines/p/tasks/a:3"));
}

TEST(TaskFeed, RefusesRevisionsThatAreTooOldOrOfAnotherHostOrMadeUp) {
  TaskFeed feed(4), other;
  Viewer viewer(feed, ""), stranger(other, "");
  viewer.All();
  stranger.All();
  for (int i = 0; i < 10; ++i) feed.Put(Task("pipelines/p/tasks/a", i));
  EXPECT_TRUE(absl::IsOutOfRange(feed.Begin(viewer.revision).status()));
  EXPECT_TRUE(absl::IsOutOfRange(feed.Begin(stranger.revision).status()));
  for (const char* text : {"x", "-", "12", "0123456789abcdef", "0123456789abcdef-", "0123456789abcdef--1", "0123456789abcdeg-1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(feed.Begin(text).status())) << text;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(feed.Begin(viewer.revision + "999").status())) << "from the future";
}

TEST(TaskFeed, TellsAViewerThatWasOvertakenWhatItMissedAndThenThePresent) {
  TaskFeed feed(4);
  feed.Put(Task("pipelines/p/tasks/gone", 1));
  Viewer viewer(feed, "");
  viewer.All();
  feed.Remove("pipelines/p/tasks/gone");
  for (int i = 1; i <= 10; ++i) feed.Put(Task("pipelines/p/tasks/a", i));
  EXPECT_THAT(viewer.All(), ElementsAre("gap 7", "pipelines/p/tasks/a:10", "|"));
  feed.Put(Task("pipelines/p/tasks/a", 11));
  EXPECT_THAT(viewer.All(), ElementsAre("pipelines/p/tasks/a:11"));
}

TEST(TaskFeed, SendsALargeSnapshotInSeveralBatchesOfOneMoment) {
  TaskFeed feed;
  const std::string padding(1000, 'x');
  for (int i = 0; i < 500; ++i) {
    v1::Task task = Task("pipelines/p/tasks/t" + std::to_string(1000 + i), 1);
    task.mutable_status()->set_reason(padding);
    feed.Put(task);
  }
  absl::StatusOr<TaskFeed::Position> position = feed.Begin("");
  v1::WatchTasksResponse batch;
  ASSERT_TRUE(feed.Take("", *position, batch));
  EXPECT_LT(batch.ByteSizeLong(), 70u << 10);
  EXPECT_EQ(batch.revision(), "") << "in the middle of a snapshot there is nothing to resume from";
  feed.Put(Task("pipelines/p/tasks/t1499", 2));
  feed.Remove("pipelines/p/tasks/t1498");
  size_t tasks = static_cast<size_t>(batch.events_size());
  std::vector<std::string> after;
  bool complete = false;
  while (feed.Take("", *position, batch)) {
    for (const v1::TaskEvent& event : batch.events()) {
      if (complete) after.push_back(Word(event));
      if (event.has_task() && !complete) {
        EXPECT_EQ(event.task().status().run(), 1);
        ++tasks;
      }
      complete = complete || event.snapshot_complete();
    }
  }
  EXPECT_EQ(tasks, 500u);
  EXPECT_THAT(after, ElementsAre("pipelines/p/tasks/t1499:2", "-pipelines/p/tasks/t1498"));
}

TEST(TaskFeed, ListsByNameInPages) {
  TaskFeed feed;
  for (const char* name : {"pipelines/p/tasks/c", "pipelines/p/tasks/a", "pipelines/p/tasks/b", "pipelines/z/tasks/a"})
    feed.Put(Task(name));
  auto names = [&](const std::string& parent, const std::string& after, size_t count) {
    std::vector<std::string> found;
    for (const v1::Task& task : feed.List(parent, after, count)) found.push_back(task.name());
    return found;
  };
  EXPECT_THAT(names("pipelines/p", "", 2), ElementsAre("pipelines/p/tasks/a", "pipelines/p/tasks/b"));
  EXPECT_THAT(names("pipelines/p", "pipelines/p/tasks/b", 2), ElementsAre("pipelines/p/tasks/c"));
  EXPECT_THAT(names("pipelines/p", "pipelines/p/tasks/c", 2), IsEmpty());
  EXPECT_EQ(names("", "", 100).size(), 4u);
  EXPECT_TRUE(feed.Get("pipelines/z/tasks/a").ok());
  EXPECT_TRUE(absl::IsNotFound(feed.Get("pipelines/z/tasks/x").status()));
}

TEST(TaskFeed, MissesNothingUnderConcurrentChangesOrSaysGap) {
  TaskFeed feed(64);
  constexpr int kChanges = 20000;
  std::atomic<int> rung = 0;
  auto handle = feed.Subscribe([&] { ++rung; });
  std::thread writer([&] {
    for (int i = 1; i <= kChanges; ++i) feed.Put(Task("pipelines/p/tasks/a", i));
  });
  std::vector<std::thread> viewers;
  for (int v = 0; v < 3; ++v) {
    viewers.emplace_back([&] {
      TaskFeed::Position position = *feed.Begin("");
      v1::WatchTasksResponse batch;
      int64_t last = 0;
      bool gap = true;  // the first one may be any
      while (last < kChanges) {
        if (!feed.Take("", position, batch)) continue;
        for (const v1::TaskEvent& event : batch.events()) {
          gap = gap || event.has_gap();
          if (!event.has_task()) continue;
          const int64_t run = event.task().status().run();
          if (gap) {
            EXPECT_GE(run, last);
          } else {
            EXPECT_EQ(run, last + 1);
          }
          last = run;
          gap = false;
        }
      }
    });
  }
  writer.join();
  for (std::thread& viewer : viewers) viewer.join();
  EXPECT_EQ(rung, kChanges);
}

}  // namespace
}  // namespace puma::server
