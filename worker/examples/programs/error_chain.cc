// An exception in the last of a chain of runnables, seen by the first's owner: with its type, its stack and its path.
// error_chain [threads|processes] [depth]
#include <puma/environment.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

void ReadSensor() { throw std::domain_error("the sensor is not there"); }

class Link : public puma::Runnable {
 public:
  explicit Link(puma::Setup& setup) : depth_(setup.Param("depth", 0, "runners below this one")) {}

 private:
  absl::Status Execute() override {
    if (depth_ == 0) ReadSensor();
    auto next = environment().CreateRunner<Link>("link" + std::to_string(depth_ - 1), {.params = {{"depth", depth_ - 1}}});
    PUMA_RETURN_IF_ERROR(next.Start());
    PUMA_RETURN_IF_ERROR(next.Join(absl::Seconds(30)));
    return next.CheckForErrors();
  }
  int depth_;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "processes");
  if (env == nullptr) return std::fprintf(stderr, "usage: error_chain [threads|processes] [depth]\n"), 2;
  const int depth = argc > 2 ? std::atoi(argv[2]) : 3;
  auto first = env->CreateRunner<Link>("link" + std::to_string(depth), {.params = {{"depth", depth}}});
  PUMA_CHECK_OK(first.Start());
  PUMA_CHECK_OK(first.Join(absl::Seconds(60)));
  const absl::Status error = first.CheckForErrors();
  std::printf("%s", puma::Explain(error).c_str());
  return puma::IsError(error, "std::logic_error") ? 0 : 1;
}
