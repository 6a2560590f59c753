// Watches and log tails, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/rpc/fake_host.h"
#include "tests/rpc/stubs.h"

namespace puma::server {
namespace {

using ::testing::HasSubstr;

v1::Task TaskOf(const std::string& name, int run = 1) {
  v1::Task task;
  task.set_name("pipelines/p/tasks/" + name);
  task.mutable_status()->set_state(v1::TASK_STATE_RUNNING);
  task.mutable_status()->set_run(run);
  return task;
}

// A watch, event by event.
class Watch {
 public:
  explicit Watch(Stubs& stubs, const std::string& revision = "", const std::string& parent = "") {
    v1::WatchTasksRequest request;
    request.set_revision(revision);
    request.set_parent(parent);
    reader_ = stubs.tasks.WatchTasks(&context_, request);
  }
  ~Watch() {
    if (finished_) return;
    context_.TryCancel();
    while (reader_->Read(&batch_)) {
    }
    reader_->Finish();
  }
  // False: the stream is over.
  bool Next(v1::TaskEvent& event) {
    while (at_ == batch_.events_size()) {
      at_ = 0;
      batch_.Clear();
      if (!reader_->Read(&batch_)) return false;
      if (!batch_.revision().empty()) revision_ = batch_.revision();
    }
    event = batch_.events(at_++);
    return true;
  }
  // Reads on until `run` of task `name` has been told; false: the stream is over.
  bool ReadUntil(const std::string& name, int run) {
    for (v1::TaskEvent event; Next(event);) {
      if (event.has_task() && event.task().name() == "pipelines/p/tasks/" + name && event.task().status().run() == run) return true;
    }
    return false;
  }
  // Once, after Next has said false.
  grpc::Status Finish() {
    finished_ = true;
    return reader_->Finish();
  }
  const std::string& revision() const { return revision_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchTasksResponse>> reader_;
  v1::WatchTasksResponse batch_;
  int at_ = 0;
  bool finished_ = false;
  std::string revision_;
};

class StreamTest : public ::testing::Test {
 protected:
  std::vector<std::string> ReadLogs(const v1::TailLogsRequest& request) {
    grpc::ClientContext context;
    const auto reader = stubs_.logs.TailLogs(&context, request);
    std::vector<std::string> texts;
    v1::TailLogsResponse batch;
    while (reader->Read(&batch)) {
      for (const v1::LogRecord& record : batch.records()) {
        EXPECT_LT(static_cast<int>(record.source()), batch.sources_size());
        texts.push_back(record.message());
      }
    }
    EXPECT_TRUE(reader->Finish().ok());
    return texts;
  }

  FakeHost host_;
  Stubs stubs_{host_.target()};
};

TEST_F(StreamTest, AWatchBeginsWithASnapshotAndGoesOnWithChanges) {
  host_.engine().Put(TaskOf("a"));
  host_.engine().Put(TaskOf("b"));
  Watch watch(stubs_);
  v1::TaskEvent event;
  std::vector<std::string> snapshot;
  while (watch.Next(event) && event.has_task()) snapshot.push_back(event.task().name());
  EXPECT_EQ(snapshot.size(), 2u);
  EXPECT_TRUE(event.snapshot_complete());
  host_.engine().Put(TaskOf("a", 2));
  ASSERT_TRUE(watch.Next(event));
  EXPECT_EQ(event.task().status().run(), 2);
  host_.tasks().Remove("pipelines/p/tasks/b");
  ASSERT_TRUE(watch.Next(event));
  EXPECT_EQ(event.deleted(), "pipelines/p/tasks/b");
}

TEST_F(StreamTest, AWatchGoesOnAfterARevision) {
  host_.engine().Put(TaskOf("a"));
  std::string revision;
  {
    Watch watch(stubs_);
    v1::TaskEvent event;
    while (watch.Next(event) && !event.snapshot_complete()) {
    }
    host_.engine().Put(TaskOf("a", 2));
    ASSERT_TRUE(watch.ReadUntil("a", 2));
    revision = watch.revision();
  }
  host_.engine().Put(TaskOf("a", 3));
  Watch resumed(stubs_, revision);
  v1::TaskEvent event;
  ASSERT_TRUE(resumed.Next(event));
  EXPECT_EQ(event.task().status().run(), 3) << "neither a snapshot nor what was told before";
}

TEST_F(StreamTest, ARevisionOfAnotherHostIsOutOfRange) {
  FakeHost other;
  other.engine().Put(TaskOf("a"));
  Stubs stubs(other.target());
  Watch watch(stubs);
  v1::TaskEvent event;
  while (watch.Next(event) && !event.snapshot_complete()) {
  }
  other.engine().Put(TaskOf("a", 2));
  ASSERT_TRUE(watch.ReadUntil("a", 2));
  Watch here(stubs_, watch.revision());
  EXPECT_FALSE(here.Next(event));
  EXPECT_EQ(here.Finish().error_code(), grpc::StatusCode::OUT_OF_RANGE);
}

TEST_F(StreamTest, ASlowReaderHoldsUpNobodyAndStillGetsTheNewestState) {
  Stubs slow_stubs(host_.target());
  Watch slow(slow_stubs), fast(stubs_);
  const int kChanges = 30000;  // more than the feed keeps, and much more than a connection buffers
  std::thread reader([&] { EXPECT_TRUE(fast.ReadUntil("a", kChanges)); });
  v1::Task task = TaskOf("a");
  task.mutable_status()->set_reason(std::string(200, 'x'));
  for (int run = 1; run <= kChanges; ++run) {
    task.mutable_status()->set_run(run);
    host_.engine().Put(task);
  }
  reader.join();  // while the slow one has not read a single batch
  EXPECT_TRUE(slow.ReadUntil("a", kChanges));
}

TEST_F(StreamTest, LogsHaveHistoryFiltersAndAnEnd) {
  host_.Log("p", "a", "first");
  host_.Log("p", "b", "second", 17);
  host_.Log("q", "a", "third needle");
  v1::TailLogsRequest request;
  request.set_history(-1);
  EXPECT_EQ(ReadLogs(request).size(), 3u);
  request.set_parent("pipelines/p");
  EXPECT_EQ(ReadLogs(request), (std::vector<std::string>{"first", "second"}));
  request.set_min_level(v1::LOG_LEVEL_ERROR);
  EXPECT_EQ(ReadLogs(request), (std::vector<std::string>{"second"}));
  request.Clear();
  request.set_history(-1);
  request.set_contains("needle");
  EXPECT_EQ(ReadLogs(request), (std::vector<std::string>{"third needle"}));
  request.Clear();
  EXPECT_TRUE(ReadLogs(request).empty()) << "no history by default";
}

TEST_F(StreamTest, AFollowerGetsWhatIsLoggedFromNowOn) {
  grpc::ClientContext context;
  v1::TailLogsRequest request;
  request.set_follow(true);
  const auto reader = stubs_.logs.TailLogs(&context, request);
  reader->WaitForInitialMetadata();  // it is served
  for (int i = 0; i < 100; ++i) host_.Log("p", "a", "line " + std::to_string(i));
  int next = 0;
  v1::TailLogsResponse batch;
  while (next < 100 && reader->Read(&batch)) {
    for (const v1::LogRecord& record : batch.records()) EXPECT_EQ(record.message(), "line " + std::to_string(next++));
  }
  EXPECT_EQ(next, 100);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(StreamTest, WrongRequestsAreRefused) {
  v1::TaskEvent event;
  Watch parent(stubs_, "", "nonsense");
  EXPECT_FALSE(parent.Next(event));
  EXPECT_EQ(parent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  Watch revision(stubs_, "nonsense");
  EXPECT_FALSE(revision.Next(event));
  EXPECT_EQ(revision.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext context;
  v1::TailLogsRequest request;
  request.set_history(-2);
  const auto reader = stubs_.logs.TailLogs(&context, request);
  v1::TailLogsResponse batch;
  EXPECT_FALSE(reader->Read(&batch));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(StreamTest, OneStreamTooManyIsToldAndRoomIsGivenBack) {
  FakeHost host({.streams_per_connection = 2});
  host.engine().Put(TaskOf("a"));
  Stubs stubs(host.target()), others(host.target());
  v1::TaskEvent event;
  auto first = std::make_unique<Watch>(stubs);
  Watch second(stubs);
  ASSERT_TRUE(first->Next(event) && second.Next(event));
  {
    Watch third(stubs);
    EXPECT_FALSE(third.Next(event));
    const grpc::Status status = third.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.error_message(), HasSubstr("open another connection"));
  }
  Watch other(others);
  EXPECT_TRUE(other.Next(event)) << "another connection has room of its own";
  first.reset();
  EXPECT_TRUE(Eventually([&] {
    Watch again(stubs);
    return again.Next(event);
  }));
}

TEST_F(StreamTest, TheEndOfTheHostEndsStreamsWithUnavailable) {
  host_.engine().Put(TaskOf("a"));
  Watch watch(stubs_);
  v1::TaskEvent event;
  while (watch.Next(event) && !event.snapshot_complete()) {
  }
  std::thread end([&] { host_.server().Shutdown(); });
  EXPECT_FALSE(watch.Next(event));
  EXPECT_EQ(watch.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  end.join();
}

class TapStreamTest : public StreamTest {
 protected:
  TapStreamTest() {
    v1::Pipeline pipeline;
    pipeline.set_name("pipelines/edges");
    (*pipeline.mutable_spec()->mutable_buffers())["frames"];
    host_.engine().PutPipeline(pipeline);
    request_.set_name("pipelines/edges/buffers/frames");
  }
  grpc::Status StatusOf(const v1::TapBufferRequest& request) {
    grpc::ClientContext context;
    const auto reader = stubs_.buffers.TapBuffer(&context, request);
    v1::TapBufferResponse batch;
    EXPECT_FALSE(reader->Read(&batch));
    return reader->Finish();
  }
  v1::TapBufferRequest request_;
};

TEST_F(TapStreamTest, ATapBringsMessagesWithoutBeingRung) {
  grpc::ClientContext context;
  const auto reader = stubs_.buffers.TapBuffer(&context, request_);
  v1::TapBufferResponse batch;
  ASSERT_TRUE(reader->Read(&batch)) << "the first batch comes at once";
  EXPECT_EQ(batch.messages_size(), 0);
  for (const std::string text : {"one", "two"}) {
    host_.engine().Publish("pipelines/edges/buffers/frames", text);
    ASSERT_TRUE(reader->Read(&batch));
    ASSERT_EQ(batch.messages_size(), 1);
    EXPECT_EQ(batch.messages(0).payload(), text);
  }
  context.TryCancel();
  while (reader->Read(&batch)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(TapStreamTest, AWrongTapIsRefused) {
  v1::TapBufferRequest request = request_;
  request.set_name("pipelines/edges/tasks/frames");
  EXPECT_THAT(StatusOf(request).error_message(), HasSubstr("pipelines/{pipeline}/buffers/{buffer}"));
  request = request_;
  request.set_max_bytes((1 << 20) + 1);
  EXPECT_EQ(StatusOf(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(StatusOf(request).error_message(), HasSubstr("1 MiB"));
  request = request_;
  request.set_publisher("loader");
  EXPECT_THAT(StatusOf(request).error_message(), HasSubstr("publisher"));
  request = request_;
  request.set_name("pipelines/edges/buffers/nothing");
  EXPECT_EQ(StatusOf(request).error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace puma::server
