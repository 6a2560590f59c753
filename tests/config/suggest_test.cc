#include "server/config/suggest.h"

#include <gtest/gtest.h>

namespace puma::server {
namespace {

TEST(Suggest, CountsSlipsOfTheKeyboard) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("frames", "frames"), 0u);
  EXPECT_EQ(EditDistance("Frames", "frames"), 0u);
  EXPECT_EQ(EditDistance("farmes", "frames"), 1u);
  EXPECT_EQ(EditDistance("frame", "frames"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(Suggest, NamesTheNearestOrNone) {
  EXPECT_EQ(Suggest("fraems", {"edges", "frames", "frame-rate"}), "frames");
  EXPECT_EQ(Suggest("zebra", {"edges", "frames"}), "");
  EXPECT_EQ(Suggest("a", {}), "");
}

TEST(Suggest, ListsWhatThereIsWhenNothingIsNear) {
  EXPECT_EQ(DidYouMean("fraems", {"edges", "frames"}), "; did you mean \"frames\"?");
  EXPECT_EQ(DidYouMean("zebra", {"edges", "frames"}), "; there are: edges, frames");
  EXPECT_EQ(DidYouMean("zebra", {}), "; there are none");
}

}  // namespace
}  // namespace puma::server
