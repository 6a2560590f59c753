#include "server/supervisor/life_codec.h"

#include <nlohmann/json.hpp>

namespace puma::server {
namespace {
using nlohmann::json;

bool AtRest(v1::TaskState state) {
  return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED || state == v1::TASK_STATE_STOPPED ||
         state == v1::TASK_STATE_BACKOFF;
}

std::string TextOf(const json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

template <class T>
T NumberOf(const json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_number_integer() ? it->get<T>() : T{};
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
              {"log_level", static_cast<int>(life.log_level)},
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
    if (v1::TaskState_Parse(TextOf(text, "state"), &state) && AtRest(state)) {
      life.state = state;
      life.reason = TextOf(text, "reason");
    }
    life.restart_count = NumberOf<int32_t>(text, "restart_count");
    life.backoff_ns = NumberOf<int64_t>(text, "backoff_ns");
    life.poison_lane = NumberOf<uint64_t>(text, "poison_lane");
    life.poison_number = NumberOf<uint64_t>(text, "poison_number");
    if (const int level = NumberOf<int>(text, "log_level"); v1::LogLevel_IsValid(level)) life.log_level = static_cast<v1::LogLevel>(level);
    if (TextOf(text, "boot") == boot_id) {
      for (const json& restart : text.value("restarts", json::array())) {
        if (restart.is_number_integer()) life.restarts.push_back(restart.get<int64_t>());
      }
      if (life.state == v1::TASK_STATE_BACKOFF) life.deadline = NumberOf<int64_t>(text, "deadline");
    }
  }
  const bool waits = life.state == v1::TASK_STATE_BACKOFF && life.deadline == 0;  // its time was of another boot
  if (waits || (!AtRest(life.state) && life.desired)) life.state = v1::TASK_STATE_PENDING;
  if (!life.desired && life.state != v1::TASK_STATE_SUCCEEDED && life.state != v1::TASK_STATE_FAILED) life.state = v1::TASK_STATE_STOPPED;
  return life;
}

}  // namespace puma::server
