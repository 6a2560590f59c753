// How primitives are made and found.
#include <optional>

#include "tests/primitives/waiting.h"

namespace puma::testing {
namespace {

using ::testing::HasSubstr;

class PrimitiveNameTest : public BothKinds {};
PUMA_IN_BOTH_KINDS(PrimitiveNameTest);

std::string Why(const absl::Status& status) { return std::string(status.message()); }

TEST_P(PrimitiveNameTest, ANameIsGivenOnceWhateverItIsAndNeverEmpty) {
  auto lock = env_->CreateLock("one");
  EXPECT_TRUE(lock.status().ok());
  EXPECT_EQ(lock.name(), "one");
  auto again = env_->CreateCondition("one");
  EXPECT_TRUE(absl::IsAlreadyExists(again.status()));
  EXPECT_THAT(Why(again.status()), HasSubstr("\"one\" exists already in this environment: lock"));
  EXPECT_TRUE(absl::IsInvalidArgument(env_->CreateAtomic<int>("").status()));
  auto buffer = env_->CreateBuffer<int>("one");  // buffers have names of their own
  EXPECT_TRUE(buffer.status().ok());
}

TEST_P(PrimitiveNameTest, AnUnknownOneIsToldWhatThereIs) {
  auto lock = env_->CreateLock("one");
  auto count = env_->CreateAtomic<int>("count");
  const absl::Status status = env_->OpenLock("two").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(Why(status), HasSubstr("there are: \"one\" (lock), \"count\" (atomic int)"));
}

TEST_P(PrimitiveNameTest, AnotherKindOrTypeIsRefused) {
  auto lock = env_->CreateLock("one");
  auto count = env_->CreateAtomic<int>("count");
  EXPECT_TRUE(absl::IsInvalidArgument(env_->OpenCondition("one").status()));
  EXPECT_THAT(Why(env_->OpenCondition("one").status()), HasSubstr("lock, not condition"));
  EXPECT_THAT(Why(env_->OpenAtomic<float>("count").status()), HasSubstr("atomic int, not atomic float"));
  EXPECT_TRUE(env_->OpenAtomic<int>("count").status().ok());
}

TEST_P(PrimitiveNameTest, WhatCouldNotBeMadeOrFoundMeetsItsFirstUse) {
  auto lock = env_->OpenLock("nothing");
  Locked held = lock.Acquire();
  EXPECT_FALSE(held.held());
  EXPECT_TRUE(absl::IsNotFound(held.status()));
  auto event = env_->OpenAutoResetEvent("nothing");
  EXPECT_TRUE(absl::IsNotFound(event.Wait()));
  EXPECT_THROW(event.Set(), Exception);
  auto manual = env_->OpenManualEvent("nothing");
  EXPECT_TRUE(absl::IsNotFound(manual.Wait()));
  EXPECT_THROW(manual.Set(), Exception);
  EXPECT_THROW(manual.Reset(), Exception);
  EXPECT_THROW(static_cast<void>(manual.IsSet()), Exception);
  auto count = env_->OpenAtomic<int>("nothing");
  EXPECT_THROW(count.load(), Exception);
  EXPECT_THROW(count.store(1), Exception);
  EXPECT_TRUE(absl::IsNotFound(count.Acquire().status()));
  EXPECT_TRUE(absl::IsNotFound(env_->OpenCondition("nothing").Acquire().status()));
}

TEST_P(PrimitiveNameTest, ItsNameIsFreeWhenItsHandlesAreGoneAndWhatIsOpenStaysUsable) {
  std::optional<Atomic<int>> count = env_->CreateAtomic<int>("count", 3);
  std::optional<Atomic<int>> copy = *count;
  Atomic<int> open = env_->OpenAtomic<int>("count");
  count.reset();
  EXPECT_TRUE(env_->OpenAtomic<int>("count").status().ok());
  copy.reset();
  EXPECT_TRUE(absl::IsNotFound(env_->OpenAtomic<int>("count").status()));
  EXPECT_EQ(open.load(), 3);
  auto again = env_->CreateAtomic<int>("count", 9);
  EXPECT_EQ(open.load(), 3);
  EXPECT_EQ(env_->OpenAtomic<int>("count").load(), 9);
}

TEST_P(PrimitiveNameTest, TheyOutliveTheirEnvironment) {
  auto count = env_->CreateAtomic<int>("count", 3);
  auto lock = env_->CreateLock("lock");
  env_ = nullptr;
  EXPECT_EQ(count.load(), 3);
  EXPECT_TRUE(lock.Acquire().held());
}

// Counts itself, and has a lock of its own of the program's name; its own child finds that one.
absl::Status HoldsNothing(Environment& environment, const std::vector<std::string>&) { return environment.OpenLock("lock").status(); }
class Member : public Runnable {
 public:
  explicit Member(Setup& setup) { setup.Command("count", &Member::Count); }
  absl::StatusOr<int> Count() {
    auto own = environment().CreateLock("lock");
    PUMA_RETURN_IF_ERROR(own.status());
    Locked held = own.Acquire();
    PUMA_RETURN_IF_ERROR(held.status());
    const absl::Status twice = environment().OpenLock("lock").Acquire(kNoWait).status();
    if (!absl::IsFailedPrecondition(twice)) return Internal("another's lock");  // its own would be: this thread holds it
    PUMA_RETURN_IF_ERROR(environment().Launch("child", &HoldsNothing).Join(kLong));
    return environment().OpenAtomic<int>("members").fetch_add(1) + 1;
  }
};

TEST_P(PrimitiveNameTest, RunnablesFindTheProgramsAndHaveTheirOwn) {
  auto members = env_->CreateAtomic<int>("members");
  auto lock = env_->CreateLock("lock");
  Locked held = lock.Acquire();
  auto one = env_->CreateRunner<Member>("one");
  auto two = env_->CreateRunner<Member>("two");
  for (Runner<Member>* runner : {&one, &two}) ASSERT_TRUE(runner->StartBlocking(kLong).ok());
  EXPECT_EQ(*one.Call(&Member::Count), 1);
  EXPECT_EQ(*two.Call(&Member::Count), 2);
  EXPECT_EQ(*one.Call(&Member::Count), 3);
  EXPECT_EQ(members.load(), 3);
}

absl::Status CreateOne(Environment& environment, const std::vector<std::string>&) {
  auto count = environment.CreateAtomic<int>("childs", 4);
  PUMA_RETURN_IF_ERROR(count.status());
  environment.OpenManualEvent("made").Set();
  return environment.OpenManualEvent("go").Wait(kLong);
}

TEST_P(PrimitiveNameTest, WhatAJobHasMadeIsTheProgramsUntilItEnds) {
  auto made = env_->CreateManualEvent("made");
  auto go = env_->CreateManualEvent("go");
  Job job = env_->Launch("maker", &CreateOne);
  ASSERT_TRUE(made.Wait(kLong).ok());
  Atomic<int> count = env_->OpenAtomic<int>("childs");
  EXPECT_EQ(count.load(), 4);
  if (processes()) {
    job.Kill();
    EXPECT_FALSE(job.Join().ok());
  } else {
    go.Set();
    EXPECT_TRUE(job.Join().ok());
  }
  EXPECT_TRUE(absl::IsNotFound(env_->OpenAtomic<int>("childs").status()));
  EXPECT_EQ(count.fetch_add(1), 4);
}

}  // namespace
}  // namespace puma::testing
