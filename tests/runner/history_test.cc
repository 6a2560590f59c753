// The checker of the storms, on histories that were made up.
#include "tests/runner/history.h"

#include <gmock/gmock.h>

namespace puma::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Publisher 1 has lanes 10 and 11, with 5 and 3 messages; publisher 2 has lane 20, with 4.
History Good() {
  History h;
  h.lanes = {{10, 1, 6, 5, 5}, {20, 2, 4, 4, 4}, {11, 1, 3, 3, 3}};
  h.seen = {{10, 0, 3, 1, false}, {20, 0, 2, 1, false}, {10, 2, 3, 2, true}, {20, 2, 2, 2, false}, {11, 0, 3, 2, false}};
  h.completed = true;
  return h;
}

TEST(HistoryChecker, AcceptsAMarkedDuplicateAfterADeath) { EXPECT_THAT(FaultsOf(Good()), IsEmpty()); }

TEST(HistoryChecker, FindsWhatIsLost) {
  History h = Good();
  h.seen[2].count = 2;  // the last of lane 10
  EXPECT_THAT(FaultsOf(h), ElementsAre("lost: lane 10, messages 4 .. 4"));
  h = Good();
  h.seen[4].count = 2;
  EXPECT_THAT(FaultsOf(h), ElementsAre("lost: lane 11, messages 2 .. 2"));
  h = Good();
  h.seen[2].first = 4, h.seen[2].count = 1;
  EXPECT_THAT(FaultsOf(h), ElementsAre("lost: lane 10, messages 3 .. 3"));
  h = Good();
  h.seen.erase(h.seen.begin() + 1);
  EXPECT_THAT(FaultsOf(h), ElementsAre("lost: lane 20, messages 0 .. 1"));
  h = Good();
  h.lanes[0].accepted = 6;
  EXPECT_THAT(FaultsOf(h), ElementsAre(HasSubstr("accepted were 6")));
}

TEST(HistoryChecker, FindsPhantoms) {
  History h = Good();
  h.seen[4].count = 4;
  EXPECT_THAT(FaultsOf(h).front(), HasSubstr("phantom: lane 11"));
  h = Good();
  h.seen[4].lane = 12;
  EXPECT_THAT(FaultsOf(h).front(), HasSubstr("phantom: lane 12"));
  h = Good();
  h.lanes[0].begun = 4;
  EXPECT_THAT(FaultsOf(h), ElementsAre(HasSubstr("begun were 4")));
  h = Good();
  h.foreign = 1;
  EXPECT_THAT(FaultsOf(h), ElementsAre(HasSubstr("another content")));
}

TEST(HistoryChecker, FindsDuplicatesThatMustNotBe) {
  History h = Good();
  h.seen[2].redelivered = false;
  EXPECT_THAT(FaultsOf(h), ElementsAre(HasSubstr("unmarked: lane 10, message 2")));
  h = Good();
  h.seen[2].run = 1;
  EXPECT_THAT(FaultsOf(h), ElementsAre(HasSubstr("message 2 without a death")));
  h = Good();
  h.seen[2].first = 1, h.seen[2].count = 4;
  EXPECT_THAT(FaultsOf(h), ElementsAre(HasSubstr("message 1 where 3 was due")));
}

TEST(HistoryChecker, FindsDisorder) {
  History h = Good();
  std::swap(h.seen[2], h.seen[4]);
  EXPECT_THAT(FaultsOf(h), SizeIs(2));  // what was skipped is lost, and comes out of order
  EXPECT_THAT(FaultsOf(h).back(), HasSubstr("disorder: lane 10"));
}

TEST(HistoryChecker, FindsAStandstill) {
  History h = Good();
  h.completed = false;
  EXPECT_THAT(FaultsOf(h), ElementsAre(HasSubstr("stalled")));
}

}  // namespace
}  // namespace puma::testing
