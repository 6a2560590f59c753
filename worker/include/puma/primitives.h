#ifndef PUMA_PRIMITIVES_H_
#define PUMA_PRIMITIVES_H_
// What the threads of a program, or its processes, wait for, hold and count together. An environment makes them by name (CreateLock, ...);
// its children find them by that name (OpenLock, ...). The same with threads and with processes.
//
// All are cheap handles, copied freely, and thread-safe. A name is known as long as handles that come from Create live; handles that are
// open stay usable. What could not be made or found meets you at the first use: as the status that it returns, else as a puma::Exception.
//
// Timeouts are kNoWait, a duration above zero, or kInfinite; others are INVALID_ARGUMENT. A wait that ends for nothing else ends with
// DEADLINE_EXCEEDED, and never early.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "puma/cell.h"
#include "puma/status.h"

namespace puma {

class Environment;
namespace internal {
class PrimitiveCore;
std::atomic<uint64_t>* CellIn(PrimitiveCore& core);  // null: it could not be made or found
[[noreturn]] void RefuseUse(const PrimitiveCore& core);
}  // namespace internal

class Primitive {
 public:
  const std::string& name() const;
  absl::Status status() const;  // why it could not be made or found

 protected:
  explicit Primitive(std::shared_ptr<internal::PrimitiveCore> core) : core_(std::move(core)) {}
  std::shared_ptr<internal::PrimitiveCore> core_;
};

// Sticky: each Set ends one Wait, also a later one; set twice is set once. (To sleep on buffers: puma::Event.)
class AutoResetEvent : public Primitive {
 public:
  void Set();
  absl::Status Wait(Timeout timeout = kInfinite);

 private:
  friend class Environment;
  using Primitive::Primitive;
};

// Ends all waits from Set until Reset. Who waits when it is set returns, even if it is reset at once.
class ManualEvent : public Primitive {
 public:
  void Set();
  void Reset();
  bool IsSet() const;
  absl::Status Wait(Timeout timeout = kInfinite);

 private:
  friend class Environment;
  using Primitive::Primitive;
};

// A scope that holds a lock. Left by the thread that has made it, which can't hold the same lock twice.
class [[nodiscard]] Locked {
 public:
  Locked(Locked&&) noexcept = default;
  Locked& operator=(Locked&&) = delete;
  ~Locked() { Release(); }
  // OK: held. ABORTED: held, but who held it before has died with it: what it protects may be half done; told once.
  // DEADLINE_EXCEEDED, FAILED_PRECONDITION (this thread holds it already): not held.
  const absl::Status& status() const { return status_; }
  bool held() const { return core_ != nullptr; }
  void Release();  // before the end of the scope

 protected:
  friend class Lock;
  friend class Condition;
  template <class T>
  friend class Atomic;
  Locked(const std::shared_ptr<internal::PrimitiveCore>& core, Timeout timeout);
  std::shared_ptr<internal::PrimitiveCore> core_;  // null: not held
  absl::Status status_;
};

class Lock : public Primitive {
 public:
  Locked Acquire(Timeout timeout = kInfinite) { return Locked(core_, timeout); }

 private:
  friend class Environment;
  using Primitive::Primitive;
};

// A condition's lock, held. Its methods throw puma::Exception if it is not held.
class [[nodiscard]] LockedCondition : public Locked {
 public:
  // Releases the lock, waits to be notified, acquires the lock again, however long that takes. OK: notified. ABORTED: as Locked::status.
  // RESOURCE_EXHAUSTED: too many wait (256).
  absl::Status Wait(Timeout timeout = kInfinite);
  // Until `predicate`, which is asked with the lock held: at the beginning, after each notification, and at the deadline.
  absl::Status WaitUntil(absl::FunctionRef<bool()> predicate, Timeout timeout = kInfinite);
  void NotifyOne();  // who has waited longest; nobody waits: nothing
  void NotifyAll();

 private:
  friend class Condition;
  using Locked::Locked;
};

// To wait until something that a lock protects has changed.
class Condition : public Primitive {
 public:
  LockedCondition Acquire(Timeout timeout = kInfinite) { return LockedCondition(core_, timeout); }

 private:
  friend class Environment;
  using Primitive::Primitive;
};

// A value of at most 8 bytes in one lock-free cell. For more than one operation at a time it has a lock, which only those respect who
// acquire it: { auto held = count.Acquire(); count.store(2 * count.load()); }
template <class T>
class Atomic : public Primitive, public internal::CellOperations<Atomic<T>, T> {
 public:
  Locked Acquire(Timeout timeout = kInfinite) { return Locked(this->core_, timeout); }

 private:
  friend class Environment;
  friend class internal::CellOperations<Atomic<T>, T>;
  explicit Atomic(std::shared_ptr<internal::PrimitiveCore> core) : Primitive(std::move(core)), cell_(internal::CellIn(*core_)) {
    static_assert(internal::FitsCell<T>, "puma: Atomic<T> is one lock-free cell: T is trivially copyable and has at most 8 bytes");
  }
  std::atomic<uint64_t>* cell() const {
    if (cell_ == nullptr) [[unlikely]]
      internal::RefuseUse(*core_);
    return cell_;
  }
  std::atomic<uint64_t>* cell_;
};
using SharedInt = Atomic<int64_t>;
using SharedBool = Atomic<bool>;

}  // namespace puma
#endif  // PUMA_PRIMITIVES_H_
