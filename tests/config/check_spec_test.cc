#include "server/config/check_spec.h"

#include <gmock/gmock.h>

#include "google/protobuf/util/message_differencer.h"
#include "tests/config/spec_text.h"

namespace puma::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

v1::TaskSpec& Loader(v1::PipelineSpec& spec) { return (*spec.mutable_tasks())["loader"]; }
v1::TaskSpec& Detector(v1::PipelineSpec& spec) { return (*spec.mutable_tasks())["detector"]; }
v1::BufferSpec& Frames(v1::PipelineSpec& spec) { return (*spec.mutable_buffers())["frames"]; }

// The mistakes in the good spec after a change.
template <class F>
std::vector<std::string> After(F change) {
  v1::PipelineSpec spec = FromText<v1::PipelineSpec>(kGood), out;
  change(spec);
  return MistakesOf(CheckSpec(spec, &out));
}

TEST(CheckSpec, FillsInTheDefaults) {
  v1::PipelineSpec out;
  ASSERT_TRUE(CheckSpec(FromText<v1::PipelineSpec>(kGood), &out).ok());
  EXPECT_EQ(out.strategy(), v1::STRATEGY_ONE_FOR_ONE);
  EXPECT_EQ(Frames(out).capacity().bytes(), 64u << 20);
  EXPECT_EQ(Frames(out).capacity_items(), 64u);
  EXPECT_EQ(Frames(out).on_full(), v1::ON_FULL_BLOCK);
  EXPECT_EQ(Frames(out).wake(), v1::WAKE_FENCED);
  const v1::TaskSpec& task = Loader(out);
  EXPECT_EQ(task.placement(), v1::PLACEMENT_PROCESS);
  EXPECT_EQ(task.replicas(), 1u);
  EXPECT_EQ(task.restart().policy(), v1::RESTART_POLICY_ON_FAILURE);
  EXPECT_EQ(task.restart().max_restarts(), 5u);
  EXPECT_EQ(task.restart().backoff().initial().nanos(), 100'000'000);
  EXPECT_EQ(task.restart().backoff().max().seconds(), 30);
  EXPECT_EQ(task.stop().grace().seconds(), 5);
  EXPECT_EQ(task.stop().term_grace().seconds(), 2);
  EXPECT_EQ(task.start_deadline().seconds(), 30);
  EXPECT_FALSE(task.has_watchdog());
  v1::PipelineSpec again;
  ASSERT_TRUE(CheckSpec(out, &again).ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(out, again)) << "a filled spec stays as it is";
}

TEST(CheckSpec, TellsAllMistakesAtOnce) {
  const std::vector<std::string> mistakes = After([](v1::PipelineSpec& spec) {
    spec.set_pipeline("Edges!");
    Loader(spec).set_replicas(65);
    Loader(spec).set_type("edges");
    (*Detector(spec).mutable_inputs())["frames"].set_buffer("fraems");
    Frames(spec).mutable_capacity()->set_bytes(1);
  });
  EXPECT_THAT(mistakes,
              UnorderedElementsAre(StartsWith("pipeline: \"Edges!\" is no name"), StartsWith("tasks.loader.replicas: 65"),
                                   StartsWith("tasks.loader.type: \"edges\" is no type"),
                                   AllOf(StartsWith("tasks.detector.inputs.frames: unknown buffer"), HasSubstr("did you mean \"frames\"?")),
                                   StartsWith("buffers.frames.capacity: 1 bytes")));
}

TEST(CheckSpec, ANameIsShortLowerCaseAndBeginsWithALetter) {
  for (const std::string bad :
       {"", "A", "1a", "-a", "a_b", "a.0", "a/b", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234"}) {
    EXPECT_THAT(After([&](v1::PipelineSpec& spec) { spec.set_pipeline(bad); }), ElementsAre(StartsWith("pipeline: "))) << bad;
    EXPECT_THAT(After([&](v1::PipelineSpec& spec) { (*spec.mutable_tasks())[bad].set_type("edges.X"); }),
                ElementsAre(StartsWith("tasks." + bad + ": ")))
        << bad;
  }
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { spec.set_pipeline(std::string(63, 'a')); }), IsEmpty());
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { spec.set_pipeline("a-1"); }), IsEmpty());
}

TEST(CheckSpec, ModulesAreNamesAndNeverPaths) {
  auto with = [](const char* module) { return After([&](v1::PipelineSpec& spec) { spec.add_modules(module); }); };
  EXPECT_THAT(with("/tmp/evil.so"), ElementsAre(AllOf(StartsWith("modules[1]: "), HasSubstr("is a path"))));
  EXPECT_THAT(with("edges.so"), ElementsAre(HasSubstr("is a path")));
  EXPECT_THAT(with("a b"), ElementsAre(HasSubstr("no module's name")));
  EXPECT_THAT(with("edges"), ElementsAre(HasSubstr("listed twice")));
}

TEST(CheckSpec, ATypesModuleIsListed) {
  auto with = [](const char* type) { return After([&](v1::PipelineSpec& spec) { Loader(spec).set_type(type); }); };
  EXPECT_THAT(with("edgse.ImageLoader"),
              ElementsAre(AllOf(StartsWith("tasks.loader.type: "), HasSubstr("did you mean \"edges.ImageLoader\"?"))));
  EXPECT_THAT(with("other.ImageLoader"), ElementsAre(HasSubstr("add it there")));
  for (const char* bad : {"", "edges.", ".X", "edges.X.Y", "edges/X", "edges.X Y"})
    EXPECT_THAT(with(bad), ElementsAre(HasSubstr("is no type"))) << bad;
}

TEST(CheckSpec, ABufferHasAPublisherButNeedsNoReader) {
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { (*spec.mutable_buffers())["extra"]; }),
              ElementsAre(StartsWith("buffers.extra: no task publishes into it")));
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { Detector(spec).clear_inputs(); }), IsEmpty());
}

TEST(CheckSpec, ATaskReadsABufferThroughOneInput) {
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { (*Detector(spec).mutable_inputs())["second"].set_buffer("frames"); }),
              ElementsAre(AllOf(StartsWith("tasks.detector.inputs.second: "), HasSubstr("already"))));
}

TEST(CheckSpec, AtMostOneTaskWithReplicasReadsABuffer) {
  auto replicate = [](v1::PipelineSpec& spec) {
    Detector(spec).set_replicas(2);
    const v1::TaskSpec copy = Detector(spec);
    (*spec.mutable_tasks())["other"] = copy;
  };
  EXPECT_THAT(After(replicate), ElementsAre(AllOf(StartsWith("tasks.other.replicas: "), HasSubstr("\"detector\""))));
  auto allowed = [&](v1::PipelineSpec& spec) {
    replicate(spec);
    (*spec.mutable_tasks())["other"].set_replicas(1);
    Loader(spec).set_replicas(3);
  };
  EXPECT_THAT(After(allowed), IsEmpty()) << "publishers may have replicas, and others read beside them";
}

TEST(CheckSpec, ReplicasDoNotShareALossyBuffer) {
  for (const v1::OnFull on_full : {v1::ON_FULL_DROP_OLDEST, v1::ON_FULL_LATEST}) {
    EXPECT_THAT(After([&](v1::PipelineSpec& spec) { Frames(spec).set_on_full(on_full); }), IsEmpty());
    auto shared = [&](v1::PipelineSpec& spec) {
      Frames(spec).set_on_full(on_full);
      Detector(spec).set_replicas(2);
    };
    EXPECT_THAT(After(shared), ElementsAre(StartsWith("buffers.frames.on_full: ")));
  }
}

TEST(CheckSpec, CapacitiesAreBounded) {
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { Frames(spec).set_capacity_items((1 << 20) + 1); }),
              ElementsAre(StartsWith("buffers.frames.capacity_items: ")));
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{4095}, uint64_t{1} << 41}) {
    EXPECT_THAT(After([&](v1::PipelineSpec& spec) { Frames(spec).mutable_capacity()->set_bytes(bytes); }),
                ElementsAre(StartsWith("buffers.frames.capacity: ")));
  }
}

TEST(CheckSpec, SpinningIsShort) {
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { Loader(spec).mutable_spin()->set_nanos(10'000'000); }), IsEmpty());
  for (const int nanos : {10'000'001, -1}) {
    EXPECT_THAT(After([&](v1::PipelineSpec& spec) { Loader(spec).mutable_spin()->set_nanos(nanos); }),
                ElementsAre(StartsWith("tasks.loader.spin: ")));
  }
}

TEST(CheckSpec, WakeModesAreKnown) {
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { Frames(spec).set_wake(v1::WAKE_STREAM); }), IsEmpty());
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { Frames(spec).set_wake(static_cast<v1::Wake>(9)); }),
              ElementsAre(StartsWith("buffers.frames.wake: ")));
}

TEST(CheckSpec, DurationsAreAboveZero) {
  const std::vector<std::string> mistakes = After([](v1::PipelineSpec& spec) {
    v1::TaskSpec& task = Loader(spec);
    task.mutable_watchdog();
    task.mutable_start_deadline()->set_seconds(-1);
    task.mutable_restart()->mutable_within()->set_nanos(2'000'000'000);
    task.mutable_restart()->mutable_backoff()->mutable_initial()->set_seconds(1);
    task.mutable_restart()->mutable_backoff()->mutable_max()->set_nanos(1);
    task.mutable_stop()->mutable_grace();  // at once: allowed
    task.mutable_stop()->mutable_term_grace()->set_seconds(INT64_MAX);
  });
  EXPECT_THAT(mistakes, UnorderedElementsAre(StartsWith("tasks.loader.watchdog: "), StartsWith("tasks.loader.start_deadline: "),
                                             StartsWith("tasks.loader.restart.within: "), StartsWith("tasks.loader.restart.backoff.max: "),
                                             StartsWith("tasks.loader.stop.term_grace: ")));
}

TEST(CheckSpec, AThreadHasNoLimitsAndNoWatchdog) {
  const std::vector<std::string> mistakes = After([](v1::PipelineSpec& spec) {
    Loader(spec).set_placement(v1::PLACEMENT_THREAD);
    Loader(spec).mutable_resources()->set_cpu(1);
    Loader(spec).mutable_watchdog()->set_seconds(1);
  });
  EXPECT_THAT(mistakes, ElementsAre(StartsWith("tasks.loader.resources: "), StartsWith("tasks.loader.watchdog: ")));
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { Loader(spec).set_placement(v1::PLACEMENT_THREAD); }), IsEmpty());
}

TEST(CheckSpec, DependenciesAreKnownAndHaveNoCircle) {
  auto depend = [](v1::TaskSpec& task, const char* on, v1::Condition condition = v1::CONDITION_RUNNING) {
    (*task.mutable_depends_on())[on] = condition;
  };
  EXPECT_THAT(After([&](v1::PipelineSpec& spec) { depend(Detector(spec), "laoder"); }),
              ElementsAre(AllOf(StartsWith("tasks.detector.depends_on.laoder: unknown task"), HasSubstr("did you mean \"loader\"?"))));
  auto circle = [&](v1::PipelineSpec& spec) {
    depend(Detector(spec), "loader");
    depend(Loader(spec), "detector");
  };
  EXPECT_THAT(After(circle), ElementsAre(HasSubstr("a circle: detector -> loader -> detector")));
  EXPECT_THAT(After([&](v1::PipelineSpec& spec) { depend(Loader(spec), "loader"); }), ElementsAre(HasSubstr("a circle: loader -> loader")));
  auto never = [&](v1::PipelineSpec& spec) {
    depend(Detector(spec), "loader", v1::CONDITION_SUCCEEDED);
    Loader(spec).mutable_restart()->set_policy(v1::RESTART_POLICY_ALWAYS);
  };
  EXPECT_THAT(After(never), ElementsAre(HasSubstr("never is SUCCEEDED")));
}

TEST(CheckSpec, UnknownEnumValuesOfNewerClientsAreRefused) {
  const std::vector<std::string> mistakes = After([](v1::PipelineSpec& spec) {
    spec.set_strategy(static_cast<v1::Strategy>(77));
    Loader(spec).set_placement(static_cast<v1::Placement>(77));
    Frames(spec).set_on_full(static_cast<v1::OnFull>(77));
  });
  EXPECT_THAT(mistakes, UnorderedElementsAre(StartsWith("strategy: "), StartsWith("tasks.loader.placement: "),
                                             StartsWith("buffers.frames.on_full: ")));
}

TEST(CheckSpec, ABufferGrowsFromItsCapacityOn) {
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { Frames(spec).mutable_max_bytes()->set_bytes(1); }),
              ElementsAre(AllOf(StartsWith("buffers.frames.max_bytes: "), HasSubstr("at least the capacity"))));
  v1::PipelineSpec filled;
  EXPECT_TRUE(CheckSpec(FromText<v1::PipelineSpec>(kGood), &filled).ok());
  EXPECT_EQ(filled.buffers().at("frames").max_bytes().bytes(), filled.buffers().at("frames").capacity().bytes());
  EXPECT_EQ(filled.tasks().at("detector").max_deliveries(), 5u);
}

TEST(CheckSpec, ReplicasShareWhatIsReliable) {
  auto lossy = [](v1::PipelineSpec& spec) {
    (*Detector(spec).mutable_inputs())["frames"].set_lossy(true);
    Detector(spec).set_replicas(2);
  };
  EXPECT_THAT(After(lossy), ElementsAre(AllOf(StartsWith("tasks.detector.inputs.frames.lossy: "), HasSubstr("leave out lossy"))));
  EXPECT_THAT(After([](v1::PipelineSpec& spec) { (*Detector(spec).mutable_inputs())["frames"].set_lossy(true); }), IsEmpty());
  auto unknown = [](v1::PipelineSpec& spec) { (*Detector(spec).mutable_inputs())["frames"].set_from(static_cast<v1::Join>(77)); };
  EXPECT_THAT(After(unknown), ElementsAre(StartsWith("tasks.detector.inputs.frames.from: ")));
}

TEST(CheckSpec, APipelineHasATask) {
  EXPECT_THAT(MistakesOf(CheckSpec(FromText<v1::PipelineSpec>("pipeline: 'p'"), nullptr)), ElementsAre(StartsWith("tasks: ")));
}

}  // namespace
}  // namespace puma::server
