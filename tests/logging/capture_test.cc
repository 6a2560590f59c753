#include "worker/logging/capture.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/time/clock.h"

namespace puma::logging {
namespace {

using ::testing::ElementsAre;

class CaptureTest : public ::testing::Test {
 protected:
  CaptureTest() {
    int out[2], err[2];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(err, O_CLOEXEC), 0);
    out_ = UniqueFd(out[1]);
    err_ = UniqueFd(err[1]);
    capture_ = std::make_unique<Capture>(UniqueFd(out[0]), UniqueFd(err[0]), [this](Stream s, std::string_view line) {
      (s == Stream::kStdout ? out_lines_ : err_lines_).push_back(std::string(line));
    });
  }
  static void Write(const UniqueFd& fd, std::string_view text) {
    ASSERT_EQ(write(fd.get(), text.data(), text.size()), ssize_t(text.size()));
  }
  UniqueFd out_, err_;
  std::vector<std::string> out_lines_, err_lines_;
  std::unique_ptr<Capture> capture_;
};

TEST_F(CaptureTest, HandsOnLinesAndAtTheEndWhatIsLeft) {
  ASSERT_TRUE(capture_->Start().ok());
  Write(out_, "one\ntwo\n\nthr");
  Write(err_, "bad\n");
  Write(out_, "ee\nlast without end");
  capture_->Stop();
  EXPECT_THAT(out_lines_, ElementsAre("one", "two", "", "three", "last without end"));
  EXPECT_THAT(err_lines_, ElementsAre("bad"));
}

TEST_F(CaptureTest, WhatWasWrittenBeforeStopIsHandedOnEvenIfItNeverRan) {
  Write(out_, "early\n");
  capture_->Stop();
  capture_->Stop();
  EXPECT_THAT(out_lines_, ElementsAre("early"));
}

TEST_F(CaptureTest, ALineThatIsTooLongComesInPieces) {
  ASSERT_TRUE(capture_->Start().ok());
  const std::string part(8 << 10, 'x');
  for (int i = 0; i < 10; ++i) Write(out_, part);
  Write(out_, "\nnext\n");
  capture_->Stop();
  std::string all;
  for (size_t i = 0; i + 1 < out_lines_.size(); ++i) {
    EXPECT_LE(out_lines_[i].size(), Capture::kMaxLine);
    all += out_lines_[i];
  }
  EXPECT_EQ(all.size(), 10 * part.size());
  EXPECT_EQ(out_lines_.back(), "next");
}

TEST_F(CaptureTest, EndsByItselfWhenAllWritersHaveGone) {
  ASSERT_TRUE(capture_->Start().ok());
  Write(out_, "bye\n");
  out_.reset();
  err_.reset();
  capture_->Stop();
  EXPECT_THAT(out_lines_, ElementsAre("bye"));
}

}  // namespace
}  // namespace puma::logging
