#ifndef AVERAGER_AVERAGER_H_
#define AVERAGER_AVERAGER_H_
#include <puma/module.h>

#include <utility>

// Publishes the mean of what came within each period; nothing, if nothing came.
class Averager : public puma::Runnable {
 public:
  explicit Averager(puma::Setup& setup)
      : period_(setup.Param("period", absl::Seconds(1), "of one mean")), means_(setup.Output<double>("means")) {
    setup.Input("samples", &Averager::OnSample);
    setup.Command("set_period", &Averager::SetPeriod, {"period"}, "from the next mean on");
  }
  absl::Status SetPeriod(absl::Duration period) { return SetTickInterval(period); }

 private:
  absl::Status OnStart() override {
    PUMA_RETURN_IF_ERROR(SetTickInterval(period_));
    return ResumeTicks();
  }
  absl::Status OnSample(const double& sample) {
    if (sample < 0) {
      log().warn("negative sample {}", sample);
      return puma::InvalidArgument("a sample is never negative");
    }
    sum_ += sample;
    ++count_;
    return absl::OkStatus();
  }
  absl::Status OnTick(puma::Timestamp) override {
    if (count_ == 0) return absl::OkStatus();
    return means_.PublishValue(std::exchange(sum_, 0) / std::exchange(count_, 0));
  }

  const absl::Duration period_;
  double sum_ = 0;
  int count_ = 0;
  puma::Output<double> means_;
};

#endif  // AVERAGER_AVERAGER_H_
