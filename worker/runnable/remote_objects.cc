#include "worker/runnable/remote_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace puma {
namespace internal {
namespace {

thread_local ObjectTable* current = nullptr;

}  // namespace

// ---- what an interface lists -----------------------------------------------------------------------------------------------------------

const Method* MethodTable::FindKey(std::string_view key) const {
  const auto at = std::find_if(methods.begin(), methods.end(), [&](const Method& method) { return method.key == key; });
  return at == methods.end() ? nullptr : &*at;
}

const Method* MethodTable::FindName(std::string_view name) const {
  const auto at = std::find_if(methods.begin(), methods.end(), [&](const Method& method) { return method.name == name; });
  return at == methods.end() ? nullptr : &*at;
}

absl::Status MethodTable::NotListed() const {
  std::string names;
  for (const Method& method : methods) names += (names.empty() ? "" : ", ") + method.name;
  return absl::FailedPreconditionError(
      fmt::format("puma::Interface<{}> does not list this method; it lists: {}", interface, names.empty() ? "none" : names));
}

absl::Status NothingReturned(const MethodTable& table) {
  return absl::NotFoundError(fmt::format("the method has returned no {}: a null pointer", table.interface));
}

// ---- objects ---------------------------------------------------------------------------------------------------------------------------

Value ObjectTable::Keep(std::shared_ptr<void> object, const MethodTable& methods) {
  const uint64_t id = ++last_;
  entries_[id] = {std::move(object), &methods};
  return Value::Reference(methods.interface, std::make_shared<RemoteHandle>(id));
}

absl::StatusOr<Value> ObjectTable::Call(uint64_t object, std::string_view method, std::span<const Value> arguments) {
  const auto at = entries_.find(object);
  if (at == entries_.end()) return absl::NotFoundError("the object that this reference means does not exist any more");
  const Entry entry = at->second;  // the method may let go of it
  const Method* const listed = entry.methods->FindName(method);
  if (listed == nullptr) return absl::NotFoundError(fmt::format("{} has no method \"{}\"", entry.methods->interface, method));
  return listed->thunk(entry.object.get(), arguments);
}

void ObjectTable::Release(uint64_t object) { static_cast<void>(entries_.extract(object)); }

void ObjectTable::Clear() {
  while (!entries_.empty()) static_cast<void>(entries_.extract(entries_.begin()));
}

ObjectScope::ObjectScope(ObjectTable* table) : outer_(std::exchange(current, table)) {}
ObjectScope::~ObjectScope() { current = outer_; }

absl::StatusOr<Value> KeepForOthers(std::shared_ptr<void> object, const MethodTable& table) {
  if (current == nullptr) return FailedPrecondition("puma: a reference is returned to a caller by a runnable or by a proxy's object only");
  return current->Keep(std::move(object), table);
}

// ---- references ------------------------------------------------------------------------------------------------------------------------

void Attach(absl::StatusOr<Value>& answer, std::shared_ptr<ObjectLink> link) {
  if (!answer.ok() || answer->kind() != Value::Kind::kReference || answer->reference()->link() != nullptr) return;
  const uint64_t object = answer->reference()->object();
  *answer = Value::Reference("", std::make_shared<RemoteHandle>(object, std::move(link)));
}

absl::StatusOr<Value> CallReference(const std::shared_ptr<RemoteHandle>& object, const MethodTable& table, std::string_view key,
                                    std::vector<Value> arguments, std::optional<Timeout> within) {
  const Method* const method = table.FindKey(key);
  if (method == nullptr) return table.NotListed();
  return object->link()->CallObject(
      {object->object(), method->name, std::move(arguments), within.value_or(method->options.within), method->options.slow});
}

}  // namespace internal

Value Value::Reference(std::string type, std::shared_ptr<internal::RemoteHandle> object) {
  Value v;
  v.kind_ = Kind::kReference;
  v.type_ = std::move(type);
  v.reference_ = std::move(object);
  return v;
}

}  // namespace puma
