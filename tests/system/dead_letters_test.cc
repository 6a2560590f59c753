// Messages that end the runs that handle them.
#include <cstring>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class DeadLettersTest : public HostTest {
 protected:
  void SetUp() override { StartHost(); }
  std::vector<v1::DeadLetter> Letters(const std::string& pipeline) {
    v1::ListDeadLettersRequest request;
    request.set_parent("pipelines/" + pipeline);
    absl::StatusOr<v1::ListDeadLettersResponse> response = client().ListDeadLetters(request);
    if (!response.ok()) return {};
    return {response->dead_letters().begin(), response->dead_letters().end()};
  }
  std::set<long> DistinctIn(const std::string& name) {
    std::ifstream file(Directory() + "/" + name);
    std::set<long> numbers;
    for (long number; file >> number;) numbers.insert(number);
    return numbers;
  }
  std::string Spec(const std::string& relay) {
    return absl::StrCat(R"(
pipeline: p
modules: [flow]
buffers:
  raw: {capacity: 64KiB}
  done: {capacity: 64KiB}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 100}}
  relay: {type: flow.Relay, inputs: {in: raw}, outputs: {out: done}, restart: {backoff: {initial: 10ms}}, )",
                        relay, R"(}
  collector: {type: flow.Collector, inputs: {in: done}, params: {path: )",
                        Directory(), "/numbers}}\n");
  }
};

int64_t NumberIn(const v1::DeadLetter& letter) {
  int64_t number = 0;
  std::memcpy(&number, letter.payload().data(), std::min(sizeof(number), letter.payload().size()));
  return number;
}

TEST_F(DeadLettersTest, AMessageThatCrashesEachRunIsKeptOnceWithItsCauseThoughTheHostIsKilledMeanwhile) {
  ASSERT_TRUE(Apply(Spec("params: {poison: 42}")).ok());
  for (int i = 0; i < 3; ++i) KillHost();
  ASSERT_TRUE(WaitForState("p/collector", v1::TASK_STATE_SUCCEEDED)) << Task("p/relay").DebugString();
  EXPECT_EQ(DistinctIn("numbers").size(), 99u);
  const std::vector<v1::DeadLetter> letters = Letters("p");
  ASSERT_EQ(letters.size(), 1u);
  const v1::DeadLetter& letter = letters[0];
  EXPECT_EQ(letter.task(), "pipelines/p/tasks/relay");
  EXPECT_EQ(letter.port(), "in");
  EXPECT_EQ(letter.buffer(), "pipelines/p/buffers/raw");
  EXPECT_EQ(letter.publisher(), "pipelines/p/tasks/counter");
  EXPECT_GE(letter.epoch(), 1u);  // a host that died before it could start the run it had written down has used one up
  EXPECT_EQ(letter.number(), 42u);
  EXPECT_EQ(letter.deliveries(), 5u);
  EXPECT_EQ(letter.cause().cause(), v1::EXIT_CAUSE_SIGNAL);
  EXPECT_EQ(letter.cause().signal(), 6);
  EXPECT_EQ(letter.payload_bytes(), sizeof(int64_t));
  EXPECT_EQ(NumberIn(letter), 42);
  EXPECT_TRUE(absl::StrContains(Ctl({"logs", "--history", "-1", "--level", "warn", "p/relay"}).out, "dead letter"));
  const Ran table = Ctl({"get", "dead-letters", "p"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_TRUE(absl::StrContains(table.out, "p/relay")) << table.out;
  EXPECT_TRUE(absl::StrContains(table.out, "SIGABRT")) << table.out;
  EXPECT_TRUE(absl::StrContains(Ctl({"get", "dead-letters", "-o", "json"}).out, "\"number\": \"42\""));
  v1::GetBufferRequest request;
  request.set_name("pipelines/p/buffers/raw");
  EXPECT_EQ(client().GetBuffer(request)->buffer().subscriptions(0).dead_letters(), 1u);
  KillHost();
  EXPECT_EQ(Letters("p").size(), 1u) << "it is in the journal";
  ASSERT_EQ(Ctl({"delete", "pipeline", "p"}).code, 0);
  EXPECT_TRUE(Eventually([&] { return client().ListPipelines()->pipelines_size() == 0; }));
  EXPECT_EQ(client().ListDeadLetters()->dead_letters_size(), 0);
}

TEST_F(DeadLettersTest, AHandlersErrorLeavesItsMessageUnfinishedUntilItIsGivenUp) {
  ASSERT_TRUE(Apply(Spec("params: {refuse: 7}, max_deliveries: 3")).ok());
  ASSERT_TRUE(WaitForState("p/collector", v1::TASK_STATE_SUCCEEDED)) << Task("p/relay").DebugString();
  EXPECT_EQ(DistinctIn("numbers").size(), 99u);
  const std::vector<v1::DeadLetter> letters = Letters("p");
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(NumberIn(letters[0]), 7);
  EXPECT_EQ(letters[0].deliveries(), 3u);
  EXPECT_EQ(letters[0].cause().cause(), v1::EXIT_CAUSE_ERROR);
  EXPECT_EQ(letters[0].cause().error().code(), "INVALID_ARGUMENT");
  EXPECT_EQ(letters[0].cause().error().message(), "it is refused");
  EXPECT_EQ(Task("p/relay").status().run(), 4);
}

TEST_F(DeadLettersTest, WithoutALimitItIsHandedOutForEver) {
  ASSERT_TRUE(Apply(Spec("params: {refuse: 7}, max_deliveries: 0")).ok());
  EXPECT_TRUE(Eventually([&] { return Task("p/relay").status().run() >= 8; })) << Task("p/relay").DebugString();
  EXPECT_TRUE(Letters("p").empty());
}

TEST_F(DeadLettersTest, WhoOnlySharesItsWorkerWithTheCulpritIsNotBlamedForWhatItHasInHand) {
  ASSERT_TRUE(Apply(absl::StrCat(R"(
pipeline: p
modules: [flow]
buffers:
  bad: {capacity: 64KiB}
  none: {capacity: 64KiB}
  good: {capacity: 64KiB}
tasks:
  trouble: {type: flow.Counter, outputs: {numbers: bad}, params: {count: 1}}
  culprit: {type: flow.Relay, placement: thread, inputs: {in: bad}, outputs: {out: none}, params: {poison: 0, work: 100ms}, restart: {backoff: {initial: 10ms, max: 10ms}}}
  counter: {type: flow.Counter, outputs: {numbers: good}, params: {count: 20}}
  sibling: {type: flow.Collector, placement: thread, inputs: {in: good}, max_deliveries: 1, params: {work: 60ms, path: )",
                                 Directory(), "/numbers}}\n"))
                  .ok());
  ASSERT_TRUE(WaitForState("p/sibling", v1::TASK_STATE_SUCCEEDED)) << Task("p/sibling").DebugString();
  ASSERT_TRUE(WaitForState("p/culprit", v1::TASK_STATE_SUCCEEDED)) << Task("p/culprit").DebugString();
  EXPECT_EQ(DistinctIn("numbers").size(), 20u);
  const std::vector<v1::DeadLetter> letters = Letters("p");
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].task(), "pipelines/p/tasks/culprit");
}

// Nobody knows which task of a group ended its process: what each had in hand is marked, and counts for none.
TEST_F(DeadLettersTest, AGroupWorkerThatIsKilledFromOutsideIsNobodysFault) {
  const auto task = [&](const std::string& name) {
    return absl::StrCat("  ", name, ": {type: flow.Relay, placement: thread, inputs: {in: raw-", name, "}, outputs: {out: none-", name,
                        "}, max_deliveries: 1, restart: {backoff: {initial: 10ms, max: 10ms}}, params: {gate: ", Directory(), "/", name,
                        "}}\n");
  };
  const absl::Status applied = Apply(absl::StrCat(R"(
pipeline: p
modules: [flow]
buffers: {raw-one: {capacity: 64KiB}, raw-two: {capacity: 64KiB}, none-one: {capacity: 64KiB}, none-two: {capacity: 64KiB}}
tasks:
  first: {type: flow.Counter, outputs: {numbers: raw-one}, params: {count: 5}}
  second: {type: flow.Counter, outputs: {numbers: raw-two}, params: {count: 5}}
)",
                                                  task("one"), task("two")));
  ASSERT_TRUE(applied.ok()) << applied;
  const auto waits = [&](const std::string& name) {
    std::ifstream file(Directory() + "/" + name + ".waits");
    std::string line;
    size_t lines = 0;
    while (std::getline(file, line)) ++lines;
    return lines;
  };
  for (size_t run = 1; run <= 3; ++run) {
    ASSERT_TRUE(Eventually([&] { return waits("one") == run && waits("two") == run; })) << "both have their first message in hand";
    ASSERT_EQ(Task("p/one").status().pid(), Task("p/two").status().pid());
    if (run <= 2) {
      ASSERT_TRUE(KillProcess(Task("p/one").status().pid()));
    }
  }
  for (const std::string name : {"one", "two"}) {
    const v1::RunExit exit = Task("p/" + name).status().last_exit();
    EXPECT_EQ(exit.cause(), v1::EXIT_CAUSE_SIGNAL);
    EXPECT_TRUE(exit.suspect());
    v1::GetBufferRequest request;
    request.set_name("pipelines/p/buffers/raw-" + name);
    EXPECT_TRUE(Eventually([&] {
      const auto buffer = client().GetBuffer(request);
      return buffer.ok() && buffer->buffer().subscriptions_size() == 1 && buffer->buffer().subscriptions(0).redelivered() == 2;
    })) << "it is marked each time that it comes again";
    Write(name, "");
  }
  for (const std::string name : {"one", "two"}) {
    ASSERT_TRUE(WaitForState("p/" + name, v1::TASK_STATE_SUCCEEDED)) << Task("p/" + name).DebugString();
    EXPECT_EQ(waits(name), 3u);
  }
  EXPECT_TRUE(Letters("p").empty());
}

}  // namespace
}  // namespace puma::system_test
