// Attributes with a meaning in each half: declared, saved, loaded, joined.
#include <fmt/format.h>
#include <puma/attributes.h>

#include <utility>

#include "worker/runnable/door.h"
#include "worker/runnable/runnable_core.h"

namespace puma {
AttributeBase::AttributeBase(Setup& setup, std::string_view name, Allowed allowed)
    : name_(name),
      here_(setup.scope() == Scope::kChild    ? kChildHalf
            : setup.scope() == Scope::kParent ? kParentHalf
                                              : kBothHalves),
      allowed_(allowed) {
  internal::DeclareAttribute(setup.core(), *this);
}

void AttributeBase::Refuse() const {
  const auto half = [](uint8_t which) { return which == kChildHalf ? "child" : "parent"; };
  throw WrongScope(fmt::format("attribute \"{}\" may be used in the {}'s half only; this is the {}'s", name_, half(allowed_), half(here_)));
}

namespace internal {

void DeclareAttribute(RunnableCore& core, AttributeBase& attribute) { core.Declare(attribute); }

void RunnableCore::Declare(AttributeBase& attribute) {
  if (!constructing_) Mistake("an attribute made outside of the constructor");
  if (attribute.name().empty()) Mistake("an attribute without a name");
  for (const AttributeBase* known : attributes_) {
    if (known->name() == attribute.name()) Mistake(fmt::format("attribute \"{}\" is declared twice", attribute.name()));
  }
  attributes_.push_back(&attribute);
}

absl::Status RunnableCore::OfAttribute(const AttributeBase& attribute, const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      fmt::format("attribute \"{}\" of \"{}\": {}", attribute.name(), options_.name, std::string(status.message())));
}

absl::StatusOr<std::vector<std::string>> RunnableCore::SaveAttributes(bool processes) const {
  std::vector<std::string> saved;
  for (const AttributeBase* attribute : attributes_) {
    absl::Status status = attribute->MayStart(processes);
    if (status.ok()) {
      status = ThroughDoor([&]() -> absl::Status {
        saved.push_back(attribute->Save());
        return absl::OkStatus();
      });
    }
    if (!status.ok()) return OfAttribute(*attribute, status);
  }
  return saved;
}

absl::Status RunnableCore::LoadAttributes(const std::vector<std::string>& saved, const RunnableCore* parent) {
  if (saved.size() != attributes_.size()) return absl::InternalError("the halves have different attributes");
  for (size_t i = 0; i < saved.size(); ++i) {
    absl::Status status = ThroughDoor([&]() -> absl::Status {
      if (absl::Status loaded = attributes_[i]->Load(saved[i]); !loaded.ok()) return loaded;
      if (parent != nullptr) attributes_[i]->Join(*parent->attributes_[i]);
      return absl::OkStatus();
    });
    if (!status.ok()) return OfAttribute(*attributes_[i], status);
  }
  return absl::OkStatus();
}

size_t RunnableCore::CellCount() const {
  return static_cast<size_t>(std::count_if(attributes_.begin(), attributes_.end(), [](const AttributeBase* a) { return a->has_cell(); }));
}

void RunnableCore::BindCells(std::span<Word64> cells, bool keep) {
  size_t next = 0;
  for (AttributeBase* attribute : attributes_) {
    if (attribute->has_cell() && next < cells.size()) attribute->Bind(&cells[next++], keep);
  }
}

}  // namespace internal
}  // namespace puma
