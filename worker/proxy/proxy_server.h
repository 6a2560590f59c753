#ifndef PUMA_WORKER_PROXY_PROXY_SERVER_H_
#define PUMA_WORKER_PROXY_PROXY_SERVER_H_
// The thread of a proxy: takes requests one after the other, calls the object, answers each caller in the caller's own buffer.
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/environment/ends.h"
#include "worker/environment/environment_core.h"
#include "worker/platform/bytes.h"
#include "worker/platform/mutex.h"
#include "worker/runnable/remote_objects.h"

namespace puma::internal {

class ProxyServer {
 public:
  using Make = std::function<std::shared_ptr<void>()>;  // on the proxy's thread
  ProxyServer(std::shared_ptr<EnvironmentCore> environment, std::string name, const MethodTable& table, Make make);
  ~ProxyServer() { Close(); }
  void Close() PUMA_EXCLUDES(mutex_);  // also twice
  absl::Status status() const PUMA_EXCLUDES(mutex_);
  const std::shared_ptr<FacadeSlot>& facade() const { return facade_; }

  // The proxy of this buffer, if the calling thread is its own; else null.
  static ProxyServer* OfThisThread(const EnvironmentCore* environment, uint64_t requests);
  absl::StatusOr<Value> CallHere(const ObjectCall& call);
  void ReleaseHere(uint64_t object);

 private:
  struct Caller {
    std::shared_ptr<PublisherEnd> answers;
    std::set<uint64_t> objects;  // that it refers to
    bool stuck = false;          // it does not read
  };
  absl::Status Start(const std::string& type);
  void Run();
  void MakeObject();
  void Serve(const Received& received);
  void Meet(uint64_t lane, ByteReader& from);
  void ServeCall(Caller& caller, ByteReader& from);
  absl::StatusOr<Value> CallObject(uint64_t object, const std::string& method, std::span<const Value> arguments);
  void Answer(Caller& caller, uint64_t call, const absl::StatusOr<Value>& result);
  static absl::Status Write(Caller& caller, const std::string& bytes);
  void Release(Caller& caller, uint64_t object);
  void DropTheGone();

  const std::shared_ptr<EnvironmentCore> environment_;
  const std::string name_;
  const MethodTable& table_;
  Make make_;
  std::shared_ptr<FacadeSlot> facade_;
  BufferFacts requests_;
  const std::shared_ptr<EventCore> event_ = std::make_shared<EventCore>();
  std::shared_ptr<SubscriptionCore> subscription_;
  std::atomic<bool> stop_{false}, look_for_the_gone_{false};

  // Of its own thread.
  std::shared_ptr<void> object_;
  absl::Status made_;  // why there is no object
  ObjectTable objects_;
  std::set<uint64_t> here_;             // those that this thread's own calls have returned
  std::map<uint64_t, Caller> callers_;  // by the lane of their requests

  mutable Mutex mutex_;
  absl::Status status_ PUMA_GUARDED_BY(mutex_);
  bool closed_ PUMA_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_PROXY_PROXY_SERVER_H_
