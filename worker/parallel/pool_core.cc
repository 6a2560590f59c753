#include "worker/parallel/pool_core.h"

#include <fmt/format.h>
#include <puma/log.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "worker/environment/environment_core.h"
#include "worker/platform/system.h"

namespace puma::internal {
namespace {

constexpr size_t kPoolQueue = 1;  // jobs that wait for a worker
constexpr int kMostWorkers = 100;
constexpr absl::Duration kStopGrace = absl::Seconds(1);  // for a job that has outlasted Close's timeout
constexpr Timeout kGiveAtMost = absl::Seconds(10);       // to an idle worker, which makes room at once

absl::Time DeadlineAfter(Timeout timeout) {
  return timeout.duration() == absl::InfiniteDuration() ? absl::InfiniteFuture() : MonotonicTime() + timeout.duration();
}
absl::Duration LeftUntil(absl::Time deadline) {
  return deadline == absl::InfiniteFuture() ? absl::InfiniteDuration() : deadline - MonotonicTime();
}

}  // namespace

// ---- a future --------------------------------------------------------------------------------------------------------------------------

void JobCall::Decide(absl::StatusOr<Value> result) {
  MutexLock lock(mutex_);
  if (!result_) result_ = std::move(result);
  decided_.NotifyAll();
}

absl::StatusOr<Value> JobCall::Await(Timeout timeout) {
  if (!timeout.valid() || timeout.as_spec())
    return absl::InvalidArgumentError("a job's result: a timeout is above zero, kNoWait or kInfinite");
  const absl::Time deadline = DeadlineAfter(timeout);
  MutexLock lock(mutex_);
  while (!result_) {
    const absl::Duration left = LeftUntil(deadline);
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          fmt::format("the job has not finished within {}: it runs, or waits for a worker", absl::FormatDuration(timeout.duration())));
    }
    decided_.WaitFor(mutex_, std::min(left, absl::Hours(1)));
  }
  return *result_;
}

// ---- making ----------------------------------------------------------------------------------------------------------------------------

PoolCore::PoolCore(Environment& environment, int size, std::string name, MakeWorker make, const AnyBuffer* results)
    : name_(std::move(name)) {
  Environment inside(environment.core(), environment.core()->NewMaker());  // its buffers' names are its own
  MutexLock lock(mutex_);
  broken_ = MakeWorkers(inside, size, make, results);
  if (!broken_.ok()) return;
  try {
    dispatcher_ = std::thread([this] { Dispatch(); });
  } catch (const std::system_error& e) {
    broken_ = absl::ResourceExhaustedError(fmt::format("\"{}\": no thread can be started: {}", name_, e.what()));
  }
}

PoolCore::~PoolCore() {
  if (!closed()) Close(kInfinite).IgnoreError();
}

absl::Status PoolCore::MakeWorkers(Environment& environment, int size, MakeWorker make, const AnyBuffer* results) {
  if (name_.empty()) return absl::InvalidArgumentError("a pool or executor needs a name");
  if (size < 1 || size > kMostWorkers)
    return absl::InvalidArgumentError(fmt::format("\"{}\": {} workers; it is 1 to {}", name_, size, kMostWorkers));
  if (results != nullptr) {
    if (absl::Status status = results->status(); !status.ok()) return status;
    results_ = OpenPublisher(results->core());
    if (absl::Status status = results_.output->status(); !status.ok()) return status;
  }
  BufferOptions options;
  options.capacity = kJobsOfOne;
  options.capacity_bytes = kJobLane;
  options.warn_on_discard = false;
  reports_.emplace(environment.CreateBuffer<std::string>("reports", options));
  reported_.emplace(reports_->Subscribe(ended_->event));
  if (!reported_->status().ok()) return reported_->status();
  for (int i = 0; i < size; ++i) {
    Worker& worker = workers_.emplace_back();
    worker.buffer.emplace(environment.CreateBuffer<std::string>(fmt::format("jobs.{}", i), options));
    worker.jobs = worker.buffer->Publish();
    RunnerOptions runner;
    runner.inputs = {{"jobs", *worker.buffer}};
    runner.outputs = {{"reports", *reports_}};
    if (results != nullptr) runner.outputs.push_back({"results", *results});
    runner.params = {{"worker", i}};
    runner.stop_grace = kStopGrace;
    worker.runner.emplace(make(environment, fmt::format("{}.{}", name_, i), std::move(runner)));
    NoteEnd(static_cast<size_t>(i));
  }
  for (Worker& worker : workers_) {
    if (absl::Status status = worker.runner->Start(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void PoolCore::NoteEnd(size_t worker) {
  workers_[worker].runner->OnEnd([ended = ended_, worker](const absl::Status& why) {
    MutexLock lock(ended->mutex);
    ended->workers.emplace_back(worker, why);
    ended->event.Set();
  });
}

// ---- jobs in ---------------------------------------------------------------------------------------------------------------------------

absl::StatusOr<PoolCore::Job> PoolCore::Pack(const PackedJob& job) {
  auto known = addresses_.find(job.function);
  if (known == addresses_.end()) {
    auto address = AddressText(job.function);
    if (!address.ok()) return address.status();
    known = addresses_.emplace(job.function, *std::move(address)).first;
  }
  Job packed;
  packed.id = ++last_job_;
  packed.packed = PackJob(packed.id, known->second, job.arguments);
  if (packed.packed.size() > kJobLane / 2) {
    return absl::ResourceExhaustedError(
        fmt::format("\"{}\": {} bytes of arguments; {} is the most, a buffer carries more", name_, packed.packed.size(), kJobLane / 2));
  }
  return packed;
}

PoolCore::Worker* PoolCore::Idle() {
  const auto at = std::find_if(workers_.begin(), workers_.end(), [](const Worker& worker) { return !worker.ended && !worker.in_hand; });
  return at == workers_.end() ? nullptr : &*at;
}

bool PoolCore::AllEnded() const {
  return std::all_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.ended; });
}

bool PoolCore::AllDone() const {
  return queue_.empty() && std::all_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return !worker.in_hand; });
}

absl::Status PoolCore::Submit(const PackedJob& job) {
  MutexLock lock(mutex_);
  while (true) {
    if (!broken_.ok()) return broken_;
    if (closed_) return absl::FailedPreconditionError(fmt::format("pool \"{}\" has been closed", name_));
    if (!errors_.empty()) {
      absl::Status error = std::move(errors_.front());
      errors_.pop_front();
      return error;
    }
    if (AllEnded()) return absl::UnavailableError(fmt::format("pool \"{}\": all of its workers have ended", name_));
    Worker* const idle = queue_.empty() ? Idle() : nullptr;
    if (idle == nullptr && queue_.size() >= kPoolQueue) {
      changed_.WaitFor(mutex_, absl::Hours(1));
      continue;
    }
    auto packed = Pack(job);
    if (!packed.ok()) return packed.status();
    if (idle != nullptr) return Give(*idle, *std::move(packed));
    queue_.push_back(*std::move(packed));
    return absl::OkStatus();
  }
}

std::shared_ptr<CallCore> PoolCore::SubmitForResult(const PackedJob& job) {
  auto call = std::make_shared<JobCall>();
  MutexLock lock(mutex_);
  absl::Status status = broken_;
  if (closed_) status = absl::FailedPreconditionError(fmt::format("executor \"{}\" has been shut down", name_));
  if (status.ok() && AllEnded()) status = absl::UnavailableError(fmt::format("executor \"{}\": all of its workers have ended", name_));
  if (!status.ok()) {
    call->Decide(status);
    return call;
  }
  auto packed = Pack(job);
  if (!packed.ok()) {
    call->Decide(packed.status());
    return call;
  }
  packed->call = call;
  if (Worker* const idle = queue_.empty() ? Idle() : nullptr) {
    if (absl::Status given = Give(*idle, *std::move(packed)); !given.ok()) call->Decide(given);
  } else {
    queue_.push_back(*std::move(packed));
  }
  return call;
}

void PoolCore::Withdraw(const std::vector<std::shared_ptr<CallCore>>& calls) {
  MutexLock lock(mutex_);
  std::erase_if(queue_, [&](Job& job) {
    if (std::find(calls.begin(), calls.end(), job.call) == calls.end()) return false;
    job.call->Decide(absl::CancelledError("the job was withdrawn before it began"));
    return true;
  });
  changed_.NotifyAll();
}

absl::Status PoolCore::Give(Worker& worker, Job job) {
  worker.in_hand = std::move(job);
  absl::Status status = worker.jobs.PublishValue(std::exchange(worker.in_hand->packed, ""), kGiveAtMost, OnFull::kError);
  if (!status.ok()) worker.in_hand.reset();
  return status;
}

void PoolCore::GiveNext(Worker& worker) {
  while (!queue_.empty() && !worker.in_hand && !worker.ended) {
    Job job = std::move(queue_.front());
    queue_.pop_front();
    Job kept{.id = job.id, .packed = "", .call = job.call};
    if (absl::Status status = Give(worker, std::move(job)); !status.ok()) Finish(kept, std::move(status));
  }
  changed_.NotifyAll();
}

// ---- reports -------------------------------------------------------------------------------------------------------------------------

void PoolCore::Finish(Job& job, absl::StatusOr<Value> result) {
  if (job.call != nullptr) {
    job.call->Decide(std::move(result));
  } else if (!result.ok()) {
    errors_.push_back(std::move(result).status());
  }
}

void PoolCore::OnReport(const std::string& bytes) {
  JobReport report = UnpackReport(bytes);
  if (report.worker < 0 || static_cast<size_t>(report.worker) >= workers_.size()) return;
  Worker& worker = workers_[static_cast<size_t>(report.worker)];
  if (!worker.in_hand || worker.in_hand->id != report.job) return;
  Job job = *std::exchange(worker.in_hand, std::nullopt);
  Finish(job, std::move(report.result));
  GiveNext(worker);
}

// A worker that was well, and has not reported its job.
absl::Status PoolCore::EndedEarly(const Worker& worker) const {
  if (closed_) return absl::CancelledError(fmt::format("\"{}\" was closed before this job had finished", name_));
  return absl::UnavailableError(fmt::format("\"{}\" has ended in the midst of its job", worker.runner->name()));
}

// Its job is lost with it; the others go on.
void PoolCore::OnWorkerEnded(Worker& worker, const absl::Status& why) {
  if (std::exchange(worker.ended, true)) return;
  worker.runner->CheckForErrors().IgnoreError();  // told here
  if (worker.in_hand) {
    Job job = *std::exchange(worker.in_hand, std::nullopt);
    Finish(job, why.ok() ? EndedEarly(worker) : why);
  } else if (!why.ok()) {
    if (results_.output != nullptr) {
      errors_.push_back(why);
    } else {
      log().error("\"{}\": a worker has ended: {}", name_, std::string(why.message()));
    }
  }
  while (AllEnded() && !queue_.empty()) {
    Job job = std::move(queue_.front());
    queue_.pop_front();
    Finish(job, absl::UnavailableError(fmt::format("\"{}\": all of its workers have ended", name_)));
  }
  changed_.NotifyAll();
}

void PoolCore::Dispatch() {
  NameThread(name_);
  while (!over_.load(std::memory_order_acquire)) {
    ended_->event.Wait().IgnoreError();
    std::vector<std::pair<size_t, absl::Status>> ended;
    {
      MutexLock lock(ended_->mutex);
      ended.swap(ended_->workers);
    }
    MutexLock lock(mutex_);
    const auto report = [this](const std::string& bytes) PUMA_NO_THREAD_SAFETY_ANALYSIS { OnReport(bytes); };
    for (bool more = true; more;) {  // all that they have reported comes before their end
      auto taken = reported_->Drain(report, [](const absl::Status&) {});
      more = taken.ok() && *taken != 0;
    }
    for (const auto& [worker, why] : ended) OnWorkerEnded(workers_[worker], why);
  }
}

// ---- the end -------------------------------------------------------------------------------------------------------------------------

absl::Status PoolCore::status() {
  MutexLock lock(mutex_);
  return broken_;
}

bool PoolCore::closed() {
  MutexLock lock(mutex_);
  return closed_;
}

void PoolCore::WaitForJobs(absl::Time deadline) {
  while (dispatcher_.joinable() && !AllDone()) {
    const absl::Duration left = LeftUntil(deadline);
    if (left <= absl::ZeroDuration()) break;
    changed_.WaitFor(mutex_, std::min(left, absl::Hours(1)));
  }
  while (!queue_.empty()) {
    Job job = std::move(queue_.front());
    queue_.pop_front();
    Finish(job, absl::CancelledError(fmt::format("\"{}\" was closed before this job began", name_)));
  }
}

// All are told before the first is waited for. Returns how each ended.
std::vector<absl::Status> PoolCore::EndWorkers(absl::Time deadline) {
  std::vector<AnyRunner*> runners;
  {
    MutexLock lock(mutex_);
    for (Worker& worker : workers_) {
      worker.jobs.PublishComplete().IgnoreError();
      runners.push_back(worker.runner ? &*worker.runner : nullptr);
    }
  }
  for (AnyRunner* runner : runners) {
    const absl::Duration left = LeftUntil(deadline);
    if (runner != nullptr) runner->Join(left <= absl::ZeroDuration() ? kNoWait : Timeout(left)).IgnoreError();
  }
  std::vector<absl::Status> ends;
  for (AnyRunner* runner : runners) {
    if (runner != nullptr) runner->Stop();
  }
  for (AnyRunner* runner : runners) ends.push_back(runner != nullptr ? runner->Close() : absl::OkStatus());
  return ends;
}

absl::Status PoolCore::TakeErrors() {
  absl::Status first;
  for (absl::Status& error : errors_) {
    if (first.ok()) {
      first = std::move(error);
    } else {
      log().error("\"{}\": a further job has failed: {}", name_, std::string(error.message()));
    }
  }
  errors_.clear();
  return first;
}

absl::Status PoolCore::Close(Timeout timeout) {
  if (!timeout.valid() || timeout.as_spec())
    return absl::InvalidArgumentError(fmt::format("\"{}\": a timeout is above zero, kNoWait or kInfinite", name_));
  const absl::Time deadline = DeadlineAfter(timeout);
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::FailedPreconditionError(fmt::format("\"{}\" has been closed", name_));
    closed_ = true;
    changed_.NotifyAll();
    WaitForJobs(deadline);
  }
  const std::vector<absl::Status> ends = EndWorkers(deadline);
  over_.store(true, std::memory_order_release);
  ended_->event.Set();
  if (dispatcher_.joinable()) dispatcher_.join();
  if (results_.output != nullptr) {
    results_.output->Complete(absl::OkStatus()).IgnoreError();
    results_.output->End();
  }
  MutexLock lock(mutex_);
  for (size_t i = 0; i < workers_.size(); ++i) OnWorkerEnded(workers_[i], ends[i]);  // who has not been told of
  absl::Status error = TakeErrors();
  return error.ok() ? broken_ : error;
}

// ---- what the templates of parallel.h call ---------------------------------------------------------------------------------------------

std::shared_ptr<PoolCore> MakePool(Environment& environment, int size, std::string_view name, MakeWorker make, const AnyBuffer* results) {
  return std::make_shared<PoolCore>(environment, size, std::string(name), make, results);
}
absl::Status SubmitToPool(PoolCore& pool, PackedJob job) { return pool.Submit(job); }
std::shared_ptr<CallCore> SubmitForResult(PoolCore& pool, PackedJob job) { return pool.SubmitForResult(job); }
absl::Status StatusOf(PoolCore& pool) { return pool.status(); }
absl::Status Close(PoolCore& pool, Timeout timeout) { return pool.Close(timeout); }
void CloseAtEnd(PoolCore& pool) {
  if (pool.closed()) return;
  if (absl::Status status = pool.Close(kInfinite); !status.ok())
    log().error("\"{}\": a job has failed, and nobody asked: {}", pool.name(), std::string(status.message()));
}

absl::StatusOr<std::vector<Value>> MapJobs(PoolCore& pool, JobFunction each, std::vector<Value> inputs, Timeout timeout, int chunk) {
  if (!timeout.valid() || timeout.as_spec())
    return absl::InvalidArgumentError(fmt::format("\"{}\": a timeout is above zero, kNoWait or kInfinite", pool.name()));
  if (chunk < 1) return absl::InvalidArgumentError(fmt::format("\"{}\": a chunk of {} inputs", pool.name(), chunk));
  const absl::Time deadline = DeadlineAfter(timeout);
  std::vector<std::shared_ptr<CallCore>> calls;
  for (size_t i = 0; i < inputs.size();) {
    PackedJob job{each, {}};
    for (int n = 0; n < chunk && i < inputs.size(); ++n) job.arguments.push_back(std::move(inputs[i++]));
    calls.push_back(pool.SubmitForResult(job));
  }
  std::vector<Value> results;
  for (const auto& call : calls) {
    const absl::Duration left = LeftUntil(deadline);
    auto chunk_results = call->Await(left <= absl::ZeroDuration() ? kNoWait : Timeout(left));
    if (!chunk_results.ok()) {
      pool.Withdraw(calls);
      return chunk_results.status();
    }
    for (const Value& result : chunk_results->list()) results.push_back(result);
  }
  return results;
}

}  // namespace puma::internal
