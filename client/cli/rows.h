#ifndef PUMA_CLIENT_CLI_ROWS_H_
#define PUMA_CLIENT_CLI_ROWS_H_
// Resources as rows of tables.
#include <google/protobuf/repeated_ptr_field.h>

#include <string>

#include "absl/time/time.h"
#include "client/cli/table.h"
#include "puma/v1/services.pb.h"

namespace puma::client {

template <class T>
using Repeated = google::protobuf::RepeatedPtrField<T>;

Table TaskTable(const Repeated<v1::Task>& tasks, bool wide, absl::Time now);
Table PipelineTable(const Repeated<v1::Pipeline>& pipelines, bool wide, absl::Time now);
Table BufferTable(const Repeated<v1::Buffer>& buffers, bool wide);
Table LaneTable(const v1::Buffer& buffer, absl::Time now);
Table SubscriptionTable(const v1::Buffer& buffer);
Table LagTable(const v1::Buffer& buffer);
Table TypeTable(const Repeated<v1::RunnableType>& types, bool wide);
Table DeadLetterTable(const Repeated<v1::DeadLetter>& letters, bool wide, absl::Time now);
Table ChangeTable(const Repeated<v1::PlannedChange>& changes);

std::string StateName(v1::TaskState state);  // "RUNNING"
Table::Colour StateColour(v1::TaskState state);
std::string PlacementOf(const v1::Task& task);             // "pid 4711", "group 4709", "process", "thread"
std::string OnFullName(v1::OnFull on_full);                // "block"
std::string BlockedShare(const v1::BufferTotals& totals);  // "12 %" of the time; a dash: never

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_ROWS_H_
