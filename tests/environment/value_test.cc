// What travels: plain structs, texts, vectors, Blocks, types with a codec, thread-only types.
#include <functional>

#include "tests/environment/both_kinds.h"
#ifdef PUMA_TEST_PROTOBUF
#include <google/protobuf/wrappers.pb.h>
#include <puma/protobuf.h>
#endif

namespace puma::testing {

struct Celsius {
  std::string place;
  double degrees = 0;
  bool operator==(const Celsius&) const = default;
};
struct Refuses {  // its codec does not read a 2
  int value = 0;
};
struct Header {
  int width, height;
};

}  // namespace puma::testing

template <>
struct puma::Codec<puma::testing::Celsius> {
  static constexpr bool kInPlace = false;
  static size_t Size(const testing::Celsius& v) { return sizeof v.degrees + v.place.size(); }
  static void Encode(const testing::Celsius& v, MutableBytes out) {
    std::memcpy(out.data(), &v.degrees, sizeof v.degrees);
    std::memcpy(out.data() + sizeof v.degrees, v.place.data(), v.place.size());
  }
  static absl::StatusOr<testing::Celsius> Decode(Bytes in) {
    testing::Celsius v;
    if (in.size() < sizeof v.degrees) return DataLoss("no Celsius");
    std::memcpy(&v.degrees, in.data(), sizeof v.degrees);
    v.place.assign(reinterpret_cast<const char*>(in.data()) + sizeof v.degrees, in.size() - sizeof v.degrees);
    return v;
  }
};

template <>
struct puma::Codec<puma::testing::Refuses> {
  static constexpr bool kInPlace = false;
  static size_t Size(const testing::Refuses&) { return sizeof(int); }
  static void Encode(const testing::Refuses& v, MutableBytes out) { std::memcpy(out.data(), &v.value, sizeof v.value); }
  static absl::StatusOr<testing::Refuses> Decode(Bytes in) {
    testing::Refuses v;
    std::memcpy(&v.value, in.data(), sizeof v.value);
    if (v.value == 2) return DataLoss("a 2");
    return v;
  }
};

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Sends one value from buffer "in" on to "out".
template <class T>
absl::Status Echo(Environment& environment, const std::vector<std::string>&) {
  auto publisher = environment.OpenBuffer<T>("out").Publish();
  Event event;
  auto subscription = environment.OpenBuffer<T>("in").Subscribe(event);
  PUMA_RETURN_IF_ERROR(event.Wait(absl::Seconds(60)));
  return subscription.CallEvents([&](T value) { return publisher.PublishValue(std::move(value)); }).status();
}

class ValueTest : public BothKinds {
 protected:
  template <class T>
  T ThereAndBack(const T& value) {
    auto in = env_->CreateBuffer<T>("in", {.capacity = 2}), out = env_->CreateBuffer<T>("out", {.capacity = 2});
    EXPECT_TRUE(in.Publish().PublishValue(value).ok());
    absl::Status status = env_->Launch("echo", &Echo<T>).Join();
    EXPECT_TRUE(status.ok()) << status;
    std::optional<T> back;
    auto taken = out.Subscribe().CallEvents([&](const T& v) { back = v; });
    EXPECT_TRUE(taken.ok() && *taken) << taken.status();
    return *back;
  }
};
PUMA_IN_BOTH_KINDS(ValueTest);

TEST_P(ValueTest, PlainStructsTravelInPlace) {
  EXPECT_EQ(ThereAndBack(3.5), 3.5);
  EXPECT_EQ((ThereAndBack(std::array<int, 3>{1, 2, 3})), (std::array<int, 3>{1, 2, 3}));
}
TEST_P(ValueTest, TextsAndVectorsTravelAlsoEmptyOnes) {
  EXPECT_EQ(ThereAndBack<std::string>("hello"), "hello");
  EXPECT_EQ(ThereAndBack<std::string>(""), "");
  EXPECT_THAT(ThereAndBack(std::vector<double>{1, 2}), ElementsAre(1, 2));
  EXPECT_EQ(ThereAndBack(std::vector<std::byte>(300'000, std::byte{7})).size(), 300'000u);
}
TEST_P(ValueTest, ATypeWithACodecOfItsOwnTravels) { EXPECT_EQ(ThereAndBack(Celsius{"Bern", 21.5}), (Celsius{"Bern", 21.5})); }

#ifdef PUMA_TEST_PROTOBUF
TEST_P(ValueTest, ProtobufMessagesTravel) {
  google::protobuf::StringValue message;
  message.set_value("a message");
  EXPECT_EQ(ThereAndBack(message).value(), "a message");
}
#endif

absl::Status SendBlock(Environment& environment, const std::vector<std::string>&) {
  auto publisher = environment.OpenBuffer<Block<Header>>("blocks").Publish();
  PUMA_ASSIGN_OR_RETURN(auto loan, publisher.Loan(12));
  loan.header() = {4, 3};
  for (std::byte& each : loan.bytes()) each = std::byte{9};
  return loan.Publish();
}

TEST_P(ValueTest, BlocksAreWrittenAndReadInPlace) {
  auto blocks = env_->CreateBuffer<Block<Header>>("blocks");
  absl::Status status = env_->Launch("sender", &SendBlock).Join();
  ASSERT_TRUE(status.ok()) << status;
  auto subscription = blocks.Subscribe();
  EXPECT_TRUE(*subscription.CallEvents([](const Block<Header>& block) {
    EXPECT_EQ(block->width * block->height, 12);
    EXPECT_EQ(block.bytes().size(), 12u);
    EXPECT_EQ(block.bytes().back(), std::byte{9});
  }));
}

TEST_P(ValueTest, ABadFrameIsSkippedAndReportedAndTheSubscriptionLivesOn) {
  auto buffer = env_->CreateBuffer<Refuses>("odd");
  auto publisher = buffer.Publish();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publisher.PublishValue({i}).ok());
  auto subscription = buffer.Subscribe();
  auto take = [&] { return subscription.CallEvents([](const Refuses& r) { EXPECT_NE(r.value, 2); }); };
  EXPECT_TRUE(take().ok());
  absl::Status status = take().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("odd"));
  EXPECT_TRUE(*take());
  EXPECT_FALSE(*take());
}

// ---- thread-only -----------------------------------------------------------------------------------------------------------------------

TEST_P(ValueTest, ATypeWithoutACodecTravelsBetweenThreadsAndIsRefusedBetweenProcesses) {
  auto owners = env_->CreateBuffer<std::unique_ptr<int>>("owners", {.capacity = 2});
  auto publisher = owners.Publish();
  auto value = std::make_unique<int>(7);
  absl::Status status = publisher.PublishValue(std::move(value));
  if (processes()) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("owners"), HasSubstr("unique_ptr<int"), HasSubstr("can't cross processes")));
    EXPECT_EQ(owners.Subscribe().status(), status);
    EXPECT_NE(value, nullptr);
    return;
  }
  ASSERT_TRUE(status.ok()) << status;
  auto subscription = owners.Subscribe();
  EXPECT_TRUE(*subscription.CallEvents([](std::unique_ptr<int> got) { EXPECT_EQ(*got, 7); }));
}

TEST(ThreadOnlyTest, AValueThatFindsNoRoomStaysWithTheCaller) {
  ThreadEnvironment env;
  auto owners = env.CreateBuffer<std::unique_ptr<int>>("owners", {.capacity = 1});
  auto publisher = owners.Publish();
  ASSERT_TRUE(publisher.PublishValue(std::make_unique<int>(1)).ok());
  auto second = std::make_unique<int>(2);
  EXPECT_TRUE(absl::IsResourceExhausted(publisher.PublishValue(std::move(second))));
  EXPECT_NE(second, nullptr);
}

TEST(ThreadOnlyTest, EachValueIsDestroyedOnceWhereverItEnds) {
  struct Counted {
    explicit Counted(int* count) : count(count) {}
    Counted(Counted&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
    ~Counted() {
      if (count != nullptr) ++*count;
    }
    int* count;
    std::function<void()> unplain;
  };
  int destroyed = 0;
  {
    ThreadEnvironment env;
    auto buffer = env.CreateBuffer<Counted>("counted", {.capacity = 8});
    auto publisher = buffer.Publish();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(publisher.PublishValue(Counted(&destroyed)).ok());
    EXPECT_EQ(destroyed, 0);
    auto subscription = buffer.Subscribe();
    EXPECT_TRUE(*subscription.CallEvents([](const Counted&) {}));
    EXPECT_EQ(destroyed, 1) << "right after its handler";
    EXPECT_TRUE(*subscription.CallEvents([](Counted&) {}));
    EXPECT_FALSE(subscription.CallEvents([](const Counted&) { return absl::InternalError("no"); }).ok());
    EXPECT_EQ(destroyed, 3);
  }
  EXPECT_EQ(destroyed, 5);
}

TEST(ThreadOnlyTest, WhatCannotBeForThemIsSaid) {
  ThreadEnvironment env;
  using Function = std::function<int()>;
  EXPECT_EQ(env.CreateBuffer<Function>("many", {.subscriptions = Subscriptions::kMany}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(env.CreateBuffer<Function>("latest", {.on_full = OnFull::kLatest}).status().code(), absl::StatusCode::kInvalidArgument);
  auto functions = env.CreateBuffer<Function>("functions");
  EXPECT_EQ(functions.Subscribe({.lossy = true}).status().code(), absl::StatusCode::kInvalidArgument);
  auto subscription = functions.Subscribe();
  EXPECT_EQ(subscription.Hold(1).code(), absl::StatusCode::kFailedPrecondition);
  const Function seven = [] { return 7; };
  ASSERT_TRUE(functions.Publish().PublishValue(seven).ok());
  EXPECT_TRUE(*subscription.CallEvents([](const Function& f) { EXPECT_EQ(f(), 7); }));
}

// What the compiler refuses in both.
static_assert(!CrossesProcesses<int*> && !ThreadOnly<int*>);
static_assert(!CrossesProcesses<std::string_view> && !ThreadOnly<std::string_view>);
static_assert(!CrossesProcesses<std::span<int>> && !ThreadOnly<std::span<int>>);

}  // namespace
}  // namespace puma::testing
