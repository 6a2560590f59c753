#ifndef PUMA_SERVER_TELEMETRY_FEEDS_H_
#define PUMA_SERVER_TELEMETRY_FEEDS_H_
// All that viewers are fed from.
#include "server/telemetry/event_feed.h"
#include "server/telemetry/log_store.h"
#include "server/telemetry/task_feed.h"

namespace puma::server {

struct Feeds {
  TaskFeed* tasks;
  EventFeed* events;
  LogStore* logs;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_FEEDS_H_
