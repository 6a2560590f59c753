// A proxy's object, used by facades from other threads and processes.
#include <poll.h>

#include <csignal>

#include "tests/parallel/cameras.h"
#include "tests/runnable/throw_stacks.h"
#include "worker/platform/system.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ProxyTest : public BothKinds {
 protected:
  Runner<User> StartUser(const Facade<Camera>& facade, const std::string& name = "user") {
    auto user = env_->CreateRunner<User>(name, {.facades = {{"camera", facade}}});
    const absl::Status started = user.StartBlocking(kLong);
    EXPECT_TRUE(started.ok()) << started;
    return user;
  }
  Phone object_;
};

TEST_P(ProxyTest, AFacadeReachesTheObjectFromOtherThreadsAndProcesses) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  auto user = StartUser(proxy.facade());
  EXPECT_TRUE(user.Call(&User::SetGain, 2.0).ok());
  EXPECT_EQ(object_.Gain(), 2) << "the object is this program's";
  EXPECT_EQ(*user.Call(&User::Where), ::getpid());
  EXPECT_EQ(*user.Call(&User::Gain), 2);
}

TEST_P(ProxyTest, ItServesTheObjectOnAThreadOfItsOwnTheMostDerivedMethodRuns) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  const auto thread = proxy.facade().Call(&Camera::Thread);
  ASSERT_TRUE(thread.ok()) << thread.status();
  EXPECT_NE(*thread, static_cast<uint64_t>(::pthread_self()));
  EXPECT_EQ(*thread, *proxy.facade().Call(&Camera::Thread));
  EXPECT_EQ(*proxy.facade().Call(&Camera::Model), "phone");
}

TEST_P(ProxyTest, ManyThreadsAndRunnablesCallAtOnceAndEachGetsItsOwnAnswer) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  auto first = StartUser(proxy.facade(), "first"), second = StartUser(proxy.facade(), "second");
  auto one = first.CallAsync(&User::Echoes, 4, 50), other = second.CallAsync(&User::Echoes, 4, 50);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n) {
        const std::string text = std::to_string(i * 1000 + n);
        auto echo = proxy.facade().Call(&Camera::Echo, text);
        if (!echo.ok() || *echo != text) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(*one.Get(kLong), 0);
  EXPECT_EQ(*other.Get(kLong), 0);
}

TEST_P(ProxyTest, AnErrorGoesToItsCallerWithItsTypeItsFrameAndItsPathAndTheProxyGoesOn) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  auto user = StartUser(proxy.facade());
  const absl::Status error = user.Call(&User::Break);
  EXPECT_TRUE(IsError(error, "std::domain_error")) << error;
  EXPECT_THAT(ErrorOf(error).path, ElementsAre("camera", "user"));
  if (kThrowsHaveStacks) {
    EXPECT_THAT(Explain(error), HasSubstr("Camera::Break"));
  }
  EXPECT_EQ(user.Call(&User::SetGain, -1.0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(user.Call(&User::SetGain, 3.0).ok());
}

TEST_P(ProxyTest, ADeadlineNamesProxyAndMethodAndItsLateAnswerReachesNobody) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  auto user = StartUser(proxy.facade());
  const absl::Status late = user.Call(&User::Hurry);
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded) << late;
  EXPECT_THAT(std::string(late.message()), StartsWith("\"camera\" has not answered \"block\" within 1ms"));
  EXPECT_EQ(*user.Call(&User::Gain), 1) << "its own answer, not the late one";
  const auto facade = proxy.facade();
  EXPECT_EQ(facade.CallWithin(absl::ZeroDuration(), &Camera::Gain).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(ProxyTest, ACallWhoseDeadlineHasPassedIsNotExecuted) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  const auto facade = proxy.facade();
  object_.hold = true;
  std::thread busy([&] { EXPECT_TRUE(facade.Call(&Camera::Hold).ok()); });
  EXPECT_TRUE(Eventually([&] { return object_.holding.load(); }));
  EXPECT_EQ(facade.CallWithin(absl::Milliseconds(1), &Camera::SetGain, 9.0).code(), absl::StatusCode::kDeadlineExceeded);
  object_.hold = false;
  busy.join();
  EXPECT_EQ(*facade.Call(&Camera::Gain), 1);
}

TEST_P(ProxyTest, ALocalBodyRunsInTheCallerAndMayCallTheRemoteOne) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  auto user = StartUser(proxy.facade());
  const auto described = user.Call(&User::Describe);
  ASSERT_TRUE(described.ok()) << described.status();
  EXPECT_THAT(*described, StartsWith("phone with gain 1, described in "));
  EXPECT_EQ(*described == "phone with gain 1, described in " + std::to_string(::getpid()), !processes());
}

TEST_P(ProxyTest, AMethodThatIsNotListedIsRefusedWithThoseThatAre) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  const absl::Status status = proxy.facade().Call(&Camera::Unlisted);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("it lists: set_gain, gain, model"));
}

TEST_P(ProxyTest, AfterItsEndEachUseIsAnErrorThatNamesIt) {
  auto proxy = std::make_unique<Proxy<Camera>>(*env_, "camera", object_);
  const auto facade = proxy->facade();
  auto user = StartUser(facade);
  EXPECT_TRUE(user.Call(&User::SetGain, 2.0).ok());
  EXPECT_TRUE(facade.Call(&Camera::SetGain, 2.0).ok());
  CapturedLog log;
  proxy = nullptr;
  for (const absl::Status& status : {facade.Call(&Camera::SetGain, 3.0), user.Call(&User::SetGain, 3.0), user.Call(&User::SetGain, 3.0)}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr("facade of \"camera\": its owner has ended"));
  }
  EXPECT_EQ(object_.Gain(), 2);
  EXPECT_THAT(log.lines(), ElementsAre());
}

TEST_P(ProxyTest, ManyRequestsWaitAndStillNobodyWaitsForAnothersDeadlineAndReleasesForNone) {
  const int before = Lens::living;
  Proxy<Camera> proxy(*env_, "camera", object_);
  const auto facade = proxy.facade();
  std::optional<Remote<Lens>> lens = *facade.Call(&Camera::NewLens, 5);
  object_.hold = true;
  std::jthread holder([&] { EXPECT_TRUE(facade.CallWithin(kInfinite, &Camera::Hold).ok()); });
  while (!object_.holding) absl::SleepFor(absl::Milliseconds(1));
  absl::Status refused;
  while (!absl::IsResourceExhausted(refused)) refused = facade.CallWithin(absl::Microseconds(10), &Camera::Gain).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("64 calls of this process"));
  std::atomic<bool> begun{false};
  std::jthread patient([&] {
    begun = true;
    EXPECT_EQ(*facade.Call(&Camera::Model), "phone");  // there is room once the object is free
  });
  while (!begun) std::this_thread::yield();
  absl::SleepFor(absl::Milliseconds(20));  // so that it waits, usually
  EXPECT_TRUE(absl::IsResourceExhausted(facade.CallWithin(absl::Milliseconds(2), &Camera::Gain).status()));
  lens.reset();
  EXPECT_EQ(Lens::living, before + 1);
  object_.hold = false;
  EXPECT_TRUE(Eventually([&] { return facade.Call(&Camera::Gain).ok() && Lens::living == before; }));
}

TEST_P(ProxyTest, ItsEndFinishesTheCallInHandAndWakesThoseThatWait) {
  auto proxy = std::make_unique<Proxy<Camera>>(*env_, "camera", object_);
  const auto facade = proxy->facade();
  std::atomic<int> answered{0}, gone{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      const absl::Status status = facade.Call(&Camera::Block, 50);
      ++(status.ok() ? answered : gone);
      EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
    });
  }
  while (!facade.Call(&Camera::Gain).ok()) {
  }
  proxy = nullptr;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(answered + gone, 4);
}

TEST_P(ProxyTest, TheObjectMayBeMadeUsedAndDestroyedOnTheProxysThreadOnly) {
  static std::atomic<uint64_t> made{0}, destroyed{0};
  struct Own : Camera {
    Own() { made = static_cast<uint64_t>(::pthread_self()); }
    ~Own() override { destroyed = static_cast<uint64_t>(::pthread_self()); }
  };
  uint64_t used = 0;
  {
    Proxy<Camera> proxy(*env_, "camera", [] { return std::make_unique<Own>(); });
    used = *proxy.facade().Call(&Camera::Thread);
  }
  EXPECT_EQ(made, used);
  EXPECT_EQ(destroyed, used);
}

TEST_P(ProxyTest, AnObjectThatCantBeMadeIsEachCallsError) {
  CapturedLog log;
  Proxy<Camera> proxy(*env_, "camera", []() -> std::unique_ptr<Camera> { throw std::runtime_error("no such device"); });
  EXPECT_TRUE(IsError(proxy.facade().Call(&Camera::Gain).status(), "std::runtime_error"));
  EXPECT_TRUE(IsError(proxy.status(), "std::runtime_error"));
  EXPECT_TRUE(IsError(proxy.facade().Call(&Camera::Gain).status(), "std::runtime_error"));
}

TEST_P(ProxyTest, ASlowCallWarnsOnceForEachMethod) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  CapturedLog log;
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(proxy.facade().Call(&Camera::Nap, 11).ok());
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0], HasSubstr("to answer \"nap\""));
}

TEST_P(ProxyTest, AMegabyteTravelsThereAndBackAndWhatIsTooLargeIsRefusedWithTheLimit) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  const auto facade = proxy.facade();
  EXPECT_EQ(facade.Call(&Camera::Echo, std::string(1 << 20, 'x'))->size(), size_t{1} << 20);
  const absl::Status status = facade.Call(&Camera::Echo, std::string(2 << 20, 'x')).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is the most"));
  EXPECT_TRUE(facade.Call(&Camera::Gain).ok());
}

// ---- wiring ----------------------------------------------------------------------------------------------------------------------------

class Unknown : public Runnable {
 public:
  explicit Unknown(Setup& setup) : camera_(setup.UseFacade<Lens>("camera")) {}

 private:
  Facade<Lens> camera_;
};

TEST_P(ProxyTest, MistakesOfFacadesAreSaidAtStart) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  auto missing = env_->CreateRunner<User>("missing");
  EXPECT_THAT(std::string(missing.Start().message()), HasSubstr("facade \"camera\" is not given"));
  auto unknown = env_->CreateRunner<User>("unknown", {.facades = {{"camera", proxy.facade()}, {"camra", proxy.facade()}}});
  EXPECT_THAT(std::string(unknown.Start().message()), HasSubstr("unknown facade \"camra\"; did you mean \"camera\"?"));
  auto typed = env_->CreateRunner<Unknown>("typed", {.facades = {{"camera", proxy.facade()}}});
  EXPECT_THAT(std::string(typed.Start().message()), HasSubstr("is one of puma::testing::Lens, but what is given is one of"));
  Proxy<Camera> nameless(*env_, "", object_);
  EXPECT_EQ(nameless.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(nameless.facade().Call(&Camera::Gain).status().code(), absl::StatusCode::kInvalidArgument);
}

// Owns a camera in its own scope, and runs a user of it.
class Owner : public Runnable {
 public:
  explicit Owner(Setup& setup) {
    setup.Command("where", &Owner::Where);
    setup.Command("echoes", &Owner::Echoes, {"threads", "each"});
    setup.Command("kill_user", &Owner::KillUser);
    setup.Command("living", &Owner::Living);
    setup.Command("keep", &Owner::Keep, {"focus"});
  }
  absl::StatusOr<bool> Where() {
    PUMA_ASSIGN_OR_RETURN(const int pid, user_->Call(&User::Where));
    return pid == ::getpid();
  }
  absl::StatusOr<int> Echoes(int threads, int each) { return user_->Call(&User::Echoes, threads, each); }
  absl::Status Keep(double focus) { return user_->Call(&User::KeepLens, focus); }
  absl::Status KillUser() {
    const int pid = user_->pid();
    if (pid > 1) ::kill(pid, SIGKILL);
    return user_->Join(kLong);
  }
  absl::StatusOr<int> Living() { return proxy_->facade().Call(&Camera::Living); }

 private:
  absl::Status OnStart() override {
    proxy_ = std::make_unique<Proxy<Camera>>(environment(), "camera", camera_);
    user_.emplace(environment().CreateRunner<User>("user", {.facades = {{"camera", proxy_->facade()}}}));
    return user_->StartBlocking(kLong);
  }
  Camera camera_;
  std::unique_ptr<Proxy<Camera>> proxy_;
  std::optional<Runner<User>> user_;
};

TEST_P(ProxyTest, TheOwnerMayItselfBeAChild) {
  auto owner = env_->CreateRunner<Owner>("owner");
  const absl::Status started = owner.StartBlocking(kLong);
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_TRUE(*owner.Call(&Owner::Where));
  EXPECT_EQ(*owner.Call(&Owner::Echoes, 3, 20), 0);
  EXPECT_TRUE(owner.Close().ok());
}

// Hands its facade on to a runner of its own.
class Middle : public Runnable {
 public:
  explicit Middle(Setup& setup) : camera_(setup.UseFacade<Camera>("camera")) { setup.Command("set_gain", &Middle::SetGain, {"gain"}); }
  absl::Status SetGain(double gain) { return user_->Call(&User::SetGain, gain); }

 private:
  absl::Status OnStart() override {
    PUMA_RETURN_IF_ERROR(camera_.Call(&Camera::SetGain, 5));
    user_.emplace(environment().CreateRunner<User>("user", {.facades = {{"camera", camera_}}}));
    return user_->StartBlocking(kLong);
  }
  Facade<Camera> camera_;
  std::optional<Runner<User>> user_;
};

TEST_P(ProxyTest, AFacadeGoesOnToRunnersOfRunners) {
  Proxy<Camera> proxy(*env_, "camera", object_);
  auto middle = env_->CreateRunner<Middle>("middle", {.facades = {{"camera", proxy.facade()}}});
  const absl::Status started = middle.StartBlocking(kLong);
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(object_.Gain(), 5) << "it can be used in OnStart";
  EXPECT_TRUE(middle.Call(&Middle::SetGain, 7.0).ok());
  EXPECT_EQ(object_.Gain(), 7);
}

// ---- deaths ----------------------------------------------------------------------------------------------------------------------------

TEST(ProxyBetweenProcesses, AKilledCallerTakesNothingAlongAndItsReferencesAreReleased) {
  ProcessEnvironment env;
  auto owner = env.CreateRunner<Owner>("owner");
  ASSERT_TRUE(owner.StartBlocking(kLong).ok());
  EXPECT_TRUE(owner.Call(&Owner::Keep, 35.0).ok());
  EXPECT_EQ(*owner.Call(&Owner::Living), 2) << "the camera's own, and the user's";
  EXPECT_TRUE(owner.Call(&Owner::KillUser).ok());
  EXPECT_TRUE(Eventually([&] { return *owner.Call(&Owner::Living) == 1; }));
}

// The proxy lives in a child that dies in a method of the object; its user is a child of that child.
class Dying : public Camera {
 public:
  std::string Model() override {
    ::raise(SIGKILL);
    return "";
  }
};
class Waiting : public Runnable {
 public:
  explicit Waiting(Setup& setup) : camera_(setup.UseFacade<Camera>("camera")), pids_(setup.Output<int>("pids")) {}

 private:
  absl::Status Execute() override {
    PUMA_RETURN_IF_ERROR(pids_.PublishValue(::getpid()));
    return camera_.CallWithin(kInfinite, &Camera::Model).status();
  }
  Facade<Camera> camera_;
  puma::Output<int> pids_;
};
class Mortal : public Runnable {
 public:
  explicit Mortal(Setup& setup) : pids_(setup.PassOn<int>("pids")) {}

 private:
  absl::Status Execute() override {
    Dying object;
    Proxy<Camera> proxy(environment(), "camera", object);
    auto waiting =
        environment().CreateRunner<Waiting>("waiting", {.outputs = {{"pids", pids_.buffer()}}, .facades = {{"camera", proxy.facade()}}});
    PUMA_RETURN_IF_ERROR(waiting.Start());
    return waiting.Join(kLong);
  }
  puma::PassOn<int> pids_;
};

TEST(ProxyBetweenProcesses, AnOwnersDeathEndsACallInProgressAtOnce) {
  CapturedLog log;
  ProcessEnvironment env;
  auto pids = env.CreateBuffer<int>("pids");
  auto mortal = env.CreateRunner<Mortal>("mortal", {.pass_on = {{"pids", pids}}});
  ASSERT_TRUE(mortal.Start().ok());
  EXPECT_TRUE(mortal.Join(kLong).ok());
  EXPECT_THAT(std::string(mortal.CheckForErrors().message()), HasSubstr("signal 9"));
  Event event;
  auto subscription = pids.Subscribe(event);
  EXPECT_TRUE(event.Wait(kLong).ok());
  const std::vector<int> told = TakeSome(subscription);
  ASSERT_EQ(told.size(), 1u);
  const UniqueFd waiting = PidfdOpen(told[0]);  // none: it has ended already
  pollfd ended{.fd = waiting.get(), .events = POLLIN, .revents = 0};
  EXPECT_TRUE(!waiting.valid() || ::poll(&ended, 1, 60'000) == 1) << "its child still waits for an answer";
}

PUMA_IN_BOTH_KINDS(ProxyTest);

}  // namespace
}  // namespace puma::testing
