// Producer, processor, consumer: as threads or as processes, by one flag.  pipeline [threads|processes] [how many]
#include <puma/environment.h>

#include <cstdio>
#include <cstdlib>

struct Reading {
  int index;
  double value;
};

class Producer : public puma::Runnable {
 public:
  explicit Producer(puma::Setup& setup)
      : count_(setup.Param("count", 10, "how many readings")), readings_(setup.Output<Reading>("readings")) {}

 private:
  absl::Status Execute() override {
    for (int i = 0; i < count_ && PollCommands(); ++i) PUMA_RETURN_IF_ERROR(readings_.PublishValue({i, i * 0.5}, absl::Seconds(5)));
    return readings_.PublishComplete();
  }
  int count_;
  puma::Output<Reading> readings_;
};

class Scaler : public puma::Runnable {
 public:
  explicit Scaler(puma::Setup& setup)
      : factor_(setup.Param("factor", 2.0, "what readings are multiplied with")), scaled_(setup.Output<Reading>("scaled")) {
    setup.Input("readings", &Scaler::OnReading);
  }

 private:
  absl::Status OnReading(const Reading& r) { return scaled_.PublishValue({r.index, r.value * factor_}, absl::Seconds(5)); }
  double factor_;
  puma::Output<Reading> scaled_;
};

class Adder : public puma::Runnable {
 public:
  explicit Adder(puma::Setup& setup) : sum_(setup.Status<double>()) { setup.Input("scaled", &Adder::OnReading); }

 private:
  void OnReading(const Reading& r) { total_ += r.value; }
  bool OnEnd(const absl::Status&) override {
    sum_.Send(total_);
    return false;
  }
  double total_ = 0;
  puma::StatusPort<double> sum_;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "threads");
  if (env == nullptr) return std::fprintf(stderr, "usage: pipeline [threads|processes] [how many]\n"), 2;
  auto readings = env->CreateBuffer<Reading>("readings");
  auto scaled = env->CreateBuffer<Reading>("scaled", {.capacity = 16});
  auto producer = env->CreateRunner<Producer>(
      "producer", {.outputs = {{"readings", readings}}, .params = {{"count", argc > 2 ? std::atoi(argv[2]) : 20}}});
  auto scaler = env->CreateRunner<Scaler>("scaler", {.inputs = {{"readings", readings}}, .outputs = {{"scaled", scaled}}});
  auto adder = env->CreateRunner<Adder>("adder", {.inputs = {{"scaled", scaled}}});
  for (puma::AnyRunner* runner : std::initializer_list<puma::AnyRunner*>{&adder, &scaler, &producer})
    PUMA_CHECK_OK(runner->StartBlocking());
  PUMA_CHECK_OK(adder.Join(absl::Seconds(60)));
  auto sum = adder.LatestStatus<double>();
  PUMA_CHECK_OK(sum.status());
  std::printf("sum %.1f, by %s\n", *sum, std::string(env->kind()).c_str());
}
