// What a real host says of its buffers.
#include <gmock/gmock.h>

#include "tests/system/host_fixture.h"

namespace puma::system_test {
namespace {

using ::testing::HasSubstr;

class BuffersTest : public HostTest {
 protected:
  v1::Buffer Buffer(const std::string& name) {
    v1::GetBufferRequest request;
    request.set_name(name);
    auto found = client().GetBuffer(request);
    return found.ok() ? found->buffer() : v1::Buffer();
  }
};

TEST_F(BuffersTest, ABlockedPublisherAndItsSlowReaderAreSeen) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: slow
modules: [flow]
buffers:
  raw: {capacity: 64KiB, capacity_items: 8}
  done: {capacity: 64KiB}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 0}}
  relay: {type: flow.Relay, inputs: {in: raw}, outputs: {out: done}, params: {work: 2ms}}
  collector: {type: flow.Collector, inputs: {in: done}}
)")
                  .ok());
  const std::string raw = "pipelines/slow/buffers/raw", done = "pipelines/slow/buffers/done";
  ASSERT_TRUE(Eventually([&] { return Buffer(raw).totals().published() > 100 && Buffer(raw).totals().observed().seconds() >= 5; }));
  const v1::Buffer full = Buffer(raw);
  ASSERT_EQ(full.lanes_size(), 1);
  EXPECT_EQ(full.lanes(0).high_water(), 8u);
  EXPECT_EQ(full.lanes(0).capacity(), 8u);
  EXPECT_GT(full.lanes(0).blocked_times(), 0u);
  EXPECT_GT(full.lanes(0).rate(), 0);
  EXPECT_GT(full.lanes(0).bytes_used(), 0u);
  EXPECT_LE(full.lanes(0).bytes_used(), 8u * 8u);
  EXPECT_EQ(full.lanes(0).dropped(), 0u);
  EXPECT_TRUE(full.lanes(0).quarantined().empty());
  ASSERT_EQ(full.subscriptions_size(), 1);
  ASSERT_EQ(full.subscriptions(0).lags_size(), 1);
  EXPECT_EQ(full.subscriptions(0).lags(0).high_water(), 8u);
  EXPECT_EQ(Buffer(done).totals().blocked_times(), 0u) << "its reader is fast";
  EXPECT_TRUE(Eventually([&] { return Buffer(raw).lanes(0).has_blocked_since(); }));

  const Ran advice = Ctl({"advise", "slow"});
  EXPECT_EQ(advice.code, 0) << advice.err;
  EXPECT_THAT(advice.out, HasSubstr("slow/relay, which is too slow")) << advice.out;
  const Ran json = Ctl({"advise", "slow", "-o", "json"});
  EXPECT_THAT(json.out, HasSubstr("\"slow_reader\"")) << json.out;
  EXPECT_THAT(Ctl({"top", "slow"}).out, HasSubstr("slow/raw"));
  EXPECT_THAT(Ctl({"describe", "buffer", "slow/raw"}).out, HasSubstr("Blocked"));
}

TEST_F(BuffersTest, AStreamIsReadWithoutALostWakeUp) {
  StartHost();
  // Both sides sleep again and again: the counter when 4 are waiting, the relays and the collector when nothing is.
  ASSERT_TRUE(Apply(R"(
pipeline: stream
modules: [flow]
buffers:
  raw: {capacity: 64KiB, capacity_items: 4, wake: stream}
  done: {capacity: 64KiB, capacity_items: 4, wake: stream}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 30000}}
  trickle: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 1000, first: 30000, pause: 300us}}
  relay: {type: flow.Relay, replicas: 2, inputs: {in: raw}, outputs: {out: done}}
  collector: {type: flow.Collector, placement: thread, inputs: {in: done}}
)")
                  .ok());
  EXPECT_TRUE(Eventually([&] {
    return Number("stream/collector", "distinct") == 31000 || Task("stream/collector").status().state() == v1::TASK_STATE_SUCCEEDED;
  }));
  EXPECT_TRUE(WaitForState("stream/collector", v1::TASK_STATE_SUCCEEDED));
  EXPECT_EQ(Buffer("pipelines/stream/buffers/done").totals().published(), 31000u);
  EXPECT_THAT(Ctl({"logs", "stream", "--grep", "wake-up was lost"}).out, ::testing::IsEmpty());
}

TEST_F(BuffersTest, MoreThanThereIsOfMemoryIsAnErrorAtTheStart) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: huge
modules: [hostile]
buffers: {texts: {capacity: 900GiB}}
tasks:
  speaker: {type: hostile.Scribbler, outputs: {out: texts}, restart: {policy: never}}
  listener: {type: hostile.Listener, inputs: {in: texts}, params: {path: )" +
                    Directory() + "/texts}}\n")
                  .ok());
  ASSERT_TRUE(WaitForState("huge/speaker", v1::TASK_STATE_FAILED));
  EXPECT_THAT(Task("huge/speaker").status().last_exit().error().message(), HasSubstr("memory are available"));
}

TEST_F(BuffersTest, DroppedAndMissedMessagesAreCountedBeyondTheEndOfTheirLanes) {
  StartHost();
  ASSERT_TRUE(Apply(R"(
pipeline: drop
modules: [flow]
buffers:
  raw: {capacity: 64KiB, capacity_items: 4, on_full: ignore}
  newest: {capacity: 64KiB, capacity_items: 4, on_full: drop_oldest}
  rest: {capacity: 64KiB}
  more: {capacity: 64KiB}
tasks:
  counter: {type: flow.Counter, outputs: {numbers: raw}, params: {count: 20000}}
  other: {type: flow.Counter, outputs: {numbers: newest}, params: {count: 3000, pause: 200us}}
  slow: {type: flow.Relay, inputs: {in: raw}, outputs: {out: rest}, params: {work: 5ms}}
  lossy: {type: flow.Relay, inputs: {in: newest}, outputs: {out: more}, params: {work: 5ms}}
  one: {type: flow.Collector, inputs: {in: rest}}
  two: {type: flow.Collector, inputs: {in: more}}
)")
                  .ok());
  for (const char* task : {"drop/slow", "drop/lossy", "drop/one", "drop/two"})
    EXPECT_TRUE(WaitForState(task, v1::TASK_STATE_SUCCEEDED)) << task;
  EXPECT_TRUE(Eventually([&] {
    const v1::BufferTotals raw = Buffer("pipelines/drop/buffers/raw").totals();
    const v1::BufferTotals rest = Buffer("pipelines/drop/buffers/rest").totals();
    return raw.dropped() > 0 && raw.published() + raw.dropped() == 20000 && rest.published() == raw.published();
  })) << Buffer("pipelines/drop/buffers/raw").DebugString();
  EXPECT_TRUE(Eventually([&] { return Buffer("pipelines/drop/buffers/newest").totals().missed() > 0; }));
  EXPECT_EQ(Buffer("pipelines/drop/buffers/newest").totals().dropped(), 0u);
}

}  // namespace
}  // namespace puma::system_test
