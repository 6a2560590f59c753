#include "worker/control/log_ring.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace puma::control {

absl::StatusOr<std::unique_ptr<LogRing>> LogRing::Create(std::span<std::byte> memory, const RingOptions& options, const Word64* position,
                                                         Word64* dropped) {
  auto ring = RingWriter::Create(memory, options);
  if (!ring.ok()) return ring.status();
  Gate gate;
  gate.subscription = 1;
  gate.position = position;
  (*ring)->SetGate(gate);
  return std::unique_ptr<LogRing>(new LogRing(*std::move(ring), dropped));
}

bool LogRing::Send(const LogEntry& entry, std::string_view text) {
  if (text.size() > kLogRecordBytes) return SendCut(entry, text);
  LogEntry sent = entry;
  sent.level = std::clamp(sent.level, 0, 5);
  sent.length = static_cast<uint32_t>(text.size());
  MutexLock lock(mutex_);
  std::byte* const at = ring_->ReserveOrNull(sizeof(sent) + text.size());
  if (at == nullptr) {
    ++dropped_in_a_row_;
    dropped_[sent.level].fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  sent.dropped_before = std::exchange(dropped_in_a_row_, 0);
  std::memcpy(at, &sent, sizeof(sent));
  if (!text.empty()) std::memcpy(at + sizeof(sent), text.data(), text.size());
  ring_->Commit(sizeof(sent) + text.size());  // fenced: its P3 is the barrier that is promised
  return true;
}

bool LogRing::SendCut(const LogEntry& entry, std::string_view text) {
  const std::string mark = absl::StrCat("... [cut: had ", text.size(), " bytes]");
  return Send(entry, std::string(text.substr(0, kLogRecordBytes - mark.size())) + mark);
}

bool StringArena::Intern(std::string_view text, uint32_t& offset) {
  if (auto found = offsets_.find(text); found != offsets_.end()) return offset = found->second, true;
  if (text.size() > bytes_ - used_) return false;
  offset = used_;
  if (!text.empty()) std::memcpy(memory_ + offset, text.data(), text.size());
  used_ += static_cast<uint32_t>(text.size());
  offsets_.emplace(View(offset, text.size()), offset);
  return true;
}

void KnownSites::Add(const CallSite& site, uint32_t source) {
  if (source == 0 || source == kBusy) return;
  size_t at = Hash(site);
  for (size_t i = 0; i < kTries; ++i, at = (at + 1) % kPlaces) {
    uint32_t is_free = 0;
    if (!places_[at].source.compare_exchange_strong(is_free, kBusy, std::memory_order_relaxed)) continue;
    places_[at].site = site;
    places_[at].source.store(source, std::memory_order_release);
    return;
  }
}

}  // namespace puma::control
