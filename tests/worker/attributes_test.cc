// Members with a meaning in each half of a runnable.
#include <puma/attributes.h>

#include <map>

#include "tests/worker/programs.h"
#include "worker/runnable/runnable_core.h"

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A member object with attributes of its own.
struct Lens {
  Lens(Setup& setup, const std::string& name) : focus(setup, name + ".focus", 1), zoom(setup, name + ".zoom", 1.0) {}
  Copied<int> focus;
  Copied<double> zoom;
};

struct NotCopyable {
  explicit NotCopyable(std::string t) : text(std::move(t)) {}
  NotCopyable(NotCopyable&&) = default;
  NotCopyable& operator=(NotCopyable&&) = default;
  std::string text;
};

class Recorder : public Runnable {
 public:
  explicit Recorder(Setup& setup)
      : gain(setup, "gain", 1.0),
        label(setup, "label", "none"),
        frames(setup, "frames"),
        cache(setup, "cache", [] { return std::vector<int>(3, 7); }),
        where(setup, "where", NotCopyable("parent"), [] { return NotCopyable("child"); }),
        notes(setup, "notes"),
        lens(setup, "lens") {
    setup.Command("read", &Recorder::Read, {"name"});
    setup.Command("write", &Recorder::Write, {"name", "value"});
    setup.Command("bump", &Recorder::Bump);
  }
  std::string Read(const std::string& name) {
    if (name == "gain") return std::to_string(*gain);
    if (name == "label") return *label;
    if (name == "cache") return std::to_string(cache->size());
    if (name == "where") return where->text;
    if (name == "notes") return *notes;
    if (name == "focus") return std::to_string(*lens.focus);
    return std::to_string(plain);
  }
  void Write(const std::string& name, int value) {
    if (name == "gain") gain = value;
    if (name == "label") label = std::to_string(value);
    if (name == "where") where = NotCopyable(std::to_string(value));
    if (name == "plain") plain = value;
  }
  int Bump() { return frames.fetch_add(1); }

  Copied<double> gain;
  ParentOnly<std::string> label;
  Shared<int> frames;
  ChildOnly<std::vector<int>> cache;
  ScopeSpecific<NotCopyable> where;
  Copied<std::string> notes;
  Lens lens;
  int plain = 0;  // one per half
};

class AttributesTest : public BothKinds {
 protected:
  Runner<Recorder> recorder_ = env_->CreateRunner<Recorder>("recorder");
};

TEST_P(AttributesTest, ACopiedOneStartsWithTheParentsValueAndTheyStayApart) {
  recorder_.parent(&Recorder::gain) = 4.0;
  recorder_.parent(&Recorder::notes) = std::string(1 << 20, 'n');
  ASSERT_TRUE(recorder_.StartBlocking(kLong).ok());
  recorder_.parent(&Recorder::gain) = 5.0;
  EXPECT_EQ(*recorder_.Call(&Recorder::Read, "gain"), std::to_string(4.0)) << "taken within Start";
  EXPECT_EQ(recorder_.Call(&Recorder::Read, "notes")->size(), size_t{1} << 20);
  ASSERT_TRUE(recorder_.Call(&Recorder::Write, "gain", 9).ok());
  EXPECT_EQ(*recorder_.parent(&Recorder::gain), 5.0);
}

TEST_P(AttributesTest, TheParentsOwnCantBeUsedInTheChild) {
  recorder_.parent(&Recorder::label) = "first take";
  EXPECT_EQ(*recorder_.parent(&Recorder::label), "first take");
  ASSERT_TRUE(recorder_.StartBlocking(kLong).ok());
  for (const absl::Status& status : {recorder_.Call(&Recorder::Read, "label").status(), recorder_.Call(&Recorder::Write, "label", 1)}) {
    EXPECT_TRUE(IsError(status, "puma::WrongScope")) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("attribute \"label\" may be used in the parent's half only; this is the child's"));
  }
  EXPECT_TRUE(recorder_.Close().ok()) << "it went on";
}

TEST_P(AttributesTest, TheChildsOwnIsMadeThereAndCantBeUsedInTheParent) {
  EXPECT_THROW(recorder_.parent(&Recorder::cache)->clear(), WrongScope);
  EXPECT_THROW(recorder_.parent(&Recorder::cache) = std::vector<int>(), WrongScope) << "writing is an error like reading";
  ASSERT_TRUE(recorder_.StartBlocking(kLong).ok());
  EXPECT_EQ(*recorder_.Call(&Recorder::Read, "cache"), "3");
}

TEST_P(AttributesTest, EachHalfHasItsOwnOfWhatCantBeCopied) {
  EXPECT_EQ(recorder_.parent(&Recorder::where)->text, "parent");
  recorder_.parent(&Recorder::where) = NotCopyable("changed");
  ASSERT_TRUE(recorder_.StartBlocking(kLong).ok());
  EXPECT_EQ(*recorder_.Call(&Recorder::Read, "where"), "child") << "assigning changes the parent only";
  ASSERT_TRUE(recorder_.Call(&Recorder::Write, "where", 5).ok());
  EXPECT_EQ(*recorder_.Call(&Recorder::Read, "where"), "5");
  EXPECT_EQ(recorder_.parent(&Recorder::where)->text, "changed");
}

TEST_P(AttributesTest, ASharedOneIsOneCellForBothFromWhatTheParentHadBefore) {
  recorder_.parent(&Recorder::frames).store(40);
  ASSERT_TRUE(recorder_.StartBlocking(kLong).ok());
  EXPECT_EQ(*recorder_.Call(&Recorder::Bump), 40);
  EXPECT_EQ(recorder_.parent(&Recorder::frames).load(), 41);
  recorder_.parent(&Recorder::frames).store(7);
  EXPECT_EQ(*recorder_.Call(&Recorder::Bump), 7);
  int expected = 1;
  EXPECT_FALSE(recorder_.parent(&Recorder::frames).compare_exchange(expected, 2));
  EXPECT_EQ(expected, 8);
  ASSERT_TRUE(recorder_.Close().ok());
  EXPECT_EQ(recorder_.parent(&Recorder::frames).exchange(1), 8) << "also after the end";
}

TEST_P(AttributesTest, ASharedOneIsChangedByBothAtOnce) {
  ASSERT_TRUE(recorder_.StartBlocking(kLong).ok());
  std::thread here([&] {
    for (int i = 0; i < 1000; ++i) recorder_.parent(&Recorder::frames).fetch_add(1);
  });
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(recorder_.Call(&Recorder::Bump).ok());
  here.join();
  EXPECT_EQ(recorder_.parent(&Recorder::frames).load(), 1200);
}

TEST_P(AttributesTest, APlainMemberIsOnePerHalf) {
  ASSERT_TRUE(recorder_.StartBlocking(kLong).ok());
  ASSERT_TRUE(recorder_.Call(&Recorder::Write, "plain", 5).ok());
  EXPECT_EQ(*recorder_.Call(&Recorder::Read, "plain"), "5");
}

TEST_P(AttributesTest, ThoseOfMemberObjectsTakePartAndInstancesAreIndependent) {
  auto other = env_->CreateRunner<Recorder>("other");
  *recorder_.parent(&Recorder::gain) = 2;
  auto* half = &recorder_.parent(&Recorder::gain);
  ASSERT_NE(half, &other.parent(&Recorder::gain));
  ASSERT_TRUE(other.StartBlocking(kLong).ok());
  EXPECT_EQ(*other.Call(&Recorder::Read, "gain"), std::to_string(1.0));
  EXPECT_EQ(*other.Call(&Recorder::Read, "focus"), "1");
}

// ---- what is refused
// ---------------------------------------------------------------------------------------------------------------------

class Twice : public Runnable {
 public:
  explicit Twice(Setup& setup) : a(setup, "same"), b(setup, "same") {}
  Copied<int> a, b;
};

TEST_P(AttributesTest, ANameThatIsUsedTwiceIsAMistake) {
  auto twice = env_->CreateRunner<Twice>("twice");
  EXPECT_THAT(std::string(twice.Start().message()), HasSubstr("attribute \"same\" is declared twice"));
}

class Keeper : public Runnable {
 public:
  explicit Keeper(Setup& setup)
      : shared(setup, "shared", std::make_shared<int>(5)),
        copied(setup, "copied", std::make_shared<int>(6)),
        saw_(setup.Status<std::string>()) {
    setup.Command("look", &Keeper::Look);
    setup.Command("change", &Keeper::Change);
  }
  std::string Look() {
    return (shared.get() == nullptr ? "null" : std::to_string(*shared)) + " " +
           (copied.get() == nullptr ? "null" : std::to_string(*copied));
  }
  void Change() {
    if (shared.get() != nullptr) *shared = 50;
    *copied = 60;
  }
  Managed<int, InThread::kShared, InProcess::kNull> shared;
  Managed<int, InThread::kCopied, InProcess::kCopied> copied;
  StatusPort<std::string> saw_;
};

TEST_P(AttributesTest, AManagedOneIsWhatItsKindSays) {
  auto keeper = env_->CreateRunner<Keeper>("keeper");
  *keeper.parent(&Keeper::shared) = 15;
  *keeper.parent(&Keeper::copied) = 16;
  ASSERT_TRUE(keeper.StartBlocking(kLong).ok());
  EXPECT_EQ(*keeper.Call(&Keeper::Look), processes() ? "null 16" : "15 16");
  ASSERT_TRUE(keeper.Call(&Keeper::Change).ok());
  EXPECT_EQ(*keeper.parent(&Keeper::shared), processes() ? 15 : 50);
  EXPECT_EQ(*keeper.parent(&Keeper::copied), 16);
}

class Forbidden : public Runnable {
 public:
  explicit Forbidden(Setup& setup) : device(setup, "device", std::make_shared<int>(1)) {}
  Managed<int, InThread::kNotAllowed, InProcess::kNotAllowed> device;
};

TEST_P(AttributesTest, SharingThatIsNotAllowedIsCaughtAtStart) {
  auto forbidden = env_->CreateRunner<Forbidden>("forbidden");
  const absl::Status status = forbidden.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("attribute \"device\" of \"forbidden\": it may not be shared with a " +
                                                       std::string(processes() ? "process" : "thread")));
}

}  // namespace

// A value that travels badly.
struct Brittle {
  std::string value;
};
}  // namespace puma::testing

template <>
struct puma::Codec<puma::testing::Brittle> {
  static constexpr bool kInPlace = false;
  static size_t Size(const puma::testing::Brittle&) { return 1; }
  static void Encode(const puma::testing::Brittle&, MutableBytes out) { out[0] = std::byte(0); }
  static absl::StatusOr<puma::testing::Brittle> Decode(Bytes) { return DataLoss("broken on the way"); }
};

namespace puma::testing {
namespace {

class Glass : public Runnable {
 public:
  explicit Glass(Setup& setup) : vase(setup, "vase") {}
  Copied<Brittle> vase;
};

TEST_P(AttributesTest, ACopyThatFailsNamesMemberAndRunnable) {
  auto glass = env_->CreateRunner<Glass>("glass");
  EXPECT_THAT(std::string(glass.StartBlocking(kLong).message()), HasSubstr("attribute \"vase\" of \"glass\": broken on the way"));
}

// Under the host nobody has made a parent's half.
TEST(AttributesUnderTheHost, AreTheChildsOwn) {
  internal::CoreOptions options;
  options.name = "recorder";
  auto core =
      internal::RunnableCore::Construct([](puma::Setup& s) -> std::unique_ptr<Runnable> { return std::make_unique<Recorder>(s); }, options);
  ASSERT_TRUE(core.ok()) << core.status();
  auto& recorder = static_cast<Recorder&>(*(*core)->self());
  EXPECT_EQ(*recorder.gain, 1.0) << "its initial value";
  EXPECT_THROW(*recorder.label, WrongScope);
  EXPECT_EQ(recorder.cache->size(), 3u);
  EXPECT_EQ(recorder.where->text, "child");
  EXPECT_EQ(recorder.frames.fetch_add(1), 0) << "a cell of its own";
  auto keeper =
      internal::RunnableCore::Construct([](puma::Setup& s) -> std::unique_ptr<Runnable> { return std::make_unique<Keeper>(s); }, options);
  ASSERT_TRUE(keeper.ok()) << keeper.status();
  EXPECT_EQ(static_cast<Keeper&>(*(*keeper)->self()).Look(), "null 6") << "the process column";
}

PUMA_IN_BOTH_KINDS(AttributesTest);

}  // namespace
}  // namespace puma::testing
