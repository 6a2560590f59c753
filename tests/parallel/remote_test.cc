// Results that stay where they are: references to objects of a runnable, or of a proxy's object.
#include "tests/parallel/cameras.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Has lenses, and lends them.
class Shelf : public Runnable {
 public:
  explicit Shelf(Setup& setup) {
    setup.Command("own", &Shelf::Own);
    setup.Command("by_value", &Shelf::ByValue, {"focus"});
    setup.Command("unique", &Shelf::Unique, {"focus"});
    setup.Command("shared", &Shelf::Shared);
    setup.Command("status_or", &Shelf::StatusOrUnique, {"focus"});
    setup.Command("own_focus", &Shelf::OwnFocus);
    setup.Command("living", &Shelf::Living);
    setup.Command("pid", &Shelf::Pid);
    setup.Command("thread", &Shelf::Thread);
    setup.Command("use_own", &Shelf::UseOwn);
    setup.Command("block", &Shelf::Block, {"milliseconds"});
  }
  Lens& Own() { return lens_; }
  Lens ByValue(double focus) { return Lens(focus); }
  std::unique_ptr<Lens> Unique(double focus) { return focus < 0 ? nullptr : std::make_unique<Lens>(focus); }
  std::shared_ptr<Lens> Shared() { return shared_; }
  absl::StatusOr<std::unique_ptr<Lens>> StatusOrUnique(double focus) {
    if (focus < 0) return InvalidArgument("a focus below zero");
    return std::make_unique<Lens>(focus);
  }
  double OwnFocus() { return lens_.Focus(); }
  int Living() { return Lens::living; }
  int Pid() { return ::getpid(); }
  uint64_t Thread() { return static_cast<uint64_t>(::pthread_self()); }
  void Block(int milliseconds) { absl::SleepFor(absl::Milliseconds(milliseconds)); }
  absl::StatusOr<double> UseOwn() { return self_lens->Call(&Lens::Focus); }
  static inline const Remote<Lens>* self_lens = nullptr;

 private:
  Lens lens_{50};
  std::shared_ptr<Lens> shared_ = std::make_shared<Lens>(85);
};

class RemoteTest : public BothKinds {
 protected:
  Runner<Shelf> StartShelf() {
    auto shelf = env_->CreateRunner<Shelf>("shelf");
    const absl::Status started = shelf.StartBlocking(kLong);
    EXPECT_TRUE(started.ok()) << started;
    return shelf;
  }
};

TEST_P(RemoteTest, AResultWithoutACodecComesAsAReferenceByWhateverWayItIsReturned) {
  auto shelf = StartShelf();
  auto own = shelf.Call(&Shelf::Own), value = shelf.Call(&Shelf::ByValue, 24), unique = shelf.Call(&Shelf::Unique, 35),
       shared = shelf.Call(&Shelf::Shared), either = shelf.Call(&Shelf::StatusOrUnique, 100);
  static_assert(std::is_same_v<decltype(own), absl::StatusOr<Remote<Lens>>>);
  std::vector<double> focuses;
  for (auto* lens : {&own, &value, &unique, &shared, &either}) {
    ASSERT_TRUE(lens->ok()) << lens->status();
    focuses.push_back(*(*lens)->Call(&Lens::Focus));
  }
  EXPECT_THAT(focuses, ElementsAre(50, 24, 35, 85, 100));
}

TEST_P(RemoteTest, ItsMethodsRunInTheOwnersScopeOnItsThread) {
  auto shelf = StartShelf();
  auto lens = shelf.Call(&Shelf::Own);
  ASSERT_TRUE(lens.ok()) << lens.status();
  EXPECT_EQ(*lens->Call(&Lens::Pid), *shelf.Call(&Shelf::Pid));
  EXPECT_EQ(*lens->Call(&Lens::Thread), *shelf.Call(&Shelf::Thread));
  EXPECT_TRUE(lens->Call(&Lens::SetFocus, 28).ok());
  EXPECT_EQ(*shelf.Call(&Shelf::OwnFocus), 28) << "the runnable's own object";
}

TEST_P(RemoteTest, ReferencesChain) {
  auto shelf = StartShelf();
  auto lens = shelf.Call(&Shelf::Unique, 1);
  ASSERT_TRUE(lens.ok()) << lens.status();
  auto twin = lens->Call(&Lens::Twin);
  ASSERT_TRUE(twin.ok()) << twin.status();
  auto third = twin->Call(&Lens::Twin);
  ASSERT_TRUE(third.ok()) << third.status();
  lens = absl::CancelledError();
  EXPECT_EQ(*third->Call(&Lens::Focus), 3);
}

TEST_P(RemoteTest, DroppingTheLastCopyFreesTheObjectThere) {
  auto shelf = StartShelf();
  const int before = *shelf.Call(&Shelf::Living);
  {
    auto lens = shelf.Call(&Shelf::Unique, 1);
    ASSERT_TRUE(lens.ok()) << lens.status();
    const Remote<Lens> copy = *lens;
    lens = absl::CancelledError();
    EXPECT_EQ(*shelf.Call(&Shelf::Living), before + 1);
    EXPECT_EQ(*copy.Call(&Lens::Focus), 1);
  }
  EXPECT_EQ(*shelf.Call(&Shelf::Living), before) << "commands are served in order";
}

TEST_P(RemoteTest, AThousandReferencesLeaveNothingBehind) {
  auto shelf = StartShelf();
  const int before = *shelf.Call(&Shelf::Living);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(*shelf.Call(&Shelf::Unique, i)->Call(&Lens::Focus), i);
  EXPECT_EQ(*shelf.Call(&Shelf::Living), before);
}

TEST_P(RemoteTest, AFutureThatNobodyReadsAndALateAnswerLeaveNothingBehind) {
  auto shelf = StartShelf();
  const int before = *shelf.Call(&Shelf::Living);
  static_cast<void>(shelf.CallAsync(&Shelf::Unique, 1));
  auto read = shelf.CallAsync(&Shelf::Unique, 2);
  EXPECT_EQ(*read.Get()->Call(&Lens::Focus), 2);
  EXPECT_EQ(*read.Get()->Call(&Lens::Focus), 2) << "again and again the same object";
  EXPECT_EQ(*shelf.Call(&Shelf::Living), before + 1);
  read = Future<std::unique_ptr<Lens>>(nullptr);
  auto busy = shelf.CallAsync(&Shelf::Block, 30);
  for (int i = 0; i < 8; ++i) static_cast<void>(shelf.CallAsync(&Shelf::Unique, 3));
  EXPECT_TRUE(busy.Get(kLong).ok());
  EXPECT_TRUE(Eventually([&] { return *shelf.Call(&Shelf::Living) == before; }));
}

TEST_P(RemoteTest, DroppingWhileTheCommandBufferIsFullDoesNotBlock) {
  auto shelf = StartShelf();
  const int before = *shelf.Call(&Shelf::Living);
  std::vector<Remote<Lens>> lenses;
  for (int i = 0; i < 20; ++i) lenses.push_back(*shelf.Call(&Shelf::Unique, i));
  std::vector<Future<void>> busy;
  for (int i = 0; i < 11; ++i) busy.push_back(shelf.CallAsync(&Shelf::Block, 20));
  lenses.clear();
  for (auto& each : busy) EXPECT_TRUE(each.Get(kLong).ok());
  EXPECT_TRUE(Eventually([&] { return *shelf.Call(&Shelf::Living) == before; }));
}

TEST_P(RemoteTest, AfterTheOwnersEndEachUseIsAClearError) {
  auto shelf = StartShelf();
  auto lens = shelf.Call(&Shelf::Unique, 1);
  ASSERT_TRUE(lens.ok()) << lens.status();
  const Remote<Lens> copy = *lens;
  EXPECT_TRUE(shelf.Close().ok());
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = copy.Call(&Lens::Focus).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"shelf\" has ended"));
  }
}

TEST_P(RemoteTest, AReferenceMayOutliveItsRunnerAndItsEnvironment) {
  std::optional<Remote<Lens>> lens;
  {
    auto environment = CreateEnvironment(GetParam());
    auto shelf = environment->CreateRunner<Shelf>("shelf");
    ASSERT_TRUE(shelf.StartBlocking(kLong).ok());
    lens = *shelf.Call(&Shelf::Unique, 1);
  }
  EXPECT_EQ(lens->Call(&Lens::Focus).status().code(), absl::StatusCode::kUnavailable);
}

TEST_P(RemoteTest, AnErrorIsItsCallersAndTheRunnableGoesOn) {
  auto shelf = StartShelf();
  auto lens = shelf.Call(&Shelf::Own);
  const absl::Status error = lens->Call(&Lens::Break);
  EXPECT_TRUE(IsError(error, "std::range_error")) << error;
  EXPECT_THAT(ErrorOf(error).path, ElementsAre("shelf"));
  EXPECT_TRUE(lens->Call(&Lens::Focus).ok());
  EXPECT_EQ(shelf.Call(&Shelf::Unique, -1).status().code(), absl::StatusCode::kNotFound) << "a null pointer";
  EXPECT_EQ(shelf.Call(&Shelf::StatusOrUnique, -1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(RemoteTest, AMethodThatIsNotListedIsRefusedWithThoseThatAre) {
  auto shelf = StartShelf();
  const absl::Status status = shelf.Call(&Shelf::Own)->Call(&Lens::Unlisted);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("it lists: focus, set_focus, twin"));
}

TEST_P(RemoteTest, DeadlineAndSlownessAreSetForEachMethodOrEachCall) {
  auto shelf = StartShelf();
  auto lens = shelf.Call(&Shelf::Own);
  const absl::Status late = lens->Call(&Lens::Block, 200);
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded) << "20 ms, as its interface says";
  EXPECT_THAT(std::string(late.message()), HasSubstr("\"shelf\" has not answered \"block\" within 20ms"));
  CapturedLog log;
  EXPECT_TRUE(lens->CallWithin(kLong, &Lens::Block, 30).ok());
  EXPECT_TRUE(lens->CallWithin(kLong, &Lens::Block, 30).ok());
  ASSERT_EQ(log.lines().size(), 1u) << "slower than 10 ms, as its interface says; once";
  EXPECT_THAT(log.lines()[0], HasSubstr("to answer \"block\""));
}

TEST_P(RemoteTest, ManyThreadsCallAtOnceAndEachGetsItsOwnAnswer) {
  auto shelf = StartShelf();
  std::vector<Remote<Lens>> lenses;
  for (int i = 0; i < 4; ++i) lenses.push_back(*shelf.Call(&Shelf::Unique, i));
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n) {
        auto focus = lenses[static_cast<size_t>(i)].Call(&Lens::Focus);
        if (!focus.ok() || *focus != i) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

// ---- of a proxy ------------------------------------------------------------------------------------------------------------------------

TEST_P(RemoteTest, AProxysResultsAreReferencesToo) {
  Phone object;
  Proxy<Camera> proxy(*env_, "camera", object);
  const auto facade = proxy.facade();
  const int before = *facade.Call(&Camera::Living);
  {
    auto lens = facade.Call(&Camera::NewLens, 35);
    ASSERT_TRUE(lens.ok()) << lens.status();
    EXPECT_EQ(*lens->Call(&Lens::Thread), *facade.Call(&Camera::Thread));
    auto twin = lens->Call(&Lens::Twin);
    ASSERT_TRUE(twin.ok()) << twin.status();
    lens = absl::CancelledError();
    EXPECT_EQ(*twin->Call(&Lens::Focus), 36);
    EXPECT_EQ(*facade.Call(&Camera::Living), before + 1);
  }
  EXPECT_EQ(*facade.Call(&Camera::Living), before);
  EXPECT_EQ(*facade.Call(&Camera::OwnLens)->Call(&Lens::Focus), 50);
}

TEST_P(RemoteTest, ChildrenReferToAProxysObjects) {
  Phone object;
  Proxy<Camera> proxy(*env_, "camera", object);
  auto user = env_->CreateRunner<User>("user", {.facades = {{"camera", proxy.facade()}}});
  ASSERT_TRUE(user.StartBlocking(kLong).ok());
  const int before = Lens::living;
  EXPECT_TRUE(user.Call(&User::KeepLens, 35.0).ok());
  EXPECT_EQ(Lens::living, before + 1);
  EXPECT_EQ(*user.Call(&User::TwinFocus), 36);
  EXPECT_TRUE(user.Call(&User::DropLens).ok());
  EXPECT_TRUE(Eventually([&] { return Lens::living == before; }));
  EXPECT_TRUE(user.Call(&User::KeepLens, 35.0).ok());
  EXPECT_TRUE(user.Close().ok());
  EXPECT_TRUE(Eventually([&] { return Lens::living == before; })) << "what a caller referred to is let go of with it";
}

TEST_P(RemoteTest, AfterTheProxysEndAReferenceSaysSo) {
  Phone object;
  std::optional<Remote<Lens>> lens;
  {
    Proxy<Camera> proxy(*env_, "camera", object);
    lens = *proxy.facade().Call(&Camera::NewLens, 35);
  }
  EXPECT_EQ(Lens::living, 1) << "the camera's own";
  EXPECT_EQ(lens->Call(&Lens::Focus).status().code(), absl::StatusCode::kUnavailable);
}

// Asks for a lens through its own facade, and keeps it.
class SelfUser : public Camera {
 public:
  std::string Model() override {
    auto lens = facade->Call(&Camera::NewLens, 14);
    kept = *lens;
    return std::to_string(static_cast<int>(*kept->Call(&Lens::Focus)));
  }
  std::optional<Facade<Camera>> facade;
  std::optional<Remote<Lens>> kept;
};

TEST_P(RemoteTest, FromTheProxysThreadCallsRunDirectlyAndWhatTheyReturnIsReleasedFromAnywhere) {
  SelfUser object;
  Proxy<Camera> proxy(*env_, "camera", object);
  object.facade = proxy.facade();
  const int before = Lens::living;
  EXPECT_EQ(*proxy.facade().Call(&Camera::Model), "14");
  EXPECT_EQ(Lens::living, before + 1);
  object.kept.reset();
  EXPECT_TRUE(Eventually([&] { return Lens::living == before; }));
}

// ---- threads ---------------------------------------------------------------------------------------------------------------------------

TEST(RemoteBetweenThreads, FromTheOwnersThreadItRunsDirectly) {
  ThreadEnvironment env;
  auto shelf = env.CreateRunner<Shelf>("shelf");
  ASSERT_TRUE(shelf.StartBlocking(kLong).ok());
  const Remote<Lens> lens = *shelf.Call(&Shelf::Own);
  Shelf::self_lens = &lens;
  EXPECT_EQ(*shelf.Call(&Shelf::UseOwn), 50);
}

PUMA_IN_BOTH_KINDS(RemoteTest);

}  // namespace
}  // namespace puma::testing
