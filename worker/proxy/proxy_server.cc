#include "worker/proxy/proxy_server.h"

#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include "worker/environment/error_text.h"
#include "worker/logging/crash_handler.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/system.h"
#include "worker/proxy/facade_core.h"
#include "worker/proxy/requests.h"
#include "worker/runnable/door.h"
#include "worker/runnable/value_bytes.h"

namespace puma::internal {
namespace {

constexpr absl::Duration kReadAtMost = absl::Seconds(1);  // for a caller to make room for its answer
constexpr size_t kErrorText = 64 << 10;
thread_local ProxyServer* of_this_thread = nullptr;

}  // namespace

// ---- from other threads ----------------------------------------------------------------------------------------------------------------

ProxyServer::ProxyServer(std::shared_ptr<EnvironmentCore> environment, std::string name, const MethodTable& table, Make make)
    : environment_(std::move(environment)), name_(std::move(name)), table_(table), make_(std::move(make)) {
  absl::Status status = Start(table.interface);
  {
    MutexLock lock(mutex_);
    if (!status.ok()) status_ = status;
  }
  facade_ = std::make_shared<FacadeSlot>(FacadeSlot{name_, table.interface, nullptr});
  facade_->core = status.ok() ? std::make_shared<FacadeCore>(environment_, requests_) : std::make_shared<FacadeCore>(std::move(status));
}

absl::Status ProxyServer::Start(const std::string& type) {
  if (name_.empty()) return absl::InvalidArgumentError("a proxy needs a name");
  // A namespace of its own: other buffers may be named alike.
  auto made =
      environment_->link().CreateBuffer(environment_->NewMaker(), name_, {.name = fmt::format("requests to {}", type)}, RequestBuffer());
  if (!made.ok()) return made.status();
  requests_ = *std::move(made);
  subscription_ = environment_->ends().OpenSubscription(requests_, TypeInfo::Of<std::string>(), event_, {}, environment_);
  if (!subscription_->status().ok()) return subscription_->status();
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError(fmt::format("proxy \"{}\": no thread can be started: {}", name_, e.what()));
  }
  return absl::OkStatus();
}

absl::Status ProxyServer::status() const {
  MutexLock lock(mutex_);
  return status_;
}

void ProxyServer::Close() {
  {
    MutexLock lock(mutex_);
    if (std::exchange(closed_, true)) return;
  }
  stop_.store(true, std::memory_order_release);
  event_->Set();
  if (thread_.joinable()) thread_.join();
  if (subscription_ != nullptr) subscription_->End();
  if (requests_.id != 0) environment_->link().DestroyBuffer(requests_.id).IgnoreError();  // which tells all who have facades
}

ProxyServer* ProxyServer::OfThisThread(const EnvironmentCore* environment, uint64_t requests) {
  ProxyServer* const proxy = of_this_thread;
  return proxy != nullptr && proxy->environment_.get() == environment && proxy->requests_.id == requests ? proxy : nullptr;
}

// ---- its own thread --------------------------------------------------------------------------------------------------------------------

void ProxyServer::Run() {
  NameThread(name_);
  const logging::AlternateStack stack;
  const Logger logger(logging::InternName(name_), &logging::ProcessLevel());
  const logging::ThreadScope scope(logger, 0);
  const ObjectScope objects(&objects_);
  of_this_thread = this;
  MakeObject();
  while (!stop_.load(std::memory_order_acquire)) {
    event_->Wait(kInfinite).IgnoreError();
    if (look_for_the_gone_.exchange(false, std::memory_order_acq_rel)) DropTheGone();
    const auto serve = [this](const Received& received) {
      Serve(received);
      return absl::OkStatus();
    };
    // One at a time: its slot is free at once, and a stop is seen.
    auto taken = subscription_->Take(serve, nullptr, 1);
    if (!taken.ok()) logger.error("a request can't be read: {}", std::string(taken.status().message()));
  }
  for (auto& [lane, caller] : callers_) caller.answers->WhenRefused(nullptr);
  callers_.clear();
  ThroughDoor([this] {
    objects_.Clear();
    object_ = nullptr;
    return absl::OkStatus();
  }).IgnoreError();
  of_this_thread = nullptr;
}

void ProxyServer::MakeObject() {
  made_ = ThroughDoor([this] {
    object_ = make_();
    return object_ != nullptr ? absl::OkStatus() : absl::InvalidArgumentError(fmt::format("proxy \"{}\": there is no object", name_));
  });
  make_ = nullptr;
  if (made_.ok()) return;
  log().error("it has no object: {}", Explain(made_));
  MutexLock lock(mutex_);
  status_ = made_;
}

void ProxyServer::Serve(const Received& received) {
  ByteReader from({reinterpret_cast<const char*>(received.bytes.data()), received.bytes.size()});
  const auto request = from.Get<Request>();
  if (request == Request::kHello) return Meet(received.message.lane, from);
  const auto at = callers_.find(received.message.lane);
  if (at == callers_.end()) return;  // it has gone
  if (request == Request::kCall) return ServeCall(at->second, from);
  for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) Release(at->second, from.Get<uint64_t>());
}

void ProxyServer::Meet(uint64_t lane, ByteReader& from) {
  const BufferFacts answers = UnpackFacts(from);
  Caller caller{environment_->ends().OpenPublisher(answers, TypeInfo::Of<std::string>(), environment_), {}};
  if (!caller.answers->output().status().ok()) return;  // it has gone already
  caller.answers->WhenRefused([this] {
    look_for_the_gone_.store(true, std::memory_order_release);
    event_->Set();
  });
  callers_.emplace(lane, std::move(caller));
}

void ProxyServer::DropTheGone() {
  for (auto at = callers_.begin(); at != callers_.end();) {
    Caller& caller = at->second;
    if (caller.answers->output().status().ok()) {
      ++at;
      continue;
    }
    while (!caller.objects.empty()) Release(caller, *caller.objects.begin());
    caller.answers->WhenRefused(nullptr);
    at = callers_.erase(at);
  }
}

void ProxyServer::ServeCall(Caller& caller, ByteReader& from) {
  const auto id = from.Get<uint64_t>();
  const auto deadline_ns = from.Get<int64_t>();
  const auto object = from.Get<uint64_t>();
  const std::string method(from.GetText());
  std::vector<Value> arguments;
  for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) arguments.push_back(UnpackValue(from));
  if (deadline_ns != 0 && MonotonicNanos() >= deadline_ns) return;  // its caller has given up
  const absl::StatusOr<Value> result = CallObject(object, method, arguments);
  if (result.ok() && result->kind() == Value::Kind::kReference) caller.objects.insert(result->reference()->object());
  Answer(caller, id, result);
}

absl::StatusOr<Value> ProxyServer::CallObject(uint64_t object, const std::string& method, std::span<const Value> arguments) {
  absl::StatusOr<Value> result = ThroughDoor([&]() -> absl::StatusOr<Value> {
    if (!made_.ok()) return made_;
    if (object != 0) return objects_.Call(object, method, arguments);
    const Method* const listed = table_.FindName(method);
    if (listed == nullptr) return table_.NotListed();
    return listed->thunk(object_.get(), arguments);
  });
  if (result.ok()) return result;
  Error error = ErrorOf(result.status());
  if (error.path.empty() || error.path.back() != name_) error.path.push_back(name_);
  return ToStatus(error);
}

void ProxyServer::Answer(Caller& caller, uint64_t call, const absl::StatusOr<Value>& result) {
  ByteWriter to;
  if (result.ok()) PackValue(*result, to.Put(call).Put(true));
  if (!result.ok() || to.bytes().size() > kRequestBytes) {
    const absl::Status error = result.ok()
                                   ? absl::ResourceExhaustedError(fmt::format("a result of {} bytes; {} is the most, a buffer carries more",
                                                                              to.bytes().size(), kRequestBytes))
                                   : result.status();
    to = ByteWriter();
    to.Put(call).Put(false).PutText(TextOfError(error, kErrorText));
  }
  Write(caller, to.bytes()).IgnoreError();
}

absl::Status ProxyServer::Write(Caller& caller, const std::string& bytes) {
  OutputCore& output = caller.answers->output();
  auto room = output.Reserve(bytes.size(), caller.stuck ? kNoWait : Timeout(kReadAtMost), OnFull::kError);
  const bool was_stuck = std::exchange(caller.stuck, absl::IsResourceExhausted(room.status()));
  if (caller.stuck && !was_stuck) log().error("an answer is lost: the process that asked does not read");
  if (!room.ok()) return room.status();
  std::memcpy(room->data(), bytes.data(), bytes.size());
  return output.Commit();
}

void ProxyServer::Release(Caller& caller, uint64_t object) {
  if (caller.objects.erase(object) + here_.erase(object) != 0) ReleaseHere(object);
}

absl::StatusOr<Value> ProxyServer::CallHere(const ObjectCall& call) {
  auto result = CallObject(call.object, call.method, call.arguments);
  if (result.ok() && result->kind() == Value::Kind::kReference) here_.insert(result->reference()->object());
  return result;
}

void ProxyServer::ReleaseHere(uint64_t object) {
  here_.erase(object);
  ThroughDoor([&] {
    objects_.Release(object);
    return absl::OkStatus();
  }).IgnoreError();
}

// ---- what the templates of proxy.h call ------------------------------------------------------------------------------------------------

std::shared_ptr<ProxyServer> MakeProxy(Environment& environment, std::string_view name, const MethodTable& table,
                                       std::function<std::shared_ptr<void>()> make) {
  return std::make_shared<ProxyServer>(environment.core(), std::string(name), table, std::move(make));
}
std::shared_ptr<FacadeSlot> FacadeOf(ProxyServer& proxy) { return proxy.facade(); }
absl::Status StatusOf(const ProxyServer& proxy) { return proxy.status(); }
void Close(ProxyServer& proxy) { proxy.Close(); }

}  // namespace puma::internal
