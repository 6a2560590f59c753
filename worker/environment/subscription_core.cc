#include "worker/environment/subscription_core.h"

#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "worker/environment/error_text.h"
#include "worker/runnable/received.h"

namespace puma::internal {

struct SubscriptionCore::Lane {
  uint64_t id = 0, opened = 0, left = 0;
  std::unique_ptr<LaneReader> reader;
  bool copies = false;     // what is read may be overwritten meanwhile
  bool ended = false;      // read to its end; only held values keep it
  bool completed = false;  // and there stood its completion
  bool let_go = false;
  RingItem item;  // that Peek has found
  uint64_t missed = 0;
  std::string copy;
  std::vector<std::byte> aligned;
};

SubscriptionCore::SubscriptionCore(Parts parts) : parts_(std::move(parts)) {
  batch_ = std::clamp<size_t>(parts_.facts.capacity / 4, 1, 64);
  port_ = parts_.facts.name;
}
SubscriptionCore::SubscriptionCore(absl::Status refused) : status_(std::move(refused)), ended_(true) {}
SubscriptionCore::~SubscriptionCore() = default;

// ---- from the keeper -------------------------------------------------------------------------------------------------------------------

void SubscriptionCore::Post(Mail mail) {
  const bool sets = mail.kind == Mail::kInvalid;
  {
    MutexLock lock(mutex_);
    mail_.push_back(std::move(mail));
    has_mail_.store(true, std::memory_order_release);
  }
  if (sets) {
    parts_.event->Set();
  } else {
    parts_.event->Kick();
  }
}

void SubscriptionCore::PostAttach(AttachOrder order) { Post({.kind = Mail::kAttach, .attach = std::move(order)}); }
void SubscriptionCore::PostLeft(uint64_t lane, uint64_t left) { Post({.kind = Mail::kLeft, .lane = lane, .left = left}); }
void SubscriptionCore::PostOver(bool over) { Post({.kind = Mail::kOver, .over = over}); }
void SubscriptionCore::PostInvalid(const absl::Status& why) { Post({.kind = Mail::kInvalid, .why = why}); }

void SubscriptionCore::TakeMail() {
  if (!has_mail_.load(std::memory_order_acquire)) return;
  std::vector<Mail> mail;
  {
    MutexLock lock(mutex_);
    mail.swap(mail_);
    has_mail_.store(false, std::memory_order_relaxed);
  }
  for (Mail& each : mail) {
    if (each.kind == Mail::kAttach) {
      Attach(std::move(each.attach));
    } else if (each.kind == Mail::kLeft) {
      for (auto& lane : lanes_) {
        if (lane->id == each.lane) lane->left = each.left;
        some_left_ = true;
      }
    } else if (each.kind == Mail::kOver) {
      over_ = each.over;
    } else {
      invalid_ = true;
      status_ = each.why;
    }
  }
}

void SubscriptionCore::Attach(AttachOrder order) {
  PageSlot& slot = parts_.page.slot(order.slot);
  if (slot.tag.load(std::memory_order_relaxed) != order.lane) {  // as LaneReader's TakeOver, with what an earlier reader has left
    slot.tag.store(0, std::memory_order_relaxed);
    slot.position.store(order.start, std::memory_order_release);
    slot.next.store(order.start, std::memory_order_relaxed);
    slot.in_hand.store(0, std::memory_order_relaxed);
    slot.deliveries.store(order.deliveries, std::memory_order_relaxed);
    slot.handed.store(order.start + order.handed, std::memory_order_relaxed);
    slot.seen.store(order.start, std::memory_order_relaxed);
    slot.tag.store(order.lane, std::memory_order_release);
  }
  auto reader = LaneReader::Open(std::move(order.fd), slot, order.start);
  if (!reader.ok()) {
    fault_ = absl::DataLossError(
        fmt::format("buffer \"{}\": a publisher's lane is left: {}", parts_.facts.name, std::string(reader.status().message())));
    parts_.link->LaneDone(parts_.id, order.lane, false);
    return;
  }
  auto lane = std::make_unique<Lane>();
  lane->id = order.lane;
  lane->opened = order.opened;
  lane->copies = parts_.lossy || (*reader)->ring().constants().lossy != 0;
  lane->reader = *std::move(reader);
  lanes_.push_back(std::move(lane));
}

// ---- which is next ---------------------------------------------------------------------------------------------------------------------

// A publisher that left before this one opened is read first.
bool SubscriptionCore::MayBeRead(const Lane& lane) const {
  if (lane.ended || !some_left_) return !lane.ended;
  return std::none_of(lanes_.begin(), lanes_.end(),
                      [&](const auto& other) { return !other->ended && other->left != 0 && other->left < lane.opened; });
}

absl::StatusOr<std::optional<RingItem>> SubscriptionCore::LookInto(Lane& lane) {
  if (!lane.copies) return lane.reader->Peek();
  while (true) {
    std::optional<RingReader::Gap> gap;
    auto found = lane.reader->PeekCopy(lane.copy, gap);
    if (gap) lane.missed += gap->last - gap->first + 1;
    if (!found.ok() || !found->has_value() || (*found)->kind == MessageKind::kComplete) return found;
    const LaneReader& reader = *lane.reader;
    uint64_t behind = reader.ring().tail() - reader.next() - 1;
    if (behind != 0 && reader.ring().header().closed.load(std::memory_order_acquire) != 0) --behind;  // the completion is no newer value
    if (parts_.facts.on_full != OnFull::kLatest || behind == 0) return found;
    lane.reader->Finish();  // only the newest counts
    ++lane.missed;
  }
}

SubscriptionCore::Found SubscriptionCore::Peek(Lane& lane) {
  if (!lane.copies && lane.reader->PeekInto(lane.item) && lane.item.kind != MessageKind::kComplete) return Found::kValue;
  return PeekSlowly(lane);
}

// All that can come but one more value to be read in place.
SubscriptionCore::Found SubscriptionCore::PeekSlowly(Lane& lane) {
  const bool left = lane.left != 0;  // a look after it had left
  auto found = LookInto(lane);
  if (!found.ok()) {
    fault_ = absl::DataLossError(
        fmt::format("buffer \"{}\": a publisher's lane is left: {}", parts_.facts.name, std::string(found.status().message())));
    EndLane(lane, false);
    return Found::kEnd;
  }
  if (!found->has_value()) {
    if (!left) return Found::kNothing;
    EndLane(lane, false);
    return Found::kEnd;
  }
  lane.item = **found;
  if (lane.item.kind != MessageKind::kComplete) return Found::kValue;
  if (completion_.ok()) completion_ = ErrorFromText(lane.reader->ring().ErrorText());
  EndLane(lane, true);
  return Found::kEnd;
}

SubscriptionCore::Lane* SubscriptionCore::Next() {
  bool again = true;
  while (again) {
    again = false;
    if (turn_ >= lanes_.size()) turn_ = 0;
    for (size_t i = 0, at = turn_; i < lanes_.size() && !again; ++i, at = at + 1 == lanes_.size() ? 0 : at + 1) {
      if (!MayBeRead(*lanes_[at])) continue;
      const Found found = Peek(*lanes_[at]);
      if (found == Found::kValue) {
        turn_ = at + 1;
        return lanes_[at].get();
      }
      again = found == Found::kEnd;
    }
    DropEnded();
    if (!completion_.ok() || !fault_.ok()) return nullptr;
  }
  return nullptr;
}

void SubscriptionCore::EndLane(Lane& lane, bool completed) {
  lane.ended = true;
  lane.completed = completed;
  if (lane.reader->held() == 0) LetGo(lane);
}

void SubscriptionCore::LetGo(Lane& lane) {
  while (lane.reader->held() != 0) lane.reader->Finish();
  if (lane.completed) lane.reader->Finish();
  lane.reader->StorePosition();
  lane.let_go = true;
  parts_.link->LaneDone(parts_.id, lane.id, lane.completed);
}

void SubscriptionCore::DropEnded() {
  std::erase_if(lanes_, [](const auto& lane) { return lane->let_go; });
  some_left_ = std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->left != 0; });
}

bool SubscriptionCore::AllRead() const {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const auto& lane) { return lane->ended || (lane->left != 0 && lane->reader->AtEnd()); });
}

bool SubscriptionCore::HasWork() {
  if (ended_) return false;
  TakeMail();
  if (invalid_ || completed_) return false;
  if (!fault_.ok() || !completion_.ok() || (over_ && AllRead())) return true;
  return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return !lane->ended && !lane->reader->AtEnd(); });
}

void SubscriptionCore::CollectReaders(std::vector<LaneReader*>& out) {
  if (ended_ || completed_) return;
  for (auto& lane : lanes_) {
    if (!lane->ended) out.push_back(lane->reader.get());
  }
}

// ---- taking ----------------------------------------------------------------------------------------------------------------------------

void SubscriptionCore::Describe(Lane& lane) {
  const RingItem& item = lane.item;
  Received& received = received_;
  received.undecodable = false;
  received.bytes = item.bytes;
  if (lane.copies && reinterpret_cast<uintptr_t>(item.bytes.data()) % parts_.type.alignment != 0) {
    lane.aligned.resize(item.bytes.size() + parts_.type.alignment);
    const size_t off = parts_.type.alignment - reinterpret_cast<uintptr_t>(lane.aligned.data()) % parts_.type.alignment;
    std::memcpy(lane.aligned.data() + off, item.bytes.data(), item.bytes.size());
    received.bytes = {lane.aligned.data() + off, item.bytes.size()};
  }
  Message& m = received.message;
  m.sequence = item.number;
  m.lane = lane.id;
  m.epoch = lane.reader->ring().constants().epoch;
  m.delivery = lane.reader->Deliveries();
  m.redelivered = m.delivery > 1;
  m.missed = lane.missed;
  m.port = port_;
  Annotate(item.annotation, m);
}

// The item counts as taken, whatever its handler did.
void SubscriptionCore::AfterHandler(Lane& lane) {
  in_handler_ = false;
  if (parts_.type.destroy != nullptr) {
    void* object;
    std::memcpy(&object, lane.item.bytes.data(), sizeof object);
    parts_.type.destroy(object);
  }
  lane.missed = 0;
  if (lane.reader->held() >= hold_) lane.reader->Finish();
  if (hold_ != 0) lane.reader->Hold();
}

absl::Status SubscriptionCore::HandOver(Lane& lane, ReceivedRef on_value) {
  struct Finisher {  // also if the handler throws
    SubscriptionCore& core;
    Lane& lane;
    ~Finisher() { core.AfterHandler(lane); }
  };
  Describe(lane);
  const Received& received = received_;
  lane.reader->Begin();
  in_handler_ = true;
  absl::Status status;
  {
    const Finisher finisher{*this, lane};
    status = on_value(received);
  }
  if (!received.undecodable) return status;
  return absl::DataLossError(
      fmt::format("buffer \"{}\": message {} is skipped: {}", parts_.facts.name, received.message.sequence, std::string(status.message())));
}

const Received* SubscriptionCore::Look(std::string_view port) {
  if (ended_) return nullptr;
  TakeMail();
  if (!status_.ok() || completed_) return nullptr;
  in_hand_ = Next();
  if (in_hand_ == nullptr) return nullptr;
  port_ = port;
  Describe(*in_hand_);
  return &received_;
}

void SubscriptionCore::Begin() {
  in_hand_->reader->Begin();
  in_handler_ = true;
}

void SubscriptionCore::Done() {
  AfterHandler(*in_hand_);
  if (++since_stored_ < batch_) return;
  since_stored_ = 0;
  in_hand_->reader->StorePosition();
}

bool SubscriptionCore::CompletedNow(absl::Status& error) {
  if (ended_ || completed_) return false;
  error = status_.ok() ? completion_ : status_;  // or the buffer is gone
  if (error.ok() && !(over_ && AllRead())) return false;
  completed_ = true;
  Release();
  if (status_.ok()) parts_.link->Delivered(parts_.id);
  return true;
}

absl::StatusOr<size_t> SubscriptionCore::Take(ReceivedRef on_value, const CompletedRef* on_complete, size_t at_most) {
  return TakeSome(
      [&](Lane& lane, size_t, absl::Status& status) -> size_t {
        status = HandOver(lane, on_value);
        return 1;
      },
      on_complete, at_most);
}

absl::StatusOr<size_t> SubscriptionCore::TakeRuns(RunRef on_run, const CompletedRef* on_complete, size_t at_most) {
  return TakeSome([&](Lane& lane, size_t most, absl::Status& status) { return HandOverRun(lane, on_run, most, status); }, on_complete,
                  at_most);
}

// One message after the other where they can't lie side by side: copies, and beside held ones.
size_t SubscriptionCore::HandOverRun(Lane& lane, RunRef on_run, size_t at_most, absl::Status& status) {
  if (lane.copies || hold_ != 0) {
    status = HandOver(lane, [&](const Received& received) { return on_run(received.bytes); });
    return 1;
  }
  const RingRun run = lane.reader->PeekRun(at_most);
  if (run.each != parts_.type.fixed_size) {
    status = absl::DataLossError(fmt::format("buffer \"{}\": message {} is skipped: {} bytes instead of {}", parts_.facts.name,
                                             lane.reader->next(), run.each, parts_.type.fixed_size));
    lane.reader->FinishRun(1);
    return 1;
  }
  struct Finisher {  // also if the handler throws
    SubscriptionCore& core;
    LaneReader& reader;
    size_t count;
    ~Finisher() {
      core.in_handler_ = false;
      reader.FinishRun(count);
    }
  } const finisher{*this, *lane.reader, run.count};
  lane.reader->BeginRun(run.count);
  in_handler_ = true;
  lane.missed = 0;
  status = on_run({run.data, run.count * run.each});
  return run.count;
}

absl::StatusOr<size_t> SubscriptionCore::TakeSome(absl::FunctionRef<size_t(Lane&, size_t, absl::Status&)> hand_over,
                                                  const CompletedRef* on_complete, size_t at_most) {
  if (in_handler_)
    return absl::FailedPreconditionError(fmt::format("buffer \"{}\": it is taken from in its own handler", parts_.facts.name));
  if (!ended_) TakeMail();
  if (!status_.ok()) return status_;
  size_t taken = 0, stored = 0;
  absl::Status status;
  while (taken < at_most && !completed_ && status.ok() && !end_after_handler_) {
    Lane* lane = Next();
    if (lane == nullptr) break;
    taken += hand_over(*lane, at_most - taken, status);
    if (taken - stored < batch_) continue;
    stored = taken;
    lane->reader->StorePosition();
  }
  StorePositions();
  if (end_after_handler_) Leave();
  if (!status.ok()) return status;
  if (!fault_.ok()) return std::exchange(fault_, absl::OkStatus());
  if (ended_ || taken == at_most || completed_) return taken;
  if (!completion_.ok() || (over_ && AllRead())) return Complete(on_complete, taken);
  return taken;
}

absl::StatusOr<size_t> SubscriptionCore::Complete(const CompletedRef* on_complete, size_t taken) {
  completed_ = true;
  Release();
  parts_.link->Delivered(parts_.id);
  if (on_complete == nullptr) {
    if (!completion_.ok()) return completion_;
    return taken;  // silently
  }
  struct Finisher {
    bool& in_handler;
    ~Finisher() { in_handler = false; }
  };
  absl::Status status;
  {
    in_handler_ = true;
    const Finisher finisher{in_handler_};
    status = (*on_complete)(completion_);
  }
  if (end_after_handler_) Leave();
  if (!status.ok()) return status;
  return taken + 1;
}

void SubscriptionCore::StorePositions() {
  for (auto& lane : lanes_) lane->reader->StorePosition();
}

absl::Status SubscriptionCore::Hold(size_t count) {
  if (!status_.ok()) return status_;
  if (count + 1 > parts_.facts.capacity || count + 1 == 0) {
    return absl::InvalidArgumentError(
        fmt::format("buffer \"{}\": to hold {} of {} values; one slot must remain", parts_.facts.name, count, parts_.facts.capacity));
  }
  if (parts_.lossy || parts_.facts.lossy() || parts_.type.destroy != nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("buffer \"{}\": only values that stay in the buffer can be held: no lossy or thread-only ones", parts_.facts.name));
  }
  hold_ = count;
  for (auto& lane : lanes_) {
    while (lane->reader->held() > hold_) lane->reader->Finish();
  }
  StorePositions();
  return absl::OkStatus();
}

void SubscriptionCore::Release() {
  if (ended_) return;
  for (auto& lane : lanes_) {
    while (lane->reader->held() != 0) lane->reader->Finish();
    if (lane->ended && !lane->let_go) LetGo(*lane);
  }
  StorePositions();
  DropEnded();
}

void SubscriptionCore::End() {
  if (ended_) {
    static const Logger logger("buffer");
    if (parts_.link != nullptr) logger.warn("buffer \"{}\": a subscription is ended a second time", parts_.facts.name);
    return;
  }
  if (in_handler_) {
    end_after_handler_ = true;  // its value is being read
  } else {
    Leave();
  }
}

void SubscriptionCore::Leave() {
  end_after_handler_ = false;
  TakeMail();
  StorePositions();
  ended_ = true;
  if (invalid_ && parts_.type.destroy != nullptr) {  // the buffer is gone: what is left has no other owner
    for (auto& lane : lanes_) {
      for (auto item = lane->reader->Peek(); item.ok() && item->has_value() && (*item)->kind == MessageKind::kValue;
           item = lane->reader->Peek()) {
        lane->item = **item;
        AfterHandler(*lane);
      }
    }
  }
  parts_.link->CloseSubscription(parts_.id);
  lanes_.clear();
  if (status_.ok())
    status_ = absl::FailedPreconditionError(fmt::format("buffer \"{}\": this subscription has been ended", parts_.facts.name));
}

// ---- what the templates of subscription.h call ----------------------------------------------------------------------------------------

absl::StatusOr<size_t> Take(SubscriptionCore& s, ReceivedRef on_value, const CompletedRef* on_complete, size_t at_most) {
  return s.Take(on_value, on_complete, at_most);
}
absl::StatusOr<size_t> TakeRuns(SubscriptionCore& s, RunRef on_run, const CompletedRef* on_complete, size_t at_most) {
  return s.TakeRuns(on_run, on_complete, at_most);
}
absl::Status Hold(SubscriptionCore& s, size_t count) { return s.Hold(count); }
void Release(SubscriptionCore& s) { s.Release(); }
absl::Status StatusOf(const SubscriptionCore& s) { return s.status(); }
void End(SubscriptionCore& s) { s.End(); }

}  // namespace puma::internal
