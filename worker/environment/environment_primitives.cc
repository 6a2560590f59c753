// Primitives by name.
#include <fmt/format.h>
#include <puma/environment.h>

#include <utility>

#include "worker/environment/environment_core.h"
#include "worker/primitives/primitive_core.h"

namespace puma {
namespace {

using internal::PrimitiveCore;

struct PageScope {
  ~PageScope() { environment->link().DropPage(number); }
  std::shared_ptr<internal::EnvironmentCore> environment;
  uint64_t number;
};

constexpr std::string_view kAutoResetEvent = "auto-reset event";
constexpr std::string_view kManualEvent = "manual event";
constexpr std::string_view kLock = "lock";
constexpr std::string_view kCondition = "condition";

}  // namespace

std::shared_ptr<PrimitiveCore> Environment::MakePrimitive(std::string_view name, std::string_view type, uint64_t cell) {
  const bool shared = core_->kind() == internal::Kind::kProcesses;
  auto page = internal::PrimitivePage::Create(shared, type == kCondition ? internal::PrimitivePage::kWaiters : 0, cell);
  if (!page.ok()) return std::make_shared<PrimitiveCore>(std::string(name), page.status());
  auto kept = core_->link().KeepPage(maker_, name, {std::string(type), *page});
  if (!kept.ok()) return std::make_shared<PrimitiveCore>(std::string(name), kept.status());
  std::shared_ptr<PageScope> scope(new PageScope{core_, *kept});
  return std::make_shared<PrimitiveCore>(std::string(name), *std::move(page), std::move(scope));
}

std::shared_ptr<PrimitiveCore> Environment::FindPrimitive(std::string_view name, std::string_view type) {
  auto found = core_->link().FindPage(maker_, name);
  if (!found.ok()) return std::make_shared<PrimitiveCore>(std::string(name), found.status());
  if (found->type == type) return std::make_shared<PrimitiveCore>(std::string(name), std::move(found->page), nullptr);
  return std::make_shared<PrimitiveCore>(
      std::string(name),
      absl::InvalidArgumentError(fmt::format("\"{}\" is a primitive of another kind: {}, not {}", name, found->type, type)));
}

AutoResetEvent Environment::CreateAutoResetEvent(std::string_view name) { return AutoResetEvent(MakePrimitive(name, kAutoResetEvent, 0)); }
AutoResetEvent Environment::OpenAutoResetEvent(std::string_view name) { return AutoResetEvent(FindPrimitive(name, kAutoResetEvent)); }
ManualEvent Environment::CreateManualEvent(std::string_view name) { return ManualEvent(MakePrimitive(name, kManualEvent, 0)); }
ManualEvent Environment::OpenManualEvent(std::string_view name) { return ManualEvent(FindPrimitive(name, kManualEvent)); }
Lock Environment::CreateLock(std::string_view name) { return Lock(MakePrimitive(name, kLock, 0)); }
Lock Environment::OpenLock(std::string_view name) { return Lock(FindPrimitive(name, kLock)); }
Condition Environment::CreateCondition(std::string_view name) { return Condition(MakePrimitive(name, kCondition, 0)); }
Condition Environment::OpenCondition(std::string_view name) { return Condition(FindPrimitive(name, kCondition)); }

}  // namespace puma
