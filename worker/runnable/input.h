#ifndef PUMA_WORKER_RUNNABLE_INPUT_H_
#define PUMA_WORKER_RUNNABLE_INPUT_H_
// An input of a runnable, as its loop sees it: which message is next, and whether it is complete. It calls nobody. Only the runnable's
// thread uses it.
#include <puma/runnable.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "worker/buffer/lane_reader.h"

namespace puma::internal {

class Input {
 public:
  explicit Input(InputDeclaration declaration) : declaration_(std::move(declaration)) {}
  virtual ~Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  const InputDeclaration& declaration() const { return declaration_; }
  const std::string& name() const { return declaration_.name; }
  bool connected() const { return connected_; }
  bool complete() const { return complete_; }           // nothing more will come
  const absl::Status& error() const { return error_; }  // why it is complete, if not for the good reason

  // The next message, of a publisher after the one that the last batch was taken from. Null: there is none now. Valid until Finish. A lane
  // that turns out to be corrupt is left and logged.
  virtual const Received* Next(const Logger& log) = 0;
  virtual void NextPublisher() {}  // a batch is over: another one's turn
  virtual void Begin() = 0;        // the handler of what Next returned is about to run
  virtual void Finish() = 0;       // it has returned: the message is done with
  virtual void Fail() {}           // it has failed, and the run ends
  virtual void StorePositions() = 0;
  virtual void CollectReaders(std::vector<LaneReader*>& out) = 0;  // of the lanes to sleep on
  virtual void Leave() { StorePositions(); }                       // the run is over
  virtual size_t batch() const = 0;                                // messages in a row that don't make a publisher wait for the position

 protected:
  bool connected_ = false, complete_ = false;
  absl::Status error_;

 private:
  InputDeclaration declaration_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_INPUT_H_
