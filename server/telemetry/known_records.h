#ifndef PUMA_SERVER_TELEMETRY_KNOWN_RECORDS_H_
#define PUMA_SERVER_TELEMETRY_KNOWN_RECORDS_H_
// Up to which sequence the records of each worker's runs are in the file: none is written twice after a new host has adopted the worker.
#include <cstdint>
#include <map>

#include "server/telemetry/log_store.h"

namespace puma::server {

// Thread-compatible.
class KnownRecords {
 public:
  // True: the record is new, and known from now on. The host's own records (worker_key 0) are always new.
  bool Learn(const LogLine& line) {
    if (line.worker_key == 0) return true;
    auto& runs = workers_[line.worker_key];
    const auto [last, first_of_run] = runs.try_emplace(line.worker_run, line.record.sequence());
    if (!first_of_run && line.record.sequence() <= last->second) return false;
    last->second = line.record.sequence();
    if (runs.size() > kRunsPerWorker) runs.erase(runs.begin());
    if (workers_.size() > kWorkers) workers_.erase(workers_.begin());  // keys are never used again: the lowest is the oldest
    return true;
  }

 private:
  static constexpr size_t kRunsPerWorker = 4, kWorkers = 1 << 16;
  std::map<uint64_t, std::map<uint64_t, uint64_t>> workers_;  // key, run, last sequence
};

}  // namespace puma::server
#endif  // PUMA_SERVER_TELEMETRY_KNOWN_RECORDS_H_
