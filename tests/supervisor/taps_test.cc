// Taps of lanes in real segments, whatever becomes of those.
#include "server/supervisor/taps.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

// A publisher's lane and what the supervisor knows of it.
class Lane {
 public:
  explicit Lane(uint64_t id, uint64_t base = 0) {
    RingOptions options{.lane_id = id, .base = base, .capacity = 8, .payload_bytes = 4096, .max_message = 64, .annotated = true};
    segment_ = Segment::Create("puma-lane", RingWriter::BytesNeeded(options).value(), Seals::kOneWriter, 0).value();
    writer_ = RingWriter::Create({segment_.data(), segment_.size()}, options).value();
    rec.id = id;
    rec.port = "out";
    rec.epoch = static_cast<uint32_t>(id);
    rec.segment = std::make_shared<const Segment>(
        Segment::MapReadOnly(UniqueFd(fcntl(segment_.fd(), F_DUPFD_CLOEXEC, 0)), Seals::kOneWriter, 1).value());
    rec.ring = RingReader::Open({rec.segment->data(), rec.segment->size()}).value();
  }
  void Publish(const std::string& text) {
    const auto room = writer_->TryReserve(text.size());
    ASSERT_TRUE(room.ok());
    std::copy(text.begin(), text.end(), reinterpret_cast<char*>(room->data()));
    Annotation annotation{};
    annotation.published_ns = MonotonicNanos();
    writer_->Commit(text.size(), MessageKind::kValue, 0, &annotation);
  }
  void PublishMany(int first, int count) {
    for (int i = first; i < first + count; ++i) Publish(std::to_string(i));
  }
  RingHeader& header() { return *reinterpret_cast<RingHeader*>(segment_.data()); }
  RingWriter& writer() { return *writer_; }
  // Its segment, as the host has it; expired: nobody maps it there any more.
  std::weak_ptr<const Segment> Forget() {
    const std::weak_ptr<const Segment> segment = rec.segment;
    rec.segment.reset();
    return segment;
  }
  LaneRec rec;

 private:
  Segment segment_;
  std::unique_ptr<RingWriter> writer_;
};

std::shared_ptr<const Renderer> RendererOf(const std::string& type) { return std::make_shared<const Renderer>(type, v1::PayloadSchema()); }

class TapsTest : public ::testing::Test {
 protected:
  std::unique_ptr<BufferTap> Open(const std::function<void(v1::TapBufferRequest&)>& change = nullptr) {
    v1::TapBufferRequest request;
    request.set_name("pipelines/p/buffers/b");
    if (change) change(request);
    auto tap = taps_.Open(request, [] { return true; });
    v1::TapBufferResponse first;
    EXPECT_TRUE(tap->Take(first).value()) << "the first batch says that it is open";
    return tap;
  }
  void Add(const Lane& lane, const std::string& type = "") {
    taps_.Add("pipelines/p/buffers/b", "pipelines/p/tasks/t", RendererOf(type), lane.rec);
  }
  v1::TapBufferResponse Take(BufferTap& tap) {
    v1::TapBufferResponse batch;
    const bool any = tap.Take(batch).value();
    EXPECT_EQ(any, batch.lanes_size() > 0 || batch.gaps_size() > 0);
    return batch;
  }
  static std::vector<std::string> Payloads(const v1::TapBufferResponse& batch) {
    std::vector<std::string> payloads;
    for (const v1::TappedMessage& message : batch.messages()) payloads.push_back(message.payload());
    return payloads;
  }
  Taps taps_;
};

TEST_F(TapsTest, WhatWasOverwrittenIsAGapOfExactlyThat) {
  for (const uint64_t base : {uint64_t{0}, ~uint64_t{0} - 4}) {
    Lane lane(1, base);
    Add(lane);
    const auto tap = Open();
    lane.PublishMany(0, 30);  // nothing gates: the newest 8 are there
    const v1::TapBufferResponse batch = Take(*tap);
    EXPECT_THAT(Payloads(batch), ElementsAre("22", "23", "24", "25", "26", "27", "28", "29"));
    ASSERT_EQ(batch.gaps_size(), 1);
    EXPECT_EQ(batch.gaps(0).gap().first(), base);
    EXPECT_EQ(batch.gaps(0).gap().last(), base + 21);
    EXPECT_EQ(batch.gaps(0).gap().count(), 22u);
    EXPECT_EQ(Take(*tap).lanes_size(), 0);
    taps_.Remove(lane.rec, 0);
  }
}

TEST_F(TapsTest, SamplingGoesByTheNumbersOfTheLane) {
  Lane lane(1, 5);
  Add(lane);
  const auto tap = Open([](v1::TapBufferRequest& request) { request.set_every(3); });
  lane.PublishMany(0, 5);
  EXPECT_THAT(Payloads(Take(*tap)), ElementsAre("0", "3"));
  lane.PublishMany(5, 1);
  EXPECT_EQ(Take(*tap).messages_size(), 0);
  lane.PublishMany(6, 1);
  EXPECT_THAT(Payloads(Take(*tap)), ElementsAre("6"));
  lane.writer().Complete("no more");
  const v1::TapBufferResponse end = Take(*tap);
  ASSERT_EQ(end.ends_size(), 1) << "though its number is none of those";
  EXPECT_EQ(end.ends(0).error(), "no more");
}

TEST_F(TapsTest, AForgottenLaneIsReadToItsEndAndThenLetGoOf) {
  auto lane = std::make_unique<Lane>(1);
  Add(*lane);
  const auto reads = Open(), sleeps = Open();
  lane->PublishMany(0, 3);
  taps_.Remove(lane->rec, 10 * kSecond);
  const std::weak_ptr<const Segment> segment = lane->Forget();
  EXPECT_THAT(Payloads(Take(*reads)), ElementsAre("0", "1", "2"));
  taps_.Tick(14 * kSecond);
  EXPECT_FALSE(segment.expired());
  taps_.Tick(16 * kSecond);
  EXPECT_TRUE(segment.expired()) << "one tap is open and has not read";
  const v1::TapBufferResponse batch = Take(*sleeps);
  ASSERT_EQ(batch.gaps_size(), 1);
  EXPECT_EQ(batch.gaps(0).gap().count(), 3u);
  EXPECT_EQ(batch.gaps(0).gap().reason(), "the lane is gone");
}

TEST_F(TapsTest, WithoutATapNothingIsKept) {
  Lane lane(1);
  Add(lane);
  Open();  // and closed
  taps_.Remove(lane.rec, 0);
  EXPECT_TRUE(lane.Forget().expired());
}

TEST_F(TapsTest, AQuarantinedLaneIsLetGoOfAtOnce) {
  Lane lane(1);
  Add(lane);
  const auto tap = Open();
  lane.PublishMany(0, 3);
  lane.rec.quarantined = "it lied";
  taps_.Remove(lane.rec, 0);
  EXPECT_TRUE(lane.Forget().expired());
  EXPECT_EQ(Take(*tap).messages_size(), 0);
}

TEST_F(TapsTest, ALaneThatLiesIsLeft) {
  Lane lane(1), honest(2);
  Add(lane);
  Add(honest);
  const auto tap = Open();
  lane.PublishMany(0, 1);
  lane.header().released.store(1000);  // ahead of its tail
  honest.PublishMany(7, 1);
  const v1::TapBufferResponse batch = Take(*tap);
  EXPECT_THAT(Payloads(batch), ElementsAre("7"));
  bool told = false;
  for (const v1::TappedGap& gap : batch.gaps()) told |= gap.gap().reason().find("can't be believed") != std::string::npos;
  EXPECT_TRUE(told) << batch.DebugString();
  lane.header().released.store(0);
  lane.PublishMany(1, 1);
  EXPECT_EQ(Take(*tap).messages_size(), 0);
}

TEST_F(TapsTest, ATailThatRunsAwayCostsABoundedTurn) {
  Lane lane(1);
  Add(lane);
  const auto tap = Open();
  for (int turn = 1; turn < 100; ++turn) {
    lane.header().tail.store(static_cast<uint64_t>(turn) << 40);
    lane.header().released.store((static_cast<uint64_t>(turn) << 40) - 1);
    const v1::TapBufferResponse batch = Take(*tap);
    EXPECT_LE(batch.messages_size() + batch.gaps_size(), 2 * 1024);
  }
}

TEST_F(TapsTest, OfLanesThatNobodyMeetsACountIsKept) {
  const auto tap = Open();
  for (uint64_t id = 1; id <= 300; ++id) {
    Lane lane(id);
    Add(lane);
    lane.PublishMany(0, 2);
    taps_.Remove(lane.rec, 0);
  }
  taps_.Tick(100 * kSecond);
  uint64_t count = 0;
  const v1::TapBufferResponse batch = Take(*tap);
  for (const v1::TappedGap& gap : batch.gaps()) count += gap.gap().count();
  EXPECT_EQ(count, 600u);
  ASSERT_GT(batch.gaps_size(), 0);
  EXPECT_FALSE(batch.gaps(0).has_lane());
  EXPECT_THAT(batch.gaps(0).gap().reason(), HasSubstr("44 lanes came and went"));
}

TEST_F(TapsTest, OtherBuffersAndPublishersAreNotShown) {
  Lane own(1), others(2), elsewhere(3);
  Add(own);
  const auto tap = Open([](v1::TapBufferRequest& request) { request.set_publisher("pipelines/p/tasks/t"); });
  taps_.Add("pipelines/p/buffers/b", "pipelines/p/tasks/u", RendererOf(""), others.rec);
  taps_.Add("pipelines/p/buffers/c", "pipelines/p/tasks/t", RendererOf(""), elsewhere.rec);
  for (Lane* lane : {&own, &others, &elsewhere}) lane->Publish(absl::StrCat("of ", lane->rec.id));
  EXPECT_THAT(Payloads(Take(*tap)), ElementsAre("of 1"));
}

template <class T>
std::string BytesOf(std::initializer_list<T> values) {
  std::string bytes;
  for (const T& value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  return bytes;
}

TEST_F(TapsTest, SaysWhatIsInMessagesOfKnownTypes) {
  Lane lane(1);
  Add(lane, "int");
  const auto renders = Open([](v1::TapBufferRequest&request) { request.set_render(true); }), plain = Open();
  const auto cuts = Open([](v1::TapBufferRequest& request) {
    request.set_render(true);
    request.set_max_bytes(2);
  });
  lane.Publish(BytesOf<int32_t>({-7}));
  lane.Publish("five!");  // no int
  const v1::TapBufferResponse batch = Take(*renders);
  EXPECT_EQ(batch.lanes(0).type(), "int");
  ASSERT_EQ(batch.messages_size(), 2);
  EXPECT_EQ(batch.messages(0).value().number_value(), -7);
  EXPECT_EQ(batch.messages(0).payload(), BytesOf<int32_t>({-7}));
  EXPECT_FALSE(batch.messages(1).has_value());
  EXPECT_FALSE(Take(*plain).messages(0).has_value());
  EXPECT_FALSE(Take(*cuts).messages(0).has_value());
}

}  // namespace
}  // namespace puma::server
