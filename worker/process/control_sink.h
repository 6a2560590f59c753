#ifndef PUMA_WORKER_PROCESS_CONTROL_SINK_H_
#define PUMA_WORKER_PROCESS_CONTROL_SINK_H_
// Log records of a worker go into the log ring of its W.
#include <string_view>

#include "worker/control/control_segments.h"
#include "worker/control/log_ring.h"
#include "worker/logging/capture.h"
#include "worker/logging/record_sink.h"

namespace puma::process {

inline constexpr uint32_t kStreamLog = 1, kStreamStdout = 2, kStreamStderr = 3;  // puma.v1.LogStream

class ControlSink : public logging::RecordSink {
 public:
  explicit ControlSink(control::WorkerControl& control) : control_(control) {}
  void Write(const logging::Record& record) override;
  // A captured line. `slot_plus_one`: whose it is; 0 if several tasks could have written it.
  void WriteLine(logging::Stream stream, uint32_t slot_plus_one, std::string_view text);

 private:
  uint32_t SourceOf(uint32_t slot_plus_one, std::string_view logger, const Here& where);
  control::WorkerControl& control_;
  control::KnownSites known_;
};

}  // namespace puma::process
#endif  // PUMA_WORKER_PROCESS_CONTROL_SINK_H_
