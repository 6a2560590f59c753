#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

std::string Headline(const v1::ListTasksResponse& tasks, const std::string& target) {
  int running = 0, failed = 0;
  for (const v1::Task& task : tasks.tasks()) {
    running += task.status().state() == v1::TASK_STATE_RUNNING;
    failed += task.status().state() == v1::TASK_STATE_FAILED;
  }
  return absl::StrCat("puma-ctl top - ", target, " - ", absl::FormatTime("%H:%M:%S", absl::Now(), absl::LocalTimeZone()), " - ",
                      tasks.tasks_size(), " tasks, ", running, " running, ", failed, " failed\n\n");
}

}  // namespace

ExitCode Top(Session& session, const TopArguments& arguments) {
  const Output& output = session.output;
  std::string parent;
  if (!arguments.name.empty()) {
    const auto name = PipelineName(arguments.name);
    if (!name.ok()) return output.Error(name.status()), kUsage;
    parent = *name;
  }
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  const bool live = output.terminal() && !output.json();
  const int count = arguments.count > 0 || live ? arguments.count : 1;
  for (int shown = 0; count == 0 || shown < count; ++shown) {
    if (shown > 0) absl::SleepFor(arguments.interval);
    const auto tasks = AllTasks(**host, parent);
    if (!tasks.ok()) return output.Error(tasks.status());
    if (output.json()) {
      output.JsonLine(*tasks);
    } else {
      const auto buffers = AllBuffers(**host, parent);
      if (!buffers.ok()) return output.Error(buffers.status());
      // One write for the whole screen: home, the lines, and nothing below.
      std::string table = TaskTable(tasks->tasks(), output.wide(), absl::Now()).Print(output.colours());
      if (!buffers->buffers().empty())
        absl::StrAppend(&table, "\n", BufferTable(buffers->buffers(), output.wide()).Print(output.colours()));
      output.Data(live ? absl::StrCat(shown ? "" : "\033[2J", "\033[H\033[J", Headline(*tasks, session.target), table)
                       : absl::StrCat(shown ? "\n" : "", table));
    }
    if (!output.Flush()) return kDone;
  }
  return kDone;
}

}  // namespace puma::client
