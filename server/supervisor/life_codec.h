#ifndef PUMA_SERVER_SUPERVISOR_LIFE_CODEC_H_
#define PUMA_SERVER_SUPERVISOR_LIFE_CODEC_H_
// What of a task's life must survive the host, as JSON for its journal row.
#include <string>

#include "server/journal/journal.h"
#include "server/supervisor/task_machine.h"

namespace puma::server {

std::string LifeToJson(const TaskLife& life, const std::string& boot_id);
// The life with which a new host begins: at rest, as if nothing of it ran. Times of another boot are forgotten. A damaged text gives
// PENDING.
TaskLife LifeFromRow(const TaskRow& row, const std::string& boot_id);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_LIFE_CODEC_H_
