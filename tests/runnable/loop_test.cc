// What a run does with its inputs, and how it ends.
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/runnable/task_fixture.h"

namespace puma {
namespace {

using internal::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What the runnable of the current test has seen. Made anew for each test.
struct Seen {
  Shared<int> values;
  Shared<Message> messages;
  Shared<std::string> events;
  std::atomic<bool> go{true};    // handlers wait for it
  std::atomic<int> fail_at{-1};  // the handler of this value fails
  std::atomic<bool> take_error{false}, handle_error{false};
  std::atomic<int> fail_completion{0};  // that many completions fail
};
Seen* seen = nullptr;

class LoopTest : public TaskFixture {
 protected:
  LoopTest() { seen = &seen_; }
  ~LoopTest() override {
    seen_.go = true;
    runner_ = nullptr;
  }
  Seen seen_;
};

class Collector : public Runnable {
 public:
  explicit Collector(puma::Setup& setup) {
    setup.Input("in", &Collector::OnValue);
    setup.Command("ping", &Collector::Ping);
    setup.Command("stop_self", &Collector::Ping);
  }

 protected:
  absl::Status OnValue(const int& v, const Message& m) {
    seen->values.Add(v);
    seen->messages.Add(m);
    while (!seen->go.load()) absl::SleepFor(absl::Microseconds(100));
    if (v == seen->fail_at.load()) throw std::runtime_error("can't take " + std::to_string(v));
    return absl::OkStatus();
  }
  std::string Ping() { return "pong"; }
  void OnWait() override { seen->events.Add("wait"); }
  bool OnEnd(const absl::Status& error) override {
    seen->events.Add(error.ok() ? "end" : "end with error");
    return seen->handle_error.load();
  }
};

// Two inputs, one subscriber.
class Both : public Runnable {
 public:
  explicit Both(puma::Setup& setup) {
    setup.Input("left", subscriber_);
    setup.Input("right", subscriber_);
  }

 private:
  struct Sub : Subscriber<int> {
    absl::Status OnValue(const int& v) override {
      seen->values.Add(v);
      return absl::OkStatus();
    }
    absl::Status OnComplete(const absl::Status& error) override {
      seen->events.Add(error.ok() ? "complete" : "complete with " + std::string(error.message()));
      if (seen->fail_completion.load() > 0) {
        --seen->fail_completion;
        return absl::InternalError("the completion failed");
      }
      return seen->take_error.load() ? absl::OkStatus() : error;
    }
  } subscriber_;
};

TEST_F(LoopTest, MessagesArriveInOrderUntilThePublisherCompletes) {
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> p(1, 10, 1);
  Attach(p, "in", 0);
  for (int i = 1; i <= 5; ++i) p.Publish(i);
  p.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 2, 3, 4, 5));
  const Message m = seen_.messages.Get()[2];
  EXPECT_EQ(m.sequence, 2u);
  EXPECT_EQ(m.lane, 10u);
  EXPECT_EQ(m.publisher, 1u);
  EXPECT_EQ(m.delivery, 1u);
  EXPECT_FALSE(m.redelivered);
}

TEST_F(LoopTest, CompletesOnlyWhenAllDeclaredPublishersHave) {
  Input("in", {1, 2});
  Start<Collector>();
  TestPublisher<int> a(1, 10, 1), b(2, 20, 1);
  Attach(a, "in", 0);
  a.Publish(1);
  a.Complete();
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 1; }));
  EXPECT_EQ(Call("ping", ""), "\"pong\"") << "it goes on";
  Attach(b, "in", 1);
  b.Publish(2);
  b.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 2));
}

TEST_F(LoopTest, OneSubscriberOfSeveralInputsCompletesOnce) {
  Input("left", {1});
  Input("right", {2});
  Start<Both>();
  TestPublisher<int> l(1, 10, 1), r(2, 20, 1);
  Attach(l, "left", 0);
  Attach(r, "right", 1);
  l.Publish(1);
  l.Complete();
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 1; }));
  r.Publish(2);
  r.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 2));
  EXPECT_THAT(seen_.events.Get(), ElementsAre("complete"));
}

TEST_F(LoopTest, AnErrorFromUpstreamEndsTheRunAfterTheValuesBeforeIt) {
  Input("left", {1});
  Input("right", {2});
  Start<Both>();
  TestPublisher<int> l(1, 10, 1);
  Attach(l, "left", 0);
  l.Publish(1);
  l.Complete(absl::NotFoundError("no camera"));
  const Outcome outcome = Join();
  EXPECT_EQ(outcome.kind, Outcome::Kind::kFailed);
  EXPECT_EQ(outcome.error.message(), "no camera");
  EXPECT_THAT(ErrorOf(outcome.error).path, ElementsAre("task"));
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1));
  EXPECT_THAT(seen_.events.Get(), ElementsAre("complete with no camera"));
}

TEST_F(LoopTest, AnErrorThatASubscriberTakesIsHandled) {
  seen_.take_error = true;
  Input("left", {1});
  Input("right", {2});
  Start<Both>();
  TestPublisher<int> l(1, 10, 1);
  Attach(l, "left", 0);
  l.Complete(absl::NotFoundError("no camera"));
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
}

TEST_F(LoopTest, AnErrorThatTheHookHandlesIsHandled) {
  seen_.handle_error = true;
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> p(1, 10, 1);
  Attach(p, "in", 0);
  p.Complete(absl::NotFoundError("no camera"));
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_EQ(seen_.events.Get().back(), "end with error");
}

TEST_F(LoopTest, ACompletionThatFailsIsTheErrorAndIsOfferedItOnceMore) {
  seen_.fail_completion = 1;
  Input("left", {1});
  Input("right", {2});
  Start<Both>();
  TestPublisher<int> l(1, 10, 1), r(2, 20, 1);
  Attach(l, "left", 0);
  Attach(r, "right", 1);
  l.Complete();
  r.Complete();
  const Outcome outcome = Join();
  EXPECT_EQ(outcome.kind, Outcome::Kind::kFailed);
  EXPECT_EQ(outcome.error.message(), "the completion failed");
  EXPECT_THAT(seen_.events.Get(), ElementsAre("complete", "complete with the completion failed"));
}

TEST_F(LoopTest, StopLetsTheMessageInHandFinishAndLeavesTheRest) {
  seen_.go = false;
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> p(1, 10, 1);
  Attach(p, "in", 0);
  for (int i = 1; i <= 5; ++i) p.Publish(i);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 1; }));
  host_->SendStop(0);
  seen_.go = true;
  EXPECT_EQ(Join().kind, Outcome::Kind::kStopped);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1));
  EXPECT_EQ(PageState(0).next, 1u);
  // And the next run goes on with the second.
  Resume(p, "in", 0);
  p.Complete();
  Start<Collector>();
  Attach(p, "in", 0);
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(LoopTest, AMessageWhoseHandlerFailedComesAgainMarkedUnlessTheNextRunIsToldToGoOnBehindIt) {
  seen_.fail_at = 2;
  Input("in", {1});
  TestPublisher<int> p(1, 10, 1);
  for (int i = 1; i <= 3; ++i) p.Publish(i);
  p.Complete();
  Start<Collector>();
  Attach(p, "in", 0);
  for (uint64_t run = 1; run <= 3; ++run) {
    const Outcome outcome = Join();
    EXPECT_EQ(outcome.kind, Outcome::Kind::kFailed);
    EXPECT_TRUE(IsError(outcome.error, "std::runtime_error"));
    EXPECT_EQ(PageState(0).next, 1u) << "it is not finished";
    EXPECT_EQ(PageState(0).deliveries, run);
    Resume(p, "in", 0);
    if (run == 3) spec_.inputs[0].lanes[0].next = 2, spec_.inputs[0].lanes[0].deliveries = 0;
    Start<Collector>();
    Attach(p, "in", 0);
  }
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 2, 2, 2, 3));
  const auto messages = seen_.messages.Get();
  EXPECT_FALSE(messages[1].redelivered);
  EXPECT_EQ(messages[2].delivery, 2u);
  EXPECT_TRUE(messages[2].redelivered);
  EXPECT_EQ(messages[3].delivery, 3u);
  EXPECT_FALSE(messages[4].redelivered);
}

TEST_F(LoopTest, AnOlderEpochIsDrainedBeforeANewerOne) {
  seen_.go = false;
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> first(1, 10, 1), second(1, 11, 2), third(1, 12, 3);
  Attach(first, "in", 0);
  first.Publish(1);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 1; }));
  Attach(third, "in", 2);  // told out of order
  Attach(second, "in", 1);
  third.Publish(5);
  third.Complete();
  second.Publish(4);
  first.Publish(2);  // what the dead publisher had written, seen late
  first.Publish(3);
  seen_.go = true;
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(LoopTest, ALaneWithoutCompletionWaitsForItsNextEpoch) {
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> first(1, 10, 1), second(1, 11, 2);
  Attach(first, "in", 0);
  first.Publish(1);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 1; }));
  EXPECT_EQ(Call("ping", ""), "\"pong\"");
  Attach(second, "in", 1);
  second.Publish(2);
  second.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 2));
}

RingHeader& HeaderOf(TestPublisher<int>& publisher) { return *reinterpret_cast<RingHeader*>(publisher.lane().segment().data()); }

TEST_F(LoopTest, ALaneThatLiesIsLeftAndToldOnceAndItsNextEpochIsRead) {
  Input("in", {1, 2});
  Start<Collector>();
  TestPublisher<int> liar(1, 10, 1), next(1, 11, 2), other(2, 20, 1);
  Attach(liar, "in", 0);
  Attach(other, "in", 1);
  liar.Publish(1);
  liar.Publish(2);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 2; }));
  HeaderOf(liar).tail = 1;
  other.Publish(3);  // wakes the task
  ASSERT_TRUE(Eventually([&] { return bad_lanes_.size() == 1; }));
  EXPECT_EQ(bad_lanes_.Get()[0].first, 10u);
  EXPECT_THAT(bad_lanes_.Get()[0].second, HasSubstr("ran backwards"));
  other.Publish(4);
  other.Complete();
  Attach(next, "in", 2);
  next.Publish(5);
  next.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ::testing::UnorderedElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(bad_lanes_.size(), 1u);
}

TEST_F(LoopTest, ALaneThatIsNotTheOneThatWasPromisedIsRefused) {
  Input("in", {1, 2});
  Start<Collector>();
  TestPublisher<int> liar(1, 10, 1), broken(1, 12, 2), other(2, 20, 1), next(1, 13, 3);
  ASSERT_TRUE(Runs());
  internal::LaneAttachment wrong = liar.Attachment("in", 0);
  wrong.epoch = 2;
  runner_->Attach(std::move(wrong));
  ASSERT_TRUE(Eventually([&] { return bad_lanes_.size() == 1; }));
  EXPECT_THAT(bad_lanes_.Get()[0].second, HasSubstr("epoch 1 in the place of lane 10 of epoch 2"));
  HeaderOf(broken).constants.slots = 3;
  runner_->Attach(broken.Attachment("in", 1));
  ASSERT_TRUE(Eventually([&] { return bad_lanes_.size() == 2; }));
  EXPECT_EQ(bad_lanes_.Get()[1].first, 12u);
  Attach(other, "in", 2);
  other.Publish(1);
  other.Complete();
  Attach(next, "in", 3);
  next.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1));
}

TEST_F(LoopTest, ALaneIsLeftOnRequestAndNotUnderTheHandler) {
  seen_.go = false;
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> first(1, 10, 1), second(1, 11, 2);
  Attach(first, "in", 0);
  first.Publish(1);
  first.Publish(2);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 1; }));
  runner_->LeaveLane("in", 10);
  seen_.go = true;
  Attach(second, "in", 1);
  second.Publish(3);
  second.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 3));
  EXPECT_EQ(bad_lanes_.size(), 0u) << "the host knows";
}

TEST_F(LoopTest, AnEndedPublisherCompletesAfterWhatItHasPublished) {
  seen_.go = false;
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> p(1, 10, 1);
  Attach(p, "in", 0);
  p.Publish(1);
  p.Publish(2);
  runner_->EndPublisher("in", 1, absl::UnavailableError("it failed for good"));
  seen_.go = true;
  const Outcome outcome = Join();
  EXPECT_EQ(outcome.kind, Outcome::Kind::kFailed);
  EXPECT_EQ(outcome.error.message(), "it failed for good");
  EXPECT_THAT(seen_.values.Get(), ElementsAre(1, 2));
}

TEST_F(LoopTest, SteadyInputStarvesNeitherCommandsNorStop) {
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> p(1, 10, 1, 8);
  Attach(p, "in", 0);
  std::atomic<bool> over{false};
  std::thread flood([&] {
    for (int i = 0; !over.load(); ++i) {
      if (p.HasRoom()) p.Publish(i);
    }
  });
  EXPECT_TRUE(Eventually([&] { return seen_.values.size() > 100; }));
  EXPECT_EQ(Call("ping", ""), "\"pong\"");
  host_->SendStop(0);
  EXPECT_EQ(Join().kind, Outcome::Kind::kStopped);
  over = true;
  flood.join();
}

TEST_F(LoopTest, CommandsBeforeAStopAreServed) {
  seen_.go = false;
  Input("in", {1});
  Start<Collector>();
  TestPublisher<int> p(1, 10, 1);
  Attach(p, "in", 0);
  p.Publish(1);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 1; }));
  for (uint64_t id = 1; id <= 5; ++id) {
    control::CommandRecord record{};
    record.id = id;
    ASSERT_TRUE(host_->SendCommand(0, record, "ping", "").ok());
  }
  host_->SendStop(0);
  seen_.go = true;
  EXPECT_EQ(Join().kind, Outcome::Kind::kStopped);
  size_t answers = 0;
  ASSERT_TRUE(host_->DrainResults([&](const control::ResultRecord&, std::string_view text) { answers += text == "\"pong\""; }).ok());
  EXPECT_EQ(answers, 5u);
}

TEST_F(LoopTest, SeveralLanesOfOnePublisherAreMergedByTheirTime) {
  seen_.go = false;
  Input("in", {1}, /*lanes_each=*/2);
  Start<Collector>();
  TestPublisher<int> a(1, 10, 1), b(1, 11, 1);
  a.Publish(1, 100);
  b.Publish(2, 200);
  b.Publish(3, 300);
  a.Publish(4, 400);
  a.Complete();
  Attach(a, "in", 0);
  Attach(b, "in", 1);
  // The first one may have been taken before the second lane was there: it is the earliest anyway.
  b.Publish(5, 500);
  seen_.go = true;
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 5; }));
  EXPECT_EQ(Call("ping", ""), "\"pong\"") << "one of two lanes has completed: the publisher has not";
  b.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ::testing::UnorderedElementsAre(1, 2, 3, 4, 5));
}

TEST_F(LoopTest, ALossyInputTellsWhatItHasMissed) {
  control::InputSpec input;
  input.port = input.buffer = "in";
  input.lossy = true;
  input.publishers = {1};
  spec_.inputs.push_back(input);
  TestPublisher<int> p(1, 10, 1, 4, /*lossy=*/true);
  for (int i = 1; i <= 10; ++i) p.Publish(i);
  Start<Collector>();
  Attach(p, "in", 0);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() > 0 && seen_.values.Get().back() == 10; }));
  p.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  uint64_t told = 0;
  for (const Message& m : seen_.messages.Get()) told += m.missed;
  EXPECT_EQ(told + seen_.values.size(), 10u);
}

TEST_F(LoopTest, LatestReadsOnlyTheNewest) {
  control::InputSpec input;
  input.port = input.buffer = "in";
  input.lossy = input.latest = true;
  input.publishers = {1};
  spec_.inputs.push_back(input);
  TestPublisher<int> p(1, 10, 1, 4, /*lossy=*/true);
  for (int i = 1; i <= 10; ++i) p.Publish(i);
  Start<Collector>();
  Attach(p, "in", 0);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() > 0; }));
  EXPECT_THAT(seen_.values.Get(), ElementsAre(10));
  EXPECT_EQ(seen_.messages.Get()[0].missed, 9u);
}

TEST_F(LoopTest, AMessageOfTheWrongSizeIsSkipped) {
  Input("in", {1});
  Start<Collector>();
  TestPublisher<std::string> p(1, 10, 1);
  Attach(p, "in", 0);
  p.Publish("far too long for an int");
  p.Publish(std::string("\5\0\0\0", 4));
  p.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(5));
}

// ---- without inputs, and the start -----------------------------------------------------------------------------------------------------

class Idle : public Runnable {
 public:
  explicit Idle(puma::Setup& setup) {
    setup.Command("tick_every", &Idle::TickEvery, {"interval"});
    setup.Command("pause", &Idle::Pause);
    setup.Command("resume", &Idle::Resume);
  }

 private:
  absl::Status TickEvery(absl::Duration interval) { return SetTickInterval(interval); }
  void Pause() { PauseTicks(); }
  absl::Status Resume() { return ResumeTicks(); }
  absl::Status OnTick(Timestamp) override {
    seen->events.Add("tick");
    return absl::OkStatus();
  }
};

TEST_F(LoopTest, WithoutInputsItRunsUntilItIsStopped) {
  Start<Idle>();
  ASSERT_TRUE(Runs());
  runner_->Stop();
  EXPECT_EQ(Join().kind, Outcome::Kind::kStopped);
}

TEST_F(LoopTest, AStopBeforeTheStartEndsItRightAfterTheStart) {
  host_->SendStop(0);
  spec_.name = "early";
  Start<Idle>();
  EXPECT_EQ(Join().kind, Outcome::Kind::kStopped);
  EXPECT_TRUE(running_.load());
}

TEST_F(LoopTest, TicksComeBetweenCommandsAndPause) {
  Start<Idle>();
  EXPECT_THAT(Call("resume", ""), HasSubstr("SetTickInterval first"));
  EXPECT_THAT(Call("tick_every", R"({"interval": "-1s"})"), HasSubstr("above zero"));
  EXPECT_EQ(Call("tick_every", R"({"interval": "1ms"})"), "null");
  EXPECT_EQ(Call("resume", ""), "null");
  ASSERT_TRUE(Eventually([&] { return seen_.events.size() >= 5; }));
  EXPECT_EQ(Call("pause", ""), "null");
  const size_t ticks = seen_.events.size();
  absl::SleepFor(absl::Milliseconds(10));
  EXPECT_EQ(seen_.events.size(), ticks) << "none after PauseTicks";
}

// ---- in place --------------------------------------------------------------------------------------------------------------------------

struct Header {
  int n;
};

class Looker : public Runnable {
 public:
  explicit Looker(puma::Setup& setup) { setup.Input("in", &Looker::OnBlock); }

 private:
  // Where do the bytes lie?
  void OnBlock(const Block<Header>& block) {
    const auto address = reinterpret_cast<uintptr_t>(block.bytes().data());
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      uintptr_t from = 0, to = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx", &from, &to) == 2 && from <= address && address < to) seen->events.Add(line);
    }
    seen->values.Add(block->n);
  }
};

TEST_F(LoopTest, ABlockIsReadWhereItWasWritten) {
  Input("in", {1});
  Start<Looker>();
  TestPublisher<std::string> p(1, 10, 1);
  Attach(p, "in", 0);
  std::string bytes(Block<Header>::kTailOffset + 1000, 'x');
  const Header header{42};
  std::memcpy(bytes.data(), &header, sizeof(header));
  p.Publish(bytes);
  p.Complete();
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted);
  EXPECT_THAT(seen_.values.Get(), ElementsAre(42));
  EXPECT_THAT(seen_.events.Get(), ElementsAre(HasSubstr("memfd:puma-lane")));
  EXPECT_THAT(seen_.events.Get(), ElementsAre(HasSubstr("r--")));
}

// Ends its service from another thread, then waits for a second end.
class Ender : public Runnable {
 public:
  explicit Ender(puma::Setup& setup) : in_connected_(setup.Connected("in")), out_connected_(setup.Connected("out")) {
    setup.Input("in", &Ender::OnValue, {.optional = true});
    out_ = setup.Output<int>("out", {.optional = true});
    setup.Command("connected", &Ender::Connected);
    setup.Command("end", &Ender::EndIt);
  }

 private:
  absl::Status Execute() override {
    const absl::Status status = Service();
    seen->events.Add(status.ok() ? "served" : "failed");
    const bool goes_on = WaitForCommands(absl::InfiniteDuration());
    seen->events.Add(goes_on ? "goes on" : "stopped");
    return status;
  }
  void OnValue(int v) { seen->values.Add(v); }
  std::string Connected() { return std::string(in_connected_ ? "in" : "") + (out_connected_ ? "out" : ""); }
  void EndIt() {
    std::thread([this] { EndService(); }).join();
  }
  const bool in_connected_, out_connected_;
  puma::Output<int> out_;
};

TEST_F(LoopTest, AnotherThreadEndsTheService) {
  Input("in", {1});
  Start<Ender>();
  TestPublisher<int> p(1, 10, 1);
  Attach(p, "in", 0);
  p.Publish(1);
  ASSERT_TRUE(Eventually([&] { return seen_.values.size() == 1; }));
  EXPECT_EQ(Call("connected", ""), "\"in\"");
  Call("end", "");
  EXPECT_EQ(Join().kind, Outcome::Kind::kCompleted) << "its input has not completed, but it is done";
  EXPECT_THAT(seen_.events.Get(), ElementsAre("served", "goes on"));
}

// Goes on when all inputs have completed.
class Lingerer : public Runnable {
 public:
  explicit Lingerer(puma::Setup& setup) { setup.Input("in", &Lingerer::OnValue); }

 private:
  absl::Status Execute() override {
    if (absl::Status status = Service(); !status.ok()) return status;
    seen->events.Add("served");
    while (WaitForCommands(absl::InfiniteDuration())) {
    }
    return absl::OkStatus();
  }
  void OnValue(int) {}
};

TEST_F(LoopTest, WhoGoesOnAfterItsInputsCanBeStopped) {
  Input("in", {1});
  Start<Lingerer>();
  TestPublisher<int> p(1, 10, 1);
  Attach(p, "in", 0);
  p.Complete();
  ASSERT_TRUE(Eventually([&] { return seen_.events.size() == 1; }));
  runner_->Stop();
  EXPECT_EQ(Join().kind, Outcome::Kind::kStopped);
}

}  // namespace
}  // namespace puma
