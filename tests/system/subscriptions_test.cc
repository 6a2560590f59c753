// Who holds publishers back, where a subscription begins, and what it is told that it missed.
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

class SubscriptionsTest : public HostTest {
 protected:
  void SetUp() override { StartHost(); }
  absl::Status Tell(const std::string& task, int first, int count) {
    return Call(task, "tell", {{"first", Of(first)}, {"count", Of(count)}}).status();
  }
  std::vector<long> NumbersIn(const std::string& name) {
    std::ifstream file(Directory() + "/" + name);
    std::vector<long> numbers;
    for (long number; file >> number;) numbers.push_back(number);
    return numbers;
  }
  bool Runs(const std::string& task) { return WaitForState(task, v1::TASK_STATE_RUNNING); }
  v1::SubscriptionStatus Subscription(const std::string& buffer, const std::string& task) {
    v1::GetBufferRequest request;
    request.set_name(buffer);
    absl::StatusOr<v1::GetBufferResponse> response = client().GetBuffer(request);
    if (!response.ok()) return {};
    for (const v1::SubscriptionStatus& s : response->buffer().subscriptions()) {
      if (absl::EndsWith(s.subscriber(), "/" + task)) return s;
    }
    return {};
  }
};

TEST_F(SubscriptionsTest, ALossyReaderBesideAReliableOneHoldsNobodyBackAndIsToldExactlyWhatItMissed) {
  ASSERT_TRUE(Apply(absl::StrCat(R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 16}}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 20000}}
  all: {type: flow.Collector, inputs: {in: raw}, params: {path: )",
                                 Directory(), R"(/all}}
  some: {type: flow.Collector, inputs: {in: {buffer: raw, lossy: true}}, params: {work: 2ms, path: )",
                                 Directory(), "/some}}\n"))
                  .ok());
  // At 2 ms a number a reader that gates would be done after 40 s at the earliest; all are done before it has seen 2,000.
  ASSERT_TRUE(WaitForState("p/all", v1::TASK_STATE_SUCCEEDED));
  EXPECT_EQ(NumbersIn("all").size(), 20000u);
  ASSERT_TRUE(WaitForState("p/some", v1::TASK_STATE_SUCCEEDED));
  const std::vector<long> some = NumbersIn("some"), missed = NumbersIn("some.missed");
  ASSERT_FALSE(some.empty());
  EXPECT_LT(some.size(), 20000u);
  long sum = 0;
  for (const long gap : missed) sum += gap;
  EXPECT_EQ(static_cast<long>(some.size()) + sum, some.back() + 1) << "from the first to the last each number came or was told as missed";
  EXPECT_TRUE(Subscription("pipelines/p/buffers/raw", "all").reliable());
  EXPECT_FALSE(Subscription("pipelines/p/buffers/raw", "some").reliable());
}

TEST_F(SubscriptionsTest, WhoJoinsLaterBeginsWithWhatIsStillThereOrWithWhatComes) {
  const std::string before = absl::StrCat(R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 64}}
tasks:
  teller: {type: flow.Teller, outputs: {numbers: raw}}
  first: {type: flow.Collector, inputs: {in: raw}, params: {path: )",
                                          Directory(), "/first}}\n");
  ASSERT_TRUE(Apply(before).ok());
  ASSERT_TRUE(Runs("p/teller") && Runs("p/first"));
  ASSERT_TRUE(Tell("p/teller", 0, 10).ok());
  ASSERT_TRUE(Eventually([&] { return Number("p/first", "total") == 10; }));
  ASSERT_TRUE(Apply(absl::StrCat(before, R"(
  oldest: {type: flow.Collector, inputs: {in: raw}, params: {path: )",
                                 Directory(), R"(/oldest}}
  newest: {type: flow.Collector, inputs: {in: {buffer: raw, from: newest}}, params: {path: )",
                                 Directory(), R"(/newest}}
  watcher: {type: flow.Collector, placement: thread, inputs: {in: {buffer: raw, lossy: true, from: newest}}, params: {path: )",
                                 Directory(), "/watcher}}\n"))
                  .ok());
  for (const char* task : {"p/oldest", "p/newest", "p/watcher"}) ASSERT_TRUE(Runs(task)) << task;
  ASSERT_TRUE(Eventually([&] { return Number("p/oldest", "total") == 10; })) << "the ring still has them all";
  EXPECT_EQ(Task("p/teller").status().run(), 1) << "nobody is restarted for a reader that joins";
  EXPECT_EQ(Task("p/first").status().run(), 1);
  // The grants of the others have been answered when they see what is told now.
  int told = 10;
  ASSERT_TRUE(Eventually([&] {
    EXPECT_TRUE(Tell("p/teller", told++, 1).ok());
    return Number("p/newest", "total") > 0 && Number("p/watcher", "total") > 0;
  }));
  ASSERT_TRUE(Tell("p/teller", told, 10).ok());
  const long last = told + 9;
  for (const char* name : {"first", "oldest", "newest", "watcher"}) {
    ASSERT_TRUE(Eventually([&] { return !NumbersIn(name).empty() && NumbersIn(name).back() == last; })) << name;
    const std::vector<long> numbers = NumbersIn(name);
    const bool whole = std::string(name) == "first" || std::string(name) == "oldest";
    EXPECT_TRUE(whole ? numbers.front() == 0 : numbers.front() >= 10) << name << " began with " << numbers.front();
    for (size_t i = 1; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], numbers[i - 1] + 1) << name;
  }
  EXPECT_TRUE(NumbersIn("watcher.missed").empty()) << "what was before it joined is not missed";
}

TEST_F(SubscriptionsTest, ADeclaredOneGatesWhileItsTaskIsStoppedAndNoMoreWhenItIsDeleted) {
  const std::string without = R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 8, on_full: error}}
tasks:
  teller: {type: flow.Teller, outputs: {numbers: raw}}
)";
  const std::string with =
      absl::StrCat(without, "  sink: {type: flow.Collector, stopped: true, inputs: {in: raw}, params: {path: ", Directory(), "/sink}}\n");
  ASSERT_TRUE(Apply(with).ok());
  ASSERT_TRUE(Runs("p/teller"));
  EXPECT_EQ(Task("p/sink").status().state(), v1::TASK_STATE_STOPPED);
  EXPECT_TRUE(Tell("p/teller", 0, 8).ok());
  EXPECT_EQ(Tell("p/teller", 8, 1).code(), absl::StatusCode::kResourceExhausted) << "what is declared is waited for";
  ASSERT_EQ(Ctl({"start", "p/sink"}).code, 0);
  ASSERT_TRUE(Eventually([&] { return NumbersIn("sink").size() == 8; })) << "nothing of before its start is lost";
  ASSERT_TRUE(Eventually([&] { return Tell("p/teller", 8, 1).ok(); }));
  ASSERT_EQ(Ctl({"stop", "p/sink"}).code, 0);
  ASSERT_TRUE(WaitForState("p/sink", v1::TASK_STATE_STOPPED));
  ASSERT_TRUE(Eventually([&] { return Tell("p/teller", 9, 1).code() == absl::StatusCode::kResourceExhausted; })) << "full again";
  ASSERT_TRUE(Apply(without).ok());
  EXPECT_TRUE(Eventually([&] { return Tell("p/teller", 9, 100).ok(); })) << "who was deleted is not waited for";
  EXPECT_EQ(Task("p/teller").status().run(), 1);
}

TEST_F(SubscriptionsTest, WhoHasFailedForGoodIsWaitedForNoMoreAndTheLogSaysSo) {
  ASSERT_TRUE(Apply(R"(
pipeline: p
modules: [flow]
buffers:
  raw: {capacity: 64KiB, capacity_items: 8, on_full: error}
  rest: {capacity: 64KiB}
tasks:
  teller: {type: flow.Teller, outputs: {numbers: raw}}
  relay: {type: flow.Relay, inputs: {in: raw}, outputs: {out: rest}, params: {refuse: 0}, restart: {policy: never}}
)")
                  .ok());
  ASSERT_TRUE(Runs("p/teller") && Runs("p/relay"));
  ASSERT_TRUE(Tell("p/teller", 0, 8).ok());
  ASSERT_TRUE(WaitForState("p/relay", v1::TASK_STATE_FAILED));
  EXPECT_TRUE(Eventually([&] { return Tell("p/teller", 8, 100).ok(); }));
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(Ctl({"logs", "--history", "-1", "p/relay"}).out, "publishers wait for it no more");
  }));
}

TEST_F(SubscriptionsTest, AnInputThatTurnsElsewhereIsNotWaitedForWhereItWas) {
  auto spec = [&](const std::string& reads) {
    return absl::StrCat(R"(
pipeline: p
modules: [flow]
buffers:
  one: {capacity: 64KiB, capacity_items: 8, on_full: error}
  two: {capacity: 64KiB, capacity_items: 8, on_full: error}
tasks:
  a: {type: flow.Teller, outputs: {numbers: one}}
  b: {type: flow.Teller, outputs: {numbers: two}}
  sink: {type: flow.Collector, inputs: {in: )",
                        reads, "}, params: {path: ", Directory(), "/sink}}\n");
  };
  ASSERT_TRUE(Apply(spec("one")).ok());
  for (const char* task : {"p/a", "p/b", "p/sink"}) ASSERT_TRUE(Runs(task)) << task;
  ASSERT_TRUE(Tell("p/a", 0, 4).ok());
  ASSERT_TRUE(Apply(spec("two")).ok());
  ASSERT_TRUE(Eventually([&] { return Task("p/sink").status().run() == 2 && Runs("p/sink"); }));
  EXPECT_TRUE(Eventually([&] { return Tell("p/a", 4, 100).ok(); })) << "the buffer that it has left";
  ASSERT_TRUE(Apply(spec("{buffer: one, lossy: true, from: newest}")).ok());
  ASSERT_TRUE(Eventually([&] { return Task("p/sink").status().run() == 3 && Runs("p/sink"); }));
  EXPECT_TRUE(Eventually([&] { return Tell("p/b", 0, 100).ok(); }));
  EXPECT_TRUE(Tell("p/a", 200, 100).ok()) << "it is lossy now";
  ASSERT_TRUE(Apply(spec("one")).ok());
  ASSERT_TRUE(Eventually([&] { return Task("p/sink").status().run() == 4 && Runs("p/sink"); }));
  ASSERT_TRUE(Eventually([&] { return Tell("p/a", 1000, 1).ok() && NumbersIn("sink").back() == 1000; })) << "and reliable again";
  EXPECT_EQ(Task("p/a").status().run(), 1);
  EXPECT_EQ(Task("p/b").status().run(), 1);
}

TEST_F(SubscriptionsTest, AReplicaThatHasFailedForGoodGetsNothingMore) {
  ASSERT_TRUE(Apply(absl::StrCat(R"(
pipeline: p
modules: [flow]
buffers: {raw: {capacity: 64KiB, capacity_items: 8}}
tasks:
  teller: {type: flow.Teller, outputs: {numbers: raw}}
  sink: {type: flow.Collector, replicas: 2, inputs: {in: raw}, restart: {policy: never}, params: {path: )",
                                 Directory(), R"(/sink}}
  watcher: {type: flow.Collector, inputs: {in: {buffer: raw, lossy: true}}, restart: {backoff: {initial: 10ms}}}
)"))
                  .ok());
  for (const char* task : {"p/teller", "p/sink.0", "p/sink.1", "p/watcher"}) ASSERT_TRUE(Runs(task)) << task;
  ASSERT_TRUE(Tell("p/teller", 0, 10).ok());
  ASSERT_TRUE(Eventually([&] { return NumbersIn("sink").size() == 10; }));
  ASSERT_TRUE(KillProcess(Task("p/sink.0").status().pid()));
  ASSERT_TRUE(WaitForState("p/sink.0", v1::TASK_STATE_FAILED));
  // The next run of a third reader gets what is published only after the publisher has taken its page, which the host sent later than the
  // word about the replica.
  ASSERT_TRUE(KillProcess(Task("p/watcher").status().pid()));
  ASSERT_TRUE(Eventually([&] { return Task("p/watcher").status().run() == 2 && Runs("p/watcher"); }));
  int told = 10;
  ASSERT_TRUE(Eventually([&] {
    EXPECT_TRUE(Tell("p/teller", 1000 + told++, 1).ok());
    return Number("p/watcher", "total") > 0;
  }));
  ASSERT_TRUE(Tell("p/teller", 100, 200).ok());
  EXPECT_TRUE(Eventually([&] {
    const std::vector<long> numbers = NumbersIn("sink");
    const std::set<long> distinct(numbers.begin(), numbers.end());
    return std::distance(distinct.lower_bound(100), distinct.lower_bound(300)) == 200;
  })) << NumbersIn("sink").size();
}

}  // namespace
}  // namespace puma::system_test
