// What a test publishes to a runnable, and takes from it.
#include <gmock/gmock.h>
#include <puma/testing/gtest_macros.h>
#include <puma/testing/test_run.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Reading {
  int number;
  double value;
};
struct Header {
  int width;
};

// Passes everything on, each type by a way of its own.
class Relay : public Runnable {
 public:
  explicit Relay(puma::Setup& setup)
      : numbers_(setup.Output<int>("numbers")),
        texts_(setup.Output<std::string>("texts")),
        images_(setup.Output<Block<Header>>("images")),
        owned_(setup.Output<std::unique_ptr<int>>("owned")),
        readings_(setup.Output<Reading>("readings", {.optional = true})) {
    setup.Input("numbers", &Relay::OnNumber);
    setup.Input("texts", &Relay::OnText);
    setup.Input("images", &Relay::OnImage);
    setup.Input("owned", &Relay::OnOwned);
    setup.Input("readings", &Relay::OnReading, {.optional = true});
  }
  Message last_;

 private:
  absl::Status OnNumber(const int& number, const Message& message) {
    last_ = message;
    return numbers_.PublishValue(number);
  }
  absl::Status OnText(const std::string& text) { return texts_.PublishValue(text); }
  absl::Status OnImage(const Block<Header>& image) {
    PUMA_ASSIGN_OR_RETURN(auto loan, images_.Loan(image.bytes().size()));
    loan->width = image->width;
    std::copy(image.bytes().begin(), image.bytes().end(), loan.bytes().begin());
    return loan.Publish();
  }
  absl::Status OnOwned(std::unique_ptr<int> owned) { return owned_.PublishValue(std::move(owned)); }
  absl::Status OnReading(const Reading& reading) { return readings_.PublishValue(reading); }
  puma::Output<int> numbers_;
  puma::Output<std::string> texts_;
  puma::Output<Block<Header>> images_;
  puma::Output<std::unique_ptr<int>> owned_;
  puma::Output<Reading> readings_;
};

TEST(PortsTest, ValuesOfEveryKindGoInAndOut) {
  TestRun<Relay> run;
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.input<int>("numbers").PublishValue(7));
  PUMA_ASSERT_OK(run.input<std::string>("texts").PublishValue("seven"));
  PUMA_ASSERT_OK(run.input<std::unique_ptr<int>>("owned").PublishValue(std::make_unique<int>(8)));
  auto images = run.input<Block<Header>>("images");
  auto loan = images.Loan(3);
  PUMA_ASSERT_OK(loan);
  (*loan)->width = 3;
  loan->bytes()[2] = std::byte{9};
  PUMA_ASSERT_OK(loan->Publish());
  PUMA_ASSERT_OK(run.Step());

  EXPECT_THAT(run.Take<int>("numbers"), ElementsAre(7));
  EXPECT_THAT(run.Take<std::string>("texts"), ElementsAre("seven"));
  const auto owned = run.Take<std::unique_ptr<int>>("owned");
  ASSERT_EQ(owned.size(), 1u);
  EXPECT_EQ(*owned[0], 8);
  const size_t looked_at = run.TakeEach<Block<Header>>("images", [](const Block<Header>& image) {
    EXPECT_EQ(image->width, 3);
    EXPECT_EQ(image.bytes()[2], std::byte{9});
  });
  EXPECT_EQ(looked_at, 1u);
}

TEST(PortsTest, TakeGivesEachValueOnceInOrder) {
  TestRun<Relay> run;
  PUMA_ASSERT_OK(run.Start());
  EXPECT_THAT(run.Take<int>("numbers"), IsEmpty());
  auto numbers = run.input<int>("numbers");
  for (int i = 1; i <= 3; ++i) PUMA_ASSERT_OK(numbers.PublishValue(i));
  EXPECT_THAT(run.Take<int>("numbers"), IsEmpty());  // it has not been stepped
  PUMA_ASSERT_OK(run.Step());
  EXPECT_THAT(run.Take<int>("numbers"), ElementsAre(1, 2, 3));
  EXPECT_THAT(run.Take<int>("numbers"), IsEmpty());
  PUMA_ASSERT_OK(run.input<int>("numbers").PublishValue(4));  // the same publisher
  PUMA_ASSERT_OK(run.Step());
  EXPECT_THAT(run.Take<int>("numbers"), ElementsAre(4));
}

TEST(PortsTest, WhatWasPublishedBeforeTheStartIsThere) {
  TestRun<Relay> run;
  PUMA_ASSERT_OK(run.input<int>("numbers").PublishValue(1));
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Step());
  EXPECT_THAT(run.Take<int>("numbers"), ElementsAre(1));
}

TEST(PortsTest, WhatNobodyTakesIsDestroyedWithTheRun) {
  const auto held = std::make_shared<int>(1);
  struct Token {
    std::shared_ptr<int> held;
  };
  class Keeper : public Runnable {
   public:
    explicit Keeper(puma::Setup& setup) : out_(setup.Output<Token>("out")) { setup.Input("in", &Keeper::On); }
    absl::Status On(Token token) { return out_.PublishValue(std::move(token)); }
    puma::Output<Token> out_;
  };
  {
    TestRun<Keeper> run;
    PUMA_ASSERT_OK(run.Start());
    PUMA_ASSERT_OK(run.input<Token>("in").PublishValue(Token{held}));
    PUMA_ASSERT_OK(run.Step());
    PUMA_ASSERT_OK(run.input<Token>("in").PublishValue(Token{held}));
    EXPECT_EQ(held.use_count(), 3);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(PortsTest, MessagesCarryTheClocksTime) {
  TestRun<Relay> run;
  PUMA_ASSERT_OK(run.Start());
  run.clock().Advance(absl::Seconds(5));
  PUMA_ASSERT_OK(run.input<int>("numbers").PublishValue(1));
  PUMA_ASSERT_OK(run.Step());
  EXPECT_EQ(run.object().last_.published_ns, absl::ToInt64Nanoseconds(run.clock().now()));
  EXPECT_EQ(run.object().last_.port, "numbers");
  int64_t published = 0;
  run.TakeEach<int>("numbers", [&](const int&, const Message& message) { published = message.published_ns; });
  EXPECT_EQ(published, absl::ToInt64Nanoseconds(run.clock().now()));
}

TEST(PortsTest, AWrongNameOrTypeIsSaidAtTheFirstUse) {
  TestRun<Relay> run;
  PUMA_ASSERT_OK(run.Start());
  EXPECT_THAT(run.input<int>("number").PublishValue(1).ToString(), HasSubstr("did you mean \"numbers\"?"));
  EXPECT_THAT(run.input<int>("texts").PublishValue(1).ToString(), HasSubstr("input \"texts\" carries std::"));
  EXPECT_THROW(run.Take<int>("nowhere"), Exception);
  EXPECT_THROW(run.Take<double>("numbers"), Exception);
  EXPECT_THROW(static_cast<void>(run.Completion("nowhere")), Exception);
}

TEST(PortsTest, AFullInputIsRefusedAsInEveryBuffer) {
  TestRun<Relay> run({}, {.buffers = {.capacity = 2}});
  PUMA_ASSERT_OK(run.Start());
  auto numbers = run.input<int>("numbers");
  PUMA_ASSERT_OK(numbers.PublishValue(1));
  PUMA_ASSERT_OK(numbers.PublishValue(2));
  EXPECT_EQ(numbers.PublishValue(3).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(numbers.PublishValue(3, kInfinite, OnFull::kBlock).code(), absl::StatusCode::kResourceExhausted);  // nobody could make room
  PUMA_ASSERT_OK(run.Step());
  PUMA_EXPECT_OK(numbers.PublishValue(3));
}

TEST(PortsTest, LargeValuesHaveFewSlotsInsteadOfMuchMemory) {
  using Large = std::array<char, 1 << 20>;
  class Sink : public Runnable {
   public:
    explicit Sink(puma::Setup& setup) { setup.Input("in", &Sink::On); }
    void On(const Large&) { ++count_; }
    int count_ = 0;
  };
  TestRun<Sink> run;
  PUMA_ASSERT_OK(run.Start());
  auto large = std::make_unique<Large>();
  auto in = run.input<Large>("in");
  for (int i = 0; i < 16; ++i) PUMA_ASSERT_OK(in.PublishValue(*large));
  EXPECT_EQ(in.PublishValue(*large).code(), absl::StatusCode::kResourceExhausted);
  PUMA_ASSERT_OK(run.Step());
  EXPECT_EQ(run.object().count_, 16);
}

TEST(PortsTest, OptionalPortsMayBeLeftUnconnected) {
  TestRun<Relay> run({}, {.unconnected = {"readings"}});
  PUMA_ASSERT_OK(run.Start());
  EXPECT_THROW(run.Take<Reading>("readings"), Exception);
  EXPECT_THAT(TestRun<Relay>({}, {.unconnected = {"numbers"}}).Start().ToString(), HasSubstr("\"numbers\" is not connected"));
  EXPECT_THAT(TestRun<Relay>({}, {.unconnected = {"reading"}}).Start().ToString(), HasSubstr("did you mean \"readings\"?"));
}

TEST(PortsTest, PublishersMayOutliveTheRun) {
  auto run = std::make_unique<TestRun<Relay>>();
  PUMA_ASSERT_OK(run->Start());
  auto numbers = run->input<int>("numbers");
  run = nullptr;
  EXPECT_THAT(numbers.PublishValue(1).ToString(), HasSubstr("its test run is over"));
}

TEST(PortsTest, CompletionsAndErrorsGoThrough) {
  TestRun<Relay> run({}, {.unconnected = {"readings"}});
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.input<int>("numbers").PublishValue(1));
  PUMA_ASSERT_OK(run.input<int>("numbers").PublishComplete());
  PUMA_ASSERT_OK(run.Step());
  EXPECT_FALSE(run.ended());  // other inputs are not complete
  EXPECT_EQ(run.Completion("numbers"), std::nullopt);
  PUMA_ASSERT_OK(run.input<std::string>("texts").PublishComplete(absl::DataLossError("torn")));
  EXPECT_EQ(run.Step().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(run.Completion("numbers"), std::nullopt);  // a value comes first
  EXPECT_THAT(run.Take<int>("numbers"), ElementsAre(1));
  ASSERT_NE(run.Completion("numbers"), std::nullopt);
  EXPECT_EQ(run.Completion("numbers")->code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(run.Completion("images")->code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace puma::testing
