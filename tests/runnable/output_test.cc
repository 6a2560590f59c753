// What a run does with its outputs.
#include <gmock/gmock.h>

#include "tests/runnable/task_fixture.h"

namespace puma {
namespace {

using internal::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Publishes when told to.
class Source : public Runnable {
 public:
  explicit Source(puma::Setup& setup) : out_(setup.Output<int>("out", {.optional = true})) {
    constructed_ = out_.PublishValue(1);
    setup.Command("publish", &Source::Publish, {"value"});
    setup.Command("try", &Source::Try, {"value"});
    setup.Command("wait", &Source::WaitFor, {"value", "timeout"});
    setup.Command("constructed", &Source::Constructed);
    setup.Command("complete", &Source::Complete);
    setup.Command("fail", &Source::FailAtNextTick);
  }

 private:
  absl::Status Publish(int v) { return out_.PublishValue(v); }
  absl::Status Try(int v) { return out_.PublishValue(v, kNoWait); }
  absl::Status WaitFor(int v, absl::Duration timeout) { return out_.PublishValue(v, timeout); }
  absl::Status Constructed() { return constructed_; }
  absl::Status Complete() { return out_.PublishComplete(); }
  absl::Status FailAtNextTick() {
    PUMA_RETURN_IF_ERROR(SetTickInterval(absl::Nanoseconds(1)));
    return ResumeTicks();
  }
  absl::Status OnTick(Timestamp) override { return InvalidArgument("told to fail"); }
  puma::Output<int> out_;
  absl::Status constructed_;
};

// One message out for each that comes in.
class Relay : public Runnable {
 public:
  explicit Relay(puma::Setup& setup) : out_(setup.Output<int>("out")) { setup.Input("in", &Relay::OnValue); }

 private:
  absl::Status OnValue(const int& v) { return out_.PublishValue(v * 10); }
  puma::Output<int> out_;
};

class OutputTest : public TaskFixture {};

TEST_F(OutputTest, IsInertUnlessTheRunnableExecutes) {
  Output("out");
  Start<Source>();
  EXPECT_THAT(Call("constructed", ""), HasSubstr("not in use"));
  EXPECT_EQ(Call("publish", R"({"value": 1})"), "null");
}

TEST_F(OutputTest, UnconnectedItGoesNowhere) {
  Start<Source>();
  EXPECT_EQ(Call("publish", R"({"value": 1})"), "null");
}

TEST_F(OutputTest, ErrorsAreImmediateOnAFullLane) {
  Output("out", "error", 3);
  Start<Source>();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Call("publish", R"({"value": 1})"), "null") << "the capacity is exact";
  EXPECT_THAT(Call("publish", R"({"value": 1})"), HasSubstr("buffer \\\"buffer of out\\\" is full"));
  Reader<int> reader(*this, 900, 500);
  EXPECT_EQ(reader.Take(), 1);
  EXPECT_EQ(Call("publish", R"({"value": 1})"), "null") << "after one was taken exactly one more fits";
  EXPECT_THAT(Call("publish", R"({"value": 1})"), HasSubstr("is full"));
}

TEST_F(OutputTest, WarnAndIgnoreDrop) {
  for (const char* policy : {"warn", "ignore"}) {
    spec_.outputs.clear();
    {
      MutexLock lock(lanes_mutex_);
      lanes_.clear();
    }
    Output("out", policy, 2);
    Start<Source>();
    for (int i = 1; i <= 5; ++i) EXPECT_EQ(Call("publish", "{\"value\": " + std::to_string(i) + "}"), "null");
    EXPECT_EQ(Call("complete", ""), "null") << "a completion always fits";
    Reader<int> reader(*this, 900, 500);
    EXPECT_EQ(reader.Take(), 1);
    EXPECT_EQ(reader.Take(), 2);
    EXPECT_EQ(reader.Take(), std::nullopt);
    runner_ = nullptr;
    host_->ResetSlot(0, 2);
  }
}

TEST_F(OutputTest, DropOldestOverwrites) {
  Output("out", "drop_oldest", 2);
  Start<Source>();
  for (int i = 1; i <= 50; ++i) EXPECT_EQ(Call("publish", R"({"value": 1})"), "null");
}

TEST_F(OutputTest, ATimeoutIsAboveZeroAndIsWaitedFor) {
  Output("out", "block", 1);
  Start<Source>();
  EXPECT_EQ(Call("publish", R"({"value": 1})"), "null");
  EXPECT_THAT(Call("wait", R"({"value": 1, "timeout": "0s"})"), HasSubstr("above zero"));
  EXPECT_THAT(Call("wait", R"({"value": 1, "timeout": "5ms"})"), HasSubstr("full for 5ms"));
  EXPECT_THAT(Call("try", R"({"value": 1})"), HasSubstr("is full"));
}

TEST_F(OutputTest, ASecondCompleteAndAValueAfterItAreErrors) {
  Output("out");
  Start<Source>();
  EXPECT_EQ(Call("complete", ""), "null");
  EXPECT_THAT(Call("complete", ""), HasSubstr("completed already"));
  EXPECT_THAT(Call("publish", R"({"value": 1})"), HasSubstr("has been completed"));
}

TEST_F(OutputTest, ABlockedPublisherGoesOnWhenThereIsRoom) {
  Output("out", "block", 1);
  Start<Source>();
  EXPECT_EQ(Call("publish", R"({"value": 1})"), "null");
  std::thread later([&] {
    absl::SleepFor(absl::Milliseconds(5));
    Reader<int> reader(*this, 900, 500);
    EXPECT_EQ(reader.Take(), 1);
    EXPECT_EQ(reader.Take(), 2);
    while (!ended_.load()) absl::SleepFor(absl::Microseconds(100));
  });
  EXPECT_EQ(Call("publish", R"({"value": 2})"), "null");
  host_->SendStop(0);
  EXPECT_EQ(Join().kind, Outcome::Kind::kStopped);
  later.join();
}

TEST_F(OutputTest, StopInterruptsABlockedPublisherAndTheMessageInHandComesAgain) {
  Input("in", {1});
  Output("out", "block", 1);
  TestPublisher<int> p(1, 10, 1);
  Start<Relay>();
  Attach(p, "in", 0);
  p.Publish(1);
  p.Publish(2);
  ASSERT_TRUE(Eventually([&] { return PageState(0).deliveries == 1 && PageState(0).next == 1; })) << "it is in the second's handler";
  host_->SendStop(0);
  EXPECT_EQ(Join().kind, Outcome::Kind::kStopped);
  EXPECT_EQ(PageState(0).next, 1u);
}

TEST_F(OutputTest, ANormalEndCompletesAndAnErrorDoesNot) {
  Input("in", {1});
  Output("out");
  {
    TestPublisher<int> p(1, 10, 1);
    Start<Relay>();
    Attach(p, "in", 0);
    Reader<int> reader(*this, 900, 500);
    p.Publish(1);
    p.Complete();
    EXPECT_EQ(reader.Take(), 10);
    EXPECT_EQ(reader.Take(), std::nullopt);
    EXPECT_TRUE(reader.completed());
    EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  }
  spec_.inputs.clear();
  {
    MutexLock lock(lanes_mutex_);
    lanes_.clear();
  }
  Start<Source>();
  Reader<int> reader(*this, 900, 500);
  EXPECT_EQ(Call("fail", ""), "null");
  const Outcome outcome = Join();
  EXPECT_EQ(outcome.kind, Outcome::Kind::kFailed);
  EXPECT_EQ(outcome.error.message(), "told to fail");
  EXPECT_TRUE(reader.empty()) << "the host completes the lane, once the task has failed for good";
}

TEST_F(OutputTest, AMessageCarriesItsCauseAndItsDoubt) {
  Input("in", {1});
  Output("out");
  TestPublisher<int> p(1, 10, 1);
  Start<Relay>();
  Attach(p, "in", 0);
  Reader<int> reader(*this, 900, 500);
  p.Publish(1);
  p.Publish(2, 5, kFlagRedelivered);
  Annotation a{};
  EXPECT_EQ(reader.Take(&a), 10);
  EXPECT_EQ(a.cause_lane, 10u);
  EXPECT_EQ(a.cause_number, 0u);
  EXPECT_EQ(a.cause_epoch, 1u);
  EXPECT_EQ(a.flags & kFlagRedelivered, 0u);
  const int64_t first = a.published_ns;
  EXPECT_EQ(reader.Take(&a), 20);
  EXPECT_EQ(a.cause_number, 1u);
  EXPECT_NE(a.flags & kFlagRedelivered, 0u) << "a duplicate of a duplicate may be one";
  EXPECT_GT(a.published_ns, first);
}

TEST_F(OutputTest, OfSeveralLanesTheLeastFilledLivingOneIsChosen) {
  Output("out", "error", 4, /*lanes=*/2);
  Start<Source>();
  ASSERT_TRUE(Runs());
  Reader<int> a(*this, 900, 500), b(*this, 901, 501);
  for (int i = 1; i <= 4; ++i) EXPECT_EQ(Call("publish", R"({"value": 7})"), "null");
  EXPECT_EQ(a.Take(), 7);
  EXPECT_EQ(a.Take(), 7);
  EXPECT_TRUE(a.empty()) << "two each";
  EXPECT_EQ(Call("publish", R"({"value": 8})"), "null");
  EXPECT_EQ(a.Take(), 8) << "the emptier one";
  runner_->GateDown(900, 500, control::GateChange::kDown);
  EXPECT_EQ(Call("publish", R"({"value": 9})"), "null");
  EXPECT_EQ(Call("publish", R"({"value": 9})"), "null");
  EXPECT_TRUE(a.empty()) << "the living one";
  EXPECT_THAT(Call("publish", R"({"value": 9})"), HasSubstr("is full")) << "there is a living one: it is not left out";
  runner_->GateDown(901, 501, control::GateChange::kDown);
  EXPECT_EQ(Call("publish", R"({"value": 10})"), "null") << "none is living: then the emptier one";
  EXPECT_EQ(a.Take(), 10);
}

// Publishes texts of the size that it is told.
class Speaker : public Runnable {
 public:
  explicit Speaker(puma::Setup& setup) : out_(setup.Output<std::string>("out")) { setup.Command("say", &Speaker::Say, {"bytes"}); }

 private:
  absl::Status Say(int bytes) { return out_.PublishValue(std::string(static_cast<size_t>(bytes), 'x')); }
  puma::Output<std::string> out_;
};

TEST_F(OutputTest, AMessageTooLargeGoesIntoALargerLaneUpToTheLimit) {
  Output("out", "block", 8);
  spec_.outputs[0].payload_bytes = 4096;
  spec_.outputs[0].max_bytes = 1 << 20;
  spec_.outputs[0].lanes[0].spares = {910, 920};
  Start<Speaker>();
  ASSERT_TRUE(Runs());
  EXPECT_EQ(Call("say", R"({"bytes": 2048})"), "null");
  EXPECT_EQ(LaneFd(910), -1);
  EXPECT_EQ(Call("say", R"({"bytes": 2049})"), "null");
  ASSERT_NE(LaneFd(910), -1);
  EXPECT_EQ(Call("say", R"({"bytes": 5000})"), "null") << "into the last one, which has the whole size";
  EXPECT_EQ(Call("say", R"({"bytes": 524288})"), "null");
  EXPECT_THAT(Call("say", R"({"bytes": 524289})"), HasSubstr("takes 524288 at most (half of its max_bytes)"));
  std::vector<size_t> sizes;
  for (uint64_t lane : {900, 910, 920}) {
    Reader<std::string> reader(*this, lane, 500, sizes.size());  // the numbers go on
    while (!reader.empty()) sizes.push_back(reader.Take()->size());
  }
  EXPECT_THAT(sizes, ElementsAre(2048, 2049, 5000, 524288));
}

TEST_F(OutputTest, WhoGatedTheOldLaneGatesTheLargerOneFromItsBeginning) {
  Output("out", "error", 2);
  spec_.outputs[0].payload_bytes = 4096;
  spec_.outputs[0].max_bytes = 1 << 20;
  spec_.outputs[0].lanes[0].spares = {910};
  Start<Speaker>();
  ASSERT_TRUE(Runs());
  EXPECT_EQ(Call("say", R"({"bytes": 10})"), "null");
  EXPECT_EQ(Call("say", R"({"bytes": 9000})"), "null");
  EXPECT_EQ(Call("say", R"({"bytes": 10})"), "null");
  EXPECT_THAT(Call("say", R"({"bytes": 10})"), HasSubstr("is full"));
  runner_->GateDown(910, 500, control::GateChange::kRemoved);
  EXPECT_EQ(Call("say", R"({"bytes": 10})"), "null");
}

}  // namespace
}  // namespace puma
