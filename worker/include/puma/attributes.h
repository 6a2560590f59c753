#ifndef PUMA_ATTRIBUTES_H_
#define PUMA_ATTRIBUTES_H_
// Members with a meaning in each half of a runnable: the parent's, in who has made its runner (Runner::parent), and the child's, where it
// runs. The halves are two objects, with threads as with processes; a plain member is simply one per half. Each half is used by one thread
// at a time; Shared by any.
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "puma/cell.h"
#include "puma/runnable.h"

namespace puma {

// An attribute was used in the wrong half: a bug in the program. It ends at the nearest door, as an error of the runnable or of its caller;
// in the parent it is thrown.
struct WrongScope : std::logic_error {
  using std::logic_error::logic_error;
};

// Made in a runnable's constructor, with a name that its runnable gives once: (setup, "name", ...). A member object with attributes of its
// own hands setup on, and names them "member.name".
class AttributeBase {
 public:
  AttributeBase(const AttributeBase&) = delete;
  AttributeBase& operator=(const AttributeBase&) = delete;
  const std::string& name() const { return name_; }

 protected:
  enum Allowed : uint8_t { kParentHalf = 1, kChildHalf = 2, kBothHalves = 3 };
  AttributeBase(Setup& setup, std::string_view name, Allowed allowed);
  virtual ~AttributeBase() = default;
  void Check() const {  // throws WrongScope
    if ((allowed_ & here_) == 0) [[unlikely]]
      Refuse();
  }
  bool in_child() const { return here_ == kChildHalf; }
  [[noreturn]] void Refuse() const;

 private:
  friend class internal::RunnableCore;
  // How the halves meet when the runner starts, all within Start.
  virtual absl::Status MayStart(bool /*processes*/) const { return absl::OkStatus(); }  // asked in the parent's half
  virtual std::string Save() const { return ""; }                                       // what the child's half is given
  virtual absl::Status Load(std::string_view /*saved*/) { return absl::OkStatus(); }    // in the child's half, before OnStart
  virtual void Join(AttributeBase& /*parent*/) {}                                       // both halves are in one process
  virtual bool has_cell() const { return false; }
  virtual void Bind(std::atomic<uint64_t>* /*cell*/, bool /*keep*/) {}  // a word that both halves see; keep: its value counts

  const std::string name_;
  const uint8_t here_;
  const Allowed allowed_;
};

namespace internal {

// Without a codec the class has said so: nothing more of it here.
template <class T>
std::string Encoded(const T& value) {
  std::string bytes;
  if constexpr (Encodable<T>) {
    bytes.resize(Codec<T>::Size(value));
    Codec<T>::Encode(value, std::as_writable_bytes(std::span(bytes)));
  }
  return bytes;
}
template <class T, class Take>
absl::Status Decoded(std::string_view bytes, Take take) {
  if constexpr (Encodable<T>) {
    auto value = Codec<T>::Decode(std::as_bytes(std::span(bytes)));
    if (!value.ok()) return value.status();
    take(*std::move(value));
  }
  return absl::OkStatus();
}

}  // namespace internal

// What the next four have in common: a value, used like a pointer to it.
template <class T>
class HeldAttribute : public AttributeBase {
 public:
  T& operator*() { return Checked(); }
  const T& operator*() const { return const_cast<HeldAttribute*>(this)->Checked(); }
  T* operator->() { return &Checked(); }
  const T* operator->() const { return &const_cast<HeldAttribute*>(this)->Checked(); }

 protected:
  HeldAttribute(Setup& setup, std::string_view name, Allowed allowed) : AttributeBase(setup, name, allowed) {}
  T& Checked() {
    Check();
    if (!value_) [[unlikely]]  // the child's own, while its type is only described
      Refuse();
    return *value_;
  }
  std::optional<T> value_;
};

// The child's half starts with a copy of the parent's value, taken within Start; apart afterwards. Under the host: its initial value.
template <class T>
class Copied final : public HeldAttribute<T> {
  static_assert(Encodable<T>, "puma: Copied<T> needs a puma::Codec<T>, with threads as well; else use a plain member or ScopeSpecific");

 public:
  Copied(Setup& setup, std::string_view name, T initial = T()) : HeldAttribute<T>(setup, name, AttributeBase::kBothHalves) {
    this->value_.emplace(std::move(initial));
  }
  Copied& operator=(T value) {
    this->Checked() = std::move(value);
    return *this;
  }

 private:
  std::string Save() const override { return internal::Encoded<T>(*this->value_); }
  absl::Status Load(std::string_view saved) override {
    return internal::Decoded<T>(saved, [this](T&& value) { this->value_.emplace(std::move(value)); });
  }
};

// The parent's own. Never accessible in the child's half, so never under the host.
template <class T>
class ParentOnly final : public HeldAttribute<T> {
 public:
  ParentOnly(Setup& setup, std::string_view name, T initial = T()) : HeldAttribute<T>(setup, name, AttributeBase::kParentHalf) {
    this->value_.emplace(std::move(initial));
  }
  ParentOnly& operator=(T value) {
    this->Checked() = std::move(value);
    return *this;
  }
};

// Made in the child's half only, by a factory, on the thread that runs it; or from a value.
template <class T>
class ChildOnly final : public HeldAttribute<T> {
 public:
  template <class F>
  requires std::is_invocable_r_v<T, F> ChildOnly(Setup& setup, std::string_view name, F make)
      : HeldAttribute<T>(setup, name, AttributeBase::kChildHalf) {
    if (this->in_child()) this->value_.emplace(make());
  }
  ChildOnly(Setup& setup, std::string_view name, T value) : HeldAttribute<T>(setup, name, AttributeBase::kChildHalf) {
    if (this->in_child()) this->value_.emplace(std::move(value));
  }
  ChildOnly& operator=(T value) {
    this->Checked() = std::move(value);
    return *this;
  }
};

// The parent's half has the value, the child's what the factory makes there: for what can't be copied. Assigning changes one half.
template <class T>
class ScopeSpecific final : public HeldAttribute<T> {
 public:
  template <class F>
  requires std::is_invocable_r_v<T, F> ScopeSpecific(Setup& setup, std::string_view name, T parent, F child)
      : HeldAttribute<T>(setup, name, AttributeBase::kBothHalves) {
    if (this->in_child()) {
      this->value_.emplace(child());
    } else {
      this->value_.emplace(std::move(parent));
    }
  }
  ScopeSpecific& operator=(T value) {
    this->Checked() = std::move(value);
    return *this;
  }
};

// One lock-free cell that both halves see, from Start on, in one process or two. Thread-safe. Under the host: the child's own.
template <class T>
class Shared final : public AttributeBase, public internal::CellOperations<Shared<T>, T> {
  static_assert(internal::FitsCell<T>, "puma: Shared<T> is one lock-free cell of at most 8 bytes; send bigger things through a port");

 public:
  Shared(Setup& setup, std::string_view name, T initial = T())
      : AttributeBase(setup, name, kBothHalves), own_(Shared::Word(initial)), cell_(&own_) {}

 private:
  friend class internal::CellOperations<Shared<T>, T>;
  std::atomic<uint64_t>* cell() const { return cell_.load(std::memory_order_acquire); }
  void Join(AttributeBase& parent) override { cell_.store(static_cast<Shared&>(parent).cell(), std::memory_order_release); }
  bool has_cell() const override { return true; }
  void Bind(std::atomic<uint64_t>* to, bool keep) override {
    if (!keep) to->store(cell()->load(std::memory_order_acquire), std::memory_order_release);
    cell_.store(to, std::memory_order_release);
  }
  std::atomic<uint64_t> own_;
  std::atomic<std::atomic<uint64_t>*> cell_;
};

enum class InThread { kShared, kCopied, kNotAllowed };
enum class InProcess { kCopied, kNull, kNotAllowed };
// An object with its meaning between threads and between processes. Null in a child process with kNull. Not allowed: Start refuses. Under
// the host: the process column; copied is its initial value there.
template <class T, InThread kThread, InProcess kProcess>
class Managed final : public AttributeBase {
  static_assert(kProcess != InProcess::kCopied || Encodable<T>, "puma: Managed<T, ..., InProcess::kCopied> needs a puma::Codec<T>");
  static_assert(kThread != InThread::kCopied || std::is_copy_constructible_v<T>,
                "puma: Managed<T, InThread::kCopied, ...> needs a copyable T");

 public:
  Managed(Setup& setup, std::string_view name, std::shared_ptr<T> value)
      : AttributeBase(setup, name, kBothHalves), value_(in_child() && kProcess == InProcess::kNull ? nullptr : std::move(value)) {}
  Managed& operator=(std::shared_ptr<T> value) {
    value_ = std::move(value);
    return *this;
  }
  T* get() const { return value_.get(); }
  T* operator->() const { return value_.get(); }
  T& operator*() const { return *value_; }

 private:
  absl::Status MayStart(bool processes) const override {
    if (processes ? kProcess != InProcess::kNotAllowed : kThread != InThread::kNotAllowed) return absl::OkStatus();
    return absl::FailedPreconditionError("it may not be shared with a " + std::string(processes ? "process" : "thread"));
  }
  std::string Save() const override {
    if constexpr (kProcess == InProcess::kCopied) return value_ == nullptr ? "" : "1" + internal::Encoded<T>(*value_);
    return "";
  }
  absl::Status Load(std::string_view saved) override {
    if constexpr (kProcess == InProcess::kCopied) {
      value_ = nullptr;
      if (saved.empty()) return absl::OkStatus();
      return internal::Decoded<T>(saved.substr(1), [this](T&& value) { value_ = std::make_shared<T>(std::move(value)); });
    } else {
      return absl::OkStatus();
    }
  }
  void Join(AttributeBase& parent) override {
    const std::shared_ptr<T>& theirs = static_cast<Managed&>(parent).value_;
    if constexpr (kThread == InThread::kShared) value_ = theirs;
    if constexpr (kThread == InThread::kCopied && std::is_copy_constructible_v<T>)
      value_ = theirs == nullptr ? nullptr : std::make_shared<T>(*theirs);
  }
  std::shared_ptr<T> value_;
};

}  // namespace puma
#endif  // PUMA_ATTRIBUTES_H_
