#include "worker/runner/run_plan.h"

#include <utility>

#include "worker/environment/code_address.h"
#include "worker/environment/facts_bytes.h"
#include "worker/platform/bytes.h"

namespace puma::runner {
namespace {

void PackWires(const std::vector<Wire>& wires, ByteWriter& to) {
  to.Put(static_cast<uint64_t>(wires.size()));
  for (const Wire& wire : wires) {
    to.PutText(wire.port).Put(wire.seat);
    internal::PackFacts(wire.buffer, to);
  }
}

std::vector<Wire> UnpackWires(ByteReader& from) {
  std::vector<Wire> wires;
  for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) {
    Wire& wire = wires.emplace_back();
    wire.port = from.GetText();
    wire.seat = from.Get<uint64_t>();
    wire.buffer = internal::UnpackFacts(from);
  }
  return wires;
}

}  // namespace

absl::StatusOr<std::string> Pack(const RunPlan& plan) {
  auto address = internal::AddressOf(reinterpret_cast<const void*>(plan.factory));
  if (!address.ok()) return address.status();
  ByteWriter to;
  to.PutText(plan.name).PutText(address->object).PutText(address->build_id).Put(address->offset);
  to.Put(static_cast<uint64_t>(plan.params.size()));
  for (const auto& [name, json] : plan.params) to.PutText(name).PutText(json);
  PackWires(plan.inputs, to);
  PackWires(plan.outputs, to);
  PackWires(plan.passed, to);
  PackWires(plan.facades, to);
  to.PutText(plan.declarations);
  to.Put(static_cast<uint64_t>(plan.attributes.size()));
  for (const std::string& saved : plan.attributes) to.PutText(saved);
  return to.Take();
}

absl::StatusOr<RunPlan> Unpack(std::string_view bytes) {
  ByteReader from(bytes);
  RunPlan plan;
  plan.name = from.GetText();
  internal::CodeAddress address;
  address.object = from.GetText();
  address.build_id = from.GetText();
  address.offset = from.Get<uint64_t>();
  for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) {
    std::string name(from.GetText());
    plan.params.emplace(std::move(name), from.GetText());
  }
  plan.inputs = UnpackWires(from);
  plan.outputs = UnpackWires(from);
  plan.passed = UnpackWires(from);
  plan.facades = UnpackWires(from);
  plan.declarations = from.GetText();
  for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) plan.attributes.emplace_back(from.GetText());
  if (!from.ok()) return absl::DataLossError("a runnable's plan that ends too early");
  auto code = internal::CodeAt(address);
  if (!code.ok()) return code.status();
  plan.factory = reinterpret_cast<Module::Factory>(*code);
  return plan;
}

}  // namespace puma::runner
