// Commands that wait for their result, or for room in the ring of their task.
#include "server/supervisor/invocations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class InvocationsTest : public ::testing::Test {
 protected:
  void Add(uint64_t id, uint64_t task = 1, const std::string& arguments = "{}") {
    invocations_.Add(id,
                     {.task = task,
                      .run = 1,
                      .worker = task,
                      .command = std::to_string(id),
                      .arguments = arguments,
                      .record = {},
                      .reply = [this, id](absl::StatusOr<v1::InvokeCommandResponse> answer) { answers_[id] = answer.status(); }},
                     Send());
  }
  void Answer(uint64_t id, uint64_t worker = 1) {
    control::ResultRecord record{};
    record.id = id;
    invocations_.Answer(worker, record, "null");
  }
  Invocations::Send Send() {
    return [this](const Invocations::Pending& pending) -> absl::Status {
      if (refusal_) return *refusal_;
      if (room_ == 0) return absl::ResourceExhaustedError("full");
      --room_;
      sent_.push_back(pending.command);
      return absl::OkStatus();
    };
  }

  Invocations invocations_;
  int room_ = 0;
  std::optional<absl::Status> refusal_;
  std::vector<std::string> sent_;
  std::map<uint64_t, absl::Status> answers_;
};

TEST_F(InvocationsTest, WaitForRoomInTheOrderInWhichTheyCame) {
  room_ = 1;
  for (uint64_t id : {1, 2, 3}) Add(id);
  EXPECT_THAT(sent_, ElementsAre("1"));
  room_ = 1;
  Add(4);  // not before those that wait
  EXPECT_THAT(sent_, ElementsAre("1"));
  invocations_.SendWaiting(Send());
  EXPECT_THAT(sent_, ElementsAre("1", "2"));
  room_ = 5;
  invocations_.SendWaiting(Send());
  EXPECT_THAT(sent_, ElementsAre("1", "2", "3", "4"));
  for (uint64_t id : {1, 2, 3, 4}) Answer(id);
  EXPECT_EQ(answers_.size(), 4u);
}

TEST_F(InvocationsTest, ABusyTaskDoesNotKeepOthersWaiting) {
  Add(1, 1);
  room_ = 1;
  Add(2, 2);
  EXPECT_THAT(sent_, ElementsAre("2"));
}

TEST_F(InvocationsTest, OnesThatWereGivenUpAreNotSent) {
  for (uint64_t id : {1, 2, 3}) Add(id);
  EXPECT_FALSE(invocations_.Take(2)->sent);
  room_ = 5;
  invocations_.SendWaiting(Send());
  EXPECT_THAT(sent_, ElementsAre("1", "3"));
  EXPECT_TRUE(invocations_.Take(3)->sent);
  EXPECT_FALSE(invocations_.Take(3));
}

TEST_F(InvocationsTest, WorkersAnswerOnlyWhatTheyWereSent) {
  Add(1);
  Answer(1);
  EXPECT_TRUE(answers_.empty()) << "it waits";
  room_ = 1;
  invocations_.SendWaiting(Send());
  Answer(1, 2);
  EXPECT_TRUE(answers_.empty()) << "another worker";
  Answer(1);
  EXPECT_TRUE(answers_.at(1).ok());
}

TEST_F(InvocationsTest, TheEndOfARunSaysWhichDidNotBegin) {
  room_ = 1;
  Add(1);
  Add(2);
  invocations_.RunEnded(1, 1);
  EXPECT_THAT(std::string(answers_.at(1).message()), HasSubstr("outcome unknown"));
  EXPECT_THAT(std::string(answers_.at(2).message()), HasSubstr("did not begin"));
  room_ = 1;
  invocations_.SendWaiting(Send());
  EXPECT_THAT(sent_, ElementsAre("1"));
}

TEST_F(InvocationsTest, WhatCantBeSentAtAllIsToldAndTheOthersGoOn) {
  Add(1);
  refusal_ = absl::FailedPreconditionError("stopping");
  Add(2);
  invocations_.SendWaiting(Send());
  EXPECT_EQ(answers_.at(1), *refusal_);
  EXPECT_EQ(answers_.at(2), *refusal_);
}

TEST_F(InvocationsTest, TooManyAreRefused) {
  for (uint64_t id = 0; id < 1001; ++id) Add(id);
  EXPECT_THAT(std::string(answers_.at(1000).message()), HasSubstr("1000 others wait already"));
  EXPECT_EQ(answers_.size(), 1u);
  for (uint64_t id = 2000; id < 2100; ++id) Add(id, 2, std::string(60 << 10, ' '));
  EXPECT_EQ(answers_.size(), 1u + 100 - (4 << 20) / (60 << 10));
  invocations_.Take(2000);
  Add(3000, 2, std::string(60 << 10, ' '));
  EXPECT_FALSE(answers_.contains(3000)) << "there is room again";
}

}  // namespace
}  // namespace puma::server
