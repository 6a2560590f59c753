// What a page does with foreign and dead neighbours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/primitives/waiting.h"
#include "worker/primitives/primitive_core.h"

namespace puma::testing {
namespace {

using internal::PrimitiveCore;
using internal::PrimitivePage;

absl::Status MapSegmentOf(size_t bytes) {
  auto segment = Segment::Create("foreign", bytes, Seals::kSize, bytes);
  EXPECT_TRUE(segment.ok()) << segment.status();
  return PrimitivePage::Map(segment->TakeFd()).status();
}

TEST(PrimitivePageTest, AForeignSegmentIsRefused) {
  EXPECT_TRUE(absl::IsDataLoss(MapSegmentOf(8)));
  EXPECT_TRUE(absl::IsDataLoss(MapSegmentOf(4096)));
}

TEST(PrimitivePageTest, ACountOfWaitersThatDoesNotFitIsRefused) {
  auto page = PrimitivePage::Create(true, 1, 0);
  ASSERT_TRUE(page.ok()) << page.status();
  for (uint32_t waiters : {PrimitivePage::kWaiters, PrimitivePage::kWaiters + 1, ~uint32_t{0}}) {
    (*page)->layout().waiters = waiters;
    auto fd = (*page)->Duplicate();
    ASSERT_TRUE(fd.ok()) << fd.status();
    EXPECT_TRUE(absl::IsDataLoss(PrimitivePage::Map(*std::move(fd)).status()));
  }
}

TEST(PrimitivePageTest, ACountThatIsChangedLaterIsNotBelieved) {
  auto page = PrimitivePage::Create(true, 2, 0);
  ASSERT_TRUE(page.ok()) << page.status();
  auto fd = (*page)->Duplicate();
  ASSERT_TRUE(fd.ok()) << fd.status();
  auto mapped = PrimitivePage::Map(*std::move(fd));
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  (*page)->layout().waiters = 1'000'000;
  EXPECT_EQ((*mapped)->waiters().size(), 2u);
  EXPECT_EQ((*page)->waiters().size(), 2u);
}

// One place, and who waits there ends without leaving it, as a process that is killed does.
class DeadWaiterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto page = PrimitivePage::Create(false, 1, 0);
    ASSERT_TRUE(page.ok()) << page.status();
    page_ = *page;
    core_ = std::make_unique<PrimitiveCore>("condition", page_, nullptr);
    std::thread([this] {
      EXPECT_EQ(::pthread_mutex_lock(&page_->waiters()[0].alive), 0);
      page_->waiters()[0].ticket = ++page_->layout().last_ticket;
    }).join();
    bool held = false;
    ASSERT_TRUE(core_->Acquire(kInfinite, held).ok());
  }
  void TearDown() override { core_->Release(); }
  std::shared_ptr<PrimitivePage> page_;
  std::unique_ptr<PrimitiveCore> core_;
};

TEST_F(DeadWaiterTest, ItsPlaceIsUsedAgain) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(core_->AwaitNotification(absl::Milliseconds(1))));
  EXPECT_TRUE(absl::IsDeadlineExceeded(core_->AwaitNotification(absl::Milliseconds(1))));
}

TEST_F(DeadWaiterTest, ItTakesNoNotification) {
  core_->NotifyOne();
  EXPECT_EQ(page_->waiters()[0].ticket, 0u);
  EXPECT_EQ(page_->waiters()[0].notified.load(), 0u);
  core_->NotifyOne();
}

}  // namespace
}  // namespace puma::testing
