#include "server/supervisor/life_codec.h"

#include <nlohmann/json.hpp>

namespace puma::server {
namespace {
using nlohmann::json;

bool AtRest(v1::TaskState state) {
  return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED || state == v1::TASK_STATE_STOPPED ||
         state == v1::TASK_STATE_BACKOFF;
}
}  // namespace

std::string LifeToJson(const TaskLife& life, const std::string& boot_id) {
  return json{{"state", v1::TaskState_Name(life.state)},
              {"reason", life.reason},
              {"restarts", life.restarts},
              {"restart_count", life.restart_count},
              {"backoff_ns", life.backoff_ns},
              {"deadline", life.deadline},
              {"poison_lane", life.poison_lane},
              {"poison_number", life.poison_number},
              {"boot", boot_id}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

TaskLife LifeFromRow(const TaskRow& row, const std::string& boot_id) {
  TaskLife life;
  life.desired = row.desired;
  life.deleting = row.deleting;
  life.run = row.run;
  (void)life.exit.ParseFromString(row.last_exit);
  const json text = json::parse(row.life, nullptr, false);
  if (text.is_object()) {
    v1::TaskState state = v1::TASK_STATE_PENDING;
    if (v1::TaskState_Parse(text.value("state", ""), &state) && AtRest(state)) {
      life.state = state;
      life.reason = text.value("reason", "");
    }
    life.restart_count = text.value("restart_count", 0);
    life.backoff_ns = text.value("backoff_ns", int64_t{0});
    life.poison_lane = text.value("poison_lane", uint64_t{0});
    life.poison_number = text.value("poison_number", uint64_t{0});
    if (text.value("boot", "") == boot_id) {
      life.restarts = text.value("restarts", std::vector<int64_t>());
      if (life.state == v1::TASK_STATE_BACKOFF) life.deadline = text.value("deadline", int64_t{0});
    }
  }
  const bool waits = life.state == v1::TASK_STATE_BACKOFF && life.deadline == 0;  // its time was of another boot
  if (waits || (!AtRest(life.state) && life.desired)) life.state = v1::TASK_STATE_PENDING;
  if (!life.desired && life.state != v1::TASK_STATE_SUCCEEDED && life.state != v1::TASK_STATE_FAILED) life.state = v1::TASK_STATE_STOPPED;
  return life;
}

}  // namespace puma::server
