// Every crash point, exhaustively: a process runs a part of the protocol instruction by instruction, and after each one that changed what
// others see, the survivors go to work on a copy of it. The message is whole or invisible, what was acknowledged stays so, positions are
// true, and nobody fails or waits.
#include <gmock/gmock.h>

#include <cstdio>
#include <string>
#include <tuple>

#include "tests/buffer/lane_fixture.h"
#include "tests/buffer/ring_fixture.h"
#include "tests/buffer/single_step.h"

namespace puma {
namespace {

using testing::AlignedMemory;
using testing::GateOf;
using testing::SharedMemory;
using testing::SingleStep;
using testing::Stepped;

constexpr uint64_t kLane = 4711;
constexpr uint64_t kWraps = ~uint64_t{0} - 9, kLowHalfWraps = (uint64_t{1} << 32) - 10;

// What the child has begun and finished, beside the ring: the truth that an image is compared with.
struct Truth {
  Word64 begun, done;  // messages
  Word64 position;     // of the only gate
  Word64 closing, closed;
};

// ---- messages that prove themselves ----------------------------------------------------------------------------------------------------

size_t LengthOf(uint64_t number) { return 8 + 8 * (number * 7 % 6); }
uint64_t WordOf(uint64_t number, size_t i) { return (number + i) * 0x9e3779b97f4a7c15; }
Annotation AnnotationOf(uint64_t number) {
  return {.published_ns = static_cast<int64_t>(number % 1000),
          .cause_lane = number * 3,
          .cause_number = number * 5,
          .cause_epoch = static_cast<uint32_t>(number * 7)};
}

void Fill(std::span<std::byte> room, uint64_t number) {
  for (size_t i = 0; i < room.size() / 8; ++i) {
    const uint64_t word = WordOf(number, i);
    memcpy(room.data() + 8 * i, &word, 8);
  }
}

::testing::AssertionResult IsWhole(const RingItem& item, const RingConstants& ring) {
  const size_t length = ring.layout == RingLayout::kDescriptors ? LengthOf(item.number) : ring.max_message;
  if (item.kind != MessageKind::kValue) return ::testing::AssertionFailure() << "not a value: " << item.number;
  if (item.bytes.size() != length) return ::testing::AssertionFailure() << item.bytes.size() << " bytes of " << length;
  for (size_t i = 0; i < length / 8; ++i) {
    uint64_t word;
    memcpy(&word, item.bytes.data() + 8 * i, 8);
    if (word != WordOf(item.number, i)) return ::testing::AssertionFailure() << "word " << i << " of message " << item.number;
  }
  if (ring.annotated == 0) return ::testing::AssertionSuccess();
  const Annotation expected = AnnotationOf(item.number);
  if (item.annotation == nullptr || memcmp(item.annotation, &expected, sizeof expected) != 0) {
    return ::testing::AssertionFailure() << "another annotation than that of " << item.number;
  }
  return ::testing::AssertionSuccess();
}

struct Case {
  RingLayout layout;
  bool annotated;
  uint64_t base;
  RingOptions Options(uint64_t capacity, bool lossy = false) const {
    RingOptions options{.layout = layout, .lane_id = kLane, .base = base, .capacity = capacity};
    options.annotated = annotated;
    options.lossy = lossy;
    options.max_message = 48;
    if (layout == RingLayout::kFixedStride) {
      options.stride = 48;
    } else {
      options.payload_bytes = 64 * (capacity - 1);  // bytes run out before messages do
    }
    return options;
  }
};

// ---- the publisher's side --------------------------------------------------------------------------------------------------------------

class PublisherCrash : public ::testing::TestWithParam<Case> {
 protected:
  PublisherCrash() { Make(GetParam().Options(4)); }

  void Make(const RingOptions& options) {
    options_ = options;
    bytes_ = RingWriter::BytesNeeded(options).value();
    shared_ = std::make_unique<SharedMemory>(bytes_ + kLine);
    writer_ = RingWriter::Create(ring(), options).value();
    truth().begun = truth().done = truth().position = options.base;
    if (!options.lossy) writer_->SetGate({.subscription = 1, .position = &truth().position, .floor = options.base});
  }
  std::span<std::byte> ring() const { return shared_->span().first(bytes_); }
  Truth& truth() const { return shared_->as<Truth>(bytes_); }

  // ---- in the child
  void Reserve(uint64_t number) {
    auto room = writer_->TryReserve(LengthOf(number));
    Must(room.ok(), "no room");
    Fill(options_.layout == RingLayout::kFixedStride ? std::span(room->data(), options_.max_message) : *room, number);
  }
  void Publish(uint64_t number) {
    truth().begun.store(number + 1, std::memory_order_release);
    Reserve(number);
    const Annotation annotation = AnnotationOf(number);
    writer_->Commit(LengthOf(number), MessageKind::kValue, 0, &annotation);
    truth().done.store(number + 1, std::memory_order_release);
  }
  void Stage(uint64_t number) {
    Reserve(number);
    const Annotation annotation = AnnotationOf(number);
    writer_->Stage(LengthOf(number), MessageKind::kValue, 0, &annotation);
  }
  // As a reader would: it has read all up to here.
  void Acknowledge(uint64_t position) { truth().position.store(position, std::memory_order_release); }

  // ---- on an image: what the survivors do
  // The image is copied: they may write.
  void CheckImage() {
    ++looks_;
    AlignedMemory copy(bytes_);
    memcpy(copy.span().data(), ring().data(), bytes_);
    const uint64_t tail = CheckWhatAReaderSees(copy.span());
    CheckTheNextWriter(copy.span(), tail);
    if (HasFailure())
      FAIL() << "image " << looks_ << ", done " << truth().done - options_.base << ", begun " << truth().begun - options_.base;
  }
  // Returns the number after the last message that it sees.
  uint64_t CheckWhatAReaderSees(std::span<std::byte> memory) {
    auto reader = RingReader::Open(memory);
    EXPECT_TRUE(reader.ok()) << reader.status();
    if (!reader.ok()) return 0;
    return options_.lossy ? ReadByCopy(*reader) : ReadInPlace(*reader);
  }
  uint64_t ReadInPlace(RingReader& reader) {
    uint64_t number = truth().position;
    bool completed = false;
    while (true) {
      auto item = reader.Look(number);
      EXPECT_TRUE(item.ok()) << item.status();
      if (!item.ok() || !item->has_value() || completed) break;
      completed = (*item)->kind == MessageKind::kComplete;
      if (!completed) {
        EXPECT_TRUE(IsWhole(**item, reader.constants()));
      }
      if (completed) {
        EXPECT_EQ(reader.ErrorText(), kErrorText);
      }
      ++number;
    }
    CheckSeen(number, completed);
    return number;
  }
  uint64_t ReadByCopy(RingReader& reader) {
    uint64_t number = options_.base, expected = options_.base;
    while (true) {
      std::string out;
      std::optional<RingReader::Gap> gap;
      auto item = reader.CopyOut(number, out, gap);
      EXPECT_TRUE(item.ok()) << item.status();
      if (gap) {
        EXPECT_EQ(gap->first, expected);
        expected = gap->last + 1;
      }
      EXPECT_EQ(number, expected);
      if (!item.ok() || !item->has_value() || number != expected) break;
      EXPECT_TRUE(IsWhole(**item, reader.constants()));
      expected = ++number;
    }
    CheckSeen(number, false);
    return number;
  }
  void CheckSeen(uint64_t number, bool completed) {
    const uint64_t messages = number - (completed ? 1 : 0) - options_.base;
    EXPECT_GE(messages, truth().done - options_.base) << "lost: its publishing had returned";
    EXPECT_LE(messages, truth().begun - options_.base) << "never published";
    if (truth().closed != 0) {
      EXPECT_TRUE(completed);
    }
    if (completed) {
      EXPECT_NE(truth().closing, 0u);
    }
  }
  // Who takes up the ring (the host on its own) goes on after what is visible, and what is visible stays whole.
  void CheckTheNextWriter(std::span<std::byte> memory, uint64_t tail) {
    auto writer = RingWriter::Resume(memory);
    ASSERT_TRUE(writer.ok()) << writer.status();
    Word64 position{truth().position.load()};
    if (!options_.lossy) (*writer)->SetGate({.subscription = 1, .position = &position, .floor = position});
    const bool completed = (*writer)->completed();
    EXPECT_EQ((*writer)->tail(), tail);
    auto reader = RingReader::Open(memory).value();
    EXPECT_EQ(reader.header().want & 1, 0u) << "nobody waits for room any more";
    const uint64_t number = tail;
    auto room = (*writer)->TryReserve(LengthOf(number));
    EXPECT_EQ(room.status().code() == absl::StatusCode::kFailedPrecondition, completed);
    if (room.ok()) {
      Fill(options_.layout == RingLayout::kFixedStride ? std::span(room->data(), options_.max_message) : *room, number);
      const Annotation annotation = AnnotationOf(number);
      (*writer)->Commit(LengthOf(number), MessageKind::kValue, 0, &annotation);
    }
    for (uint64_t n = options_.lossy ? tail : position.load(); n != tail + (room.ok() ? 1 : 0); ++n) {
      auto item = reader.Look(n);
      ASSERT_TRUE(item.ok() && item->has_value()) << n << item.status();
      if ((*item)->kind == MessageKind::kValue) {
        EXPECT_TRUE(IsWhole(**item, reader.constants())) << "after the next writer's message";
      }
    }
    (*writer)->Complete("again");
    EXPECT_EQ(reader.Look((*writer)->tail() - 1).value()->kind, MessageKind::kComplete);
    EXPECT_EQ(reader.ErrorText(), completed ? kErrorText : "again");
  }

  // In the child or in its rehearsal.
  static void Must(bool so, const char* what) {
    if (so) return;
    fprintf(stderr, "%s\n", what);
    abort();
  }
  Stepped Step(const std::function<void()>& child) {
    child();  // resolves what is linked lazily, and shows that it works
    Make(options_);
    const Stepped stepped = SingleStep::Run(shared_->span(), child, [this] {
      if (!HasFailure()) CheckImage();
    });
    printf("%s: %lu instructions, %lu distinct images\n", ::testing::UnitTest::GetInstance()->current_test_info()->name(),
           stepped.instructions, stepped.images);
    return stepped;
  }

  static constexpr char kErrorText[] = "the cause of it all";
  RingOptions options_;
  size_t bytes_ = 0;
  std::unique_ptr<SharedMemory> shared_;
  std::unique_ptr<RingWriter> writer_;
  uint64_t looks_ = 0;
};

std::string NameOf(const Case& c) {
  return std::string(c.layout == RingLayout::kFixedStride ? "Fixed" : "Descriptors") + (c.annotated ? "Annotated" : "") +
         (c.base == kWraps ? "Wraps" : "LowHalfWraps");
}
std::string NameOfParameter(const ::testing::TestParamInfo<Case>& info) { return NameOf(info.param); }
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << NameOf(c); }
const auto kCases = ::testing::Values(Case{RingLayout::kDescriptors, false, kWraps}, Case{RingLayout::kDescriptors, true, kLowHalfWraps},
                                      Case{RingLayout::kFixedStride, true, kWraps}, Case{RingLayout::kFixedStride, false, kLowHalfWraps});
INSTANTIATE_TEST_SUITE_P(Rings, PublisherCrash, kCases, NameOfParameter);

// Full again and again: the reader's position moves in between, slots and bytes are used anew.
TEST_P(PublisherCrash, WithinPublishLeavesTheMessageWholeOrInvisible) {
  const Stepped stepped = Step([this] {
    for (uint64_t i = 0; i < 20; ++i) {
      const uint64_t number = options_.base + i;
      if (i >= 2) Acknowledge(number - 2);
      Publish(number);
    }
  });
  EXPECT_GE(stepped.images, 100u);
}

TEST_P(PublisherCrash, WithinALoanThatIsGivenUpLeavesNothing) {
  Step([this] {
    for (uint64_t i = 0; i < 8; ++i) {
      const uint64_t number = options_.base + i;
      if (i >= 2) Acknowledge(number - 2);
      Reserve(number + 100);  // abandoned, with other content
      Reserve(number + 50);
      Publish(number);
    }
  });
}

TEST_P(PublisherCrash, WithinABatchLeavesAllOfItOrNothing) {
  Make(GetParam().Options(16));  // the whole of it fits: who looks for room shows what is staged
  Step([this] {
    for (uint64_t batch = 0; batch < 6; ++batch) {
      const uint64_t first = options_.base + 2 * batch;
      Acknowledge(first);
      truth().begun.store(first + 2);
      Stage(first);
      Stage(first + 1);
      const uint64_t seen = reinterpret_cast<RingHeader*>(ring().data())->tail;
      Must(seen == first, "seen before the flush");
      writer_->Flush();
      truth().done.store(first + 2);
    }
  });
}

TEST_P(PublisherCrash, WithinTheCompletionLeavesACompletedRingOrOneThatGoesOn) {
  for (uint64_t before : {uint64_t{0}, uint64_t{3}, uint64_t{9}}) {
    Make(options_);
    Step([this, before] {
      for (uint64_t i = 0; i < before; ++i) {
        const uint64_t number = options_.base + i;
        if (i >= 3) Acknowledge(number - 2);
        Publish(number);
      }
      truth().closing = 1;
      writer_->Complete(kErrorText);
      truth().closed = 1;
    });
  }
}

// The ring's reader copies, and is told exactly what it missed, on every image too.
TEST_P(PublisherCrash, OfALossyRingLeavesWholeMessagesAndExactGaps) {
  Make(GetParam().Options(4, true));
  Step([this] {
    for (uint64_t i = 0; i < 12; ++i) Publish(options_.base + i);
  });
}

// F1, F5: announced and withdrawn.
TEST_P(PublisherCrash, WithinAWaitForRoomLeavesAllAsItWas) {
  Step([this] {
    for (uint64_t i = 0; i < 3; ++i) Publish(options_.base + i);
    for (int i = 0; i < 3; ++i) {
      writer_->AnnounceWant(8);
      writer_->WithdrawWant();
    }
  });
}

// A ring that is taken up, by a process that dies as well.
TEST_P(PublisherCrash, WithinResumeLeavesWhatWasThere) {
  Step([this] {
    for (uint64_t i = 0; i < 4; ++i) {
      if (i >= 2) Acknowledge(options_.base + i - 2);
      Publish(options_.base + i);
    }
    writer_->AnnounceWant(8);
    auto& header = shared_->as<RingHeader>();
    header.close_number.store(options_.base + 4);  // died within Complete
    header.closed.store(1);
    for (int i = 0; i < 2; ++i) {
      auto next = RingWriter::Resume(ring());
      Must(next.ok(), "not resumed");
      writer_ = *std::move(next);
      writer_->SetGate({.subscription = 1, .position = &truth().position, .floor = truth().position});
      Acknowledge(options_.base + 4 + i);
      Publish(options_.base + 4 + i);
    }
  });
}

// A new epoch is made: until it is whole it is no ring, or an empty one that begins where it was told.
TEST_P(PublisherCrash, WithinTheMakingOfARingLeavesNoneOrAnEmptyOne) {
  SharedMemory fresh(bytes_);
  uint64_t none = 0, empty = 0;
  const Stepped stepped = SingleStep::Run(
      fresh.span(), [&] { (void)RingWriter::Create(fresh.span(), options_).ok(); },
      [&] {
        AlignedMemory copy(bytes_);
        memcpy(copy.span().data(), fresh.span().data(), bytes_);
        auto next = RingWriter::Resume(copy.span());
        ++(next.ok() ? empty : none);
        if (!next.ok()) return;
        EXPECT_EQ((*next)->tail(), options_.base) << "after " << none << " images that were none";
        EXPECT_EQ((*next)->constants().annotated, options_.annotated) << "not all constants";
        ASSERT_TRUE((*next)->TryReserve(8).ok());
        (*next)->Commit(8);
        EXPECT_TRUE(RingReader::Open(copy.span())->Look(options_.base).value().has_value());
      });
  EXPECT_GE(none, 2u);
  EXPECT_GE(empty, 1u);
  printf("making: %lu instructions, %lu distinct images\n", stepped.instructions, stepped.images);
}

// ---- the reader's side -----------------------------------------------------------------------------------------------------------------

// What the reader's handlers have done, beyond its death.
struct Handled {
  Word64 next;  // all messages below have been handled, the completion too
  Word64 left;  // the old epoch is drained and left
};

class ReaderCrash : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr uint64_t kOld = 1, kNew = 2, kOther = 3;
  static constexpr uint64_t kEach = 4;  // messages of each epoch
  static constexpr size_t kPageBytes = sizeof(PageHeader) + 4 * sizeof(PageSlot);

  ReaderCrash() : shared_(kPageBytes + kLine) {
    first_ = MakeLane(kOld, GetParam().base);
    second_ = MakeLane(kNew, GetParam().base + kEach);
    second_->writer->Complete("over");
    Reset({});
  }
  std::unique_ptr<testing::Lane> MakeLane(uint64_t id, uint64_t base) {
    RingOptions options = GetParam().Options(8);
    options.lane_id = id;
    options.base = base;
    auto lane = std::make_unique<testing::Lane>(options);
    for (uint64_t i = 0; i < kEach; ++i) {
      auto room = lane->writer->TryReserve(LengthOf(base + i));
      EXPECT_TRUE(room.ok());
      Fill(*room, base + i);
      lane->writer->Commit(LengthOf(base + i));
    }
    return lane;
  }
  // A page whose slots carry `states`, as the child finds it.
  void Reset(std::span<const ReadState> states) {
    memset(shared_.span().data(), 0, shared_.span().size());
    TaskPage page = TaskPage::Create(1, 1, states).value();
    memcpy(shared_.span().data(), page.segment().data(), kPageBytes);
    handled().next = GetParam().base;
  }
  PageHeader& header() const { return shared_.as<PageHeader>(); }
  PageSlot& slot(uint32_t i) const { return shared_.as<PageSlot>(sizeof(PageHeader) + i * sizeof(PageSlot)); }
  Handled& handled() const { return shared_.as<Handled>(kPageBytes); }
  uint64_t SecondBase() const { return GetParam().base + kEach; }

  // ---- in the child
  void Handle(LaneReader& reader) {
    auto item = reader.Peek();
    if (!item.ok() || !item->has_value()) abort();
    reader.Begin();
    handled().next.store((*item)->number + 1, std::memory_order_release);
    reader.Finish();
  }
  void SleepOnce(LaneReader& reader) {
    KickWord kick;
    LaneReader* const lanes[] = {&reader};
    SleepOnLanes({.page = header(), .lanes = lanes, .kick = kick, .seen_kick = kick.value() - 1});  // it was kicked: S4 is not reached
  }

  // ---- on an image
  TaskPage NextPage(std::vector<ReadState>& states) {
    auto segment = Segment::Create("image", sizeof(PageHeader) + TaskPage::kSlots * sizeof(PageSlot), Seals::kOneWriter, 0).value();
    memcpy(segment.data(), shared_.span().data(), kPageBytes);
    states = TaskPageView::Open(testing::Duplicate(segment.fd())).value().States();
    for (const ReadState& state : states) EXPECT_THAT(state.lane_id, ::testing::AnyOf(kOld, kNew, kOther));
    std::erase_if(states, [&](const ReadState& state) { return state.lane_id == kOld && handled().left != 0; });
    std::erase_if(states, [&](const ReadState& state) { return state.lane_id == kOther; });
    return TaskPage::Create(1, 2, states).value();
  }
  // The publisher may believe what it sees of `lane`: never more than was handled, and never a foreign position.
  void CheckGate(testing::Lane& lane, uint32_t i, uint64_t handled_of_lane) {
    lane.writer->SetGate(GateOf(1, header(), slot(i), lane.writer->constants().base));
    const uint64_t values = lane.writer->tail() - lane.writer->constants().base;
    const uint64_t freed = values - lane.writer->Waiting();
    EXPECT_LE(freed, handled_of_lane) << "lane " << lane.writer->constants().lane_id << ": free, but not handled";
    lane.writer->RemoveGate(1);
  }
  // The next run goes on, and together they have handled everything, in order, and one message twice at most, which is marked.
  void CheckTheNextRun(std::span<testing::Lane* const> epochs) {
    std::vector<ReadState> states;
    TaskPage page = NextPage(states);
    uint64_t expected = handled().next;
    bool first = true;
    for (uint32_t i = 0; i < epochs.size(); ++i) {
      const RingConstants& ring = epochs[i]->writer->constants();
      if (ring.lane_id == kOld && handled().left != 0) continue;
      uint32_t at = 0;
      while (at < states.size() && states[at].lane_id != ring.lane_id) ++at;
      if (at == states.size()) at = 100 + i;
      auto reader = LaneReader::Open(epochs[i]->Fd(), page.slot(at), ring.base).value();
      for (auto item = reader->Peek().value(); item.has_value(); item = reader->Peek().value()) {
        const bool again = item->number == expected - 1;
        EXPECT_TRUE(again ? first : item->number == expected) << "message " << item->number << ", expected " << expected;
        EXPECT_EQ(again, again && reader->Deliveries() > 1) << "a duplicate that is not marked";
        if (!again) ++expected;
        first = false;
        reader->Begin();
        reader->Finish();
      }
    }
    EXPECT_EQ(expected, epochs.size() == 1 ? SecondBase() : SecondBase() + kEach + 1) << "the completion is the last";
  }
  Stepped Step(std::span<const ReadState> states, const std::function<void()>& child, const std::function<void()>& look) {
    Reset(states);
    child();
    Reset(states);
    const Stepped stepped = SingleStep::Run(shared_.span(), child, [&] {
      if (!HasFailure()) look();
    });
    printf("%s: %lu instructions, %lu distinct images\n", ::testing::UnitTest::GetInstance()->current_test_info()->name(),
           stepped.instructions, stepped.images);
    return stepped;
  }

  SharedMemory shared_;
  std::unique_ptr<testing::Lane> first_, second_;
};
INSTANTIATE_TEST_SUITE_P(Rings, ReaderCrash,
                         ::testing::Values(Case{RingLayout::kDescriptors, false, kWraps},
                                           Case{RingLayout::kFixedStride, true, kLowHalfWraps}),
                         NameOfParameter);

TEST_P(ReaderCrash, WithinAnAcknowledgementRepeatsOneMarkedMessageAtMost) {
  testing::Lane* const epochs[] = {first_.get()};
  const auto look = [&] {
    CheckGate(*first_, 0, handled().next - GetParam().base);
    CheckTheNextRun(epochs);
  };
  for (uint64_t deliveries : {0, 2}) {
    const ReadState resumed{.lane_id = kOld, .next = GetParam().base, .deliveries = deliveries};
    const Stepped stepped = Step(
        std::span(&resumed, 1),
        [this] {
          auto reader = LaneReader::Open(first_->Fd(), slot(0), GetParam().base).value();
          for (uint64_t i = 0; i < kEach; ++i) {
            Handle(*reader);
            if (i % 2 == 1) reader->StorePosition();
          }
          SleepOnce(*reader);
        },
        look);
    EXPECT_GE(stepped.images, 4 * kEach);
  }
}

// Who holds two messages behind the one in hand: all that were handed out and are not finished come again, each marked, and no others.
TEST_P(ReaderCrash, WhileMessagesAreHeldRepeatsThoseAndMarksThem) {
  constexpr uint64_t kHold = 2;
  const uint64_t base = GetParam().base;
  const auto child = [this] {
    auto reader = LaneReader::Open(first_->Fd(), slot(0), GetParam().base).value();
    while (!reader->AtEnd()) {
      reader->Begin();
      handled().next.store(reader->seen() + 1, std::memory_order_release);
      if (reader->held() == kHold) reader->Finish();
      reader->Hold();
    }
    reader->StorePosition();
    while (reader->held() != 0) reader->Finish();
  };
  const auto look = [&] {
    CheckGate(*first_, 0, handled().next - base);
    std::vector<ReadState> states;
    TaskPage page = NextPage(states);
    auto reader = LaneReader::Open(first_->Fd(), page.slot(states.empty() ? 1 : 0), base).value();
    const uint64_t handed = handled().next - base;
    EXPECT_LE(handed - (reader->next() - base), kHold + 1);
    for (; !reader->AtEnd(); reader->Finish()) {
      const uint64_t number = reader->next() - base;
      if (number < handed) {
        EXPECT_GT(reader->Deliveries(), 1u) << "message " << number << " of " << handed << " is not marked";
      }
      if (number > handed) {
        EXPECT_EQ(reader->Deliveries(), 1u) << "message " << number << " of " << handed << " is marked";
      }
      reader->Begin();
    }
  };
  const Stepped stepped = Step({}, child, look);
  EXPECT_GE(stepped.images, 4 * kEach);
}

// A slot goes from a drained lane to another: at no time is a position believed that belongs to the other one.
TEST_P(ReaderCrash, WithinTheTakeOverOfASlotLeavesItToOneLaneOrToNone) {
  const uint64_t base = GetParam().base;
  testing::Lane* const epochs[] = {first_.get()};
  // The other lane's numbers surround those of ours: each of its positions would be plausible.
  for (uint64_t foreign : {base, base + 2, base + kEach}) {
    const auto other = MakeLane(kOther, base);
    const ReadState drained{.lane_id = kOther, .next = foreign, .deliveries = 3};
    Step(
        std::span(&drained, 1),
        [this] {
          auto reader = LaneReader::Open(first_->Fd(), slot(0), GetParam().base).value();
          Handle(*reader);
          reader->StorePosition();
        },
        [&] {
          CheckGate(*first_, 0, handled().next - base);
          CheckGate(*other, 0, foreign - base);
          CheckTheNextRun(epochs);
        });
  }
}

// The old epoch is drained, left, and the next one read: through the same slot, or through another.
TEST_P(ReaderCrash, WithinAChangeOfEpochLosesNothing) {
  testing::Lane* const epochs[] = {first_.get(), second_.get()};
  for (uint32_t at : {0, 1}) {
    Step(
        {},
        [this, at] {
          auto old = LaneReader::Open(first_->Fd(), slot(0), GetParam().base).value();
          while (!old->AtEnd()) Handle(*old);  // after its end was learned: the look that found nothing is the second one
          old->StorePosition();
          handled().left.store(1, std::memory_order_release);
          auto next = LaneReader::Open(second_->Fd(), slot(at), SecondBase()).value();
          while (!next->AtEnd()) Handle(*next);
          next->StorePosition();
        },
        [&] {
          const uint64_t done = handled().next - GetParam().base;
          CheckGate(*first_, 0, std::min(done, kEach));
          CheckGate(*second_, at, done > kEach ? done - kEach : 0);
          CheckTheNextRun(epochs);
        });
  }
}

}  // namespace
}  // namespace puma
