#include "worker/environment/page_table.h"

#include <fmt/format.h>

#include <utility>

namespace puma::internal {
namespace {

constexpr int kListed = 20;  // of what there is, in an error

}  // namespace

const PageTable::Entry* PageTable::FindNamed(uint64_t maker, std::string_view name) const {
  for (const auto& [id, entry] : entries_) {
    if (entry.maker == maker && entry.name == name) return &entry;
  }
  return nullptr;
}

absl::StatusOr<uint64_t> PageTable::Keep(const Party* party, uint64_t maker, std::string_view name, KeptPage page) {
  if (name.empty()) return absl::InvalidArgumentError(fmt::format("a primitive ({}) needs a name", page.type));
  MutexLock lock(mutex_);
  if (const Entry* known = FindNamed(maker, name))
    return absl::AlreadyExistsError(fmt::format("\"{}\" exists already in this environment: {}", name, known->page.type));
  entries_[++last_] = {party, maker, std::string(name), std::move(page)};
  return last_;
}

absl::StatusOr<KeptPage> PageTable::Find(uint64_t maker, std::string_view name) {
  MutexLock lock(mutex_);
  for (const uint64_t of : {maker, uint64_t{0}}) {
    if (const Entry* entry = FindNamed(of, name)) return entry->page;
  }
  std::string known;
  int count = 0;
  for (const auto& [id, entry] : entries_) {
    if (entry.maker != 0 && entry.maker != maker) continue;
    if (++count > kListed) break;
    known += fmt::format("{}\"{}\" ({})", known.empty() ? "" : ", ", entry.name, entry.page.type);
  }
  if (count > kListed) known += ", ...";
  return absl::NotFoundError(fmt::format("no primitive \"{}\" in this environment; there are: {}", name, known.empty() ? "none" : known));
}

void PageTable::Drop(const Party* party, uint64_t page) {
  MutexLock lock(mutex_);
  const auto at = entries_.find(page);
  if (at != entries_.end() && at->second.party == party) entries_.erase(at);  // nobody drops another's
}

void PageTable::PartyGone(const Party& party) {
  MutexLock lock(mutex_);
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.party == &party; });
}

}  // namespace puma::internal
