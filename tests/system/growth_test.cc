// Messages that are too large for their lane: the publisher goes on in a larger one, and nothing is lost on the way.
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using Heard = std::vector<std::pair<int, int>>;  // numbers and sizes

class GrowthTest : public HostTest {
 protected:
  void SetUp() override { StartHost(); }
  // Listeners are declared behind it.
  std::string Spec(const std::string& talker = "") {
    return absl::StrCat(R"(
pipeline: p
modules: [flow]
buffers: {texts: {capacity: 64KiB, max_bytes: 1MiB}}
tasks:
  talker: {type: flow.Talker, outputs: {texts: texts})",
                        talker, "}\n");
  }
  std::string Listener(const std::string& name, const std::string& more = "") {
    return absl::StrCat("  ", name, ": {type: flow.Listener, inputs: {in: texts}, params: {path: ", Directory(), "/", name, "}", more,
                        "}\n");
  }
  bool Runs(const std::string& task) { return WaitForState(task, v1::TASK_STATE_RUNNING); }
  absl::Status Say(int number, int bytes) {
    const absl::Status said = Call("p/talker", "say", {{"number", Of(number)}, {"bytes", Of(bytes)}}).status();
    if (said.ok()) said_.emplace_back(number, bytes);
    return said;
  }
  // Three parts: each of them holds several messages, of all sizes up to its own.
  void SayThreeParts() {
    for (int bytes : {1000, 30'000, 2000, 100'000, 1000, 50'000, 400'000, 1000, 500'000, 3000}) ASSERT_TRUE(Say(next_++, bytes).ok());
  }
  Heard HeardBy(const std::string& name) {
    std::ifstream file(Directory() + "/" + name);
    Heard heard;
    for (int number, bytes; file >> number >> bytes;) heard.emplace_back(number, bytes);
    return heard;
  }
  std::vector<v1::LaneStatus> Lanes() {
    v1::GetBufferRequest request;
    request.set_name("pipelines/p/buffers/texts");
    absl::StatusOr<v1::GetBufferResponse> response = client().GetBuffer(request);
    if (!response.ok()) return {};
    return {response->buffer().lanes().begin(), response->buffer().lanes().end()};
  }
  int next_ = 0;
  Heard said_;
};

TEST_F(GrowthTest, ALargeMessageGoesIntoALargerLaneAndTheOldOneIsLetGoWhenItIsDrained) {
  ASSERT_TRUE(Apply(absl::StrCat(Spec(), Listener("ear"))).ok());
  ASSERT_TRUE(Runs("p/talker") && Runs("p/ear"));
  SayThreeParts();
  const absl::Status refused = Say(99, 600'000);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(refused.message(), "\"texts\" takes 524288 at most")) << refused;
  ASSERT_TRUE(Eventually([&] { return HeardBy("ear") == said_; })) << HeardBy("ear").size();
  EXPECT_TRUE(Eventually([&] { return Lanes().size() == 1 && Lanes()[0].part() == 2; }));
  EXPECT_EQ(Lanes()[0].epoch(), 1u);
  EXPECT_EQ(Task("p/talker").status().run(), 1);
}

TEST_F(GrowthTest, AThreadThatGrowsAndCompletesAtOnceLeavesNothingBehind) {
  ASSERT_TRUE(Apply(absl::StrCat(Spec(", placement: thread"), Listener("ear", ", placement: thread"))).ok());
  ASSERT_TRUE(Runs("p/talker") && Runs("p/ear"));
  SayThreeParts();
  ASSERT_TRUE(Call("p/talker", "complete").ok());
  EXPECT_TRUE(WaitForState("p/ear", v1::TASK_STATE_SUCCEEDED)) << Task("p/ear").DebugString();
  EXPECT_EQ(HeardBy("ear"), said_);
}

TEST_F(GrowthTest, AReaderThatWasAwayAndAHostThatWasKilledFindAllPartsInOrder) {
  ASSERT_TRUE(Apply(absl::StrCat(Spec(), Listener("ear"))).ok());
  ASSERT_TRUE(Runs("p/talker") && Runs("p/ear"));
  ASSERT_TRUE(Say(next_++, 1000).ok());
  ASSERT_TRUE(Eventually([&] { return HeardBy("ear") == said_; }));
  ASSERT_EQ(Ctl({"stop", "p/ear"}).code, 0);
  ASSERT_TRUE(WaitForState("p/ear", v1::TASK_STATE_STOPPED));
  SayThreeParts();
  KillHost();
  EXPECT_TRUE(Eventually([&] { return Lanes().size() == 3; })) << "undrained parts are kept";
  ASSERT_EQ(Ctl({"start", "p/ear"}).code, 0);
  EXPECT_TRUE(Eventually([&] { return HeardBy("ear") == said_; })) << HeardBy("ear").size();
  EXPECT_TRUE(Eventually([&] { return Lanes().size() == 1; }));
}

TEST_F(GrowthTest, WhatAKilledPublisherLeftInItsPartsIsReadBeforeItsNextRun) {
  ASSERT_TRUE(Apply(absl::StrCat(Spec(", restart: {backoff: {initial: 10ms}}"), Listener("ear", ", stopped: true"))).ok());
  ASSERT_TRUE(Runs("p/talker"));
  ASSERT_TRUE(Say(next_++, 1000).ok());
  ASSERT_TRUE(Say(next_++, 100'000).ok());
  ASSERT_TRUE(KillProcess(Task("p/talker").status().pid()));
  ASSERT_TRUE(Eventually([&] { return Task("p/talker").status().run() == 2 && Runs("p/talker"); }));
  ASSERT_TRUE(Say(next_++, 2000).ok());
  ASSERT_TRUE(Say(next_++, 300'000).ok());
  ASSERT_EQ(Ctl({"start", "p/ear"}).code, 0);
  EXPECT_TRUE(Eventually([&] { return HeardBy("ear") == said_; })) << HeardBy("ear").size();
}

TEST_F(GrowthTest, AKilledReaderGoesOnInThePartWhereItWas) {
  ASSERT_TRUE(Apply(absl::StrCat(Spec(), Listener("ear", ", restart: {backoff: {initial: 10ms}}"))).ok());
  ASSERT_TRUE(Runs("p/talker") && Runs("p/ear"));
  ASSERT_TRUE(Say(next_++, 1000).ok());
  ASSERT_TRUE(Say(next_++, 100'000).ok());
  ASSERT_TRUE(Eventually([&] { return HeardBy("ear") == said_; }));
  ASSERT_TRUE(KillProcess(Task("p/ear").status().pid()));
  ASSERT_TRUE(Say(next_++, 1000).ok());
  ASSERT_TRUE(Say(next_++, 500'000).ok());
  ASSERT_TRUE(Say(next_++, 1000).ok());
  ASSERT_TRUE(Eventually([&] { return HeardBy("ear").size() >= said_.size(); }));
  const Heard heard = HeardBy("ear");
  EXPECT_EQ(std::set(heard.begin(), heard.end()), std::set(said_.begin(), said_.end()));
  EXPECT_LE(heard.size(), said_.size() + 1) << "at most the one that it had in hand came twice";
}

TEST_F(GrowthTest, AllLanesOfReplicasGrowTogetherAndALateJoinerGetsAllParts) {
  const std::string spec = absl::StrCat(Spec(), Listener("ear", ", replicas: 2"), Listener("away", ", stopped: true"));
  ASSERT_TRUE(Apply(spec).ok());
  for (const char* task : {"p/talker", "p/ear.0", "p/ear.1"}) ASSERT_TRUE(Runs(task)) << task;
  SayThreeParts();
  ASSERT_TRUE(Eventually([&] { return HeardBy("ear").size() == said_.size(); }));
  const Heard heard = HeardBy("ear");
  EXPECT_EQ(std::set(heard.begin(), heard.end()), std::set(said_.begin(), said_.end()));
  EXPECT_TRUE(Eventually([&] { return Lanes().size() == 6; })) << "one reader is away: " << Lanes().size();
  ASSERT_TRUE(Apply(absl::StrCat(spec, Listener("late"))).ok());
  EXPECT_TRUE(Eventually([&] { return HeardBy("late").size() == said_.size(); })) << HeardBy("late").size();
  ASSERT_EQ(Ctl({"start", "p/away"}).code, 0);
  ASSERT_TRUE(Eventually([&] { return HeardBy("away").size() == said_.size(); })) << HeardBy("away").size();
  for (const char* name : {"late", "away"}) {
    const Heard all = HeardBy(name);
    EXPECT_EQ(std::set(all.begin(), all.end()), std::set(said_.begin(), said_.end())) << name;
  }
  EXPECT_TRUE(Eventually([&] { return Lanes().size() == 2; }));
}

}  // namespace
}  // namespace puma::system_test
