// Plays values at a rate that can be changed while it plays.  playback [threads|processes]
#include <puma/environment.h>

#include <cstdio>

class Playback : public puma::Runnable {
 public:
  explicit Playback(puma::Setup& setup)
      : values_(setup.Param("values", std::vector<double>{1, 2, 3}, "what to play")),
        period_(setup.Param("period", absl::Milliseconds(20), "time between values")),
        out_(setup.Output<double>("out")) {
    setup.Command("set_period", &Playback::SetPeriod, {"period"});
  }
  absl::Status SetPeriod(absl::Duration period) { return SetTickInterval(period); }

 private:
  absl::Status OnStart() override {
    PUMA_RETURN_IF_ERROR(SetTickInterval(period_));
    return ResumeTicks();
  }
  absl::Status OnTick(puma::Timestamp) override {
    if (next_ < values_.size()) return out_.PublishValue(values_[next_++]);
    PauseTicks();
    return out_.PublishComplete();
  }
  std::vector<double> values_;
  absl::Duration period_;
  puma::Output<double> out_;
  size_t next_ = 0;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "threads");
  if (env == nullptr) return std::fprintf(stderr, "usage: playback [threads|processes]\n"), 2;
  auto out = env->CreateBuffer<double>("out");
  auto playback = env->CreateRunner<Playback>("playback", {.outputs = {{"out", out}}});
  PUMA_CHECK_OK(playback.StartBlocking());
  PUMA_CHECK_OK(playback.Call(&Playback::SetPeriod, absl::Milliseconds(2)));
  puma::Event event;
  auto subscription = out.Subscribe(event);
  for (bool complete = false; !complete;) {
    PUMA_CHECK_OK(event.Wait(absl::Seconds(60)));
    PUMA_CHECK_OK(
        subscription.Drain([](double value) { std::printf("%.0f ", value); }, [&](const absl::Status&) { complete = true; }).status());
  }
  std::printf("\n");
}
