// The loop: tick if due, then all commands, then inputs in bounded batches; then sleep until something is there.
#include <fmt/format.h>

#include <utility>

#include "worker/logging/record_sink.h"
#include "worker/platform/system.h"
#include "worker/runnable/door.h"
#include "worker/runnable/runnable_core.h"

namespace puma::internal {
namespace {

// Marks the thread as busy with user code, for whoever watches for hangs.
void MarkBusy(RunContext& context) { context.busy_since->store(static_cast<uint64_t>(CoarseNanos()), std::memory_order_relaxed); }
void CountOne(Word64& word) { word.store(word.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }  // of one writer
void MarkIdle(RunContext& context) { context.busy_since->store(0, std::memory_order_relaxed); }

}  // namespace

// ---- mail from other threads -----------------------------------------------------------------------------------------------------------

void RunnableCore::Post(Letter letter) {
  {
    MutexLock lock(mail_mutex_);
    mail_.push_back(std::move(letter));
    has_mail_.store(true, std::memory_order_release);
  }
  context_.kick.Kick();
}

void RunnableCore::Attach(LaneAttachment lane) { Post(std::move(lane)); }
void RunnableCore::EndPublisher(std::string port, uint64_t publisher, absl::Status error) {
  Post(PublisherEnd{std::move(port), publisher, std::move(error)});
}
void RunnableCore::LeaveLane(std::string port, uint64_t lane) { Post(LaneLeft{std::move(port), lane}); }

void RunnableCore::TakeMail() {
  if (!has_mail_.load(std::memory_order_acquire)) return;
  std::vector<Letter> mail;
  {
    MutexLock lock(mail_mutex_);
    mail.swap(mail_);
    has_mail_.store(false, std::memory_order_release);
  }
  for (Letter& letter : mail) {
    if (auto* end = std::get_if<PublisherEnd>(&letter)) {
      if (InputPort* input = FindInput(end->port)) input->EndPublisher(end->publisher, end->error);
    } else if (auto* left = std::get_if<LaneLeft>(&letter)) {
      if (InputPort* input = FindInput(left->port)) input->LeaveLane(left->lane);
    } else {
      TakeLane(std::get<LaneAttachment>(letter));
    }
  }
}

void RunnableCore::TakeLane(LaneAttachment& lane) {
  InputPort* input = FindInput(lane.port);
  if (input == nullptr || page_ == nullptr || lane.page_slot >= TaskPage::kSlots) {
    logger_.error("lane {} was attached to \"{}\", which is no input of this runnable", lane.lane, lane.port);
    return;
  }
  const uint64_t id = lane.lane;
  PageSlot& slot = page_->slot(lane.page_slot);
  if (absl::Status s = input->Attach(std::move(lane), slot); !s.ok()) {
    logger_.error("input \"{}\": lane {} can't be read: {}", input->name(), id, s.ToString());
  }
  ReportBadLanes();
}

void RunnableCore::ReportBadLanes() {
  for (InputPort* input : lane_inputs_) {
    if (!input->has_bad_lanes()) continue;
    for (const InputPort::BadLane& bad : input->TakeBadLanes()) {
      if (context_.bad_lane) context_.bad_lane(bad.lane, bad.what);
    }
  }
}

// ---- one wake --------------------------------------------------------------------------------------------------------------------------

absl::Status RunnableCore::TickIfDue() {
  if (!ticker_.ticking() || !ticker_.Take(context_.Now())) return absl::OkStatus();
  MarkBusy(context_);
  return ThroughDoor([&] { return self_->OnTick(absl::Nanoseconds(context_.Now())); });
}

absl::Status RunnableCore::Handle(Input& input, const Received& received) {
  const Message& m = received.message;
  context_.cause_lane = m.lane;
  context_.cause_number = m.sequence;
  context_.cause_epoch = m.epoch;
  context_.cause_redelivered = m.redelivered;
  MarkBusy(context_);
  input.Begin();
  absl::Status status = ThroughDoor([&] { return input.declaration().on_value(received); });
  context_.cause_lane = 0;
  if (!status.ok() && received.undecodable) {
    logger_.error("input \"{}\", lane {}, message {}: {}; it is skipped", input.name(), m.lane, m.sequence, std::string(status.message()));
    status = absl::OkStatus();
  }
  if (!status.ok()) {  // not finished: under the host the next run gets it again
    input.Fail();
    return status;
  }
  input.Finish();
  CountOne(*context_.finished);
  return absl::OkStatus();
}

absl::Status RunnableCore::ServeInput(Input& input, bool& more) {
  const CommandSource* commands = context_.commands.load(std::memory_order_acquire);
  int64_t stored_at = 0;
  size_t served = 0;
  for (; served < input.batch(); ++served) {
    const Received* const received = input.Next(logger_);
    if (received == nullptr) break;
    if (absl::Status status = Handle(input, *received); !status.ok()) return status;
    const int64_t entered = static_cast<int64_t>(context_.busy_since->load(std::memory_order_relaxed));
    if (entered != stored_at && stored_at != 0) input.StorePositions();  // slow handlers: their slots are free at once
    stored_at = entered;
    const bool others = context_.stop.load(std::memory_order_relaxed) || (commands != nullptr && commands->Pending()) ||
                        has_mail_.load(std::memory_order_relaxed) || (ticker_.ticking() && context_.Now() >= ticker_.next());
    if (others) {
      more = true;
      break;
    }
  }
  if (served == input.batch()) {
    more = true;
    input.NextPublisher();
  }
  input.StorePositions();
  ReportBadLanes();
  return input.error();
}

// Those whose inputs have all completed. `all`: there is none left to wait for.
absl::Status RunnableCore::CompleteSubscribers(bool& all) {
  bool any = false;
  all = true;
  for (Subscriber& subscriber : subscribers_) {
    bool connected = false, complete = true;
    for (Input* input : subscriber.inputs) {
      connected = connected || input->connected();
      complete = complete && (!input->connected() || input->complete());
    }
    if (!connected) continue;
    any = true;
    all = all && complete;
    if (!complete || subscriber.completed) continue;
    subscriber.completed = true;
    if (!subscriber.on_complete) continue;
    MarkBusy(context_);
    absl::Status status = ThroughDoor([&] { return subscriber.on_complete(absl::OkStatus()); });
    if (status.ok()) continue;
    subscriber.failed = true;  // it is offered the error once more at the end
    return status;
  }
  all = all && any;
  return absl::OkStatus();
}

void RunnableCore::Sleep(uint32_t seen_kick, absl::Duration at_most) {
  MarkIdle(context_);
  readers_.clear();
  for (auto& input : inputs_) {
    input->StorePositions();
    if (input->connected() && !input->complete()) input->CollectReaders(readers_);
  }
  if (context_.stepper != nullptr) return SleepInline(seen_kick, at_most);
  if (ticker_.ticking()) at_most = std::min(at_most, absl::Nanoseconds(std::max<int64_t>(ticker_.next() - MonotonicNanos(), 0)));
  if (at_most <= absl::ZeroDuration()) return;
  const CommandSource* commands = context_.commands.load(std::memory_order_acquire);
  const absl::Time deadline = at_most == absl::InfiniteDuration() ? absl::InfiniteFuture() : MonotonicTime() + at_most;
  const uint64_t belt = BeltWakeups();
  PageHeader* const header = sleep_header_ != nullptr ? sleep_header_ : page_ != nullptr ? &page_->header() : &own_header_;
  SleepOnLanes({.page = *header,
                .lanes = readers_,
                .kick = context_.kick,
                .seen_kick = seen_kick,
                .command_tail = commands != nullptr ? commands->tail_word() : nullptr,
                .seen_command_tail = commands != nullptr ? commands->tail_seen() : 0,
                .deadline = deadline,
                .spin = &spin_});
  if (BeltWakeups() != belt) logger_.warn("a wake-up was lost: there was work for up to 2 s that nobody woke this process for");
}

// Who steps it knows of its ticks. Service looks again at every step, WaitForCommands when its time has come.
void RunnableCore::SleepInline(uint32_t seen_kick, absl::Duration at_most) {
  const int64_t begun = context_.Now();
  absl::Duration left = at_most;
  while (left > absl::ZeroDuration() && context_.stepper->Wait(left) && !context_.StopAsked() && context_.kick.value() == seen_kick) {
    left = at_most == absl::InfiniteDuration() ? absl::ZeroDuration() : at_most - absl::Nanoseconds(context_.Now() - begun);
  }
}

absl::Status RunnableCore::Service() {
  if (!executing_) return absl::FailedPreconditionError("puma: Service is called by Execute only");
  struct Serving {
    bool& on;
    ~Serving() { on = false; }
  } const serving{serving_ = true};
  while (true) {
    const uint32_t seen_kick = context_.kick.value();
    TakeMail();
    if (absl::Status status = TickIfDue(); !status.ok()) return status;
    if (!PollCommands()) return command_error_;
    if (end_service_.load(std::memory_order_acquire)) {
      inputs_completed_ = true;
      return absl::OkStatus();
    }
    bool more = false;
    for (auto& input : inputs_) {
      if (!input->connected() || input->complete()) continue;
      if (absl::Status status = ServeInput(*input, more); !status.ok()) return status;
    }
    bool all = false;
    if (absl::Status status = CompleteSubscribers(all); !status.ok()) return status;
    if (all) {
      inputs_completed_ = true;
      return absl::OkStatus();
    }
    if (more || context_.kick.value() != seen_kick) continue;
    absl::Status hook = ThroughDoor([&]() -> absl::Status {
      self_->OnWait();
      return absl::OkStatus();
    });
    if (!hook.ok()) return hook;
    Sleep(seen_kick, absl::InfiniteDuration());
  }
}

void RunnableCore::EndService() {
  end_service_.store(true, std::memory_order_release);  // with Service's look at it, and WaitForCommands'
  context_.kick.Kick();
}

bool RunnableCore::PollCommands() {
  if (polling_ || stop_served_) return !stop_served_;  // a command's own handler asks
  TakeMail();
  CommandSource* commands = context_.commands.load(std::memory_order_acquire);
  if (commands != nullptr && commands->Pending()) {
    polling_ = true;
    stop_served_ = commands->Poll([this](const CommandCall& call) { return ServeCommand(call); });
    polling_ = false;
  }
  if (context_.stop.load(std::memory_order_acquire) || !command_error_.ok()) stop_served_ = true;
  if (stop_served_) inputs_completed_ = false;  // it went on after them, until now
  return !stop_served_;
}

void RunnableCore::LetOthers() {
  if (context_.stepper == nullptr || !executing_ || serving_) return;
  if (std::exchange(polled_, true) && !context_.StopAsked()) context_.stepper->Wait(absl::ZeroDuration());
}

bool RunnableCore::WaitForCommands(absl::Duration at_most) {
  const uint32_t seen_kick = context_.kick.value();
  if (!PollCommands()) return false;
  if (!end_service_.load(std::memory_order_acquire)) Sleep(seen_kick, at_most);
  return PollCommands();
}

}  // namespace puma::internal
