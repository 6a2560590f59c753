#ifndef PUMA_WORKER_RUNNABLE_REMOTE_OBJECTS_H_
#define PUMA_WORKER_RUNNABLE_REMOTE_OBJECTS_H_
// Objects of one scope, a runnable's or a proxy's, that others refer to; and what a reference holds.
#include <puma/proxy.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace puma::internal {

struct ObjectCall {
  uint64_t object = 0;
  std::string method;
  std::vector<Value> arguments;
  Timeout within = kInfinite;
  absl::Duration slow = absl::Seconds(1);
};

// The way from a reference to its object. Thread-safe.
class ObjectLink {
 public:
  virtual ~ObjectLink() = default;
  virtual absl::StatusOr<Value> CallObject(ObjectCall call) = 0;
  virtual void ReleaseObject(uint64_t object) = 0;  // nobody refers to it any more; never blocks
};

// In the object's own scope there is no link, and nothing happens when it goes.
class RemoteHandle {
 public:
  explicit RemoteHandle(uint64_t object, std::shared_ptr<ObjectLink> link = nullptr) : object_(object), link_(std::move(link)) {}
  ~RemoteHandle() {
    if (link_ != nullptr) link_->ReleaseObject(object_);
  }
  RemoteHandle(const RemoteHandle&) = delete;
  RemoteHandle& operator=(const RemoteHandle&) = delete;
  uint64_t object() const { return object_; }
  const std::shared_ptr<ObjectLink>& link() const { return link_; }

 private:
  const uint64_t object_;
  const std::shared_ptr<ObjectLink> link_;
};

// An answer that has come by this link: a reference in it is one from now on.
void Attach(absl::StatusOr<Value>& answer, std::shared_ptr<ObjectLink> link);

// Only its scope's thread uses it.
class ObjectTable {
 public:
  Value Keep(std::shared_ptr<void> object, const MethodTable& methods);
  // Not through a door: who calls has one. NOT_FOUND: no such object or method.
  absl::StatusOr<Value> Call(uint64_t object, std::string_view method, std::span<const Value> arguments);
  void Release(uint64_t object);  // which may run its destructor
  void Clear();
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::shared_ptr<void> object;
    const MethodTable* methods;
  };
  std::map<uint64_t, Entry> entries_;
  uint64_t last_ = 0;
};

// Where results are kept that this thread returns meanwhile.
class ObjectScope {
 public:
  explicit ObjectScope(ObjectTable* table);
  ~ObjectScope();
  ObjectScope(const ObjectScope&) = delete;
  ObjectScope& operator=(const ObjectScope&) = delete;

 private:
  ObjectTable* const outer_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_REMOTE_OBJECTS_H_
