// The messages that pass through a buffer.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

constexpr uint32_t kShown = 64;  // bytes of a message on a line

absl::StatusOr<v1::TapBufferRequest> TapRequest(const TapArguments& arguments) {
  v1::TapBufferRequest request;
  const auto buffer = BufferName(arguments.buffer);
  if (!buffer.ok()) return buffer.status();
  request.set_name(*buffer);
  if (!arguments.publisher.empty()) {
    const bool whole = arguments.publisher.find('/') != std::string::npos;
    const auto publisher = TaskName(whole ? arguments.publisher : absl::StrCat(ShortName(ParentOf(*buffer)), "/", arguments.publisher));
    if (!publisher.ok()) return publisher.status();
    request.set_publisher(*publisher);
  }
  request.set_every(arguments.every);
  request.set_oldest(arguments.oldest);
  request.set_render(!arguments.hex);
  if (arguments.max_bytes) request.set_max_bytes(*arguments.max_bytes);
  return request;
}

std::string LaneText(const v1::TappedLane& lane) { return absl::StrCat(Escape(ShortName(lane.publisher())), "[", lane.epoch(), "]"); }

std::string PayloadText(const v1::TappedMessage& message, const TapArguments& arguments) {
  if (!arguments.hex && message.has_value()) return JsonText(message.value());
  const std::string bytes = message.payload().substr(0, arguments.max_bytes.value_or(kShown));
  const auto is_text = [](char c) { return absl::ascii_isprint(c) || absl::ascii_isspace(c); };
  std::string text;
  if (!arguments.hex && !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), is_text)) {
    text = absl::StrCat("\"", Escape(bytes), "\"");
  } else {
    for (const char c : bytes) absl::StrAppend(&text, text.empty() ? "" : " ", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
  }
  return bytes.size() < message.size() ? absl::StrCat(text, bytes.empty() ? "..." : " ...") : text;
}

std::string MessageText(const v1::TappedLane& lane, const v1::TappedMessage& message, const TapArguments& arguments) {
  const std::string time = message.time_unix_nanos() == 0
                               ? std::string(12, '-')
                               : absl::FormatTime("%H:%M:%E3S", absl::FromUnixNanos(message.time_unix_nanos()), absl::LocalTimeZone());
  return absl::StrCat(time, " ", LaneText(lane), " #", message.number(), " ", message.size(), " B", message.redelivered() ? " again" : "",
                      "  ", PayloadText(message, arguments), "\n");
}

const v1::TappedLane& LaneOf(const v1::TapBufferResponse& batch, uint32_t index) {
  return static_cast<int>(index) < batch.lanes_size() ? batch.lanes(static_cast<int>(index)) : v1::TappedLane::default_instance();
}

// Messages, then what was missed: the numbers say where.
void PrintBatch(const Output& output, const v1::TapBufferResponse& batch, const TapArguments& arguments, uint64_t& printed) {
  for (const v1::TappedMessage& message : batch.messages()) {
    if (arguments.count != 0 && printed == arguments.count) return;
    ++printed;
    const v1::TappedLane& lane = LaneOf(batch, message.lane());
    if (!output.json()) {
      output.Data(MessageText(lane, message, arguments));
      continue;
    }
    v1::TapBufferResponse line;  // the API's message, one a line
    *line.add_lanes() = lane;
    *line.add_messages() = message;
    line.mutable_messages(0)->set_lane(0);
    output.JsonLine(line);
  }
  for (const v1::TappedGap& gap : batch.gaps()) {
    const std::string where = gap.has_lane() ? absl::StrCat(LaneText(LaneOf(batch, gap.lane())), " #", gap.gap().first()) : "before this";
    output.Words(absl::StrCat("-- ", where, ": ", gap.gap().count(), " messages are missing: ", Escape(gap.gap().reason())));
  }
  for (const v1::TappedEnd& end : batch.ends()) {
    const std::string error = end.error().empty() ? "" : absl::StrCat(": ", Escape(end.error()));
    output.Words(absl::StrCat("-- ", LaneText(LaneOf(batch, end.lane())), " has completed", error));
  }
}

}  // namespace

ExitCode Tap(Session& session, const TapArguments& arguments) {
  const Output& output = session.output;
  const auto request = TapRequest(arguments);
  if (!request.ok()) return output.Error(request.status()), kUsage;
  const auto host = session.Host();
  if (!host.ok()) return output.Error(host.status());
  const auto tap = (*host)->TapBuffer(*request);
  for (uint64_t printed = 0; arguments.count == 0 || printed < arguments.count;) {
    const auto batch = tap->Next();
    if (!batch.ok()) return output.Error(batch.status());
    if (!batch->has_value()) return kDone;
    PrintBatch(output, **batch, arguments, printed);
    if (!output.Flush()) return kDone;  // as for `| head`
  }
  return kDone;
}

}  // namespace puma::client
