// Clients that look at the messages of a buffer, at a real host.
#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <optional>
#include <set>

#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using ::testing::HasSubstr;

// What a tap has brought so far. It stands for one client and one lane unless a test says otherwise.
class Tap {
 public:
  Tap(client::Client& host, const v1::TapBufferRequest& request)
      : stream_(host.TapBuffer(request, {.deadline = absl::Now() + absl::Minutes(2)})) {
    Read();  // the first batch: from here on it is open
  }
  // False: the stream is over; `status` says why.
  bool Read() {
    auto batch = stream_->Next();
    if (!batch.ok() || !batch->has_value()) {
      status = batch.status();
      return false;
    }
    for (const v1::TappedMessage& message : (*batch)->messages()) {
      EXPECT_LT(static_cast<int>(message.lane()), (*batch)->lanes_size());
      messages.push_back(message);
      lanes.push_back((*batch)->lanes(static_cast<int>(message.lane())));
      numbers.insert(message.number());
    }
    for (const v1::TappedGap& gap : (*batch)->gaps()) {
      EXPECT_EQ(gap.gap().count(), gap.gap().last() - gap.gap().first() + 1) << gap.DebugString();
      reasons.insert(gap.gap().reason());
      for (uint64_t missed = gap.gap().first(); missed <= gap.gap().last(); ++missed) missing.insert(missed);
    }
    for (const v1::TappedEnd& end : (*batch)->ends()) ends.push_back(end);
    return true;
  }
  bool ReadUntil(const std::function<bool()>& condition) {
    while (!condition()) {
      if (!Read()) return false;
    }
    return true;
  }

  std::vector<v1::TappedMessage> messages;
  std::vector<v1::TappedLane> lanes;  // of each message
  std::set<uint64_t> numbers, missing;
  std::set<std::string> reasons;  // of gaps
  std::vector<v1::TappedEnd> ends;
  absl::Status status;

 private:
  std::unique_ptr<client::Stream<v1::TapBufferResponse>> stream_;
};

int64_t ValueOf(const v1::TappedMessage& message) {
  int64_t value = -1;
  if (message.payload().size() == sizeof value) std::memcpy(&value, message.payload().data(), sizeof value);
  return value;
}

class TapTest : public HostTest {
 protected:
  static v1::TapBufferRequest Request(const std::string& buffer) {
    v1::TapBufferRequest request;
    request.set_name(buffer);
    return request;
  }
  void StartTeller() {
    StartHost();
    ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 64}}
tasks:
  teller: {type: flow.Teller, outputs: {numbers: raw}}
  collector: {type: flow.Collector, inputs: {in: raw}}
)")
                    .ok());
    ASSERT_TRUE(WaitForState("p/teller", v1::TASK_STATE_RUNNING));
    ASSERT_TRUE(WaitForState("p/collector", v1::TASK_STATE_RUNNING));
  }
  void Tell(int first, int count) {
    const auto told = Call("p/teller", "tell", {{"first", Of(first)}, {"count", Of(count)}});
    ASSERT_TRUE(told.ok()) << told.status();
  }
  const std::string raw_ = "pipelines/p/buffers/raw";
};

TEST_F(TapTest, ShowsWhatIsInStructsAndProtobufMessages) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [described]
buffers: {poses: {on_full: drop_oldest}, durations: {on_full: drop_oldest}}
tasks:
  poser: {type: described.Poser, outputs: {poses: poses, durations: durations}}
)")
                  .ok());
  ASSERT_TRUE(WaitForState("p/poser", v1::TASK_STATE_RUNNING));
  v1::TapBufferRequest request = Request("pipelines/p/buffers/poses");
  request.set_render(true);
  request.set_oldest(true);
  Tap poses(client(), request);
  request.set_name("pipelines/p/buffers/durations");
  Tap durations(client(), request);
  ASSERT_TRUE(Call("p/poser", "pose", {{"x", Of(7)}}).ok());
  ASSERT_TRUE(poses.ReadUntil([&] { return !poses.messages.empty(); })) << poses.status;
  const auto& fields = poses.messages[0].value().struct_value().fields();
  EXPECT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields.at("x").number_value(), 7);
  EXPECT_EQ(fields.at("frame").string_value(), "map");
  ASSERT_TRUE(durations.ReadUntil([&] { return !durations.messages.empty(); })) << durations.status;
  EXPECT_EQ(durations.messages[0].value().string_value(), "7s");

  const std::string described = Ctl({"describe", "type", "described.Poser"}).out;
  EXPECT_THAT(described, HasSubstr("{x: double, y: double, frame: char[8]}"));
  EXPECT_THAT(described, HasSubstr("(google.protobuf.Duration)"));
  v1::GetTypeRequest get;
  get.set_name("types/described.Poser");
  const auto type = client().GetType(get);
  EXPECT_THAT(type->type().outputs(1).schema().protobuf().descriptors(), HasSubstr("google/protobuf/duration.proto"));
  EXPECT_EQ(client().ListTypes()->types(0).outputs(1).schema().protobuf().descriptors(), "");
}

TEST_F(TapTest, SeesWhatIsPublishedAndWhoPublishedIt) {
  StartTeller();
  Tell(0, 3);
  v1::TapBufferRequest request = Request(raw_);
  request.set_render(true);
  Tap tap(client(), request);
  const int64_t before = absl::ToUnixNanos(absl::Now() - absl::Minutes(5));
  Tell(100, 10);
  ASSERT_TRUE(tap.ReadUntil([&] { return tap.messages.size() >= 10; })) << tap.status;
  ASSERT_EQ(tap.messages.size(), 10u) << "none of before";
  EXPECT_TRUE(tap.missing.empty());
  for (int i = 0; i < 10; ++i) {
    const v1::TappedMessage& message = tap.messages[static_cast<size_t>(i)];
    EXPECT_EQ(ValueOf(message), 100 + i);
    EXPECT_EQ(message.number(), tap.messages[0].number() + static_cast<uint64_t>(i));
    EXPECT_EQ(message.size(), 8u);
    EXPECT_GT(message.time_unix_nanos(), before);
    EXPECT_FALSE(message.redelivered());
    EXPECT_EQ(message.value().number_value(), 100 + i);
  }
  EXPECT_EQ(tap.lanes[0].publisher(), "pipelines/p/tasks/teller");
  EXPECT_EQ(tap.lanes[0].port(), "numbers");
  EXPECT_EQ(tap.lanes[0].epoch(), 1u);
  EXPECT_TRUE(Eventually([&] { return Number("p/collector", "total") == 13; })) << "a tap takes nothing away";
}

TEST_F(TapTest, SamplesCutsAndBeginsWithTheOldest) {
  StartTeller();
  Tell(0, 20);
  v1::TapBufferRequest request = Request(raw_);
  request.set_every(5);
  request.set_max_bytes(2);
  request.set_oldest(true);
  request.set_publisher("pipelines/p/tasks/teller");
  Tap tap(client(), request);
  ASSERT_TRUE(tap.ReadUntil([&] { return tap.messages.size() >= 4; })) << tap.status;
  ASSERT_EQ(tap.messages.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(tap.messages[i].size(), 8u);
    EXPECT_EQ(tap.messages[i].payload(), std::string({static_cast<char>(5 * i), '\0'}));
  }
  EXPECT_TRUE(tap.missing.empty()) << "what is sampled out is not missed";
}

TEST_F(TapTest, GoesOnInThePublishersNextRunAndSeesItsCompletion) {
  StartTeller();
  Tap tap(client(), Request(raw_));
  Tell(1, 1);
  ASSERT_TRUE(KillProcess(Task("p/teller").status().pid()));
  ASSERT_TRUE(Eventually([&] { return Task("p/teller").status().run() == 2; }));
  ASSERT_TRUE(WaitForState("p/teller", v1::TASK_STATE_RUNNING));
  Tell(2, 1);
  ASSERT_TRUE(Call("p/teller", "complete").ok());
  ASSERT_TRUE(tap.ReadUntil([&] { return !tap.ends.empty(); })) << tap.status;
  ASSERT_EQ(tap.messages.size(), 2u);
  EXPECT_EQ(ValueOf(tap.messages[0]), 1);
  EXPECT_EQ(ValueOf(tap.messages[1]), 2);
  EXPECT_EQ(tap.lanes[0].epoch(), 1u);
  EXPECT_EQ(tap.lanes[1].epoch(), 2u);
  EXPECT_EQ(tap.ends[0].error(), "");
}

TEST_F(TapTest, ReadsWhatIsLeftOfAPublisherThatHasEnded) {
  StartTeller();
  Tap tap(client(), Request(raw_));
  ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 64}}
tasks:
  teller: {type: flow.Teller, outputs: {numbers: raw}}
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 50}}
  collector: {type: flow.Collector, inputs: {in: raw}}
)")
                  .ok());
  ASSERT_TRUE(tap.ReadUntil([&] { return !tap.ends.empty(); })) << tap.status;
  EXPECT_EQ(tap.numbers.size(), 50u) << "all lie there at once";
  EXPECT_TRUE(tap.missing.empty());
  EXPECT_EQ(tap.lanes[0].publisher(), "pipelines/p/tasks/counter");
}

// A client that does not read, while far more passes than any connection buffers.
class StuckTapTest : public TapTest {
 protected:
  static constexpr int kTexts = 240;
  void StartTalker() {
    StartHost();
    ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 4MiB}}
tasks:
  talker: {type: flow.Talker, outputs: {texts: raw}}
  listener: {type: flow.Listener, inputs: {in: raw}, params: {path: )" +
                      Directory() + "/heard}}\n")
                    .ok());
    ASSERT_TRUE(WaitForState("p/talker", v1::TASK_STATE_RUNNING));
    ASSERT_TRUE(WaitForState("p/listener", v1::TASK_STATE_RUNNING));
  }
  v1::TapBufferRequest Wide() const {
    v1::TapBufferRequest request = Request(raw_);
    request.set_max_bytes(1 << 20);
    return request;
  }
  void Say(int number) {
    const auto said = Call("p/talker", "say", {{"number", Of(number)}, {"bytes", Of(256 << 10)}});
    ASSERT_TRUE(said.ok()) << said.status();
  }
  int Heard() const {
    std::ifstream file(Directory() + "/heard");
    int lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    return lines;
  }
};

TEST_F(StuckTapTest, HoldsNobodyUpAndIsToldExactlyWhatItMissed) {
  StartTalker();
  Tap tap(client(), Wide());
  for (int i = 0; i < kTexts; ++i) Say(i);
  ASSERT_TRUE(Eventually([&] { return Heard() == kTexts; })) << "the tap is not read";
  ASSERT_TRUE(Call("p/talker", "complete").ok());
  ASSERT_TRUE(tap.ReadUntil([&] { return !tap.ends.empty(); })) << tap.status;
  EXPECT_FALSE(tap.missing.empty());
  EXPECT_EQ(tap.numbers.size(), tap.messages.size()) << "none comes twice";
  EXPECT_EQ(tap.numbers.size() + tap.missing.size(), static_cast<size_t>(kTexts));
  for (const v1::TappedMessage& message : tap.messages) {
    EXPECT_FALSE(tap.missing.contains(message.number()));
    EXPECT_EQ(message.payload().substr(0, message.payload().find(' ')), std::to_string(message.number() - *tap.numbers.begin()));
    EXPECT_EQ(message.payload().size(), size_t{256} << 10);
  }
}

// How many lanes a process maps.
int LanesMapped(int64_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find("memfd:puma-lane") != std::string::npos;
  return count;
}

TEST_F(StuckTapTest, DoesNotKeepTheLanesOfDeadRuns) {
  StartTalker();
  const auto host = client().GetHost();
  ASSERT_TRUE(host.ok());
  const int64_t pid = host->host().pid();
  ASSERT_EQ(LanesMapped(pid), 1);
  Tap tap(client(), Wide());
  for (int i = 0; i < kTexts; ++i) Say(i);
  for (int run = 2; run < 5; ++run) {
    ASSERT_TRUE(KillProcess(Task("p/talker").status().pid()));
    ASSERT_TRUE(Eventually([&] { return Task("p/talker").status().run() == run; }));
    ASSERT_TRUE(WaitForState("p/talker", v1::TASK_STATE_RUNNING));
    Say(run);
  }
  EXPECT_TRUE(Eventually([&] { return LanesMapped(pid) == 1; })) << LanesMapped(pid);
  ASSERT_TRUE(tap.ReadUntil([&] { return !tap.lanes.empty() && tap.lanes.back().epoch() == 4; })) << tap.status;
  EXPECT_TRUE(tap.reasons.contains("the lane is gone")) << "or the tap was not stuck";
  EXPECT_EQ(tap.messages.back().payload().substr(0, 2), "4 ") << "the living run's lane was kept";
}

TEST_F(TapTest, EndsWithItsBufferAndSaysWhatIsWrong) {
  StartTeller();
  Tap nowhere(client(), Request("pipelines/p/buffers/row"));
  EXPECT_EQ(nowhere.status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(nowhere.status.message(), HasSubstr("raw")) << "it proposes one";
  v1::TapBufferRequest request = Request(raw_);
  request.set_publisher("pipelines/p/tasks/collector");
  Tap reader(client(), request);
  EXPECT_EQ(reader.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(reader.status.message(), HasSubstr("has no output that leads to this buffer"));
  request.set_publisher("pipelines/p/tasks/nobody");
  EXPECT_EQ(Tap(client(), request).status.code(), absl::StatusCode::kNotFound);

  Tap tap(client(), Request(raw_));
  v1::DeletePipelineRequest deletion;
  deletion.set_name("pipelines/p");
  ASSERT_TRUE(client().DeletePipeline(deletion).ok());
  while (tap.Read()) {
  }
  EXPECT_EQ(tap.status.code(), absl::StatusCode::kNotFound) << tap.status;
  EXPECT_THAT(tap.status.message(), HasSubstr("was deleted"));
}

TEST_F(TapTest, IsAlsoACommand) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 64KiB}}
tasks:
  talker: {type: flow.Talker, outputs: {texts: raw}}
  listener: {type: flow.Listener, inputs: {in: raw}}
)")
                  .ok());
  ASSERT_TRUE(WaitForState("p/talker", v1::TASK_STATE_RUNNING));
  ASSERT_TRUE(Call("p/talker", "say", {{"number", Of(1)}, {"bytes", Of(4)}}).ok());
  ASSERT_TRUE(Call("p/talker", "say", {{"number", Of(2)}, {"bytes", Of(1000)}}).ok());
  const Ran text = Ctl({"tap", "p/raw", "--oldest", "-n", "2", "--publisher", "talker", "--max-bytes", "4"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("p/talker[1] #0 4 B  \"1 xx\"\n"));
  EXPECT_THAT(text.out, HasSubstr("p/talker[1] #1 1000 B  \"2 xx\" ...\n"));
  EXPECT_THAT(Ctl({"tap", "p/raw", "--oldest", "-n", "1", "--hex"}).out, HasSubstr("31 20 78 78"));
  const Ran json = Ctl({"tap", "p/raw", "--oldest", "-n", "1", "-o", "json"});
  EXPECT_THAT(json.out, HasSubstr("\"publisher\":\"pipelines/p/tasks/talker\"")) << json.out;
  EXPECT_THAT(json.out, HasSubstr("MSB4eA==")) << "1 xx in base64";
  EXPECT_EQ(Ctl({"tap", "raw", "-n", "1"}).code, 2);
  EXPECT_EQ(Ctl({"tap", "p/nothing", "-n", "1"}).code, 1);
}

}  // namespace
}  // namespace puma::system_test
