// What runnables tell their parents of themselves.
#include "tests/worker/programs.h"

namespace puma::testing {
namespace {

using ::testing::HasSubstr;

class Sayer : public Runnable {
 public:
  explicit Sayer(Setup& setup)
      : end_(setup.Param("end", "", "ok or fail, at once")), ints_(setup.Status<int>()), texts_(setup.Status<std::string>()) {
    setup.Command("say", &Sayer::Say, {"value"});
    setup.Command("say_text", &Sayer::SayText, {"text"});
    setup.Command("say_many", &Sayer::SayMany, {"count"});
  }
  void Say(int value) { ints_.Send(value); }
  void SayText(const std::string& text) { texts_.Send(text); }
  void SayMany(int count) {
    for (int i = 1; i <= count; ++i) ints_.Send(i);
  }

 private:
  absl::Status Execute() override {
    if (end_.empty()) return Service();
    ints_.Send(5);
    return end_ == "ok" ? absl::OkStatus() : InvalidArgument("ended badly");
  }
  std::string end_;
  StatusPort<int> ints_;
  StatusPort<std::string> texts_;
};

class StatusTest : public BothKinds {
 protected:
  Runner<Sayer> Started(const std::string& end = "") {
    auto sayer = env_->CreateRunner<Sayer>("sayer", {.params = {{"end", end}}});
    EXPECT_TRUE(sayer.Start().ok());
    return sayer;
  }
};

TEST_P(StatusTest, NewerReplacesOlderAskingTakesItTypesAreKeptApart) {
  auto sayer = Started();
  ASSERT_TRUE(sayer.Call(&Sayer::Say, 1).ok());
  ASSERT_TRUE(sayer.Call(&Sayer::Say, 2).ok());
  ASSERT_TRUE(sayer.Call(&Sayer::SayText, "text").ok());
  EXPECT_EQ(*sayer.LatestStatus<int>(), 2) << "statuses sent during a call are there when it returns";
  EXPECT_EQ(sayer.LatestStatus<int>().status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*sayer.LatestStatus<std::string>(), "text");
}

TEST_P(StatusTest, WaitingEndsWithTheStatusTheDeadlineOrTheEnd) {
  auto sayer = Started();
  EXPECT_EQ(sayer.WaitForStatus<int>(absl::Milliseconds(1)).status().code(), absl::StatusCode::kDeadlineExceeded);
  std::thread later([&] {
    absl::SleepFor(absl::Milliseconds(20));
    EXPECT_TRUE(sayer.Post(&Sayer::Say, 3).ok());
  });
  auto value = sayer.WaitForStatus<int>(kLong);
  later.join();
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, 3);
  std::thread stopper([&] {
    absl::SleepFor(absl::Milliseconds(20));
    sayer.Stop();
  });
  const absl::Status ended = sayer.WaitForStatus<int>(kLong).status();
  stopper.join();
  EXPECT_EQ(ended.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(ended.message()), HasSubstr("ended without a status"));
}

TEST_P(StatusTest, OneThatCameBeforeAnOkEndIsStillThereAfterAnErrorThatComesFirst) {
  auto good = Started("ok");
  ASSERT_TRUE(good.Join(kLong).ok());
  EXPECT_EQ(*good.WaitForStatus<int>(kLong), 5);
  auto bad = Started("fail");
  ASSERT_TRUE(bad.Join(kLong).ok());
  EXPECT_EQ(bad.WaitForStatus<int>(kLong).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*bad.WaitForStatus<int>(kLong), 5) << "the error is handed out once";
}

TEST_P(StatusTest, StatusesThatNobodyReadsNeitherBlockNorHideTheNewestOrTheEnd) {
  auto sayer = Started();
  ASSERT_TRUE(sayer.Call(&Sayer::SayMany, 10000).ok());
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE(sayer.Call(&Sayer::Say, 7).ok());
    auto latest = sayer.LatestStatus<int>();
    return latest.ok() && *latest == 7;
  }));
  EXPECT_TRUE(sayer.Close().ok());
}

PUMA_IN_BOTH_KINDS(StatusTest);

}  // namespace
}  // namespace puma::testing
