#ifndef PUMA_CLIENT_LIB_RESUME_H_
#define PUMA_CLIENT_LIB_RESUME_H_
// How a broken stream goes on: what to ask for next, and what of the answer is already known. Plain values without gRPC.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "puma/v1/services.pb.h"

namespace puma::client {

class TaskResume {
 public:
  explicit TaskResume(v1::WatchTasksRequest request) : request_(std::move(request)) {}
  // What to ask for now.
  const v1::WatchTasksRequest& Request();
  // Takes note of a batch and completes it: tasks that are missing from a later snapshot are reported as deleted.
  void Observe(v1::WatchTasksResponse& batch);
  // True: asking again makes sense after this error.
  bool GoOnAfter(const absl::Status& error);

 private:
  v1::WatchTasksRequest request_;
  bool in_snapshot_ = false;
  std::set<std::string> known_;  // tasks that the reader has been told of
  std::set<std::string> seen_;   // in the snapshot that is being read
};

// A stream that ends when it breaks.
template <class RequestType, class Batch>
class NoResume {
 public:
  explicit NoResume(RequestType request) : request_(std::move(request)) {}
  const RequestType& Request() const { return request_; }
  void Observe(const Batch&) {}
  bool GoOnAfter(const absl::Status&) { return false; }

 private:
  const RequestType request_;
};

class EventResume {
 public:
  explicit EventResume(v1::WatchEventsRequest request) : request_(std::move(request)) {}
  const v1::WatchEventsRequest& Request() const { return request_; }
  void Observe(const v1::WatchEventsResponse& batch) { request_.set_revision(batch.revision()); }
  bool GoOnAfter(const absl::Status& error);

 private:
  v1::WatchEventsRequest request_;
};

class LogResume {
 public:
  explicit LogResume(v1::TailLogsRequest request) : request_(std::move(request)) {}
  const v1::TailLogsRequest& Request();
  // Takes note of a batch and removes the records that came before the stream broke.
  void Observe(v1::TailLogsResponse& batch);
  bool GoOnAfter(const absl::Status& error);

 private:
  using Worker = std::pair<std::string, int64_t>;  // pipeline, pid: sequences count a worker's records
  v1::TailLogsRequest request_;
  absl::Time opened_ = absl::InfinitePast();
  int64_t last_time_ = 0;       // of all records so far
  int64_t catching_up_to_ = 0;  // records of this time or before may be known
  std::map<Worker, uint64_t> last_sequence_;
};

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_RESUME_H_
