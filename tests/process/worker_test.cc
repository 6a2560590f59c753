#include <gmock/gmock.h>

#include "tests/process/worker_fixture.h"

namespace puma {
namespace {

using control::SlotState;
using ::testing::Contains;
using ::testing::HasSubstr;

class WorkerTest : public WorkerFixture {};

TEST_F(WorkerTest, StartsATaskAndStopsIt) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  const auto view = host_->View(0);
  EXPECT_EQ(view.task, 100u);
  EXPECT_EQ(view.run, 1u);
  EXPECT_EQ(view.ticket, 1000u);
  EXPECT_TRUE(segments_.count(500)) << "the task page was offered";
  host_->SendStop(0);
  ASSERT_TRUE(Reaches(SlotState::kStopped));
  const int status = WaitForExit();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(WorkerTest, AnswersCommands) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}, {"limit", "20"}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  EXPECT_EQ(Call("seek", R"({"position": 17})").text, "0");
  EXPECT_EQ(Call("seek", R"({"position": 3})").text, "17");
  EXPECT_EQ(Call("title", "{}").text, "\"Alien\"");
  EXPECT_EQ(Call("sum", R"({"values": [1, 2.5], "scale": 2})").text, "7.0");
}

TEST_F(WorkerTest, TellsWhatIsWrongWithACommandAndGoesOn) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  Result r = Call("sek", "{}");
  EXPECT_EQ(r.code, static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(r.text, HasSubstr("did you mean"));
  r = Call("seek", R"({"positon": 3})");
  EXPECT_EQ(r.code, static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(r.text, HasSubstr("is missing"));
  EXPECT_THAT(r.text, HasSubstr("did you mean"));
  r = Call("seek", R"({"position": "x"})");
  EXPECT_THAT(r.text, HasSubstr("expected int"));
  r = Call("seek", R"({"position": 99})");
  EXPECT_EQ(r.code, static_cast<int>(absl::StatusCode::kOutOfRange));
  auto error = control::FailureFromJson(r.text);
  ASSERT_TRUE(error.ok());
  ASSERT_FALSE(error->stack.empty());
  EXPECT_THAT(error->stack[0].file, HasSubstr("sample_module.cc")) << "Fail knows its place";
  EXPECT_EQ(State(), SlotState::kRunning);
}

TEST_F(WorkerTest, AnExceptionComesWithTypesCausesAndTheStackOfItsThrow) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  const Result r = Call("fail", "{}");
  auto error = control::FailureFromJson(r.text);
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(error->message, "the outer one");
  EXPECT_THAT(error->types, Contains("std::runtime_error"));
  EXPECT_THAT(error->types, Contains(HasSubstr("BadNews")));
  EXPECT_THAT(error->path, Contains("t0"));
  std::string functions;
  for (const Frame& frame : error->stack) functions += frame.function + "\n";
  EXPECT_THAT(functions, HasSubstr("Player::FailDeep"));
  ASSERT_EQ(error->causes.size(), 1u);
  EXPECT_EQ(error->causes[0].message, "the inner one");
  EXPECT_THAT(error->causes[0].types, Contains("std::out_of_range"));
  EXPECT_FALSE(error->causes[0].stack.empty());
  EXPECT_EQ(Call("title", "{}").text, "\"Alien\"") << "the runnable goes on";
}

TEST_F(WorkerTest, ARepeatedRequestGetsItsFirstAnswer) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  EXPECT_EQ(Call("seek", R"({"position": 5})", 77).text, "0");
  EXPECT_EQ(Call("seek", R"({"position": 5})", 77).text, "0") << "executed once";
  EXPECT_EQ(Call("seek", R"({"position": 6})", 78).text, "5");
}

TEST_F(WorkerTest, SaysAllMistakesAtOnce) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"limt", "3"}, {"limit", "\"x\""}};
  spec.inputs.push_back({"numbers", "b"});
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kFailed));
  const Error error = Failure();
  EXPECT_EQ(error.code, absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("4 mistakes"));
  EXPECT_THAT(error.message, HasSubstr("parameter \"limit\": expected int"));
  EXPECT_THAT(error.message, HasSubstr("parameter \"title\" (string) must be given"));
  EXPECT_THAT(error.message, HasSubstr("unknown parameter \"limt\"; did you mean \"limit\"?"));
  EXPECT_THAT(error.message, HasSubstr("unknown input \"numbers\""));
  EXPECT_TRUE(WIFEXITED(WaitForExit()));
}

TEST_F(WorkerTest, AnUnconnectedPortIsAMistake) {
  SpawnWorker(1);
  StartTask(SpecFor("Adder"));
  ASSERT_TRUE(Reaches(SlotState::kFailed));
  EXPECT_THAT(Failure().message, HasSubstr("input \"numbers\" is not connected"));
}

TEST_F(WorkerTest, AConstructorThatThrowsFailsTheTask) {
  SpawnWorker(1);
  StartTask(SpecFor("ThrowsInConstructor"));
  ASSERT_TRUE(Reaches(SlotState::kFailed));
  EXPECT_EQ(Failure().message, "no camera");
  EXPECT_THAT(Failure().types, Contains("std::runtime_error"));
}

TEST_F(WorkerTest, AStartThatFailsFailsTheTask) {
  SpawnWorker(1);
  StartTask(SpecFor("FailsToStart"));
  ASSERT_TRUE(Reaches(SlotState::kFailed));
  EXPECT_EQ(Failure().code, absl::StatusCode::kNotFound);
  EXPECT_EQ(Failure().message, "no such device");
}

TEST_F(WorkerTest, TellsWhatIsWrongWithAModule) {
  SpawnWorker(5);
  const struct {
    std::string module, type, text;
  } cases[] = {{"no_module", "X", "No such file"},
               {"nameless_module", "X", "has no PUMA_MODULE(nameless_module)"},
               {"old_module", "X", "build it anew"},
               {"unresolved_module", "X", "NobodyHasThis"},
               {"sample_module", "Playr", "did you mean \"Player\"? (there are: Player, Counter"}};
  for (uint32_t slot = 0; slot < 5; ++slot) {
    control::StartSpec spec = SpecFor(cases[slot].type, slot, cases[slot].module);
    spec.alone = false;
    StartTask(spec);
    ASSERT_TRUE(Reaches(SlotState::kFailed, slot));
    EXPECT_THAT(Failure(slot).message, HasSubstr(cases[slot].text));
  }
}

TEST_F(WorkerTest, AModuleThatCrashesOnLoadIsTheCulprit) {
  SpawnWorker(1);
  StartTask(SpecFor("X", 0, "crashing_module"));
  const int status = WaitForExit();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  EXPECT_EQ(host_->worker().culprit.slot_plus_one.load(), 1u);
}

TEST_F(WorkerTest, ACrashNamesItsTaskAndLeavesAStack) {
  SpawnWorker(2);
  for (uint32_t slot = 0; slot < 2; ++slot) {
    control::StartSpec spec = SpecFor("Player", slot);
    spec.params = {{"title", "\"Alien\""}};
    spec.alone = false;
    StartTask(spec);
    ASSERT_TRUE(Reaches(SlotState::kRunning, slot));
  }
  ASSERT_TRUE(host_->SendCommand(1, {}, "crash", "{}").ok());
  const int status = WaitForExit();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  EXPECT_EQ(host_->worker().culprit.slot_plus_one.load(), 2u);
  EXPECT_EQ(host_->worker().culprit.signal, static_cast<uint32_t>(SIGSEGV));
  std::string said = Rest(err_);
  for (const LogLine& line : logs_) said += line.text + "\n";
  EXPECT_THAT(said, HasSubstr("fatal signal SIGSEGV at address 0x0"));
  EXPECT_THAT(said, HasSubstr("sample_module.so"));
}

TEST_F(WorkerTest, ExitInAHandlerNamesItsTask) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  ASSERT_TRUE(host_->SendCommand(0, {}, "leave", R"({"code": 3})").ok());
  const int status = WaitForExit();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3);
  EXPECT_EQ(host_->worker().culprit.slot_plus_one.load(), 1u);
  EXPECT_EQ(State(), SlotState::kRunning) << "it has not completed";
}

TEST_F(WorkerTest, OutputAndLogsArriveWithTheirSources) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  Call("say", R"({"text": "hello"})");
  host_->SendStop(0);
  WaitForExit();
  ASSERT_TRUE(Logged("hello on stdout"));
  ASSERT_TRUE(Logged("hello on stderr"));
  ASSERT_TRUE(Logged("hello in the log"));
  EXPECT_FALSE(Logged("below the level"));
  for (const LogLine& line : logs_) {
    if (line.text == "hello on stdout") {
      EXPECT_EQ(line.stream, 2u);
    }
    if (line.text == "hello on stderr") {
      EXPECT_EQ(line.stream, 3u);
    }
    if (line.text == "hello in the log") {
      EXPECT_EQ(line.logger, "t0");
      EXPECT_EQ(line.level, 2);
    }
    EXPECT_EQ(line.slot_plus_one, 1u) << line.text;
  }
}

TEST_F(WorkerTest, TheLevelCanBeChangedWhileItRuns) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  host_->slot(0).log_level.store(1);
  Call("say", R"({"text": "more"})");
  EXPECT_TRUE(Eventually([&] { return Logged("more below the level"); }));
}

TEST_F(WorkerTest, DescribesAModule) {
  SpawnWorker(1);
  StartTask(SpecFor(""));
  ASSERT_TRUE(Eventually([&] { return results_.count(1000) > 0; }));
  const std::string json = results_[1000][0].text;
  EXPECT_THAT(json, HasSubstr(R"("module":"sample_module")"));
  EXPECT_THAT(json, HasSubstr(R"("name":"Player")"));
  EXPECT_THAT(json, HasSubstr(R"("default":10)"));
  EXPECT_THAT(json, HasSubstr(R"({"arguments":[{"name":"position","type":"int"}],"help":"goes to a frame","name":"seek","result":"int"})"));
  EXPECT_THAT(json, HasSubstr(R"("help":"to be added","name":"numbers","optional":false,"type":"long")"));
  ASSERT_TRUE(Reaches(SlotState::kCompleted));
  EXPECT_TRUE(WIFEXITED(WaitForExit()));
}

// Two tasks of one worker, joined by a lane: the test wires them as the host does.
TEST_F(WorkerTest, MessagesGoFromTaskToTaskToTheEnd) {
  SpawnWorker(2);
  control::StartSpec counter = SpecFor("Counter", 0);
  counter.alone = false;
  counter.params = {{"count", "1000"}};
  counter.outputs.push_back({"numbers", "b", 1, 16, 0, "block", {{900, 0, {101}}}});
  control::StartSpec adder = SpecFor("Adder", 1);
  adder.alone = false;
  adder.inputs.push_back({"numbers", "b", false, false, {100}, 1, {}});
  StartTask(adder);
  ASSERT_TRUE(Reaches(SlotState::kRunning, 1));
  StartTask(counter);
  ASSERT_TRUE(Eventually([&] { return segments_.count(900) > 0 && segments_.count(501) > 0; }));
  shim::Attach page{};
  page.segment = 501;
  page.slot = 0;
  page.page_slot = 4;
  page.lane = 900;
  page.subscription = 101;
  page.kind = shim::SegmentKind::kPage;
  strcpy(page.port, "numbers");
  Send(shim::Type::kAttach, page, {segments_[501].get()});
  shim::Attach lane{};
  lane.segment = lane.lane = 900;
  lane.slot = 1;
  lane.page_slot = 4;
  lane.publisher = 100;
  lane.epoch = 1;
  lane.kind = shim::SegmentKind::kLane;
  strcpy(lane.port, "numbers");
  Send(shim::Type::kAttach, lane, {segments_[900].get()});
  EXPECT_TRUE(Reaches(SlotState::kCompleted, 0));
  EXPECT_TRUE(Reaches(SlotState::kCompleted, 1));
  EXPECT_TRUE(Eventually([&] { return Logged("the sum is 500500"); }));
  ASSERT_EQ(attached_.size(), 1u);
  EXPECT_EQ(attached_[0].lane, 900u);
  EXPECT_EQ(attached_[0].start, 0u);
  EXPECT_EQ(host_->View(0).published, 1000u);
  EXPECT_EQ(host_->View(1).finished, 1000u);
}

TEST_F(WorkerTest, ASlotServesOneTaskAfterTheOther) {
  SpawnWorker(1);
  for (int i = 0; i < 5; ++i) {
    control::StartSpec spec = SpecFor("Player");
    spec.alone = false;
    spec.run = 1 + i;
    spec.ticket = 1000 + i;
    spec.params = {{"title", "\"Alien\""}};
    if (i > 0) host_->ResetSlot(0, 2);
    StartTask(spec);
    ASSERT_TRUE(Eventually([&] { return State() == SlotState::kRunning && host_->View(0).run == spec.run; }));
    EXPECT_EQ(Call("seek", R"({"position": 5})").text, "0") << "a new object";
    host_->SendStop(0);
    ASSERT_TRUE(Reaches(SlotState::kStopped));
  }
  StartTask(SpecFor("Player"));
}

TEST_F(WorkerTest, ALivingSlotRefusesAnotherTask) {
  SpawnWorker(1);
  control::StartSpec spec = SpecFor("Player");
  spec.params = {{"title", "\"Alien\""}};
  StartTask(spec);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  spec.ticket = 5;
  spec.name = "other";
  StartTask(spec);
  ASSERT_TRUE(Eventually([&] { return !failures_.empty(); }));
  EXPECT_THAT(failures_[0], HasSubstr("still holds task \"t0\""));
  EXPECT_EQ(State(), SlotState::kRunning);
}

TEST_F(WorkerTest, AnEndedPublisherEndsTheInput) {
  SpawnWorker(1);
  control::StartSpec adder = SpecFor("Adder");
  adder.inputs.push_back({"numbers", "b", false, false, {55}, 1, {}});
  StartTask(adder);
  ASSERT_TRUE(Reaches(SlotState::kRunning));
  Error error;
  error.code = absl::StatusCode::kNotFound;
  error.message = "the camera is gone";
  error.path = {"camera"};
  const std::string text = control::FailureToJson(error);
  shim::EndLane end{};
  end.publisher = 55;
  end.length = static_cast<uint32_t>(text.size());
  strcpy(end.port, "numbers");
  Send(shim::Type::kEndLane, end, {}, text);
  ASSERT_TRUE(Reaches(SlotState::kFailed));
  EXPECT_EQ(Failure().message, "the camera is gone");
  EXPECT_THAT(Failure().path, ::testing::ElementsAre("camera", "t0"));
}

}  // namespace
}  // namespace puma
