#ifndef PUMA_SERVER_JOURNAL_JOURNAL_H_
#define PUMA_SERVER_JOURNAL_JOURNAL_H_
// What must survive the host, in SQLite (WAL, synchronous=FULL): desired state, reserved runs, exits, request ids. Observed state is not
// here.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace puma::server {

struct PipelineRow {
  std::string name;
  std::string uid;
  int64_t generation = 1;
  std::string spec;  // v1.PipelineSpec, serialized, defaults filled in
  int64_t create_unix_ns = 0, update_unix_ns = 0;
  bool deleting = false;
};
struct TaskRow {
  uint64_t uid = 0;  // never used again
  std::string pipeline;
  std::string name;  // with its replica: "detector.0"
  std::string base;  // the spec's name: "detector"
  int32_t replica = 0;
  int64_t generation = 1;  // of the pipeline, in which its spec last changed
  bool desired = true;
  bool deleting = false;
  int64_t run = 0;        // last reserved
  std::string life;       // what else of TaskLife must survive: JSON, opaque here
  std::string last_exit;  // v1.RunExit, serialized
};
struct GroupRow {  // a worker that holds the thread tasks of a pipeline
  uint64_t uid = 0;
  std::string pipeline;
  int64_t run = 0;
};
struct PublisherRow {  // which epoch an output's next lanes have, and whether it has ended
  uint64_t task = 0;
  std::string port;
  uint32_t next_epoch = 1;
  bool ended = false;
  std::string error;  // the text it ended with
};
struct RequestRow {         // the answer that a request id got
  std::string id;           // method and id
  std::string fingerprint;  // of the request: the same id with another content is an error
  std::string response;     // serialized
  int64_t expires_unix_ns = 0;
};

struct DeadLetterRow {  // a message that was given up; the newest kDeadLetters are kept
  uint64_t id = 0;      // rises
  std::string pipeline;
  uint64_t task = 0, lane = 0, number = 0;  // a second row of the same three is not taken
  std::string letter;                       // v1.DeadLetter, serialized
};
inline constexpr size_t kDeadLetters = 1000;

struct JournalSnapshot {
  std::vector<PipelineRow> pipelines;
  std::vector<TaskRow> tasks;
  std::vector<GroupRow> groups;
  std::vector<PublisherRow> publishers;
  std::vector<RequestRow> requests;
  std::vector<DeadLetterRow> dead_letters;  // by id
  bool drained = false;                     // the host is to start nothing
};

// A change, committed as a whole. Later entries of the same key win.
struct JournalChange {
  std::vector<PipelineRow> put_pipelines;
  std::vector<std::string> delete_pipelines;  // and their dead letters
  std::vector<TaskRow> put_tasks;
  std::vector<uint64_t> delete_tasks;  // and their publishers
  std::vector<GroupRow> put_groups;
  std::vector<uint64_t> delete_groups;
  std::vector<PublisherRow> put_publishers;
  std::vector<RequestRow> put_requests;
  std::vector<DeadLetterRow> put_dead_letters;
  std::optional<bool> drained;
};

// Thread-safe. One writer thread commits what has gathered (group commit).
class Journal {
 public:
  // Opens or makes the file. A damaged one is moved aside (its new name is in the log line that `warn` gets) and a new one made.
  // FAILED_PRECONDITION: made by a newer version. PERMISSION_DENIED.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& path, std::function<void(const std::string&)> warn);
  virtual ~Journal() = default;
  // Counts starts of the host on this journal: commits incarnation + 1 and returns it.
  virtual absl::StatusOr<int64_t> NextIncarnation() = 0;
  virtual std::string store_id() const = 0;            // 16 random bytes, made with the file
  virtual absl::StatusOr<JournalSnapshot> Load() = 0;  // expired requests are dropped
  // Calls `done` on the writer thread after the change is durable, or with why it is not (nothing of it is then in the file).
  // Changes are committed in the order of the calls.
  virtual void Commit(JournalChange change, std::function<void(absl::Status)> done) = 0;
  // A number that was never returned before, also not by earlier hosts (reserved in blocks).
  virtual absl::StatusOr<uint64_t> NewUid() = 0;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_JOURNAL_JOURNAL_H_
