#ifndef PUMA_WORKER_RUNNER_CONTROL_COMMANDS_H_
#define PUMA_WORKER_RUNNER_CONTROL_COMMANDS_H_
// The commands of one task as they come from the host: its ring in H; answers go to W. At most once per run: a request that comes again
// gets the answer that it got before.
#include <cstdint>
#include <deque>
#include <string>

#include "worker/control/control_segments.h"
#include "worker/runnable/run_context.h"

namespace puma::runner {

class ControlCommands : public internal::CommandSource {
 public:
  static constexpr size_t kKept = 256;  // answers
  static constexpr size_t kKeptBytes = 4 << 20;
  // The slot was opened for this task (WorkerControl::OpenSlot). `control` must outlive it.
  ControlCommands(control::WorkerControl& control, uint32_t slot);

  bool Poll(const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve) override;
  bool Pending() const override { return reader_.tail() != position_; }
  bool StopAsked() const override { return reader_.header().closed.load(std::memory_order_acquire) != 0; }
  const Word32* tail_word() const override { return reader_.tail_word(); }
  uint32_t tail_seen() const override { return static_cast<uint32_t>(position_); }

 private:
  struct Answer {
    uint64_t hash[2];
    int32_t code;
    std::string text;
  };
  void Serve(std::span<const std::byte> bytes, const std::function<absl::StatusOr<Value>(const internal::CommandCall&)>& serve);
  void Send(const control::CommandRecord& command, const Answer& answer);
  const Answer* FindKept(const control::CommandRecord& command) const;
  void Keep(Answer answer);

  control::WorkerControl& control_;
  const uint32_t slot_;
  RingReader& reader_;
  uint64_t position_;
  bool stop_ = false;
  std::deque<Answer> kept_;
  size_t kept_bytes_ = 0;
};

}  // namespace puma::runner
#endif  // PUMA_WORKER_RUNNER_CONTROL_COMMANDS_H_
