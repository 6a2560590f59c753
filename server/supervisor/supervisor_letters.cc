// Messages that are given up: those in whose handler max_deliveries runs have ended.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/supervisor/supervisor.h"
#include "server/supervisor/wiring.h"
#include "worker/platform/system.h"

namespace puma::server {
namespace {
constexpr size_t kPayloadKept = 64 << 10;
constexpr size_t kPageBytes = 2 << 20;  // of a list: well below what gRPC takes in one message
constexpr int kWarn = 13;               // OpenTelemetry's number

// What the lane still has of a message: of a reliable subscription all, since its dead run's page gates; of a lossy one perhaps nothing.
void CopyPayload(LaneRec& lane, uint64_t number, v1::DeadLetter& letter) {
  absl::StatusOr<std::optional<RingItem>> item = lane.ring.Look(number);
  if (!item.ok() || !item->has_value() || (*item)->kind == MessageKind::kComplete) return;
  const std::span<const std::byte> bytes = (*item)->bytes;
  std::string payload(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kPayloadKept));
  std::atomic_thread_fence(std::memory_order_acquire);  // as RingReader::CopyOut: overwritten meanwhile?
  if (static_cast<int64_t>(lane.ring.released() - number) > 0) return;
  letter.set_payload(std::move(payload));
  letter.set_payload_bytes(bytes.size());
}

std::string LetterName(const std::string& pipeline, uint64_t id) {
  return absl::StrCat(PipelineName(pipeline), "/deadLetters/", absl::StrFormat("%012d", id));
}
}  // namespace

// Called when a run is over and how it ended is known, before that is committed: the letter and the exit are one commit, and the next run
// is started after it. Who does this again (a host that died before its commit left all as it was) finds the same, and the same message is
// taken once.
void Supervisor::JudgeDelivery(TaskRec& task) {
  const auto in_hand = MessageInHand(model_, task);
  const uint32_t most = task.spec.has_max_deliveries() ? task.spec.max_deliveries() : 5;  // a spec of an older journal says nothing
  if (!in_hand || most == 0 || !ItsFault(task.life.exit)) return;
  auto lane = model_.lanes.find(in_hand->first);
  if (lane == model_.lanes.end()) return;
  const std::optional<ReadState> state = StateOf(model_, task, *lane->second);
  if (!state || state->next != in_hand->second || state->deliveries < most) return;
  for (const Port& reader : ReadersOfLane(model_, *lane->second)) {
    if (reader.task == &task) GiveUp(reader, *lane->second, *state);
  }
}

void Supervisor::GiveUp(const Port& reader, LaneRec& lane, const ReadState& state) {
  TaskRec& task = *reader.task;
  if (!model_.dead_letters.insert({task.row.uid, lane.id, state.next}).second) return;
  const TaskRec* publisher = model_.task(lane.publisher);
  const uint64_t id = ++last_letter_;
  v1::DeadLetter letter;
  letter.set_name(LetterName(task.row.pipeline, id));
  letter.set_task(task.full_name);
  letter.set_port(reader.port);
  letter.set_buffer(absl::StrCat(PipelineName(task.row.pipeline), "/buffers/", BufferOfLane(model_, lane)));
  letter.set_publisher(publisher == nullptr ? "" : publisher->full_name);
  letter.set_epoch(lane.epoch);
  letter.set_part(lane.part);
  letter.set_replica(lane.replica);
  letter.set_number(state.next);
  letter.set_deliveries(state.deliveries);
  *letter.mutable_cause() = task.life.exit;
  const int64_t now = RealNanos();
  letter.mutable_time()->set_seconds(now / 1'000'000'000);
  letter.mutable_time()->set_nanos(static_cast<int32_t>(now % 1'000'000'000));
  CopyPayload(lane, state.next, letter);
  turn_.put_dead_letters.push_back({id, task.row.pipeline, task.row.uid, lane.id, state.next, letter.SerializeAsString()});
  turn_dirty_ = pipelines_changed_ = true;
  ++task.counts[absl::StrCat("in ", reader.port)].dead_letters;
  LogFor(task, kWarn,
         absl::StrCat("dead letter: input ", reader.port, ", buffer ", BufferOfLane(model_, lane), ", message ", state.next, " of ",
                      publisher == nullptr ? "" : publisher->row.name, " (epoch ", lane.epoch, "): ", state.deliveries,
                      " runs have ended in its handler, the last one: ", task.life.exit.summary(), "; it is not handed out again"));
  TellLetter(task, letter);
  ShowLetter(std::move(letter));
}

void Supervisor::ShowLetter(v1::DeadLetter letter) {
  MutexLock lock(view_mutex_);
  letters_by_age_.push_back(letter.name());
  letters_view_[letter.name()] = std::move(letter);
  while (letters_by_age_.size() > kDeadLetters) {
    letters_view_.erase(letters_by_age_.front());
    letters_by_age_.pop_front();
  }
}

void Supervisor::ForgetLetters(const std::string& pipeline) {
  MutexLock lock(view_mutex_);
  const std::string prefix = PipelineName(pipeline) + "/";
  std::erase_if(letters_view_, [&](const auto& entry) { return entry.first.starts_with(prefix); });
  std::erase_if(letters_by_age_, [&](const std::string& name) { return name.starts_with(prefix); });
}

void Supervisor::AdoptLetters(const std::vector<DeadLetterRow>& rows) {
  for (const DeadLetterRow& row : rows) {
    v1::DeadLetter letter;
    if (!letter.ParseFromString(row.letter)) continue;
    last_letter_ = std::max(last_letter_, row.id);
    model_.dead_letters.insert({row.task, row.lane, row.number});
    if (TaskRec* task = model_.task(row.task)) ++task->counts[absl::StrCat("in ", letter.port())].dead_letters;
    ShowLetter(std::move(letter));
  }
}

absl::StatusOr<v1::ListDeadLettersResponse> Supervisor::ListDeadLetters(const v1::ListDeadLettersRequest& request) {
  MutexLock lock(view_mutex_);
  if (!request.parent().empty() && !pipelines_view_.contains(request.parent())) return UnknownPipeline(request.parent());
  constexpr int kDefault = 100, kMost = 1000;
  const int size = request.page_size() <= 0 ? kDefault : std::min(request.page_size(), kMost);
  const std::string prefix = request.parent().empty() ? "" : request.parent() + "/";
  v1::ListDeadLettersResponse response;
  size_t bytes = 0;
  auto it = request.page_token().empty() ? letters_view_.lower_bound(prefix) : letters_view_.upper_bound(request.page_token());
  for (; it != letters_view_.end() && it->first.starts_with(prefix); ++it) {
    if (response.dead_letters_size() == size || bytes >= kPageBytes) {
      response.set_next_page_token(response.dead_letters().rbegin()->name());
      break;
    }
    bytes += it->second.payload().size();
    *response.add_dead_letters() = it->second;
  }
  return response;
}

}  // namespace puma::server
