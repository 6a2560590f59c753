// What has happened: what clients wanted and what came of it.
#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/table.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

constexpr int kHistoryBeforeFollowing = 10;

std::string KindText(const v1::Event& event) {
  if (event.kind() == v1::EVENT_KIND_AUDIT && event.denied()) return "REFUSED";
  return Without("EVENT_KIND_", v1::EventKind_Name(event.kind()));
}

std::string EventText(const v1::Event& event, const Output& output) {
  const std::string kind = absl::StrFormat("%-10s", KindText(event));
  const Table::Colour colour = event.severity() >= 17   ? Table::Colour::kRed
                               : event.severity() >= 13 ? Table::Colour::kYellow
                                                        : Table::Colour::kNone;
  const std::string subject = event.name() == "host" ? "host" : Escape(ShortName(event.name()));
  const std::string run = event.run() == 0 ? "" : absl::StrCat("[", event.run(), "]");
  return absl::StrCat(
      absl::FormatTime(output.wide() ? "%Y-%m-%d %H:%M:%E6S" : "%Y-%m-%d %H:%M:%S", ToTime(event.time()), absl::LocalTimeZone()), " ",
      output.colours() ? Coloured(kind, colour) : kind, " ", subject, run, " ", Escape(event.message()), "\n");
}

void Print(const Output& output, const v1::Event& event) {
  if (output.json()) {
    output.JsonLine(event);
  } else {
    output.Data(EventText(event, output));
  }
}

// The newest so many, or all.
ExitCode ListEvents(const Output& output, Client& host, const std::string& parent, std::optional<int> newest) {
  std::vector<v1::Event> events;
  v1::ListEventsRequest request;
  request.set_parent(parent);
  do {
    const auto page = host.ListEvents(request);
    if (!page.ok()) return output.Error(page.status());
    events.insert(events.end(), page->events().begin(), page->events().end());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  const size_t shown = newest ? std::min<size_t>(events.size(), static_cast<size_t>(*newest)) : events.size();
  for (size_t i = events.size() - shown; i < events.size(); ++i) Print(output, events[i]);
  return kDone;
}

ExitCode FollowEvents(const Output& output, Client& host, const std::string& parent, int history) {
  v1::WatchEventsRequest request;
  request.set_parent(parent);
  request.set_history(history);
  const auto watch = host.WatchEvents(request);
  for (;;) {
    const auto batch = watch->Next();
    if (!batch.ok()) return output.Error(batch.status());
    if (!batch->has_value()) return kDone;
    if ((*batch)->has_gap()) output.Words(absl::StrCat("-- ", (*batch)->gap().count(), " events are missing: read too slowly"));
    for (const v1::Event& event : (*batch)->events()) Print(output, event);
    if (!output.Flush()) return kDone;  // as for `| head`
  }
}

}  // namespace

ExitCode Events(Session& session, const EventsArguments& arguments) {
  const Output& output = session.output;
  std::string parent;
  if (!arguments.name.empty()) {
    const auto name = TaskOrPipelineName(arguments.name);
    if (!name.ok()) return output.Error(name.status()), kUsage;
    parent = *name;
  }
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  if (arguments.follow) return FollowEvents(output, **host, parent, arguments.history.value_or(kHistoryBeforeFollowing));
  return ListEvents(output, **host, parent, arguments.history);
}

}  // namespace puma::client
