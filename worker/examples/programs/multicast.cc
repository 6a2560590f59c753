// One buffer copied to two, each with its own reader.   multicast [threads|processes]
#include <puma/parallel.h>

#include <cstdio>

class Counter : public puma::Runnable {
 public:
  explicit Counter(puma::Setup& setup) : sum_status_(setup.Status<int>()) { setup.Input("in", &Counter::OnValue); }

 private:
  void OnValue(const int& value) { sum_ += value; }
  bool OnEnd(const absl::Status&) override {
    sum_status_.Send(sum_);
    return false;
  }
  int sum_ = 0;
  puma::StatusPort<int> sum_status_;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "threads");
  if (env == nullptr) return std::fprintf(stderr, "usage: multicast [threads|processes]\n"), 2;
  auto in = env->CreateBuffer<int>("in"), a = env->CreateBuffer<int>("a"), b = env->CreateBuffer<int>("b");
  puma::Multicaster caster(*env, in);
  PUMA_CHECK_OK(caster.Subscribe(a));
  PUMA_CHECK_OK(caster.Subscribe(b, puma::OnFull::kWarn));  // skipped while it is full
  auto first = env->CreateRunner<Counter>("first", {.inputs = {{"in", a}}});
  auto second = env->CreateRunner<Counter>("second", {.inputs = {{"in", b}}});
  PUMA_CHECK_OK(first.StartBlocking());
  PUMA_CHECK_OK(second.StartBlocking());
  PUMA_CHECK_OK(caster.Start());
  auto publisher = in.Publish();
  for (int i = 1; i <= 4; ++i) PUMA_CHECK_OK(publisher.PublishValue(i));
  PUMA_CHECK_OK(publisher.PublishComplete());
  for (puma::Runner<Counter>* runner : {&first, &second}) {
    auto sum = runner->WaitForStatus<int>(absl::Seconds(60));
    PUMA_CHECK_OK(sum.status());
    std::printf("%s: %d\n", runner->name().c_str(), *sum);
  }
  PUMA_CHECK_OK(caster.Close());
}
