#include "worker/environment/ends.h"

#include <fmt/format.h>
#include <puma/log.h>

#include <utility>

namespace puma::internal {
namespace {

const Logger& BufferLog() {
  static const Logger logger("buffer");
  return logger;
}

FullPolicy PolicyOf(OnFull on_full) {
  switch (on_full) {
    case OnFull::kBlock:
      return FullPolicy::kBlock;
    case OnFull::kWarn:
      return FullPolicy::kWarn;
    case OnFull::kIgnore:
      return FullPolicy::kIgnore;
    case OnFull::kDropOldest:
    case OnFull::kLatest:
      return FullPolicy::kOverwrite;
    default:
      return FullPolicy::kError;
  }
}

absl::Status InBuffer(const BufferFacts& facts, const absl::Status& status) {
  if (status.ok() || status.message().find(facts.name) != std::string_view::npos) return status;
  return absl::Status(status.code(), fmt::format("buffer \"{}\": {}", facts.name, std::string(status.message())));
}

}  // namespace

// ---- publishers ------------------------------------------------------------------------------------------------------------------------

PublisherEnd::PublisherEnd(const BufferFacts& facts, const TypeInfo& type, Ends* ends, KeeperLink* link, std::shared_ptr<void> environment)
    : buffer_(facts.name),
      ends_(ends),
      link_(link),
      environment_(std::move(environment)),
      output_(std::make_shared<OutputCore>("", type, &context_)) {
  context_.logger = &BufferLog();
  output_->ForProgram(
      absl::FailedPreconditionError(fmt::format("buffer \"{}\": this publisher has been ended", facts.name)),
      [this] { link_->PublisherCompleted(number_); }, [this] { EndByHand(); });
}

PublisherEnd::PublisherEnd(const BufferFacts& facts, std::shared_ptr<OutputCore> output, Ends* ends, KeeperLink* link)
    : buffer_(facts.name), ends_(ends), link_(link), output_(std::move(output)) {
  output_->ForProgram(
      NotExecuting(), [this] { link_->PublisherCompleted(number_); }, nullptr);
}

PublisherEnd::~PublisherEnd() { Leave(); }

absl::Status PublisherEnd::Open(uint64_t number, const BufferFacts& facts) {
  LaneOptions options;
  options.lane = number;
  options.capacity = facts.capacity;
  options.payload_bytes = facts.payload_bytes;
  options.lossy = facts.lossy();
  auto lane = OutputLane::Create(options, output_->type());
  if (!lane.ok()) return lane.status();
  std::vector<std::unique_ptr<OutputLane>> lanes;
  lanes.push_back(*std::move(lane));
  output_->Connect(facts.name, PolicyOf(facts.on_full), std::move(lanes));
  number_ = number;
  return absl::OkStatus();
}

void PublisherEnd::EndByHand() {
  if (left_.load(std::memory_order_acquire)) {
    BufferLog().warn("buffer \"{}\": a publisher is ended a second time", buffer_);
  } else {
    Leave();
  }
}

void PublisherEnd::Refuse(const absl::Status& why) {
  output_->Refuse(why);
  MutexLock lock(mutex_);
  if (when_refused_) when_refused_();
}

void PublisherEnd::WhenRefused(std::function<void()> act) {
  MutexLock lock(mutex_);
  when_refused_ = std::move(act);
  if (when_refused_ && !output_->status().ok()) when_refused_();
}

void PublisherEnd::Leave() {
  if (number_ == 0 || left_.exchange(true, std::memory_order_acq_rel)) return;
  output_->Close();
  link_->ClosePublisher(number_);
  ends_->Forget(number_);
}

std::shared_ptr<PublisherEnd> Ends::OpenPublisher(const BufferFacts& facts, const TypeInfo& type, std::shared_ptr<void> environment) {
  auto end = std::make_shared<PublisherEnd>(facts, type, this, link_, std::move(environment));
  if (absl::Status status = Announce(end, facts, 0); status.ok()) {
    end->Opened();
  } else {
    end->Refuse(status);
  }
  return end;
}

absl::StatusOr<std::shared_ptr<PublisherEnd>> Ends::ConnectOutput(const BufferFacts& facts, std::shared_ptr<OutputCore> output,
                                                                  uint64_t seat) {
  auto end = std::make_shared<PublisherEnd>(facts, std::move(output), this, link_);
  if (absl::Status status = Announce(end, facts, seat); !status.ok()) return status;
  return end;
}

absl::Status Ends::Announce(const std::shared_ptr<PublisherEnd>& end, const BufferFacts& facts, uint64_t seat) {
  const uint64_t number = NewNumber();
  absl::Status status = end->Open(number, facts);
  if (status.ok()) {
    {
      MutexLock lock(mutex_);
      publishers_[number] = end.get();
    }
    status = link_->OpenPublisher(facts.id, number, end->lane().segment().TakeFd(), seat);
    if (!status.ok()) Forget(number);
  }
  return InBuffer(facts, status);
}

void Ends::Forget(uint64_t lane) {
  MutexLock lock(mutex_);
  publishers_.erase(lane);
}

std::optional<uint64_t> Ends::SetGate(GateOrder order) {
  MutexLock lock(mutex_);
  auto at = publishers_.find(order.lane);
  if (at == publishers_.end()) return order.floor;  // it has just left: nothing is overwritten any more
  OutputLane::ReaderPages pages;
  pages.position = std::move(order.page);
  pages.sleep = std::move(order.sleep);
  pages.slot = order.slot;
  pages.floor = order.floor;
  pages.from_now = order.from_now;
  pages.gates = order.gates;
  auto start = at->second->lane().SetGate(order.gate, std::move(pages));
  if (start.ok()) return *start;
  BufferLog().error("a reader's page is not acceptable: {}", std::string(start.status().message()));
  return order.floor;
}

void Ends::RemoveGate(uint64_t lane, uint64_t gate) {
  MutexLock lock(mutex_);
  auto at = publishers_.find(lane);
  if (at != publishers_.end()) at->second->lane().GateDown(gate, control::GateChange::kRemoved);
}

// ---- subscriptions ---------------------------------------------------------------------------------------------------------------------

std::shared_ptr<SubscriptionCore> Ends::OpenSubscription(const BufferFacts& facts, const TypeInfo& type, std::shared_ptr<EventCore> event,
                                                         SubscribeOptions options, std::shared_ptr<void> environment) {
  SubscriptionRequest request;
  SubscriptionCore::Parts parts;
  auto refused = [&](const absl::Status& status) { return std::make_shared<SubscriptionCore>(InBuffer(facts, status)); };
  if (options.lossy && type.destroy != nullptr)
    return refused(absl::InvalidArgumentError("a type without a puma::Codec can't be read by a lossy subscription"));
  parts.id = NewNumber();
  auto page = TaskPage::Create(parts.id, 1, {});
  if (!page.ok()) return refused(page.status());
  auto sleep = event->SleepPage();
  if (!sleep.ok()) return refused(sleep.status());
  request.buffer = facts.id;
  request.subscription = parts.id;
  request.page = page->segment().TakeFd();
  request.sleep = *std::move(sleep);
  parts.facts = facts;
  parts.type = type;
  parts.lossy = options.lossy;
  parts.link = link_;
  parts.environment = std::move(environment);
  parts.event = event;
  parts.page = *std::move(page);
  request.options = std::move(options);
  const uint64_t number = parts.id;
  auto core = std::make_shared<SubscriptionCore>(std::move(parts));
  {
    MutexLock lock(mutex_);
    std::erase_if(subscriptions_, [](const auto& each) { return each.second.expired(); });
    subscriptions_[number] = core;
  }
  if (absl::Status status = link_->OpenSubscription(std::move(request)); !status.ok()) return refused(status);
  event->Add(core);
  return core;
}

std::shared_ptr<SubscriptionCore> Ends::Find(uint64_t subscription) {
  MutexLock lock(mutex_);
  auto at = subscriptions_.find(subscription);
  return at == subscriptions_.end() ? nullptr : at->second.lock();
}

void Ends::Attach(AttachOrder order) {
  if (auto core = Find(order.subscription)) core->PostAttach(std::move(order));
}
void Ends::LaneLeft(uint64_t subscription, uint64_t lane, uint64_t left) {
  if (auto core = Find(subscription)) core->PostLeft(lane, left);
}
void Ends::RoundOver(uint64_t subscription, bool over) {
  if (auto core = Find(subscription)) core->PostOver(over);
}

void Ends::Invalidate(uint64_t end, const absl::Status& why) {
  if (auto core = Find(end)) core->PostInvalid(why);
  MutexLock lock(mutex_);
  auto at = publishers_.find(end);
  if (at != publishers_.end()) at->second->Refuse(why);
}

void Ends::InvalidateAll(const absl::Status& why) {
  std::vector<std::shared_ptr<SubscriptionCore>> subscriptions;
  {
    MutexLock lock(mutex_);
    for (auto& [number, end] : publishers_) end->Refuse(why);
    for (auto& [number, each] : subscriptions_) {
      if (auto core = each.lock()) subscriptions.push_back(std::move(core));
    }
  }
  for (auto& core : subscriptions) core->PostInvalid(why);
}

}  // namespace puma::internal
