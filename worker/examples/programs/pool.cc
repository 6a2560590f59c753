// Jobs for workers: results on a buffer, or as futures.   pool [threads|processes]
#include <puma/parallel.h>

#include <cstdio>
#include <stdexcept>

double Half(double x) {
  if (x < 0) throw std::domain_error("negative");
  return x / 2;
}

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "threads");
  if (env == nullptr) return std::fprintf(stderr, "usage: pool [threads|processes]\n"), 2;

  auto results = env->CreateBuffer<double>("results");
  {
    puma::Pool<double> pool(*env, 2, "halves", results);
    for (double x : {2.0, 4.0}) PUMA_CHECK_OK(pool.Submit<&Half>(x));
    PUMA_CHECK_OK(pool.Submit([](double x, int n) { return x * n; }, 3.0, 2));  // no captures: values are arguments
    PUMA_CHECK_OK(pool.Close());
  }
  double sum = 0;
  bool complete = false;
  puma::Event event;
  auto subscription = results.Subscribe(event);
  while (!complete) {
    PUMA_CHECK_OK(event.Wait(absl::Seconds(60)));
    PUMA_CHECK_OK(subscription.Drain([&](const double& value) { sum += value; }, [&](const absl::Status&) { complete = true; }).status());
  }
  std::printf("the results add up to %.1f\n", sum);

  puma::Executor executor(*env, 2);
  std::printf("%s\n", puma::Explain(executor.Submit<&Half>(-1.0).Get().status()).c_str());
  auto squares = executor.Map([](int n) { return n * n; }, std::vector<int>{1, 2, 3});
  PUMA_CHECK_OK(squares.status());
  for (int square : *squares) std::printf("%d ", square);
  std::printf("\n");
}
