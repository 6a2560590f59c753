#include "server/supervisor/buffer_view.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "google/protobuf/text_format.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {

constexpr uint64_t kLane = 50, kPage = 60;

UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// source -> b -> sink, with one lane and the sink's page.
class BufferViewTest : public ::testing::Test {
 protected:
  BufferViewTest() {
    auto pipeline = std::make_unique<PipelineRec>();
    pipeline->row.name = "p";
    (*pipeline->spec.mutable_buffers())["b"].set_capacity_items(4);
    pipeline_ = pipeline.get();
    model_.pipelines["p"] = std::move(pipeline);
    Add(1, "source", R"(replicas: 1 outputs { key: "out" value: "b" })");
    TaskRec& sink = Add(2, "sink", R"(replicas: 1 inputs { key: "in" value { buffer: "b" } })");
    RingOptions options{.layout = RingLayout::kFixedStride, .lane_id = kLane, .capacity = 4, .stride = 8};
    const size_t bytes = RingWriter::BytesNeeded(options).value();
    segment_ = Segment::Create("puma-lane", bytes, Seals::kOneWriter, bytes).value();
    writer_ = RingWriter::Create({segment_.data(), segment_.size()}, options).value();
    auto lane = std::make_unique<LaneRec>();
    lane->id = kLane;
    lane->publisher = 1;
    lane->port = "out";
    lane->epoch = 1;
    lane->since_ns = MonotonicNanos();
    lane->segment = std::make_shared<const Segment>(Segment::MapReadOnly(Duplicate(segment_.fd()), Seals::kOneWriter, 1).value());
    lane->ring = RingReader::Open({lane->segment->data(), lane->segment->size()}).value();
    model_.lanes[kLane] = std::move(lane);
    const ReadState state{.lane_id = kLane, .backlog = 3, .redelivered = 2};
    page_ = TaskPage::Create(2, 1, {{state}}).value();
    auto page = std::make_unique<PageRec>();
    page->view = TaskPageView::Open(Duplicate(page_.segment().fd())).value();
    model_.pages[kPage] = std::move(page);
    sink.page = kPage;
  }
  TaskRec& Add(uint64_t uid, const std::string& name, const std::string& spec) {
    auto task = std::make_unique<TaskRec>();
    task->row.uid = uid;
    task->row.name = name;
    task->row.pipeline = "p";
    task->full_name = TaskName("p", name);
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec, &task->spec));
    pipeline_->tasks[name] = uid;
    return *(model_.tasks[uid] = std::move(task));
  }
  void Publish(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(writer_->TryReserve(8).ok());
      writer_->Commit(8);
    }
  }
  v1::Buffer View() { return ViewBuffer(model_, *pipeline_, "b"); }
  RingHeader& header() { return *reinterpret_cast<RingHeader*>(segment_.data()); }

  Model model_;
  PipelineRec* pipeline_;
  Segment segment_;
  std::unique_ptr<RingWriter> writer_;
  TaskPage page_;
};

TEST_F(BufferViewTest, ShowsDepthHighWaterMarkAndLag) {
  Publish(2);
  page_.slot(0).next = 1;
  writer_->CountDropped();
  writer_->BeginBlocked(MonotonicNanos());
  const v1::Buffer view = View();
  ASSERT_EQ(view.lanes_size(), 1);
  const v1::LaneStatus& lane = view.lanes(0);
  EXPECT_EQ(lane.published(), 2u);
  EXPECT_EQ(lane.waiting(), 1u);
  EXPECT_EQ(lane.bytes_used(), 8u);
  EXPECT_EQ(lane.high_water(), 2u) << "no more than there were, whatever the page says";
  EXPECT_EQ(lane.dropped(), 1u);
  EXPECT_EQ(lane.blocked_times(), 1u);
  EXPECT_TRUE(lane.has_blocked_since());
  ASSERT_EQ(view.subscriptions_size(), 1);
  EXPECT_EQ(view.subscriptions(0).finished(), 1u);
  EXPECT_EQ(view.subscriptions(0).redelivered(), 2u);
  ASSERT_EQ(view.subscriptions(0).lags_size(), 1);
  EXPECT_EQ(view.subscriptions(0).lags(0).waiting(), 1u);
  EXPECT_EQ(view.totals().published(), 2u);
  EXPECT_EQ(view.totals().capacity(), 4u);
}

TEST_F(BufferViewTest, WhatWasCountedOutlivesTheLane) {
  Publish(3);
  Retire(model_, *model_.lanes[kLane]);
  model_.lanes.clear();
  EXPECT_EQ(View().totals().published(), 3u);
  EXPECT_EQ(View().totals().high_water(), 3u);
}

TEST_F(BufferViewTest, AQuarantinedLaneIsStillShownAndItsNumbersAreNot) {
  Publish(3);
  model_.lanes[kLane]->quarantined = "it lied";
  Retire(model_, *model_.lanes[kLane]);
  model_.lanes.clear();
  const v1::Buffer view = View();
  EXPECT_EQ(view.totals().published(), 0u);
  ASSERT_EQ(view.lanes_size(), 1) << "why it was quarantined stays to be seen";
  EXPECT_EQ(view.lanes(0).quarantined(), "it lied");
  EXPECT_EQ(view.lanes(0).publisher(), "pipelines/p/tasks/source");
}

TEST_F(BufferViewTest, TheRateIsOfTheLastSeconds) {
  LaneRec& lane = *model_.lanes[kLane];
  Publish(4);
  EXPECT_TRUE(SampleLane(lane, 2));
  EXPECT_EQ(lane.rate, 2);
  EXPECT_TRUE(SampleLane(lane, 1));
  EXPECT_EQ(lane.rate, 1);
  for (int i = 0; i < 10; ++i) SampleLane(lane, 1);
  EXPECT_EQ(lane.rate, 0);
  EXPECT_FALSE(SampleLane(lane, 1)) << "nothing to tell";
}

TEST_F(BufferViewTest, NoWordOfAStrangerMakesNonsense) {
  Publish(4);
  for (const uint64_t lie : {uint64_t{5}, uint64_t{1} << 32, uint64_t{1} << 63, ~uint64_t{0}}) {
    for (Word64* word : {&header().tail, &header().released, &header().close_number, &header().blocked_since, &header().blocked_ns,
                         &page_.slot(0).next, &page_.slot(0).backlog, &page_.slot(0).missed}) {
      const uint64_t honest = word->load();
      *word = lie;
      header().closed = 1;
      SampleLane(*model_.lanes[kLane], 1);
      const v1::Buffer view = View();
      ASSERT_EQ(view.lanes_size(), 1);
      EXPECT_LE(view.lanes(0).waiting(), view.lanes(0).published());
      EXPECT_LE(view.lanes(0).high_water(), 4u);
      EXPECT_LE(view.lanes(0).bytes_used(), 8u * 8u);
      EXPECT_LE(view.subscriptions(0).finished(), view.lanes(0).published());
      EXPECT_LE(view.subscriptions(0).missed(), view.lanes(0).published());
      EXPECT_GE(view.lanes(0).blocked().seconds(), 0);
      header().closed = 0;
      *word = honest;
    }
  }
}

}  // namespace
}  // namespace puma::server
