#ifndef PUMA_WORKER_PROXY_FACADE_CORE_H_
#define PUMA_WORKER_PROXY_FACADE_CORE_H_
// One way to a proxy: a publisher of its requests, and a buffer of answers of one's own. It is opened by the first call. Callers share it:
// the first who waits reads for all.
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/environment/ends.h"
#include "worker/environment/environment_core.h"
#include "worker/platform/mutex.h"
#include "worker/runnable/remote_objects.h"

namespace puma::internal {

// Thread-safe.
class FacadeCore final : public ObjectLink, public std::enable_shared_from_this<FacadeCore> {
 public:
  // `requests`: the proxy's buffer, named as the proxy.
  FacadeCore(std::shared_ptr<EnvironmentCore> environment, BufferFacts requests);
  explicit FacadeCore(absl::Status broken);  // of a proxy that can't serve
  ~FacadeCore() override;
  const absl::Status& status() const { return broken_; }
  const BufferFacts& requests() const { return requests_; }
  const std::shared_ptr<EnvironmentCore>& environment() const { return environment_; }

  absl::StatusOr<Value> CallObject(ObjectCall call) override;  // object 0: the proxy's own
  void ReleaseObject(uint64_t object) override;

 private:
  using Answer = std::optional<absl::StatusOr<Value>>;
  absl::Status Open() PUMA_EXCLUDES(send_mutex_);
  absl::Status OpenAnswers() PUMA_REQUIRES(send_mutex_);
  absl::Status Send(const std::string& bytes) PUMA_REQUIRES(send_mutex_);  // RESOURCE_EXHAUSTED: no room now
  absl::Status SendWhenThereIsRoom(const std::string& bytes, absl::Time deadline) PUMA_EXCLUDES(send_mutex_);
  absl::Status SendCall(uint64_t id, const ObjectCall& call, absl::Time deadline) PUMA_EXCLUDES(send_mutex_);
  void SendReleases() PUMA_EXCLUDES(send_mutex_, mutex_);
  absl::StatusOr<Value> Await(uint64_t id, const ObjectCall& call, absl::Time deadline) PUMA_EXCLUDES(mutex_);
  void Read(absl::Duration at_most) PUMA_EXCLUDES(mutex_);
  void OnAnswer(Bytes bytes) PUMA_EXCLUDES(mutex_);
  void WarnIfSlow(const ObjectCall& call, int64_t begin_ns) PUMA_EXCLUDES(mutex_);
  absl::Status Gone() const;

  const std::shared_ptr<EnvironmentCore> environment_;
  const BufferFacts requests_;
  const absl::Status broken_;
  std::atomic<uint64_t> last_call_{0};

  Mutex send_mutex_;
  std::shared_ptr<PublisherEnd> publisher_ PUMA_GUARDED_BY(send_mutex_);  // null: not open yet
  BufferFacts answers_ PUMA_GUARDED_BY(send_mutex_);

  // Set once by Open; whoever reads uses them alone.
  std::shared_ptr<PublisherEnd> opened_;
  const std::shared_ptr<EventCore> event_ = std::make_shared<EventCore>();
  std::shared_ptr<SubscriptionCore> subscription_;

  Mutex mutex_;
  CondVar read_;
  bool reading_ PUMA_GUARDED_BY(mutex_) = false, gone_ PUMA_GUARDED_BY(mutex_) = false;
  std::map<uint64_t, Answer> waiting_ PUMA_GUARDED_BY(mutex_);
  std::vector<uint64_t> releases_ PUMA_GUARDED_BY(mutex_);      // not yet sent
  std::map<std::string, bool> warned_ PUMA_GUARDED_BY(mutex_);  // methods that were slow once
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_PROXY_FACADE_CORE_H_
