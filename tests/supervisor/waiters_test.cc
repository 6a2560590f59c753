#include "server/supervisor/waiters.h"

#include <gtest/gtest.h>

#include <vector>

namespace puma::server {
namespace {

v1::Task Task(v1::TaskState state, int64_t run) {
  v1::Task task;
  task.set_name("t");
  task.mutable_status()->set_state(state);
  task.mutable_status()->set_run(run);
  return task;
}

class WaitersTest : public ::testing::Test {
 protected:
  void Wait(uint64_t id, std::initializer_list<v1::TaskState> states, int64_t run, const v1::Task& now) {
    v1::WaitTaskRequest request;
    request.set_name("t");
    for (const v1::TaskState state : states) request.add_states(state);
    request.set_run(run);
    waiters_.Add(id, request, now, [this](absl::StatusOr<v1::WaitTaskResponse> answer) { answers_.push_back(std::move(answer)); });
  }
  Waiters waiters_;
  std::vector<absl::StatusOr<v1::WaitTaskResponse>> answers_;
};

TEST_F(WaitersTest, WhatIsThereIsAnsweredAtOnce) {
  Wait(1, {v1::TASK_STATE_RUNNING}, 0, Task(v1::TASK_STATE_RUNNING, 1));
  Wait(2, {}, 1, Task(v1::TASK_STATE_FAILED, 1));
  EXPECT_EQ(answers_.size(), 2u);
  waiters_.Gone("t");
  EXPECT_EQ(answers_.size(), 2u) << "once";
}

TEST_F(WaitersTest, OnlyAStateOfARunThatCountsIsIt) {
  Wait(1, {v1::TASK_STATE_RUNNING}, 2, Task(v1::TASK_STATE_RUNNING, 1));
  Wait(2, {}, 0, Task(v1::TASK_STATE_RUNNING, 1));
  waiters_.Seen(Task(v1::TASK_STATE_STOPPING, 1));
  waiters_.Seen(Task(v1::TASK_STATE_STARTING, 2));
  EXPECT_TRUE(answers_.empty());
  waiters_.Seen(Task(v1::TASK_STATE_RUNNING, 2));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0]->task().status().run(), 2);
  waiters_.Seen(Task(v1::TASK_STATE_SUCCEEDED, 2));
  waiters_.Seen(Task(v1::TASK_STATE_SUCCEEDED, 2));
  EXPECT_EQ(answers_.size(), 2u);
}

TEST_F(WaitersTest, ACancelledOneIsAnsweredOnceAndTheOthersWait) {
  Wait(1, {}, 0, Task(v1::TASK_STATE_RUNNING, 1));
  Wait(2, {}, 0, Task(v1::TASK_STATE_RUNNING, 1));
  waiters_.Cancel(1);
  waiters_.Cancel(1);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status().code(), absl::StatusCode::kCancelled);
  waiters_.Gone("other");
  waiters_.Gone("t");
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_EQ(answers_[1].status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace puma::server
