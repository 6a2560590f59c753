// What a constructor declares, and all that can be wrong with it.
#include <gmock/gmock.h>

#include "worker/runnable/runnable_core.h"

namespace puma {
namespace {

using internal::CoreOptions;
using internal::RunnableCore;
using ::testing::HasSubstr;

template <class T>
absl::StatusOr<std::unique_ptr<RunnableCore>> Construct(CoreOptions options) {
  options.name = "task";
  return RunnableCore::Construct([](Setup& s) -> std::unique_ptr<Runnable> { return std::make_unique<T>(s); }, std::move(options));
}
std::string Why(const absl::Status& s) { return std::string(s.message()); }

struct Frame {
  int width;
};

class Sink : public Runnable {
 public:
  explicit Sink(puma::Setup& setup)
      : rate_(setup.Param("rate", 30, "frames a second")),
        directory_(setup.RequiredParam<std::string>("directory", "where to write")),
        period_(setup.Param("period", absl::Milliseconds(5), "between frames")),
        text_(setup.Param("text", "abc", "a text")) {
    setup.Input("frames", &Sink::OnFrame);
    setup.Input("marks", &Sink::OnMark, {.optional = true, .help = "marks"});
  }
  int rate_;
  std::string directory_;
  absl::Duration period_;
  std::string text_;

 private:
  void OnFrame(const Frame&) {}
  void OnMark(int) {}
};

TEST(SetupTest, GivesParametersAndDefaults) {
  CoreOptions options;
  options.params = {{"directory", "\"photos\""}, {"period", "\"2s\""}};
  options.inputs = {"frames"};
  auto core = Construct<Sink>(options);
  ASSERT_TRUE(core.ok()) << core.status();
  const auto& sink = static_cast<Sink&>(*(*core)->self());
  EXPECT_EQ(sink.rate_, 30);
  EXPECT_EQ(sink.directory_, "photos");
  EXPECT_EQ(sink.period_, absl::Seconds(2));
  EXPECT_EQ(sink.text_, "abc");
  EXPECT_EQ(sink.name(), "task");
}

TEST(SetupTest, SaysAllThatIsWrongAtOnce) {
  CoreOptions options;
  options.params = {{"rate", "\"fast\""}, {"directroy", "\"x\""}, {"period", "{"}};
  options.inputs = {"mark", "marks"};
  options.outputs = {"out"};
  const std::string why = Why(Construct<Sink>(options).status());
  EXPECT_THAT(why, HasSubstr("7 mistakes"));
  EXPECT_THAT(why, HasSubstr("parameter \"rate\": expected int, got \"fast\" (string)"));
  EXPECT_THAT(why, HasSubstr("parameter \"directory\" (string) must be given: where to write"));
  EXPECT_THAT(why, HasSubstr("unknown parameter \"directroy\"; did you mean \"directory\"?"));
  EXPECT_THAT(why, HasSubstr("parameter \"period\": this is no JSON"));
  EXPECT_THAT(why, HasSubstr("unknown input \"mark\"; did you mean \"marks\"?"));
  EXPECT_THAT(why, HasSubstr("unknown output \"out\""));
  EXPECT_THAT(why, HasSubstr("input \"frames\" is not connected"));
}

class Twice : public Runnable {
 public:
  explicit Twice(puma::Setup& setup) {
    setup.Input("a", &Twice::OnFrame);
    setup.Input("a", &Twice::OnFrame);
    setup.Output<int>("b");
    setup.Output<int>("b");
    setup.Command("c", &Twice::Do);
    setup.Command("c", &Twice::Do);
    setup.Param("d", 1, "");
    setup.Param("d", 1, "");
  }

 private:
  void OnFrame(const Frame&) {}
  void Do() {}
};

TEST(SetupTest, TwoDeclarationsOfOneNameAreMistakes) {
  CoreOptions options;
  options.scope = Scope::kDescribe;
  const std::string why = Why(Construct<Twice>(options).status());
  for (const char* what : {"input \"a\"", "output \"b\"", "command \"c\"", "parameter \"d\""}) {
    EXPECT_THAT(why, HasSubstr(std::string(what) + " is declared twice"));
  }
}

TEST(SetupTest, ARunnableMadeByHandIsRefused) {
  Module module;
  module.Add<Sink>("Sink");
  EXPECT_EQ(module.types().size(), 1u);
  class Bare : public Runnable {};
  EXPECT_THROW(Bare(), Exception);
}

TEST(SetupTest, DescribesTypesWithoutParameters) {
  Module module;
  module.Add<Sink>("Sink");
  auto json = internal::DescribeModule(module, "m");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_THAT(*json, HasSubstr(R"({"default":30,"help":"frames a second","name":"rate","type":"int"})"));
  EXPECT_THAT(*json, HasSubstr(R"({"help":"where to write","name":"directory","type":"string"})"));
  EXPECT_THAT(*json, HasSubstr(R"("default":"5ms")"));
  EXPECT_THAT(*json, HasSubstr(R"({"help":"marks","name":"marks","optional":true,"type":"int"})"));
}

TEST(SetupTest, GuessesOnlyWhatIsNear) {
  EXPECT_EQ(internal::DidYouMean("thresold", {"threshold", "rate"}), "threshold");
  EXPECT_EQ(internal::DidYouMean("xyz", {"threshold", "rate"}), "");
  EXPECT_EQ(internal::DidYouMean("", {"a"}), "a");
}

}  // namespace
}  // namespace puma
