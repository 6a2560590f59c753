// Commands, statuses, attributes and logs of a runnable that runs inline.
#include <gmock/gmock.h>
#include <puma/attributes.h>
#include <puma/proxy.h>
#include <puma/testing/gtest_macros.h>
#include <puma/testing/test_run.h>

#include <stdexcept>
#include <string>

#include "tests/runnable/throw_stacks.h"

namespace puma::testing {
namespace {

using ::testing::HasSubstr;

class Camera : public Runnable {
 public:
  explicit Camera(puma::Setup& setup)
      : gain(setup, "gain", 1.0), frames(setup, "frames", 0), states_(setup.Status<std::string>()), out_(setup.Output<double>("out")) {
    setup.Command("set_gain", &Camera::SetGain, {"gain"});
    setup.Command("get_gain", &Camera::GetGain);
    setup.Command("shoot", &Camera::Shoot);
  }
  absl::Status SetGain(double value) {
    if (value < 0) throw std::invalid_argument("a gain is not negative");
    gain = value;
    states_.Send("gain " + std::to_string(static_cast<int>(value)));
    return absl::OkStatus();
  }
  double GetGain() const { return *gain; }
  absl::Status Shoot() {
    frames.fetch_add(1);
    log().info("shot with {}", *gain);
    puma::log().info("and by the thread's own");
    return out_.PublishValue(*gain);
  }
  void Undeclared() {}
  Copied<double> gain;
  Shared<int> frames;

 private:
  StatusPort<std::string> states_;
  puma::Output<double> out_;
};

TEST(SurroundingsTest, MethodsAreCalledAsCommandsOrDirectly) {
  TestRun<Camera> run;
  EXPECT_EQ(run.Call(&Camera::SetGain, 2.0).code(), absl::StatusCode::kFailedPrecondition);  // not started
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Step());
  PUMA_ASSERT_OK(run.Call(&Camera::SetGain, 2.0));
  const absl::StatusOr<double> gain = run.Call(&Camera::GetGain);
  PUMA_ASSERT_OK(gain);
  EXPECT_EQ(*gain, 2.0);
  PUMA_ASSERT_OK(run.Call(&Camera::Shoot));
  PUMA_ASSERT_OK(run.object().Shoot());
  EXPECT_EQ(run.Take<double>("out").size(), 2u);
}

TEST(SurroundingsTest, WhatACommandThrowsIsItsErrorAndTheRunGoesOn) {
  TestRun<Camera> run;
  PUMA_ASSERT_OK(run.Start());
  const absl::Status status = run.Call(&Camera::SetGain, -1.0);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(ErrorOf(status).stack.empty(), kThrowsHaveStacks);
  EXPECT_FALSE(run.ended());
  PUMA_EXPECT_OK(run.Step());
}

TEST(SurroundingsTest, AnUndeclaredMethodIsRefusedWithTheDeclaredOnes) {
  TestRun<Camera> run;
  PUMA_ASSERT_OK(run.Start());
  EXPECT_THAT(run.Call(&Camera::Undeclared).ToString(), HasSubstr("it has declared: set_gain, get_gain, shoot"));
  run.Stop();
  PUMA_ASSERT_OK(run.Step());
  EXPECT_EQ(run.Call(&Camera::Shoot).code(), absl::StatusCode::kUnavailable);
}

TEST(SurroundingsTest, TheNewestStatusIsTakenOnce) {
  TestRun<Camera> run;
  PUMA_ASSERT_OK(run.Start());
  EXPECT_EQ(run.LatestStatus<std::string>().status().code(), absl::StatusCode::kNotFound);
  PUMA_ASSERT_OK(run.Call(&Camera::SetGain, 2.0));
  PUMA_ASSERT_OK(run.Call(&Camera::SetGain, 3.0));
  const auto state = run.LatestStatus<std::string>();
  PUMA_ASSERT_OK(state);
  EXPECT_EQ(*state, "gain 3");
  EXPECT_EQ(run.LatestStatus<std::string>().status().code(), absl::StatusCode::kNotFound);
}

TEST(SurroundingsTest, BothHalvesHaveTheirAttributes) {
  TestRun<Camera> run;
  run.parent(&Camera::gain) = 5.0;
  PUMA_ASSERT_OK(run.Start());
  EXPECT_EQ(run.object().GetGain(), 5.0);
  PUMA_ASSERT_OK(run.Step());
  PUMA_ASSERT_OK(run.Call(&Camera::Shoot));
  EXPECT_EQ(run.parent(&Camera::frames).load(), 1);
  PUMA_ASSERT_OK(run.Call(&Camera::SetGain, 6.0));
  EXPECT_EQ(*run.parent(&Camera::gain), 5.0);
}

TEST(SurroundingsTest, TheLogIsCapturedUnderTheRunnablesName) {
  TestRun<Camera> run({}, {.name = "camera"});
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Step());
  log().debug("the test's own");
  PUMA_ASSERT_OK(run.Call(&Camera::Shoot));
  EXPECT_EQ(run.log().Count({.level = Level::kInfo, .logger = "camera"}), 2u);
  EXPECT_EQ(run.log().Count({.text = "the test's own", .logger = "camera"}), 0u);
  EXPECT_EQ(run.log().Count({.text = "the test's own"}), 1u);
  EXPECT_LOGGED(run.log(), Level::kInfo, "shot with 1");
}

}  // namespace

class Shelf : public Runnable {
 public:
  struct Book {
    int pages = 0;
    int Turn(int by) { return pages += by; }
  };
  explicit Shelf(puma::Setup& setup) { setup.Command("take", &Shelf::TakeBook); }
  std::shared_ptr<Book> TakeBook() { return book_; }
  const std::shared_ptr<Book> book_ = std::make_shared<Book>();
};

}  // namespace puma::testing

template <>
struct puma::Interface<puma::testing::Shelf::Book> {
  static void Describe(Methods<puma::testing::Shelf::Book>& methods) { methods.Add("turn", &puma::testing::Shelf::Book::Turn); }
};

namespace puma::testing {
namespace {

TEST(SurroundingsTest, ResultsThatStayAreReferredToUntilTheRunEnds) {
  TestRun<Shelf> run;
  PUMA_ASSERT_OK(run.Start());
  const auto book = run.Call(&Shelf::TakeBook);
  PUMA_ASSERT_OK(book);
  const absl::StatusOr<int> pages = book->Call(&Shelf::Book::Turn, 3);
  PUMA_ASSERT_OK(pages);
  EXPECT_EQ(*pages, 3);
  EXPECT_EQ(run.object().book_->pages, 3);
  run.Stop();
  PUMA_ASSERT_OK(run.Step());
  EXPECT_EQ(book->Call(&Shelf::Book::Turn, 3).status().code(), absl::StatusCode::kUnavailable);
}

class Reader : public Runnable {
 public:
  explicit Reader(puma::Setup& setup) : book_(setup.UseFacade<Shelf::Book>("book")) { setup.Input("pages", &Reader::OnPages); }
  int at_ = 0;

 private:
  absl::Status OnPages(const int& pages) {
    PUMA_ASSIGN_OR_RETURN(at_, book_.Call(&Shelf::Book::Turn, pages));
    return absl::OkStatus();
  }
  Facade<Shelf::Book> book_;
};

TEST(SurroundingsTest, FacadesReachObjectsOfProxies) {
  ThreadEnvironment environment;
  Shelf::Book book;
  Proxy<Shelf::Book> proxy(environment, "book", book);
  {
    TestRun<Reader> run({}, {.facades = {{"book", proxy.facade()}}});
    PUMA_ASSERT_OK(run.Start());
    PUMA_ASSERT_OK(run.input<int>("pages").PublishValue(12));
    PUMA_ASSERT_OK(run.Step());
    EXPECT_EQ(run.object().at_, 12);
  }
  EXPECT_THAT(TestRun<Reader>().Start().ToString(), HasSubstr("facade \"book\" is not given"));
  EXPECT_THAT(TestRun<Reader>({}, {.facades = {{"bok", proxy.facade()}}}).Start().ToString(), HasSubstr("did you mean \"book\"?"));
}

class Parent : public Runnable {
 public:
  explicit Parent(puma::Setup& setup) : out_(setup.PassOn<double>("out")) {}
  double gain_ = 0;

 private:
  absl::Status Execute() override {
    auto camera = environment().CreateRunner<Camera>("camera", {.outputs = {{"out", out_.buffer()}}});
    PUMA_RETURN_IF_ERROR(camera.StartBlocking());
    PUMA_RETURN_IF_ERROR(camera.Call(&Camera::SetGain, 4.0));
    PUMA_ASSIGN_OR_RETURN(gain_, camera.Call(&Camera::GetGain));
    return camera.Close();
  }
  puma::PassOn<double> out_;
};

TEST(SurroundingsTest, ItsOwnRunnersAreThreads) {
  TestRun<Parent> run;
  PUMA_ASSERT_OK(run.Start());
  PUMA_ASSERT_OK(run.Step());
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.object().gain_, 4.0);
}

}  // namespace
}  // namespace puma::testing
