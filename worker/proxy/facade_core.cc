#include "worker/proxy/facade_core.h"

#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "worker/environment/error_text.h"
#include "worker/platform/system.h"
#include "worker/proxy/proxy_server.h"
#include "worker/proxy/requests.h"
#include "worker/runnable/value_bytes.h"

namespace puma::internal {
namespace {

constexpr absl::Duration kSendAtMost = absl::Seconds(10);  // while the proxy has as many requests as it can hold
constexpr absl::Duration kTurn = absl::Milliseconds(1);    // between two looks whether there is room

}  // namespace

FacadeCore::FacadeCore(std::shared_ptr<EnvironmentCore> environment, BufferFacts requests)
    : environment_(std::move(environment)), requests_(std::move(requests)) {}

FacadeCore::FacadeCore(absl::Status broken) : broken_(std::move(broken)) {}

FacadeCore::~FacadeCore() {
  if (opened_ == nullptr) return;
  opened_->WhenRefused(nullptr);
  subscription_->End();
  opened_->Leave();
  MutexLock lock(send_mutex_);
  environment_->link().DestroyBuffer(answers_.id).IgnoreError();
}

absl::Status FacadeCore::Gone() const {
  return absl::UnavailableError(fmt::format("facade of \"{}\": its owner has ended", requests_.name));
}

// ---- sending ---------------------------------------------------------------------------------------------------------------------------

absl::Status FacadeCore::Open() {
  MutexLock lock(send_mutex_);
  if (publisher_ != nullptr) return absl::OkStatus();
  if (absl::Status status = OpenAnswers(); !status.ok()) {
    if (answers_.id != 0) environment_->link().DestroyBuffer(answers_.id).IgnoreError();
    return status;
  }
  auto publisher = environment_->ends().OpenPublisher(requests_, TypeInfo::Of<std::string>(), environment_);
  if (!publisher->output().status().ok()) {
    subscription_->End();
    environment_->link().DestroyBuffer(answers_.id).IgnoreError();
    return absl::IsFailedPrecondition(publisher->output().status()) ? Gone() : publisher->output().status();
  }
  opened_ = publisher_ = std::move(publisher);
  opened_->WhenRefused([event = event_.get()] { event->Set(); });
  ByteWriter hello;
  PackFacts(answers_, hello.Put(Request::kHello));
  return Send(hello.bytes());  // the first of its lane: there is room
}

absl::Status FacadeCore::OpenAnswers() {
  auto made = environment_->link().CreateBuffer(environment_->NewMaker(), fmt::format("answers of {}", requests_.name),
                                                {.name = TypeInfo::Of<std::string>().name()}, RequestBuffer());
  if (!made.ok()) return made.status();
  answers_ = *std::move(made);
  subscription_ = environment_->ends().OpenSubscription(answers_, TypeInfo::Of<std::string>(), event_, {}, environment_);
  return subscription_->status();
}

absl::Status FacadeCore::Send(const std::string& bytes) {
  OutputCore& output = publisher_->output();
  auto room = output.Reserve(bytes.size(), kNoWait, OnFull::kError);
  if (!output.status().ok()) return Gone();
  if (!room.ok()) {
    return absl::ResourceExhaustedError(
        fmt::format("\"{}\" has {} calls of this process that wait already to be executed", requests_.name, kRequestsWaiting));
  }
  std::memcpy(room->data(), bytes.data(), bytes.size());
  return output.Commit().ok() ? absl::OkStatus() : Gone();
}

absl::Status FacadeCore::SendCall(uint64_t id, const ObjectCall& call, absl::Time deadline) {
  ByteWriter to;
  const bool forever = deadline == absl::InfiniteFuture();
  const int64_t deadline_ns = forever ? 0 : MonotonicNanos() + absl::ToInt64Nanoseconds(deadline - MonotonicTime());
  to.Put(Request::kCall).Put(id).Put(deadline_ns).Put(call.object).PutText(call.method).Put(static_cast<uint64_t>(call.arguments.size()));
  for (const Value& argument : call.arguments) PackValue(argument, to);
  if (to.bytes().size() > kRequestBytes) {
    return absl::ResourceExhaustedError(fmt::format("{} bytes of arguments for \"{}\"; {} is the most, a buffer carries more",
                                                    to.bytes().size(), requests_.name, kRequestBytes));
  }
  return SendWhenThereIsRoom(to.bytes(), std::min(deadline, MonotonicTime() + kSendAtMost));
}

// Waits without the lock: others have deadlines of their own, and releases never wait.
absl::Status FacadeCore::SendWhenThereIsRoom(const std::string& bytes, absl::Time deadline) {
  while (true) {
    const absl::Duration left = deadline - MonotonicTime();
    {
      MutexLock lock(send_mutex_);
      absl::Status sent = Send(bytes);
      if (left <= absl::ZeroDuration() || !absl::IsResourceExhausted(sent)) return sent;
    }
    absl::SleepFor(std::min(left, kTurn));
  }
}

// ---- answers ---------------------------------------------------------------------------------------------------------------------------

absl::StatusOr<Value> FacadeCore::CallObject(ObjectCall call) {
  if (!broken_.ok()) return broken_;
  if (!call.within.valid() || call.within.as_spec())
    return absl::InvalidArgumentError(fmt::format("facade of \"{}\": a deadline is above zero, kNoWait or kInfinite", requests_.name));
  if (ProxyServer* const own = ProxyServer::OfThisThread(environment_.get(), requests_.id)) {
    auto result = own->CallHere(call);
    Attach(result, shared_from_this());
    return result;
  }
  if (absl::Status status = Open(); !status.ok()) return status;
  const int64_t begin_ns = MonotonicNanos();
  const bool forever = call.within.duration() == absl::InfiniteDuration();
  const absl::Time deadline = forever ? absl::InfiniteFuture() : MonotonicTime() + call.within.duration();
  const uint64_t id = last_call_.fetch_add(1, std::memory_order_relaxed) + 1;
  {
    MutexLock lock(mutex_);
    waiting_[id];
  }
  absl::StatusOr<Value> result = Value();
  if (absl::Status sent = SendCall(id, call, deadline); sent.ok()) {
    result = Await(id, call, deadline);
    WarnIfSlow(call, begin_ns);
  } else {
    result = std::move(sent);
  }
  SendReleases();                              // that found no room
  std::map<uint64_t, Answer>::node_type late;  // it may be a reference, which is let go of without the lock
  MutexLock lock(mutex_);
  late = waiting_.extract(id);
  return result;
}

absl::StatusOr<Value> FacadeCore::Await(uint64_t id, const ObjectCall& call, absl::Time deadline) {
  while (true) {
    absl::Duration left = absl::Hours(1);
    {
      MutexLock lock(mutex_);
      if (Answer& answer = waiting_[id]) return *std::move(answer);
      if (gone_) return Gone();
      if (deadline != absl::InfiniteFuture()) left = std::min(left, deadline - MonotonicTime());
      if (left <= absl::ZeroDuration()) {
        return absl::DeadlineExceededError(fmt::format("\"{}\" has not answered \"{}\" within {}: its thread may be busy with another call",
                                                       requests_.name, call.method, absl::FormatDuration(call.within.duration())));
      }
      if (reading_) {
        read_.WaitFor(mutex_, left);
        continue;
      }
      reading_ = true;
    }
    Read(left);
  }
}

void FacadeCore::Read(absl::Duration at_most) {
  if (opened_->output().status().ok()) event_->Wait(at_most).IgnoreError();
  const bool refused = !opened_->output().status().ok();  // before the last look
  const auto on_answer = [this](const Received& received) {
    OnAnswer(received.bytes);
    return absl::OkStatus();
  };
  auto taken = subscription_->Take(on_answer, nullptr, kRequestsWaiting);
  MutexLock lock(mutex_);
  reading_ = false;
  gone_ = gone_ || (refused && (!taken.ok() || *taken == 0));
  read_.NotifyAll();
}

void FacadeCore::OnAnswer(Bytes bytes) {
  ByteReader from({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const auto id = from.Get<uint64_t>();
  const bool ok = from.Get<bool>();
  absl::StatusOr<Value> result;
  if (ok) {
    result = UnpackValue(from);
  } else {
    result = ErrorFromText(from.GetText());
  }
  Attach(result, shared_from_this());  // if nobody waits any more, it is let go of at the end
  MutexLock lock(mutex_);
  if (auto at = waiting_.find(id); at != waiting_.end()) at->second = std::move(result);
}

void FacadeCore::WarnIfSlow(const ObjectCall& call, int64_t begin_ns) {
  const absl::Duration took = absl::Nanoseconds(MonotonicNanos() - begin_ns);
  if (took < call.slow) return;
  {
    MutexLock lock(mutex_);
    if (std::exchange(warned_[call.method], true)) return;
  }
  log().warn("\"{}\" took {} to answer \"{}\"", requests_.name, absl::FormatDuration(absl::Trunc(took, absl::Milliseconds(1))),
             call.method);
}

// ---- references ------------------------------------------------------------------------------------------------------------------------

void FacadeCore::ReleaseObject(uint64_t object) {
  if (ProxyServer* const own = ProxyServer::OfThisThread(environment_.get(), requests_.id)) return own->ReleaseHere(object);
  {
    MutexLock lock(mutex_);
    releases_.push_back(object);
  }
  SendReleases();
}

void FacadeCore::SendReleases() {
  std::vector<uint64_t> objects;
  {
    MutexLock lock(mutex_);
    objects.swap(releases_);
  }
  if (objects.empty() || !Open().ok()) return;
  ByteWriter to;
  to.Put(Request::kRelease).Put(static_cast<uint64_t>(objects.size()));
  for (const uint64_t object : objects) to.Put(object);
  absl::Status sent;
  {
    MutexLock lock(send_mutex_);
    sent = Send(to.bytes());
  }
  if (!absl::IsResourceExhausted(sent)) return;
  MutexLock lock(mutex_);  // with the next one, or after a call
  releases_.insert(releases_.end(), objects.begin(), objects.end());
}

// ---- what the templates of proxy.h call ------------------------------------------------------------------------------------------------

absl::StatusOr<Value> CallFacade(const FacadeSlot& slot, const MethodTable& table, std::string_view key, std::vector<Value> arguments,
                                 std::optional<Timeout> within) {
  if (slot.core == nullptr) {
    return FailedPrecondition(
        fmt::format("puma: facade \"{}\" reaches its object only where its runnable runs, from OnStart on", slot.name));
  }
  const Method* const method = table.FindKey(key);
  if (method == nullptr) return table.NotListed();
  return slot.core->CallObject({0, method->name, std::move(arguments), within.value_or(method->options.within), method->options.slow});
}

}  // namespace puma::internal
