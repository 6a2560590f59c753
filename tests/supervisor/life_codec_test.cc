#include "server/supervisor/life_codec.h"

#include <gtest/gtest.h>

namespace puma::server {
namespace {

TaskRow RowOf(const TaskLife& life, const std::string& boot) {
  TaskRow row;
  row.desired = life.desired;
  row.deleting = life.deleting;
  row.run = life.run;
  row.life = LifeToJson(life, boot);
  row.last_exit = life.exit.SerializeAsString();
  return row;
}

TEST(LifeCodec, KeepsWhatMustSurviveTheHost) {
  TaskLife life;
  life.state = v1::TASK_STATE_BACKOFF;
  life.run = 7;
  life.restarts = {10, 20};
  life.restart_count = 2;
  life.backoff_ns = 400;
  life.deadline = 12345;
  life.poison_lane = 3;
  life.poison_number = 99;
  life.exit.set_run(7);
  life.exit.set_cause(v1::EXIT_CAUSE_SIGNAL);
  const TaskLife back = LifeFromRow(RowOf(life, "boot"), "boot");
  EXPECT_EQ(back.state, v1::TASK_STATE_BACKOFF);
  EXPECT_EQ(back.run, 7);
  EXPECT_EQ(back.restarts, life.restarts);
  EXPECT_EQ(back.restart_count, 2);
  EXPECT_EQ(back.backoff_ns, 400);
  EXPECT_EQ(back.deadline, 12345);
  EXPECT_EQ(back.poison_lane, 3u);
  EXPECT_EQ(back.poison_number, 99u);
  EXPECT_EQ(back.exit.cause(), v1::EXIT_CAUSE_SIGNAL);
}

TEST(LifeCodec, ForgetsTheTimesOfAnotherBoot) {
  TaskLife life;
  life.state = v1::TASK_STATE_BACKOFF;
  life.restarts = {10};
  life.deadline = 5;
  const TaskLife back = LifeFromRow(RowOf(life, "before"), "after");
  EXPECT_EQ(back.state, v1::TASK_STATE_PENDING);
  EXPECT_TRUE(back.restarts.empty());
  EXPECT_EQ(back.deadline, 0);
}

TEST(LifeCodec, WhatRanIsPendingUntilItIsAdopted) {
  TaskLife life;
  life.state = v1::TASK_STATE_RUNNING;
  EXPECT_EQ(LifeFromRow(RowOf(life, "boot"), "boot").state, v1::TASK_STATE_PENDING);
  life.desired = false;
  EXPECT_EQ(LifeFromRow(RowOf(life, "boot"), "boot").state, v1::TASK_STATE_STOPPED);
}

TEST(LifeCodec, EndsStayEnds) {
  for (const v1::TaskState state : {v1::TASK_STATE_FAILED, v1::TASK_STATE_SUCCEEDED}) {
    TaskLife life;
    life.state = state;
    EXPECT_EQ(LifeFromRow(RowOf(life, "boot"), "another boot").state, state);
  }
}

TEST(LifeCodec, DamagedTextsGivePending) {
  for (const char* text : {"", "{", "[]", "7", "{\"state\": 3}"}) {
    TaskRow row;
    row.life = text;
    EXPECT_EQ(LifeFromRow(row, "boot").state, v1::TASK_STATE_PENDING) << text;
  }
}

}  // namespace
}  // namespace puma::server
