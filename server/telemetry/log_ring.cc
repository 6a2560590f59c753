#include "server/telemetry/log_ring.h"

#include <algorithm>
#include <utility>

namespace puma::server {
namespace {

constexpr size_t kChunkBytes = 128 << 10;

size_t BytesOf(const LogLine& line) { return sizeof(LogLine) + line.record.message().size() + 16; }

}  // namespace

void LogRing::Append(std::vector<LogLine> lines) {
  std::vector<std::pair<std::vector<LogLine>, size_t>> chunks;
  for (LogLine& line : lines) {
    if (chunks.empty() || chunks.back().second >= kChunkBytes) chunks.emplace_back();
    chunks.back().second += BytesOf(line);
    chunks.back().first.push_back(std::move(line));
  }
  std::vector<Chunk> forgotten;  // freed without the lock
  MutexLock lock(mutex_);
  for (auto& [chunk, bytes] : chunks) Push(std::move(chunk), bytes);
  while (bytes_ > limit_ && chunks_.size() > 1) {
    bytes_ -= chunks_.front().bytes;
    forgotten.push_back(std::move(chunks_.front()));
    chunks_.pop_front();
  }
}

void LogRing::Push(std::vector<LogLine> lines, size_t bytes) {
  bytes += sizeof(Chunk) + sizeof(lines) + 32;
  Chunk chunk{end_, std::make_shared<const std::vector<LogLine>>(std::move(lines)), bytes};
  end_ = chunk.end();
  bytes_ += bytes;
  chunks_.push_back(std::move(chunk));
}

std::vector<LogRing::Chunk> LogRing::From(uint64_t next, size_t at_most) const {
  MutexLock lock(mutex_);
  auto it = std::upper_bound(chunks_.begin(), chunks_.end(), next, [](uint64_t n, const Chunk& chunk) { return n < chunk.end(); });
  std::vector<Chunk> found;
  for (; it != chunks_.end() && found.size() < at_most; ++it) found.push_back(*it);
  return found;
}

uint64_t LogRing::first() const {
  MutexLock lock(mutex_);
  return chunks_.empty() ? end_ : chunks_.front().first;
}

uint64_t LogRing::end() const {
  MutexLock lock(mutex_);
  return end_;
}

}  // namespace puma::server
